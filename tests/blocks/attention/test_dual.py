"""Dual attention: literal in both parts, the identity at the start, and the authors' softmax beside the printed one."""

import math

import pytest
import torch

from ablate import cost
from blocks.attention.dual import DualAttention


def image(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def drawn(*arguments, **options):
    """Return the block in float64 with every parameter moved."""
    torch.manual_seed(0)
    module = DualAttention(*arguments, **options).double().eval().requires_grad_(requires_grad=False)
    for parameter in module.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.4)
    return module


def dot(a, b):
    return sum(float(p) * float(q) for p, q in zip(a, b, strict=True))


def softmax(scores):
    total = sum(math.exp(score) for score in scores)
    return [math.exp(score) / total for score in scores]


def positions_draw(part, sample):
    """Return what the pixels of (channels, height, width) draw from each other, pixel by pixel."""
    channels, height, width = sample.shape
    pixels = [(i, j) for i in range(height) for j in range(width)]
    query, key, value = (
        {p: [dot(row, sample[:, *p]) + float(z) for row, z in zip(layer.weight[:, :, 0, 0], layer.bias, strict=True)] for p in pixels}
        for layer in (part.query, part.key, part.value)
    )  # fmt: skip
    drawn = torch.zeros_like(sample)
    for p in pixels:
        weights = softmax([dot(query[p], key[q]) for q in pixels])
        for c in range(channels):
            drawn[c, *p] = float(part.gamma) * dot(weights, [value[q][c] for q in pixels])
    return drawn


def channels_draw(part, sample, affinity):
    """Return what the channels of (channels, height, width) draw from each other, channel by channel."""
    drawn = torch.zeros_like(sample)
    for c, channel in enumerate(sample):
        energy = [dot(channel.flatten(), other.flatten()) for other in sample]
        if affinity == "unlike":
            energy = [max(energy) - value for value in energy]
        for weight, other in zip(softmax(energy), sample, strict=True):
            drawn[c] += float(part.gamma) * weight * other
    return drawn


def test_pixels_draw_from_pixels_as_the_paper_writes():
    module, x = drawn(4, parts="position", reduction=2), image(2, 4, 3, 2)

    expected = torch.stack([sample + positions_draw(module.parts["position"], sample) for sample in x])

    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("affinity", ["unlike", "like"])
def test_channels_draw_from_channels_as_the_code_has_it_or_as_the_paper_writes(affinity):
    module, x = drawn(4, parts="channel", affinity=affinity), image(2, 4, 3, 2)

    expected = torch.stack([sample + channels_draw(module.parts["channel"], sample, affinity) for sample in x])

    torch.testing.assert_close(module(x), expected)


def test_both_parts_add_to_one_input():
    module, x = drawn(4, reduction=2), image(2, 4, 3, 2)

    expected = torch.stack(
        [
            sample
            + positions_draw(module.parts["position"], sample)
            + channels_draw(module.parts["channel"], sample, "unlike")
            for sample in x
        ]
    )

    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("parts", ["both", "position", "channel"])
def test_it_starts_as_the_identity(parts):
    x = image(2, 16, 5, 4).float()

    assert torch.equal(DualAttention(16, parts=parts)(x), x)


def test_the_code_makes_a_channel_listen_to_others_and_the_paper_to_itself():
    x = torch.eye(4).mul(5).view(1, 4, 2, 2)  # each channel has a pixel of its own
    heard = {}
    for affinity in ("unlike", "like"):
        module = DualAttention(4, parts="channel", affinity=affinity)
        torch.nn.init.ones_(module.parts["channel"].gamma)
        heard[affinity] = (module(x) - x).detach().view(4, 4)

    torch.testing.assert_close(heard["like"], 5 * torch.eye(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(heard["unlike"], 5 / 3 * (1 - torch.eye(4)), atol=1e-4, rtol=0)


def test_energies_that_are_large_do_not_overflow():
    for affinity in ("unlike", "like"):
        module = DualAttention(8, parts="channel", affinity=affinity)
        torch.nn.init.ones_(module.parts["channel"].gamma)

        assert module(1e4 * image(1, 8, 6, 6).float()).isfinite().all()


def test_a_part_keeps_its_names_when_the_other_goes():
    def shapes(**options):
        return {name: tuple(tensor.shape) for name, tensor in DualAttention(16, **options).state_dict().items()}

    both = shapes()

    assert shapes(affinity="like") == both
    assert shapes(parts="position") | shapes(parts="channel") == both
    assert shapes(parts="channel") == {"parts.channel.gamma": (1,)}


def test_it_has_the_published_number_of_parameters_and_products():
    with torch.device("meta"):
        position, channel = (DualAttention(512, parts=parts) for parts in ("position", "channel"))

    assert cost.parameters(position) == 328_321
    assert cost.parameters(channel) == 1
    assert cost.macs(channel, (512, 32, 32)) == 536_870_912


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "danet: reduction=8 leaves no unit for 4 channels; 1 to 4 would fit"),
        ({"parts": "spatial"}, r"danet: unknown parts: 'spatial'.* \(known: both, position, channel\)"),
        ({"affinity": "lik"}, "danet: unknown affinity: 'lik'; did you mean 'like'?"),
        ({"parts": "channel", "reduction": 2}, "danet: reduction=2 is of the position part; parts=both or position would fit"),
        ({"parts": "position", "affinity": "like"}, "danet: affinity=like is of the channel part; parts=both or channel would"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_what_would(options, message):
    with pytest.raises(ValueError, match=message):
        DualAttention(4, **options)


def test_a_part_that_has_nothing_to_choose_from_is_refused():
    with pytest.raises(ValueError, match="danet: channels=1 is too small; 2 or more would fit"):
        DualAttention(1, reduction=1)
    with pytest.raises(ValueError, match=r"danet: the map leaves a single pixel .*; larger images or fewer stages"):
        DualAttention(8)(torch.zeros(2, 8, 1, 1))
    assert DualAttention(1, parts="position", reduction=1)(torch.zeros(2, 1, 3, 3)).shape == (2, 1, 3, 3)
    assert DualAttention(8, parts="channel")(torch.zeros(2, 8, 1, 1)).shape == (2, 8, 1, 1)
