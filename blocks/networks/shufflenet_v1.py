"""Network of grouped 1×1 convolutions whose channels are shuffled."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from blocks.absence import Nothing
from blocks.activation import ReLU
from blocks.catalogue import register, require_at_least, require_depths
from blocks.convolution.depthwise import DepthwiseConvolution
from blocks.convolution.grouped import GroupedConvolution
from blocks.mixing.shuffle import ChannelShuffle
from blocks.networks.layers import make_stem
from blocks.networks.widths import one_for_each
from blocks.normalization.batch import BatchNorm
from blocks.pooling import AveragePooling
from blocks.slots import MakeConv, MakeModule, MakePooling

WIDTHS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
"""Channels of the first stage for each number of groups: all networks cost about the same."""


@dataclass(frozen=True)
class Fillings:
    """What fills the slots of every unit of one network."""

    groups: int
    kernel: int
    attention: MakeModule
    norm: MakeModule
    activation: MakeModule
    conv: MakeConv
    mix: MakeModule


@register("network", "shufflenet-v1", task="classification")
class ShuffleNetV1(nn.Module):
    """Classify images by residual units of grouped 1×1 convolutions that exchange channels by a shuffle.

    (batch, in_channels, height, width) → (batch, n_classes).
    Zhang et al., ShuffleNet, CVPR 2018, arXiv:1707.01083.
    Departs from the paper: by default half as wide and for small images; weights start as in He et al. 2015. The shuffle
    stands before the depthwise convolution, as in the paper; the authors' code has it after that convolution's norm,
    which is the same function of other channels. As in their code the classifier has no bias, and the zeros around the
    map count in the average pooling. The paper's networks are `width=1, stem="imagenet"`.

    A unit is grouped 1×1 convolution, norm, activation, mix, conv, norm, grouped 1×1 convolution, norm, attention; then
    the input is added, then comes the activation. The first unit of each stage halves the map and puts the averaged
    input beside its channels instead. Its first convolution is dense in the first stage, as in the paper. `kernel` and
    `conv` act on the convolution between the two 1×1 convolutions. No convolution has a bias, whatever the norm.

    A `mix` of `shuffle` for which no groups are given has the network's `groups`, so that both can be varied together;
    one with groups of its own keeps them.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        n_classes: the number of classes.
        groups: of the 1×1 convolutions; more groups make a wider network of about the same cost.
        width: multiplies the channels of all layers, rounded so that the groups divide them.
        widths: the channels of each stage, in place of those that `width` gives; the stem keeps its own.
        depths: units of each stage; each stage after the first doubles the channels.
        kernel: side of the units' convolutions, odd.
        stem: "small" keeps the map; "imagenet" halves it by the convolution and once more by max pooling.
        attention: acts on the residual branch, after its last norm.
        norm: follows every convolution.
        activation: follows the first norm of a unit, and the sum.
        conv: makes the units' convolutions.
        mix: connects the groups of the first 1×1 convolution before the units' convolution.
        pooling: makes one vector of the last map.

    Raises:
        ValueError: if the paper has no network with so many groups, `widths` has not one number for each stage, or one that
            the groups do not divide in four or that is no wider than the stage before, a number is too small, or a word
            is not known.
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        groups: Literal[1, 2, 3, 4, 8] = 3,
        width: float = 0.5,
        widths: tuple[int, ...] | None = None,
        depths: tuple[int, ...] = (4, 8, 4),
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
        if groups not in WIDTHS:
            fit = ", ".join(map(str, WIDTHS))
            raise ValueError(f"shufflenet-v1: groups={groups} is not in the paper's table; {fit} would fit")
        if not 0 < width < math.inf:
            raise ValueError(f"shufflenet-v1: width={width} leaves no number of channels; above 0 would fit")
        require_depths("shufflenet-v1", depths)
        fillings = Fillings(groups, kernel, attention, norm, activation, conv, _following(mix, groups))
        first = _rounded(24 * width, groups)
        narrowest = _rounded(WIDTHS[groups] * width, 4 * groups)
        doubled = [narrowest * 2**i for i in range(len(depths))]
        self.widths = one_for_each("shufflenet-v1", "widths", doubled if widths is None else widths, len(depths))
        befores = (first, *self.widths[:-1])
        for before, after in zip(befores, self.widths, strict=True):
            _require_room(before, after, groups)
        self.stem = make_stem("shufflenet-v1", stem, in_channels, first, kernel=3, norm=norm, activation=activation)
        self.stages = nn.Sequential(
            *(
                nn.Sequential(
                    HalvingUnit(before, after, fillings, first_groups=1 if i == 0 else groups),
                    *(ShuffleUnit(after, fillings) for _ in range(n_units - 1)),
                )
                for i, (before, after, n_units) in enumerate(zip(befores, self.widths, depths, strict=True))
            )
        )
        self.pool = pooling(self.widths[-1])
        self.head = nn.Linear(self.widths[-1], n_classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.head(self.pool(self.stages(self.stem(x))))
        return logits


class ShuffleUnit(nn.Module):
    """Add to the input what two grouped 1×1 convolutions and one between them make of it."""

    def __init__(self, channels: int, fillings: Fillings) -> None:
        super().__init__()
        self.residual = _residual(channels, channels // 4, channels, 1, fillings.groups, fillings)
        self.act = fillings.activation(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both branches, activated."""
        output: Tensor = self.act(self.residual(x) + x)
        return output


class HalvingUnit(nn.Module):
    """Put beside the averaged input what a branch with stride 2 makes of it."""

    def __init__(self, in_channels: int, out_channels: int, fillings: Fillings, *, first_groups: int) -> None:
        super().__init__()
        self.average = nn.AvgPool2d(3, 2, padding=1)
        self.residual = _residual(in_channels, out_channels // 4, out_channels - in_channels, 2, first_groups, fillings)
        self.act = fillings.activation(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return both branches, activated."""
        output: Tensor = self.act(torch.cat([self.average(x), self.residual(x)], 1))
        return output


def _residual(
    in_channels: int, hidden: int, out_channels: int, stride: int, first_groups: int, fillings: Fillings
) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            reduce=GroupedConvolution(in_channels, hidden, 1, groups=first_groups),
            norm1=fillings.norm(hidden),
            act=fillings.activation(hidden),
            mix=fillings.mix(hidden),
            conv=fillings.conv(hidden, hidden, fillings.kernel, stride),
            norm2=fillings.norm(hidden),
            expand=GroupedConvolution(hidden, out_channels, 1, groups=fillings.groups),
            norm3=fillings.norm(out_channels),
            attention=fillings.attention(out_channels),
        )
    )


def _require_room(before: int, channels: int, groups: int) -> None:
    """Refuse channels whose quarter the groups do not divide, and those that leave none beside the input's."""
    multiple = 4 * groups
    if channels % multiple:
        above = -(-channels // multiple) * multiple
        fit = " or ".join(str(n) for n in (above - multiple, above) if n)
        raise ValueError(
            f"shufflenet-v1: widths={channels} has no quarter for groups={groups} to divide; {fit} would fit"
        )
    require_at_least("shufflenet-v1", "widths", channels, (before // multiple + 1) * multiple)


def _following(mix: MakeModule, groups: int) -> MakeModule:
    """Return what makes the mix; a shuffle without groups of its own gets those of the convolutions."""
    made, given = (mix.func, mix.keywords) if isinstance(mix, partial) else (mix, {})
    is_free = made is ChannelShuffle and given.get("groups") is None
    return partial(ChannelShuffle, groups=groups) if is_free else mix


def _rounded(channels: float, multiple: int) -> int:
    return max(1, int(channels / multiple + 0.5)) * multiple
