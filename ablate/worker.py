"""What runs in a worker process: everything here takes values and returns values, and nothing here records."""

import io
import math
import os
import platform
import re
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import torch
from torch import nn
from torch.optim import SGD

from ablate import build, cost, data, seeding
from ablate.design import Inspection, Job
from ablate.errors import AblateError, DivergedError
from ablate.study import RESERVED, Choice, Cost, Metric, Recipe, Run, RunState, Setting, Study, Trial
from ablate.tasks.classification import Samples
from ablate.train import train


def start() -> None:
    """Prepare this process: one thread, so that scores do not depend on how many workers there are."""
    torch.set_num_threads(1)


def device(study: Study) -> torch.device:
    """Return the device that the study trains on."""
    if study.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(study.device)


def _available(where: torch.device) -> bool:
    if where.type == "cuda":
        return (where.index or 0) < torch.cuda.device_count()
    return where.type != "mps" or torch.backends.mps.is_available()


def hardware(study: Study) -> str:
    """Name the device in words."""
    where = device(study)
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    return f"{platform.machine()} CPU, {os.cpu_count()} cores, 1 thread a trial"


def inspect(job: Job) -> Inspection:
    """Build every setting, count its cost, and find settings that compute the same network."""
    start()
    study = job.study
    problems: list[str] = []
    costs: dict[str, Cost] = {}
    candidates: dict[object, list[Setting]] = {}
    for setting in job.plan.settings:
        try:
            shape = data.load(study.data_of(setting)).shape
            with torch.device("meta"):
                network = _network(job, setting)
            costs[setting.label] = Cost(cost.parameters(network), cost.macs(network, shape))
            alike = (build.signature(network), study.recipe_of(setting), study.data_of(setting))
            candidates.setdefault(alike, []).append(setting)
        except (ValueError, RuntimeError, AblateError) as error:
            problems.append(f"setting {setting.label!r} cannot be built: {error}")
    for settings in candidates.values():
        problems += _inert(job, settings) if len(settings) > 1 else ()
    if not _available(device(study)):
        problems.append(f"device: {study.device!r} is asked for, but torch {torch.__version__} finds no such device")
    return Inspection(tuple(problems), costs, hardware(study) if not problems else "")


def _inert(job: Job, settings: Sequence[Setting]) -> Iterator[str]:
    """Name the settings of one signature that compute the same network."""
    shape = data.load(job.study.data_of(settings[0])).shape
    try:
        pairs = build.inert_pairs({setting.label: partial(_network, job, setting) for setting in settings}, shape)
    except (ValueError, RuntimeError) as error:
        labels = ", ".join(repr(setting.label) for setting in settings)
        yield f"one of the settings {labels} fails on a batch of shape {(build.PROBE_BATCH, *shape)}: {error}"
        return
    for first, second in pairs:
        yield (
            f"settings {first!r} and {second!r} compute the same network: an ablation that changes nothing; "
            "leave one of them out"
        )


def prepare(job: Job) -> None:
    """Have torch and the data ready before the first trial comes."""
    start()
    SGD([nn.Parameter(torch.zeros(1))])  # the first optimizer of a process makes torch import for a second
    _samples(job, job.plan.reference)


def execute(job: Job, trial: Trial, *, keep_weights: bool) -> Run:
    """Train one trial; whatever goes wrong becomes a failed run that keeps its traceback."""
    start()
    started, clock = time.time(), time.perf_counter()
    curves: dict[str, list[float]] = {}
    try:
        network = _start(job, trial.setting, trial.seed)
        for progress in _training(job, network, trial, job.study.recipe_of(trial.setting)):
            _note(progress.scores, curves)
        for metric in (job.study.metric, *job.study.metrics):
            _check_curve(metric, curves)
        weights = _weights(network) if keep_weights else None
    except (Exception, SystemExit):  # noqa: BLE001  # whatever a block or a training function of the user's raises
        error = traceback.format_exc()
        return Run(trial, RunState.FAILED, curves, started, time.perf_counter() - clock, error)
    return Run(trial, RunState.COMPLETE, curves, started, time.perf_counter() - clock, weights=weights)


def latencies(job: Job, settings: Iterable[Setting]) -> dict[str, float]:
    """Time one forward pass of one input of each setting, in milliseconds."""
    start()
    networks = {setting.label: _start(job, setting, job.study.seeds[0]).eval() for setting in settings}
    example = _samples(job, job.plan.reference).test_inputs[:1]
    return cost.latencies(networks, example)


def smoke(job: Job, setting: Setting) -> str:
    """Train one step of a setting and score it; return what went wrong, empty if nothing did."""
    start()
    recipe = replace(job.study.recipe_of(setting), epochs=1, warmup=0)
    few = _first(_samples(job, setting), recipe.batch)
    try:
        network = _start(job, setting, job.study.seeds[0])
        curves: dict[str, list[float]] = {}
        for progress in _training(job, network, Trial(setting, job.study.seeds[0], ""), recipe, few):
            _note(progress.scores, curves)
    except (Exception, SystemExit):  # noqa: BLE001  # whatever a block raises is the answer
        return traceback.format_exc()
    return ""


def probe(job: Job, setting: Setting) -> float:
    """Estimate the seconds of one trial of a setting from a few timed steps and one timed evaluation."""
    start()
    recipe, samples = job.study.recipe_of(setting), _samples(job, setting)
    n_train, n_test = len(samples.train_targets), len(samples.test_targets)
    few_train, few_test = min(n_train, 4 * recipe.batch), min(n_test, 500)
    few = _first(samples, few_train, few_test)
    one_step = _first(samples, min(n_train, recipe.batch), few_test)
    network = _start(job, setting, job.study.seeds[0])
    brief = replace(recipe, epochs=1, warmup=0)
    seconds = []
    for part in (few, one_step, few, one_step):  # the first two warm up
        clock = time.perf_counter()
        for _ in train(network, part, brief, 0, precision=job.study.precision):
            pass
        seconds.append(time.perf_counter() - clock)
    several, one = seconds[2:]
    steps = math.ceil(few_train / recipe.batch)
    step = (several - one) / max(1, steps - 1) if steps > 1 else one
    evaluation = max(0.0, one - step) * n_test / few_test
    return recipe.epochs * (max(step, 0.0) * math.ceil(n_train / recipe.batch) + evaluation)


def _network(job: Job, setting: Setting) -> nn.Module:
    images = data.load(job.study.data_of(setting))
    return build.network(job.study, setting, in_channels=images.shape[0], n_classes=images.n_classes)


def _start(job: Job, setting: Setting, seed: int) -> nn.Module:
    """Return the network as it is before training, on its device, channels last."""
    images = data.load(job.study.data_of(setting))
    chain = build.starts(job.study, job.plan, setting, in_channels=images.shape[0], n_classes=images.n_classes)
    return seeding.initialise(chain, seed).to(device(job.study), memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _training(
    job: Job, network: nn.Module, trial: Trial, recipe: Recipe, samples: Samples | None = None
) -> Iterator[Any]:
    samples = samples or _samples(job, trial.setting)
    if job.training is not None:
        seeding.reseed(trial.seed, "own training")
        return job.training(network, samples, recipe, trial.seed)
    return train(network, samples, recipe, trial.seed, precision=job.study.precision)


def _note(scores: Mapping[str, float], curves: dict[str, list[float]]) -> None:
    """Add an epoch's scores to the curves.

    Raises:
        AblateError: if a score's name cannot be recorded, or an epoch has other scores than the one before.
        DivergedError: if a score is not finite.
    """
    if curves and set(scores) != set(curves):
        raise AblateError(f"every epoch yields the same scores: first {', '.join(curves)}; then {', '.join(scores)}")
    for name, value in scores.items():
        if name in RESERVED or not re.fullmatch(r"\w[\w .:-]{0,199}", name) or name.startswith("slot."):
            known = ", ".join(RESERVED)
            raise AblateError(
                f"a score cannot be called {name!r}: letters, digits and _-.: only, and not {known}, slot.*"
            )
        if not math.isfinite(value):
            epoch = len(curves.get(name, ())) + 1
            raise DivergedError(f"the score {name!r} became {value} in epoch {epoch}")
        curves.setdefault(name, []).append(float(value))


def _check_curve(metric: Metric, curves: Mapping[str, list[float]]) -> None:
    """Refuse a trial without a score that the study asks for, or with one that cannot be what it is said to be.

    Raises:
        AblateError: saying what was yielded.
    """
    if metric.name not in curves:
        known = ", ".join(curves) or "none at all"
        raise AblateError(f"the training yielded no score {metric.name!r} (yielded: {known})")
    last = curves[metric.name][-1]
    if metric.unit == "fraction" and not 0 <= last <= 1:
        raise AblateError(f"the score {metric.name!r} is {last}; it is a fraction from 0 to 1, not a percentage")


def _samples(job: Job, setting: Setting) -> Samples:
    return _on_device(job.study.data_of(setting), device(job.study))


@cache
def _on_device(choice: Choice, where: torch.device) -> Samples:
    return Samples.of(data.load(choice), where)


def _first(samples: Samples, n_train: int, n_test: int = 100) -> Samples:
    return Samples(
        samples.train_inputs[:n_train], samples.train_targets[:n_train],
        samples.test_inputs[:n_test], samples.test_targets[:n_test], samples.n_classes,
    )  # fmt: skip


def _weights(network: nn.Module) -> bytes:
    buffer = io.BytesIO()
    torch.save({name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}, buffer)
    return buffer.getvalue()
