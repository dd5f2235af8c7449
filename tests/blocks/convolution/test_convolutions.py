"""Convolutions at kernels from 1 to 11, strides 1 and 2 and odd sizes, against loops over pixels and channels."""

import pytest
import torch
from torch.nn import functional

from blocks.catalogue import read

CONVOLUTIONS = {entry.name: entry for entry in read().entries("conv")}
KERNELS = (1, 3, 5, 7, 9, 11)
X = torch.randn(2, 4, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def convolved(x, weight, stride=(1, 1), *, dilation=1, groups=1):
    """Return a zero-padded convolution, written out."""
    n_out, n_in, *sides = weight.shape
    spans = [dilation * (side - 1) for side in sides]
    padded = functional.pad(x, [spans[1] // 2] * 2 + [spans[0] // 2] * 2)
    rows, columns = (range(0, size, step) for size, step in zip(x.shape[2:], stride, strict=True))
    y = x.new_empty(len(x), n_out, len(rows), len(columns))
    for o in range(n_out):
        first = o // (n_out // groups) * n_in
        for a, i in enumerate(rows):
            for b, j in enumerate(columns):
                window = padded[
                    :, first : first + n_in, i : i + spans[0] + 1 : dilation, j : j + spans[1] + 1 : dilation
                ]
                y[:, o, a, b] = (window * weight[o]).sum((1, 2, 3))
    return y


def partial(x, module, stride, share=4):
    first = x.shape[1] // share
    passed = x[:, first:, :: stride[0], :: stride[1]]
    return torch.cat([convolved(x[:, :first], module.conv.weight, stride), passed], 1)


def separable(x, module, stride, dilation=1):
    y = convolved(x, module.depthwise.weight, stride, dilation=dilation, groups=4)
    return torch.einsum("oc,bchw->bohw", module.pointwise.weight[:, :, 0, 0], y)


def asymmetric(x, module, stride):
    return convolved(convolved(x, module.column.weight, (stride[0], 1)), module.row.weight, (1, stride[1]))


def large_kernel(x, module, stride, dilation=2):
    near = convolved(x, module.near.weight, groups=4)
    far = convolved(near, module.far.weight, stride, dilation=dilation, groups=4)
    return torch.einsum("oc,bchw->bohw", module.combine.weight[:, :, 0, 0], far)


WRITTEN_OUT = {
    "dense": lambda x, module, stride, **options: convolved(x, module.weight, stride, **options),
    "grouped": lambda x, module, stride, groups=2, **options: convolved(
        x, module.weight, stride, groups=groups, **options
    ),
    "depthwise": lambda x, module, stride, **options: convolved(x, module.weight, stride, groups=4, **options),
    "separable": separable,
    "linear": lambda x, module, stride: convolved(x, module.weight, stride),
    "partial": partial,
    "asymmetric": asymmetric,
    "large-kernel": large_kernel,
}
SMALLEST_KERNEL = {"asymmetric": 3, "large-kernel": 3}
CASES = [
    *(
        (name, kernel, {})
        for name in WRITTEN_OUT
        for kernel in KERNELS
        if kernel >= SMALLEST_KERNEL.get(name, 1) and kernel == CONVOLUTIONS[name].facts.get("kernel", kernel)
    ),
    *((name, kernel, {"dilation": 2}) for name in ("dense", "grouped", "depthwise", "separable") for kernel in (3, 5)),
    ("dense", 3, {"dilation": 3}),
    ("grouped", 3, {"groups": 4}),
    ("partial", 3, {"share": 2}),
    ("large-kernel", 7, {"dilation": 3}),
]


@pytest.mark.parametrize(("n_out", "stride"), [(4, 1), (8, 2)])
@pytest.mark.parametrize(("name", "kernel", "options"), CASES)
def test_the_output_is_the_written_out_one(name, kernel, options, n_out, stride):
    module = CONVOLUTIONS[name].load()(4, n_out, kernel, stride, **options).double()

    with torch.no_grad():
        y, expected = module(X), WRITTEN_OUT[name](X, module, (stride, stride), **options)

    torch.testing.assert_close(y, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "kernel", "options"), CASES)
def test_the_size_is_kept_at_stride_1_and_halved_upwards_at_stride_2(name, kernel, options):
    make = CONVOLUTIONS[name].load()

    for height, width in ((9, 6), (1, 1), (2, 13)):
        x = torch.randn(1, 4, height, width)
        assert make(4, 8, kernel, **options)(x).shape == (1, 8, height, width)
        assert make(4, 8, kernel, 2, **options)(x).shape == (1, 8, -(-height // 2), -(-width // 2))


@pytest.mark.parametrize("name", [name for name in WRITTEN_OUT if name != "linear"])
@pytest.mark.parametrize(("kernel", "fit"), [(0, "1 or 3"), (4, "3 or 5"), (-3, "1 or 3")])
def test_a_kernel_without_a_middle_is_refused(name, kernel, fit):
    with pytest.raises(ValueError, match=f"{name}: kernel={kernel} has no middle pixel; {fit} would fit"):
        CONVOLUTIONS[name].load()(4, 4, kernel)


@pytest.mark.parametrize("name", ["dense", "grouped", "depthwise", "separable"])
@pytest.mark.parametrize("dilation", [0, -1])
def test_a_dilation_below_1_is_refused(name, dilation):
    with pytest.raises(ValueError, match=f"{name}: dilation={dilation} is too small; 1 or more would fit"):
        CONVOLUTIONS[name].load()(4, 4, 3, dilation=dilation)


@pytest.mark.parametrize("name", ["dense", "grouped", "depthwise", "separable"])
def test_a_dilation_that_would_change_nothing_is_refused(name):
    message = (
        f"{name}: dilation=2 changes nothing in a kernel of one pixel; dilation=1 or a kernel of 3 or more would fit"
    )
    with pytest.raises(ValueError, match=message):
        CONVOLUTIONS[name].load()(4, 4, 1, dilation=2)
