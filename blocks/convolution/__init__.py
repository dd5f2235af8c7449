"""k×k convolutions of a block: same size at stride 1, no bias, because a norm follows; one file per idea."""

from blocks.convolution.dense import DenseConvolution
from blocks.convolution.depthwise import DepthwiseConvolution
from blocks.convolution.grouped import GroupedConvolution

__all__ = ["DenseConvolution", "DepthwiseConvolution", "GroupedConvolution"]
