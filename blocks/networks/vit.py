"""Vision transformer."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from blocks.absence import Nothing
from blocks.activation import GELU
from blocks.attention.self_attention import SelfAttention
from blocks.catalogue import register, require_at_least, require_known
from blocks.mlp.perceptron import MLP
from blocks.networks.patches import PatchConvolution
from blocks.normalization.layer import LayerNorm
from blocks.pooling import AveragePooling
from blocks.slots import MakeMLP, MakeModule, MakePooling

GRID = 8


@register("network", "vit", task="classification")
class VisionTransformer(nn.Module):
    """Classify images by attention among all patches, each a pixel of one map that keeps its size.

    (batch, in_channels, height, width) → (batch, n_classes).
    Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021, arXiv:2010.11929.
    Departs from the paper: no class token unless `class_token`: the average over the patches is as good (their appendix
    D.3; Beyer et al., Better Plain ViT Baselines for ImageNet-1k, arXiv:2205.01580), and any attention, mlp and pooling
    fits a map. No dropout. Stem, positions, class token and head start as in the authors' code (the head and the token
    at zero); the perceptron starts as its own choice does, where theirs draws by Glorot's formula.

    A block adds to its input attention(norm(input)), then mlp(norm(sum)); with attention `none` the first is the norm
    alone. After the blocks come norm, pooling and head. A side that is no multiple of `patch` is padded by zeros.
    The defaults suit images of 32×32. ViT-Tiny/16 has `patch: 16`, `grid: 14`, `width: 192`, `depth: 12`,
    `class_token: true` and `attention: {mhsa: {head_channels: 64}}`; ViT-Base/16 `width: 768`.

    With `class_token` the map becomes a sequence that begins with a learned token, (batch, channels, 1 + patches, 1),
    and the head sees that token alone. So attention, which cannot be `none`, and mlp must take pixels as a set
    (`sees_order = False`), and there is nothing to pool. Norms take pixels as a set, and the token is one of them.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        n_classes: the number of classes.
        patch: side of the patches.
        width: channels of all blocks.
        depth: the number of blocks.
        grid: side of the grid of learned positions, 8 if not given; another map takes them interpolated between corners,
            as the authors do for fine-tuning.
        class_token: whether a learned token collects what the head sees.
        position: whether each patch of the grid, and the class token, has a learned vector added to it.
        attention: mixes the pixels.
        norm: comes before attention, mlp and pooling.
        mlp: mixes the channels.
        activation: of the mlp.
        pooling: makes one vector of the patches where there is no class token.

    Raises:
        ValueError: if a number is too small, a word is not known, there are no positions to have a `grid`, or an
            attention, mlp or pooling does not fit a class token.
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        patch: int = 4,
        width: int = 96,
        depth: int = 4,
        grid: int | None = None,
        class_token: bool = False,
        position: Literal["learned", "none"] = "learned",
        attention: MakeModule = SelfAttention,
        norm: MakeModule = LayerNorm,
        mlp: MakeMLP = MLP,
        activation: MakeModule = GELU,
        pooling: MakePooling = AveragePooling,
    ) -> None:
        super().__init__()
        require_known("vit", "position", position, POSITIONS)
        side = GRID if grid is None else grid
        for name, value in {"patch": patch, "width": width, "depth": depth, "grid": side}.items():
            require_at_least("vit", name, value, 1)
        if position == "none" and grid is not None:
            raise ValueError(
                f"vit: grid={grid} is of learned positions, and position='none' has none; no grid would fit"
            )
        self.stem = PatchConvolution(in_channels, width, patch)
        self.position = POSITIONS[position](width, side)
        self.class_token = ClassToken(width, POSITIONS[position](width, 1)) if class_token else nn.Identity()
        self.blocks = nn.Sequential(
            *(
                TransformerBlock(norm(width), attention(width), norm(width), mlp(width, activation))
                for _ in range(depth)
            )
        )
        self.norm = norm(width)
        self.pool = pooling(width)
        self.head = nn.Linear(width, n_classes)
        if class_token:
            _require_sets(self.blocks)
            if not isinstance(self.pool, AveragePooling):
                raise ValueError(
                    f"vit: {type(self.pool).__name__} has nothing to pool, as the head sees the class token; "
                    "class_token: false would fit"
                )
            self.pool = FirstPixel()
        _draw_lecun(self.stem)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.class_token(self.position(self.stem(x)))
        logits: Tensor = self.head(self.pool(self.norm(self.blocks(x))))
        return logits


class TransformerBlock(nn.Module):
    """Add to the input what attention makes of it, then to the sum what the mlp makes of that, each after a norm."""

    def __init__(self, norm1: nn.Module, attention: nn.Module, norm2: nn.Module, mlp: nn.Module) -> None:
        super().__init__()
        self.norm1 = norm1
        self.attention = attention
        self.norm2 = norm2
        self.mlp = mlp

    def forward(self, x: Tensor) -> Tensor:
        """Return the second sum."""
        x = x + self.attention(self.norm1(x))
        output: Tensor = x + self.mlp(self.norm2(x))
        return output


class LearnedPosition(nn.Module):
    """Add to every pixel the learned vector of its place; a map of another size takes them interpolated."""

    def __init__(self, channels: int, grid: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(grid, grid, channels))
        nn.init.normal_(self.embedding, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Add them."""
        embedding = self.embedding.permute(2, 0, 1)[None]  # (1, channels, grid, grid)
        if x.shape[2:] != embedding.shape[2:]:
            embedding = functional.interpolate(embedding, x.shape[2:], mode="bilinear", align_corners=True)
        return x + embedding


class NoPosition(nn.Identity):
    """Leave the pixels as they are."""

    def __init__(self, channels: int, grid: int) -> None:  # noqa: ARG002 - made like the other choice
        super().__init__()


POSITIONS = {"learned": LearnedPosition, "none": NoPosition}


class ClassToken(nn.Module):
    """Put a learned token before the pixels.

    (batch, channels, height, width) → (batch, channels, 1 + height · width, 1).
    """

    def __init__(self, channels: int, position: nn.Module) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.position = position

    def forward(self, x: Tensor) -> Tensor:
        """Join them."""
        pixels = x.flatten(2).transpose(1, 2)  # (batch, pixels, channels)
        token = self.position(self.token).flatten(2).transpose(1, 2).expand(len(x), -1, -1)
        return torch.cat([token, pixels], 1).transpose(1, 2)[..., None]


class FirstPixel(nn.Module):
    """Return the channels of the first pixel: (batch, channels, height, width) → (batch, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        """Select."""
        return x[:, :, 0, 0]


def _require_sets(blocks: nn.Sequential) -> None:
    """Refuse what looks at where pixels lie, which a sequence with a class token has lost, and a token that sees none.

    Raises:
        ValueError: naming the class, or saying that there is no attention.
    """
    for block in blocks:
        is_blind = isinstance(block.attention, Nothing)
        if is_blind:
            raise ValueError(
                "vit: without attention the class token sees no patch, and all images get the same answer; "
                "class_token: false would fit"
            )
        for part in (block.attention, block.mlp):
            if getattr(part, "sees_order", True):
                raise ValueError(
                    f"vit: {type(part).__name__} needs a map, and the class token makes a sequence of it; "
                    "class_token: false would fit"
                )


def _draw_lecun(layer: nn.Conv2d) -> None:
    """Draw weights that keep the variance, from a normal distribution cut at two deviations, and zero biases."""
    fan_in = layer.weight[0].numel()
    std = fan_in**-0.5 / 0.87962566  # the deviation that is left after the cut
    nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
