"""What Optuna proposes, stops and finds, on a truth that was planted."""

import random
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from ablate import config, search
from ablate.errors import AblateError
from ablate.search import Outcome, Search
from ablate.study import RunState, Setting

SAMPLERS = ["tpe", "gp", "random", "qmc", "nsga2"]
SLOTS = """
  attention: [none, se, eca, cbam]
  norm: [batch, none, layer, instance]
  conv: [dense, {grouped: {groups: [2, 4]}}, depthwise]
  mix: {choices: [none, pointwise, {shuffle: {groups: 4}}], when: {conv: [grouped, depthwise]}}
  kernel: [3, 5, 7]
"""
SMALL = "{conv: [dense, depthwise], mix: {choices: [none, pointwise], when: {conv: depthwise}}}"
WIDE = "{attention: [none, se, eca, cbam], norm: [batch, none, layer, instance], conv: [dense, depthwise], kernel: [3, 5, 7, 9]}"

# What each choice adds to the score; the rest add nothing. The best settings score 0.9.
GAINS = {"se": 0.1, "instance": 0.2, "depthwise": 0.05, "pointwise": 0.05}


def study(rule="{}", slots=SLOTS, **parts):
    text = {"network": "resnet", "data": "digits", "slots": slots, "design": f"{{search: {rule}}}", "seeds": 2, **parts}
    return config.parse_study("\n".join(f"{key}: {value}" for key, value in text.items()), path=Path("s.yml"))


def truth(setting):
    return 0.5 + sum(GAINS.get(str(choice), 0.0) for _, choice in setting.choices)


def searched(content, score=truth):
    """Let a search run to its end; what is asked is answered at once."""
    found = Search(content)
    proposals = []
    while (setting := found.propose()) is not None:
        proposals.append(setting)
        found.tell(setting, {"accuracy": score(setting)})
    return found, proposals


# Proposals


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_proposals_are_distinct_settings_of_the_study_and_the_reference_is_the_first(sampler):
    content = study(f"{{settings: 15, sampler: {sampler}}}")
    _, proposals = searched(content)

    assert proposals[0] == content.reference
    assert len(set(proposals)) == 15
    for setting in proposals:
        assert content.complete(dict(setting.choices)) == setting
        assert ("mix" in setting) == (str(setting["conv"]) != "dense")
        assert all(choice in content.slot(name).choices for name, choice in setting.choices)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("slots", "n"), [(SMALL, 3), ("{attention: [none, se, eca, cbam], kernel: [3, 5, 7]}", 12)])
def test_a_space_smaller_than_the_search_ends_with_every_setting_once(sampler, slots, n):
    found, proposals = searched(study(f"{{settings: 40, sampler: {sampler}}}", slots=slots))

    assert len(set(proposals)) == len(proposals) == n
    assert all(trial.state is TrialState.COMPLETE for trial in found._optuna.trials)


def test_a_conditional_slot_is_a_conditional_parameter():
    found, _ = searched(study("{settings: 15}"))

    assert {"mix" in trial.params for trial in found._optuna.trials} == {True, False}
    assert all(("mix" in trial.params) == (trial.params["conv"] != "dense") for trial in found._optuna.trials)


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "nsga2"])
def test_the_same_answers_lead_to_the_same_proposals(sampler):
    content = study(f"{{settings: 30, sampler: {sampler}}}")

    assert searched(content)[1] == searched(content)[1]


def test_settings_that_wait_for_their_scores_are_not_proposed_again():
    found = Search(study("{settings: 25}"))

    assert len({found.propose() for _ in range(25)}) == 25
    assert found.propose() is None


def test_tpe_finds_what_was_planted_more_often_than_chance():
    def found_by(sampler, seed):
        noise = random.Random(seed)
        rule = f"{{settings: 30, sampler: {sampler}}}"
        _, proposals = searched(study(rule), lambda setting: truth(setting) + noise.gauss(0, 0.02))
        return [truth(setting) for setting in proposals[-15:]]

    # 15 of the 480 settings score more than 0.84: all of six random searches contain one in 1 of 20 cases.
    assert all(max(found_by("tpe", seed)) > 0.84 for seed in range(6))
    assert fmean(found_by("tpe", 0)) > fmean(found_by("random", 0)) + 0.08


def test_a_sampler_that_needs_torch_does_not_bring_it_for_the_others():
    code = "import sys; from ablate import search; sys.exit('torch' in sys.modules or 'mlflow' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# Going on


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_is_recalled_counts_and_is_not_proposed_again(sampler):
    content = study(f"{{settings: 20, sampler: {sampler}}}")
    _, earlier = searched(content)
    found = Search(content)
    for setting in earlier[:12]:
        found.recall(setting, {"accuracy": truth(setting)})
    later = []
    while (setting := found.propose()) is not None:
        later.append(setting)
        found.tell(setting, {"accuracy": truth(setting)})

    assert len(later) == 8
    assert not set(later) & set(earlier[:12])


def test_a_sequence_that_is_not_random_goes_on_where_it_was():
    content = study("{settings: 20, sampler: qmc}", slots=WIDE)
    _, undisturbed = searched(content)
    found = Search(content)
    for setting in undisturbed[:12]:
        found.recall(setting, {"accuracy": truth(setting)})

    assert found.propose() == undisturbed[12]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_what_is_recalled_is_learnt_from(sampler):
    def next_ten(n_recalled):
        content = study(f"{{settings: {n_recalled + 10}, sampler: {sampler}}}", slots=WIDE)
        found = Search(content)
        known = random.Random(1).sample(list(search._every_setting(content, random.Random(1))), n_recalled)
        for setting in known:
            found.recall(setting, {"accuracy": truth(setting)})
        return [found.propose() for _ in range(10)]

    assert fmean(map(truth, next_ten(20))) > fmean(map(truth, next_ten(0))) + 0.05


def test_a_setting_that_was_begun_can_be_started_and_is_not_proposed():
    content = study("{settings: 3}", slots=SMALL)
    begun = content.complete({"conv": content.slot("conv").choices[1]})
    found = Search(content)
    found.start(begun)

    assert begun not in [found.propose(), found.propose()]
    assert found.propose() is None
    found.tell(begun, {"accuracy": 0.7})
    assert found.best(3) == [begun]


def test_a_setting_of_another_study_is_refused():
    content = study(slots=SMALL)
    grown = study(slots=SMALL.replace("dense,", "dense, grouped,"))
    stranger = grown.complete({"conv": grown.slot("conv").choices[1]})

    with pytest.raises(AblateError, match="study 's' has no setting 'conv=grouped'"):
        Search(content).start(stranger)
    with pytest.raises(AblateError, match="no setting 'half'"):
        Search(content).recall(Setting((), label="half"), None)


# Pruning


def curve(level, epochs=20):
    return [level * (1 - 0.5 ** (epoch + 1)) for epoch in range(epochs)]


def train(found, setting, scores):
    """Report score after score; tell at which step the setting was stopped, None if it was not."""
    for step, score in enumerate(scores):
        if found.prune(setting, step, score):
            found.tell(setting, None, pruned=True)
            return step
    found.tell(setting, {"accuracy": scores[-1]})
    return None


@pytest.mark.parametrize("rule", ["median", "hyperband"])
def test_a_setting_that_falls_behind_is_stopped_and_a_good_one_is_not(rule):
    found = Search(study(f"{{settings: 30, sampler: random, prune: {rule}}}"))
    for _ in range(9):
        assert train(found, found.propose(), curve(0.8) * 2) in {None, 5}  # hyperband keeps a third of equals

    assert train(found, found.propose(), curve(0.1) * 2) in {5, 15}
    assert train(found, found.propose(), curve(0.9) * 2) is None


def test_median_stops_nothing_before_four_settings_are_complete_nor_in_the_first_quarter():
    found = Search(study("{settings: 9, prune: median}"))
    levels = [0.8, 0.1, 0.7, 0.6, 0.1]

    assert [train(found, found.propose(), curve(level)) for level in levels] == [None, None, None, None, 5]


def test_the_reference_is_never_stopped():
    found = Search(study("{settings: 9, prune: median}"))
    reference = found.propose()
    for _ in range(5):
        train(found, found.propose(), curve(0.8))

    assert train(found, reference, curve(0.1)) is None


def test_wilcoxon_stops_by_seed_what_is_worse_on_every_seed():
    found = Search(study("{settings: 9, prune: wilcoxon}", seeds=8))
    assert found.by_seed
    seeds = [0.80, 0.82, 0.81, 0.79, 0.83, 0.80, 0.78, 0.82]
    worse = [score - 0.01 * (1 + i) for i, score in enumerate(seeds)]
    mixed = [score + 0.01 * (-1) ** i for i, score in enumerate(seeds)]
    train(found, found.propose(), seeds)

    assert train(found, found.propose(), worse) == 3
    assert train(found, found.propose(), mixed) is None


def test_pruning_goes_on_after_settings_were_recalled():
    content = study("{settings: 9, prune: median}")
    _, earlier = searched(content)
    found = Search(content)
    for setting in earlier[:5]:
        found.recall(setting, {"accuracy": 0.8}, curve(0.8))

    assert train(found, found.propose(), curve(0.1)) == 5


def test_a_trial_that_is_tried_again_reports_its_steps_again():
    found = Search(study("{settings: 9, prune: median}"))
    setting = found.propose()
    found.prune(setting, 0, 0.3)
    found.prune(setting, 0, 0.3)

    assert train(found, setting, curve(0.8)) is None


def test_without_pruning_nothing_is_stopped_or_reported():
    found = Search(study("{settings: 9}"))
    for _ in range(8):
        train(found, found.propose(), curve(0.8))

    assert train(found, found.propose(), curve(0.0)) is None
    assert not found._optuna.trials[0].intermediate_values


# What was found


def test_failed_and_pruned_settings_have_no_score():
    found = Search(study("{settings: 9, prune: median}"))
    reference, failed, pruned, diverged, good = (found.propose() for _ in range(5))
    found.tell(reference, {"accuracy": 0.5})
    found.tell(failed, None)
    found.prune(pruned, 0, 0.99)
    found.tell(pruned, None, pruned=True)
    found.tell(diverged, {"accuracy": float("nan")})
    found.tell(good, {"accuracy": 0.4})

    assert found.best(9) == [good]
    assert found.front() == [(reference, {"accuracy": 0.5})]
    states = [trial.state for trial in found._optuna.trials]
    assert states == [TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED, TrialState.FAIL, TrialState.COMPLETE]


@pytest.mark.parametrize(("metric", "best"), [("accuracy", 0.9), ("loss", 0.1)])
def test_best_follows_the_direction_of_the_metric_and_leaves_the_reference_out(metric, best):
    found = Search(study("{settings: 6}", metric=metric))
    given = dict(
        zip([found.propose() for _ in range(6)], [0.95 if best > 0.5 else 0.05, 0.2, best, 0.5, 0.4, 0.3], strict=True)
    )
    for setting, value in given.items():
        found.tell(setting, {metric: value})

    assert [given[setting] for setting in found.best(2)] == ([0.9, 0.5] if metric == "accuracy" else [0.1, 0.2])
    assert [setting.label for setting, _ in found.front()] == ["reference"]


def test_with_several_objectives_the_front_is_what_nothing_beats():
    found = Search(study("{settings: 6, objectives: [accuracy, macs]}"))
    points = [(0.80, 100), (0.90, 300), (0.85, 90), (0.88, 400), (0.70, 50), (0.85, 95)]
    given = dict(zip([found.propose() for _ in points], points, strict=True))
    for setting, (accuracy, macs) in given.items():
        found.tell(setting, {"accuracy": accuracy, "macs": macs, "loss": 1.0})

    assert [values for _, values in found.front()] == [
        {"accuracy": 0.90, "macs": 300}, {"accuracy": 0.85, "macs": 90}, {"accuracy": 0.70, "macs": 50},
    ]  # fmt: skip
    assert [given[setting] for setting in found.best(4)] == [(0.90, 300), (0.85, 90), (0.70, 50), (0.88, 400)]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_takes_several_objectives(sampler):
    found = Search(study(f"{{settings: 12, sampler: {sampler}, objectives: [accuracy, params]}}"))
    while (setting := found.propose()) is not None:
        found.tell(setting, {"accuracy": truth(setting), "params": len(setting.label)})

    assert len(found.best(11)) == 11


def test_importances_recover_the_planted_order():
    found, _ = searched(study("{settings: 80, sampler: random}"))
    shares = found.importances()

    assert list(shares)[:2] == ["norm", "attention"]
    assert shares["norm"] > 2 * shares["attention"]
    assert shares["kernel"] < 0.02
    assert "mix" not in shares
    assert sum(shares.values()) <= 1.0


@pytest.mark.slow
def test_importances_are_not_said_of_one_slot_few_settings_or_equal_scores():
    one_slot = study(slots=f"{{recipe.batch: {list(range(10, 30))}}}")

    assert searched(one_slot, lambda setting: setting["recipe.batch"].name)[0].importances() == {}
    assert searched(study("{settings: 9}"))[0].importances() == {}
    assert searched(study("{settings: 20}"), lambda _: 0.5)[0].importances() == {}


# Export


def opened(path):
    return optuna.load_study(study_name=None, storage=JournalStorage(JournalFileBackend(str(path))))


def test_optuna_opens_what_is_exported(tmp_path):
    content = study("{settings: 9, prune: median}")
    _, (first, second, third, *_) = searched(content)
    depthwise = content.complete({"conv": content.slot("conv").choices[3]})
    outcomes = [
        Outcome(first, RunState.COMPLETE, {"accuracy": 0.8}, [0.5, 0.8], seeds=(0, 1), started=1e9, ended=1e9 + 60),
        Outcome(depthwise, RunState.PRUNED, intermediate=[0.1], seeds=(0,)),
        Outcome(third, RunState.FAILED),
        Outcome(second, RunState.KILLED),
    ]
    search.export(tmp_path / "journal.log", content, outcomes)
    read = opened(tmp_path / "journal.log")

    assert (read.study_name, read.direction.name) == ("s", "MAXIMIZE")
    assert [trial.state.name for trial in read.trials] == ["COMPLETE", "PRUNED", "FAIL", "FAIL"]
    best, pruned, *_ = read.trials
    assert best.value == read.best_value == 0.8
    assert best.params == {"attention": "none", "norm": "batch", "conv": "dense", "kernel": "3"}
    assert pruned.params == {**best.params, "conv": "depthwise", "mix": "none"}
    assert pruned.distributions["kernel"].choices == ("3", "5", "7")
    assert best.intermediate_values == {0: 0.5, 1: 0.8}
    assert best.user_attrs == {"setting": "reference", "seeds": [0, 1]}
    assert best.duration.total_seconds() == 60
    assert [path.name for path in tmp_path.iterdir()] == ["journal.log"]


def test_a_design_and_several_objectives_are_exported_too(tmp_path):
    factorial = study(design="factorial", metric="loss")
    several = study("{objectives: [accuracy, macs]}")
    search.export(tmp_path / "a", factorial, [Outcome(factorial.reference, RunState.COMPLETE, {"loss": 0.4})])
    values = {"macs": 7.0, "accuracy": 0.9}
    search.export(tmp_path / "b", several, [Outcome(several.reference, RunState.COMPLETE, values, [0.1, 0.9])])

    assert (opened(tmp_path / "a").direction.name, opened(tmp_path / "a").best_value) == ("MINIMIZE", 0.4)
    assert [way.name for way in opened(tmp_path / "b").directions] == ["MAXIMIZE", "MINIMIZE"]
    assert opened(tmp_path / "b").best_trials[0].values == [0.9, 7.0]


def test_an_export_never_overwrites_and_leaves_nothing_behind_where_it_fails(tmp_path):
    path = tmp_path / "journal.log"
    path.write_text("mine", encoding="utf-8")

    with pytest.raises(AblateError, match=r"journal\.log exists already"):
        search.export(path, study(), [])
    with pytest.raises(AblateError, match=r"nowhere.journal\.log cannot be written: No such file"):
        search.export(tmp_path / "nowhere" / "journal.log", study(), [])
    with pytest.raises(KeyError):
        search.export(tmp_path / "other.log", study(), [Outcome(study().reference, RunState.COMPLETE)])
    assert path.read_text(encoding="utf-8") == "mine"
    assert [other.name for other in tmp_path.iterdir()] == ["journal.log"]
