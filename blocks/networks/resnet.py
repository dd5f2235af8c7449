"""Residual networks, and the parts that their relatives share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from blocks.absence import Nothing
from blocks.activation import ReLU
from blocks.catalogue import register, require_at_least, require_known
from blocks.convolution.dense import DenseConvolution
from blocks.downsampling.strided import Strided
from blocks.networks.layers import make_stem
from blocks.networks.widths import stage_widths
from blocks.normalization.batch import BatchNorm
from blocks.pooling import AveragePooling
from blocks.shortcut.residual import AddNothing, ProjectionShortcut
from blocks.slots import MakeConv, MakeDownsample, MakeModule, MakePooling, MakeShortcut

# Blocks per stage of the networks for ImageNet, by depth.
BASIC = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK = {14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
FAMILIES = ("cifar", "imagenet")
POSITIONS = ("standard", "pre", "post", "identity", "inside")
EXPANSION = 4  # a bottleneck's output channels beside its width


@dataclass(frozen=True)
class Fillings:
    """What fills the slots of every block of one network."""

    kernel: int
    position: str
    attention: MakeModule
    norm: MakeModule
    conv: MakeConv
    mix: MakeModule
    activation: MakeModule
    shortcut: MakeShortcut
    downsample: MakeDownsample

    def convolution(self, in_channels: int, out_channels: int, stride: int) -> nn.Module:
        """Return a k×k convolution; where it has a stride, `downsample` holds it."""
        if stride == 1:
            return self.conv(in_channels, out_channels, self.kernel, 1)
        return self.downsample(in_channels, out_channels, lambda i, o, s: self.conv(i, o, self.kernel, s))


MakeBlock = Callable[[int, int, int, int, Fillings], nn.Module]
"""Called with input, inner and output channels, stride, and what fills the slots."""


@register("network", "resnet", task="classification")
class ResNet(nn.Module):
    """Classify images by stages of residual blocks of growing width.

    (batch, in_channels, height, width) → (batch, n_classes).
    He et al., Deep Residual Learning for Image Recognition, CVPR 2016, arXiv:1512.03385.
    Departs from the paper: shortcuts that change shape are 1×1 convolutions (option B; the paper's CIFAR networks pad),
    and a bottleneck's stride is in its k×k convolution (v1.5, as in torchvision and timm), not in its first 1×1.

    Family `cifar` is for small images: basic blocks, the same number in each stage. Family `imagenet` is ResNet-18 and
    its relatives: four stages, at depths 14, 26, 50, 101 and 152 of bottlenecks, a 7×7 stem with stride 2 and a
    max-pool; `stem: small` gives it the 3×3 stem for small images.

    A basic block is conv, mix, norm, activation, conv, mix, norm, attention; then the shortcut is added, then the
    activation. A bottleneck has one such k×k convolution, between two 1×1 convolutions with a norm each. `kernel`,
    `conv` and `mix` act on the k×k convolutions of the blocks only: stem, shortcuts and 1×1 convolutions stay dense.
    No convolution has a bias, also with norm `none`: filling one slot changes nothing else.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        n_classes: the number of classes.
        depth: layers with weights along the longest path; for cifar 2 · stages · blocks per stage + 2.
        width: channels of the first stage, by default 16 for cifar and 64 for imagenet; each further stage doubles
            them and halves the map. A list gives those of each stage; the stem has those of the first. A bottleneck
            puts out four times as many.
        family: which networks of the paper.
        stages: the number of stages, only for cifar, by default 3.
        stem: the first layers, by default those of the family.
        kernel: side of the blocks' convolutions, odd.
        position: where attention acts, as in the paper of squeeze-and-excitation. standard: on the residual branch,
            after its last norm. pre: on the input of that branch, so with as many channels as the block before puts
            out. post: on the sum after its activation. identity: on what the shortcut adds. inside: on the branch
            after the activation of its k×k convolution (in a basic block the first), so in a bottleneck on a quarter
            of the channels.
        attention: acts on the residual branch or where `position` says.
        norm: follows every convolution, in stem and shortcuts too.
        conv: makes the blocks' k×k convolutions.
        mix: follows each of the blocks' k×k convolutions.
        activation: in stem and blocks.
        shortcut: what is added to the residual branch.
        downsample: halves the map in the first block of every stage but the first; holds the first k×k convolution.
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
        depth: int = 20,
        width: int | tuple[int, ...] | None = None,
        family: Literal["cifar", "imagenet"] = "cifar",
        stages: int | None = None,
        stem: Literal["small", "imagenet"] | None = None,
        kernel: int = 3,
        position: Literal["standard", "pre", "post", "identity", "inside"] = "standard",
        attention: MakeModule = Nothing,
        norm: MakeModule = BatchNorm,
        conv: MakeConv = DenseConvolution,
        mix: MakeModule = Nothing,
        activation: MakeModule = ReLU,
        shortcut: MakeShortcut = ProjectionShortcut,
        downsample: MakeDownsample = Strided,
        pooling: MakePooling = AveragePooling,
    ) -> None:
        super().__init__()
        n_blocks = blocks_per_stage("resnet", family, depth, stages, convolutions=2, depths=BASIC | BOTTLENECK)
        self.widths = family_widths("resnet", family, width, len(n_blocks))
        is_basic = family == "cifar" or depth in BASIC
        wide = self.widths if is_basic else expanded(self.widths)
        require_known("resnet", "position", position, POSITIONS)
        fillings = Fillings(kernel, position, attention, norm, conv, mix, activation, shortcut, downsample)
        self.stem = residual_stem("resnet", stem, family, in_channels, self.widths[0], fillings)
        block = basic_block if is_basic else bottleneck
        self.stages = make_stages(block, self.widths[0], self.widths, wide, n_blocks, fillings)
        self.pool = pooling(wide[-1])
        self.head = nn.Linear(wide[-1], n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.head(self.pool(self.stages(self.stem(x))))
        return logits


class ResidualBlock(nn.Module):
    """Add to the input, or to what the shortcut makes of it, what a branch of named steps makes of it.

    Args:
        branch: the steps of the residual branch, by name.
        inside: the step after which attention acts in position inside.
        channels: of the input, inside, and of the output.
        stride: of the branch.
        fillings: what fills the slots.

    Raises:
        ValueError: if attention is to act on a shortcut that adds nothing.
    """

    def __init__(
        self,
        branch: Mapping[str, nn.Module],
        inside: str,
        channels: tuple[int, int, int],
        stride: int,
        fillings: Fillings,
    ) -> None:
        super().__init__()
        position = fillings.position
        in_channels, inner, out_channels = channels
        for name, step in branch.items():
            self.add_module(name, step)
        self.attention = fillings.attention({"pre": in_channels, "inside": inner}.get(position, out_channels))
        self.shortcut = fillings.shortcut(in_channels, out_channels, stride, fillings.norm)
        self.act = fillings.activation(out_channels)
        if position == "identity" and any(isinstance(part, AddNothing) for part in self.shortcut.modules()):
            raise ValueError(
                f"residual block: position='identity' has nothing to act on where the shortcut from {in_channels} to "
                f"{out_channels} channels adds nothing; another position or shortcut 'projection' would fit"
            )
        self.residual_path, self.shortcut_path, self.output_path = _paths([*branch], inside, position)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both paths, activated."""
        residual = self._follow(self.residual_path, x)
        return self._follow(self.output_path, residual + self._follow(self.shortcut_path, x))

    def _follow(self, path: tuple[str, ...], x: Tensor) -> Tensor:
        for name in path:
            x = getattr(self, name)(x)
        return x


def _paths(branch: list[str], inside: str, position: str) -> tuple[tuple[str, ...], ...]:
    """Return the steps of the residual branch, of the shortcut and after their sum, attention among them.

    Attention has one name wherever it stands, so that it starts from the same weights.
    """
    paths = {"residual": branch, "shortcut": ["shortcut"], "output": ["act"]}
    path, place = {
        "standard": ("residual", len(branch)),
        "pre": ("residual", 0),
        "post": ("output", 1),
        "identity": ("shortcut", 1),
        "inside": ("residual", branch.index(inside) + 1),
    }[position]
    paths[path].insert(place, "attention")
    return tuple(tuple(steps) for steps in paths.values())


def basic_block(in_channels: int, inner: int, out_channels: int, stride: int, fillings: Fillings) -> ResidualBlock:
    """Return a block of two k×k convolutions."""
    branch = {
        "conv1": fillings.convolution(in_channels, inner, stride),
        "mix1": fillings.mix(inner),
        "norm1": fillings.norm(inner),
        "act1": fillings.activation(inner),
        "conv2": fillings.convolution(inner, out_channels, 1),
        "mix2": fillings.mix(out_channels),
        "norm2": fillings.norm(out_channels),
    }
    return ResidualBlock(branch, "act1", (in_channels, inner, out_channels), stride, fillings)


def bottleneck(in_channels: int, inner: int, out_channels: int, stride: int, fillings: Fillings) -> ResidualBlock:
    """Return a block of a k×k convolution between two 1×1 convolutions."""
    branch = {
        "conv1": DenseConvolution(in_channels, inner, 1),
        "norm1": fillings.norm(inner),
        "act1": fillings.activation(inner),
        "conv2": fillings.convolution(inner, inner, stride),
        "mix2": fillings.mix(inner),
        "norm2": fillings.norm(inner),
        "act2": fillings.activation(inner),
        "conv3": DenseConvolution(inner, out_channels, 1),
        "norm3": fillings.norm(out_channels),
    }
    return ResidualBlock(branch, "act2", (in_channels, inner, out_channels), stride, fillings)


def residual_stem(
    network: str, stem: str | None, family: str, in_channels: int, out_channels: int, fillings: Fillings
) -> nn.Sequential:
    """Return the first layers, 3×3 or 7×7; those of the family if `stem` is None.

    Raises:
        ValueError: if the stem is not known.
    """
    kind = stem or {"cifar": "small", "imagenet": "imagenet"}[family]
    norm, activation = fillings.norm, fillings.activation
    return make_stem(network, kind, in_channels, out_channels, kernel=7, norm=norm, activation=activation)


def make_stages(
    block: MakeBlock,
    in_channels: int,
    inner: Sequence[int],
    out_channels: Sequence[int],
    n_blocks: tuple[int, ...],
    fillings: Fillings,
) -> nn.Sequential:
    """Return the stages, of `inner` and `out_channels` each; each after the first halves the map."""
    stages = []
    for i, (narrow, wide, n) in enumerate(zip(inner, out_channels, n_blocks, strict=True)):
        stride = 2 if i else 1
        first = block(in_channels, narrow, wide, stride, fillings)
        stages.append(nn.Sequential(first, *(block(wide, narrow, wide, 1, fillings) for _ in range(n - 1))))
        in_channels = wide
    return nn.Sequential(*stages)


def family_widths(network: str, family: str, width: int | Sequence[int] | None, n_stages: int) -> tuple[int, ...]:
    """Return the width of each stage, the family's if none is given.

    Raises:
        ValueError: if there is not one number for each stage, or one is too small.
    """
    return stage_widths(network, {"cifar": 16, "imagenet": 64}[family] if width is None else width, n_stages)


def expanded(widths: Sequence[int]) -> tuple[int, ...]:
    """Return what bottlenecks of these widths put out."""
    return tuple(EXPANSION * channels for channels in widths)


def blocks_per_stage(
    network: str,
    family: str,
    depth: int,
    stages: int | None,
    *,
    convolutions: int,
    depths: Mapping[int, tuple[int, ...]],
) -> tuple[int, ...]:
    """Return the number of blocks in each stage.

    Args:
        network: its name, for errors.
        family: which networks.
        depth: layers with weights along the longest path.
        stages: the number of stages, None for the family's.
        convolutions: in a block of the cifar family.
        depths: blocks per stage of the imagenet family.

    Raises:
        ValueError: naming the depths that fit.
    """
    require_known(network, "family", family, FAMILIES)
    if family == "cifar":
        n_stages = 3 if stages is None else stages
        return (_blocks_in_a_stage(network, depth, n_stages, convolutions * n_stages),) * n_stages
    if stages is not None:
        raise ValueError(f"{network}: stages={stages} is for family 'cifar'; family 'imagenet' always has 4")
    if depth not in depths:
        fit = ", ".join(str(known) for known in sorted(depths))
        raise ValueError(f"{network}: depth={depth} is not one of family 'imagenet'; {fit} would fit")
    return depths[depth]


def _blocks_in_a_stage(network: str, depth: int, stages: int, step: int) -> int:
    require_at_least(network, "stages", stages, 1)
    n_blocks, rest = divmod(depth - 2, step)
    if rest or n_blocks < 1:
        below = step * max(1, n_blocks) + 2
        raise ValueError(
            f"{network}: depth={depth} is not {step // stages}·{stages}·n + 2, n blocks in each of {stages} stages; "
            f"{below} or {below + step} would fit"
        )
    return n_blocks
