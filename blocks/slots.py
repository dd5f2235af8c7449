"""What fills the slots of a network: how each kind of slot is called when the network is built."""

from collections.abc import Callable

from torch import nn

MakeModule = Callable[[int], nn.Module]
"""Called with the number of channels; the module keeps the shape. (attention, norm, mix, activation)

An activation may overwrite its input, so networks give it only what nothing else needs.
"""

MakeConv = Callable[[int, int, int, int], nn.Module]
"""Called with input channels, output channels, kernel and stride. (conv)"""

MakeStrided = Callable[[int, int, int], nn.Module]
"""Called with input channels, output channels and stride: what a network convolves with where the map is halved."""

MakeDownsample = Callable[[int, int, MakeStrided], nn.Module]
"""Called with input channels, output channels and what convolves; each side of the map is halved, rounding up."""

MakeShortcut = Callable[[int, int, int, MakeModule], nn.Module]
"""Called with input channels, output channels, stride and norm; the module's output is added to the residual branch."""

MakeMLP = Callable[[int, MakeModule], nn.Module]
"""Called with the number of channels and the activation; the module keeps the shape."""

MakePooling = Callable[[int], nn.Module]
"""Called with the number of channels: (batch, channels, height, width) → (batch, channels)."""
