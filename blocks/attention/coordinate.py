"""Coordinate attention."""

from typing import Literal

import torch
from torch import Tensor, nn

from blocks.catalogue import register, require_known

LINES = {"both": {"rows": 3, "columns": 2}, "x": {"rows": 3}, "y": {"columns": 2}}


@register("attention", "coordinate")
class CoordinateAttention(nn.Module):
    """Scale each value by a gate for its row and one for its column.

    (batch, channels, height, width) → same shape.
    Hou et al., Coordinate Attention for Efficient Mobile Network Design, CVPR 2021, arXiv:2103.02907.
    Departs from the paper: none; at least 8 hidden channels and biases before the norm, as in the authors' code.

    Args:
        channels: of input and output.
        reduction: channels per hidden channel, of which there are at least 8.
        axes: `x` averages along the width and keeps one gate per row, `y` averages along the height and keeps one gate
            per column, named as the poolings in the paper's figure 2; `both` has both gates.
        bias: whether the convolutions have a bias.

    Raises:
        ValueError: if `reduction` is less than 1, or `axes` is not known.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 32,
        axes: Literal["both", "x", "y"] = "both",
        bias: bool = True,
    ) -> None:
        super().__init__()
        if reduction < 1:
            raise ValueError(f"coordinate: reduction={reduction} is no divisor; 1 or more would fit")
        require_known("coordinate", "axes", axes, LINES)
        hidden = max(8, channels // reduction)
        # What has a gate of its own, and the axis that is averaged to find it.
        self.lines = LINES[axes]
        self.reduce = nn.Conv2d(channels, hidden, 1, bias=bias)
        self.norm = nn.BatchNorm2d(hidden)
        self.act = nn.Hardswish(inplace=True)
        for line in self.lines:
            self.add_module(line, nn.Conv2d(hidden, channels, 1, bias=bias))

    def forward(self, x: Tensor) -> Tensor:
        """Weigh rows and columns."""
        # The gradient of a sum is a view of one value; that of a mean is a copy as large as the map.
        averages = [(x.sum(axis) / x.shape[axis]).unsqueeze(3) for axis in self.lines.values()]
        hidden = self.act(self.norm(self.reduce(torch.cat(averages, 2))))  # (batch, hidden, height + width, 1)
        parts = hidden.split([average.shape[2] for average in averages], 2)
        for (line, axis), part in zip(self.lines.items(), parts, strict=True):
            gate = getattr(self, line)(part).sigmoid()  # (batch, channels, height or width, 1)
            x = x * gate.squeeze(3).unsqueeze(axis)
        return x
