"""Convolution by a column and a row."""

import pytest
import torch

from blocks.convolution import DenseConvolution
from blocks.convolution.asymmetric import AsymmetricConvolution


@pytest.mark.parametrize(("kernel", "count"), [(3, 24_576), (7, 57_344)])
def test_weights_are_two_sides_of_the_square(kernel, count):
    assert sum(parameter.numel() for parameter in AsymmetricConvolution(64, 64, kernel).parameters()) == count


@pytest.mark.parametrize("stride", [1, 2])
def test_it_is_a_dense_convolution_whose_kernels_are_sums_of_columns_times_rows(stride):
    module, dense = (make(4, 6, 5, stride).double() for make in (AsymmetricConvolution, DenseConvolution))
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    with torch.no_grad():
        for o in range(6):
            for c in range(4):
                outer = [torch.outer(module.column.weight[m, c, :, 0], module.row.weight[o, m, 0]) for m in range(6)]
                dense.weight[o, c] = sum(outer)

    torch.testing.assert_close(module(x), dense(x), rtol=1e-9, atol=1e-12)


def test_a_single_pixel_is_refused():
    with pytest.raises(ValueError, match="asymmetric: kernel=1 is too small; 3 or more would fit"):
        AsymmetricConvolution(4, 4, 1)
