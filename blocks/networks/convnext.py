"""ConvNeXt: a convolutional network built like a vision transformer."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from blocks.absence import Nothing
from blocks.activation import GELU
from blocks.catalogue import register, require_at_least, require_depths
from blocks.convolution.depthwise import DepthwiseConvolution
from blocks.downsampling.strided import Strided
from blocks.mlp.perceptron import MLP
from blocks.networks.patches import PatchConvolution, patch_stages
from blocks.networks.widths import stage_widths
from blocks.normalization.layer import LayerNorm
from blocks.pooling import AveragePooling
from blocks.slots import MakeConv, MakeDownsample, MakeMLP, MakeModule, MakePooling


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
        width: channels of the first stage; each further stage doubles them and halves the map. A list gives those of
            each stage; the stem has those of the first.
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
        ValueError: if a number is too small, there is no stage, or `width` has not one number for each.
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        depths: tuple[int, ...] = (2, 2, 2),
        width: int | tuple[int, ...] = 32,
        patch: int = 2,
        kernel: int = 7,
        layer_scale: float | None = 1e-6,
        attention: MakeModule = Nothing,
        norm: MakeModule = LayerNorm,
        conv: MakeConv = DepthwiseConvolution,
        mlp: MakeMLP = MLP,
        activation: MakeModule = GELU,
        downsample: MakeDownsample = Strided,
        pooling: MakePooling = AveragePooling,
    ) -> None:
        super().__init__()
        require_depths("convnext", depths)
        require_at_least("convnext", "patch", patch, 1)
        self.widths = widths = stage_widths("convnext", width, len(depths))
        self.stem = nn.Sequential(OrderedDict(conv=_patches(in_channels, widths[0], patch), norm=norm(widths[0])))

        def block(channels: int, _: int) -> ConvNeXtBlock:
            scale = nn.Identity() if layer_scale is None else LayerScale(channels, layer_scale)
            mixer = conv(channels, channels, kernel, 1)
            return ConvNeXtBlock(channels, mixer, norm(channels), mlp(channels, activation), attention(channels), scale)

        self.stages = patch_stages(widths, depths, block, downsample=downsample, norm=norm, patches=_patches)
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

    def __init__(
        self, channels: int, conv: nn.Module, norm: nn.Module, mlp: nn.Module, attention: nn.Module, scale: nn.Module
    ) -> None:
        super().__init__()
        self.conv = conv
        self.bias = nn.Parameter(torch.zeros(channels))
        self.norm = norm
        self.mlp = mlp
        self.attention = attention
        self.scale = scale

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


def _patches(in_channels: int, out_channels: int, patch: int) -> PatchConvolution:
    convolution = PatchConvolution(in_channels, out_channels, patch)
    _draw(convolution)
    return convolution


def _draw(layer: nn.Conv2d | nn.Linear) -> None:
    """Draw weights as the authors' code does."""
    nn.init.trunc_normal_(layer.weight, std=0.02)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
