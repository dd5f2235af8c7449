"""Global pooling: values against loops, and what the exponent of a power mean does."""

from itertools import pairwise

import pytest
import torch

from blocks.pooling import AverageMaxPooling, AveragePooling, GeneralizedMeanPooling, MaxPooling

X = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def pixels(x, b, c):
    return [float(x[b, c, i, j]) for i in range(x.shape[2]) for j in range(x.shape[3])]


def power_mean(values, exponent):
    return (sum(max(value, 1e-6) ** exponent for value in values) / len(values)) ** (1 / exponent)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("module", "formula"),
    [
        (AveragePooling(3), lambda values: sum(values) / len(values)),
        (MaxPooling(3), max),
        (AverageMaxPooling(3), lambda values: (sum(values) / len(values) + max(values)) / 2),
        (GeneralizedMeanPooling(3), lambda values: power_mean(values, 3)),
        (GeneralizedMeanPooling(3, exponent=0.5), lambda values: power_mean(values, 0.5)),
    ],
)
def test_each_channel_becomes_one_value(module, formula, memory_format):
    y = module.double()(X.contiguous(memory_format=memory_format))

    assert y.shape == (2, 3)
    for b in range(2):
        for c in range(3):
            assert y[b, c].item() == pytest.approx(formula(pixels(X, b, c)), rel=1e-9)


def test_exponent_1_is_the_average_of_what_is_not_negative():
    y = GeneralizedMeanPooling(3, exponent=1.0).double()(X)

    torch.testing.assert_close(y, AveragePooling(3)(X.clamp(min=1e-6)), rtol=1e-9, atol=0)


def test_a_larger_exponent_is_nearer_to_the_maximum_and_a_large_one_reaches_it():
    x = X.abs()
    values = [GeneralizedMeanPooling(3, exponent=float(e)).double()(x) for e in (1, 2, 4, 8, 16, 1000)]

    assert all((after > before).all() for before, after in pairwise(values))
    torch.testing.assert_close(values[-1], MaxPooling(3)(x), rtol=0.01, atol=0)


@pytest.mark.parametrize("exponent", [1.0, 8.0, 32.0, 1000.0])
@pytest.mark.parametrize("level", [-1.0, 0.0, 1e-3, 20.0, 1e4])
def test_neither_large_values_nor_none_above_zero_spoil_a_gradient(exponent, level):
    module = GeneralizedMeanPooling(3, exponent=exponent)
    x = (level + level * X.float() / 10).requires_grad_()
    y = module(x)
    y.sum().backward()

    assert y.isfinite().all()
    assert x.grad.isfinite().all()
    assert module.exponent.grad.isfinite()


def test_the_exponent_is_one_number_that_learns_while_the_others_have_no_weights():
    module = GeneralizedMeanPooling(64)
    module(X.float()).sum().backward()

    assert [(name, tuple(tensor.shape)) for name, tensor in module.named_parameters()] == [("exponent", ())]
    assert module.exponent.grad.isfinite()
    assert module.exponent.grad != 0
    assert [list(make(64).parameters()) for make in (AveragePooling, MaxPooling, AverageMaxPooling)] == [[], [], []]


@pytest.mark.parametrize("module", [GeneralizedMeanPooling(3), MaxPooling(3), AverageMaxPooling(3), AveragePooling(3)])
def test_gradients_are_those_of_finite_differences(module):
    assert torch.autograd.gradcheck(module.double(), X.clone().requires_grad_())


@pytest.mark.parametrize("exponent", [0.0, -1.0, float("inf"), float("nan")])
def test_an_exponent_that_is_not_above_zero_is_refused(exponent):
    message = f"gem: exponent={exponent} is no power mean of positive values; above 0 would fit"
    with pytest.raises(ValueError, match=message):
        GeneralizedMeanPooling(3, exponent=exponent)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "kind"), [(AveragePooling, "avg"), (MaxPooling, "max"), (AverageMaxPooling, "avgmax")]
)
def test_values_and_gradients_equal_timms(timm, make, kind):
    ours, theirs = X.clone().requires_grad_(), X.clone().requires_grad_()
    y, expected = make(3)(ours), timm.layers.SelectAdaptivePool2d(pool_type=kind, flatten=True)(theirs)
    weights = torch.arange(6.0, dtype=torch.float64).reshape(2, 3)
    (y * weights).sum().backward()
    (expected * weights).sum().backward()

    torch.testing.assert_close(y, expected, rtol=1e-9, atol=0)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=0)
