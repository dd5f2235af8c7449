"""Settings as Optuna sees them: an Optuna trial is a setting, its value the mean over the setting's seeds."""

import math
import random
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ablate.errors import AblateError
from ablate.study import Choice, RunState, Setting, Slot, Study
from ablate.study import Search as Rule
from blocks.catalogue import unknown

MOST_REPEATS = 5  # proposals of known settings in a row, after which a new one is drawn at random
FEWEST_FOR_IMPORTANCES = 10  # complete settings; fewer say nothing about several slots


class Search:
    """Settings proposed by Optuna, one at a time, none of them twice; the first is the reference.

    The same answers lead to the same proposals. Optuna knows only what it is told here: the record of a study is
    elsewhere, and `recall` refills from it.

    Attributes:
        by_seed: whether `prune` wants one score a seed, the seed's place being the step; otherwise one score an epoch,
            the step counting the epochs of all seeds.
    """

    def __init__(self, study: Study) -> None:
        rule = study.design.search or Rule()
        self.by_seed = rule.prune == "wilcoxon"
        self._study = study
        self._rule = rule
        self._directions = _directions(study)
        self._random = random.Random(0)  # noqa: S311  # it draws settings, not secrets
        self._most = sum(1 for _ in islice(_every_setting(study, self._random), rule.settings))
        self._optuna = _create(study, sampler=_sampler(rule), pruner=_pruner(rule, study))
        self._trials: dict[Setting, optuna.Trial] = {}
        self._values: dict[Setting, dict[str, float]] = {}
        self._reported: set[tuple[Setting, int]] = set()

    def propose(self) -> Setting | None:
        """Return the next setting to train; None when there are as many as the study asks for, or no other exists."""
        if len(self._trials) >= self._most:
            return None
        if self._study.reference not in self._trials:
            return self.start(self._study.reference)
        for _ in range(MOST_REPEATS):
            trial = self._optuna.ask()
            setting = self._suggested(trial)
            if setting not in self._trials:
                self._trials[setting] = trial
                return setting
            # Told a score once more, a sampler turns elsewhere; where there is none yet, the repetition has failed.
            self._end(trial, self._values.get(setting))
        return self.start(next(s for s in _every_setting(self._study, self._random) if s not in self._trials))

    def start(self, setting: Setting) -> Setting:
        """Let a setting count as proposed, such as one that an earlier call has half trained.

        Raises:
            AblateError: if the study has no such setting.
        """
        slots = {slot.name: slot.choices for slot in self._study.slots}
        known = all(choice in slots.get(name, ()) for name, choice in setting.choices)
        if not known or setting != self._study.complete(dict(setting.choices)):
            raise AblateError(f"study {self._study.name!r} has no setting {setting.label!r}")
        self._optuna.enqueue_trial({name: choice.label for name, choice in setting.choices})
        self._trials[setting] = self._optuna.ask()
        return self._suggested(self._trials[setting])

    def _suggested(self, trial: optuna.Trial) -> Setting:
        choices: dict[str, Choice] = {}
        for slot in self._study.slots:
            if slot.exists(choices):
                labels = {choice.label: choice for choice in slot.choices}
                choices[slot.name] = labels[trial.suggest_categorical(slot.name, list(labels))]
        return self._study.complete(choices)

    def prune(self, setting: Setting, step: int, value: float) -> bool:
        """Report a score on the way and tell whether the setting should stop; the reference never should."""
        if self._rule.prune == "none":
            return False
        if (setting, step) not in self._reported:  # a trial that is tried again comes past its steps again
            self._reported.add((setting, step))
            self._trials[setting].report(value, step)
        return self._trials[setting].should_prune() and setting != self._study.reference

    def tell(self, setting: Setting, values: Mapping[str, float] | None, *, pruned: bool = False) -> None:
        """End a setting.

        Args:
            setting: one that was proposed.
            values: for each objective its mean over the seeds; None if the setting failed or was pruned.
            pruned: whether it was stopped because it fell behind.
        """
        if pruned:
            self._optuna.tell(self._trials[setting], state=TrialState.PRUNED)
            return
        if values is not None and all(math.isfinite(values[name]) for name in self._directions):
            self._values[setting] = {name: values[name] for name in self._directions}
        self._end(self._trials[setting], self._values.get(setting))

    def _end(self, trial: optuna.Trial, values: Mapping[str, float] | None) -> None:
        if values is None:
            self._optuna.tell(trial, state=TrialState.FAIL)
        else:
            self._optuna.tell(trial, list(values.values()))

    def recall(
        self,
        setting: Setting,
        values: Mapping[str, float] | None,
        intermediate: Sequence[float] = (),
        *,
        pruned: bool = False,
    ) -> None:
        """Take up a setting that an earlier call has ended; it counts as proposed.

        Raises:
            AblateError: if the study has no such setting.
        """
        self.start(setting)
        if self._rule.sampler in ("qmc", "nsga2"):
            _ = self._trials[setting].relative_params  # the sampler counts how often it is asked for these
        for step, value in enumerate(intermediate):
            self.prune(setting, step, value)
        self.tell(setting, values, pruned=pruned)

    def front(self) -> list[tuple[Setting, dict[str, float]]]:
        """Return what no other setting beats in all objectives, the best in the first objective first."""
        best = [s for s in self._values if not any(self._beats(other, s) for other in self._values)]
        return [(setting, self._values[setting]) for setting in sorted(best, key=self._losses)]

    def best(self, n: int) -> list[Setting]:
        """Return the best complete settings other than the reference: the front first, then by the first objective."""
        front = [setting for setting, _ in self.front()]
        rest = sorted((setting for setting in self._values if setting not in front), key=self._losses)
        return [setting for setting in [*front, *rest] if setting != self._study.reference][:n]

    def _losses(self, setting: Setting) -> list[float]:
        values = self._values[setting]
        return [-values[name] if way == "maximize" else values[name] for name, way in self._directions.items()]

    def _beats(self, setting: Setting, other: Setting) -> bool:
        mine, its = self._losses(setting), self._losses(other)
        return mine != its and all(a <= b for a, b in zip(mine, its, strict=True))

    def importances(self) -> dict[str, float]:
        """Return each slot's share of the variance of the first objective over the whole space, by fANOVA.

        Conditional slots have none. What is missing to 1 are interactions. Empty where it cannot be said: for less
        than two slots, less than ten complete settings, or equal scores.
        """
        scores = [values[next(iter(self._directions))] for values in self._values.values()]
        if len(scores) < FEWEST_FOR_IMPORTANCES or len(set(scores)) == 1:
            return {}
        # Every setting once, whatever the sampler repeated.
        once = _create(self._study)
        once.add_trials(
            _frozen(self._study, Outcome(s, RunState.COMPLETE, values)) for s, values in self._values.items()
        )
        # Not Optuna's default, PED-ANOVA, which measures something else than the effect of a factor.
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        shares = evaluator.evaluate(once, target=lambda trial: trial.values[0])
        return {slot: float(share) for slot, share in shares.items()} if len(shares) > 1 else {}


def _directions(study: Study) -> dict[str, Literal["minimize", "maximize"]]:
    """Return which way each objective is better; a cost is better where it is lower."""
    higher = [metric.name for metric in (study.metric, *study.metrics) if metric.higher_is_better]
    names = (study.design.search and study.design.search.objectives) or (study.metric.name,)
    return {name: "maximize" if name in higher else "minimize" for name in names}


def _every_setting(study: Study, rng: random.Random, chosen: Mapping[str, Choice] | None = None) -> Iterator[Setting]:
    """Yield every setting once, in random order."""
    chosen = chosen or {}
    slot = next((slot for slot in study.slots if slot.name not in chosen and slot.exists(chosen)), None)
    if slot is None:
        yield study.complete(chosen)
    else:
        for choice in rng.sample(slot.choices, len(slot.choices)):
            yield from _every_setting(study, rng, {**chosen, slot.name: choice})


def _create(study: Study, **options: Any) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(study_name=study.name, directions=list(_directions(study).values()), **options)


def _sampler(rule: Rule) -> optuna.samplers.BaseSampler:
    """Return what proposes settings.

    A conditional slot is modelled by TPE alone, apart from the other slots and among the settings that have it. The
    other samplers need the same slots in every setting: they draw a conditional one at random where it exists.
    """
    samplers = optuna.samplers
    # A short search would otherwise be random; Optuna's own 10 suit a hundred settings.
    n_random = min(10, max(4, rule.settings // 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # QMC is one to Optuna
        match rule.sampler:
            case "tpe":
                return samplers.TPESampler(seed=0, n_startup_trials=n_random)
            case "gp":
                return samplers.GPSampler(seed=0, n_startup_trials=n_random, warn_independent_sampling=False)
            case "random":
                return samplers.RandomSampler(seed=0)
            case "qmc":
                return samplers.QMCSampler(seed=0, scramble=True, warn_independent_sampling=False)
            case "nsga2":
                return samplers.NSGAIISampler(seed=0, population_size=n_random)


def _pruner(rule: Rule, study: Study) -> optuna.pruners.BasePruner:
    """Return what stops settings; none is judged in its first quarter of epochs."""
    pruners = optuna.pruners
    warmup = max(1, study.recipe.epochs // 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # Wilcoxon is one to Optuna
        match rule.prune:
            case "none":
                return pruners.NopPruner()
            case "median":
                return pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=warmup)
            case "hyperband":
                most = study.recipe.epochs * len(study.seeds)
                return pruners.HyperbandPruner(min_resource=warmup, max_resource=most)
            case "wilcoxon":
                return pruners.WilcoxonPruner()


@dataclass(frozen=True)
class Outcome:
    """What became of a setting, over all its seeds.

    Attributes:
        values: for each objective its mean over the seeds; read of a complete setting alone.
        intermediate: scores on the way, in the order of the steps.
        started: seconds since 1970, as `ended`.
    """

    setting: Setting
    state: RunState
    values: Mapping[str, float] = field(default_factory=dict)
    intermediate: Sequence[float] = ()
    seeds: tuple[int, ...] = ()
    started: float = 0.0
    ended: float = 0.0


def export(path: Path, study: Study, outcomes: Iterable[Outcome]) -> None:
    """Write a journal that Optuna and its dashboard can open, one Optuna trial a setting.

    Raises:
        AblateError: if there is such a file, or it cannot be written.
    """
    if path.exists():
        raise AblateError(f"{path} exists already and stays as it is: name another file")
    try:
        with TemporaryDirectory(prefix=".export-", dir=path.parent) as folder:
            beside = Path(folder, path.name)
            # Links, Optuna's own locks, need an administrator on Windows.
            storage = JournalStorage(JournalFileBackend(str(beside), lock_obj=JournalFileOpenLock(str(beside))))
            _create(study, storage=storage).add_trials(_frozen(study, outcome) for outcome in outcomes)
            beside.replace(path)
    except OSError as error:
        raise AblateError(f"{path} cannot be written: {error.strerror}") from None


def _frozen(study: Study, outcome: Outcome) -> FrozenTrial:
    states = {RunState.COMPLETE: TrialState.COMPLETE, RunState.PRUNED: TrialState.PRUNED}
    choices = outcome.setting.choices
    return FrozenTrial(
        number=-1,  # Optuna gives it one, and an id
        trial_id=-1,
        state=states.get(outcome.state, TrialState.FAIL),
        value=None,
        values=[outcome.values[name] for name in _directions(study)] if outcome.state is RunState.COMPLETE else None,
        datetime_start=datetime.fromtimestamp(outcome.started),  # noqa: DTZ006  # Optuna keeps local time
        datetime_complete=datetime.fromtimestamp(outcome.ended),  # noqa: DTZ006
        params={name: choice.label for name, choice in choices},
        distributions={name: _categories(study.slot(name)) for name, _ in choices},
        user_attrs={"setting": outcome.setting.label, "seeds": list(outcome.seeds)},
        system_attrs={},
        intermediate_values=dict(enumerate(outcome.intermediate)),
    )


def _categories(slot: Slot) -> CategoricalDistribution:
    return CategoricalDistribution([choice.label for choice in slot.choices])


def foreign_trials(
    storage: str, name: str | None = None
) -> tuple[str, list[tuple[str, dict[str, str]]], frozenset[str]]:
    """Return the name of a study that others made, its trials, each with its number, and which values are minimized.

    Columns are the parameters, `value` (or `value_0`, ... of several objectives), `number`, `state` and user attributes.

    Args:
        storage: its URL, or the file of a journal.
        name: which study; not needed where the storage holds one.

    Raises:
        AblateError: if it cannot be read, holds no study of that name, or a trial has two things of one name.
    """
    is_file = "://" not in storage
    if is_file and not Path(storage).is_file():
        raise AblateError(f"{storage} is no file: name an Optuna journal, or a storage as sqlite:///study.db")
    try:
        lock = JournalFileOpenLock(storage)
        opened = JournalStorage(JournalFileBackend(storage, lock_obj=lock)) if is_file else storage
        names = optuna.get_all_study_names(opened)
        chosen = names[0] if name is None and len(names) == 1 else name
        study = optuna.load_study(study_name=chosen, storage=opened) if chosen in names else None
        trials = study.get_trials() if study else []
    except Exception as error:  # Optuna lets the errors of any database through
        said = str(error).strip() or type(error).__name__
        raise AblateError(f"{storage} cannot be read by Optuna: {said.splitlines()[0]}") from error
    if study is None:
        several = f"name one of its studies: {', '.join(names) or 'there are none'}"
        raise AblateError(f"{storage}: {several if name is None else unknown('Optuna study', name, names)}")
    values = ["value"] if len(study.directions) == 1 else [f"value_{i}" for i in range(len(study.directions))]
    downwards = zip(values, study.directions, strict=True)
    minimized = frozenset(value for value, direction in downwards if direction is StudyDirection.MINIMIZE)
    return str(chosen), [(f"trial {trial.number}", _foreign(trial, values)) for trial in trials], minimized


def _foreign(trial: FrozenTrial, values: Sequence[str]) -> dict[str, str]:
    cells = [
        *((key, str(value)) for key, value in trial.params.items()),
        *((key, str(value)) for key, value in trial.user_attrs.items()),
        *zip(values, map(repr, trial.values or []), strict=False),
        ("number", str(trial.number)),
        ("state", trial.state.name),
    ]
    found = dict(cells)
    twice = next((key for key, cell in cells if found[key] != cell), None)
    if twice is not None:
        raise AblateError(f"trial {trial.number} of Optuna has two things called {twice!r}")
    return found
