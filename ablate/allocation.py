"""Seeds added one by one: which trials come next follows from the scores so far, whatever order they came in."""

from collections import deque
from collections.abc import Callable, Mapping

from ablate.design import Plan
from ablate.study import Run, RunState, Setting, Study, Trial


class Allocation:
    """The agenda of a study with adaptive seeds: a round of trials, a look at all scores, the next round.

    Args:
        study: with its rule.
        plan: its settings.
        trial_of: gives the trial of a setting and a seed.
        known: the scores of trials that are complete already, by identity; they are not run again, and as the rule looks
            at nothing but scores, a study that was interrupted asks for what it would have asked for.
    """

    def __init__(
        self, study: Study, plan: Plan, *, trial_of: Callable[[Setting, int], Trial], known: Mapping[str, float]
    ) -> None:
        if study.adaptive is None:
            raise ValueError(f"the seeds of {study.name!r} are fixed")
        self.trials: list[Trial] = []
        self._study = study
        self._rule = study.adaptive
        self._plan = plan
        self._trial_of = trial_of
        self._known = known
        self._settings = {setting.label: setting for setting in plan.settings}
        self._scores: dict[str, list[float]] = {label: [float("nan")] * len(study.seeds) for label in self._settings}
        self._failed: set[str] = set()
        self._waiting: deque[Trial] = deque()
        self._running: set[str] = set()
        self._is_over = False
        self._go_on()

    @property
    def most(self) -> int:
        """How many trials there can be."""
        all_ = len(self._settings) * len(self._study.seeds)
        return all_ if self._rule.max_runs is None else min(all_, self._rule.max_runs)

    def next(self) -> Trial | None:
        """Return the next trial of the round; None while others of it still run."""
        if not self._waiting:
            return None
        trial = self._waiting.popleft()
        self._running.add(trial.identity)
        return trial

    def is_done(self) -> bool:
        """Tell whether all that is to be run has been asked for."""
        return self._is_over and not self._waiting

    def heard(self, _: Run) -> bool:
        """Stop nothing on its way."""
        return False

    def ended(self, run: Run) -> bool:
        """Hear how a trial ended; after the last of a round, look."""
        self._running.discard(run.trial.identity)
        if run.state is RunState.COMPLETE:
            self._note(run.trial, run.score(self._study.metric.name))
        else:
            self._failed.add(run.trial.setting.label)
        self._go_on()
        return False

    def _note(self, trial: Trial, score: float) -> None:
        self._scores[trial.setting.label][self._study.seeds.index(trial.seed)] = score

    def _go_on(self) -> None:
        """Ask for the next round, once this one has ended; rounds that are known already are passed."""
        while not (self._waiting or self._running or self._is_over):
            cells = self._wanted()
            self._is_over = not cells
            for label, position in cells:
                trial = self._trial_of(self._settings[label], self._study.seeds[position])
                self.trials.append(trial)
                if trial.identity in self._known:
                    self._note(trial, self._known[trial.identity])
                else:
                    self._waiting.append(trial)

    def _wanted(self) -> list[tuple[str, int]]:
        """Return the settings and the positions of the seeds that come next."""
        if not self.trials:
            return [(label, i) for i in range(self._rule.first) for label in self._settings]
        from reports.sequential import Looks, Rule, matrix, wanted  # noqa: PLC0415  # a second, in which others train

        # The second of an A/A pair beside its first is a check, and no comparison.
        checks = {(second, first) for first, second in self._plan.calibration}
        rule = Rule(
            Looks(self._rule.first, len(self._study.seeds)),
            tuple(pair for pair in self._plan.against.items() if pair not in checks),
            until=self._rule.until,
            twins=self._plan.calibration,
            higher_is_better=self._study.metric.higher_is_better,
            max_runs=self._rule.max_runs,
        )
        return wanted(matrix(self._scores), rule, failed=self._failed)
