"""Batch normalisation."""

from torch import Tensor, nn

from blocks.catalogue import register


@register("norm", "batch")
class BatchNorm(nn.BatchNorm2d):
    """Normalise each channel over the batch; running averages at evaluation.

    (batch, channels, height, width) → same shape.
    Ioffe and Szegedy, Batch Normalization, ICML 2015, arXiv:1502.03167.
    Departs from the paper: running averages with momentum 0.1 instead of a pass over the training data.

    Raises:
        ValueError: from `forward` in training, if the batch is a single pixel.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        if self.training and x.shape[0] * x.shape[2] * x.shape[3] == 1:
            raise ValueError(
                "batch: one sample of 1×1 pixels leaves a single value of each channel to normalise in training; "
                "larger batches, larger images, fewer stages or another norm would fit"
            )
        return super().forward(x)
