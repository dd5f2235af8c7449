"""1×1 convolution as a linear layer."""

from torch import Tensor, nn
from torch.nn import functional

from blocks.catalogue import register
from blocks.convolution.start import draw


@register("conv", "linear", kernel=1)
class LinearConvolution(nn.Conv2d):
    """Combine the channels of each pixel by a matrix product.

    (batch, in_channels, height, width) → (batch, out_channels, ⌈height / stride⌉, ⌈width / stride⌉).
    Liu et al., A ConvNet for the 2020s, CVPR 2022, arXiv:2201.03545.
    Departs from the paper: no bias. It is the choice `dense` at kernel 1, with the same weight, computed in another way.

    Raises:
        ValueError: if `kernel` is not 1.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        if kernel != 1:
            raise ValueError(f"linear: kernel={kernel} is not one pixel; 1 would fit")
        super().__init__(in_channels, out_channels, 1, stride, bias=False)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        draw(self)

    def forward(self, x: Tensor) -> Tensor:
        """Combine the channels."""
        down, across = self.stride
        x = x[:, :, ::down, ::across].permute(0, 2, 3, 1)  # (batch, height / stride, width / stride, channels)
        return functional.linear(x, self.weight.flatten(1)).permute(0, 3, 1, 2)
