"""Pointwise convolution between groups."""

import pytest
import torch

from blocks.absence import Nothing
from blocks.convolution import DenseConvolution
from blocks.mixing import PointwiseConvolution

X = torch.randn(2, 12, 3, 5, generator=torch.Generator().manual_seed(0))


def test_it_is_one_matrix_for_all_pixels():
    module = PointwiseConvolution(12)
    y = module(X)

    for i in range(3):
        for j in range(5):
            torch.testing.assert_close(y[:, :, i, j], X[:, :, i, j] @ module.weight[:, :, 0, 0].T)


def test_it_is_the_dense_convolution_at_kernel_1():
    module, dense = PointwiseConvolution(12), DenseConvolution(12, 12, 1)
    dense.load_state_dict(module.state_dict())

    assert torch.equal(module(X), dense(X))


def test_weights_are_as_many_as_computed_by_hand():
    assert sum(parameter.numel() for parameter in PointwiseConvolution(64).parameters()) == 4_096


def test_it_starts_with_the_deviation_of_he_et_al():
    assert PointwiseConvolution(256).weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.02)


def test_nothing_returns_the_very_input():
    assert Nothing(12)(X) is X
