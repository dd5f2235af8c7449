"""Multi-head self-attention: literal, blind to positions, and its twin in timm."""

import math

import pytest
import torch

from ablate import cost
from blocks.attention.self_attention import SelfAttention


def image(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def drawn(*arguments, **options):
    """Return the block in float64 with every parameter moved."""
    torch.manual_seed(0)
    module = SelfAttention(*arguments, **options).double().eval().requires_grad_(requires_grad=False)
    for parameter in module.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.3)
    return module


def dot(a, b):
    return sum(float(p) * float(q) for p, q in zip(a, b, strict=True))


def literal(module, x, heads):
    """Compute the output pixel by pixel."""
    batch, channels, height, width = x.shape
    size = channels // heads
    weight = module.qkv.weight.tolist()
    bias = [0.0] * 3 * channels if module.qkv.bias is None else module.qkv.bias.tolist()
    pixels = [(i, j) for i in range(height) for j in range(width)]
    y = torch.zeros_like(x)
    for b in range(batch):
        made = {p: [dot(row, x[b, :, *p]) + z for row, z in zip(weight, bias, strict=True)] for p in pixels}
        for p in pixels:
            mixed = []
            for head in range(heads):
                q, k, v = (
                    slice(part * channels + head * size, part * channels + (head + 1) * size) for part in range(3)
                )
                weights = [math.exp(dot(made[p][q], made[o][k]) / math.sqrt(size)) for o in pixels]
                mixed += [dot(weights, [made[o][v][c] for o in pixels]) / sum(weights) for c in range(size)]
            for c in range(channels):
                y[b, c, *p] = dot(module.project.weight[c], mixed) + float(module.project.bias[c])
    return y


@pytest.mark.parametrize(("heads", "bias"), [(1, True), (2, True), (3, False)])
def test_the_output_is_what_the_paper_writes(heads, bias):
    module, x = drawn(6, heads=heads, bias=bias), image(2, 6, 2, 3)

    torch.testing.assert_close(module(x), literal(module, x, heads))


def test_pixels_that_change_places_only_change_places():
    module, x = drawn(8, heads=2), image(2, 8, 3, 4)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(2))

    def permuted(x):
        return x.flatten(2)[:, :, order].unflatten(2, (3, 4))

    torch.testing.assert_close(module(permuted(x)), permuted(module(x)))
    assert not SelfAttention.sees_order


def test_a_map_is_a_sequence_of_its_pixels():
    module, x = drawn(8, heads=2), image(2, 8, 3, 4)

    torch.testing.assert_close(module(x.reshape(2, 8, 12, 1)), module(x).reshape(2, 8, 12, 1))


def test_a_head_has_32_channels_unless_heads_or_their_channels_are_given():
    assert SelfAttention(96).heads == 3
    assert SelfAttention(96, heads=2).heads == 2
    assert SelfAttention(96, head_channels=16).heads == 6


def test_it_has_as_many_parameters_and_products_as_in_vit_tiny():
    with torch.device("meta"):
        module = SelfAttention(192, heads=3)

    assert cost.parameters(module) == 4 * 192 * 192 + 4 * 192
    assert cost.parameters(module) - cost.parameters(SelfAttention(192, heads=3, bias=False)) == 3 * 192
    assert cost.macs(module, (192, 14, 14)) == 4 * 196 * 192**2 + 2 * 196**2 * 192


def test_queries_keys_and_values_start_as_layers_of_their_own():
    torch.manual_seed(0)
    module = SelfAttention(128)

    for weights in (*module.qkv.weight.chunk(3), module.project.weight):
        assert float(weights.detach().abs().max()) == pytest.approx(math.sqrt(6 / 256), rel=0.01)
    assert not module.qkv.bias.any()
    assert not module.project.bias.any()


@pytest.mark.parametrize(
    ("channels", "options", "message"),
    [
        (16, {}, "mhsa: head_channels=32 does not divide 16 channels; 1, 2, 4, 8, 16 would fit"),
        (16, {"heads": 3}, "mhsa: heads=3 does not divide 16 channels; 1, 2, 4, 8, 16 would fit"),
        (16, {"heads": 0}, "mhsa: heads=0 does not divide 16 channels"),
        (16, {"head_channels": 5}, "mhsa: head_channels=5 does not divide 16 channels"),
        (
            16,
            {"heads": 2, "head_channels": 8},
            "mhsa: heads=2 and head_channels=8 are both given; one of them would fit",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(channels, options, message):
    with pytest.raises(ValueError, match=message):
        SelfAttention(channels, **options)


def test_a_map_of_a_single_pixel_is_refused():
    with pytest.raises(ValueError, match=r"mhsa: the map leaves a single pixel .*; larger images or fewer stages"):
        SelfAttention(8, heads=2)(torch.zeros(2, 8, 1, 1))


@pytest.mark.slow
@pytest.mark.parametrize(("heads", "bias"), [(1, True), (3, True), (4, False)])
def test_it_equals_the_attention_of_timm(timm, assert_twins, renamed, heads, bias):
    ours = SelfAttention(24, heads=heads, bias=bias)
    theirs = timm.models.vision_transformer.Attention(24, heads, qkv_bias=bias)

    assert_twins(
        ours,
        theirs,
        image(2, 24, 5, 3),
        translate=renamed((r"^proj", "project")),
        to_theirs=lambda x: x.flatten(2).mT,
        to_ours=lambda y: y.mT.unflatten(2, (5, 3)),
    )
