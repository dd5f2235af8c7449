"""Coordinate attention against its paper and against timm."""

import math

import pytest
import torch

from blocks.attention import CoordinateAttention

X = torch.randn(2, 16, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def moved(**options):
    """Return a module at evaluation, with a norm that does something."""
    torch.manual_seed(0)
    module = CoordinateAttention(16, **options).double()
    for name, tensor in module.state_dict().items():
        if "norm" in name and tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    return module.eval()


def layer(conv, values):
    biases = conv.bias.tolist() if conv.bias is not None else [0.0] * conv.out_channels
    return [
        sum(w * v for w, v in zip(row, values, strict=True)) + bias
        for row, bias in zip(conv.weight.flatten(1).tolist(), biases, strict=True)
    ]


def gates(module, conv, values):
    """Return the gates of all channels for one row or column with the averages `values`."""
    norm = module.norm
    hidden = []
    for i, z in enumerate(layer(module.reduce, values)):
        scale = norm.weight[i].item() / math.sqrt(norm.running_var[i].item() + 1e-5)
        normed = (z - norm.running_mean[i].item()) * scale + norm.bias[i].item()
        hidden.append(normed * min(max(normed + 3, 0.0), 6.0) / 6)
    return torch.tensor([1 / (1 + math.exp(-score)) for score in layer(conv, hidden)], dtype=torch.float64)


def by_row(module, x):
    gate = torch.empty_like(x)
    for b in range(2):
        for i in range(4):
            averages = [sum(x[b, c, i].tolist()) / 3 for c in range(16)]
            gate[b, :, i] = gates(module, module.rows, averages)[:, None]
    return gate


def by_column(module, x):
    gate = torch.empty_like(x)
    for b in range(2):
        for j in range(3):
            averages = [sum(x[b, c, :, j].tolist()) / 4 for c in range(16)]
            gate[b, :, :, j] = gates(module, module.columns, averages)[:, None]
    return gate


def test_parameters_are_as_many_as_published():
    counts = {64: 1_688, 128: 3_352, 256: 6_680, 512: 25_648}

    assert {channels: count(CoordinateAttention(channels)) for channels in counts} == counts
    assert count(CoordinateAttention(256, bias=False)) == 6_160
    assert count(CoordinateAttention(256, reduction=16)) == 16 * 256 + 16 + 2 * 16 + 2 * (16 * 256 + 256)
    assert count(CoordinateAttention(256, axes="x")) == 6_680 - (8 * 256 + 256)


@pytest.mark.parametrize("bias", [True, False])
def test_rows_and_columns_are_weighed_by_shared_hidden_features(bias):
    module = moved(bias=bias)

    torch.testing.assert_close(module(X), X * by_row(module, X) * by_column(module, X))


def test_either_axis_stands_alone():
    rows, columns = moved(axes="x"), moved(axes="y")

    torch.testing.assert_close(rows(X), X * by_row(rows, X))
    torch.testing.assert_close(columns(X), X * by_column(columns, X))


def test_transposing_the_map_swaps_the_axes():
    rows, columns = moved(axes="x"), moved(axes="y")
    columns.load_state_dict({name.replace("rows", "columns"): tensor for name, tensor in rows.state_dict().items()})

    torch.testing.assert_close(columns(X.mT), rows(X).mT)


@pytest.mark.slow
@pytest.mark.parametrize(("reduction", "bias"), [(32, False), (32, True), (1, False)])
def test_it_equals_that_of_timm(timm, assert_twins, renamed, reduction, bias):
    theirs = timm.layers.coord_attn.CoordAttn(16, rd_channels=max(8, 16 // reduction), bias=bias)
    translate = renamed((r"conv1\.", "reduce."), (r"bn1\.", "norm."), (r"conv_h\.", "rows."), (r"conv_w\.", "columns."))

    assert_twins(CoordinateAttention(16, reduction=reduction, bias=bias), theirs, X, translate=translate)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 0}, "coordinate: reduction=0 is no divisor; 1 or more would fit"),
        ({"axes": "z"}, r"coordinate: unknown axes: 'z' \(known: both, x, y\)"),
    ],
)
def test_options_that_do_not_fit_are_refused_with_those_that_would(options, message):
    with pytest.raises(ValueError, match=message):
        CoordinateAttention(16, **options)
