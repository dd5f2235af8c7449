"""What exchanges information between the groups of a grouped or depthwise convolution."""

from blocks.mixing.pointwise import PointwiseConvolution
from blocks.mixing.shuffle import ChannelShuffle

__all__ = ["ChannelShuffle", "PointwiseConvolution"]
