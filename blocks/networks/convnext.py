"""ConvNeXt: a convolutional network built like a vision transformer."""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from blocks.absence import Nothing
from blocks.activation import GaussianErrorUnit
from blocks.catalogue import register, require_at_least
from blocks.convolution.depthwise import DepthwiseConvolution
from blocks.downsampling.strided import Strided
from blocks.mlp.perceptron import Perceptron
from blocks.networks.vit import PatchConvolution
from blocks.normalization.layer import LayerNorm
from blocks.pooling import AveragePooling
from blocks.slots import MakeConv, MakeDownsample, MakeMLP, MakeModule, MakePooling


@dataclass(frozen=True)
class Fillings:
    """What fills the slots of every stage of one network."""

    kernel: int
    layer_scale: float | None
    attention: MakeModule
    norm: MakeModule
    conv: MakeConv
    mlp: MakeMLP
    activation: MakeModule
    downsample: MakeDownsample


@register(
    "network",
    "convnext",
    task="classification",
    misfits={"norm": {"instance": "the last norm sees one pixel of each channel, and would make zero of it"}},
)
class ConvNeXt(nn.Module):
    """Classify images by stages of depthwise convolutions and perceptrons, the map halved between stages.

    (batch, in_channels, height, width) → (batch, n_classes).
    Liu et al., A ConvNet for the 2020s, CVPR 2022, arXiv:2201.03545.
    Departs from the paper: no stochastic depth. Weights start as in the authors' code, but that of the blocks'
    convolution as its own choice does; the bias that it has there is the block's here, so that it stays whatever fills
    the slot.

    A block adds to its input conv, bias, norm, mlp, attention, layer scale. Between stages `downsample` gets a norm and a
    convolution whose kernel is its stride; after the last stage come pooling, norm and head. A side that is no multiple
    of such a kernel is padded by zeros. The defaults suit images of 32×32. ConvNeXt-T has `patch: 4`, `width: 96` and
    `depths: [3, 3, 9, 3]`; timm's atto `width: 40` and `depths: [2, 2, 6, 2]`.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        n_classes: the number of classes.
        depths: the number of blocks of each stage.
        width: channels of the first stage; each further stage doubles them and halves the map.
        patch: side of the patches that the stem makes pixels of.
        kernel: side of the blocks' convolutions, odd.
        layer_scale: where the learned factors start, one for each channel of a block's branch; none for no factors.
        attention: acts on the residual branch, after the mlp.
        norm: comes after the stem, after the blocks' convolutions, before each convolution between stages, and
            before the head.
        conv: makes the blocks' convolutions.
        mlp: mixes the channels.
        activation: of the mlp.
        downsample: halves the map between stages; patch merging has a layer norm of its own.
        pooling: makes one vector of the map.

    Raises:
        ValueError: if a number is too small, or there is no stage.
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        depths: tuple[int, ...] = (2, 2, 2),
        width: int = 32,
        patch: int = 2,
        kernel: int = 7,
        layer_scale: float | None = 1e-6,
        attention: MakeModule = Nothing,
        norm: MakeModule = LayerNorm,
        conv: MakeConv = DepthwiseConvolution,
        mlp: MakeMLP = Perceptron,
        activation: MakeModule = GaussianErrorUnit,
        downsample: MakeDownsample = Strided,
        pooling: MakePooling = AveragePooling,
    ) -> None:
        super().__init__()
        require_at_least("convnext", "stages", len(depths), 1)
        for name, value in {"depths": min(depths), "width": width, "patch": patch}.items():
            require_at_least("convnext", name, value, 1)
        fillings = Fillings(kernel, layer_scale, attention, norm, conv, mlp, activation, downsample)
        widths = [width * 2**i for i in range(len(depths))]
        self.stem = nn.Sequential(OrderedDict(conv=_patches(in_channels, width, patch), norm=norm(width)))
        self.stages = nn.Sequential(
            *(
                _stage(before, after, depth, fillings)
                for before, after, depth in zip([None, *widths], widths, depths, strict=False)
            )
        )
        self.pool = pooling(widths[-1])
        self.norm = norm(widths[-1])
        self.head = nn.Linear(widths[-1], n_classes)
        _draw(self.head)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.pool(self.stages(self.stem(x)))
        x = self.norm(x[:, :, None, None]).flatten(1)
        logits: Tensor = self.head(x)
        return logits


class ConvNeXtBlock(nn.Module):
    """Add to the input what a convolution, then an mlp makes of it."""

    def __init__(self, channels: int, fillings: Fillings) -> None:
        super().__init__()
        self.conv = fillings.conv(channels, channels, fillings.kernel, 1)
        self.bias = nn.Parameter(torch.zeros(channels))
        self.norm = fillings.norm(channels)
        self.mlp = fillings.mlp(channels, fillings.activation)
        self.attention = fillings.attention(channels)
        self.scale = nn.Identity() if fillings.layer_scale is None else LayerScale(channels, fillings.layer_scale)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both branches."""
        residual = self.conv(x) + self.bias[:, None, None]
        residual = self.attention(self.mlp(self.norm(residual)))
        output: Tensor = x + self.scale(residual)
        return output


class LayerScale(nn.Module):
    """Scale each channel by a learned factor."""

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), float(start)))

    def forward(self, x: Tensor) -> Tensor:
        """Scale."""
        return x * self.weight[:, None, None]


def _stage(in_channels: int | None, channels: int, depth: int, fillings: Fillings) -> nn.Sequential:
    """Make blocks of one width, after what halves the map where there are channels to begin with."""

    def normed(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
        convolution = _patches(in_channels, out_channels, stride)
        return nn.Sequential(OrderedDict(norm=fillings.norm(in_channels), conv=convolution))

    parts = OrderedDict[str, nn.Module]()
    if in_channels is not None:
        parts["downsample"] = fillings.downsample(in_channels, channels, normed)
    parts["blocks"] = nn.Sequential(*(ConvNeXtBlock(channels, fillings) for _ in range(depth)))
    return nn.Sequential(parts)


def _patches(in_channels: int, out_channels: int, patch: int) -> PatchConvolution:
    convolution = PatchConvolution(in_channels, out_channels, patch)
    _draw(convolution)
    return convolution


def _draw(layer: nn.Conv2d | nn.Linear) -> None:
    """Draw weights as the authors' code does."""
    nn.init.trunc_normal_(layer.weight, std=0.02)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
