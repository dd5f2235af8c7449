"""Gated feed-forward network with depthwise convolutions."""

from collections import OrderedDict

from torch import Tensor, nn

from blocks.catalogue import register
from blocks.mlp.width import widened
from blocks.slots import MakeModule


@register("mlp", "gdfn")
class GatedDepthwise(nn.Module):
    """Widen the channels on two paths, multiply the activated one by the other, and narrow the product.

    (batch, channels, height, width) → same shape.
    Zamir et al., Restormer: Efficient Transformer for High-Resolution Image Restoration, CVPR 2022, arXiv:2111.09881.
    Departs from the paper: the activation is the network's, the paper's is GELU.

    A path is a 1×1 convolution and a 3×3 convolution of each channel by itself. The paths are convolutions of their own,
    where the authors' code cuts the result of one in two: the same function and the same first weights, but twice as
    fast on a CPU.

    Args:
        channels: of input and output.
        activation: acts on one of the paths.
        expansion: hidden channels of each path for each channel, their number rounded down.
        gate: whether there is a second path; without it nothing is multiplied.
        depthwise: whether the paths have their 3×3 convolutions; without them each pixel is changed by itself.
        bias: whether the convolutions have biases.

    Raises:
        ValueError: if `expansion` leaves no hidden channel.
    """

    def __init__(
        self,
        channels: int,
        activation: MakeModule,
        *,
        expansion: float = 2.66,
        gate: bool = True,
        depthwise: bool = True,
        bias: bool = False,
    ) -> None:
        super().__init__()
        hidden = widened("gdfn", channels, expansion)
        self.path = _path(channels, hidden, depthwise=depthwise, bias=bias)
        self.activation = activation(hidden)
        self.gates = nn.ModuleList(_path(channels, hidden, depthwise=depthwise, bias=bias) for _ in range(int(gate)))
        self.project = nn.Conv2d(hidden, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the channels, and each with its neighbourhood."""
        hidden = self.activation(self.path(x))
        for gate in self.gates:
            hidden = hidden * gate(x)
        output: Tensor = self.project(hidden)
        return output


def _path(channels: int, hidden: int, *, depthwise: bool, bias: bool) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict(expand=nn.Conv2d(channels, hidden, 1, bias=bias))
    if depthwise:
        layers["depthwise"] = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=bias)
    return nn.Sequential(layers)
