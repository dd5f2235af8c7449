"""LeNet-5: against the paper written as loops, what happens at other sizes, and where its slots act."""

import pytest
import torch
from torch import nn

from ablate import cost
from blocks.absence import Nothing
from blocks.activation import Tanh
from blocks.attention.squeeze_excite import SqueezeExcite
from blocks.downsampling import AveragePool, BlurPool, MaxPool, Strided
from blocks.networks.lenet import LeNet
from blocks.normalization import BatchNorm


def images(side, *, width=None, batch=2):
    return torch.randn(batch, 1, side, width or side, generator=torch.Generator().manual_seed(1))


def test_it_has_the_parameters_and_products_of_the_textbook():
    by_hand = [6 * 25 + 6, 16 * 6 * 25 + 16, 120 * 16 * 25 + 120, 84 * 120 + 84, 10 * 84 + 10]
    products = [28**2 * 6 * 25, 10**2 * 16 * 6 * 25, 120 * 16 * 25, 84 * 120, 10 * 84]

    assert cost.parameters(LeNet(1, 10)) == sum(by_hand) == 61_706
    assert cost.macs(LeNet(1, 10), (1, 32, 32)) == sum(products) == 416_520


def convolved(x, convolution):
    """Convolve pixel by pixel without padding."""
    weight, bias = convolution.weight, convolution.bias
    side = x.shape[-1] - weight.shape[-1] + 1
    out = torch.empty(x.shape[0], weight.shape[0], side, side, dtype=x.dtype)
    for row in range(side):
        for column in range(side):
            window = x[:, None, :, row : row + weight.shape[-1], column : column + weight.shape[-1]]
            out[:, :, row, column] = (window * weight).sum((2, 3, 4)) + bias
    return out


def pooled(x, reduce):
    """Reduce each 2×2 window."""
    side = x.shape[-1] // 2
    out = torch.empty(*x.shape[:2], side, side, dtype=x.dtype)
    for row in range(side):
        for column in range(side):
            window = x[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].flatten(2)
            out[:, :, row, column] = reduce(window)
    return out


@pytest.mark.parametrize(
    ("options", "act", "reduce"),
    [
        ({}, lambda x: x.clamp(min=0), lambda window: window.amax(2)),
        ({"activation": Tanh, "downsample": AveragePool}, torch.tanh, lambda window: window.mean(2)),
    ],
    ids=["modern", "paper"],
)
def test_it_computes_what_the_paper_draws(options, act, reduce):
    torch.manual_seed(0)
    network, x = LeNet(1, 10, **options).double().eval(), images(32).double()
    y = pooled(act(convolved(x, network.stages[0].conv.conv)), reduce)  # 6 maps of 14×14
    y = pooled(act(convolved(y, network.stages[1].conv.conv)), reduce)  # 16 maps of 5×5
    y = act(convolved(y, network.dense.conv1)).flatten(1)
    y = act(y @ network.dense.conv2.weight.flatten(1).T + network.dense.conv2.bias)
    expected = y @ network.head.weight.T + network.head.bias

    torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize(("height", "width"), [(28, 28), (29, 32), (28, 31), (32, 30)])
def test_sides_below_32_are_padded_with_zeros_the_image_in_the_middle(height, width):
    network, x = LeNet(1, 10).eval(), images(height, width=width)
    framed = torch.zeros(2, 1, 32, 32)
    top, left = (32 - height) // 2, (32 - width) // 2
    framed[:, :, top : top + height, left : left + width] = x

    assert torch.equal(network(x), network(framed))


def test_larger_images_give_the_mean_over_the_network_at_every_fourth_pixel():
    torch.manual_seed(0)
    network, x = LeNet(1, 10).eval(), images(40, width=36)
    crops = [x[:, :, row : row + 32, column : column + 32] for row in (0, 4, 8) for column in (0, 4)]

    torch.testing.assert_close(network(x), torch.stack([network(crop) for crop in crops]).mean(0))


@pytest.mark.parametrize("side", [8, 27])
def test_images_that_are_too_small_are_refused(side):
    with pytest.raises(
        ValueError, match=f"lenet: images of {side}×{side} are too small .*; 28×28, 32×32 or more would"
    ):
        LeNet(1, 10)(images(side))


@pytest.mark.parametrize("downsample", [MaxPool, AveragePool, BlurPool, Strided])
@pytest.mark.parametrize("side", [28, 32])
def test_whatever_halves_the_map_acts_after_the_activation_and_keeps_names_and_shapes(downsample, side):
    network = LeNet(1, 10, downsample=downsample)
    seen = []
    network.stages[1].conv.act.register_forward_hook(lambda module, inputs, output: seen.append(output.shape[2:]))

    assert network(images(side)).shape == (2, 10)
    assert seen == [(5, 5) if downsample is Strided else (10, 10)]
    assert {n: t.shape for n, t in network.state_dict().items()} == {
        n: t.shape for n, t in LeNet(1, 10).state_dict().items()
    }


def test_norm_follows_two_convolutions_and_attention_sees_the_sixteen_maps():
    seen = []
    network = LeNet(1, 10, norm=BatchNorm, attention=lambda c: seen.append(c) or SqueezeExcite(c))
    order = [name for name, _ in network.stages[1].conv.named_children()]

    assert seen == [16]
    assert order == ["conv", "norm", "act", "attention"]
    assert [m.num_features for m in network.modules() if isinstance(m, nn.BatchNorm2d)] == [6, 16]


def test_filling_a_slot_leaves_every_other_tensor_as_it_is():
    plain = {n: t.shape for n, t in LeNet(3, 7).state_dict().items()}
    filled = LeNet(3, 7, norm=BatchNorm, attention=SqueezeExcite, activation=Tanh).state_dict()

    assert {n: filled[n].shape for n in plain} == plain
    assert all(".norm." in name or ".attention." in name for name in filled.keys() - plain.keys())
    assert isinstance(LeNet(3, 7).stages[0].conv.norm, Nothing)
