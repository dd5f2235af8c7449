"""What a trained setting looks at, beside the reference on the same images."""

import hashlib
import io
import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ablate import build, data, design, display, identity, maps, reporting, worker
from ablate.errors import AblateError, StoreError
from ablate.job import Job
from ablate.place import Place
from ablate.seeding import drawing
from ablate.study import Setting, Study, Trial
from ablate.tracking.weights import Kept, kept
from blocks.catalogue import unknown
from reports.figures.sight import Seen, sight

if TYPE_CHECKING:
    from ablate.tracking import Records
    from reports.figures import Drawing

MOST_IMAGES = 40


def show(
    place: Place, name: str, label: str, *, seed: int | None = None, n_images: int = 6, layer: str | None = None
) -> "Drawing":
    """Draw what a setting and the reference make of the same test images; nothing is trained.

    Args:
        place: where the records are.
        name: of the study.
        label: of the setting; the reference's shows it alone.
        seed: of both runs; the first whose weights are kept if not given.
        n_images: how many: the first of each class in the test part, then the second of each, and so on.
        layer: the module whose maps are shown; the last in which the two differ if not given.

    Raises:
        StoreError: if there is no such study, setting or seed, or no complete run of both whose weights are kept, or
            their source or data have changed since.
        AblateError: if there is no such layer, or the two are tested on different images.
    """
    if not 1 <= n_images <= MOST_IMAGES:
        raise AblateError(f"images: {n_images} is out of range: must be from 1 to {MOST_IMAGES}")
    records = reporting.open_records(place, name)
    study, planned = records.study(), records.plan()
    labels = _labels(planned, label)
    settings = [_setting(study, planned, one) for one in labels]
    _check_data(study, settings)
    seed, runs = _runs(records, study, planned, labels, seed)
    known = data.load(study.data_of(settings[0]))
    shown = _one_of_each_class(known.test_targets, n_images)
    inputs, targets = (
        torch.from_numpy(np.ascontiguousarray(of[shown])) for of in (known.test_inputs, known.test_targets)
    )
    torch.set_num_threads(1)  # so that the maps are the same on any machine of a kind
    networks = [_network(study, setting, run, known) for setting, run in zip(settings, runs, strict=True)]
    sizes = [maps.layers(network, inputs) for network in networks]
    at, why = _layer(settings, networks, sizes, layer)
    metric, seen = study.metric, []
    for one, run, network in zip(labels, runs, networks, strict=True):
        made = maps.maps(network, at, inputs, targets)
        said = f"{metric.name} {display.score(run.scores[metric.name], metric)}"
        seen.append(Seen(one, said, made.answers, made.energy, made.cam, made.gate))
    what = f"Study {name!r}, seed {seed}"
    return sight(seen, inputs.numpy(), targets.numpy(), what=what, layer=at, why=why)


def default_path(place: Place, name: str, label: str) -> Path:
    """Return where the picture of a setting goes: a label may hold what no file name can."""
    slug = re.sub(r"[^\w.,=+()-]+", "-", label).strip("-.")[:80]
    mark = "" if slug == label else f"-{hashlib.sha256(label.encode()).hexdigest()[:8]}"
    return place.folder_of(name) / "show" / f"{slug}{mark}.png".lstrip("-")


def _labels(planned: Mapping[str, Any], label: str) -> list[str]:
    """Return the labels of what is shown, the reference first."""
    if label not in planned["settings"]:
        if label in planned["selected"]:
            raise StoreError(
                f"the search of {planned['study']!r} tried {label!r} and did not confirm it; only what it confirmed can be "
                f"shown: {', '.join(planned['settings'])}"
            )
        raise StoreError(unknown(f"setting of study {planned['study']!r}", label, planned["settings"]))
    return [*dict.fromkeys((planned["reference"], label))]


def _setting(study: Study, planned: Mapping[str, Any], label: str) -> Setting:
    if study.match is not None:
        plan = worker.matched(Job(study, design.plan(study)))
        found = {setting.label: setting for setting in plan.settings}.get(label)
    else:
        found = study.setting_of(planned["settings"][label])
    if found is None:
        raise StoreError(f"setting {label!r} of study {study.name!r} is not known to this ablate: run the study again")
    return replace(found, label=label)


def _check_data(study: Study, settings: Sequence[Setting]) -> None:
    first, *others = (study.data_of(setting) for setting in settings)
    for setting, other in zip(settings[1:], others, strict=True):
        if other != first:
            raise AblateError(
                f"setting {setting.label!r} has data of its own, and may be tested on images that {settings[0].label!r} was "
                "trained on: there are no images to show both on"
            )


# -- the runs ------------------------------------------------------------------------------------------------------


def _runs(
    records: "Records", study: Study, planned: Mapping[str, Any], labels: Sequence[str], seed: int | None
) -> tuple[int, list[Kept]]:
    """Return the seed, and the runs of each setting."""
    trials: dict[str, dict[int, str]] = {label: {} for label in labels}
    for label, each, trial in planned["trials"]:
        if label in trials:
            trials[label][each] = trial
    seeds = [each for each in trials[labels[0]] if all(each in trials[label] for label in labels)]
    if seed is not None and seed not in seeds:
        raise StoreError(unknown(f"seed of {_both(labels)}", seed, map(str, seeds)))
    identities = {trials[label][each] for label in labels for each in seeds}
    complete = records.completed(identities, share=planned["share"])
    asked = seeds if seed is None else [seed]
    ready = [each for each in asked if all(trials[label][each] in complete for label in labels)]
    if not ready:
        raise _incomplete(records, planned, labels, seed)
    found = kept(records.place, study.name, identities, share=planned["share"])
    for each in ready:
        if all(trials[label][each] in found for label in labels):
            for label in labels:
                _check_source(study, planned, Trial(_setting(study, planned, label), each, trials[label][each]), found)
            return each, [found[trials[label][each]] for label in labels]
    raise _unkept(study, labels, seed)


def _both(labels: Sequence[str]) -> str:
    return " and ".join(map(repr, labels))


def _incomplete(records: "Records", planned: Mapping[str, Any], labels: Sequence[str], seed: int | None) -> StoreError:
    frame, _ = records.frame()
    mine = frame[frame["setting"].isin(labels)]
    if seed is not None:
        mine = mine[mine["seed"] == seed]
    states = [f"{row.setting!r} seed {row.seed} {row.state}" for row in mine.itertuples()]
    there = ", ".join(states[:6]) + (f" and {len(states) - 6} more" if len(states) > 6 else "")
    where = "no seed" if seed is None else f"seed {seed}"
    without = "has" if seed is None else "has not"
    return StoreError(
        f"{where} of study {planned['study']!r} {without} complete runs of {_both(labels)} ({there or 'none has begun'}): "
        f"`ablate status {planned['study']}` says more"
    )


def _unkept(study: Study, labels: Sequence[str], seed: int | None) -> StoreError:
    if study.held_out:
        why = "what races is scored on held-out images, and its weights are never kept"
        return StoreError(f"the runs of {_both(labels)} keep no weights: {why}")
    which = {"none": "`keep: none` in the study file says so", "weights": "their files are missing, or they are older"}
    why = which.get(study.keep or "", "unless the study file says `keep: weights`, only those of the first seed do")
    where = "complete" if seed is None else f"of seed {seed}"
    return StoreError(
        f"the runs of {_both(labels)} that are {where} keep no weights: {why}. To have them, write `keep: weights`, delete "
        f"these runs in `ablate ui`, and `ablate run {study.name}` trains them again"
    )


def _check_source(study: Study, planned: Mapping[str, Any], trial: Trial, found: Mapping[str, Kept]) -> None:
    trial = replace(trial, parts=found[trial.identity].parts)
    choice = study.data_of(trial.setting)
    if changed := identity.changed(trial, choice, data.fingerprint(choice)):
        raise StoreError(
            f"{', '.join(changed)} changed since {trial.setting.label!r} was trained with seed {trial.seed}: its weights are "
            f"those of another network or other data; `ablate run {planned['study']}` trains it again"
        )


# -- the networks --------------------------------------------------------------------------------------------------


def _network(study: Study, setting: Setting, run: Kept, images: data.Images) -> nn.Module:
    """Return the network of a run with its final weights."""
    with drawing(0, "show"):
        network = build.network(study, setting, in_channels=images.shape[0], n_classes=images.n_classes)
    try:
        state = torch.load(io.BytesIO(run.read()), map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise StoreError(
            f"the weights of {setting.label!r} are damaged, or not those of its network: {reason}"
        ) from None
    return network


def _layer(
    settings: Sequence[Setting],
    networks: Sequence[nn.Module],
    sizes: Sequence[Mapping[str, maps.Size]],
    asked: str | None,
) -> tuple[str, str]:
    """Return the layer that is asked for, or the one to look at first, and how it was chosen."""
    labels = [setting.label for setting in settings]
    both = {name: size for name, size in sizes[0].items() if all(name in other for other in sizes)}
    if not both:
        raise AblateError(f"no layer of {_both(labels)} puts out a map, or tokens that make up a square")
    if asked is None:
        chosen = [dict(setting.choices) for setting in settings]
        slots = {slot for slot, choice in chosen[0].items() if any(other.get(slot) != choice for other in chosen)}
        return maps.default(networks, both, slots=slots)
    if asked not in both:
        outer = sorted(both, key=lambda name: name.count("."))  # of a deep network not all can be listed
        raise AblateError(unknown(f"layer of {_both(labels)} that puts out a map", asked, outer))
    return asked, "as asked for"


def _one_of_each_class(targets: Any, n: int) -> list[int]:
    """Return the first image of each class, then the second of each, and so on."""
    rank: dict[int, int] = {}
    ranked = []
    for i, target in enumerate(targets.tolist()):
        rank[target] = rank.get(target, -1) + 1
        ranked.append((rank[target], target, i))
    return [i for *_, i in sorted(ranked)[:n]]
