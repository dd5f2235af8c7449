"""1×1 convolution as a linear layer: a calibration pair with `dense`, as both must give the same numbers."""

import pytest
import torch

from blocks.convolution import DenseConvolution
from blocks.convolution.linear import LinearConvolution

X = torch.randn(2, 8, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("stride", [1, 2])
def test_it_is_the_dense_convolution_at_kernel_1_with_its_gradients(assert_twins, stride, memory_format):
    x = X.contiguous(memory_format=memory_format)

    assert_twins(LinearConvolution(8, 16, 1, stride), DenseConvolution(8, 16, 1, stride), x, rtol=1e-13)


def test_both_start_with_the_same_weights():
    torch.manual_seed(0)
    linear = LinearConvolution(8, 16, 1)
    torch.manual_seed(0)
    dense = DenseConvolution(8, 16, 1)

    assert list(linear.state_dict()) == ["weight"]
    assert torch.equal(linear.weight, dense.weight)


@pytest.mark.parametrize("kernel", [0, 2, 3])
def test_another_kernel_is_refused(kernel):
    with pytest.raises(ValueError, match=f"linear: kernel={kernel} is not one pixel; 1 would fit"):
        LinearConvolution(8, 8, kernel)
