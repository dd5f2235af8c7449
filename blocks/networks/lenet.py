"""The first widely used convolutional network."""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional

from blocks.absence import Nothing
from blocks.activation import ReLU
from blocks.catalogue import register
from blocks.downsampling.pooled import MaxPool
from blocks.networks.widths import one_for_each
from blocks.slots import MakeDownsample, MakeModule

SIDE = 32  # what three 5×5 convolutions and two halvings make one pixel of
SMALLEST = 28


@register(
    "network",
    "lenet",
    task="classification",
    misfits={"downsample": {"patch-merging": "its own layer would take the place of both convolutions"}},
)
class LeNet(nn.Module):
    """Classify images by 5×5 convolutions, each of the first two halved, and two dense layers (LeNet-5).

    (batch, in_channels, height, width) → (batch, n_classes); sides of 28 or more.
    LeCun et al., Gradient-Based Learning Applied to Document Recognition, Proceedings of the IEEE 1998.
    Departs from the paper: as in most later versions every map of the second convolution sees all maps of the first,
    ReLU replaces a scaled tanh, max-pooling a learned mean, a linear layer the radial basis functions at the end, and
    the weights start as torch draws them (the author's start suits the scaled tanh).

    Sides of 28 to 31 are padded with zeros to 32, as the paper does with its digits. The dense layers are convolutions
    over a map that is one pixel at 32×32; at larger images their answers at all places are averaged before the last
    layer (the paper's replicated networks).

    Args:
        in_channels: 1 for grey images, 3 for colour.
        n_classes: the number of classes.
        width: maps of the three convolutions, then units of the dense layer.
        attention: acts on the second convolution's 16 maps after their activation, before they are halved.
        norm: follows the first two convolutions, which keep their biases.
        activation: follows every layer but the last.
        downsample: halves the map after the activation; holds convolution, norm, activation and attention.

    Raises:
        ValueError: if `width` has not four numbers of 1 or more, or from `forward`, if a side is less than 28.
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        width: tuple[int, ...] = (6, 16, 120, 84),
        attention: MakeModule = Nothing,
        norm: MakeModule = Nothing,
        activation: MakeModule = ReLU,
        downsample: MakeDownsample = MaxPool,
    ) -> None:
        super().__init__()
        self.widths = one_for_each("lenet", "width", width, 4)
        maps1, maps2, maps3, units = self.widths

        def first(in_channels: int, out_channels: int, stride: int) -> nn.Module:
            return nn.Sequential(
                OrderedDict(
                    conv=nn.Conv2d(in_channels, out_channels, 5, stride),
                    norm=norm(out_channels),
                    act=activation(out_channels),
                )
            )

        def second(in_channels: int, out_channels: int, stride: int) -> nn.Module:
            layers = first(in_channels, out_channels, stride)
            layers.add_module("attention", attention(out_channels))
            return layers

        self.stages = nn.Sequential(downsample(in_channels, maps1, first), downsample(maps1, maps2, second))
        self.dense = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(maps2, maps3, 5),
                act1=activation(maps3),
                conv2=nn.Conv2d(maps3, units, 1),
                act2=activation(units),
            )
        )
        self.head = nn.Linear(units, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        features = self.dense(self.stages(_padded(x)))  # (batch, 84, 1, 1) for images of 28×28 to 32×32
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits


def _padded(x: Tensor) -> Tensor:
    """Return images with sides of 32 or more, the given ones in the middle."""
    height, width = x.shape[2:]
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"lenet: images of {height}×{width} are too small for three 5×5 convolutions without padding; "
            "28×28, 32×32 or more would fit"
        )
    rows, columns = max(0, SIDE - height), max(0, SIDE - width)
    return functional.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
