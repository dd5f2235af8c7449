"""Residual networks whose k×k convolutions select among kernel sizes."""

from functools import partial
from typing import Literal

from torch import Tensor, nn

from blocks.absence import Nothing
from blocks.activation import ReLU
from blocks.attention.selective_kernel import SelectiveKernel
from blocks.catalogue import register, require_at_least, require_known
from blocks.convolution.dense import DenseConvolution
from blocks.downsampling.strided import Strided
from blocks.networks.resnet import (
    BASIC,
    BOTTLENECK,
    POSITIONS,
    Fillings,
    ResidualBlock,
    blocks_per_stage,
    expanded,
    family_widths,
    make_stages,
    residual_stem,
)
from blocks.networks.widths import stage_widths
from blocks.normalization.batch import BatchNorm
from blocks.pooling import AveragePooling
from blocks.shortcut.residual import ProjectionShortcut
from blocks.slots import MakeDownsample, MakeModule, MakePooling, MakeShortcut


@register(
    "network",
    "sknet",
    task="classification",
    misfits={
        "downsample": {
            "patch-merging": "its own layer would take the place of the selective kernels that halve the map"
        }
    },
)
class SKNet(nn.Module):
    """Classify images by stages of residual blocks whose k×k convolution selects among kernel sizes.

    (batch, in_channels, height, width) → (batch, n_classes).
    Li et al., Selective Kernel Networks, CVPR 2019, arXiv:1903.06586.
    Departs from the paper: by default the CIFAR networks are narrower, a quarter outside the selective kernels and a
    sixteenth inside, for brief training.

    A block is the bottleneck of `resnext` with a selective kernel in place of grouped k×k, norm and activation. Family
    `imagenet` with `depth: 50` is SKNet-50. At its depths 10, 18 and 34 the blocks have two convolutions without
    groups, the first of them selective (not in the paper; with `reduction: 8, least: 16, split: true` timm's
    SK-ResNet-18); without groups and with `cardinality: 1, group_width: 64, least: 8, split: true`, depth 50 is timm's
    SK-ResNet-50.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        n_classes: the number of classes.
        depth: layers with weights along the longest path: for cifar 3 · stages · blocks per stage + 2, for imagenet
            10, 14, 18, 26, 34, 50, 101 or 152.
        width: of the stem, by default 16 for cifar and 64 for imagenet; the first stage puts out four times as many
            channels (blocks of two convolutions: as many), each further stage doubles them and halves the map. A list
            gives a number for each stage, the stem has the first; selective kernels with groups are as wide as
            `cardinality` and `group_width` say.
        family: which networks of the paper.
        stages: the number of stages, only for cifar, by default 3.
        stem: the first layers, by default those of the family: 3×3, or 7×7 with stride 2 and a max-pool.
        cardinality: groups of the selective kernels, by default 8 for cifar and 32 for imagenet; not at depths 10, 18
            and 34 of imagenet.
        group_width: channels of one group in the first stage, by default 4; each further stage doubles them; not at
            depths 10, 18 and 34 of imagenet.
        branches: how many kernel sizes a selective kernel has: 3, 5, ...
        reduction: its channels divided by this are the hidden units that choose.
        least: the smallest number of hidden units.
        split: whether each branch sees its share of the input channels only.
        position: where attention acts, as in `resnet`; inside is after the selective kernel.
        attention: acts on the residual branch or where `position` says, besides the selective kernels.
        norm: follows every convolution outside the selective kernels, which keep batch norm.
        activation: in stem and blocks, outside the selective kernels, which keep ReLU.
        shortcut: what is added to the residual branch.
        downsample: halves the map in the first block of every stage but the first; holds the selective kernel.
        pooling: makes one vector of the last map.

    Raises:
        ValueError: if `depth` does not fit the family, `stages` is given for imagenet, `width` has not one number for
            each stage, `cardinality` or `group_width` is given for blocks without groups, `position` is identity where
            the shortcut adds nothing, a number is too small, or a word is not known.
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        depth: int = 11,
        width: int | tuple[int, ...] | None = None,
        family: Literal["cifar", "imagenet"] = "cifar",
        stages: int | None = None,
        stem: Literal["small", "imagenet"] | None = None,
        cardinality: int | None = None,
        group_width: int | None = None,
        branches: int = 2,
        reduction: int = 16,
        least: int = 32,
        split: bool = False,
        position: Literal["standard", "pre", "post", "identity", "inside"] = "standard",
        attention: MakeModule = Nothing,
        norm: MakeModule = BatchNorm,
        activation: MakeModule = ReLU,
        shortcut: MakeShortcut = ProjectionShortcut,
        downsample: MakeDownsample = Strided,
        pooling: MakePooling = AveragePooling,
    ) -> None:
        super().__init__()
        n_blocks = blocks_per_stage("sknet", family, depth, stages, convolutions=3, depths=BASIC | BOTTLENECK)
        self.widths = family_widths("sknet", family, width, len(n_blocks))
        require_known("sknet", "position", position, POSITIONS)
        is_basic = family == "imagenet" and depth in BASIC
        groups, each = (1, 0) if is_basic else _groups(family, cardinality, group_width)
        if is_basic and (cardinality, group_width) != (None, None):
            raise ValueError(
                f"sknet: blocks of depth={depth} have no groups, so neither cardinality nor group_width; "
                f"{', '.join(map(str, BOTTLENECK))} have"
            )
        conv = partial(SelectiveKernel, branches=branches, groups=groups, reduction=reduction, least=least, split=split)
        fillings = Fillings(3, position, attention, norm, conv, Nothing, activation, shortcut, downsample)
        inner = self.widths if is_basic else stage_widths("sknet", groups * each, len(n_blocks))
        wide = self.widths if is_basic else expanded(self.widths)
        self.stem = residual_stem("sknet", stem, family, in_channels, self.widths[0], fillings)
        block = _selective_basic_block if is_basic else _selective_bottleneck
        self.stages = make_stages(block, self.widths[0], inner, wide, n_blocks, fillings)
        self.pool = pooling(wide[-1])
        self.head = nn.Linear(wide[-1], n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.head(self.pool(self.stages(self.stem(x))))
        return logits


def _groups(family: str, cardinality: int | None, group_width: int | None) -> tuple[int, int]:
    """Return the number of groups, and the channels of each in the first stage."""
    groups = {"cifar": 8, "imagenet": 32}[family] if cardinality is None else cardinality
    each = 4 if group_width is None else group_width
    require_at_least("sknet", "cardinality", groups, 1)
    require_at_least("sknet", "group_width", each, 1)
    return groups, each


def _selective_basic_block(
    in_channels: int, inner: int, out_channels: int, stride: int, fillings: Fillings
) -> ResidualBlock:
    """Return a block of a selective kernel and a dense convolution."""
    branch = {
        "conv1": fillings.convolution(in_channels, inner, stride),
        "conv2": DenseConvolution(inner, out_channels, 3),
        "norm2": fillings.norm(out_channels),
    }
    return ResidualBlock(branch, "conv1", (in_channels, inner, out_channels), stride, fillings)


def _selective_bottleneck(
    in_channels: int, inner: int, out_channels: int, stride: int, fillings: Fillings
) -> ResidualBlock:
    """Return a block of a selective kernel between two 1×1 convolutions."""
    branch = {
        "conv1": DenseConvolution(in_channels, inner, 1),
        "norm1": fillings.norm(inner),
        "act1": fillings.activation(inner),
        "conv2": fillings.convolution(inner, inner, stride),
        "conv3": DenseConvolution(inner, out_channels, 1),
        "norm3": fillings.norm(out_channels),
    }
    return ResidualBlock(branch, "conv2", (in_channels, inner, out_channels), stride, fillings)
