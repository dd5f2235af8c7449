"""Swin transformer."""

from collections import OrderedDict
from functools import partial

from torch import Tensor, nn

from blocks.activation import GELU
from blocks.attention.window import WindowAttention
from blocks.catalogue import register, require_at_least, require_depths
from blocks.downsampling.patch_merging import PatchMerging
from blocks.mlp.perceptron import MLP
from blocks.networks.patches import PatchConvolution, patch_stages
from blocks.networks.vit import TransformerBlock
from blocks.networks.widths import stage_widths
from blocks.normalization.layer import LayerNorm
from blocks.pooling import AveragePooling
from blocks.slots import MakeDownsample, MakeMLP, MakeModule, MakePooling


@register("network", "swin", task="classification")
class SwinTransformer(nn.Module):
    """Classify images by attention in windows, shifted in every second block, the map halved between stages.

    (batch, in_channels, height, width) → (batch, n_classes).
    Liu et al., Swin Transformer, ICCV 2021, arXiv:2103.14030.
    Departs from the paper: no stochastic depth; the norms of the `norm` slot add 1e-6 to the variance, where the authors'
    code adds 1e-5; a map smaller than a window is refused, where theirs shrinks the window.

    A block adds to its input attention(norm(input)), then mlp(norm(sum)); with attention `none` the first is the norm
    alone. After the last stage come norm, pooling and head. A side that is no multiple of `patch` is padded by zeros.
    Any attention fits; where it has windows, the map of every stage must be as large as they are. Images of 32×32 become
    maps of 16×16 and 8×8, which windows of 7 pad to 21 and 14 and windows of 4 do not
    (`attention: {window: {window: 4}}`). Swin-T has `patch: 4`, `width: 96` and `depths: [2, 2, 6, 2]`.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        n_classes: the number of classes.
        depths: the number of blocks of each stage.
        width: channels of the first stage; each further stage doubles them and halves the map. A list gives those of
            each stage; the stem has those of the first.
        patch: side of the patches that the stem makes pixels of.
        shift: whether every second block of a stage shifts its windows by half.
        attention: mixes pixels.
        norm: comes after the stem, before attention and mlp, before pooling, and before a convolution that `downsample`
            makes; patch merging has a layer norm of its own.
        mlp: mixes the channels.
        activation: of the mlp.
        downsample: halves the map between stages; its convolution, if it makes one, has a norm before it, a kernel of
            its stride, and no bias.
        pooling: makes one vector of the map.

    Raises:
        ValueError: if a number is too small, there is no stage, `width` has not one number for each, or there are no windows
            or no second blocks that `shift` could leave in place.
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        depths: tuple[int, ...] = (2, 2),
        width: int | tuple[int, ...] = 32,
        patch: int = 2,
        shift: bool = True,
        attention: MakeModule = WindowAttention,
        norm: MakeModule = LayerNorm,
        mlp: MakeMLP = MLP,
        activation: MakeModule = GELU,
        downsample: MakeDownsample = PatchMerging,
        pooling: MakePooling = AveragePooling,
    ) -> None:
        super().__init__()
        require_depths("swin", depths)
        require_at_least("swin", "patch", patch, 1)
        if not shift and max(depths) == 1:
            raise ValueError(
                "swin: shift=False changes nothing where no stage has a second block; shift=True would fit"
            )
        self.widths = widths = stage_widths("swin", width, len(depths))
        self.stem = nn.Sequential(
            OrderedDict(conv=PatchConvolution(in_channels, widths[0], patch), norm=norm(widths[0]))
        )

        def block(channels: int, index: int) -> TransformerBlock:
            mixer = _shifted(attention(channels), shift=shift, is_second=index % 2 == 1)
            return TransformerBlock(norm(channels), mixer, norm(channels), mlp(channels, activation))

        patches = partial(PatchConvolution, bias=False)
        self.stages = patch_stages(widths, depths, block, downsample=downsample, norm=norm, patches=patches)
        self.norm = norm(widths[-1])
        self.pool = pooling(widths[-1])
        self.head = nn.Linear(widths[-1], n_classes)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.norm(self.stages(self.stem(x)))
        logits: Tensor = self.head(self.pool(x))
        return logits


def _shifted(attention: nn.Module, *, shift: bool, is_second: bool) -> nn.Module:
    """Shift the windows of attention, if it has any and is the second of a pair.

    Raises:
        ValueError: if windows shall stay in place where there are none.
    """
    shifted = getattr(attention, "shifted", None)
    if shifted is None and not shift:
        raise ValueError(f"swin: shift=False changes nothing in {type(attention).__name__}; shift=True would fit")
    if shifted is not None and shift and is_second:
        shifted()
    return attention
