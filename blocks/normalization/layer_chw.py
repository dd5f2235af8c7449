"""Layer normalisation over channels and pixels together."""

from torch import Tensor, nn

from blocks.catalogue import register, require_several


@register("norm", "layer-chw")
class LayerNormCHW(nn.GroupNorm):
    """Normalise each sample over channels and pixels together.

    (batch, channels, height, width) → same shape.
    Ba et al., Layer Normalization, arXiv:1607.06450.
    Departs from the paper: gain and bias are per channel instead of per value, so that any image size fits.

    Raises:
        ValueError: from `forward`, if a sample has a single value.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        require_several("layer-chw", x.shape, self.num_channels)
        return super().forward(x)
