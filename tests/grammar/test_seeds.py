"""Seeds: a number, a list, or a rule that adds them."""

import pytest

from ablate.study import Adaptive


def test_seeds_are_a_number_or_a_list(read):
    assert read(seeds="3").seeds == (0, 1, 2)
    assert read(seeds="[3, 7, 11]").seeds == (3, 7, 11)


def test_a_rule_adds_seeds_between_two_numbers(read):
    study = read(seeds="{from: 3, to: 6, until: best, max_runs: 20}")

    assert study.seeds == (0, 1, 2, 3, 4, 5)
    assert study.adaptive == Adaptive(first=3, until="best", max_runs=20)


@pytest.mark.parametrize(("rule", "most"), [("{until: decided}", 7), ("{until: best}", 5), ("{from: 9}", 10)])
def test_the_most_seeds_have_a_default(read, rule, most):
    assert len(read(seeds=rule).seeds) == most


def test_a_fractional_design_takes_two_seeds_as_blocks_unless_told_otherwise(read):
    design = "{fractional: {runs: 4}}"

    assert read(design=design).seeds == (0, 1)
    assert read(design=design, seeds="1", slots="{attention: [none, se], kernel: [3, 5]}").seeds == (0,)


@pytest.mark.parametrize(
    ("seeds", "found"),
    [
        ("{from: 1, to: 1, until: best}", ["seeds.from: 1 is out of range: from 2 to 9,999",
                                           "seeds.to: 1 is out of range: from 3 to 10,000"]),
        ("{from: 2, untill: best}", ["seeds.untill: unknown option: 'untill'; did you mean 'until'? (known: from, to, until, max_runs)"]),
        ("{until: certain}", ["seeds.until: expected one of decided, best, not 'certain'"]),
        ("{max_runs: 3}", ["seeds.max_runs: 3 trials end before the first look, which takes 4"]),
        ("[1, -1, 1]", ["seeds[1]: -1 is out of range: from 0 to 4294967295", "seeds[2]: 1 stands twice in [1, -1, 1]"]),
        ("[1, a, 2.5]", ['seeds[1]: expected a whole number; given "a"',
                         "seeds[2]: expected a whole number; given 2.5"]),
        ("[]", ["seeds: the list is empty"]),
        ("1000000000", ["seeds: 1000000000 is out of range: from 1 to 10,000"]),
        ("2.0", ["seeds: expected a number of seeds, a list of them, or a rule such as {from: 2, to: 7, until: decided}; given 2.0"]),
    ],
)  # fmt: skip
def test_seeds_that_cannot_be_meant_are_refused(problems, seeds, found):
    assert problems(seeds=seeds) == found
