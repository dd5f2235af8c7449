"""Which trials a fractional design asks for."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

from ablate import config, design, fractional
from ablate.errors import StudyError

TWOS = "{attention: [none, se], kernel: [3, 5], activation: [relu, gelu], norm: [batch, layer]}"
THREES = (
    "{attention: [none, se, eca], kernel: [3, 5, 7], activation: [relu, gelu, silu], norm: [batch, layer, instance]}"
)
FIVE = TWOS[:-1] + ", conv: [dense, depthwise]}"
SIX = FIVE[:-1] + ", recipe.label_smoothing: [0.0, 0.1]}"
EIGHT = SIX[:-1] + ", recipe.weight_decay: [0.0, 0.1], recipe.momentum: [0.0, 0.9]}"
MIXED = "{attention: [none, se, eca], kernel: [3, 5, 7], activation: [relu, gelu, silu]}"
FOUR = "{attention: [none, se, eca, cbam], kernel: [3, 5], activation: [relu, gelu]}"
NESTED = "{conv: [dense, depthwise], mix: {choices: [none, shuffle], when: {conv: depthwise}}, kernel: [3, 5, 7]}"


def study(slots, runs, seeds=1):
    text = f"network: resnet\ndata: digits\nslots: {slots}\ndesign: {{fractional: {{runs: {runs}}}}}\nseeds: {seeds}\n"
    return config.parse_study(text, path=Path("s.yml"))


def runs_of(read):
    """Return a row of labels for each run, its seed last."""
    settings, seeds = fractional.fraction(read)
    return [
        (*(str(setting[slot.name]) if slot.name in setting else None for slot in read.slots), seed)
        for setting in settings
        for seed in seeds[setting.label]
    ]


def model(read, runs):
    """Return the main-effects model of runs, (run, effect), seeds as blocks; what is absent has zeros."""
    seeds = sorted({run[-1] for run in runs})
    columns = [[float(run[-1] == seed) for run in runs] for seed in seeds]
    for i, slot in enumerate(read.slots):
        others = [choice.label for choice in slot.choices if choice != slot.reference]
        columns += [[float(run[i] == label) for run in runs] for label in others]
    return np.array(columns).T


@pytest.mark.parametrize(
    ("slots", "runs", "seeds"),
    [(TWOS, 8, 1), (THREES, 18, 1), (FIVE, 12, 1), (TWOS, 8, 2), (TWOS, 16, 2), (MIXED, 18, 2), (FOUR, 16, 2)],
)
def test_an_orthogonal_array_holds_any_two_choices_equally_often(slots, runs, seeds):
    rows = runs_of(study(slots, runs, seeds))

    assert len(set(rows)) == runs
    for one, two in combinations(range(len(rows[0]) - (seeds == 1)), 2):
        counts = Counter((row[one], row[two]) for row in rows)
        assert len(set(counts.values())) == 1
        assert len(counts) == len({row[one] for row in rows}) * len({row[two] for row in rows})


@pytest.mark.parametrize(
    ("slots", "runs", "seeds", "n"), [(TWOS, 8, 1, 3), (EIGHT, 16, 2, 3), (TWOS, 16, 2, 4), (SIX, 32, 1, 4)]
)
def test_the_columns_of_an_array_are_those_that_look_least_alike(slots, runs, seeds, n):
    rows = runs_of(study(slots, runs, seeds))

    # Where any three slots hold all combinations, no effect looks like an interaction of two others; where any four
    # do, no two interactions look like each other.
    for some in combinations(range(len(rows[0]) - 1), n):
        assert len({tuple(row[i] for i in some) for row in rows}) == 2**n


def test_slots_come_before_seeds_where_columns_must_look_alike():
    rows = runs_of(study(THREES, 18, 2))

    for some in combinations(range(4), 3):
        assert len({tuple(row[i] for i in some) for row in rows}) == 18


def test_seeds_look_like_no_interaction_where_they_need_not():
    rows = runs_of(study(TWOS, 16, 2))

    for one, two in combinations(range(4), 2):
        assert len({(row[one], row[two], row[-1]) for row in rows}) == 8


def test_an_array_that_holds_a_setting_twice_is_not_taken():
    rows = runs_of(study(TWOS, 12))  # any four columns of the array of twelve have a row twice

    assert len(set(rows)) == 12


def test_all_combinations_on_all_seeds_are_a_design():
    read = study(NESTED, 18, 2)
    settings, seeds = fractional.fraction(read)

    assert len(settings) == 9
    assert set(seeds.values()) == {(0, 1)}


def test_labels_do_not_outlive_their_study():
    one = study("{attention: [none, {se: {label: gate}}], kernel: [3, 5]}", 4)
    other = study("{attention: [none, {se: {label: squeeze}}], kernel: [3, 5]}", 4)

    assert "attention=gate" in fractional.fraction(one)[1]
    assert "attention=squeeze" in fractional.fraction(replace(other, text=one.text))[1]


def test_the_reference_comes_first_on_the_first_seed():
    for slots, runs, seeds in [(TWOS, 8, 2), (FIVE, 12, 1), (NESTED, 9, 2), (THREES, 20, 2)]:
        read = study(slots, runs, seeds)
        settings, by_label = fractional.fraction(read)

        assert settings[0] == read.reference
        assert 0 in by_label[read.reference.label]


def test_seeds_are_blocks_of_equal_size_in_which_no_setting_stands_twice():
    rows = runs_of(study(NESTED, 11, 2))

    assert sorted(Counter(row[-1] for row in rows).values()) == [5, 6]
    assert len(set(rows)) == 11


def test_what_is_no_array_is_as_good_as_the_best_of_all_subsets():
    read = study("{conv: [dense, depthwise], kernel: [3, 5, 7]}", 5)
    rows = runs_of(read)
    every = [(*labels, 0) for labels in product(["dense", "depthwise"], ["3", "5", "7"])]
    best = max(
        np.linalg.slogdet(model(read, chosen).T @ model(read, chosen))[1]
        for chosen in map(list, combinations(every, 5))
        if ("dense", "3", 0) in chosen and np.linalg.matrix_rank(model(read, chosen)) == 4
    )

    assert np.linalg.slogdet(model(read, rows).T @ model(read, rows))[1] == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize(("slots", "runs", "seeds"), [(NESTED, 10, 2), (THREES, 14, 2), (TWOS, 10, 1)])
def test_what_is_no_array_beats_two_hundred_random_choices(slots, runs, seeds):
    read = study(slots, runs, seeds)
    rows = runs_of(read)
    rng = np.random.default_rng(0)

    def random_runs():
        found = []
        for i in range(runs):
            chosen = {slot.name: slot.choices[rng.integers(len(slot.choices))] for slot in read.slots}
            setting = read.complete(chosen)
            labels = (str(setting[slot.name]) if slot.name in setting else None for slot in read.slots)
            found.append((*labels, i * seeds // runs))
        return found

    def information(rows):
        return np.linalg.slogdet(model(read, rows).T @ model(read, rows))[1]

    assert information(rows) > max(information(random_runs()) for _ in range(200))


def test_a_slot_that_does_not_exist_is_not_told_apart():
    read = study(NESTED, 9, 1)
    rows = runs_of(read)

    assert {row[1] for row in rows if row[0] == "dense"} == {None}
    assert {row[1] for row in rows if row[0] == "depthwise"} == {"none", "shuffle"}


def test_what_exists_beside_rare_choices_alone_is_estimable():
    deep = """{
      attention: [none, se, eca], kernel: [3, 5, 7, 9], conv: {choices: [dense, depthwise], when: {attention: se, kernel: 5}},
      norm: {choices: [batch, layer, instance, none], when: {conv: dense}},
      activation: {choices: [relu, gelu, silu], when: {norm: none}},
    }"""
    read = study(deep, 15)
    effects = model(read, runs_of(read))

    assert np.linalg.matrix_rank(effects) == effects.shape[1] == 12


def test_a_thousand_trials_are_found():
    many = FIVE[:-1] + ", recipe.label_smoothing: [0.0, 0.1, 0.2, 0.3], recipe.weight_decay: [0.0, 0.1, 0.2, 0.3]}"
    rows = runs_of(study(many, 1000, 2))

    assert len(set(rows)) == 1000


def test_another_process_finds_the_same_design():
    code = "from ablate import config, fractional; print(fractional.fraction(config.read_study('fraction'))[1])"
    said = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }

    assert len(said) == 1


@pytest.mark.parametrize(
    ("slots", "runs", "seeds", "said"),
    [
        (TWOS, 5, 1, "5 trials on 1 seed leave no error for the effects of these slots: at least 6"),
        (TWOS, 40, 2, "40 is out of range: all combinations on 2 seeds are 32"),
        (NESTED, 19, 2, "19 is out of range: all combinations on 2 seeds are 18"),
    ],
)
def test_a_number_of_runs_that_cannot_be_is_refused(slots, runs, seeds, said):
    with pytest.raises(StudyError, match=said):
        study(slots, runs, seeds)


def test_a_plan_lists_the_trials_of_each_setting():
    read = study(NESTED, 11, 2)
    planned = design.plan(read)

    assert sum(len(seeds) for seeds in planned.seeds.values()) == 11
    assert set(planned.against.values()) == {planned.reference.label}
