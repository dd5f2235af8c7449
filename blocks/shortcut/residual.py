"""The shortcuts of residual networks: none, identity, and the options A, B and C for blocks that change the shape."""

from torch import Tensor, nn
from torch.nn import functional

from blocks.catalogue import register
from blocks.convolution.dense import DenseConvolution
from blocks.slots import MakeModule


class AddNothing(nn.Module):
    """Add nothing."""

    def forward(self, x: Tensor) -> Tensor:
        """Return a single zero, which any shape can be added to."""
        return x.new_zeros(())


@register("shortcut", "none")
class NoShortcut(AddNothing):
    """Add nothing to any residual branch: the network is plain.

    (batch, in_channels, height, width) → (), a zero.
    He et al., Deep Residual Learning for Image Recognition, CVPR 2016, arXiv:1512.03385.
    Departs from the paper: none; its plain networks.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: MakeModule) -> None:  # noqa: ARG002
        super().__init__()


@register("shortcut", "identity")
class IdentityShortcut(nn.Module):
    """Add the input where the shape is kept, and nothing where it changes.

    (batch, in_channels, height, width) → same shape, or (), a zero.
    He et al., Deep Residual Learning for Image Recognition, CVPR 2016, arXiv:1512.03385.
    Departs from the paper: blocks that change the shape have no shortcut, as in MobileNetV2.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: MakeModule) -> None:  # noqa: ARG002
        super().__init__()
        self.path = nn.Identity() if _keeps_shape(in_channels, out_channels, stride) else AddNothing()

    def forward(self, x: Tensor) -> Tensor:
        """Return what is added."""
        shortcut: Tensor = self.path(x)
        return shortcut


@register("shortcut", "projection")
class ProjectionShortcut(nn.Module):
    """Add the input, where the shape changes after a 1×1 convolution and a norm (option B).

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / stride⌉, ⌈width / stride⌉).
    He et al., Deep Residual Learning for Image Recognition, CVPR 2016, arXiv:1512.03385.
    Departs from the paper: none; `everywhere` projects where the shape is kept, too (option C).
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, norm: MakeModule, *, everywhere: bool = False
    ) -> None:
        super().__init__()
        is_plain = _keeps_shape(in_channels, out_channels, stride) and not everywhere
        self.conv = nn.Identity() if is_plain else DenseConvolution(in_channels, out_channels, 1, stride)
        self.norm = nn.Identity() if is_plain else norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return what is added."""
        shortcut: Tensor = self.norm(self.conv(x))
        return shortcut


@register("shortcut", "zero-pad")
class ZeroPadShortcut(nn.Module):
    """Add the input, where the shape changes every second pixel, and zeros for the new channels (option A).

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / stride⌉, ⌈width / stride⌉).
    He et al., Deep Residual Learning for Image Recognition, CVPR 2016, arXiv:1512.03385.
    Departs from the paper: none.

    Raises:
        ValueError: if `out_channels` is less than `in_channels`.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: MakeModule) -> None:  # noqa: ARG002
        super().__init__()
        if out_channels < in_channels:
            raise ValueError(
                f"zero-pad: {out_channels} output channels are fewer than {in_channels} input channels; "
                f"{in_channels} or more would fit"
            )
        keeps_shape = _keeps_shape(in_channels, out_channels, stride)
        self.path = nn.Identity() if keeps_shape else _ZeroPad(out_channels - in_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return what is added."""
        shortcut: Tensor = self.path(x)
        return shortcut


class _ZeroPad(nn.Module):
    """Keep one pixel of `stride` in each direction and append channels of zeros."""

    def __init__(self, n_new: int, stride: int) -> None:
        super().__init__()
        self.n_new, self.stride = n_new, stride

    def forward(self, x: Tensor) -> Tensor:
        """Subsample and pad."""
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.n_new))


def _keeps_shape(in_channels: int, out_channels: int, stride: int) -> bool:
    return in_channels == out_channels and stride == 1
