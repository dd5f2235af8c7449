"""The perceptron of each pixel: a literal version, its two ways to compute, and its twin in timm."""

import math
from functools import partial

import pytest
import torch

from ablate.build import inert_pairs
from blocks.activation import GELU, PReLU, ReLU
from blocks.mlp import MLP
from blocks.networks.convnext import ConvNeXt


def images(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def stirred(block):
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(len(parameter)))
    return block.double()


def layer(weights, biases, values):
    return [b + sum(w * v for w, v in zip(row, values, strict=True)) for row, b in zip(weights, biases, strict=True)]


def literal(block, x):
    weight1, bias1, weight2, bias2 = (parameter.tolist() for parameter in block.parameters())
    y = torch.empty_like(x)
    for b in range(x.shape[0]):
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                hidden = layer(weight1, bias1, x[b, :, i, j].tolist())
                hidden = [value * (1 + math.erf(value / math.sqrt(2))) / 2 for value in hidden]
                y[b, :, i, j] = torch.tensor(layer(weight2, bias2, hidden), dtype=x.dtype)
    return y


@pytest.mark.parametrize("pointwise", ["linear", "conv"])
def test_each_pixel_goes_through_the_two_layers_by_itself(pointwise):
    block, x = stirred(MLP(3, GELU, expansion=2, pointwise=pointwise)), images(2, 3, 2, 3)

    torch.testing.assert_close(block(x), literal(block, x))


def test_matrix_products_and_convolutions_of_the_same_tensors_differ_by_rounding_alone():
    torch.manual_seed(0)
    linear = MLP(8, GELU).double()
    torch.manual_seed(0)
    conv = MLP(8, GELU, pointwise="conv").double()
    x = images(2, 8, 5, 4)
    assert all(torch.equal(a, conv.state_dict()[name]) for name, a in linear.state_dict().items())

    outputs = [block(x) for block in (linear, conv)]
    gradients = [
        torch.autograd.grad(y.square().sum(), list(b.parameters()))
        for b, y in zip((linear, conv), outputs, strict=True)
    ]

    torch.testing.assert_close(*outputs, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-15)


def test_an_ablation_of_one_by_the_other_is_recognised_as_one_that_changes_nothing():
    mlps = {"linear": MLP, "conv": partial(MLP, pointwise="conv"), "relu": MLP}
    networks = {
        name: partial(ConvNeXt, 1, 3, depths=(1,), width=8, mlp=mlp, activation=ReLU if name == "relu" else GELU)
        for name, mlp in mlps.items()
    }

    assert inert_pairs(networks, (1, 8, 8)) == [("linear", "conv")]


@pytest.mark.parametrize(("expansion", "hidden"), [(4.0, 192), (2.66, 127), (0.5, 24), (1, 48)])
def test_the_hidden_channels_are_the_expansion_times_the_channels_rounded_down(expansion, hidden):
    block = MLP(48, PReLU, expansion=expansion)

    assert block.hidden.weight.shape == (hidden, 48)
    assert block.activation.num_parameters == hidden
    assert sum(p.numel() for p in block.parameters()) == 2 * 48 * hidden + hidden + 48 + hidden


@pytest.mark.parametrize("pointwise", ["linear", "conv"])
@pytest.mark.parametrize("activation", [ReLU, PReLU])
def test_an_activation_in_place_or_with_weights_of_each_channel_leaves_values_and_gradients_right(
    activation, pointwise
):
    block = stirred(MLP(4, activation, pointwise=pointwise))
    x = images(2, 4, 3, 3).requires_grad_()

    assert torch.autograd.gradcheck(block, x)


def test_the_weights_start_small_and_the_biases_at_zero():
    torch.manual_seed(0)
    block = MLP(64, GELU)

    for layer in (block.hidden, block.output):
        assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.03)
        assert not layer.bias.any()


def test_numbers_and_words_that_do_not_fit_are_refused_with_those_that_would():
    message = "mlp: expansion=0.01 makes no whole number of hidden channels of 32 channels; 0.032 or more would fit"
    with pytest.raises(ValueError, match=message):
        MLP(32, GELU, expansion=0.01)
    MLP(32, GELU, expansion=1 / 32)
    with pytest.raises(ValueError, match="mlp: unknown pointwise: 'cnov'; did you mean 'conv'"):
        MLP(32, GELU, pointwise="cnov")


@pytest.mark.slow
@pytest.mark.parametrize("expansion", [4, 0.5])
@pytest.mark.parametrize("pointwise", ["linear", "conv"])
@pytest.mark.parametrize("use_conv", [False, True])
def test_it_equals_the_perceptron_of_timm(timm, assert_twins, renamed, expansion, pointwise, use_conv):
    theirs = timm.layers.Mlp(16, int(expansion * 16), use_conv=use_conv)
    ours = MLP(16, GELU, expansion=expansion, pointwise=pointwise)
    rename = renamed(("fc1", "hidden"), ("fc2", "output"))

    def translate(state):
        return {name: tensor.flatten(1) if tensor.dim() == 4 else tensor for name, tensor in rename(state).items()}

    def turned(*order):
        return (lambda x: x) if use_conv else (lambda x: x.permute(order))

    assert_twins(
        ours, theirs, images(2, 16, 5, 3), translate=translate, to_theirs=turned(0, 2, 3, 1), to_ours=turned(0, 3, 1, 2)
    )
