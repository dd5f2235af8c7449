"""What becomes of a map when each channel is summed up over the pixels: (batch, channels, height, width) → (batch, channels)."""

from torch import Tensor
from torch.nn import functional


def average(x: Tensor) -> Tensor:
    """Average each channel."""
    # The gradient of a sum is a view of one value; that of a mean is a copy as large as the map, not always channels last.
    return x.sum((2, 3)) / x.shape[2:].numel()


def maximum(x: Tensor) -> Tensor:
    """Take the largest value of each channel."""
    # With channels last three to six times faster, forward and backward, than `amax` or the maximum of flat pixels.
    return functional.adaptive_max_pool2d(x, 1).flatten(1)
