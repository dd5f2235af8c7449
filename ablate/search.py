"""Settings as Optuna sees them: an Optuna trial is a setting, its value the mean over the setting's seeds."""

from collections.abc import Iterator, Sequence
from statistics import fmean

import optuna

from ablate.design import Plan
from ablate.errors import AblateError
from ablate.study import Choice, Setting, Study


class Proposals:
    """The settings of a design, asked from and told to an Optuna study in memory."""

    def __init__(self, study: Study, plan: Plan) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = study
        self._plan = plan
        self._trials: dict[str, optuna.Trial] = {}
        # Every setting is enqueued, so the sampler never chooses; the seed only keeps it from drawing entropy.
        self._optuna = optuna.create_study(
            study_name=study.name,
            direction="maximize" if study.metric.higher_is_better else "minimize",
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        for setting in plan.settings:
            self._optuna.enqueue_trial({name: choice.label for name, choice in setting.choices})

    def ask(self) -> Iterator[Setting]:
        """Yield the settings in the order of the design.

        Raises:
            AblateError: if Optuna proposes another setting than the one that was enqueued.
        """
        for expected in self._plan.settings:
            trial = self._optuna.ask()
            choices: dict[str, Choice] = {}
            for slot in self._study.slots:
                if slot.exists(choices):
                    labels = {choice.label: choice for choice in slot.choices}
                    choices[slot.name] = labels[trial.suggest_categorical(slot.name, list(labels))]
            if tuple(choices.items()) != expected.choices:
                raise AblateError(f"Optuna proposed {choices} where the design has {expected.label!r}")
            self._trials[expected.label] = trial
            yield expected

    def tell(self, setting: Setting, scores: Sequence[float]) -> None:
        """Tell the scores of a setting, one a seed; without any, the setting failed."""
        trial = self._trials.pop(setting.label)
        if scores:
            self._optuna.tell(trial, fmean(scores))
        else:
            self._optuna.tell(trial, state=optuna.trial.TrialState.FAIL)
