import pytest

from reports.pareto import cost_of_front, front

NOISE = [0.004, -0.004, 0.002, -0.003, 0.001]


def priced(analysis, runs, scores, **costs):
    frame = runs(scores)
    for name, values in costs.items():
        frame[name] = [values[label] for label in frame["setting"]]
    return analysis(frame)


def scores(**means):
    return {
        label: [mean + (1 if i % 2 else -1) * one for one in NOISE] for i, (label, mean) in enumerate(means.items())
    }


def test_a_dearer_setting_stays_only_if_it_is_better_for_sure(analysis, runs):
    found = priced(
        analysis, runs, scores(none=0.90, se=0.901, cbam=0.95), macs={"none": 10.0, "se": 11.0, "cbam": 20.0}
    )

    assert front(found, "macs") == ["none", "cbam"]


def test_a_cheaper_setting_that_is_worse_for_sure_does_not_push_a_better_one_out(analysis, runs):
    found = priced(analysis, runs, scores(none=0.95, se=0.90), macs={"none": 20.0, "se": 10.0})

    assert front(found, "macs") == ["none", "se"]


def test_of_equal_cost_only_a_sure_difference_counts(analysis, runs):
    costs = {"none": 10.0, "se": 10.0, "cbam": 10.0}
    found = priced(analysis, runs, scores(none=0.90, se=0.95, cbam=0.9501), macs=costs)

    assert front(found, "macs") == ["se", "cbam"]


def test_without_a_test_the_means_decide(analysis, runs):
    found = priced(analysis, runs, {"none": [0.90], "se": [0.91]}, macs={"none": 10.0, "se": 10.0})

    assert front(found, "macs") == ["se"]


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ({"latency_ms": {"none": 1.0, "se": 2.0}}, "latency_ms"),
        ({"latency_ms": {"none": 1.0, "se": None}}, "macs"),
        ({"latency_ms": {"none": None, "se": None}, "macs": {"none": 5.0, "se": 5.0}}, "params"),
    ],
)
def test_settings_are_weighed_by_the_first_cost_that_all_have_and_that_differs(analysis, runs, costs, expected):
    assert cost_of_front(priced(analysis, runs, scores(none=0.9, se=0.91), **costs)) == expected


def test_a_failed_setting_is_not_on_the_front(analysis, runs):
    found = priced(
        analysis, runs, scores(none=0.9) | {"se": [0.99, None, 0.99, 0.99, 0.99]}, macs={"none": 10.0, "se": 1.0}
    )

    assert front(found, "macs") == ["none"]
