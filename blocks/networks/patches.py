"""What the networks that see an image as patches share."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional

from blocks.slots import MakeDownsample, MakeModule, MakeStrided


class PatchConvolution(nn.Conv2d):
    """Make one pixel of every patch by one linear layer; zeros at the end complete the last patches.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / patch⌉, ⌈width / patch⌉).
    """

    def __init__(self, in_channels: int, out_channels: int, patch: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, patch, patch, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        patch = self.stride[0]
        down, right = -x.shape[2] % patch, -x.shape[3] % patch
        if down or right:
            x = functional.pad(x, (0, right, 0, down))
        return super().forward(x)


def patch_stages(
    widths: Sequence[int],
    depths: Sequence[int],
    make_block: Callable[[int, int], nn.Module],
    *,
    downsample: MakeDownsample,
    norm: MakeModule,
    patches: MakeStrided = PatchConvolution,
) -> nn.Sequential:
    """Return the stages; before each but the first `downsample` gets a norm and a convolution of patches.

    Args:
        widths: channels of each stage.
        depths: blocks of each stage.
        make_block: called with the channels and the number of the block in its stage, from 0.
        downsample: halves the map between stages.
        norm: of the input of such a convolution.
        patches: makes the convolution.
    """

    def convolved(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
        layers = OrderedDict(norm=norm(in_channels), conv=patches(in_channels, out_channels, stride))
        return nn.Sequential(layers)

    stages = []
    for before, channels, depth in zip([None, *widths], widths, depths, strict=False):
        parts = OrderedDict[str, nn.Module]()
        if before is not None:
            parts["downsample"] = downsample(before, channels, convolved)
        parts["blocks"] = nn.Sequential(*(make_block(channels, i) for i in range(depth)))
        stages.append(nn.Sequential(parts))
    return nn.Sequential(*stages)
