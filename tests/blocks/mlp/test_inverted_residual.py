"""The inverted residual: its twin in timm, and no activation at its narrow ends."""

from functools import partial

import pytest
import torch
from torch import nn

from blocks.activation import GELU, ReLU6
from blocks.mlp.inverted_residual import InvertedResidual


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(("expansion", "kernel"), [(6.0, 3), (4.0, 5), (1.5, 1)])
@pytest.mark.parametrize(("ours", "theirs"), [(ReLU6, nn.ReLU6), (GELU, nn.GELU)])
def test_it_equals_timms_without_the_shortcut(timm, assert_twins, renamed, expansion, kernel, ours, theirs):
    twin = partial(timm.models._efficientnet_blocks.InvertedResidual, 16, 16, noskip=True, act_layer=theirs)
    names = renamed(("conv_pwl", "project"), ("conv_pw", "expand"), ("conv_dw", "conv"), ("bn", "norm"))

    assert_twins(
        InvertedResidual(16, ours, expansion=expansion, kernel=kernel),
        twin(exp_ratio=expansion, dw_kernel_size=kernel),
        torch.randn(2, 16, 5, 7),
        translate=names,
    )


def test_parameters_are_as_many_as_in_mobilenet():
    assert count(InvertedResidual(32, ReLU6, expansion=6)) == 14_848
    assert count(InvertedResidual(32, ReLU6)) == 2 * 32 * 128 + 9 * 128 + 2 * 128 * 2 + 2 * 32


def test_the_output_is_linear_in_the_last_hidden_map_and_may_be_negative():
    torch.manual_seed(0)
    module = InvertedResidual(8, ReLU6).eval()
    x = torch.randn(2, 8, 4, 6)
    hidden = (module.conv((module.expand(x) / (1 + 1e-5) ** 0.5).clamp(0, 6)) / (1 + 1e-5) ** 0.5).clamp(0, 6)
    expected = torch.einsum("oc,bchw->bohw", module.project.weight[:, :, 0, 0], hidden) / (1 + 1e-5) ** 0.5

    torch.testing.assert_close(module(x), expected)
    assert (module(x) < 0).any()


def test_the_activation_is_made_for_the_hidden_channels():
    seen = []

    def activation(channels):
        seen.append(channels)
        return nn.PReLU(channels)

    InvertedResidual(8, activation, expansion=2.5)

    assert seen == [20, 20]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"expansion": 0.1},
            "inverted-residual: expansion=0.1 makes no whole number of hidden channels of 8 channels; 0.125 or more",
        ),
        ({"kernel": 4}, "depthwise: kernel=4 has no middle pixel; 3 or 5 would fit"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_with_those_that_would(options, message):
    with pytest.raises(ValueError, match=message):
        InvertedResidual(8, ReLU6, **options)
