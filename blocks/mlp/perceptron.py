"""Perceptron of two layers at every pixel."""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from blocks.catalogue import register, require_known
from blocks.mlp.width import widened
from blocks.slots import MakeModule


def _linear(x: Tensor, layer: nn.Linear) -> Tensor:
    x = x.permute(0, 2, 3, 1)  # (batch, height, width, channels): no copy if channels come last in memory
    return functional.linear(x, layer.weight, layer.bias).permute(0, 3, 1, 2)


def _convolution(x: Tensor, layer: nn.Linear) -> Tensor:
    return functional.conv2d(x, layer.weight[:, :, None, None], layer.bias)


POINTWISE = {"linear": _linear, "conv": _convolution}


@register("mlp", "mlp")
class MLP(nn.Module):
    """Widen each pixel's channels by a linear layer, activate them, and narrow them by another.

    (batch, channels, height, width) → same shape.
    Vaswani et al., Attention Is All You Need, NeurIPS 2017, arXiv:1706.03762.
    Departs from the paper: no dropout, and the activation is the network's; weights start as in the code of Swin and
    ConvNeXt, from a normal distribution of deviation 0.02, biases at zero.

    `pointwise` computes the same function of the same tensors in two ways (Liu et al., ConvNeXt, CVPR 2022,
    arXiv:2201.03545): matrix products on the channels, or 1×1 convolutions. They differ by rounding and in speed.

    Args:
        channels: of input and output.
        activation: makes what stands between the layers.
        expansion: hidden channels for each channel, their number rounded down.
        pointwise: how the layers are computed.

    Raises:
        ValueError: if `expansion` leaves no hidden channel, or a word is not known.
    """

    sees_order = False  # where a pixel lies, and beside which others, changes nothing

    def __init__(
        self,
        channels: int,
        activation: MakeModule,
        *,
        expansion: float = 4.0,
        pointwise: Literal["linear", "conv"] = "linear",
    ) -> None:
        super().__init__()
        require_known("mlp", "pointwise", pointwise, POINTWISE)
        n_hidden = widened("mlp", channels, expansion)
        self.pointwise = POINTWISE[pointwise]
        self.hidden = nn.Linear(channels, n_hidden)
        self.activation = activation(n_hidden)
        if "inplace" in vars(self.activation):
            # It gets a view, and to overwrite a view makes autograd copy whole maps: twice the time.
            vars(self.activation)["inplace"] = False
        self.output = nn.Linear(n_hidden, channels)
        for layer in (self.hidden, self.output):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the channels."""
        return self.pointwise(self.activation(self.pointwise(x, self.hidden)), self.output)
