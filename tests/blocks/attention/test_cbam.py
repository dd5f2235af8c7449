"""CBAM against its paper and against timm."""

import math

import pytest
import torch

from blocks.attention import CBAM

X = torch.randn(2, 16, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def moved(**options):
    """Return a module at evaluation, with norms that do something."""
    torch.manual_seed(0)
    module = CBAM(16, **options).double()
    for name, tensor in module.state_dict().items():
        if "norm" in name and tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    return module.eval()


def sigmoid(score):
    return 1 / (1 + math.exp(-score))


def layer(linear, values):
    biases = linear.bias.tolist() if linear.bias is not None else [0.0] * linear.out_features
    return [
        sum(w * v for w, v in zip(row, values, strict=True)) + bias
        for row, bias in zip(linear.weight.tolist(), biases, strict=True)
    ]


POOLS = {"avg": [lambda v: sum(v) / len(v)], "max": [max], "both": [lambda v: sum(v) / len(v), max]}


def channel_gate(module, x, pool="both"):
    gate = torch.empty(len(x), 16, 1, 1, dtype=x.dtype)
    first, _, second = module.channel.mlp
    for b in range(len(x)):
        scores = [0.0] * 16
        for summed_up in POOLS[pool]:
            values = [summed_up(x[b, c].flatten().tolist()) for c in range(16)]
            out = layer(second, [max(0.0, h) for h in layer(first, values)])
            scores = [s + o for s, o in zip(scores, out, strict=True)]
        gate[b, :, 0, 0] = torch.tensor([sigmoid(score) for score in scores])
    return gate


def pooled(module, pixel):
    return [max(pixel), sum(pixel) / len(pixel)]


def learned(module, pixel):
    return [sum(w * v for w, v in zip(module.spatial.descriptor.weight.flatten().tolist(), pixel, strict=True))]


def spatial_gate(module, x, describe=pooled):
    weight, norm = module.spatial.conv.weight.tolist()[0], module.spatial.norm
    batch, _, height, width = x.shape
    reach = len(weight[0]) // 2
    gate = torch.empty(batch, 1, height, width, dtype=x.dtype)
    for b in range(batch):
        described = {(i, j): describe(module, x[b, :, i, j].tolist()) for i in range(height) for j in range(width)}
        for i, j in described:
            score = 0.0
            for di in range(-reach, reach + 1):
                for dj in range(-reach, reach + 1):
                    for d, value in enumerate(described.get((i + di, j + dj), ())):  # zeros beyond the map
                        score += weight[d][di + reach][dj + reach] * value
            score = (score - norm.running_mean.item()) / math.sqrt(norm.running_var.item() + 1e-5)
            gate[b, 0, i, j] = sigmoid(score * norm.weight.item() + norm.bias.item())
    return gate


def test_parameters_are_as_many_as_those_of_the_authors_and_of_the_paper():
    authors = {64: 680, 128: 2_284, 256: 8_564, 512: 33_412}

    assert {channels: count(CBAM(channels)) for channels in authors} == authors
    assert count(CBAM(256, bias=False)) == 8_192 + 98 + 2
    assert count(CBAM(256, parts="channel")) == 8_464
    assert count(CBAM(256, parts="spatial")) == 98 + 2
    assert count(CBAM(256, parts="spatial", descriptor="conv", kernel=3)) == 256 + 9 + 2


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("bias", [True, False])
def test_channels_are_weighed_first_then_pixels(pool, bias):
    module = moved(pool=pool, kernel=3, bias=bias, reduction=4)
    x = X * channel_gate(module, X, pool)

    torch.testing.assert_close(module(X), x * spatial_gate(module, x))


def test_pixels_can_be_weighed_first():
    module = moved(order="spatial-first")
    x = X * spatial_gate(module, X)

    torch.testing.assert_close(module(X), x * channel_gate(module, x))


def test_in_parallel_both_gates_see_the_input():
    module = moved(order="parallel")

    torch.testing.assert_close(module(X), X * channel_gate(module, X) * spatial_gate(module, X))


def test_each_half_stands_alone():
    channel, spatial = moved(parts="channel"), moved(parts="spatial")

    torch.testing.assert_close(channel(X), X * channel_gate(channel, X))
    torch.testing.assert_close(spatial(X), X * spatial_gate(spatial, X))


def test_a_learned_sum_of_the_channels_can_describe_a_pixel():
    module = moved(descriptor="conv", kernel=3)
    x = X * channel_gate(module, X)

    torch.testing.assert_close(module(X), x * spatial_gate(module, x, learned))


@pytest.mark.parametrize("order", ["spatial-first", "parallel"])
def test_all_orders_start_from_the_same_tensors(order):
    torch.manual_seed(0)
    expected = CBAM(16).state_dict()
    torch.manual_seed(0)
    other = CBAM(16, order=order).state_dict()

    assert list(other) == list(expected)
    assert all(torch.equal(other[name], expected[name]) for name in expected)


@pytest.mark.slow
@pytest.mark.parametrize(("kernel", "bias"), [(7, False), (7, True), (3, False)])
def test_it_equals_that_of_timm(timm, assert_twins, renamed, kernel, bias):
    theirs = timm.layers.cbam.CbamModule(16, rd_channels=4, spatial_kernel_size=kernel, mlp_bias=bias)
    theirs.spatial.conv.bn.momentum = 0.01  # the authors'; timm has 0.1
    names = renamed(
        (r"channel\.fc1", "channel.mlp.0"),
        (r"channel\.fc2", "channel.mlp.2"),
        (r"spatial\.conv\.bn", "spatial.norm"),
        (r"spatial\.conv\.conv", "spatial.conv"),
    )

    def translate(state):
        state = names(state)
        for name in ("channel.mlp.0.weight", "channel.mlp.2.weight"):
            state[name] = state[name].flatten(1)
        state["spatial.conv.weight"] = state["spatial.conv.weight"].flip(1)  # timm has the mean before the maximum
        return state

    assert_twins(CBAM(16, reduction=4, kernel=kernel, bias=bias), theirs, X, translate=translate)


@pytest.mark.parametrize(
    ("channels", "options", "message"),
    [
        (8, {}, "cbam: reduction=16 leaves no unit for 8 channels"),
        (16, {"kernel": 6}, "cbam: kernel=6 has no middle pixel; 5 or 7 would fit"),
        (16, {"order": "chanel-first"}, "cbam: unknown order: 'chanel-first'; did you mean 'channel-first'"),
        (16, {"pool": "mean"}, "cbam: unknown pool: 'mean'"),
        (16, {"parts": "chanel"}, "cbam: unknown parts: 'chanel'; did you mean 'channel'"),
        (16, {"descriptor": "pool"}, "cbam: unknown descriptor: 'pool'; did you mean 'pooled'"),
        (16, {"parts": "channel", "order": "parallel"}, "order='parallel' does nothing with parts='channel'; 'channel-first' "),
        (16, {"parts": "spatial", "order": "spatial-first"}, "order='spatial-first' does nothing with parts='spatial'"),
        (16, {"parts": "channel", "kernel": 3}, "kernel=3 does nothing with parts='channel'; 7 or parts='both' would fit"),
        (16, {"parts": "channel", "descriptor": "conv"}, "descriptor='conv' does nothing with parts='channel'"),
        (16, {"parts": "spatial", "pool": "avg"}, "pool='avg' does nothing with parts='spatial'; 'both' or parts='both'"),
        (16, {"parts": "spatial", "reduction": 8}, "reduction=8 does nothing with parts='spatial'"),
        (16, {"parts": "spatial", "bias": False}, "bias=False does nothing with parts='spatial'"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_are_refused_with_those_that_would(channels, options, message):
    with pytest.raises(ValueError, match=message):
        CBAM(channels, **options)


def test_the_spatial_half_needs_no_hidden_unit():
    assert count(CBAM(8, parts="spatial")) == 100
