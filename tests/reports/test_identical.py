import pytest

from reports.identical import identical

SAME = [0.9, 0.91, 0.92]
OTHER = [0.9, 0.91, 0.9200000000000002]


def names(frame, **options):
    return identical(frame, settings=list(dict.fromkeys(frame["setting"])), **options)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"none": SAME, "a": OTHER}, []),
        ({"none": OTHER, "a": SAME, "b": SAME, "c": SAME}, [("a", "b", "c")]),
        ({"none": SAME, "a": OTHER, "b": SAME, "c": OTHER}, [("none", "b"), ("a", "c")]),
        ({"none": SAME, "a": [0.9, 0.91, ...]}, [("none", "a")]),
        ({"none": SAME, "a": [0.9, ..., ...]}, []),
        ({"none": SAME, "a": [0.9, 0.91, None]}, [("none", "a")]),
        # The second agrees with both others on what it shares with them; these two do not.
        ({"none": [0.9, 0.91, 0.5], "a": [0.9, 0.91, ...], "b": [0.9, 0.91, 0.6]}, [("none", "a")]),
    ],
)
def test_settings_that_agree_on_all_shared_seeds_are_grouped(runs, scores, expected):
    assert names(runs(scores)) == expected


def test_every_score_must_agree_and_costs_do_not_count(runs):
    frame = runs({"none": SAME, "a": SAME})

    assert names(frame.assign(loss=range(6), seconds=range(6))) == []
    assert names(frame.assign(loss=0.5, seconds=range(6), started=range(6), latency_ms=range(6))) == [("none", "a")]


def test_a_score_that_one_setting_lacks_does_not_count(runs):
    frame = runs({"none": SAME, "a": SAME}).assign(loss=[0.1, 0.2, 0.3, None, None, None])

    assert names(frame) == [("none", "a")]


def test_a_a_pairs_are_not_called_identical(runs):
    frame = runs({"none": SAME, "control": SAME, "a": SAME})

    assert names(frame, apart=[("none", "control")]) == [("none", "a")]
