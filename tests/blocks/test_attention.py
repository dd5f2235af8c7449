"""The attention blocks against their papers: counts, and numbers from loops."""

import math

import pytest
import torch

from blocks.attention import CBAM, CoordinateAttention, EfficientChannel, SqueezeExcite

torch.manual_seed(0)
X = torch.randn(2, 32, 5, 4, dtype=torch.float64)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def with_moved_statistics(module):
    """Return the module at evaluation, with norms that do something."""
    for name, tensor in module.state_dict().items():
        if "norm" in name and tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    return module.eval()


@pytest.mark.parametrize(
    ("make", "counts"),
    [
        (SqueezeExcite, {64: 512, 128: 2_048, 256: 8_192, 512: 32_768}),
        (lambda channels: SqueezeExcite(channels, bias=True), {256: 8_464}),
        (EfficientChannel, {64: 3, 128: 5, 256: 5, 512: 5, 1024: 5, 2048: 7}),
        (CBAM, {64: 680, 128: 2_284, 256: 8_564, 512: 33_412}),
        (CoordinateAttention, {64: 1_688, 128: 3_352, 256: 6_680, 512: 25_648}),
    ],
)
def test_parameters_are_as_many_as_published(make, counts):
    assert {channels: count(make(channels)) for channels in counts} == counts


def test_squeeze_excite_is_a_two_layer_gate_on_the_averages():
    module = SqueezeExcite(32, reduction=8).double()
    first, second = module.squeeze.weight.tolist(), module.excite.weight.tolist()
    y = module(X)

    for b in range(2):
        averages = [sum(X[b, c].flatten().tolist()) / 20 for c in range(32)]
        hidden = [max(0.0, sum(w * a for w, a in zip(row, averages, strict=True))) for row in first]
        for c in range(32):
            gate = sigmoid(sum(w * h for w, h in zip(second[c], hidden, strict=True)))
            torch.testing.assert_close(y[b, c], X[b, c] * gate)


def test_efficient_channel_sees_its_neighbours_and_zeros_beyond_the_ends():
    module = EfficientChannel(32, kernel=5).double()
    weights = module.conv.weight.flatten().tolist()
    y = module(X)

    for b in range(2):
        averages = [0.0, 0.0, *X[b].mean((1, 2)).tolist(), 0.0, 0.0]
        for c in range(32):
            gate = sigmoid(sum(w * averages[c + i] for i, w in enumerate(weights)))
            torch.testing.assert_close(y[b, c], X[b, c] * gate)


def channel_gate(module, x, pools):
    first, _, second = module.channel.mlp
    scores = 0
    for pool in pools:
        hidden = (pool(x.flatten(2)) @ first.weight.T + first.bias).clamp(min=0)
        scores = scores + hidden @ second.weight.T + second.bias
    return x * (1 / (1 + (-scores).exp()))[:, :, None, None]


def spatial_gate(module, x):
    weight, norm = module.spatial.conv.weight, module.spatial.norm
    side = weight.shape[-1]
    pooled = torch.stack([x.max(1).values, x.mean(1)], 1)
    padded = torch.nn.functional.pad(pooled, [side // 2] * 4)
    y = torch.empty_like(x)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            score = (padded[:, :, i : i + side, j : j + side] * weight).sum((1, 2, 3))
            score = (score - norm.running_mean) / (norm.running_var + 1e-5).sqrt() * norm.weight + norm.bias
            y[:, :, i, j] = x[:, :, i, j] * (1 / (1 + (-score).exp()))[:, None]
    return y


def mean(x):
    return x.mean(2)


def maximum(x):
    return x.max(2).values


@pytest.mark.parametrize(("pool", "pools"), [("both", [mean, maximum]), ("avg", [mean]), ("max", [maximum])])
def test_cbam_gates_channels_then_pixels(pool, pools):
    module = with_moved_statistics(CBAM(32, pool=pool, kernel=3).double())

    torch.testing.assert_close(module(X), spatial_gate(module, channel_gate(module, X, pools)))


def test_cbam_can_gate_pixels_first():
    module = with_moved_statistics(CBAM(32, order="spatial-first").double())

    torch.testing.assert_close(module(X), channel_gate(module, spatial_gate(module, X), [mean, maximum]))


def test_coordinate_attention_gates_rows_and_columns_by_shared_hidden_features():
    module = with_moved_statistics(CoordinateAttention(32).double())
    norm = module.norm

    def hidden(averages):  # (batch, channels, length)
        z = torch.einsum("mc,bcl->bml", module.reduce.weight[:, :, 0, 0], averages) + module.reduce.bias[:, None]
        scale = norm.weight / (norm.running_var + 1e-5).sqrt()
        z = (z - norm.running_mean[:, None]) * scale[:, None] + norm.bias[:, None]
        return z * (z + 3).clamp(0, 6) / 6

    def gate(conv, features):
        z = torch.einsum("cm,bml->bcl", conv.weight[:, :, 0, 0], features) + conv.bias[:, None]
        return 1 / (1 + (-z).exp())

    rows = gate(module.rows, hidden(X.mean(3)))
    columns = gate(module.columns, hidden(X.mean(2)))

    torch.testing.assert_close(module(X), X * rows[:, :, :, None] * columns[:, :, None, :])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SqueezeExcite(8), "se: reduction=16 leaves no unit for 8 channels; 1 to 8 would fit"),
        (lambda: SqueezeExcite(8, reduction=0), "se: reduction=0 "),
        (lambda: EfficientChannel(8, kernel=4), "eca: kernel=4 has no middle channel; 3 or 5 would fit"),
        (lambda: CBAM(8), "cbam: reduction=16 leaves no unit for 8 channels"),
        (lambda: CBAM(16, kernel=6), "cbam: kernel=6 has no middle pixel; 5 or 7 would fit"),
        (lambda: CBAM(16, order="chanel-first"), "cbam: unknown order: 'chanel-first'; did you mean 'channel-first'"),
        (lambda: CBAM(16, pool="mean"), "cbam: unknown pool: 'mean'"),
        (lambda: CoordinateAttention(16, reduction=0), "coordinate: reduction=0 is no divisor; 1 or more would fit"),
    ],
)
def test_options_that_do_not_fit_are_refused_with_those_that_would(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_smallest_width_that_has_a_hidden_unit_is_accepted():
    assert count(SqueezeExcite(16)) == 32
