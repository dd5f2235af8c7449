"""What mixes the channels of every pixel after attention or convolution; one file per idea."""

from blocks.mlp.convolutional_mixer import ConvolutionalChannelMixer
from blocks.mlp.fused_inverted import FusedInverted
from blocks.mlp.gated_depthwise import GatedDepthwise
from blocks.mlp.inverted_residual import InvertedResidual
from blocks.mlp.perceptron import MLP

__all__ = ["MLP", "ConvolutionalChannelMixer", "FusedInverted", "GatedDepthwise", "InvertedResidual"]
