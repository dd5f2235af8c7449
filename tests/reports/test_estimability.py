"""What a list of settings can tell apart."""

from itertools import product

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.errors import ResultsError
from reports.estimability import estimability, sentences
from reports.factors import Factor, grid, matrix

A, B, C = (Factor(name, ("0", "1"), "0") for name in "abc")
THREE = [Factor(name, ("0", "1", "2"), "0") for name in "abcd"]
CONV = Factor("conv", ("dense", "depthwise"), "dense")
MIX = Factor("mix", ("none", "shuffle"), "none", when=(("conv", frozenset({"depthwise"})),))


def rows(*lines):
    return [dict(zip("abcd", line, strict=False)) for line in lines]


HALF = rows("000", "011", "101", "110")


def test_a_full_factorial_tells_everything_apart():
    found = estimability([A, B, C], grid([A, B, C]))

    assert all(found.main.values())
    assert all(found.pairs.values())
    assert len(found.pairs) == 3
    assert not any(found.biases.values())
    assert not found.confused
    assert found.df == 4
    assert found.unit_variance == pytest.approx(dict.fromkeys("abc", 2 / 4))


def test_in_a_half_fraction_each_slot_looks_like_the_interaction_of_the_others():
    found = estimability([A, B, C], HALF)

    assert all(found.main.values())
    assert not any(found.pairs.values())
    assert found.biases == {"a": (("b", "c"),), "b": (("a", "c"),), "c": (("a", "b"),)}
    assert "a by b × c; b by a × c; c by a × b" in " ".join(sentences(found))


def test_nine_runs_of_four_slots_with_three_levels_leave_nothing_for_the_error():
    lines = [(i, j, (i + j) % 3, (i + 2 * j) % 3) for i, j in product(range(3), repeat=2)]
    found = estimability(THREE, rows(*(tuple(map(str, line)) for line in lines)))

    assert all(found.main.values())
    assert found.df == 0


def test_one_slot_at_a_time_tells_effects_at_the_reference_alone():
    found = estimability([A, B, C], rows("000", "100", "010", "001"))

    assert found.at_reference
    assert not any(found.pairs.values())
    assert sentences(found) == [
        "Each effect is that at the reference; no interaction can be seen, as no setting changes two slots at once."
    ]


def test_a_slot_inside_another_has_no_interaction_with_it():
    found = estimability([CONV, MIX, A], grid([CONV, MIX, A]))

    assert all(found.main.values())
    assert set(found.pairs) == {("conv", "a"), ("mix", "a")}


def test_slots_that_never_stand_together_are_no_pair():
    other = Factor("other", ("x", "y"), "x", when=(("conv", frozenset({"dense"})),))
    found = estimability([CONV, MIX, other], grid([CONV, MIX, other]))

    assert all(found.main.values())
    assert not found.pairs


def test_slots_under_one_that_stays_the_same_are_slots_like_any_other():
    under = [row for row in grid([CONV, MIX, A]) if row["conv"] == "depthwise"]
    found = estimability([CONV, MIX, A], under)

    assert found.main == {"mix": True, "a": True}
    assert found.pairs == {("mix", "a"): True}
    assert estimability([CONV, MIX, A], under[:3]).pairs == {("mix", "a"): False}


def test_in_half_of_four_slots_two_interactions_look_like_each_other():
    d = Factor("d", ("0", "1"), "0")
    found = estimability([A, B, C, d], rows("0000", "0011", "0101", "0110", "1001", "1010", "1100", "1111"))

    assert all(found.pairs.values())
    assert not any(found.biases.values())
    assert found.confused["a", "b"] == (("c", "d"),)
    assert sentences(found)[-1].endswith("each other: a × b with c × d, a × c with b × d and a × d with b × c.")


def test_whatever_the_settings_it_is_said_in_six_lines():
    many = [Factor(f"slot {i}", ("0", "1", "2"), "0") for i in range(9)]
    rng = np.random.default_rng(0)
    lines = [{factor.name: str(rng.integers(3)) for factor in many} for _ in range(40)]
    said = sentences(estimability(many, lines))

    assert len(said) <= 6
    assert max(map(len, said)) < 250


def test_four_thousand_settings_are_no_burden():
    many = [Factor(f"slot {i}", ("0", "1", "2", "3"), "0") for i in range(6)]
    found = estimability(many, grid(many))

    assert all(found.pairs.values())
    assert found.df == 4096 - 19


def test_a_slot_is_not_said_to_be_moved_by_its_own_interactions():
    found = estimability([A, B], rows("00", "01", "10"))

    assert found.biases == {"a": (), "b": ()}


def test_slots_that_always_change_together_cannot_be_told_apart():
    found = estimability([A, B, C], rows("000", "110", "001", "111"))

    assert found.main == {"a": False, "b": False, "c": True}
    assert "c; not a and b" in sentences(found)[0]
    assert found.unit_variance == {"c": pytest.approx(1.0)}


def test_what_is_aliased_with_the_seed_is_not_estimable():
    assert estimability([A, B], rows("00", "01", "10", "11"), blocks=[0, 0, 1, 1]).main == {"a": False, "b": True}


@pytest.mark.parametrize(
    ("lines", "blocks", "said"),
    [
        ([], None, "there is no setting: nothing can be told apart"),
        (rows("00"), [0, 1], "there are 1 rows and 2 seeds for them"),
        (rows("02"), None, r"unknown level of 'b' '2' \(known: 0, 1\)"),
        (rows("000"), None, "unknown slot 'c'"),
    ],
)
def test_what_is_no_list_of_settings_is_refused(lines, blocks, said):
    with pytest.raises(ResultsError, match=said):
        estimability([A, B], lines, blocks=blocks)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.tuples(*[st.sampled_from("012")] * 3), min_size=12, max_size=20), st.integers(1, 3))
def test_variances_are_those_of_least_squares(lines, n_blocks):
    blocks = [i % n_blocks for i in range(len(lines))]
    found = estimability(THREE[:3], rows(*lines), blocks=blocks)
    seeds = np.array([[block == other for other in range(1, n_blocks)] for block in blocks], dtype=float)
    coded = matrix(THREE[:3], rows(*lines))
    columns = np.hstack([coded.columns, seeds.reshape(len(lines), -1)])
    if np.linalg.matrix_rank(columns) < columns.shape[1]:
        return
    covariance = sm.OLS(np.arange(len(lines)), columns).fit().normalized_cov_params

    for name in "abc":
        one, two = (i for i, term in enumerate(coded.terms) if term == (name,))
        own = covariance[one, one], covariance[two, two]
        assert found.unit_variance[name] == pytest.approx(max(*own, sum(own) - 2 * covariance[one, two]), rel=1e-9)
    assert found.df == len(lines) - columns.shape[1]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.tuples(*[st.sampled_from("012")] * 3), min_size=2, max_size=14, unique=True))
def test_a_main_effect_is_estimable_where_its_differences_lie_in_the_row_space(lines):
    factors = THREE[:3]
    found = estimability(factors, rows(*lines))

    for i, name in enumerate("abc"):
        seen = sorted({line[i] for line in lines})
        if len(seen) < 2:
            assert name not in found.main
            continue
        coded = matrix(
            [
                Factor(f.name, tuple(sorted({r[f.name] for r in rows(*lines)})), min(r[f.name] for r in rows(*lines)))
                for f in factors
            ],
            rows(*lines),
        )
        space = np.linalg.pinv(coded.columns) @ coded.columns
        own = [k for k, term in enumerate(coded.terms) if term == (name,)]
        assert found.main[name] == bool(np.allclose(space[own], np.eye(len(space))[own], atol=1e-8))


def test_a_slot_of_numbers_of_which_some_do_not_occur_is_told_apart_by_the_others():
    kernel = Factor("kernel", ("3", "5", "7"), "3", numbers=(3.0, 5.0, 7.0))

    assert estimability([A, kernel], [{"a": "0", "kernel": "3"}, {"a": "1", "kernel": "3"}, {"a": "0", "kernel": "7"}]).main == {
        "a": True, "kernel": True,
    }  # fmt: skip
