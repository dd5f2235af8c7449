"""Convolutions: counts, identities and the weights they start from."""

import pytest
import torch
from torch import nn

from blocks.convolution import DenseConvolution, DepthwiseConvolution, GroupedConvolution

torch.manual_seed(0)
X = torch.randn(2, 8, 7, 5, dtype=torch.float64)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def convolved(x, weight, stride, groups):
    """Return a zero-padded convolution, written out."""
    n_out, n_in, side, _ = weight.shape
    padded = nn.functional.pad(x, [side // 2] * 4)
    rows, columns = range(0, x.shape[2], stride), range(0, x.shape[3], stride)
    y = x.new_empty(len(x), n_out, len(rows), len(columns))
    for o in range(n_out):
        first = o // (n_out // groups) * n_in
        for a, i in enumerate(rows):
            for b, j in enumerate(columns):
                window = padded[:, first : first + n_in, i : i + side, j : j + side]
                y[:, o, a, b] = (window * weight[o]).sum((1, 2, 3))
    return y


def test_weights_are_as_many_as_computed_by_hand():
    assert count(DenseConvolution(64, 64, 3)) == 36_864
    assert count(GroupedConvolution(64, 64, 3, groups=4)) == 9_216
    assert count(GroupedConvolution(64, 64, 3, groups=32)) == 1_152
    assert count(DepthwiseConvolution(64, 64, 3)) == 576
    assert count(DepthwiseConvolution(64, 64, 7)) == 3_136


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize(
    ("make", "options", "groups"),
    [(DenseConvolution, {}, 1), (GroupedConvolution, {"groups": 4}, 4), (DepthwiseConvolution, {}, 8)],
)
def test_the_output_is_the_written_out_convolution(make, options, groups, kernel, stride):
    module = make(8, 16, kernel, stride, **options).double()

    torch.testing.assert_close(module(X), convolved(X, module.weight, stride, groups))


@pytest.mark.parametrize(
    ("grouped", "same"),
    [
        (GroupedConvolution(8, 16, 3, groups=1), DenseConvolution(8, 16, 3)),
        (GroupedConvolution(8, 16, 3, groups=8), DepthwiseConvolution(8, 16, 3)),
    ],
)
def test_one_group_is_dense_and_as_many_as_channels_is_depthwise(grouped, same):
    grouped.load_state_dict(same.state_dict())

    assert torch.equal(grouped(X.float()), same(X.float()))


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_the_size_is_kept_at_stride_1_and_halved_upwards_at_stride_2(kernel):
    x = torch.randn(1, 4, 9, 6)

    assert DenseConvolution(4, 4, kernel)(x).shape == (1, 4, 9, 6)
    assert DenseConvolution(4, 4, kernel, 2)(x).shape == (1, 4, 5, 3)


@pytest.mark.parametrize("make", [DenseConvolution, GroupedConvolution, DepthwiseConvolution])
def test_weights_start_with_the_deviation_of_he_et_al_by_fan_out(make):
    weights = torch.cat([make(64, 64, 3).weight.flatten() for _ in range(30)])

    assert weights.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.03)
    assert weights.mean().item() == pytest.approx(0, abs=0.003)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DenseConvolution(4, 4, 4), "dense: kernel=4 has no middle pixel; 3 or 5 would fit"),
        (lambda: GroupedConvolution(4, 4, 0), "grouped: kernel=0 has no middle pixel; 1 or 3 would fit"),
        (lambda: DepthwiseConvolution(4, 4, 2), "depthwise: kernel=2 has no middle pixel; 1 or 3 would fit"),
        (
            lambda: GroupedConvolution(12, 16, 3, groups=3),
            "grouped: groups=3 does not divide 12 input and 16 output channels; 1, 2, 4 would fit",
        ),
        (lambda: GroupedConvolution(4, 4, 3, groups=0), "grouped: groups=0 does not divide"),
        (
            lambda: DepthwiseConvolution(8, 12, 3),
            "depthwise: 12 output channels are not a multiple of 8 input channels; 8 or 16 would fit",
        ),
        (lambda: DepthwiseConvolution(8, 4, 3), "of 8 input channels; 8 would fit"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_with_those_that_would(make, message):
    with pytest.raises(ValueError, match=message):
        make()
