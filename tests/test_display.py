import io
from pathlib import Path

import pytest

from ablate import config, display
from ablate.place import Place
from ablate.progress import Outcome, Progress
from ablate.study import Choice, Metric, Run, RunState, Setting, Trial

ACCURACY = Metric("accuracy", unit="fraction")


@pytest.fixture
def tiny():
    return config.read_study("tiny")


def stream(encoding):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


def ended(state=RunState.COMPLETE, error=""):
    trial = Trial(Setting((("attention", Choice("se")),), label="se"), 3, "")
    return Run(trial, state, {"accuracy": [0.5, 0.96249]}, seconds=2.25, error=error)


def test_what_a_terminal_can_show_is_left_as_it_is():
    assert display.printable("Δ −0.33 ± 0.42 哪种", stream("utf-8")) == "Δ −0.33 ± 0.42 哪种"


@pytest.mark.parametrize(
    ("encoding", "shown"), [("gbk", "Δ -0.33 ± 0.42 哪种 2 +"), ("ascii", "d -0.33 +/- 0.42 ?? 2 +")]
)
def test_what_a_terminal_cannot_show_becomes_something_that_reads_the_same(encoding, shown):
    assert display.printable("Δ −0.33 ± 0.42 哪种 ² †", stream(encoding)) == shown


def test_a_complete_run_is_a_line_with_its_score_the_best_and_the_time_left():
    progress = Progress(ended(), 7, 0, 25, best=("eca", 0.97), seconds_left=61.2)

    assert display.line(progress, ACCURACY) == (
        "7/25  se, seed 3: accuracy 96.25 % (2.2 s); best so far eca 97.00 %; 1 min 01 s left"
    )


def test_a_failed_run_is_a_line_with_the_last_line_of_its_error():
    progress = Progress(ended(RunState.FAILED, "Traceback\n  ...\nValueError: no\n"), 7, 1, 25)

    assert display.line(progress, ACCURACY) == "7/25  se, seed 3: failed: ValueError: no (2.2 s)"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.2, "0 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (3 * 3600 + 300, "3 h 05 min")]
)
def test_durations_read_as_people_say_them(seconds, shown):
    assert display.duration(seconds) == shown


def test_a_score_that_is_no_fraction_is_not_shown_in_percent():
    assert display.score(0.12345, Metric("loss", higher_is_better=False)) == "0.1235"


def test_nothing_is_said_of_a_study_that_ran_as_it_was_asked_to(tiny):
    assert not list(display.concerns(tiny, Place(Path("runs")), Outcome(3, 3)))


def test_everything_a_user_must_know_of_a_study_is_said_with_where_to_look(tiny):
    outcome = Outcome(3, 0, [ended(RunState.FAILED, "ValueError: x")], n_waiting=2, is_edited=True, n_restarted=1)

    failed, away, edited, missing = display.concerns(tiny, Place(Path("runs"), "http://host:5000"), outcome)

    assert failed == "1 trial failed; see: ablate status tiny"
    assert away.startswith("http://host:5000 is away: 2 runs wait in runs/tiny/spool; ")
    assert "was edited while it ran" in edited
    assert missing.startswith(
        "1 trial that had begun started again, as checkpoints are missing in runs/tiny/checkpoints"
    )


def test_columns_are_aligned_words_to_the_left_and_numbers_to_the_right():
    assert display.columns([("setting", "complete"), ("se", "5"), ("coordinate", "12")]) == (
        "setting     complete\nse                 5\ncoordinate        12"
    )
