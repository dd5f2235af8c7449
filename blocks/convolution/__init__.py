"""k×k convolutions of a block: same size at stride 1, no bias, because a norm follows; one file per idea."""

from blocks.convolution.asymmetric import AsymmetricConvolution
from blocks.convolution.dense import DenseConvolution
from blocks.convolution.depthwise import DepthwiseConvolution
from blocks.convolution.grouped import GroupedConvolution
from blocks.convolution.large_kernel import LargeKernelConvolution
from blocks.convolution.linear import LinearConvolution
from blocks.convolution.partial import PartialConvolution
from blocks.convolution.separable import SeparableConvolution

__all__ = [
    "AsymmetricConvolution",
    "DenseConvolution",
    "DepthwiseConvolution",
    "GroupedConvolution",
    "LargeKernelConvolution",
    "LinearConvolution",
    "PartialConvolution",
    "SeparableConvolution",
]
