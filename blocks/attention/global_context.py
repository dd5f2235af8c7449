"""Global context."""

from typing import Literal

from torch import Tensor, nn

from blocks.catalogue import register, require_at_least, require_known, require_pixels
from blocks.squeeze import average

FUSIONS = ("add", "scale")
POOLS = ("attention", "avg")


@register("attention", "gc")
class GlobalContext(nn.Module):
    """Add to every pixel the same context, an average over all pixels that a score of each has weighted.

    (batch, channels, height, width) → same shape.
    Cao et al., GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond, ICCV Workshops 2019, arXiv:1904.11492.
    Departs from the paper: none. The last layer starts at zero, as in the authors' code: so `add` starts as the identity
    and `scale` by halving. Without the bias that their score has: the softmax cancels it, so it would never learn.

    Args:
        channels: of input and output.
        reduction: channels per hidden unit of the two layers that transform the context; 16 in most of the paper, whose
            networks are wider.
        fusion: whether the transformed context is added, or scales the channels through a sigmoid.
        pool: whether the context is weighted by attention, or is the plain average.

    Raises:
        ValueError: if `reduction` leaves less than 3 hidden units (the norm makes zero of one, and leaves of two only which
            is the larger), or a word is not known; from `forward`, if there is a single pixel to attend to.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 8,
        fusion: Literal["add", "scale"] = "add",
        pool: Literal["attention", "avg"] = "attention",
    ) -> None:
        super().__init__()
        require_at_least("gc", "channels", channels, 3)
        require_at_least("gc", "reduction", reduction, 1)
        require_known("gc", "fusion", fusion, FUSIONS)
        require_known("gc", "pool", pool, POOLS)
        hidden = channels // reduction
        if hidden < 3:
            raise ValueError(
                f"gc: reduction={reduction} leaves {hidden} of {channels} channels as hidden units, and the norm needs 3 to "
                f"leave more than which is the larger; 1 to {channels // 3} would fit"
            )
        self.pool = _Attention(channels) if pool == "attention" else average
        self.reduce = nn.Linear(channels, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.expand = nn.Linear(hidden, channels)
        self.fuse = _add if fusion == "add" else _scale
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Add the context."""
        hidden = self.norm(self.reduce(self.pool(x))).relu()
        return self.fuse(x, self.expand(hidden)[:, :, None, None])


def _add(x: Tensor, context: Tensor) -> Tensor:
    return x + context


def _scale(x: Tensor, context: Tensor) -> Tensor:
    return x * context.sigmoid()


class _Attention(nn.Module):
    """Average all pixels, each weighted by the softmax of its score."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Linear(channels, 1, bias=False)
        nn.init.kaiming_normal_(self.score.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return the averages (batch, channels)."""
        require_pixels("gc", x.shape[2:].numel())
        pixels = x.flatten(2).transpose(1, 2)  # (batch, pixels, channels): no copy if channels come last in memory
        weights = self.score(pixels).softmax(1)  # (batch, pixels, 1)
        context: Tensor = (weights.transpose(1, 2) @ pixels)[:, 0]
        return context
