"""Batch normalisation."""

from torch import nn

from blocks.catalogue import register


@register("norm", "batch")
class BatchNorm(nn.BatchNorm2d):
    """Normalise each channel over the batch; running averages at evaluation.

    (batch, channels, height, width) → same shape.
    Ioffe and Szegedy, Batch Normalization, ICML 2015, arXiv:1502.03167.
    Departs from the paper: running averages with momentum 0.1 instead of a pass over the training data.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
