"""The calibration suite in short: fixed random states, and as much room as so few studies need."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def figures(module, row, studies):
    """Return the figures of a row, from so many studies in this process."""
    simulation = import_module("truth.simulation")
    with simulation.Crowd(0, studies=studies) as crowd:
        return list(getattr(import_module(f"truth.{module}"), row)(crowd))


def missed(figure):
    """Tell whether a figure falls short by more than three standard errors of so few studies."""
    # A share of no study or of all has no error to be seen: then one study more or less is its error.
    room = 3 * max(figure.error or 0, 1 / figure.n)
    low = figure.least is not None and figure.measured < figure.least - room
    return low or (figure.most is not None and figure.measured > figure.most + room)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "row", "studies"),
    [
        ("comparisons", "false_verdicts", 400),
        ("comparisons", "coverage", 200),
        ("comparisons", "power", 300),
        ("comparisons", "equivalence", 100),
        ("comparisons", "calibration", 300),
        ("planted", "planted", 4),
    ],
)
def test_a_short_run_of_each_row_reaches_what_is_asked(module, row, studies):
    told = figures(module, row, studies)

    assert any(figure.least is not None or figure.most is not None for figure in told)
    assert all(np.isfinite(figure.measured) for figure in told)
    assert [figure for figure in told if missed(figure)] == []


def means(module, study, case, studies):
    """Return the mean of each figure, and room for it: three standard errors of so few studies."""
    simulation = import_module("truth.simulation")
    with simulation.Crowd(0) as crowd:
        told = crowd.repeat(getattr(import_module(f"truth.{module}"), study), case, studies)
    return told.mean(), 3 * told.sem()


@pytest.mark.slow
def test_intervals_of_slot_effects_hold_them_where_tpe_chose_the_settings():
    slots = import_module("truth.slots")

    told, room = means("slots", "searched", slots.Searched(40, 0.0), 25)

    assert told["covered"] > 0.9 - room["covered"]
    assert told["adjusted"] < told["raw"]


@pytest.mark.slow
def test_seeds_until_decided_save_runs_and_keep_power_and_false_verdicts_where_they_are():
    adaptive = import_module("truth.adaptive")

    null, room = means("adaptive", "decided", adaptive.Case(adaptive.NULL), 250)
    assert 1 - null["runs"] > 0.38 - room["runs"]
    assert null["false, adaptive"] < 0.05 + room["false, adaptive"]

    unequal, room = means("adaptive", "decided", adaptive.Case(adaptive.UNEQUAL), 150)
    assert 1 - unequal["runs"] > 0.18 - room["runs"]
    assert unequal["found, adaptive"] > unequal["found, fixed"] - room["found, adaptive"]


@pytest.mark.slow
def test_a_race_chooses_one_of_the_best_with_fewer_runs():
    adaptive = import_module("truth.adaptive")

    told, room = means("adaptive", "raced", adaptive.Case(adaptive.Truth((0.0,) * 6, 5), drawn=6), 500)

    assert told["right, adaptive"] > 0.92 - room["right, adaptive"]
    assert 1 - told["runs"] > 0.34 - room["runs"]


@pytest.mark.slow
def test_one_command_prints_a_row_of_the_table_a_figure_and_ends_with_a_line_of_json():
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "truth"), "--only", "power", "--studies", "4", "--workers", "2"],
        capture_output=True, encoding="utf-8", timeout=120,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    told = json.loads(last)
    assert [line.split(" | ")[0] for line in lines if line.startswith("| ")][1:] == [
        f"| {figure['what']}" for figure in told["figures"]
    ]
    assert told["seconds"].keys() == {"power"}


@pytest.mark.slow
def test_figures_do_not_depend_on_the_number_of_processes():
    simulation, comparisons = import_module("truth.simulation"), import_module("truth.comparisons")
    truth = simulation.Truth((0.0, 0.5, 0.5), 4)

    told = []
    for workers in (0, 2):
        with simulation.Crowd(workers) as crowd:
            told.append(crowd.repeat(comparisons.paired, truth, 37))

    pd.testing.assert_frame_equal(*told, check_exact=True)


@pytest.mark.parametrize(
    ("bounds", "cells", "reached"),
    [
        ({}, "", ""),
        ({"least": 0.94, "most": 0.96}, "94.0 % to 96.0 %", "yes"),
        ({"most": 0.94}, "≤ 94.0 %", "near"),
        ({"least": 0.9701}, "≥ 97.0 %", "no"),
    ],
)
def test_a_figure_says_what_is_asked_and_whether_it_is_reached(bounds, cells, reached):
    simulation = import_module("truth.simulation")

    figure = simulation.Figure("coverage", 0.95, 0.01, 1234, **bounds)

    assert figure.cells == ("coverage", cells, "95.00 % ± 1.00 %", "1,234", reached)


def test_a_mean_leaves_out_studies_that_have_no_value():
    simulation = import_module("truth.simulation")

    figure = simulation.mean("power", pd.Series([1.0, 0.0, np.nan, 1.0, 0.0]))

    # Standard deviation sqrt(1/3) of 1, 0, 1, 0; over the root of four.
    assert (figure.measured, figure.n) == (0.5, 4)
    assert figure.error == pytest.approx(np.sqrt(1 / 3) / 2)


def test_drawn_scores_have_the_means_deviations_and_correlation_of_their_truth():
    simulation = import_module("truth.simulation")
    truth = simulation.Truth((1.0, 2.0, 4.0), 200_000)

    scores = truth.scores(np.random.default_rng(0))

    assert scores.mean(axis=1) == pytest.approx([1, 2, 4], abs=0.005)
    assert scores.std(axis=1) == pytest.approx(simulation.SIGMA, rel=0.01)
    assert np.corrcoef(scores)[np.triu_indices(3, 1)] == pytest.approx(simulation.RHO, abs=0.01)


def test_runs_are_missing_at_the_rate_of_their_truth():
    simulation = import_module("truth.simulation")

    frame = simulation.Truth((0.0, 0.0), 20_000, missing=0.2).frame(np.random.default_rng(0))

    assert len(frame) == pytest.approx(32_000, rel=0.01)
    assert frame["score"].notna().all()


def test_separate_tests_are_those_of_scipy_with_the_correction_of_statsmodels():
    simulation, comparisons = import_module("truth.simulation"), import_module("truth.comparisons")
    truth = simulation.Truth((0.0, 0.8, 0.8, 0.8, 0.0), 5)

    for state in range(8):
        scores = truth.scores(np.random.default_rng(state))
        p = [stats.ttest_rel(row, scores[0]).pvalue for row in scores[1:]]
        rejected = multipletests(p, method="holm")[0][:3]

        assert comparisons.paired(truth, np.random.default_rng(state))["found"] == pytest.approx(rejected.mean())


def test_variances_of_differences_from_shared_and_from_different_seeds_are_those_worked_by_hand():
    pairing = import_module("truth.pairing")
    scores = pd.DataFrame([[0.0, 3.0, 6.0], [1.0, 4.0, 7.0]])

    # Shared: −1, −1, −1. Shifted by one: 0−7, 3−1, 6−4 = −7, 2, 2, variance 27; by two: 0−4, 3−7, 6−1 = −4, −4, 5.
    assert pairing.variances(scores) == (0.0, 27.0)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    pairing = import_module("truth.pairing")
    scores = pd.DataFrame([[1.0, 2.0, 4.0, 9.0]])

    error = pairing.jackknife(lambda left: float(left.to_numpy().mean()), scores)

    assert error == pytest.approx(stats.sem([1, 2, 4, 9]))


def test_planted_scores_are_effects_and_one_interaction():
    planted = import_module("truth.planted")
    reference = {"learning_rate": 0.1, "label_smoothing": 0.0, "weight_decay": 0.0}

    def effect(**levels):
        return round(planted.expected({**reference, **levels}) - planted.expected(reference), 9)

    assert effect(learning_rate=0.2) == 0.010
    assert effect(label_smoothing=0.1) == -0.008
    assert effect(weight_decay=0.1) == effect(learning_rate=0.3) == 0
    assert effect(learning_rate=0.3, label_smoothing=0.1) == 0.004
