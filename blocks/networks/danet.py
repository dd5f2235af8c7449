"""Dual attention network: a residual network whose last map is attended over its positions and its channels."""

from typing import Literal

from torch import Tensor, nn

from blocks.activation import ReLU
from blocks.attention.dual import PARTS, DualAttention
from blocks.catalogue import register, require_known
from blocks.networks.layers import conv_norm_act
from blocks.networks.resnet import ResNet
from blocks.normalization.batch import BatchNorm
from blocks.slots import MakeModule
from blocks.squeeze import average


@register("network", "danet", task="classification")
class DANet(nn.Module):
    """Classify images by the mean over all pixels of the logits that dual attention gives each of them.

    (batch, in_channels, height, width) → (batch, n_classes).
    Fu et al., Dual Attention Network for Scene Segmentation, CVPR 2019, arXiv:1809.02983.
    Departs from the paper: it classifies images, not pixels; the residual network keeps its strides, as its convolutions
    are not dilated; the classifiers of the two parts, which only supervise training there, are left out; a channel draws
    from those that are unlike it, as in the authors' code (see attention `danet`).

    The residual network is that of `resnet` without pooling and head, with the same options; depth 101, family imagenet
    is the paper's.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        n_classes: the number of classes.
        depth: of the residual network.
        width: of its first stage, by default 16 for cifar and 64 for imagenet, or a list with that of each stage.
        family: which residual networks.
        stages: their number, only for cifar, by default 3.
        stem: the first layers, by default those of the family.
        kernel: side of the convolutions in residual blocks, odd.
        parts: which of the two attentions there are.
        dropout: the share of channels that are dropped before the classifier.
        norm: follows every convolution but the classifier.
        activation: follows the norms, as in residual networks.

    Raises:
        ValueError: if the residual network cannot be built, its last map has too few channels, `dropout` is no share, or
            `parts` is not known.
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        depth: int = 20,
        width: int | tuple[int, ...] | None = None,
        family: Literal["cifar", "imagenet"] = "cifar",
        stages: int | None = None,
        stem: Literal["small", "imagenet"] | None = None,
        kernel: int = 3,
        parts: Literal["both", "position", "channel"] = "both",
        dropout: float = 0.1,
        norm: MakeModule = BatchNorm,
        activation: MakeModule = ReLU,
    ) -> None:
        super().__init__()
        resnet = ResNet(
            in_channels,
            n_classes,
            depth=depth,
            width=width,
            family=family,
            stages=stages,
            stem=stem,
            kernel=kernel,
            norm=norm,
            activation=activation,
        )
        self.widths = resnet.widths
        self.stem = resnet.stem
        self.stages = resnet.stages
        self.segment = DANetHead(
            resnet.head.in_features,
            n_classes,
            parts=parts,
            dropout=dropout,
            is_supervised=False,
            norm=norm,
            activation=activation,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        (logits,) = self.segment(self.stages(self.stem(x)))  # (batch, n_classes, height, width)
        return average(logits)


class DANetHead(nn.Module):
    """Give each pixel logits from the sum of what two branches make of the map, one attentive to each of its aspects.

    (batch, in_channels, height, width) → maps of logits (batch, n_classes, height, width): of the sum, then, if the
    branches are supervised, of each of them.

    Args:
        in_channels: of the map; a quarter of them in the branches.
        n_classes: the number of classes.
        parts: which branches there are.
        dropout: the share of channels that are dropped before each classifier.
        is_supervised: whether each branch has a classifier of its own.
        norm: follows the convolutions.
        activation: follows the norms.

    Raises:
        ValueError: if there are too few channels, `dropout` is no share, or `parts` is not known.
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        parts: Literal["both", "position", "channel"] = "both",
        dropout: float = 0.1,
        is_supervised: bool = True,
        norm: MakeModule = BatchNorm,
        activation: MakeModule = ReLU,
    ) -> None:
        super().__init__()
        require_known("danet", "parts", parts, PARTS)
        if not 0 <= dropout < 1:
            raise ValueError(f"danet: dropout={dropout} is no share that leaves channels; 0 or more, below 1 would fit")
        least = 8 if parts == "channel" else 32  # a quarter leaves two channels to compare, or one for queries and keys
        if in_channels < least:
            raise ValueError(
                f"danet: the last map has {in_channels} channels; {least} or more, by width or stages, would fit"
            )
        hidden = in_channels // 4
        self.branches = nn.ModuleDict()
        self.classifiers = nn.ModuleDict()
        for part in PARTS[parts]:
            self.branches[part] = nn.Sequential(
                conv_norm_act(in_channels, hidden, 3, norm=norm, activation=activation),
                DualAttention(hidden, parts=part),
                conv_norm_act(hidden, hidden, 3, norm=norm, activation=activation),
            )
            if is_supervised:
                self.classifiers[part] = nn.Conv2d(hidden, n_classes, 1)
        self.drop = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(hidden, n_classes, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of the sum, then of each supervised branch."""
        features = {part: branch(x) for part, branch in self.branches.items()}
        total = self.classify(self.drop(sum(features.values())))
        return total, *(classify(self.drop(features[part])) for part, classify in self.classifiers.items())
