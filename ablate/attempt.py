"""One attempt at a trial, step by step: about a second each, or an epoch where that takes longer."""

import faulthandler
import inspect
import io
import math
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ablate import build, checkpoint, cost, data, identity, seeding
from ablate.checkpoint import Checkpoint, DamagedError
from ablate.errors import AblateError, DivergedError, StudyError
from ablate.job import Job
from ablate.study import RESERVED, Choice, Cost, Metric, Recipe, Run, RunState, Setting, Study, Trial
from ablate.tasks.classification import Samples
from ablate.train import train

STEP_SECONDS = 1.0
LONGEST_STEP_SECONDS = 10.0
# A step is at least this many times longer than the writing of its checkpoint.
STEP_PER_CHECKPOINT = 100


def start() -> None:
    """Prepare this process: one thread, so that scores do not depend on how many workers there are."""
    torch.set_num_threads(1)


def device(study: Study) -> torch.device:
    """Return the device that the study trains on."""
    if study.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(study.device)


def network(job: Job, setting: Setting) -> nn.Module:
    """Build the network of a setting for the study's data."""
    images = data.load(job.study.data_of(setting))
    return build.network(job.study, setting, in_channels=images.shape[0], n_classes=images.n_classes)


def starting_network(job: Job, setting: Setting, seed: int) -> nn.Module:
    """Return the network as it is before training, on its device, channels last."""
    images = data.load(job.study.data_of(setting))
    chain = build.starts(job.study, job.plan, setting, in_channels=images.shape[0], n_classes=images.n_classes)
    return seeding.initialise(chain, seed, salt=setting.salt).to(device(job.study), memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def samples(job: Job, setting: Setting, *, held_out: bool = False) -> Samples:
    """Return the data of a setting on its device; copied there once a process."""
    return _on_device(job.study.data_of(setting), held_out, device(job.study))


@cache
def _on_device(choice: Choice, held_out: bool, where: torch.device) -> Samples:  # noqa: FBT001  # a key of the cache
    return Samples.of(data.load(choice, held_out=held_out), where)


def training(
    job: Job,
    module: nn.Module,
    trial: Trial,
    recipe: Recipe,
    *,
    saved: Checkpoint | None = None,
    few: Samples | None = None,
) -> Iterator[Any]:
    """Return the generator that trains a network, the user's own or ours, from a checkpoint if there is one."""
    given = few or samples(job, trial.setting, held_out=trial.held_out)
    resume = saved.state if saved is not None else None
    if job.training is None:
        return train(module, given, recipe, trial.seed, resume, precision=job.study.precision)
    goes_on = {"resume": resume} if resume is not None else {}
    seeding.reseed(trial.seed, "own training", "before")  # a function that draws and then returns a generator
    own = job.training(module, given, recipe, trial.seed, **goes_on)
    return _reseeding(own, trial.seed, saved.epoch if saved is not None else 0)


def _reseeding(own: Iterator[Any], seed: int, epoch: int) -> Iterator[Any]:
    """Let each epoch of a training function of the user's own draw from a stream of its own, as ours does.

    What it draws before its first epoch comes from the stream of the epoch that it begins with: a function that draws
    there, and goes on from a checkpoint, has to put the draws of that epoch on a stream of its own.
    """
    while True:
        seeding.reseed(seed, "own training", epoch)
        progress = next(own, None)
        if progress is None:
            return
        yield progress
        epoch = progress.epoch


@dataclass
class Attempt:
    """An attempt that is under way in this process."""

    job: Job
    trial: Trial
    name: str
    module: nn.Module
    generator: Iterator[Any]
    started: float
    curves: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    cost: Cost | None = None
    checkpoint_seconds: float = 0.0
    is_kept: bool = False

    def run(self, state: RunState, **more: Any) -> Run:
        """Return what is known of the attempt."""
        return Run(
            self.trial, state, {name: tuple(curve) for name, curve in self.curves.items()}, self.started, seconds=self.seconds,
            attempt=self.name, cost=self.cost, notes=tuple(self.notes), **more,
        )  # fmt: skip

    def step(self, *, keep_weights: bool) -> Run:
        """Train until a second has gone by and an epoch has ended, or until the end."""
        clock = time.perf_counter()
        before = self.seconds
        longest = min(LONGEST_STEP_SECONDS, max(STEP_SECONDS, STEP_PER_CHECKPOINT * self.checkpoint_seconds))
        last_epoch = self.job.study.recipe_of(self.trial.setting).epochs
        try:
            for progress in self.generator:
                note(progress.scores, self.curves)
                self.seconds = before + time.perf_counter() - clock
                if self.seconds - before >= longest and progress.epoch != last_epoch:
                    self._keep(progress)
                    self.seconds = before + time.perf_counter() - clock
                    return self.run(RunState.RUNNING)
            _check_untouched(samples(self.job, self.trial.setting, held_out=self.trial.held_out))
            for metric in (self.job.study.metric, *self.job.study.metrics):
                check_curve(metric, self.curves)
            weights = _weights(self.module) if keep_weights else None
        finally:
            self.seconds = before + time.perf_counter() - clock
        return self.run(RunState.COMPLETE, weights=weights)

    def _keep(self, progress: Any) -> None:
        """Write a checkpoint, if the training function yields anything to go on from.

        Raises:
            AblateError: if what it yields could not be read again.
        """
        path = checkpoint_path(self.job, self.trial)
        if path is None or not progress.state or not _can_resume(self.job.training):
            return
        clock = time.perf_counter()
        saved = Checkpoint(self.trial.identity, progress.epoch, self.curves, self.seconds, progress.state)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            checkpoint.save(path, saved)
        except OSError as error:  # a full disk must not end a training that goes well
            self._say(f"no checkpoint could be written after epoch {progress.epoch}: {error.strerror or error}")
        else:
            if self.job.training is not None and not self.is_kept:
                _check_readable(path, self.trial)
            self.is_kept = True
        self.checkpoint_seconds = time.perf_counter() - clock

    def _say(self, note_: str) -> None:
        if not any(other.startswith(note_.partition(" after epoch")[0]) for other in self.notes):
            self.notes.append(note_)


# The attempt that this process is at. A step that comes to another process goes on from the checkpoint.
_under_way: list[Attempt] = []


def advance(
    job: Job, trial: Trial, name: str, *, keep_weights: bool, costed: bool, stack: tuple[Path, float] | None = None
) -> Run:
    """Take the next step of an attempt; whatever goes wrong becomes a failed run that keeps its traceback.

    Args:
        job: the study.
        trial: what to train.
        name: of the attempt.
        keep_weights: whether the final weights are wanted.
        costed: whether the setting's cost is known already.
        stack: where this step writes its stack if it still runs after so many seconds, because it will be ended soon.

    Raises:
        StudyError: if a source file or the data have changed since the trial was planned.
    """
    start()
    began = time.time()
    try:
        if stack is not None:
            _watch(*stack)
        if not (_under_way and _under_way[0].name == name):
            _under_way.clear()
            _under_way.append(_begin(job, trial, name, costed=costed))
        run = _under_way[0].step(keep_weights=keep_weights)
    except StudyError:
        raise
    except (Exception, SystemExit):  # noqa: BLE001  # whatever a block or a training function of the user's raises
        error = traceback.format_exc()
        if _under_way and _under_way[0].name == name:
            return _under_way.pop().run(RunState.FAILED, error=error)
        return Run(trial, RunState.FAILED, started=began, seconds=time.time() - began, attempt=name, error=error)
    finally:
        faulthandler.cancel_dump_traceback_later()
    if run.state is not RunState.RUNNING:
        _under_way.clear()
    return run


def _begin(job: Job, trial: Trial, name: str, *, costed: bool) -> Attempt:
    """Start a trial, or take it up where its checkpoint has it."""
    started, clock = time.time(), time.perf_counter()
    module = starting_network(job, trial.setting, trial.seed)
    # Only now: the modules have been imported, so what they say now is what runs here.
    choice = job.study.data_of(trial.setting)
    if changed := identity.changed(trial, choice, data.fingerprint(choice, held_out=trial.held_out)):
        raise StudyError(
            [
                f"{what} changed while the study ran: start it again, and what it touches is run again"
                for what in changed
            ]
        )
    saved, notes = _saved(job, trial)
    recipe = job.study.recipe_of(trial.setting)
    generator = training(job, module, trial, recipe, saved=saved)
    attempt = Attempt(job, trial, name, module, generator, started, notes=notes)
    if not costed:
        shape = data.load(job.study.data_of(trial.setting)).shape
        attempt.cost = _cost(job, trial.setting, shape)
    if saved is not None:
        attempt.curves = {score: list(curve) for score, curve in saved.curves.items()}
        attempt.seconds = saved.seconds
        attempt.is_kept = True
    attempt.seconds += time.perf_counter() - clock
    return attempt


def _saved(job: Job, trial: Trial) -> tuple[Checkpoint | None, list[str]]:
    path = checkpoint_path(job, trial)
    if path is None:
        return None, []
    try:
        saved = checkpoint.load(path, trial.identity, device=device(job.study))
    except DamagedError as error:
        path.unlink(missing_ok=True)
        return None, [f"started again, because its checkpoint is damaged: {error}"]
    return saved, [f"went on from epoch {saved.epoch}"] if saved else []


def checkpoint_path(job: Job, trial: Trial) -> Path | None:
    """Return where an unfinished trial is kept."""
    return job.checkpoints / f"{trial.identity}.pt" if job.checkpoints is not None else None


def _can_resume(own: Callable[..., Any] | None) -> bool:
    """Tell whether a training function takes what it has yielded; one that does not would begin again anyway."""
    if own is None:
        return True
    try:
        inspect.signature(own).bind(None, None, None, None, resume=None)
    except (TypeError, ValueError):
        return False
    return True


def _check_untouched(given: Samples) -> None:
    """Refuse scores on data that the training function has changed: other trials of this process share them.

    Raises:
        AblateError: if a tensor was written to.
    """
    if any(tensor._version for tensor in vars(given).values() if isinstance(tensor, torch.Tensor)):  # noqa: SLF001
        _on_device.cache_clear()
        data.forget()
        raise AblateError(
            "the training function changed its data in place, which all trials of this process share: clone them first"
        )


def _check_readable(path: Path, trial: Trial) -> None:
    try:
        checkpoint.load(path, trial.identity, device=torch.device("cpu"))
    except DamagedError as error:
        path.unlink(missing_ok=True)
        raise AblateError(
            "the state that the training function yields cannot be kept: tensors, numbers, texts, lists, tuples and "
            f"dicts only ({error})"
        ) from None


def _watch(path: Path, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Whatever the step hangs in; faulthandler keeps the file open.
    faulthandler.dump_traceback_later(seconds, file=path.open("w", encoding="utf-8"))


def _cost(job: Job, setting: Setting, shape: tuple[int, int, int]) -> Cost:
    with torch.device("meta"):
        module = network(job, setting)
    search = job.study.design.search
    counted = Cost(cost.parameters(module), cost.macs(module, shape))
    if search is None or "latency_ms" not in search.objectives:
        return counted
    # While others train: good enough to choose by, and measured again, when all is quiet, for what is confirmed.
    trained = starting_network(job, setting, 0).eval()
    example = samples(job, setting).test_inputs[:1]
    return replace(counted, latency_ms=cost.latencies({"": trained}, example)[""])


def note(scores: Mapping[str, float], curves: dict[str, list[float]]) -> None:
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


def check_curve(metric: Metric, curves: Mapping[str, list[float]]) -> None:
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


def _weights(module: nn.Module) -> bytes:
    buffer = io.BytesIO()
    torch.save({name: tensor.cpu().contiguous() for name, tensor in module.state_dict().items()}, buffer)
    return buffer.getvalue()
