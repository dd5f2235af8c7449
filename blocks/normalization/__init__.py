"""Normalisation layers: which values share a mean and a variance; one file per paper."""

from blocks.normalization.batch import BatchNorm
from blocks.normalization.group import GroupNorm
from blocks.normalization.instance import InstanceNorm
from blocks.normalization.layer import LayerNorm
from blocks.normalization.layer_chw import LayerNormCHW

__all__ = ["BatchNorm", "GroupNorm", "InstanceNorm", "LayerNorm", "LayerNormCHW"]
