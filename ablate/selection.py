"""A search on its way: settings are proposed and judged on held-out data, then the best are confirmed on fresh seeds."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from ablate.search import Search
from ablate.study import Cost, Run, RunState, Setting, Study, Trial


@dataclass(frozen=True)
class Earlier:
    """A trial of an earlier call of the same search, as the records have it."""

    trial: Trial
    state: RunState
    curves: Mapping[str, Sequence[float]]
    cost: Cost | None
    fell_behind: bool = False

    @property
    def counts(self) -> bool:
        """Tell whether it need not be tried again."""
        return self.state in (RunState.COMPLETE, RunState.PRUNED)


@dataclass
class _Candidate:
    """A proposed setting, its seeds tried one after the other."""

    setting: Setting
    waiting: deque[Trial]
    curves: list[Sequence[float]] = field(default_factory=list)
    values: list[dict[str, float]] = field(default_factory=list)
    told: int = 0


class Selection:
    """The agenda of a search: what it asks for next depends on what has been heard.

    Args:
        study: whose design is a search.
        trial_of: gives the trial of a setting and a seed, scored on held-out data.
        earlier: trials of earlier calls.
        confirm: given the best settings, returns the trials that confirm them and have not been run yet.
    """

    def __init__(
        self,
        study: Study,
        *,
        trial_of: Callable[[Setting, int], Trial],
        earlier: Iterable[Earlier],
        confirm: Callable[[list[Setting]], Iterable[Trial]],
    ) -> None:
        if study.design.search is None:
            raise ValueError(f"the design of {study.name!r} is no search")
        self.search = Search(study)
        self.trials: list[Trial] = []
        self.n_known = 0
        self._study = study
        self._spec = study.design.search
        self._trial_of = trial_of
        self._confirm = confirm
        self._running: dict[str, _Candidate] = {}
        self._between: deque[_Candidate] = deque()
        self._confirming: deque[Trial] | None = None
        self._recall(earlier)

    def next(self) -> Trial | None:
        """Return the next trial; None while what comes next depends on trials that still run."""
        if self._confirming is None:
            candidate = self._between.popleft() if self._between else self._propose()
            if candidate is not None:
                trial = candidate.waiting.popleft()
                self._running[trial.identity] = candidate
                return trial
            if self._running:
                return None
            self._confirming = deque(self._confirm(self.search.best(self._spec.top)))
        return self._confirming.popleft() if self._confirming else None

    def is_done(self) -> bool:
        """Tell whether all that is to be confirmed has been asked for."""
        return self._confirming is not None and not self._confirming

    def heard(self, run: Run) -> bool:
        """Hear of a trial that still runs; answer whether its setting has fallen behind."""
        candidate = self._running.get(run.trial.identity)
        if candidate is None or self.search.by_seed:
            return False
        return self._report(candidate, run.curves.get(self._study.metric.name, ()))

    def ended(self, run: Run) -> bool:
        """Hear how a trial ended; answer whether its setting has fallen behind by it.

        The search is told once all seeds of the setting are known.
        """
        candidate = self._running.pop(run.trial.identity, None)
        return candidate is not None and self._note(candidate, run.state, run.curves, run.cost)

    # -- candidates ----------------------------------------------------------------------------------------------

    def _propose(self) -> _Candidate | None:
        setting = self.search.propose()
        if setting is None:
            return None
        return self._candidate(setting)

    def _candidate(self, setting: Setting) -> _Candidate:
        trials = [self._trial_of(setting, seed) for seed in self._study.seeds]
        self.trials += trials
        return _Candidate(setting, deque(trials))

    def _recall(self, earlier: Iterable[Earlier]) -> None:
        """Refill the search: settings that are known are not proposed again, those that had begun come first."""
        found: dict[str, Earlier] = {}
        for one in earlier:
            if one.trial.identity not in found or one.counts:
                found[one.trial.identity] = one
        begun = []
        for setting in dict.fromkeys(one.trial.setting for one in found.values()):
            candidate, pruned = self._candidate(setting), False
            while candidate.waiting and not pruned:
                known = found.get(candidate.waiting[0].identity)
                if known is None or not known.counts:
                    break
                values = self._objectives(known.curves, known.cost)
                if known.state is RunState.COMPLETE and values is None:
                    break  # a cost that is an objective now was not measured then
                self.n_known += 1
                candidate.waiting.popleft()
                candidate.curves.append(known.curves.get(self._study.metric.name, ()))
                candidate.values += [values] if values is not None else []
                pruned = known.state is RunState.PRUNED or known.fell_behind
            if pruned:
                self.search.recall(setting, None, self._path(candidate), pruned=True)
            elif candidate.waiting:
                begun.append(candidate)
            else:
                self.search.recall(setting, self._means(candidate), self._path(candidate))
        for candidate in begun:  # now that what they are judged by is known
            self.search.start(candidate.setting)
            for step, value in enumerate(self._path(candidate)):
                self.search.prune(candidate.setting, step, value)
            self._between.append(candidate)

    def _note(
        self, candidate: _Candidate, state: RunState, curves: Mapping[str, Sequence[float]], cost: Cost | None
    ) -> bool:
        """Note how a seed ended; answer whether the setting has fallen behind by it."""
        values = self._objectives(curves, cost) if state is RunState.COMPLETE else None
        if values is None:
            self.search.tell(candidate.setting, None, pruned=state is RunState.PRUNED)
            return False
        candidate.values.append(values)
        fell_behind = self._end_seed(candidate, curves[self._study.metric.name]) and bool(candidate.waiting)
        if fell_behind:
            self.search.tell(candidate.setting, None, pruned=True)
        elif candidate.waiting:
            self._between.append(candidate)
        else:
            self.search.tell(candidate.setting, self._means(candidate))
        return fell_behind

    def _end_seed(self, candidate: _Candidate, curve: Sequence[float]) -> bool:
        """Report a whole seed; answer whether the setting has fallen behind."""
        if self.search.by_seed:
            candidate.curves.append(curve)
            return self.search.prune(candidate.setting, len(candidate.curves) - 1, curve[-1])
        pruned = self._report(candidate, curve)
        candidate.curves.append(curve)
        candidate.told = 0
        return pruned

    def _report(self, candidate: _Candidate, curve: Sequence[float]) -> bool:
        """Report the epochs of a seed that have not been reported; steps count on over the seeds."""
        first = sum(map(len, candidate.curves))
        pruned = False
        for epoch in range(candidate.told, len(curve)):
            pruned = self.search.prune(candidate.setting, first + epoch, curve[epoch])
        candidate.told = len(curve)
        return pruned

    def _path(self, candidate: _Candidate) -> list[float]:
        """Return what was reported of a setting, step by step."""
        if self.search.by_seed:
            return [curve[-1] for curve in candidate.curves]
        return [value for curve in candidate.curves for value in curve]

    def _objectives(self, curves: Mapping[str, Sequence[float]], cost: Cost | None) -> dict[str, float] | None:
        """Return the objectives of a trial; None if one of them is not known."""
        known = {name: float(value) for name, value in vars(cost).items() if value is not None} if cost else {}
        known |= {name: curve[-1] for name, curve in curves.items() if curve}
        if any(name not in known for name in self._spec.objectives):
            return None
        return {name: known[name] for name in self._spec.objectives}

    def _means(self, candidate: _Candidate) -> dict[str, float]:
        return {name: fmean(values[name] for values in candidate.values) for name in self._spec.objectives}
