"""Residual network for small images."""

from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor, nn

from blocks.absence import Nothing
from blocks.catalogue import register
from blocks.convolution import DenseConvolution
from blocks.normalization import BatchNorm
from blocks.slots import MakeConv, MakeModule


@dataclass(frozen=True)
class Fillings:
    """What fills the slots of every block of one network."""

    kernel: int
    attention: MakeModule
    norm: MakeModule
    conv: MakeConv
    mix: MakeModule


@register("network", "resnet", task="classification")
class ResNet(nn.Module):
    """Classify small images by stages of residual blocks of growing width.

    (batch, in_channels, height, width) → (batch, n_classes).
    He et al., Deep Residual Learning for Image Recognition, CVPR 2016, arXiv:1512.03385.
    Departs from the paper: shortcuts that change shape are 1×1 convolutions (option B; the paper's CIFAR networks pad).

    A block is conv, mix, norm, ReLU, conv, mix, norm, attention; then the shortcut is added, then ReLU. `kernel`, `conv`
    and `mix` act on the convolutions of the blocks only: stem and shortcuts stay dense, with the network's `norm`.
    No convolution has a bias, also with norm `none`: filling one slot changes nothing else.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        n_classes: the number of classes.
        depth: layers with weights along the longest path: 2 · stages · blocks per stage + 2.
        width: channels of the first stage; each further stage doubles them and halves the map.
        stages: the number of stages.
        kernel: side of the blocks' convolutions, odd.
        attention: acts on the residual branch, after its last norm.
        norm: follows every convolution, in stem and shortcuts too.
        conv: makes the blocks' convolutions.
        mix: follows each of the blocks' convolutions.

    Raises:
        ValueError: if `depth` does not fit `stages`, or a number is too small.
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        depth: int = 20,
        width: int = 16,
        stages: int = 3,
        kernel: int = 3,
        attention: MakeModule = Nothing,
        norm: MakeModule = BatchNorm,
        conv: MakeConv = DenseConvolution,
        mix: MakeModule = Nothing,
    ) -> None:
        super().__init__()
        n_blocks = _blocks_per_stage(depth, stages)
        if width < 1:
            raise ValueError(f"resnet: width={width} is too small; 1 or more would fit")
        fillings = Fillings(kernel, attention, norm, conv, mix)
        widths = [width * 2**i for i in range(stages)]
        self.stem = nn.Sequential(
            OrderedDict(conv=DenseConvolution(in_channels, width, 3), norm=norm(width), relu=nn.ReLU(inplace=True))
        )
        self.stages = nn.Sequential(
            *(
                _stage(before, after, stride, n_blocks, fillings)
                for before, after, stride in zip([width, *widths], widths, [1, *[2] * (stages - 1)], strict=False)
            )
        )
        self.head = nn.Linear(widths[-1], n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.stages(self.stem(x))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


class ResidualBlock(nn.Module):
    """Add to the input what two convolutions make of it."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, fillings: Fillings) -> None:
        super().__init__()
        kernel, norm, conv, mix = fillings.kernel, fillings.norm, fillings.conv, fillings.mix
        self.conv1 = conv(in_channels, out_channels, kernel, stride)
        self.mix1 = mix(out_channels)
        self.norm1 = norm(out_channels)
        self.conv2 = conv(out_channels, out_channels, kernel, 1)
        self.mix2 = mix(out_channels)
        self.norm2 = norm(out_channels)
        self.attention = fillings.attention(out_channels)
        self.shortcut = _shortcut(in_channels, out_channels, stride, norm)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both branches, rectified."""
        residual = self.relu(self.norm1(self.mix1(self.conv1(x))))
        residual = self.attention(self.norm2(self.mix2(self.conv2(residual))))
        output: Tensor = self.relu(residual + self.shortcut(x))
        return output


def _stage(in_channels: int, out_channels: int, stride: int, n_blocks: int, fillings: Fillings) -> nn.Sequential:
    first = ResidualBlock(in_channels, out_channels, stride, fillings)
    return nn.Sequential(first, *(ResidualBlock(out_channels, out_channels, 1, fillings) for _ in range(n_blocks - 1)))


def _shortcut(in_channels: int, out_channels: int, stride: int, norm: MakeModule) -> nn.Module:
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return nn.Sequential(
        OrderedDict(conv=DenseConvolution(in_channels, out_channels, 1, stride), norm=norm(out_channels))
    )


def _blocks_per_stage(depth: int, stages: int) -> int:
    if stages < 1:
        raise ValueError(f"resnet: stages={stages} is too small; 1 or more would fit")
    n_blocks, rest = divmod(depth - 2, 2 * stages)
    if rest or n_blocks < 1:
        below = 2 * stages * max(1, n_blocks) + 2
        fit = f"{below} or {below + 2 * stages}"
        raise ValueError(
            f"resnet: depth={depth} is not 2·{stages}·n + 2, n blocks in each of {stages} stages; {fit} would fit"
        )
    return n_blocks
