"""A/A pairs and secondary metrics: contrasts outside the family of the main comparisons."""

import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from reports import ResultsError
from reports.contrasts import compare, compare_secondary
from reports.power import detectable

# Worked by hand: settings 3, seeds 3; residuals in units of 1/300 are -1 -2 3, 2 1 -3, -1 1 0.
BY_HAND = {"none": [0.80, 0.82, 0.84], "a": [0.83, 0.85, 0.84], "b": [0.79, 0.82, 0.82]}


def compared(frame, **options):
    return compare(frame, **({"metric": "accuracy", "reference": "none"} | options))


def by_setting(comparison):
    return {contrast.setting: contrast for contrast in comparison.contrasts}


def test_the_twin_of_a_setting_is_tested_outside_the_family(runs, five_blocks):
    twin = {**five_blocks, "control": [score + 0.001 for score in five_blocks["none"]]}
    with_twin = compare(runs(twin), metric="accuracy", reference="none", calibration=[("none", "control")])

    assert "control" not in {contrast.setting for contrast in with_twin.contrasts}
    (check,) = with_twin.calibration
    assert (check.setting, check.against) == ("control", "none")
    assert check.p_adjusted == pytest.approx(check.p)
    assert with_twin.n_tests == 4


def test_each_of_several_pairs_is_tested_at_its_share_of_the_level(runs, five_blocks):
    twins = {**five_blocks, "a": five_blocks["none"][::-1], "b": five_blocks["se"][::-1]}
    found = compare(runs(twins), metric="accuracy", reference="none", calibration=[("none", "a"), ("se", "b")])

    for check in found.calibration:
        assert check.p_adjusted == pytest.approx(min(1.0, 2 * check.p))


AA = BY_HAND | {"control": [0.81, 0.81, 0.84]}


def test_the_runs_of_a_twin_count_in_the_variance(runs):
    comparison, alone = compared(runs(AA), calibration=[("none", "control")]), compared(runs(AA))

    assert (comparison.df, comparison.sd) == (alone.df, alone.sd)
    assert comparison.calibration[0].p == by_setting(alone)["control"].p


def test_two_ordinary_settings_may_be_an_a_a_pair_besides(runs):
    comparison = compared(runs(AA), against={"b": "none"}, calibration=[("a", "b"), ("none", "control")])

    assert [(c.setting, c.against) for c in comparison.contrasts] == [("a", "none"), ("b", "none")]
    assert [(c.setting, c.against) for c in comparison.calibration] == [("b", "a"), ("control", "none")]


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("none", "kontrol"), "unknown setting 'kontrol'; did you mean 'control'.* in an A/A pair"),
        (("a", "none"), "the reference 'none' must stand first in an A/A pair; before it stands 'a'"),
        (("a", "a"), "setting 'a' would be contrasted with itself, asked for in an A/A pair"),
    ],
)
def test_an_a_a_pair_that_cannot_be_meant_is_refused(runs, pair, message):
    with pytest.raises(ResultsError, match=message):
        compared(runs(AA), calibration=[pair])


def test_secondary_metrics_are_one_family_without_the_twins(runs):
    frame = runs(AA)
    rng = np.random.default_rng(2)
    frame["loss"] = 1 - frame["accuracy"] + rng.normal(0, 0.01, len(frame))
    frame["f1"] = frame["accuracy"] + rng.normal(0, 0.001, len(frame))
    pairs = [("none", "control")]

    loss, f1 = compare_secondary(
        frame, higher_is_better={"loss": False, "f1": True}, reference="none", calibration=pairs
    )

    tested = [*loss.contrasts, *f1.contrasts]
    assert [c.setting for c in tested] == ["a", "b", "a", "b"]
    assert [c.p_adjusted for c in tested] == pytest.approx(list(multipletests([c.p for c in tested], method="holm")[1]))
    assert [c.p for c in loss.contrasts] == [c.p for c in compared(frame, metric="loss", calibration=pairs).contrasts]
    assert (loss.n_tests, loss.higher_is_better, f1.metric) == (4, False, "f1")
    assert f1.contrasts[0].detectable == pytest.approx(f1.sd * math.sqrt(2 / 3) * detectable(f1.df, 0.05 / 4))
