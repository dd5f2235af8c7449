"""Convolutional block attention module."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from blocks.catalogue import register, require_known, require_odd, require_unit
from blocks.squeeze import average, maximum

ORDERS = ("channel-first", "spatial-first", "parallel")
PARTS = ("both", "channel", "spatial")
DESCRIPTORS = ("pooled", "conv")


POOLS = {"avg": (average,), "max": (maximum,), "both": (average, maximum)}


@register("attention", "cbam")
class CBAM(nn.Module):
    """Scale channels by a gate from their pooled values, then pixels by a gate from their pooled channels.

    (batch, channels, height, width) → same shape.
    Woo et al., CBAM: Convolutional Block Attention Module, ECCV 2018, arXiv:1807.06521.
    Departs from the paper: biases in the channel gate and a batch norm in the spatial gate, as in the authors' code.

    Args:
        channels: of input and output.
        reduction: channels per hidden unit of the channel gate.
        kernel: side of the convolution of the spatial gate, odd.
        order: which gate comes first and so shapes what the other sees; `parallel` computes both from the input.
        pool: what the channel gate sees of each channel.
        parts: one of the gates only, or both.
        descriptor: what the spatial gate sees of each pixel, the maximum and the mean of its channels, or one sum of
            them with learned weights (a 1×1 convolution without bias).
        bias: whether the layers of the channel gate have a bias.

    Raises:
        ValueError: if `channels` is smaller than `reduction`, `reduction` than 1, `kernel` is not odd, a word is not known,
            or an option is set that belongs to a gate that `parts` leaves out.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        kernel: int = 7,
        order: Literal["channel-first", "spatial-first", "parallel"] = "channel-first",
        pool: Literal["both", "avg", "max"] = "both",
        parts: Literal["both", "channel", "spatial"] = "both",
        descriptor: Literal["pooled", "conv"] = "pooled",
        bias: bool = True,
    ) -> None:
        super().__init__()
        for option, word, known in (
            ("order", order, ORDERS), ("pool", pool, POOLS), ("parts", parts, PARTS), ("descriptor", descriptor, DESCRIPTORS)
        ):  # fmt: skip
            require_known("cbam", option, word, known)
        if parts != "both":
            _require_default(parts, order=(order, "channel-first"))
        if parts != "spatial":
            require_unit("cbam", reduction, channels)
            self.channel = _ChannelGate(channels, channels // reduction, pool, bias)
        else:
            _require_default(parts, reduction=(reduction, 16), pool=(pool, "both"), bias=(bias, True))
        if parts != "channel":
            require_odd("cbam", kernel)
            self.spatial = _SpatialGate(channels, kernel, descriptor)
        else:
            _require_default(parts, kernel=(kernel, 7), descriptor=(descriptor, "pooled"))
        turns = ("spatial", "channel") if order == "spatial-first" else ("channel", "spatial")
        self.gates = tuple(gate for gate in turns if parts in ("both", gate))
        self.weigh = _at_once if order == "parallel" else _in_turn

    def forward(self, x: Tensor) -> Tensor:
        """Weigh channels and pixels."""
        return self.weigh(x, *(getattr(self, gate) for gate in self.gates))


def _in_turn(x: Tensor, *gates: nn.Module) -> Tensor:
    for gate in gates:
        x = x * gate(x)
    return x


def _at_once(x: Tensor, *gates: nn.Module) -> Tensor:
    y = x
    for gate in gates:
        y = y * gate(x)
    return y


def _require_default(parts: str, **options: tuple[Any, Any]) -> None:
    """Refuse options that would do nothing: for each, its value and its default."""
    for option, (value, default) in options.items():
        if value != default:
            raise ValueError(
                f"cbam: {option}={value!r} does nothing with parts={parts!r}; {default!r} or parts='both' would fit"
            )


class _ChannelGate(nn.Module):
    """Return a gate for each channel from its average and maximum, both through the same two layers."""

    def __init__(self, channels: int, hidden: int, pool: str, bias: bool) -> None:  # noqa: FBT001 - as `bias` of CBAM
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden, bias=bias), nn.ReLU(inplace=True), nn.Linear(hidden, channels, bias=bias)
        )
        self.pools = POOLS[pool]

    def forward(self, x: Tensor) -> Tensor:
        """Return the gates (batch, channels, 1, 1)."""
        scores = torch.stack([self.mlp(pooling(x)) for pooling in self.pools])
        return scores.sum(0).sigmoid()[:, :, None, None]


class _SpatialGate(nn.Module):
    """Return a gate for each pixel from what describes the pixels around it."""

    def __init__(self, channels: int, kernel: int, descriptor: str) -> None:
        super().__init__()
        self.descriptor = nn.Conv2d(channels, 1, 1, bias=False) if descriptor == "conv" else _Pooled()
        self.conv = nn.Conv2d(2 if descriptor == "pooled" else 1, 1, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(1, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gates (batch, 1, height, width)."""
        gate: Tensor = self.norm(self.conv(self.descriptor(x))).sigmoid()
        return gate


class _Pooled(nn.Module):
    """Return the maximum and the mean of the channels of each pixel."""

    def forward(self, x: Tensor) -> Tensor:
        """Return both as two channels."""
        pooled = torch.stack([x.max(1).values, x.sum(1) / x.shape[1]], 3)  # (batch, height, width, 2)
        return pooled.permute(0, 3, 1, 2)  # channels last, which the convolution's gradient is several times faster in
