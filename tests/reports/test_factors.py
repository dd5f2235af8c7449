"""Slots as factors: combinations that exist, columns, and averages without listing the combinations."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports import ResultsError
from reports.factors import Factor, average, complete, families, grid, matrix, meetings

CONV = Factor("conv", ("dense", "grouped", "depthwise"), "dense")
GROUPS = Factor("groups", ("2", "4"), "2", when=(("conv", frozenset({"grouped"})),))
MIX = Factor("mix", ("none", "shuffle"), "none", when=(("conv", frozenset({"grouped", "depthwise"})),))
ACT = Factor("act", ("relu", "silu"), "silu")
SLOTS = [CONV, GROUPS, MIX, ACT]


@st.composite
def slots(draw):
    """Draw up to five slots, some of which exist under levels of earlier ones."""
    made = []
    for i in range(draw(st.integers(1, 5))):
        levels = tuple("012"[: draw(st.integers(1, 3))])
        parents = draw(st.lists(st.sampled_from(made), unique_by=lambda one: one.name, max_size=2)) if made else []
        when = tuple(
            (one.name, frozenset(draw(st.lists(st.sampled_from(one.levels), min_size=1, unique=True))))
            for one in parents
        )
        made.append(Factor(f"s{i}", levels, draw(st.sampled_from(levels)), when))
    return made


def test_slots_that_do_not_exist_fall_away_and_what_is_not_chosen_is_the_reference():
    assert complete(SLOTS, {"conv": "depthwise", "groups": "4"}) == {"conv": "depthwise", "mix": "none", "act": "silu"}
    assert complete(SLOTS, {"groups": "4"}) == {"conv": "dense", "act": "silu"}


def test_the_grid_holds_each_combination_that_exists_once():
    rows = grid(SLOTS)

    assert len(rows) == 2 * (1 + 2 * 2 + 2)
    assert rows[:2] == [{"conv": "dense", "act": "relu"}, {"conv": "dense", "act": "silu"}]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(slots())
def test_the_grid_is_what_is_left_of_all_combinations_once_absent_slots_fall_away(factors):
    every = product(*(factor.levels for factor in factors))
    rows = [complete(factors, dict(zip((f.name for f in factors), levels, strict=True))) for levels in every]

    assert {frozenset(row.items()) for row in grid(factors)} == {frozenset(row.items()) for row in rows}
    assert len({frozenset(row.items()) for row in grid(factors)}) == len(grid(factors))


def test_an_absent_slot_has_zeros():
    found = matrix(SLOTS, [{"conv": "dense", "act": "relu"}, {"conv": "grouped", "groups": "4", "mix": "shuffle"}])

    assert found.terms == ((), ("conv",), ("conv",), ("groups",), ("mix",), ("act",))
    assert found.columns.tolist() == [[1, 0, 0, 0, 0, 1], [1, 1, 0, 1, 1, 0]]


def test_an_interaction_has_no_column_that_no_combination_can_fill():
    found = matrix(SLOTS, grid(SLOTS), pairs=[("groups", "mix"), ("conv", "act"), ("conv", "mix")])

    assert found.terms[6:] == (("groups", "mix"), ("conv", "act"), ("conv", "act"), ("conv", "mix"), ("conv", "mix"))
    assert found.columns.any(axis=0).all()


@pytest.mark.parametrize("reverse", [False, True])
def test_children_of_one_slot_meet_where_both_exist(reverse):
    one = Factor("one", ("0", "1"), "0", when=(("p", frozenset("xy")),))
    two = Factor("two", ("0", "1"), "0", when=(("p", frozenset("yz")),))
    none = Factor("none", ("0", "1"), "0", when=(("p", frozenset("x")),))
    children = [none, two, one] if reverse else [one, two, none]
    factors = [Factor("p", ("x", "y", "z"), "z"), *children]

    assert meetings(factors, "one", "two") == set(product("01", repeat=2))
    assert meetings(factors, "two", "none") == set()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(slots())
def test_levels_meet_if_a_combination_holds_both(factors):
    for one, two in product([factor.name for factor in factors], repeat=2):
        expected = {(row[one], row[two]) for row in grid(factors) if one in row and two in row}
        assert meetings(factors, one, two) == expected


def test_parents_and_children_are_one_family():
    low = Factor("low", ("0", "1"), "0", when=(("mix", frozenset({"shuffle"})), ("act", frozenset({"silu"}))))

    assert families(SLOTS) == [[CONV, GROUPS, MIX], [ACT]]
    assert families([*SLOTS, low]) == [[CONV, GROUPS, MIX, ACT, low]]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(slots())
def test_an_average_over_families_is_that_over_the_whole_grid(factors):
    pairs = [(one.name, two.name) for i, one in enumerate(factors) for two in factors[i + 1 :]]
    by_family = [grid(family) for family in families(factors)]

    assert np.prod([len(rows) for rows in by_family]) == len(grid(factors))
    expected = matrix(factors, grid(factors), pairs=pairs).columns.mean(axis=0)
    assert average(factors, by_family, pairs=pairs) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("levels", "reference", "numbers", "said"),
    [
        (("a", "b"), "c", None, "unknown level of 'slot' 'c' (known: a, b)"),
        (("a", "a"), "a", None, "'slot' has a level twice: a, a"),
        (("a", "b"), "a", (1.0,), "'slot' has 2 levels and 1 numbers for them"),
    ],
)
def test_a_factor_that_cannot_be_is_refused(levels, reference, numbers, said):
    with pytest.raises(ResultsError) as caught:
        Factor("slot", levels, reference, numbers=numbers)
    assert str(caught.value) == said
