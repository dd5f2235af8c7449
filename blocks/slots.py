"""What fills the slots of a network: anything that makes a module from a number of channels."""

from collections.abc import Callable

from torch import nn

MakeModule = Callable[[int], nn.Module]
"""Called with the number of channels; the module keeps the shape."""

MakeConv = Callable[[int, int, int, int], nn.Module]
"""Called with input channels, output channels, kernel and stride."""
