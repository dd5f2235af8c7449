"""Non-local block."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from blocks.catalogue import register, require_known, require_pixels, require_side, require_unit


def _softmax(theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
    """Average by the softmax of the products of two pixels, which the paper does not scale."""
    require_pixels("non-local", g.shape[1])
    return functional.scaled_dot_product_attention(theta[:, None], phi[:, None], g[:, None], scale=1.0)[:, 0]


def _product(theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
    """Sum by the products themselves; those of phi and g come first, so that no pixel is paired with each other."""
    return theta @ (phi.mT @ g) / g.shape[1]


SIMILARITIES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor] | None] = {
    "embedded-gaussian": _softmax,
    "gaussian": _softmax,
    "dot": _product,
    "concatenation": None,  # a module: it has weights of its own
}


@register("attention", "non-local", vmap=False)  # torch has no batching rule for its fused attention on a CPU
class NonLocal(nn.Module):
    """Add to each pixel a weighted sum over all pixels, weighted by how alike two pixels are.

    (batch, channels, height, width) → same shape.
    Wang et al., Non-local Neural Networks, CVPR 2018, arXiv:1711.07971.
    Departs from the paper: with `sub_sample` what phi and g make is pooled, as in the common implementations in
    PyTorch; the paper pools the input of both.

    Args:
        channels: of input and output.
        reduction: what the channels are divided by inside.
        similarity: of two pixels x and y. embedded-gaussian: exp(theta(x) · phi(y)), over its sum over y. gaussian:
            exp(x · y), over its sum. dot: theta(x) · phi(y), over the number of pixels. concatenation: a rectified
            linear function of theta(x) and phi(y), over the number of pixels.
        sub_sample: whether only the maximum of every 2×2 pixels is attended to; the last row or column of an odd side
            is dropped.
        zero_init: whether the scale of the last norm starts at zero, so that the block starts as the identity.

    Raises:
        ValueError: if `reduction` leaves no channel or `similarity` is not known; from `forward`, if the map is too
            small to be sub-sampled, or leaves a single pixel to a similarity that is a share of a sum.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 2,
        similarity: Literal["embedded-gaussian", "gaussian", "dot", "concatenation"] = "embedded-gaussian",
        sub_sample: bool = False,
        zero_init: bool = True,
    ) -> None:
        super().__init__()
        require_unit("non-local", reduction, channels)
        require_known("non-local", "similarity", similarity, SIMILARITIES)
        hidden = channels // reduction
        embeds = similarity != "gaussian"
        self.theta = nn.Linear(channels, hidden) if embeds else nn.Identity()
        self.phi = nn.Linear(channels, hidden) if embeds else nn.Identity()
        self.g = nn.Linear(channels, hidden)
        self.pool = _HalfMaximum() if sub_sample else nn.Identity()
        self.mix = SIMILARITIES[similarity] or _Concatenation(hidden)
        self.project = nn.Linear(hidden, channels)
        self.norm = nn.BatchNorm2d(channels)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # as the paper says
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        if zero_init:
            nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Add what all pixels say."""
        last = x.permute(0, 2, 3, 1)  # (batch, height, width, channels): no copy if channels come last in memory
        theta, phi, g = (layer(last).permute(0, 3, 1, 2) for layer in (self.theta, self.phi, self.g))
        mixed = self.mix(*(z.flatten(2).mT for z in (theta, self.pool(phi), self.pool(g))))  # (batch, pixels, hidden)
        output: Tensor = x + self.norm(self.project(mixed).mT.reshape(x.shape))
        return output


class _HalfMaximum(nn.MaxPool2d):
    """Keep the maximum of every 2×2 pixels."""

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the map."""
        require_side("non-local", x.shape, 2, "sub_sample")
        output: Tensor = super().forward(x)
        return output


class _Concatenation(nn.Module):
    """Sum by a rectified linear function of two pixels together."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(2 * hidden, 1, bias=False)

    def forward(self, theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
        """Mix g."""
        # The function of a pair is a sum of one function of each, so that no pairs have to be put together.
        of_theta, of_phi = self.weigh.weight.chunk(2, 1)  # (1, hidden)
        weights = (theta @ of_theta.T + of_phi @ phi.mT).relu()  # (batch, pixels, pixels)
        return weights @ g / g.shape[1]
