"""How far a study is, for whoever watches, and what a call of it did."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from ablate.study import Metric, Run, RunState, Trial


@dataclass(frozen=True)
class Progress:
    """How far a study is.

    Attributes:
        run: the run that just ended; None at the start.
        n_complete: trials that are complete or pruned, earlier ones included.
        n_failed: trials that failed in this call.
        n_planned: trials that the study asks for; of a search the most that it can ask for.
        best: the setting with the best mean so far, and that mean; None before there is one.
        seconds_left: estimated; None before there is anything to estimate from.
    """

    run: Run | None
    n_complete: int
    n_failed: int
    n_planned: int
    best: tuple[str, float] | None = None
    seconds_left: float | None = None


@dataclass
class Outcome:
    """What a call of `run_study` did.

    Attributes:
        runs: those that ended, retried ones included.
        is_stopped: whether it stopped because its time was over.
        n_waiting: runs that a store which is away has not taken yet; they wait on the disk.
        is_edited: whether the study file now says something else than what was run.
        n_restarted: trials that had begun earlier and started again, because their checkpoints were gone.
    """

    n_planned: int
    n_already_complete: int
    runs: list[Run] = field(default_factory=list)
    is_stopped: bool = False
    n_waiting: int = 0
    is_edited: bool = False
    n_restarted: int = 0

    @property
    def failed(self) -> list[Run]:
        """The runs that failed and for which no later attempt came through, one a trial."""
        last = {run.trial.identity: run for run in self.runs}
        return [run for run in last.values() if run.state is RunState.FAILED]


class Watch:
    """Keeps the scores that settings have so far, for whoever watches."""

    def __init__(self, metric: Metric, n_planned: int) -> None:
        self.n_earlier = 0
        self._metric = metric
        self._n_planned = n_planned
        self._failed: dict[str, bool] = {}
        self._scores: dict[tuple[str, bool], list[float]] = {}
        self._started = time.monotonic()

    def know(self, trials: Iterable[Trial], complete: Mapping[str, Mapping[str, float]]) -> None:
        """Take note of trials that earlier calls have completed, and their scores by identity."""
        self.n_earlier += len(complete)
        for trial in trials:
            if trial.identity in complete:
                self._note(trial, complete[trial.identity][self._metric.name])

    def _note(self, trial: Trial, score: float) -> None:
        self._scores.setdefault((trial.setting.label, trial.held_out), []).append(score)

    def progress(self, run: Run | None) -> Progress:
        """Return how far the study is, after a run."""
        if run is not None:
            self._failed[run.trial.identity] = run.state is RunState.FAILED
            if run.state is RunState.COMPLETE:
                self._note(run.trial, run.score(self._metric.name))
        n_ended, n_failed = len(self._failed), sum(self._failed.values())
        n_left = self._n_planned - self.n_earlier - n_ended
        elapsed = time.monotonic() - self._started
        return Progress(
            run, self.n_earlier + n_ended - n_failed, n_failed, self._n_planned,
            best=self._best(), seconds_left=elapsed / n_ended * n_left if n_ended else None,
        )  # fmt: skip

    def _best(self) -> tuple[str, float] | None:
        """Compare the settings that have the most seeds so far; what was confirmed counts before what was searched."""
        if not self._scores:
            return None
        held_out = all(held for _, held in self._scores)
        scores = {label: values for (label, held), values in self._scores.items() if held == held_out}
        most = max(map(len, scores.values()))
        means = {label: fmean(values) for label, values in scores.items() if len(values) == most}
        choose = max if self._metric.higher_is_better else min
        best = choose(means, key=lambda label: means[label])
        return best, means[best]
