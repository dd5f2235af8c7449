"""What a trained setting looks at, beside the reference on the same images."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ablate import build, data, design, reporting
from ablate.errors import StoreError
from ablate.job import Job
from ablate.place import Place
from ablate.study import Setting, Study
from ablate.tasks.classification import Samples, evaluate
from ablate.tracking.weights import weights
from blocks.catalogue import unknown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ablate.tracking import Records

SMALLEST_MAP, USUAL_MAP = 2, 4  # pixels a side: below the first nothing is to be seen, below the second not much
TOLERANCE = 1e-6  # of a score that is computed again from the same weights
CELL = 1.05  # inches of one map
Map = Tensor  # (image, height, width)


@dataclass(frozen=True)
class Seen:
    """What one trained network makes of some images.

    Attributes:
        label: of the setting.
        layer: the module whose maps these are.
        energy: root mean square over the channels of that layer, (image, height, width).
        cam: Grad-CAM of the predicted class at that layer, ≥ 0.
        gain: of the last module that the other network has not, output over input, per pixel; None where it keeps no map.
        gain_layer: that module's name.
        predicted: the class of each image.
        score: of the run on the whole test part, as it was recorded.
    """

    label: str
    layer: str
    energy: Map
    cam: Map
    predicted: Tensor
    score: float
    gain: Map | None = None
    gain_layer: str = ""


def show(
    place: Place, name: str, label: str, *, seed: int | None = None, n_images: int = 6, layer: str | None = None
) -> bytes:
    """Return a PNG: images, and what the reference and a setting see in them.

    Args:
        place: where the records are.
        name: of the study.
        label: of the setting.
        seed: of the runs; without it the first whose weights are kept.
        n_images: the first test image of each class, then the second, and so on.
        layer: the module whose maps are shown; without it the last that has a map of some size.

    Raises:
        StoreError: if there is no such study or setting, no complete run with its weights, no such layer, or the
            weights do not give the recorded score.
    """
    records = reporting.open_records(place, name)
    study, planned, (frame, _) = records.study(), records.plan(), records.frame()
    if label not in planned["settings"]:
        raise StoreError(unknown(f"setting of {name!r}", label, planned["settings"]))
    labels = list(dict.fromkeys((planned["reference"], label)))
    chosen = _seed(records, frame, labels, seed)
    settings = {one: _setting(study, planned, one) for one in labels}
    images = {one: data.load(study.data_of(setting)) for one, setting in settings.items()}
    networks = {one: _trained(records, study, settings[one], _run(frame, one, chosen), images[one]) for one in labels}
    indices = _one_of_each_class(images[labels[-1]].test_targets, n_images)
    inputs = torch.from_numpy(images[labels[-1]].test_inputs[indices])
    seen = [_seen(one, networks, inputs, layer, _score(study, frame, one, chosen)) for one in labels]
    return _png(_grid(study, seen, inputs, images[labels[-1]].test_targets[indices], chosen))


# -- the networks ------------------------------------------------------------------------------------------------


def _seed(records: "Records", frame: "pd.DataFrame", labels: Sequence[str], asked: int | None) -> int:
    """Return a seed on which all settings have a complete run with its weights."""
    complete = frame[frame["state"] == "complete"]
    for label in labels:
        mine = complete[complete["setting"] == label]
        if mine.empty:
            states = frame[frame["setting"] == label]["state"].tolist()
            raise StoreError(f"setting {label!r} has no complete run ({', '.join(states) or 'none has begun'})")
    shared = sorted(set.intersection(*(set(complete[complete["setting"] == label]["seed"]) for label in labels)))
    if asked is not None and asked not in shared:
        raise StoreError(
            f"seed {asked}: not all of {', '.join(map(repr, labels))} are complete on it (known: {shared})"
        )
    for seed in [asked] if asked is not None else shared:
        if all(weights(records.place, _run(frame, label, seed)) is not None for label in labels):
            return int(seed)
    where = f"seed {asked}" if asked is not None else "any seed"
    raise StoreError(
        f"the weights of {' and '.join(map(repr, labels))} are not kept on {where}: by default they are of the first seed; "
        "`keep: weights` in the study file keeps all, for runs that are still to come"
    )


def _run(frame: "pd.DataFrame", label: str, seed: int) -> str:
    rows = frame[(frame["setting"] == label) & (frame["seed"] == seed) & (frame["state"] == "complete")]
    return str(rows["run_id"].iloc[0])


def _score(study: Study, frame: "pd.DataFrame", label: str, seed: int) -> float:
    rows = frame[(frame["setting"] == label) & (frame["seed"] == seed) & (frame["state"] == "complete")]
    return float(rows[study.metric.name].iloc[0])


def _setting(study: Study, planned: Mapping[str, Any], label: str) -> Setting:
    """Return a planned setting by its label: one of other widths, or an A/A twin, has the choices of another."""
    if study.match is not None:
        from ablate.worker import matched  # noqa: PLC0415  # what few studies need

        return next(one for one in matched(Job(study, design.plan(study))).settings if one.label == label)
    found = study.setting_of(planned["settings"][label])
    if found is None:
        raise StoreError(f"setting {label!r} is not what the study file says now: run the study again")
    return replace(found, label=label)


def _trained(records: "Records", study: Study, setting: Setting, run_id: str, images: data.Images) -> nn.Module:
    """Return the network of a run with its final weights, which must give the score that was recorded."""
    network: nn.Module = build.network(study, setting, in_channels=images.shape[0], n_classes=images.n_classes)
    content = weights(records.place, run_id)
    if content is None:
        raise StoreError(f"the weights of {setting.label!r} are not kept")
    try:
        network.load_state_dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    except RuntimeError as error:
        raise StoreError(
            f"the weights of {setting.label!r} do not fit its network any more: {str(error).splitlines()[0]}"
        ) from error
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.eval()
    rows, _ = records.frame()
    row = rows[rows["run_id"] == run_id].iloc[0]
    for name, value in evaluate(network, Samples.of(images, torch.device("cpu"))).items():
        if name == study.metric.name and abs(value - float(row[name])) > TOLERANCE + 1e-3 * (study.device != "cpu"):
            raise StoreError(
                f"setting {setting.label!r}: its weights give {name} {value:.6g} now, and {float(row[name]):.6g} is recorded: "
                "a block's source code or the data have changed since; run the study again"
            )
    return network


def _one_of_each_class(targets: Any, n: int) -> list[int]:
    """Return the first test image of each class, then the second of each, and so on."""
    seen: dict[int, int] = {}
    ranked = []
    for i, target in enumerate(targets.tolist()):
        seen[target] = seen.get(target, -1) + 1
        ranked.append((seen[target], target, i))
        if len(ranked) >= 1000:
            break
    return [i for *_, i in sorted(ranked)[:n]]


# -- what they see -----------------------------------------------------------------------------------------------


def _seen(label: str, networks: Mapping[str, nn.Module], inputs: Tensor, layer: str | None, score: float) -> Seen:
    network = networks[label]
    others = [other for name, other in networks.items() if name != label]
    maps = dict(_maps(network, inputs))
    large = [one for one, side in maps.items() if side >= USUAL_MAP] or list(maps)
    if layer is not None and layer not in maps:
        raise StoreError(f"{unknown(f'layer of {label!r} that has a map', layer, maps)}")
    if not maps:
        raise StoreError(f"no layer of {label!r} has a map of {SMALLEST_MAP} × {SMALLEST_MAP} pixels or more")
    name = layer or large[-1]
    kept: dict[str, Tensor] = {}
    own = _own(network, others[0]) if others else []
    block = next((one for one in reversed(large) if one in own), "")

    def keep(into: str) -> Any:
        def hook(_: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
            kept[into], kept[f"{into} before"] = made, given[0]

        return hook

    modules = dict(network.named_modules())
    handles = [modules[name].register_forward_hook(keep("map"))]
    handles += [modules[block].register_forward_hook(keep("block"))] if block else []
    logits = network(inputs.contiguous(memory_format=torch.channels_last))
    for handle in handles:
        handle.remove()
    predicted = logits.argmax(1)
    (slope,) = torch.autograd.grad(logits.gather(1, predicted[:, None]).sum(), kept["map"])
    with torch.no_grad():
        features, gradient = _channels_first(kept["map"]), _channels_first(slope)
        cam = (features * gradient.mean((2, 3), keepdim=True)).sum(1).relu()
        gain = None
        if block:
            before, after = _channels_first(kept["block before"]), _channels_first(kept["block"])
            if before.shape[2:] == after.shape[2:]:
                gain = _energy(after) / _energy(before).clamp_min(1e-12)
        return Seen(label, name, _energy(features), cam, predicted, score, gain, block if gain is not None else "")


def _maps(network: nn.Module, inputs: Tensor) -> Iterator[tuple[str, int]]:
    """Yield the modules whose output is a map with its smaller side in pixels, in the order in which they end."""
    order: dict[str, int] = {}

    def noting(name: str) -> Any:
        def hook(_: nn.Module, __: object, made: object) -> None:
            if _side(made) >= SMALLEST_MAP:
                order.setdefault(name, _side(made))

        return hook

    handles = [module.register_forward_hook(noting(name)) for name, module in network.named_modules() if name]
    with torch.no_grad():
        network(inputs[:1])
    for handle in handles:
        handle.remove()
    yield from order.items()


def _side(made: object) -> int:
    """Return the smaller side of a map; 0 for what is none."""
    if not isinstance(made, Tensor) or made.dim() not in (3, 4):
        return 0
    folded = _channels_first(made)
    return min(folded.shape[2:]) if folded.dim() == 4 else 0


def _channels_first(made: Tensor) -> Tensor:
    """Return a map as (image, channel, height, width), from tokens or channels last; else what is given."""
    if made.dim() == 3:  # (image, token, channel), perhaps with a class token first
        for skipped in (0, 1):
            side = round((made.shape[1] - skipped) ** 0.5)
            if side > 1 and side * side == made.shape[1] - skipped:
                return made[:, skipped:].transpose(1, 2).reshape(made.shape[0], made.shape[2], side, side)
        return made
    return made.permute(0, 3, 1, 2) if made.shape[1] == made.shape[2] != made.shape[3] else made


def _energy(features: Tensor) -> Tensor:
    return features.square().mean(1).sqrt()


def _own(network: nn.Module, other: nn.Module) -> list[str]:
    """Return the modules that do something and are of another kind in the other network, or not there."""
    theirs = {name: type(module) for name, module in other.named_modules()}
    return [
        name
        for name, module in network.named_modules()
        if name and not isinstance(module, nn.Identity) and theirs.get(name) is not type(module)
    ]


# -- the picture -------------------------------------------------------------------------------------------------


def _grid(study: Study, seen: Sequence[Seen], inputs: Tensor, targets: Any, seed: int) -> "Figure":
    from reports.figures.drawing import blank, fitted, settled  # noqa: PLC0415  # matplotlib takes a second

    columns: list[tuple[str, Sequence[Tensor], str]] = []
    tops = {what: max(float(getattr(one, what).max()) for one in seen) for what in ("energy", "cam")}
    for one in seen:
        columns.append((f"{one.label}\nactivation", list(one.energy), "energy"))
        columns.append((f"{one.label}\nGrad-CAM", list(one.cam), "cam"))
        if one.gain is not None:
            columns.append((f"{one.label}\nwhat the block does", list(one.gain), "gain"))
    height, width = inputs.shape[2:]
    with settled():
        figure = blank(CELL * (len(columns) + 1) + 0.3, CELL * len(inputs) + 0.9)
        panels = figure.subplots(len(inputs), len(columns) + 1, squeeze=False)
        for row, axes in enumerate(panels):
            picture = inputs[row].permute(1, 2, 0).numpy()
            picture = (picture - picture.min()) / max(float(picture.max() - picture.min()), 1e-12)
            axes[0].imshow(
                picture.squeeze(-1) if picture.shape[2] == 1 else picture[..., :3], cmap="gray", interpolation="nearest"
            )
            axes[0].set_ylabel(f"class {int(targets[row])}", fontsize=6.5)
            for panel, (title, maps, what) in zip(axes[1:], columns, strict=True):
                limits = {"vmin": 0.0, "vmax": tops[what] or 1.0} if what in tops else {"vmin": 0.0, "vmax": 2.0}
                colours = "cividis" if what in tops else "PuOr_r"
                panel.imshow(
                    maps[row].numpy(), cmap=colours, extent=(0, width, height, 0), interpolation="nearest", **limits
                )
                if row == 0:
                    lines = title.split("\n")
                    panel.set_title("\n".join([*fitted(lines[:1], 72 * CELL, 6.5), *lines[1:]]), fontsize=6.5)
        for panel in panels.flat:
            panel.set_xticks([])
            panel.set_yticks([])
            panel.grid(visible=False)
        for one, at in zip(seen, _starts(seen), strict=True):
            for row, panel in enumerate(panels[:, at]):
                right = int(one.predicted[row]) == int(targets[row])
                panel.set_xlabel(f"{int(one.predicted[row])} {'✓' if right else '✗'}", fontsize=6.5, labelpad=1)
        panels[0][0].set_title("image", fontsize=6.5)
        figure.supxlabel(_below(study, seen, seed), fontsize=6.2, x=0.01, ha="left", wrap=True)
    return figure


def _starts(seen: Sequence[Seen]) -> Iterator[int]:
    at = 1
    for one in seen:
        yield at
        at += 2 + (one.gain is not None)


def _below(study: Study, seen: Sequence[Seen], seed: int) -> str:
    scores = ", ".join(f"{one.label} {one.score:.4g}" for one in seen)
    gains = [f"{one.gain_layer} of {one.label}" for one in seen if one.gain is not None]
    layers = ", ".join(dict.fromkeys(one.layer for one in seen))
    said = [
        f"{study.name}, seed {seed}: {study.metric.name} {scores}. Layer {layers}. Under each pair: the class predicted.",
        "Activation: root mean square over channels. Grad-CAM (Selvaraju et al., 2017): what spoke for that class.",
        "Each in one scale for all settings: blue is low, yellow high.",
    ]
    if gains:
        said.append(f"What the block does: output over input at {', '.join(gains)}, 1 in the middle, 0 to 2.")
    return "\n".join(said)


def _png(figure: "Figure") -> bytes:
    from reports.figures.drawing import settled  # noqa: PLC0415  # matplotlib takes a second

    target = io.BytesIO()
    with settled():
        figure.savefig(target, format="png", dpi=200, metadata={"Software": None})
    return target.getvalue()


def default_path(place: Place, name: str, label: str) -> Path:
    """Return where the picture of a setting goes."""
    slug = "".join(character if character.isalnum() or character in "-_=.,()" else "-" for character in label)
    return place.folder_of(name) / "show" / f"{slug[:120]}.png"
