"""The tables that show a comparison in another way: components, path, pairs, cost, and two studies."""

import pytest

from reports import ResultsError
from reports.tables import Metric, components_table, cost_table, pairs_table, path_table
from reports.tables.studies import studies_table

NOISE = [0.004, -0.004, 0.002, -0.003, 0.001]
CHOICES = {
    "reference": {"attention": "none", "norm": "batch"},
    "attention=se": {"attention": "se", "norm": "batch"},
    "norm=group": {"attention": "none", "norm": "group"},
    "both": {"attention": "se", "norm": "group"},
}
MEANS = {"reference": 0.90, "attention=se": 0.92, "norm=group": 0.89, "both": 0.95}


def scores(means, sign=1):
    return {
        label: [mean + (sign if i % 2 else -sign) * one for one in NOISE]
        for i, (label, mean) in enumerate(means.items())
    }


@pytest.fixture
def varied(analysis, runs):
    """Return a function that analyses settings of two slots."""

    def make(means=MEANS, choices=CHOICES, study="attention", **changes):
        frame = runs(scores(means), study=study).drop(columns="slot.attention")
        for slot in ("attention", "norm"):
            frame[f"slot.{slot}"] = [choices[label].get(slot) for label in frame["setting"]]
        given = {"slots": ["attention", "norm"], "choices": choices, "reference": next(iter(means)), "study": study}
        return analysis(frame, **(given | changes))

    return make


def column(table, header, group=None):
    return next(list(one.cells) for one in table.body if one.header == header and (group is None or one.group == group))


def test_components_are_ticked_where_a_setting_has_what_the_reference_lacks(varied):
    table = components_table(varied())

    assert column(table, "se", "attention") == ["✗", "✓", "✗", "✓"]
    assert column(table, "group", "norm") == ["✗", "✗", "✓", "✓"]
    assert column(table, "") == ["(a)", "(b)", "(c)", "(d)"]
    assert table.shaded == {3}
    assert table.notes == ("Row (a) is the reference, 'reference'.",)


def test_of_a_full_model_components_are_ticked_where_they_are_left(varied):
    order = {label: MEANS[label] for label in ("both", "attention=se", "norm=group")}

    table = components_table(varied(order, design="leave-one-out"))

    assert column(table, "se", "attention") == ["✓", "✓", "✗"]
    assert column(table, "group", "norm") == ["✓", "✗", "✓"]
    assert table.shaded == {0}


def test_a_slot_that_does_not_exist_is_neither_ticked_nor_crossed(varied):
    choices = CHOICES | {"norm=group": {"norm": "group"}}

    assert column(components_table(varied(choices=choices)), "se") == ["✗", "✓", "–", "✓"]


def test_one_slot_alone_has_no_component_table(analysis, five_blocks):
    assert components_table(analysis(five_blocks)) is None


def test_a_path_gives_each_step_beside_the_row_above_and_beside_the_first(varied):
    order = {label: MEANS[label] for label in ("reference", "attention=se", "both")}
    against = {"attention=se": "reference", "both": "attention=se"}

    table = path_table(varied(order, design="cumulative", against=against))

    assert [cell.split(" ")[0] for cell in table.body[2].cells] == ["reference", "+2.00", "+3.00"]
    assert column(table, "Δ total pp") == ["reference", "+2.00", "+5.00"]
    assert table.notes == ("All 2 steps together: +5.00 pp from 'reference' to 'both'.",)
    assert table.frame["total"].tolist()[1:] == pytest.approx([0.02, 0.05])


def test_only_cumulative_designs_have_a_path(varied):
    assert path_table(varied()) is None


def test_pairs_are_row_minus_column_and_starred_where_they_are_told_apart(varied):
    table = pairs_table(varied())

    assert table.columns == ("", *MEANS)
    assert column(table, "reference") == ["–", "+2.00*", "−1.00*", "+5.00*"]
    assert column(table, "both") == ["−5.00*", "−3.00*", "−6.00*", "–"]
    assert table.body[1].emphasis == {1: "better", 2: "worse", 3: "better"}
    assert "Holm's correction over all 6 pairs" in table.caption
    assert table.notes == ("Every pair is told apart.",)


def test_pairs_that_are_equivalent_are_marked_so(varied):
    near = {"reference": 0.9, "attention=se": 0.9001, "norm=group": 0.95}

    assert column(pairs_table(varied(near, practical=0.02)), "reference") == ["–", "+0.01≈", "+5.00*"]


def test_two_settings_or_untested_ones_have_no_matrix(varied, analysis):
    assert pairs_table(varied({"reference": 0.9, "both": 0.95})) is None
    assert pairs_table(analysis({"none": [0.9], "se": [0.91], "eca": [0.92]})) is None


def test_cost_stands_beside_quality_with_a_star_for_what_is_worth_it(varied):
    table = cost_table(varied({"reference": 0.90, "norm=group": 0.89, "both": 0.95}))

    assert column(table, "front") == ["★", "", "★"]
    assert column(table, "Δ latency %") == ["–", "+11.9", "+23.8"]
    assert table.notes == ("Worth their latency: 'reference' and 'both'.",)
    assert table.frame["pareto"].tolist() == [True, False, True]


def test_settings_of_one_cost_have_no_cost_table(analysis, runs, five_blocks):
    frame = runs(five_blocks).assign(params=1.0, macs=1.0, latency_ms=1.0)

    assert cost_table(analysis(frame)) is None


def test_two_studies_are_compared_over_what_they_share(varied):
    later = {"norm=group": 0.94, "reference": 0.90, "attention=se": 0.92}

    table = studies_table(varied(), varied(later, study="later", reference="reference"))

    assert column(table, "setting") == ["reference", "attention=se", "norm=group"]
    assert [cell.split(" ")[0] for cell in table.body[5].cells] == ["0.00", "0.00", "+5.00"]
    assert column(table, "verdict") == ["inconclusive", "inconclusive", "better"]
    assert table.notes[0] == "The studies differ for 'norm=group'."
    assert "Better in one study and worse in the other than the reference: 'norm=group'." in table.notes
    assert "Only in 'attention': 'both'." in table.notes


def test_studies_share_settings_whatever_they_are_called(varied, analysis, runs):
    one_slot = {"none": 0.9, "se": 0.92}
    other = analysis(
        runs(scores(one_slot), study="small"), study="small",
        choices={label: {"attention": label} for label in one_slot},
    )  # fmt: skip

    table = studies_table(varied(), other)

    assert column(table, "setting") == ["reference", "attention=se"]


def test_a_setting_that_differs_elsewhere_too_is_not_shared(varied, analysis, runs):
    one_slot = {"none": 0.9, "se": 0.92}
    other = analysis(
        runs(scores(one_slot), study="small"), study="small",
        choices={label: {"attention": label} for label in one_slot},
    )  # fmt: skip
    order = {label: MEANS[label] for label in ("reference", "both", "attention=se")}

    assert column(studies_table(varied(order), other), "setting") == ["reference", "attention=se"]


def test_studies_without_a_common_setting_or_metric_are_refused(varied, analysis, runs, five_blocks):
    other = analysis(runs(five_blocks, study="small"), study="small", choices={})
    loss = varied(study="loss", metric=Metric("accuracy", higher_is_better=False))

    with pytest.raises(ResultsError, match="'attention' and 'small' have no setting in common: the first varies"):
        studies_table(varied(), other)
    with pytest.raises(
        ResultsError, match="judged by different metrics: 'attention' by accuracy %, 'loss' by accuracy"
    ):
        studies_table(varied(), loss)
    with pytest.raises(ResultsError, match="compared with itself"):
        studies_table(varied(), varied())
