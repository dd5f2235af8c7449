"""Coordinate attention."""

import torch
from torch import Tensor, nn

from blocks.catalogue import register


@register("attention", "coordinate")
class CoordinateAttention(nn.Module):
    """Scale each value by a gate for its row and one for its column.

    (batch, channels, height, width) → same shape.
    Hou et al., Coordinate Attention for Efficient Mobile Network Design, CVPR 2021, arXiv:2103.02907.
    Departs from the paper: none; at least 8 hidden channels and biases before the norm, as in the authors' code.

    Raises:
        ValueError: if `reduction` is less than 1.
    """

    def __init__(self, channels: int, *, reduction: int = 32) -> None:
        super().__init__()
        if reduction < 1:
            raise ValueError(f"coordinate: reduction={reduction} is no divisor; 1 or more would fit")
        hidden = max(8, channels // reduction)
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.norm = nn.BatchNorm2d(hidden)
        self.act = nn.Hardswish(inplace=True)
        self.rows = nn.Conv2d(hidden, channels, 1)
        self.columns = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh rows and columns."""
        height, width = x.shape[2:]
        rows = x.mean(3, keepdim=True)  # (batch, channels, height, 1)
        columns = x.mean(2, keepdim=True).transpose(2, 3)  # (batch, channels, width, 1)
        both = self.act(self.norm(self.reduce(torch.cat([rows, columns], 2))))  # (batch, hidden, height + width, 1)
        rows, columns = both.split([height, width], 2)
        by_row: Tensor = self.rows(rows).sigmoid()  # (batch, channels, height, 1)
        by_column: Tensor = self.columns(columns).transpose(2, 3).sigmoid()  # (batch, channels, 1, width)
        return x * by_row * by_column
