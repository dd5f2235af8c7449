"""Blocks that weigh features by a gate computed from them; one file per paper."""

from blocks.attention.cbam import CBAM
from blocks.attention.coordinate import CoordinateAttention
from blocks.attention.efficient_channel import EfficientChannel
from blocks.attention.squeeze_excite import SqueezeExcite

__all__ = ["CBAM", "CoordinateAttention", "EfficientChannel", "SqueezeExcite"]
