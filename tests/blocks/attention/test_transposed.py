"""Transposed attention against loops over heads and pairs of channels."""

import math

import pytest
import torch

from blocks.activation import GELU
from blocks.attention.transposed import TransposedAttention
from blocks.mlp.gated_depthwise import GatedDepthwise
from blocks.normalization import LayerNorm


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def pointwise(pixels, layer):
    """Return {pixel: values} after a 1×1 convolution."""
    rows = layer.weight.flatten(1).tolist()
    biases = [0.0] * len(rows) if layer.bias is None else layer.bias.tolist()
    return {
        place: [sum(w * v for w, v in zip(row, values, strict=True)) + b for row, b in zip(rows, biases, strict=True)]
        for place, values in pixels.items()
    }


def neighbourhood(pixels, layer):
    """Return {pixel: values} after a 3×3 convolution of each channel by itself, with zeros around the map."""
    kernels = layer.weight[:, 0].tolist()
    biases = [0.0] * len(kernels) if layer.bias is None else layer.bias.tolist()
    return {
        (i, j): [
            bias
            + sum(
                kernel[a + 1][b + 1] * pixels[i + a, j + b][c]
                for a in (-1, 0, 1)
                for b in (-1, 0, 1)
                if (i + a, j + b) in pixels
            )
            for c, (kernel, bias) in enumerate(zip(kernels, biases, strict=True))
        ]
        for i, j in pixels
    }


def literal(module, sample, heads):
    channels, height, width = sample.shape
    pixels = {(i, j): sample[:, i, j].tolist() for i in range(height) for j in range(width)}
    features = pointwise(pixels, module.qkv)
    if isinstance(module.depthwise, torch.nn.Conv2d):
        features = neighbourhood(features, module.depthwise)
    maps = [[features[place][c] for place in pixels] for c in range(3 * channels)]
    queries, keys, values = maps[:channels], maps[channels : 2 * channels], maps[2 * channels :]
    size = channels // heads
    mixed = []
    for c, query in enumerate(queries):
        head = c // size
        others = range(head * size, (head + 1) * size)
        scores = [
            module.temperature[head].item()
            * sum(q * k for q, k in zip(query, keys[other], strict=True))
            / math.hypot(*query)
            / math.hypot(*keys[other])
            for other in others
        ]
        total = sum(math.exp(score) for score in scores)
        weights = [math.exp(score) / total for score in scores]
        mixed.append(
            [sum(w * values[o][n] for w, o in zip(weights, others, strict=True)) for n in range(height * width)]
        )
    output = pointwise({place: [row[n] for row in mixed] for n, place in enumerate(pixels)}, module.project)
    return torch.tensor(
        [[[output[i, j][c] for j in range(width)] for i in range(height)] for c in range(channels)], dtype=torch.float64
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("depthwise", [True, False])
@pytest.mark.parametrize("heads", [1, 2, 3])
def test_channels_average_those_of_their_head_by_the_cosine_of_their_maps(heads, depthwise, bias):
    torch.manual_seed(0)
    module = TransposedAttention(6, heads=heads, depthwise=depthwise, bias=bias).double()
    torch.nn.init.uniform_(module.temperature, 0.5, 4)
    x = torch.randn(2, 6, 3, 2, dtype=torch.float64)

    torch.testing.assert_close(module(x), torch.stack([literal(module, sample, heads) for sample in x]))


def test_all_convolutions_have_biases_or_none_has_and_scores_start_as_cosines():
    with_bias, without = TransposedAttention(6, bias=True), TransposedAttention(6)

    assert count(with_bias) - count(without) == 3 * 6 + 3 * 6 + 6
    assert torch.equal(without.temperature, torch.ones(1, 1, 1))


def test_parameters_are_as_many_as_in_the_authors_block():
    attention, mlp = TransposedAttention(48), GatedDepthwise(48, GELU)

    assert count(attention) == 10_513
    assert count(torch.nn.Sequential(LayerNorm(48), attention, LayerNorm(48), mlp)) == 31_279


def test_heads_are_the_papers_at_its_widths_and_at_others_have_as_many_channels_at_least():
    heads = {channels: TransposedAttention(channels).heads for channels in (48, 96, 192, 384, 7, 32, 64, 128, 144)}

    assert heads == {48: 1, 96: 2, 192: 4, 384: 8, 7: 1, 32: 1, 64: 1, 128: 2, 144: 3}


def test_heads_may_be_given_by_their_channels():
    assert TransposedAttention(32, head_channels=8).heads == TransposedAttention(32, heads=4).heads == 4


def test_without_its_small_convolution_pixels_that_change_places_only_change_places():
    torch.manual_seed(0)
    x, order = torch.randn(1, 8, 4, 5), torch.randperm(20)

    def moved(maps):
        return maps.flatten(2)[:, :, order].unflatten(2, (4, 5))

    blind, seeing = TransposedAttention(8, depthwise=False), TransposedAttention(8)

    torch.testing.assert_close(blind(moved(x)), moved(blind(x)))
    assert not torch.allclose(seeing(moved(x)), moved(seeing(x)), atol=1e-2)


def test_a_hot_head_whose_channels_match_themselves_best_changes_nothing():
    module = TransposedAttention(8, heads=2, depthwise=False)
    with torch.no_grad():
        module.qkv.weight.copy_(torch.eye(8).repeat(3, 1)[:, :, None, None])
        module.project.weight.copy_(torch.eye(8))
        module.temperature.fill_(1e4)
    x = torch.randn(2, 8, 5, 5)

    torch.testing.assert_close(module(x), x)


def test_the_size_of_the_values_does_not_change_who_attends_to_whom():
    module, x = TransposedAttention(8), torch.randn(2, 8, 5, 5)

    torch.testing.assert_close(module(100 * x), 100 * module(x), rtol=1e-4, atol=1e-4)


def test_what_it_cannot_be_built_with_is_refused():
    with pytest.raises(ValueError, match=r"mdta: heads=5 does not divide 32 channels; 1, 2, 4, 8, 16, 32 would fit"):
        TransposedAttention(32, heads=5)
    with pytest.raises(ValueError, match=r"mdta: head_channels=48 does not divide 32 channels"):
        TransposedAttention(32, head_channels=48)
    for channels, options in ((8, {"heads": 8}), (8, {"head_channels": 1}), (1, {})):
        with pytest.raises(
            ValueError, match=rf"mdta: heads={channels} leaves a single channel to each, .* 2 or more channels"
        ):
            TransposedAttention(channels, **options)
    with pytest.raises(ValueError, match=r"mdta: heads=2 and head_channels=16 are both given"):
        TransposedAttention(32, heads=2, head_channels=16)


def test_a_map_of_a_single_pixel_is_refused():
    with pytest.raises(
        ValueError, match=r"mdta: a map of a single pixel leaves only signs .*; larger images or fewer stages"
    ):
        TransposedAttention(8)(torch.zeros(2, 8, 1, 1))
