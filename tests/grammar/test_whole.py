"""What the parts of a study say about each other."""


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
