"""Which settings each design lists, and what each is contrasted with."""

from pathlib import Path

import pytest

from ablate import config, design
from ablate.errors import StudyError
from ablate.study import Choice, Slot, Study

CONDITIONAL = """
  conv: [dense, {grouped: {groups: [2, 4]}}, depthwise]
  mix: {choices: [none, pointwise, shuffle], when: {conv: [grouped, depthwise]}}
"""
CHAIN = """
  conv: [dense, depthwise]
  mix: {choices: [none, pointwise], when: {conv: depthwise}}
  recipe.label_smoothing: {choices: [0.0, 0.1], when: {mix: pointwise}}
"""


def plan(slots, rule="one-at-a-time", reference="{}"):
    text = f"network: resnet\ndata: digits\nslots: {slots}\ndesign: {rule}\nreference: {reference}\n"
    return design.plan(config.parse_study(text, path=Path("s.yml")))


def labels(planned):
    return [setting.label for setting in planned.settings]


def test_one_at_a_time_is_the_reference_and_each_other_choice_of_each_slot():
    planned = plan("{attention: [none, se, eca], kernel: [3, 5]}", reference="{attention: se}")

    assert labels(planned) == ["reference", "attention=none", "attention=eca", "kernel=5"]
    assert planned.against == dict.fromkeys(labels(planned)[1:], "reference")
    assert planned.reference["attention"].label == "se"


def test_with_a_single_slot_a_setting_is_called_as_its_choice():
    planned = plan("{attention: [none, se, eca]}", reference="{attention: se}")

    assert labels(planned) == ["se", "none", "eca"]
    assert planned.against == {"none": "se", "eca": "se"}


def test_a_conditional_slot_is_varied_under_every_choice_that_makes_it_exist_against_that_row():
    planned = plan(CONDITIONAL)

    assert planned.against == {
        "conv=grouped(groups=2)": "reference",
        "conv=grouped(groups=4)": "reference",
        "conv=depthwise": "reference",
        "conv=grouped(groups=2), mix=pointwise": "conv=grouped(groups=2)",
        "conv=grouped(groups=2), mix=shuffle": "conv=grouped(groups=2)",
        "conv=grouped(groups=4), mix=pointwise": "conv=grouped(groups=4)",
        "conv=grouped(groups=4), mix=shuffle": "conv=grouped(groups=4)",
        "conv=depthwise, mix=pointwise": "conv=depthwise",
        "conv=depthwise, mix=shuffle": "conv=depthwise",
    }
    assert "mix" not in planned.reference


def test_a_conditional_slot_that_exists_at_the_reference_is_varied_there_too():
    planned = plan(CONDITIONAL, reference="{conv: depthwise, mix: shuffle}")

    assert planned.against["mix=pointwise"] == "reference"
    assert planned.against["conv=grouped(groups=2), mix=none"] == "conv=grouped(groups=2)"
    assert planned.against["conv=dense"] == "reference"


def test_conditions_that_chain_give_contrasts_that_chain():
    planned = plan(CHAIN)

    assert planned.against == {
        "conv=depthwise": "reference",
        "conv=depthwise, mix=pointwise": "conv=depthwise",
        "conv=depthwise, mix=pointwise, recipe.label_smoothing=0.1": "conv=depthwise, mix=pointwise",
    }
    assert [setting.label for setting in planned.start_of(planned.settings[-1])] == [
        "reference", "conv=depthwise", "conv=depthwise, mix=pointwise",
        "conv=depthwise, mix=pointwise, recipe.label_smoothing=0.1",
    ]  # fmt: skip
    assert planned.start_of(planned.reference) == (planned.reference,)


def test_a_slot_with_two_conditions_exists_where_both_hold():
    planned = plan("""
  conv: [dense, depthwise]
  norm: [batch, none, layer]
  mix: {choices: [none, pointwise], when: {conv: depthwise, norm: [none, layer]}}""")

    assert planned.against["conv=depthwise, norm=layer, mix=pointwise"] == "conv=depthwise, norm=layer"
    assert planned.against["conv=depthwise, norm=layer"] == "reference"
    assert sum("mix=pointwise" in label for label in labels(planned)) == 2
    assert all(("mix" in s) == (s["conv"].name == "depthwise" and s["norm"].name != "batch") for s in planned.settings)


def test_a_slot_that_is_conditional_on_parent_and_grandparent_needs_both():
    planned = plan("""
  conv: [dense, depthwise, grouped]
  mix: {choices: [none, pointwise], when: {conv: [depthwise, grouped]}}
  attention: {choices: [none, se], when: {mix: pointwise, conv: grouped}}""")

    assert [label for label in labels(planned) if "attention" in label] == ["conv=grouped, mix=pointwise, attention=se"]


def test_a_factorial_is_the_product_of_all_slots_or_of_those_named():
    slots = "{attention: [none, se, eca], kernel: [3, 5], norm: [batch, none]}"

    assert len(plan(slots, "factorial").settings) == 12
    named = plan(slots, "{factorial: [attention, kernel]}")
    assert len(named.settings) == 6
    assert {setting["norm"].label for setting in named.settings} == {"batch"}
    assert set(named.against.values()) == {"reference"}


def test_cells_of_a_factorial_whose_condition_fails_collapse():
    planned = plan(CONDITIONAL, "factorial")

    assert len(planned.settings) == 1 + 3 * 3  # dense once, each other convolution with three mixes
    assert len(set(labels(planned))) == 10


def test_a_factorial_over_a_slot_that_is_never_varied_in_it_is_refused():
    with pytest.raises(StudyError, match="design: 'mix' has one choice, or never exists here"):
        plan(CONDITIONAL + "  kernel: [3, 5]\n", "{factorial: [mix, kernel]}")


def test_a_design_without_end_is_refused_before_it_is_listed():
    slots = "".join(
        f"  recipe.{name}: [{', '.join(map(str, range(1, 60)))}]\n" for name in ("epochs", "batch", "warmup")
    )

    with pytest.raises(StudyError, match=r"design: 205,379 combinations; at most 10,000"):
        plan("\n" + slots, "factorial")


def test_listed_settings_are_completed_by_the_reference_and_equal_ones_count_once():
    planned = plan(
        "{attention: [none, {se: {reduction: [4, 8]}}], kernel: [3, 5]}",
        "{list: [{kernel: 5}, {attention: se(reduction=4), kernel: 5}, {kernel: 5, attention: none}, {},"
        " {attention: {se: {reduction: 8}}}]}",
    )

    assert labels(planned) == [
        "reference", "kernel=5", "attention=se(reduction=4), kernel=5", "attention=se(reduction=8)",
    ]  # fmt: skip
    assert set(planned.against.values()) == {"reference"}


def test_labels_that_would_name_two_settings_are_refused():
    with pytest.raises(StudyError, match="two settings would be called 'attention=x, norm=layer'"):
        plan(
            "{attention: [none, {se: {label: 'x, norm=layer'}}, {eca: {label: x}}], norm: [batch, layer]}", "factorial"
        )


@pytest.mark.parametrize("rule", design.RULES)
def test_every_design_says_what_its_contrasts_estimate(rule):
    assert design.ESTIMANDS[rule].startswith("the ")


def test_a_study_made_by_hand_is_planned_like_one_that_is_read():
    off, on = Choice("none", label="none"), Choice("se", label="se")
    study = Study("s", Choice("resnet"), Choice("digits"), (Slot("attention", (off, on), off),))

    assert labels(design.plan(study)) == ["none", "se"]


def test_leave_one_out_takes_each_part_of_the_full_model_away():
    planned = plan(
        "{attention: [none, se], norm: {choices: [batch, layer, group], without: layer}, kernel: [3, 5]}",
        "{leave-one-out: {full: {attention: se, norm: batch, kernel: 5}}}",
    )

    assert labels(planned) == ["reference", "attention=none", "norm=layer", "kernel=3"]
    assert [str(choice) for _, choice in planned.reference.choices] == ["se", "batch", "5"]
    assert set(planned.against.values()) == {"reference"}


def test_what_is_left_out_takes_its_children_with_it():
    planned = plan(CONDITIONAL, "{leave-one-out: {full: {conv: depthwise, mix: shuffle}}}")

    assert labels(planned) == ["reference", "conv=dense", "mix=none"]
    assert "mix" not in planned.settings[1]


def test_a_part_that_the_full_model_lacks_cannot_be_left_out():
    with pytest.raises(StudyError, match="'mix' does not exist in the full model"):
        plan(CONDITIONAL, "{leave-one-out: {full: {conv: dense}}}")


def test_only_leave_one_out_reads_what_a_slot_is_without():
    with pytest.raises(StudyError, match=r"slots\.norm\.without: only leave-one-out leaves parts out"):
        plan("{norm: {choices: [batch, layer], without: layer}}")


def test_cumulative_steps_are_each_compared_with_the_step_before():
    planned = plan(
        "{norm: [batch, layer], kernel: [3, 5, 7], activation: [relu, gelu]}",
        "{cumulative: [norm, {kernel: 5}, {kernel: 7, activation: gelu}]}",
    )

    assert list(planned.against.items()) == [
        ("norm=layer", "reference"),
        ("norm=layer, kernel=5", "norm=layer"),
        ("norm=layer, kernel=7, activation=gelu", "norm=layer, kernel=5"),
    ]
    assert [setting.label for setting in planned.start_of(planned.settings[3])] == labels(planned)


def test_a_step_that_could_mean_several_choices_must_say_which():
    with pytest.raises(StudyError, match=r"say which choice: \{kernel: \.\.\.\} \(beside the reference: 5, 7\)"):
        plan("{kernel: [3, 5, 7]}", "{cumulative: [kernel]}")


def test_a_step_cannot_change_a_slot_that_does_not_exist_yet():
    with pytest.raises(StudyError, match=r"cumulative\[0\]: 'mix' does not exist here"):
        plan(CONDITIONAL, "{cumulative: [{mix: shuffle}, {conv: depthwise}]}")


def test_a_list_can_be_given_slot_by_slot():
    planned = plan("{attention: [none, se, eca], kernel: [3, 5]}", "{list: {attention: [se, eca], kernel: [5, 3]}}")

    assert labels(planned) == ["reference", "attention=se, kernel=5", "attention=eca"]


def test_lists_of_unequal_length_do_not_go_together():
    with pytest.raises(StudyError, match="must be equally long: attention 2, kernel 1"):
        plan("{attention: [none, se], kernel: [3, 5]}", "{list: {attention: [none, se], kernel: [5]}}")


def calibrated(pairs, slots="{attention: [none, se, eca]}", rule="one-at-a-time", more=""):
    text = f"network: resnet\ndata: digits\nslots: {slots}\ndesign: {rule}\ncalibration: {pairs}\n{more}"
    return design.plan(config.parse_study(text, path=Path("s.yml")))


def test_a_twin_of_a_setting_is_run_under_a_label_of_its_own_with_weights_of_its_own():
    planned = calibrated("[[none, control]]")
    twin = planned.settings[-1]

    assert labels(planned) == ["none", "se", "eca", "control"]
    assert twin.choices == planned.reference.choices
    assert twin != planned.reference
    assert planned.start_of(twin) == (twin,)
    assert planned.against["control"] == "none"
    assert planned.calibration == (("none", "control"),)


def test_a_pair_of_two_settings_stays_compared_with_the_reference():
    planned = calibrated("[[se, eca]]")

    assert planned.against == {"se": "none", "eca": "none"}
    assert [setting.salt for setting in planned.settings] == ["", "", "eca"]


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ("[[non, control]]", r"calibration\[0\]\[0\]: unknown setting: 'non'; did you mean 'none'"),
        ("[[se, none]]", r"calibration\[0\]\[1\]: others are compared with 'none', so it must stand first"),
        ("[[none, none]]", "expected two different labels"),
        ("[[none]]", "expected two different labels"),
        ("[[none, a], [se, a]]", "'a' stands in another pair"),
        ("[[none, attention=se]]", "unknown setting: 'attention=se'.*misleading as a twin's name"),
    ],
)
def test_a_pair_that_cannot_be_run_is_refused(pairs, said):
    with pytest.raises(StudyError, match=said):
        calibrated(pairs)


def test_a_reference_and_its_twin_alone_are_a_study_of_the_noise():
    assert labels(calibrated("[[none, control]]", slots="{attention: [none]}")) == ["none", "control"]


def test_a_search_confirms_the_twin_of_its_reference_too():
    rule = "{search: {settings: 3}, confirm: {top: 1}}"

    assert labels(calibrated("[[none, control]]", rule=rule)) == ["none", "control"]
