"""Squeeze-and-excitation."""

from torch import Tensor, nn

from blocks.catalogue import register, require_unit


@register("attention", "se")
class SqueezeExcite(nn.Module):
    """Scale each channel by a gate computed from its global average.

    (batch, channels, height, width) → same shape.
    Hu et al., Squeeze-and-Excitation Networks, CVPR 2018, arXiv:1709.01507.
    Departs from the paper: none; `bias` adds the biases that some implementations have.

    Raises:
        ValueError: if `channels` is smaller than `reduction`, or `reduction` than 1.
    """

    def __init__(self, channels: int, *, reduction: int = 16, bias: bool = False) -> None:
        super().__init__()
        require_unit("se", reduction, channels)
        self.squeeze = nn.Linear(channels, channels // reduction, bias=bias)
        self.excite = nn.Linear(channels // reduction, channels, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the channels."""
        gate: Tensor = self.excite(self.squeeze(x.mean((2, 3))).relu()).sigmoid()  # (batch, channels)
        return x * gate[:, :, None, None]
