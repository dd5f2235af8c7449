"""Decomposed large-kernel convolution: its sides, what it sees, what it refuses."""

import pytest
import torch

from blocks.convolution.large_kernel import LargeKernelConvolution


@pytest.mark.parametrize(
    ("kernel", "dilation", "near", "far", "seen"),
    [(21, 3, 5, 7, 23), (7, 2, 3, 4, 9), (3, 2, 3, 2, 5), (5, 4, 7, 2, 11), (11, 2, 3, 6, 13), (35, 5, 9, 7, 39)],
)
def test_the_sides_are_the_papers_and_see_as_many_pixels_as_documented(kernel, dilation, near, far, seen):
    module = LargeKernelConvolution(1, 1, kernel, dilation=dilation)
    x = torch.zeros(1, 1, 2 * seen + 1, 2 * seen + 1, requires_grad=True)
    module(x)[0, 0, seen, seen].backward()
    reached = x.grad[0, 0].nonzero() - seen

    assert module.near.kernel_size == (near, near)
    assert module.far.kernel_size == (far, far)
    assert reached.unique().tolist() == list(range(-(seen // 2), seen // 2 + 1))
    assert seen == dilation * far + dilation - 1


def test_weights_are_as_many_as_in_the_paper_without_biases():
    module = LargeKernelConvolution(32, 32, 21, dilation=3)

    assert sum(parameter.numel() for parameter in module.parameters()) == 32 * (5**2 + 7**2 + 32)


@pytest.mark.parametrize(
    ("kernel", "dilation", "message"),
    [
        (1, 2, "large-kernel: kernel=1 is too small; 3 or more would fit"),
        (7, 1, "large-kernel: dilation=1 does not split kernel=7 around its middle; 2, 3, 4, 6 would fit"),
        (7, 5, "large-kernel: dilation=5 does not split kernel=7 around its middle; 2, 3, 4, 6 would fit"),
        (5, 3, "large-kernel: dilation=3 does not split kernel=5 around its middle; 2, 4 would fit"),
        (3, 3, "large-kernel: dilation=3 does not split kernel=3 around its middle; 2 would fit"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_with_those_that_would(kernel, dilation, message):
    with pytest.raises(ValueError, match=message):
        LargeKernelConvolution(4, 4, kernel, dilation=dilation)
