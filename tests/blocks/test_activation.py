"""Activations: each value against its formula, written out."""

import math

import pytest
import torch

from blocks.catalogue import read

VALUES = [-20.0, -6.0, -3.5, -3.0, -1.7, -1.0, -0.3, -1e-3, 0.0, 1e-3, 0.4, 1.0, 2.5, 3.0, 3.7, 6.0, 6.5, 20.0]


def logistic(x):
    return 1 / (1 + math.exp(-x))


FORMULAS = {
    "relu": lambda x: max(x, 0.0),
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "leaky-relu": lambda x: x if x >= 0 else 0.01 * x,
    "prelu": lambda x: x if x >= 0 else 0.25 * x,
    "elu": lambda x: x if x >= 0 else math.exp(x) - 1,
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "silu": lambda x: x * logistic(x),
    "hardswish": lambda x: x * min(max(x + 3, 0.0), 6.0) / 6,
    "mish": lambda x: x * math.tanh(math.log(1 + math.exp(x))),
    "tanh": lambda x: (math.exp(x) - math.exp(-x)) / (math.exp(x) + math.exp(-x)),
    "sigmoid": logistic,
    "none": lambda x: x,
}
by_name = pytest.mark.parametrize("name", read().names("activation"))


def make(name, channels=1, **options):
    return read().find("activation", name).load()(channels, **options)


def maps(values):
    return torch.tensor(values, dtype=torch.float64).reshape(1, 1, 1, -1)


@by_name
def test_values_are_those_of_the_formula(name):
    y = make(name).double()(maps(VALUES)).flatten()

    torch.testing.assert_close(y, torch.tensor([FORMULAS[name](x) for x in VALUES], dtype=torch.float64))


@by_name
def test_gradients_are_the_slopes_of_the_formula(name):
    points, step = [-7.1, -2.2, -0.6, 0.7, 2.9, 4.4, 7.3], 1e-6
    x = maps(points).requires_grad_()
    make(name).double()(x * 1).sum().backward()
    slopes = [(FORMULAS[name](point + step) - FORMULAS[name](point - step)) / (2 * step) for point in points]

    torch.testing.assert_close(x.grad.flatten(), torch.tensor(slopes, dtype=torch.float64), rtol=1e-6, atol=1e-8)


def test_the_slope_of_leaky_relu_is_an_option():
    assert make("leaky-relu", slope=0.2)(torch.tensor([-2.0])).item() == pytest.approx(-0.4)


@pytest.mark.parametrize("slope", [-0.1, -1.0])
def test_a_slope_that_would_fold_values_onto_each_other_is_refused(slope):
    with pytest.raises(ValueError, match=f"leaky-relu: slope={slope} is too small; 0 or more would fit"):
        make("leaky-relu", slope=slope)


def test_prelu_learns_a_slope_for_each_channel():
    module = make("prelu", 3)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([0.0, 0.5, 1.0]))

    assert module(-torch.ones(1, 3, 2, 2))[0, :, 0, 0].tolist() == [0.0, -0.5, -1.0]
    assert [tuple(parameter.shape) for parameter in module.parameters()] == [(3,)]


@pytest.mark.parametrize("name", [name for name in FORMULAS if name != "prelu"])
def test_all_others_have_no_weights(name):
    assert list(make(name, 8).parameters()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("relu", "relu"), ("relu6", "relu6"), ("leaky-relu", "leaky_relu"), ("elu", "elu"), ("gelu", "gelu"),
        ("silu", "silu"), ("hardswish", "hard_swish"), ("mish", "mish"), ("tanh", "tanh"), ("sigmoid", "sigmoid"),
    ],
)  # fmt: skip
def test_it_equals_timms(timm, assert_twins, name, theirs):
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 4

    assert_twins(make(name), timm.layers.get_act_layer(theirs)(), x)
