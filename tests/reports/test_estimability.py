"""What a list of settings can tell apart."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_slots_that_always_change_together_cannot_be_told_apart():
    found = estimability([A, B, C], rows("000", "110", "001", "111"))

    assert found.main == {"a": False, "b": False, "c": True}
    assert "c; not a and b" in sentences(found)[0]


def test_what_is_aliased_with_the_seed_is_not_estimable():
    assert estimability([A, B], rows("00", "01", "10", "11"), blocks=[0, 0, 1, 1]).main == {"a": False, "b": True}


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
