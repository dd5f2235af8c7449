"""Base networks; their slots are constructor arguments that take what makes a block."""

from blocks.networks.resnet import ResNet

__all__ = ["ResNet"]
