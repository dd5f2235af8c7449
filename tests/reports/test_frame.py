import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from reports import ResultsError
from reports.frame import check, complete, complete_seeds, failed_seeds, score_columns, tally

SCORES = {"none": [0.9, 0.91], "se": [0.92, 0.93]}


def test_a_sound_frame_passes(runs):
    check(runs(SCORES), metrics=["accuracy"])


def test_a_missing_metric_is_named_with_its_nearest_match(runs):
    with pytest.raises(ResultsError, match=r"unknown column 'acuracy'; did you mean 'accuracy'\?"):
        check(runs(SCORES), metrics=["acuracy"])


@pytest.mark.parametrize("column", ["study", "setting", "seed", "state"])
def test_a_missing_column_is_named(runs, column):
    with pytest.raises(ResultsError, match=f"unknown column '{column}'"):
        check(runs(SCORES).drop(columns=column), metrics=["accuracy"])


def test_an_unknown_state_is_named(runs):
    with pytest.raises(ResultsError, match=r"unknown state 'done' \(known: complete, failed"):
        check(runs(SCORES).assign(state="done"), metrics=["accuracy"])


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf, 1e300, None, "high"])
def test_a_complete_run_without_a_finite_score_is_named(runs, score):
    frame = runs(SCORES).astype({"accuracy": object})
    frame.loc[3, "accuracy"] = score

    with pytest.raises(ResultsError, match=r"column 'accuracy' holds .* setting 'se', seed 1;"):
        check(frame, metrics=["accuracy"])


def test_a_failed_run_needs_no_score(runs):
    check(runs({"none": [0.9, None]}), metrics=["accuracy"])


def test_two_complete_runs_of_one_trial_are_named(runs):
    frame = runs(SCORES)

    with pytest.raises(ResultsError, match="setting 'se', seed 0 has more than one complete run"):
        check(pd.concat([frame, frame.iloc[[2]]]), metrics=["accuracy"])


def test_an_earlier_attempt_beside_a_complete_run_is_no_duplicate(runs):
    frame = pd.concat([runs(SCORES), runs({"se": [None]})], ignore_index=True)

    check(frame, metrics=["accuracy"])
    assert failed_seeds(frame) == {}


@pytest.mark.parametrize("column", ["setting", "seed"])
def test_a_row_without_a_trial_is_refused(runs, column):
    frame = runs(SCORES).astype({"seed": "Int64"})
    frame.loc[0, column] = None

    with pytest.raises(ResultsError, match=f"column '{column}' is empty in 1 rows"):
        check(frame, metrics=["accuracy"])


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("seed", "0", "column 'seed' holds '0'; a seed is a whole number"),
        ("seed", 0.5, "column 'seed' holds 0.5; a seed is a whole number"),
        ("seed", True, "column 'seed' holds True; a seed is a whole number"),
        ("study", None, "column 'study' is empty in 1 rows"),
        ("state", None, "unknown state 'n"),
        ("state", 3, "unknown state '3'"),
        ("accuracy", "0.9", "column 'accuracy' holds '0.9' .* a score is a finite number, not text"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(runs, column, value, message):
    frame = runs(SCORES).astype({column: object})
    frame.loc[0, column] = value

    with pytest.raises(ResultsError, match=f"(?i){message}"):
        check(frame, metrics=["accuracy"])


def test_whole_seeds_may_be_floats(runs):
    frame = runs(SCORES).astype({"seed": float})

    check(frame, metrics=["accuracy"])
    assert complete_seeds(frame) == {"none": (0, 1), "se": (0, 1)}


def test_a_column_that_is_there_twice_is_refused(runs):
    frame = runs(SCORES)

    with pytest.raises(ResultsError, match="the frame has 2 columns 'accuracy'; there must be one"):
        check(pd.concat([frame, frame[["accuracy"]]], axis=1), metrics=["accuracy"])


def test_an_empty_frame_lacks_its_columns():
    with pytest.raises(ResultsError, match=r"unknown column 'study' \(known: none\)"):
        check(pd.DataFrame(), metrics=["accuracy"])


def test_scores_are_the_numbers_that_are_neither_costs_nor_records(runs):
    frame = runs(SCORES).assign(loss=0.5, seconds=1.0, started=2.0, note="x")

    assert score_columns(frame) == ["accuracy", "loss"]


def test_the_tally_has_the_complete_runs_alone(runs):
    assert tally(runs({"none": [0.9, None], "se": [..., 0.8]}), "accuracy") == {"none": {0: 0.9}, "se": {1: 0.8}}


def test_labels_that_were_read_as_numbers_are_refused(runs):
    with pytest.raises(ResultsError, match="column 'setting' holds 3; a label is text"):
        check(runs({3: [0.9]}), metrics=["accuracy"])


def test_two_studies_are_not_mixed(runs):
    frame = pd.concat([runs(SCORES), runs(SCORES, study="norm")])

    with pytest.raises(ResultsError, match="mixes the studies 'attention', 'norm'"):
        check(frame, metrics=["accuracy"])


def test_a_seed_failed_if_no_attempt_at_it_is_complete(runs):
    frame = runs({"none": [0.9, 0.9, 0.9], "se": [None, 0.9, None]})
    killed = frame.iloc[[0]].assign(setting="eca", state="killed")
    frame = pd.concat([frame, killed])

    assert failed_seeds(frame) == {"se": (0, 2)}
    assert complete_seeds(frame) == {"none": (0, 1, 2), "se": (1,)}
    assert len(complete(frame)) == 4


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, reports; print([m for m in ('pandas', 'numpy', 'scipy', 'statsmodels') if m in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
