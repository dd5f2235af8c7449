import pytest

from reports.ranks import legend, ranked, tie_groups
from reports.sequential import Looks

APART = {
    "none": [0.901, 0.907, 0.896, 0.912, 0.899],
    "se": [0.931, 0.936, 0.927, 0.941, 0.930],
    "cbam": [0.961, 0.968, 0.955, 0.972, 0.960],
}


def test_settings_that_can_all_be_told_apart_have_a_best_and_a_second(analysis):
    found = analysis(APART)

    assert tie_groups(found) == [["cbam"], ["se"], ["none"]]
    assert ranked(found) == {"cbam": "best", "se": "second"}
    assert legend(found) == (
        "Bold: the best, told from every setting that is not bold at 5 % after Holm's correction over all 3 pairs. "
        "Underlined: the next best."
    )


def test_of_a_lower_is_better_metric_the_smallest_is_the_best(analysis):
    from reports.tables import Metric

    found = analysis(APART, metric=Metric("accuracy", higher_is_better=False, unit="fraction"))

    assert ranked(found) == {"none": "best", "se": "second"}


def test_settings_that_tie_with_the_best_are_bold_with_it(analysis):
    found = analysis(APART | {"twin": [0.960, 0.967, 0.957, 0.971, 0.9601]})

    assert ranked(found) == {"cbam": "best", "twin": "best", "se": "second"}
    assert "'cbam' and 'twin' cannot be told from each other" in legend(found)


def test_nothing_is_bold_where_a_chain_of_ties_links_all(analysis):
    noise = [0.004, -0.004, 0.002, -0.003, 0.001]
    steps = {f"s{i}": [0.9 + 0.002 * i + sign * one for one in noise] for i, sign in enumerate((1, -1, 1, -1, 1, -1))}
    found = analysis(steps, reference="s0")

    assert len(tie_groups(found)) == 1
    assert ranked(found) == {}
    assert legend(found).startswith("Nothing is bold: no setting, or group of them, can be told from all others at 5 %")


@pytest.mark.parametrize("scores", [{"none": [0.9], "se": [0.95]}, {"none": [None] * 3, "se": [0.9] * 3}])
def test_what_is_not_tested_has_no_rank(analysis, scores):
    found = analysis(scores)

    assert (ranked(found), legend(found)) == ({}, "")


def test_a_failed_setting_has_no_rank_however_good_its_other_seeds(analysis):
    found = analysis(APART | {"eca": [0.99, None, 0.99, 0.99, 0.99]})

    assert "eca" not in ranked(found)


def test_adaptive_seeds_leave_no_ranks(analysis):
    assert analysis(APART, looks=Looks(2, 5)).pairs is None
    assert ranked(analysis(APART, looks=Looks(2, 5))) == {}
