"""What halves the sides of a map; one file per idea.

All but patch merging hold the network's convolution under the same name, so that it starts from the same weights.
"""

from blocks.downsampling.blur_pool import BlurPool
from blocks.downsampling.patch_merging import PatchMerging
from blocks.downsampling.pooled import AveragePool, MaxPool
from blocks.downsampling.strided import Strided

__all__ = ["AveragePool", "BlurPool", "MaxPool", "PatchMerging", "Strided"]
