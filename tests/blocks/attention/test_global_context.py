"""Global context against its paper and against timm."""

import math

import pytest
import torch

from blocks.attention import GlobalContext

X = torch.randn(2, 16, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def moved(**options):
    """Return a module in which no tensor is still at zero or one."""
    torch.manual_seed(0)
    module = GlobalContext(16, reduction=4, **options).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module


def layer(linear, values):
    return [
        sum(w * v for w, v in zip(row, values, strict=True)) + bias
        for row, bias in zip(linear.weight.tolist(), linear.bias.tolist(), strict=True)
    ]


def attended(module, pixels):
    masses = [
        math.exp(sum(w * p for w, p in zip(module.pool.score.weight[0].tolist(), pixel, strict=True)))
        for pixel in pixels
    ]
    return [sum(m * pixel[c] for m, pixel in zip(masses, pixels, strict=True)) / sum(masses) for c in range(16)]


def averaged(module, pixels):
    return [sum(pixel[c] for pixel in pixels) / len(pixels) for c in range(16)]


def transformed(module, context):
    hidden = layer(module.reduce, context)
    mean = sum(hidden) / len(hidden)
    deviation = math.sqrt(sum((h - mean) ** 2 for h in hidden) / len(hidden) + 1e-5)
    weights, biases = module.norm.weight.tolist(), module.norm.bias.tolist()
    return layer(
        module.expand,
        [max(0.0, (h - mean) / deviation * w + b) for h, w, b in zip(hidden, weights, biases, strict=True)],
    )


FUSIONS = {"add": lambda x, c: x + c, "scale": lambda x, c: x / (1 + math.exp(-c))}


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize(("pool", "summed_up"), [("attention", attended), ("avg", averaged)])
def test_every_pixel_meets_the_same_transformed_context(fusion, pool, summed_up):
    module = moved(fusion=fusion, pool=pool)
    y = module(X)

    for b in range(2):
        context = transformed(module, summed_up(module, [X[b, :, i, j].tolist() for i in range(4) for j in range(3)]))
        for c in range(16):
            torch.testing.assert_close(y[b, c], FUSIONS[fusion](X[b, c], context[c]))


def test_parameters_are_as_many_as_those_of_timm_and_of_the_paper():
    a_bias_that_the_softmax_cancels = 1

    assert count(GlobalContext(256, reduction=8)) == 16_993 - a_bias_that_the_softmax_cancels
    assert count(GlobalContext(256, reduction=16)) == 256 + 2 * 256 * 16 + 256 + 3 * 16
    assert count(GlobalContext(256, reduction=8, pool="avg")) == 16_993 - 257


def test_it_starts_as_the_identity_and_as_a_gate_half_open():
    assert torch.equal(GlobalContext(16, reduction=4).double()(X), X)
    assert torch.equal(GlobalContext(16, reduction=4, fusion="scale").double()(X), X / 2)


def test_a_score_that_is_the_same_for_all_pixels_gives_the_average():
    attention, average = moved(), moved(pool="avg")
    average.load_state_dict({name: t for name, t in attention.state_dict().items() if not name.startswith("pool")})
    torch.nn.init.zeros_(attention.pool.score.weight)

    torch.testing.assert_close(attention(X), average(X))


@pytest.mark.slow
@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("pool", ["attention", "avg"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_equals_that_of_timm(timm, assert_twins, renamed, fusion, pool, layout):
    theirs = timm.layers.GlobalContext(
        16, use_attn=pool == "attention", fuse_add=fusion == "add", fuse_scale=fusion == "scale", rd_ratio=1 / 4
    )
    (theirs.mlp_add or theirs.mlp_scale).norm.eps = 1e-5  # the authors'; timm has 1e-6
    names = renamed(
        (r"conv_attn\.", "pool.score."),
        (r"mlp_\w+\.fc1", "reduce"),
        (r"mlp_\w+\.norm", "norm"),
        (r"mlp_\w+\.fc2", "expand"),
    )

    def translate(state):
        shaped = {name: t.flatten(1) if t.dim() > 1 else t for name, t in names(state).items()}
        shaped.pop("pool.score.bias", None)  # the softmax cancels it
        return shaped

    x = X.contiguous(memory_format=layout)
    assert_twins(GlobalContext(16, reduction=4, fusion=fusion, pool=pool), theirs, x, translate=translate)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "gc: reduction=8 leaves 1 of 8 channels as hidden units, .*; 1 to 2 would fit"),
        ({"reduction": 3}, "gc: reduction=3 leaves 2 of 8 channels as hidden units, .*; 1 to 2 would fit"),
        ({"reduction": 0}, "gc: reduction=0 is too small; 1 or more would fit"),
        ({"reduction": 4, "fusion": "mul"}, r"gc: unknown fusion: 'mul' \(known: add, scale\)"),
        ({"reduction": 4, "pool": "atention"}, "gc: unknown pool: 'atention'; did you mean 'attention'"),
    ],
)
def test_options_that_do_not_fit_are_refused_with_those_that_would(options, message):
    with pytest.raises(ValueError, match=message):
        GlobalContext(8, **options)


def test_attention_to_a_single_pixel_is_refused():
    pixel = torch.zeros(2, 8, 1, 1)

    with pytest.raises(ValueError, match=r"gc: the map leaves a single pixel .*; larger images or fewer stages"):
        GlobalContext(8, reduction=2)(pixel)
    assert torch.equal(GlobalContext(8, reduction=2, pool="avg")(pixel), pixel)
