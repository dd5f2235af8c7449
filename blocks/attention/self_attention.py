"""Multi-head self-attention."""

from torch import Tensor, nn
from torch.nn import functional

from blocks.attention.heads import count_heads
from blocks.catalogue import register, require_pixels


@register("attention", "mhsa", vmap=False)  # torch has no batching rule for its fused attention on a CPU
class SelfAttention(nn.Module):
    """Replace each pixel by averages over all pixels, one average per head, weighted by how well they match.

    (batch, channels, height, width) → same shape; any map, so also a sequence (batch, channels, tokens, 1).
    Dosovitskiy et al., An Image is Worth 16x16 Words (ViT), ICLR 2021, arXiv:2010.11929.
    Departs from the paper: none. It knows no positions: pixels that change places only change places in the output, so
    a network that needs their order adds it to the input.

    Args:
        channels: of input and output.
        heads: how many there are.
        head_channels: channels of each, instead of `heads`; with neither it is 32.
        bias: whether queries, keys and values have a bias; the projection of the output always has one.

    Raises:
        ValueError: if the heads do not divide the channels, or both `heads` and `head_channels` are given; from `forward`,
            if the map is a single pixel.
    """

    # Pixels are a set to it, so a network may put a class token among them.
    sees_order = False

    def __init__(
        self, channels: int, *, heads: int | None = None, head_channels: int | None = None, bias: bool = True
    ) -> None:
        super().__init__()
        self.heads = count_heads("mhsa", channels, heads, head_channels)
        self.qkv = nn.Linear(channels, 3 * channels, bias=bias)
        self.project = nn.Linear(channels, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights: Glorot's, each of the query, key and value layers a layer of its own, as the authors do."""
        for weights in (*self.qkv.weight.chunk(3), self.project.weight):
            nn.init.xavier_uniform_(weights)
        for layer in (self.qkv, self.project):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Attend."""
        batch, channels, height, width = x.shape
        require_pixels("mhsa", height * width)
        pixels = x.flatten(2).mT  # (batch, pixels, channels): no copy if channels come last in memory
        heads = self.qkv(pixels).view(batch, height * width, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*heads.unbind(0))  # (batch, heads, pixels, channels of a head)
        output: Tensor = self.project(mixed.transpose(1, 2).flatten(2))  # (batch, pixels, channels)
        return output.mT.view(batch, channels, height, width)
