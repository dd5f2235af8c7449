"""The convolutional channel mixer against loops over pixels and channels."""

import math

import pytest
import torch

from blocks.activation import GELU, ReLU
from blocks.mlp.convolutional_mixer import ConvolutionalChannelMixer
from blocks.mlp.perceptron import MLP


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def gelu(value):
    return value * (1 + math.erf(value / math.sqrt(2))) / 2


def literal(module, sample):
    """Return the output for one sample, every sum written out, with zeros around the map."""
    channels, height, width = sample.shape
    kernels, project = module.expand.weight.tolist(), module.project.weight.flatten(1).tolist()
    reach = len(kernels[0][0]) // 2
    values = sample.tolist()
    output = torch.zeros_like(sample)
    for i in range(height):
        for j in range(width):
            hidden = [
                bias
                + sum(
                    kernel[c][a][b] * values[c][i + a - reach][j + b - reach]
                    for c in range(channels)
                    for a in range(2 * reach + 1)
                    for b in range(2 * reach + 1)
                    if 0 <= i + a - reach < height and 0 <= j + b - reach < width
                )
                for kernel, bias in zip(kernels, module.expand.bias.tolist(), strict=True)
            ]
            for c, (row, bias) in enumerate(zip(project, module.project.bias.tolist(), strict=True)):
                output[c, i, j] = bias + sum(w * gelu(value) for w, value in zip(row, hidden, strict=True))
    return output


@pytest.mark.parametrize(("expansion", "kernel"), [(2.0, 3), (1.5, 5), (0.5, 1)])
def test_a_dense_convolution_widens_and_a_pointwise_one_narrows(expansion, kernel):
    torch.manual_seed(0)
    module = ConvolutionalChannelMixer(4, GELU, expansion=expansion, kernel=kernel).double()
    x = torch.randn(2, 4, 3, 4, dtype=torch.float64)

    torch.testing.assert_close(module(x), torch.stack([literal(module, sample) for sample in x]))


def test_parameters_are_as_many_as_in_the_authors_code_and_five_times_those_of_a_perceptron():
    assert count(ConvolutionalChannelMixer(36, GELU)) == 26_028
    assert count(MLP(36, GELU, expansion=2.0)) == 5_292


def test_with_a_kernel_of_one_pixel_it_is_a_perceptron():
    module = ConvolutionalChannelMixer(8, GELU, kernel=1)
    other = MLP(8, GELU, expansion=2.0)
    with torch.no_grad():
        for theirs, ours in zip(other.parameters(), module.parameters(), strict=True):
            theirs.copy_(ours.reshape(theirs.shape))
    x = torch.randn(2, 8, 5, 4)

    torch.testing.assert_close(module(x), other(x))


def test_the_activation_is_made_for_the_hidden_channels_and_may_work_in_place():
    asked = []

    def make(channels):
        asked.append(channels)
        return ReLU(channels)

    module, x = ConvolutionalChannelMixer(32, make), torch.randn(2, 32, 4, 4, requires_grad=True)
    module(x).sum().backward()

    assert asked == [64]
    assert x.grad.any()


def test_what_it_cannot_be_built_with_is_refused():
    with pytest.raises(ValueError, match=r"ccm: kernel=2 has no middle pixel; 1 or 3 would fit"):
        ConvolutionalChannelMixer(8, GELU, kernel=2)
    with pytest.raises(
        ValueError,
        match=r"ccm: expansion=0.1 makes no whole number of hidden channels of 8 channels; 0.125 or more would fit",
    ):
        ConvolutionalChannelMixer(8, GELU, expansion=0.1)
