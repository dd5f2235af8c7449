"""Network of units that split the channels, work on one half and shuffle both."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from blocks.absence import Nothing
from blocks.activation import ReLU
from blocks.catalogue import register, require_at_least, require_depths
from blocks.convolution.dense import DenseConvolution
from blocks.convolution.depthwise import DepthwiseConvolution
from blocks.mixing.shuffle import ChannelShuffle
from blocks.networks.layers import conv_norm_act, make_stem
from blocks.networks.widths import stage_widths
from blocks.normalization.batch import BatchNorm
from blocks.pooling import AveragePooling
from blocks.slots import MakeConv, MakeModule, MakePooling

FIRST = 24


@dataclass(frozen=True)
class Fillings:
    """What fills the slots of every unit of one network."""

    kernel: int
    attention: MakeModule
    norm: MakeModule
    activation: MakeModule
    conv: MakeConv
    mix: MakeModule


@register("network", "shufflenet-v2", task="classification")
class ShuffleNetV2(nn.Module):
    """Classify images by units that leave half of the channels as they are, convolve the others and shuffle both.

    (batch, in_channels, height, width) → (batch, n_classes).
    Ma et al., ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design, ECCV 2018, arXiv:1807.11164.
    Departs from the paper: by default for small images; weights start as in He et al. 2015. As in the authors' code the
    classifier has no bias, and where the map is halved the branch without the first 1×1 convolution keeps the number of
    its input's channels, where torchvision makes both branches equal (they differ in the first stage only). The shuffle
    ends each unit, as in the paper and torchvision; the authors' code begins with it, splitting even from odd channels
    instead of halves, and has none at the end of a stage. The paper's 0.5×, 1×, 1.5× and 2× networks are
    `stem="imagenet"` with `width` 48, 116, 176 and 244, the last with `last=2048`.

    A unit is 1×1 convolution, norm, activation, conv, norm, 1×1 convolution, norm, activation, attention on the second
    half of the channels; then both halves are joined and mixed. The first unit of each stage halves the map and doubles
    the channels: it works on all of them, and a second branch of conv, norm, 1×1 convolution, norm, activation takes the
    place of the half that is left. `kernel` and `conv` act on the k×k convolutions of both branches. No convolution has
    a bias, whatever the norm.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        n_classes: the number of classes.
        width: channels of the first stage; each further stage doubles them. A list gives those of each stage.
        depths: units of each stage.
        last: channels of the 1×1 convolution after the stages.
        kernel: side of the units' convolutions, odd.
        stem: "small" keeps the map; "imagenet" halves it by the convolution and once more by max pooling.
        attention: acts at the end of the branch with two 1×1 convolutions.
        norm: follows every convolution.
        activation: follows every norm but those after the units' k×k convolutions.
        conv: makes the units' convolutions.
        mix: ends each unit; without a shuffle half of the channels pass unchanged through all units of a stage but one.
        pooling: makes one vector of the last map.

    Raises:
        ValueError: if `width` is odd or has not one number for each stage, a stage is not wider than what it starts from,
            another number is too small, or a word is not known.
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        width: int | tuple[int, ...] = 48,
        depths: tuple[int, ...] = (4, 8, 4),
        last: int = 1024,
        kernel: int = 3,
        stem: Literal["small", "imagenet"] = "small",
        attention: MakeModule = Nothing,
        norm: MakeModule = BatchNorm,
        activation: MakeModule = ReLU,
        conv: MakeConv = DepthwiseConvolution,
        mix: MakeModule = ChannelShuffle,
        pooling: MakePooling = AveragePooling,
    ) -> None:
        super().__init__()
        require_at_least("shufflenet-v2", "last", last, 1)
        require_depths("shufflenet-v2", depths)
        self.widths = widths = stage_widths("shufflenet-v2", width, len(depths), least=FIRST + 2)
        for before, channels in zip([FIRST, *widths], widths, strict=False):
            _require_halves(before, channels)
        fillings = Fillings(kernel, attention, norm, activation, conv, mix)
        self.stem = make_stem("shufflenet-v2", stem, in_channels, FIRST, kernel=3, norm=norm, activation=activation)
        self.stages = nn.Sequential(
            *(
                nn.Sequential(
                    HalvingUnit(before, after, fillings),
                    *(SplitUnit(after, fillings) for _ in range(n_units - 1)),
                )
                for before, after, n_units in zip([FIRST, *widths], widths, depths, strict=False)
            )
        )
        self.last = conv_norm_act(widths[-1], last, 1, norm=norm, activation=activation)
        self.pool = pooling(last)
        self.head = nn.Linear(last, n_classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.head(self.pool(self.last(self.stages(self.stem(x)))))
        return logits


class SplitUnit(nn.Module):
    """Convolve the second half of the channels and mix both."""

    def __init__(self, channels: int, fillings: Fillings) -> None:
        super().__init__()
        half = channels // 2
        self.branch = _branch(half, half, half, 1, fillings)
        self.mix = fillings.mix(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return both halves, mixed."""
        left, right = x.chunk(2, 1)
        output: Tensor = self.mix(torch.cat([left, self.branch(right)], 1))
        return output


class HalvingUnit(nn.Module):
    """Halve the map in two branches and mix both."""

    def __init__(self, in_channels: int, out_channels: int, fillings: Fillings) -> None:
        super().__init__()
        self.shortcut = nn.Sequential(
            OrderedDict(
                conv=fillings.conv(in_channels, in_channels, fillings.kernel, 2),
                norm1=fillings.norm(in_channels),
                project=DenseConvolution(in_channels, in_channels, 1),
                norm2=fillings.norm(in_channels),
                act=fillings.activation(in_channels),
            )
        )
        self.branch = _branch(in_channels, out_channels // 2, out_channels - in_channels, 2, fillings)
        self.mix = fillings.mix(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return both branches, mixed."""
        output: Tensor = self.mix(torch.cat([self.shortcut(x), self.branch(x)], 1))
        return output


def _require_halves(before: int, channels: int) -> None:
    """Refuse channels without halves, and those that leave none for the branch beside the input's."""
    require_at_least("shufflenet-v2", "width", channels, before + 2)
    if channels % 2:
        raise ValueError(f"shufflenet-v2: width={channels} has no halves; {channels - 1} or {channels + 1} would fit")


def _branch(in_channels: int, hidden: int, out_channels: int, stride: int, fillings: Fillings) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            reduce=DenseConvolution(in_channels, hidden, 1),
            norm1=fillings.norm(hidden),
            act1=fillings.activation(hidden),
            conv=fillings.conv(hidden, hidden, fillings.kernel, stride),
            norm2=fillings.norm(hidden),
            expand=DenseConvolution(hidden, out_channels, 1),
            norm3=fillings.norm(out_channels),
            act2=fillings.activation(out_channels),
            attention=fillings.attention(out_channels),
        )
    )
