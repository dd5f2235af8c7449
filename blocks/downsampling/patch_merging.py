"""Patch merging of the Swin transformer."""

from torch import Tensor, nn
from torch.nn import functional

from blocks.catalogue import register
from blocks.slots import MakeStrided


@register("downsample", "patch-merging")
class PatchMerging(nn.Module):
    """Join the channels of every 2×2 pixels, normalise them, and map them to the output by one linear layer.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / 2⌉, ⌈width / 2⌉).
    Liu et al., Swin Transformer, ICCV 2021, arXiv:2103.14030.
    Departs from the paper: none; an odd side is padded by zeros at its end, as in torchvision and timm.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        conv: is not used: the linear layer is what convolves.
    """

    def __init__(self, in_channels: int, out_channels: int, conv: MakeStrided) -> None:  # noqa: ARG002 - as above
        super().__init__()
        self.norm = nn.LayerNorm(4 * in_channels)
        self.reduce = nn.Linear(4 * in_channels, out_channels, bias=False)
        nn.init.trunc_normal_(self.reduce.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the map."""
        batch, channels, height, width = x.shape
        x = x.permute(0, 2, 3, 1)  # (batch, height, width, channels)
        if height % 2 or width % 2:
            x = functional.pad(x, (0, 0, 0, width % 2, 0, height % 2))
        x = x.reshape(batch, -(-height // 2), 2, -(-width // 2), 2, channels)
        x = x.permute(0, 1, 3, 4, 2, 5).flatten(3)  # the four pixels from top to bottom, then from left to right
        output: Tensor = self.reduce(self.norm(x))
        return output.permute(0, 3, 1, 2)
