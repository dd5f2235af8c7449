"""Dense convolution."""

import pytest
import torch
from torch import nn

from blocks.convolution import DenseConvolution


@pytest.mark.parametrize(("kernel", "count"), [(1, 4_096), (3, 36_864), (7, 200_704)])
def test_weights_are_as_many_as_computed_by_hand(kernel, count):
    assert sum(parameter.numel() for parameter in DenseConvolution(64, 64, kernel).parameters()) == count


def test_dilation_moves_the_kernel_apart_and_keeps_its_weights():
    x = torch.zeros(1, 1, 9, 9)
    x[0, 0, 4, 4] = 1
    module = DenseConvolution(1, 1, 3, dilation=3)
    y = module(x)[0, 0]

    assert y.nonzero().tolist() == [[i, j] for i in (1, 4, 7) for j in (1, 4, 7)]
    assert torch.equal(y[1::3, 1::3], module.weight[0, 0].flip(0, 1))


def test_dilation_changes_neither_names_nor_the_start():
    torch.manual_seed(0)
    plain = DenseConvolution(4, 4, 3)
    torch.manual_seed(0)
    dilated = DenseConvolution(4, 4, 3, dilation=2)

    assert list(plain.state_dict()) == list(dilated.state_dict()) == ["weight"]
    assert torch.equal(plain.weight, dilated.weight)


def test_it_is_torchs_convolution_without_a_bias():
    x = torch.randn(2, 4, 7, 5)
    module, theirs = DenseConvolution(4, 8, 3, 2), nn.Conv2d(4, 8, 3, 2, 1, bias=False)
    theirs.load_state_dict(module.state_dict())

    assert torch.equal(module(x), theirs(x))
