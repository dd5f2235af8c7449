"""The fused inverted residual: its twin in timm, and what it is beside the one that it fuses."""

import pytest
import torch
from torch import nn

from blocks.activation import ReLU, SiLU
from blocks.mlp.fused_inverted import FusedInverted


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(("expansion", "kernel"), [(4.0, 3), (1.5, 5), (1.0, 1)])
@pytest.mark.parametrize(("ours", "theirs"), [(ReLU, nn.ReLU), (SiLU, nn.SiLU)])
def test_it_equals_timms_without_the_shortcut(timm, assert_twins, renamed, expansion, kernel, ours, theirs):
    blocks = timm.models._efficientnet_blocks

    assert_twins(
        FusedInverted(16, ours, expansion=expansion, kernel=kernel),
        blocks.EdgeResidual(16, 16, exp_kernel_size=kernel, exp_ratio=expansion, noskip=True, act_layer=theirs),
        torch.randn(2, 16, 5, 7),
        translate=renamed(("conv_exp", "conv"), ("conv_pwl", "project"), ("bn", "norm")),
    )


def test_parameters_are_as_many_as_in_timm():
    assert count(FusedInverted(32, ReLU)) == 41_280
    assert count(FusedInverted(32, ReLU, expansion=2, kernel=5)) == 25 * 32 * 64 + 2 * 64 + 64 * 32 + 2 * 32


def test_the_output_is_linear_in_the_hidden_map_and_may_be_negative():
    torch.manual_seed(0)
    module = FusedInverted(8, ReLU).eval()
    x = torch.randn(2, 8, 4, 6)
    hidden = (module.conv(x) / (1 + 1e-5) ** 0.5).clamp(min=0)
    expected = torch.einsum("oc,bchw->bohw", module.project.weight[:, :, 0, 0], hidden) / (1 + 1e-5) ** 0.5

    torch.testing.assert_close(module(x), expected)
    assert (module(x) < 0).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"expansion": 0.0},
            "fused-inverted: expansion=0.0 makes no whole number of hidden channels of 8 channels; 0.125 or more",
        ),
        ({"kernel": 2}, "dense: kernel=2 has no middle pixel; 1 or 3 would fit"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_with_those_that_would(options, message):
    with pytest.raises(ValueError, match=message):
        FusedInverted(8, ReLU, **options)
