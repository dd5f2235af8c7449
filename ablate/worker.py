"""What runs in a worker process: everything here takes values and returns values, and nothing here records."""

import math
import os
import platform
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import nn
from torch.optim import SGD

from ablate import audit, build, cost, data, matching
from ablate.attempt import advance, device, network, note, samples, start, starting_network, training
from ablate.design import Plan
from ablate.errors import AblateError
from ablate.job import Examination, Inspection, Job
from ablate.study import Cost, Setting, Study, Trial
from ablate.tasks.classification import Samples
from ablate.train import train

__all__ = ["advance", "examine", "inspect", "latencies", "matched", "prepare", "probe", "smoke"]

EXAMINED_IMAGES = 4


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
                module = network(job, setting)
            costs[setting.label] = Cost(cost.parameters(module), cost.macs(module, shape))
            alike = (build.signature(module), study.recipe_of(setting), study.data_of(setting))
            candidates.setdefault(alike, []).append(setting)
        except (ValueError, RuntimeError, AblateError) as error:
            problems.append(f"setting {setting.label!r} cannot be built: {error}")
    for settings in candidates.values():
        problems += _inert(job, settings) if len(settings) > 1 else ()
    problems += [
        f"calibration: {first!r} and {second!r} are not of one size ({costs[first].params:,} and "
        f"{costs[second].params:,} parameters): they cannot compute the same function"
        for first, second in job.plan.calibration
        if {first, second} <= costs.keys() and costs[first].params != costs[second].params
    ]
    if not _available(device(study)):
        problems.append(f"device: {study.device!r} is asked for, but torch {torch.__version__} finds no such device")
    return Inspection(tuple(problems), costs, hardware(study) if not problems else "")


def _inert(job: Job, settings: Sequence[Setting]) -> Iterator[str]:
    """Name the settings of one signature that compute the same network."""
    shape = data.load(job.study.data_of(settings[0])).shape
    try:
        pairs = build.inert_pairs({setting.label: partial(network, job, setting) for setting in settings}, shape)
    except (ValueError, RuntimeError) as error:
        labels = ", ".join(repr(setting.label) for setting in settings)
        yield f"one of the settings {labels} fails on a batch of shape {(build.PROBE_BATCH, *shape)}: {error}"
        return
    for first, second in pairs:
        if {(first, second), (second, first)} & set(job.plan.calibration):
            continue  # meant
        yield (
            f"settings {first!r} and {second!r} compute the same network, if need be with their channels in another "
            "order: an ablation that changes nothing; leave one of them out"
        )


def matched(job: Job) -> Plan:
    """Return the plan with its settings as large as the reference, beside themselves as they are where asked."""
    start()
    study, plan = job.study, job.plan
    images = data.load(study.data_of(plan.reference))
    found = matching.match(
        study, plan, in_channels=images.shape[0], n_classes=images.n_classes, shape=images.shape
    )  # fmt: skip
    both = study.match is not None and study.match.show == "both"
    firsts = {} if both else {second: first for first, second in plan.calibration}
    settings: list[Setting] = []
    against = dict(plan.against)
    for setting in plan.settings:
        # The twin of a setting stays its twin.
        of = firsts.get(setting.label, setting.label)
        if of in found and not (setting.salt and both):
            width = [choice for choice in found[of].setting.choices if choice[0] not in setting]
            one = replace(setting, choices=(*setting.choices, *width))
            if both and width:
                one = replace(one, label=f"{setting.label}, matched")
                against[one.label] = against[setting.label]
                settings.append(setting)
            settings.append(one)
        else:
            settings.append(setting)
    remarks = tuple(matching.sentences(found, study.match.by)) if study.match else ()
    return replace(plan, settings=tuple(settings), against=against, remarks=(*plan.remarks, *remarks))


def examine(job: Job, settings: Iterable[Setting]) -> dict[str, Examination]:
    """Look at the network of each setting as it starts, on a few training images, by label."""
    start()
    found = {}
    for setting in settings:
        images = samples(job, setting).train_inputs[:EXAMINED_IMAGES]
        try:
            one = audit.audit(starting_network(job, setting, job.study.seeds[0]), images)
        except (ValueError, RuntimeError) as error:  # a block of the user's that takes no doubles, or no CPU
            why = str(error).strip().partition("\n")[0]
            found[setting.label] = Examination((f"{setting.label!r} could not be examined: {why}",))
        else:
            found[setting.label] = Examination(tuple(audit.notes(setting.label, one)), one.scale, one.logits)
    return found


def prepare(job: Job) -> None:
    """Have torch and the data ready before the first trial comes."""
    start()
    SGD([nn.Parameter(torch.zeros(1))])  # the first optimizer of a process makes torch import for a second
    samples(job, job.plan.reference)


def latencies(job: Job, settings: Iterable[Setting]) -> dict[str, float]:
    """Time one forward pass of one input of each setting, in milliseconds."""
    start()
    networks = {setting.label: starting_network(job, setting, job.study.seeds[0]).eval() for setting in settings}
    example = samples(job, job.plan.reference).test_inputs[:1]
    return cost.latencies(networks, example)


def smoke(job: Job, setting: Setting) -> str:
    """Train one step of a setting and score it; return what went wrong, empty if nothing did."""
    start()
    recipe = replace(job.study.recipe_of(setting), epochs=1, warmup=0)
    few = _first(samples(job, setting), recipe.batch)
    try:
        module = starting_network(job, setting, job.study.seeds[0])
        curves: dict[str, list[float]] = {}
        for progress in training(job, module, Trial(setting, job.study.seeds[0], ""), recipe, few=few):
            note(progress.scores, curves)
    except (Exception, SystemExit):  # noqa: BLE001  # whatever a block raises is the answer
        return traceback.format_exc()
    return ""


def probe(job: Job, setting: Setting) -> float:
    """Estimate the seconds of one trial of a setting from a few timed steps and one timed evaluation."""
    start()
    recipe, whole = job.study.recipe_of(setting), samples(job, setting)
    n_train, n_test = len(whole.train_targets), len(whole.test_targets)
    few_train, few_test = min(n_train, 4 * recipe.batch), min(n_test, 500)
    few = _first(whole, few_train, few_test)
    one_step = _first(whole, min(n_train, recipe.batch), few_test)
    module = starting_network(job, setting, job.study.seeds[0])
    brief = replace(recipe, epochs=1, warmup=0)
    seconds = []
    for part in (few, one_step, few, one_step):  # the first two warm up
        clock = time.perf_counter()
        for _ in train(module, part, brief, 0, precision=job.study.precision):
            pass
        seconds.append(time.perf_counter() - clock)
    several, one = seconds[2:]
    steps = math.ceil(few_train / recipe.batch)
    step = (several - one) / max(1, steps - 1) if steps > 1 else one
    evaluation = max(0.0, one - step) * n_test / few_test
    return recipe.epochs * (max(step, 0.0) * math.ceil(n_train / recipe.batch) + evaluation)


def _first(given: Samples, n_train: int, n_test: int = 100) -> Samples:
    return Samples(
        given.train_inputs[:n_train], given.train_targets[:n_train],
        given.test_inputs[:n_test], given.test_targets[:n_test], given.n_classes,
    )  # fmt: skip
