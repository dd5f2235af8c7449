"""How wide every choice of the slot is inside."""

import math
import re

import pytest

from blocks.activation import ReLU
from blocks.catalogue import read
from blocks.mlp.width import widened

every_choice = pytest.mark.parametrize("entry", read().entries("mlp"), ids=lambda entry: entry.name)


def test_the_number_is_rounded_down():
    assert [widened("mlp", 10, expansion) for expansion in (0.1, 0.19, 2.66, 4.0)] == [1, 1, 26, 40]


def test_the_expansion_that_a_refusal_names_leaves_a_hidden_channel():
    for channels in range(1, 2000):
        with pytest.raises(ValueError, match="would fit") as refusal:
            widened("mlp", channels, 0.0)
        named = re.search(r"; (\S+) or more would fit", str(refusal.value))

        assert widened("mlp", channels, float(named[1])) >= 1


@every_choice
@pytest.mark.parametrize("expansion", [1 / 49, 0.0, -1.0, math.nan, math.inf])  # 49 · (1 / 49) is less than 1
def test_every_choice_refuses_an_expansion_that_makes_no_number_of_channels(entry, expansion):
    message = (
        f"{entry.name}: expansion={expansion} makes no whole number of hidden channels of 49 channels; 0.021 or more"
    )
    with pytest.raises(ValueError, match=message):
        entry.load()(49, ReLU, expansion=expansion)
