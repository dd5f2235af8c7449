"""Squeeze-and-excitation."""

from typing import Literal

from torch import Tensor, nn

from blocks.catalogue import register, require_known, require_unit
from blocks.squeeze import average, maximum

SQUEEZES = {"avg": average, "max": maximum}
GATES = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}


@register("attention", "se")
class SqueezeExcite(nn.Module):
    """Scale each channel by a gate computed from its global average.

    (batch, channels, height, width) → same shape.
    Hu et al., Squeeze-and-Excitation Networks, CVPR 2018, arXiv:1709.01507.
    Departs from the paper: none; `bias` adds the biases that some implementations have.

    Args:
        channels: of input and output.
        reduction: channels per hidden unit.
        bias: whether both layers have a bias.
        squeeze: what a channel is summed up by, its average or its maximum (an ablation of the paper).
        excite: what makes a gate of a score (an ablation of the paper); `tanh` may turn a channel's sign, `relu` may
            close or amplify it.

    Raises:
        ValueError: if `channels` is smaller than `reduction`, `reduction` than 1, or a word is not known.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        bias: bool = False,
        squeeze: Literal["avg", "max"] = "avg",
        excite: Literal["sigmoid", "tanh", "relu"] = "sigmoid",
    ) -> None:
        super().__init__()
        require_unit("se", reduction, channels)
        require_known("se", "squeeze", squeeze, SQUEEZES)
        require_known("se", "excite", excite, GATES)
        self.pool = SQUEEZES[squeeze]
        self.squeeze = nn.Linear(channels, channels // reduction, bias=bias)
        self.excite = nn.Linear(channels // reduction, channels, bias=bias)
        self.gate = GATES[excite]()

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the channels."""
        gate: Tensor = self.gate(self.excite(self.squeeze(self.pool(x)).relu()))  # (batch, channels)
        return x * gate[:, :, None, None]
