"""What the parts of a study say about each other."""

import pytest

from ablate.study import Match


def labels(study, slot):
    return [choice.label for choice in study.slot(slot).choices]


def test_a_network_argument_can_be_a_slot_but_then_not_also_under_network(read, problems):
    assert labels(read(network="resnet", slots="{depth: [8, 14]}"), "depth") == ["8", "14"]
    assert problems(slots="{depth: [8, 14], data.train: [100, 200]}") == [
        "network.resnet.depth: given here and varied by slots.depth: keep one",
        "data.digits.train: given here and varied by slots.data.train: keep one",
    ]


def test_a_slot_is_not_set_under_network(problems):
    assert problems(network="{resnet: {attention: se}}") == [
        "network.resnet.attention: 'attention' is a slot: list its choices under slots"
    ]


def test_a_score_stands_once(problems):
    assert problems(metrics="[loss, accuracy]") == ["metrics[1]: 'accuracy' stands twice"]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"select": "test"}, "select: nothing selects here: only a search, or seeds until: best"),
        ({"match": "size"}, "match: unknown match"),
        ({"match": "{by: param}"}, "match.by: expected one of params, macs, not 'param'"),
        ({"match": "{show: both}"}, "match: say what is made equal: {by: params} or {by: macs}"),
        ({"match": "params", "design": "{search: {settings: 2}}"}, "match: a search varies what would be made equal"),
        ({"seeds": "{until: best}", "design": "{search: {settings: 2}}"}, "seeds: a search decides itself"),
        ({"reference": "{attention: se}", "design": "{leave-one-out: {full: {attention: se}}}"},
         "reference: design.leave-one-out.full is the reference of this design: keep one"),
    ],
)  # fmt: skip
def test_what_nobody_would_read_is_refused(problems, parts, said):
    assert any(problem.startswith(said) for problem in problems(**parts)), problems(**parts)


def test_matching_and_selecting_are_read(read):
    assert read(match="params").match == Match("params")
    assert read(match="{by: macs, show: both}").match == Match("macs", "both")
    assert read(seeds="{until: best}", select="test").select == "test"
