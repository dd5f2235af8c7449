"""What makes one vector of a map, before the classifier."""

import math

import torch
from torch import Tensor, nn

from blocks.catalogue import register
from blocks.squeeze import average, maximum


@register("pooling", "average")
class AveragePooling(nn.Module):
    """Average each channel over the pixels.

    (batch, channels, height, width) → (batch, channels).
    Lin et al., Network In Network, ICLR 2014, arXiv:1312.4400.
    Departs from the paper: none.
    """

    def __init__(self, channels: int) -> None:  # noqa: ARG002 - as for all choices of the slot
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """Average."""
        return average(x)


@register("pooling", "max")
class MaxPooling(nn.Module):
    """Take the largest value of each channel.

    (batch, channels, height, width) → (batch, channels).
    Oquab et al., Is Object Localization for Free?, CVPR 2015.
    Departs from the paper: the classifier comes after it, not before.
    """

    def __init__(self, channels: int) -> None:  # noqa: ARG002 - as for all choices of the slot
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """Take the maximum."""
        return maximum(x)


@register("pooling", "average-max")
class AverageMaxPooling(nn.Module):
    """Take the mean of the average and the largest value of each channel.

    (batch, channels, height, width) → (batch, channels).
    Lee et al., Generalizing Pooling Functions in Convolutional Neural Networks, AISTATS 2016, arXiv:1509.08985.
    Departs from the paper: both count the same; the paper learns their shares, and pools windows.
    """

    def __init__(self, channels: int) -> None:  # noqa: ARG002 - as for all choices of the slot
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        """Pool."""
        return (average(x) + maximum(x)) / 2


@register("pooling", "gem")
class GeneralizedMeanPooling(nn.Module):
    """Take a power mean of each channel: exponent 1 is the average, a large one nears the maximum.

    (batch, channels, height, width) → (batch, channels).
    Radenović et al., Fine-Tuning CNN Image Retrieval with No Human Annotation, TPAMI 2019, arXiv:1711.02512.
    Departs from the paper: none; one exponent for all channels, learned, and values below 1e-6 raised to it.

    Raises:
        ValueError: if `exponent` is not above zero, or infinite.
    """

    def __init__(self, channels: int, *, exponent: float = 3.0) -> None:  # noqa: ARG002 - as for all choices of the slot
        super().__init__()
        if not 0 < exponent < math.inf:
            raise ValueError(f"gem: exponent={exponent} is no power mean of positive values; above 0 would fit")
        self.exponent = nn.Parameter(torch.tensor(float(exponent)))

    def forward(self, x: Tensor) -> Tensor:
        """Pool."""
        x = x.clamp(min=1e-6)
        # Powers of shares of the maximum neither overflow nor all vanish; by which number one divides changes no gradient.
        largest = x.detach().amax((2, 3), keepdim=True)
        return average((x / largest).pow(self.exponent)).pow(1 / self.exponent) * largest[:, :, 0, 0]
