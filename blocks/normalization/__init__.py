"""Normalisation layers: which values share a mean and a variance; one file per paper."""

from blocks.normalization.batch import BatchNorm
from blocks.normalization.bias_free import BiasFreeLayerNorm
from blocks.normalization.group import GroupNorm
from blocks.normalization.instance import InstanceNorm
from blocks.normalization.layer import LayerNorm
from blocks.normalization.layer_chw import LayerNormCHW
from blocks.normalization.local_response import LocalResponseNorm
from blocks.normalization.rms import RMSNorm

__all__ = [
    "BatchNorm",
    "BiasFreeLayerNorm",
    "GroupNorm",
    "InstanceNorm",
    "LayerNorm",
    "LayerNormCHW",
    "LocalResponseNorm",
    "RMSNorm",
]
