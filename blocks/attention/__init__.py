"""Blocks that weigh or mix features by what they find in them; one file per paper."""

from blocks.attention.cbam import CBAM
from blocks.attention.content_aware import ContentAwareMixer
from blocks.attention.coordinate import CoordinateAttention
from blocks.attention.dual import DualAttention
from blocks.attention.efficient_channel import EfficientChannel
from blocks.attention.feature_modulation import FeatureModulation
from blocks.attention.global_context import GlobalContext
from blocks.attention.grouped import GroupedChannelAttention, GroupedSpatialAttention
from blocks.attention.non_local import NonLocal
from blocks.attention.omni_kernel import OmniKernel
from blocks.attention.selective_kernel import SelectiveKernel
from blocks.attention.self_attention import SelfAttention
from blocks.attention.squeeze_excite import SqueezeExcite
from blocks.attention.transposed import TransposedAttention
from blocks.attention.window import WindowAttention

__all__ = [
    "CBAM",
    "ContentAwareMixer",
    "CoordinateAttention",
    "DualAttention",
    "EfficientChannel",
    "FeatureModulation",
    "GlobalContext",
    "GroupedChannelAttention",
    "GroupedSpatialAttention",
    "NonLocal",
    "OmniKernel",
    "SelectiveKernel",
    "SelfAttention",
    "SqueezeExcite",
    "TransposedAttention",
    "WindowAttention",
]
