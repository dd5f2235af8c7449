"""Network of inverted residuals with linear bottlenecks."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from blocks.absence import Nothing
from blocks.activation import ReLU6
from blocks.catalogue import register, require_at_least, require_known
from blocks.convolution.dense import DenseConvolution
from blocks.convolution.depthwise import DepthwiseConvolution
from blocks.downsampling.strided import Strided
from blocks.networks.layers import conv_norm_act
from blocks.networks.widths import one_for_each
from blocks.normalization.batch import BatchNorm
from blocks.pooling import AveragePooling
from blocks.shortcut.residual import IdentityShortcut
from blocks.slots import MakeConv, MakeDownsample, MakeModule, MakePooling, MakeShortcut

WIDTHS = (16, 24, 32, 64, 96, 160, 320)
STRIDES = {"small": (1, 1, 1, 2, 2, 1, 2, 1), "imagenet": (2, 1, 2, 2, 2, 1, 2, 1)}
"""Of the stem, then of each stage."""
POSITIONS = ("inside", "standard")


@dataclass(frozen=True)
class Fillings:
    """What fills the slots of every block of one network."""

    expansion: int
    kernel: int
    position: str
    attention: MakeModule
    norm: MakeModule
    activation: MakeModule
    conv: MakeConv
    mix: MakeModule
    shortcut: MakeShortcut
    downsample: MakeDownsample


@register("network", "mobilenet-v2", task="classification")
class MobileNetV2(nn.Module):
    """Classify images by blocks that widen, convolve every channel by itself, and narrow again without activation.

    (batch, in_channels, height, width) → (batch, n_classes).
    Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018, arXiv:1801.04381.
    Departs from the paper: by default a quarter as wide and for small images; weights start as in He et al. 2015. Widths
    are rounded to multiples of 8 and never by more than a tenth down, and the last 1×1 convolution is not made narrower
    than 1280, as in the authors' code. The paper's network is `width=1, stem="imagenet"`.

    A block is expand, norm, activation, conv, mix, norm, activation, attention, project, norm; then the shortcut is
    added. The blocks of the first stage do not expand and have no attention, as in Hou et al., Coordinate Attention,
    CVPR 2021. `kernel`, `conv` and `mix` act on the convolution between the two 1×1 convolutions, and `downsample` on
    that convolution where a stage halves the map; the stem and the last 1×1 convolution stay dense. No convolution has a
    bias, whatever the norm: filling one slot changes nothing else.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        n_classes: the number of classes.
        width: multiplies the channels of all layers.
        widths: the channels of each stage, in place of those that `width` gives and not rounded; the stem and the last
            1×1 convolution keep their own.
        depths: blocks of each stage, of 16, 24, 32, 64, 96, 160 and 320 channels; fewer numbers leave out last stages.
        expansion: hidden channels for each of a block's input.
        kernel: side of the blocks' convolutions, odd.
        stem: "small" halves the map before stages 3, 4 and 6; "imagenet" in the stem and before stage 2 as well.
        position: where attention acts, in the words of ResNet. inside: after the activation of a block's convolution, on
            the expanded channels. standard: after the block's last norm.
        attention: acts in every block but those of the first stage.
        norm: follows every convolution, in stem and shortcuts too.
        activation: follows every norm but the last of a block.
        conv: makes the blocks' convolutions.
        mix: follows each of the blocks' convolutions; after a depthwise one a shuffle only renames channels.
        shortcut: what is added to a block's output.
        downsample: halves the map.
        pooling: makes one vector of the last map.

    Raises:
        ValueError: if a number is too small, there are not 2 to 7 stages, `widths` has not one number for each, or a word is
            not known.
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        width: float = 0.25,
        widths: tuple[int, ...] | None = None,
        depths: tuple[int, ...] = (1, 2, 3, 4, 3, 3, 1),
        expansion: int = 6,
        kernel: int = 3,
        stem: Literal["small", "imagenet"] = "small",
        position: Literal["inside", "standard"] = "inside",
        attention: MakeModule = Nothing,
        norm: MakeModule = BatchNorm,
        activation: MakeModule = ReLU6,
        conv: MakeConv = DepthwiseConvolution,
        mix: MakeModule = Nothing,
        shortcut: MakeShortcut = IdentityShortcut,
        downsample: MakeDownsample = Strided,
        pooling: MakePooling = AveragePooling,
    ) -> None:
        super().__init__()
        _require_fitting(width, depths, expansion)
        require_known("mobilenet-v2", "stem", stem, STRIDES)
        require_known("mobilenet-v2", "position", position, POSITIONS)
        fillings = Fillings(expansion, kernel, position, attention, norm, activation, conv, mix, shortcut, downsample)
        first, *rounded = (_rounded(channels * width) for channels in (32, *WIDTHS[: len(depths)]))
        self.widths = one_for_each("mobilenet-v2", "widths", rounded if widths is None else widths, len(depths))
        last = _rounded(1280 * max(1.0, width))
        stem_stride, *strides = STRIDES[stem]
        self.stem = conv_norm_act(in_channels, first, 3, stem_stride, norm=norm, activation=activation)
        self.stages = nn.Sequential(
            *(
                _stage(before, after, stride, n_blocks, fillings, expands=i > 0)
                for i, (before, after, stride, n_blocks) in enumerate(
                    zip((first, *self.widths), self.widths, strides, depths, strict=False)
                )
            )
        )
        self.last = conv_norm_act(self.widths[-1], last, 1, norm=norm, activation=activation)
        self.pool = pooling(last)
        self.head = nn.Linear(last, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.head(self.pool(self.last(self.stages(self.stem(x)))))
        return logits


class LinearBottleneck(nn.Module):
    """Add to the input what a wider convolution makes of it."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, fillings: Fillings, *, expands: bool) -> None:
        super().__init__()
        norm, activation = fillings.norm, fillings.activation
        hidden = in_channels * fillings.expansion if expands else in_channels
        expand = OrderedDict[str, nn.Module](
            expand=DenseConvolution(in_channels, hidden, 1), norm1=norm(hidden), act1=activation(hidden)
        )
        between = OrderedDict[str, nn.Module](
            conv=_spatial(hidden, stride, fillings),
            mix=fillings.mix(hidden),
            norm2=norm(hidden),
            act2=activation(hidden),
        )
        project = OrderedDict[str, nn.Module](
            project=DenseConvolution(hidden, out_channels, 1), norm3=norm(out_channels)
        )
        if not expands:
            layers = between | project
        elif fillings.position == "inside":
            layers = expand | between | {"attention": fillings.attention(hidden)} | project
        else:
            layers = expand | between | project | {"attention": fillings.attention(out_channels)}
        self.residual = nn.Sequential(OrderedDict(layers))
        self.shortcut = fillings.shortcut(in_channels, out_channels, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both branches."""
        output: Tensor = self.residual(x) + self.shortcut(x)
        return output


def _spatial(channels: int, stride: int, fillings: Fillings) -> nn.Module:
    def convolve(in_channels: int, out_channels: int, stride: int) -> nn.Module:
        return fillings.conv(in_channels, out_channels, fillings.kernel, stride)

    return convolve(channels, channels, 1) if stride == 1 else fillings.downsample(channels, channels, convolve)


def _stage(
    in_channels: int, out_channels: int, stride: int, n_blocks: int, fillings: Fillings, *, expands: bool
) -> nn.Sequential:
    first = LinearBottleneck(in_channels, out_channels, stride, fillings, expands=expands)
    return nn.Sequential(
        first,
        *(LinearBottleneck(out_channels, out_channels, 1, fillings, expands=expands) for _ in range(n_blocks - 1)),
    )


def _rounded(channels: float) -> int:
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def _require_fitting(width: float, depths: tuple[int, ...], expansion: int) -> None:
    if not 0 < width < math.inf:
        raise ValueError(f"mobilenet-v2: width={width} leaves no number of channels; above 0 would fit")
    require_at_least("mobilenet-v2", "expansion", expansion, 1)
    if not 2 <= len(depths) <= len(WIDTHS):
        raise ValueError(f"mobilenet-v2: depths={list(depths)} are {len(depths)} stages; 2 to {len(WIDTHS)} would fit")
    for n_blocks in depths:
        require_at_least("mobilenet-v2", "depths", n_blocks, 1)
