"""Base networks; their slots are constructor arguments that take what makes a block."""

from blocks.networks.convnext import ConvNeXt
from blocks.networks.danet import DANet
from blocks.networks.lenet import LeNet
from blocks.networks.mobilenet_v2 import MobileNetV2
from blocks.networks.resnet import ResNet
from blocks.networks.resnext import ResNeXt
from blocks.networks.shufflenet_v1 import ShuffleNetV1
from blocks.networks.shufflenet_v2 import ShuffleNetV2
from blocks.networks.sknet import SKNet
from blocks.networks.swin import SwinTransformer
from blocks.networks.vit import VisionTransformer

__all__ = [
    "ConvNeXt",
    "DANet",
    "LeNet",
    "MobileNetV2",
    "ResNeXt",
    "ResNet",
    "SKNet",
    "ShuffleNetV1",
    "ShuffleNetV2",
    "SwinTransformer",
    "VisionTransformer",
]
