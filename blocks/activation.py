"""Activations, which networks give only what nothing else needs.

ReLU, leaky ReLU and ELU, whose gradient can be told from their output, work in place.
"""

from torch import nn

from blocks.catalogue import register, require_at_least


@register("activation", "relu")
class ReLU(nn.ReLU):
    """Set negative values to zero.

    (batch, channels, height, width) → same shape.
    Nair and Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines, ICML 2010.
    Departs from the paper: none.
    """

    def __init__(self, channels: int) -> None:  # noqa: ARG002 - as for all choices of the slot
        super().__init__(inplace=True)


@register("activation", "relu6")
class ReLU6(nn.ReLU6):
    """Cut values below zero and above six.

    (batch, channels, height, width) → same shape.
    Howard et al., MobileNets, arXiv:1704.04861.
    Departs from the paper: none.
    """

    def __init__(self, channels: int) -> None:  # noqa: ARG002 - as for all choices of the slot
        super().__init__()


@register("activation", "leaky-relu")
class LeakyReLU(nn.LeakyReLU):
    """Scale negative values by a small slope.

    (batch, channels, height, width) → same shape.
    Maas et al., Rectifier Nonlinearities Improve Neural Network Acoustic Models, ICML Workshops 2013.
    Departs from the paper: none.

    Raises:
        ValueError: if `slope` is below zero: two inputs would share an output, and their gradient could not be told from it.
    """

    def __init__(self, channels: int, *, slope: float = 0.01) -> None:  # noqa: ARG002 - as for all choices of the slot
        require_at_least("leaky-relu", "slope", slope, 0)
        super().__init__(slope, inplace=True)


@register("activation", "prelu")
class PReLU(nn.PReLU):
    """Scale negative values by a slope that each channel learns.

    (batch, channels, height, width) → same shape.
    He et al., Delving Deep into Rectifiers, ICCV 2015, arXiv:1502.01852.
    Departs from the paper: none.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)


@register("activation", "elu")
class ELU(nn.ELU):
    """Let negative values decay to minus one.

    (batch, channels, height, width) → same shape.
    Clevert et al., Fast and Accurate Deep Network Learning by Exponential Linear Units, ICLR 2016, arXiv:1511.07289.
    Departs from the paper: none.
    """

    def __init__(self, channels: int) -> None:  # noqa: ARG002 - as for all choices of the slot
        super().__init__(inplace=True)


@register("activation", "gelu")
class GELU(nn.GELU):
    """Scale each value by the share of the normal distribution below it.

    (batch, channels, height, width) → same shape.
    Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415.
    Departs from the paper: none; by the error function, not by its approximation.
    """

    def __init__(self, channels: int) -> None:  # noqa: ARG002 - as for all choices of the slot
        super().__init__()


@register("activation", "silu")
class SiLU(nn.SiLU):
    """Scale each value by its sigmoid.

    (batch, channels, height, width) → same shape.
    Elfwing et al., Sigmoid-Weighted Linear Units, Neural Networks 2018, arXiv:1702.03118.
    Departs from the paper: none.
    """

    def __init__(self, channels: int) -> None:  # noqa: ARG002 - as for all choices of the slot
        super().__init__()


@register("activation", "hardswish")
class HardSwish(nn.Hardswish):
    """Scale each value by a sigmoid made of three straight lines.

    (batch, channels, height, width) → same shape.
    Howard et al., Searching for MobileNetV3, ICCV 2019, arXiv:1905.02244.
    Departs from the paper: none.
    """

    def __init__(self, channels: int) -> None:  # noqa: ARG002 - as for all choices of the slot
        super().__init__()


@register("activation", "mish")
class Mish(nn.Mish):
    """Scale each value by the hyperbolic tangent of its softplus.

    (batch, channels, height, width) → same shape.
    Misra, Mish: A Self Regularized Non-Monotonic Activation Function, BMVC 2020, arXiv:1908.08681.
    Departs from the paper: none.
    """

    def __init__(self, channels: int) -> None:  # noqa: ARG002 - as for all choices of the slot
        super().__init__()


@register("activation", "tanh")
class Tanh(nn.Tanh):
    """Squash values to between minus one and one.

    (batch, channels, height, width) → same shape.
    LeCun et al., Gradient-Based Learning Applied to Document Recognition, Proceedings of the IEEE 1998.
    Departs from the paper: not scaled to 1.7159 tanh(2x / 3).
    """

    def __init__(self, channels: int) -> None:  # noqa: ARG002 - as for all choices of the slot
        super().__init__()


@register("activation", "sigmoid")
class Sigmoid(nn.Sigmoid):
    """Squash values to between zero and one.

    (batch, channels, height, width) → same shape.
    Rumelhart et al., Learning Representations by Back-Propagating Errors, Nature 1986.
    Departs from the paper: none.
    """

    def __init__(self, channels: int) -> None:  # noqa: ARG002 - as for all choices of the slot
        super().__init__()
