"""The weights that convolutions start from."""

import math

import pytest
import torch
from torch import nn

from blocks.catalogue import read
from blocks.convolution.start import draw

NAMES = ("dense", "grouped", "depthwise", "separable", "linear", "partial", "asymmetric", "large-kernel")


def parts(name):
    """Return the convolutions inside a choice, at 64 channels."""
    entry = read().find("conv", name)
    module = entry.load()(64, 64, entry.facts.get("kernel", 3))
    return [part for part in module.modules() if isinstance(part, nn.Conv2d)]


@pytest.mark.parametrize("name", NAMES)
def test_weights_start_with_the_deviation_of_he_et_al_by_fan_out(name):
    torch.manual_seed(0)
    drawn = [parts(name) for _ in range(10)]

    for same in zip(*drawn, strict=True):
        weights = torch.cat([part.weight.flatten() for part in same])
        fan_out = same[0].out_channels * math.prod(same[0].kernel_size)
        assert weights.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
        assert weights.mean().item() == pytest.approx(0, abs=4 * (2 / fan_out / len(weights)) ** 0.5)


def test_the_same_random_state_draws_the_same_weights():
    first, second = nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)
    for module in (first, second):
        torch.manual_seed(1)
        draw(module)

    assert torch.equal(first.weight, second.weight)
