"""Window attention of the Swin transformer."""

from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from blocks.attention.heads import count_heads
from blocks.catalogue import register, require_at_least, require_known, require_side


@register("attention", "window", smallest=7)
class WindowAttention(nn.Module):
    """Replace each pixel by averages over the pixels of its window, one average per head, weighted by their match.

    (batch, channels, height, width) → same shape.
    Liu et al., Swin Transformer, ICCV 2021, arXiv:2103.14030.
    Departs from the paper: a side that is no multiple of the window is padded by zeros at its end, which are seen like
    any other pixel, as in torchvision and timm; a map smaller than a window is refused, where the authors' code shrinks
    the window; pixels that may not see each other never do, where the code takes 100 from their scores.

    With `shift` the map is first rolled up and left by half a window, so that the windows lie across the borders of the
    others; pixels that only rolling has brought together do not see each other. A side that one window covers is not
    rolled: nothing lies across. (timm rolls before it pads: if a side needs both, some opposite borders see each other.)

    Args:
        channels: of input and output.
        window: side of the windows, 2 or more: a pixel alone would only see itself.
        shift: whether the windows are shifted by half a window; Swin does it in every second block.
        heads: how many there are.
        head_channels: channels of each, instead of `heads`; with neither it is 32.
        bias: whether queries, keys and values have a bias; the projection of the output always has one.
        position: whether each head adds a learned number to a score for where the one pixel lies from the other.

    Raises:
        ValueError: if the heads do not divide the channels, both `heads` and `head_channels` are given, `window` is less
            than 2, or `position` is not known; from `forward`, if the map is smaller than a window.
    """

    def __init__(
        self,
        channels: int,
        *,
        window: int = 7,
        shift: bool = False,
        heads: int | None = None,
        head_channels: int | None = None,
        bias: bool = True,
        position: Literal["relative", "none"] = "relative",
    ) -> None:
        super().__init__()
        require_at_least("window", "window", window, 2)
        require_known("window", "position", position, POSITIONS)
        self.window, self.shift = window, 0
        self.heads = count_heads("window", channels, heads, head_channels)
        self.qkv = nn.Linear(channels, 3 * channels, bias=bias)
        self.project = nn.Linear(channels, channels)
        self.position = POSITIONS[position](window, self.heads)
        self.reset_parameters()
        if shift:
            self.shifted()

    def reset_parameters(self) -> None:
        """Draw new weights; biases start at zero."""
        for layer in (self.qkv, self.project):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def shifted(self) -> Self:
        """Shift the windows from now on, and return the module itself."""
        self.shift = self.window // 2
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Attend in each window."""
        size = self.window
        require_side("window", x.shape, size, f"window={size}")
        batch, channels, height, width = x.shape
        x = x.permute(0, 2, 3, 1)  # (batch, height, width, channels): no copy if channels come last in memory
        down, right = -height % size, -width % size
        if down or right:
            x = functional.pad(x, (0, 0, 0, right, 0, down))
        rows, columns = (height + down) // size, (width + right) // size
        shifts = [self.shift if n > 1 else 0 for n in (rows, columns)]
        if any(shifts):
            x = x.roll([-shift for shift in shifts], (1, 2))
        x = x.reshape(batch, rows, size, columns, size, channels).transpose(2, 3)
        x = x.reshape(batch, rows * columns, size * size, channels)  # (batch, windows, pixels, channels)
        heads = self.qkv(x).view(*x.shape[:3], 3, self.heads, -1).permute(3, 0, 1, 4, 2, 5)
        q, k, v = heads.unbind(0)  # (batch, windows, heads, pixels, channels of a head)
        scores = self.position(q * q.shape[-1] ** -0.5 @ k.mT)  # (batch, windows, heads, pixels, pixels)
        if any(shifts):
            scores = scores.masked_fill(_apart(size, rows, columns, shifts, scores.device), -torch.inf)
        x = (scores.softmax(-1) @ v).transpose(2, 3).reshape(batch, rows, columns, size, size, channels)
        x = x.transpose(2, 3).reshape(batch, rows * size, columns * size, channels)
        if any(shifts):
            x = x.roll(shifts, (1, 2))
        output: Tensor = self.project(x[:, :height, :width])
        return output.permute(0, 3, 1, 2)


class RelativePosition(nn.Module):
    """Add to each score of a head a learned number for how far the one pixel lies below and right of the other."""

    def __init__(self, window: int, heads: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.table, std=0.02)
        place = torch.arange(window)
        distance = place[:, None] - place + window - 1  # 0 to 2·window - 2
        index = (2 * window - 1) * distance[:, None, :, None] + distance[None, :, None, :]
        self.register_buffer("relative_position_index", index.reshape(window**2, window**2), persistent=False)
        self.relative_position_index: Tensor

    def forward(self, scores: Tensor) -> Tensor:
        """Add the numbers."""
        return scores + self.table[self.relative_position_index].permute(2, 0, 1)  # (heads, pixels, pixels)


class NoPosition(nn.Identity):
    """Leave the scores as they are."""

    def __init__(self, window: int, heads: int) -> None:  # noqa: ARG002 - made like the other choice
        super().__init__()


POSITIONS: dict[str, type[RelativePosition | NoPosition]] = {"relative": RelativePosition, "none": NoPosition}


def _apart(size: int, rows: int, columns: int, shifts: list[int], device: torch.device) -> Tensor:
    """Tell which pixels of the windows of a rolled map only rolling has brought together: (windows, 1, pixels, pixels)."""
    rolled_rows, rolled_columns = (
        (torch.arange(n * size, device=device) >= n * size - shift).view(n, size)
        for n, shift in zip((rows, columns), shifts, strict=True)
    )
    region = 2 * rolled_rows[:, None, :, None] + rolled_columns[None, :, None, :]  # (rows, columns, size, size)
    region = region.view(rows * columns, 1, size * size)
    return region[:, :, :, None] != region[:, :, None, :]
