"""Residual networks whose bottlenecks are grouped."""

from functools import partial
from typing import Literal

from torch import Tensor, nn

from blocks.absence import Nothing
from blocks.activation import ReLU
from blocks.catalogue import register, require_at_least, require_known
from blocks.convolution.grouped import GroupedConvolution
from blocks.downsampling.strided import Strided
from blocks.networks.resnet import (
    BOTTLENECK,
    POSITIONS,
    Fillings,
    blocks_per_stage,
    bottleneck,
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


@register("network", "resnext", task="classification")
class ResNeXt(nn.Module):
    """Classify images by stages of residual bottlenecks whose k×k convolution has many groups.

    (batch, in_channels, height, width) → (batch, n_classes).
    Xie et al., Aggregated Residual Transformations for Deep Neural Networks, CVPR 2017, arXiv:1611.05431.
    Departs from the paper: by default the CIFAR networks are narrower, a quarter outside the grouped convolutions and a
    sixteenth inside, for brief training.

    Family `cifar` is for small images; its ResNeXt-29 8×64d is `depth: 29, width: 64, group_width: 64`. Family
    `imagenet` with `depth: 50` is ResNeXt-50 32×4d, with `depth: 101, group_width: 8` ResNeXt-101 32×8d. Blocks are
    the bottlenecks of `resnet`: 1×1, norm, activation, grouped k×k, mix, norm, activation, 1×1, norm, attention; then
    the shortcut is added, then the activation.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        n_classes: the number of classes.
        depth: layers with weights along the longest path: for cifar 3 · stages · blocks per stage + 2, for imagenet
            14, 26, 50, 101 or 152.
        width: of the stem, by default 16 for cifar and 64 for imagenet; the first stage puts out four times as many
            channels, each further stage doubles them and halves the map. A list gives a number for each stage, which
            puts out four times as many channels; the stem has the first, and the grouped convolutions are as wide as
            `cardinality` and `group_width` say.
        family: which networks of the paper.
        stages: the number of stages, only for cifar, by default 3.
        stem: the first layers, by default those of the family: 3×3, or 7×7 with stride 2 and a max-pool.
        cardinality: groups of the k×k convolution, by default 8 for cifar and 32 for imagenet.
        group_width: channels of one group in the first stage; each further stage doubles them.
        kernel: side of the grouped convolutions, odd.
        position: where attention acts, as in `resnet`.
        attention: acts on the residual branch or where `position` says.
        norm: follows every convolution, in stem and shortcuts too.
        mix: follows each grouped convolution.
        activation: in stem and blocks.
        shortcut: what is added to the residual branch.
        downsample: halves the map in the first block of every stage but the first; holds the grouped convolution.
        pooling: makes one vector of the last map.

    Raises:
        ValueError: if `depth` does not fit the family, `stages` is given for imagenet, `width` has not one number for
            each stage, `position` is identity where the shortcut adds nothing, a number is too small, or a word is not
            known.
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
        group_width: int = 4,
        kernel: int = 3,
        position: Literal["standard", "pre", "post", "identity", "inside"] = "standard",
        attention: MakeModule = Nothing,
        norm: MakeModule = BatchNorm,
        mix: MakeModule = Nothing,
        activation: MakeModule = ReLU,
        shortcut: MakeShortcut = ProjectionShortcut,
        downsample: MakeDownsample = Strided,
        pooling: MakePooling = AveragePooling,
    ) -> None:
        super().__init__()
        n_blocks = blocks_per_stage("resnext", family, depth, stages, convolutions=3, depths=BOTTLENECK)
        self.widths = family_widths("resnext", family, width, len(n_blocks))
        require_known("resnext", "position", position, POSITIONS)
        require_at_least("resnext", "group_width", group_width, 1)
        groups = {"cifar": 8, "imagenet": 32}[family] if cardinality is None else cardinality
        require_at_least("resnext", "cardinality", groups, 1)
        conv = partial(GroupedConvolution, groups=groups)
        fillings = Fillings(kernel, position, attention, norm, conv, mix, activation, shortcut, downsample)
        self.stem = residual_stem("resnext", stem, family, in_channels, self.widths[0], fillings)
        inner, wide = stage_widths("resnext", groups * group_width, len(n_blocks)), expanded(self.widths)
        self.stages = make_stages(bottleneck, self.widths[0], inner, wide, n_blocks, fillings)
        self.pool = pooling(wide[-1])
        self.head = nn.Linear(wide[-1], n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.head(self.pool(self.stages(self.stem(x))))
        return logits
