"""Squeeze-and-excitation against its paper and against timm."""

import math

import pytest
import torch

from blocks.attention import SqueezeExcite

X = torch.randn(2, 32, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

SQUEEZES = {"avg": lambda values: sum(values) / len(values), "max": max}
GATES = {"sigmoid": lambda score: 1 / (1 + math.exp(-score)), "tanh": math.tanh, "relu": lambda score: max(0.0, score)}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_are_as_many_as_published():
    counts = {64: 512, 128: 2_048, 256: 8_192, 512: 32_768}

    assert {channels: count(SqueezeExcite(channels)) for channels in counts} == counts
    assert count(SqueezeExcite(256, bias=True)) == 8_464


@pytest.mark.parametrize("squeeze", SQUEEZES)
@pytest.mark.parametrize("excite", GATES)
def test_each_channel_is_scaled_by_a_two_layer_gate_on_what_the_channels_are_summed_up_by(squeeze, excite):
    module = SqueezeExcite(32, reduction=8, squeeze=squeeze, excite=excite).double()
    first, second = module.squeeze.weight.tolist(), module.excite.weight.tolist()
    y = module(X)

    for b in range(2):
        squeezed = [SQUEEZES[squeeze](X[b, c].flatten().tolist()) for c in range(32)]
        hidden = [max(0.0, sum(w * s for w, s in zip(row, squeezed, strict=True))) for row in first]
        for c in range(32):
            gate = GATES[excite](sum(w * h for w, h in zip(second[c], hidden, strict=True)))
            torch.testing.assert_close(y[b, c], X[b, c] * gate)


def test_all_squeezes_and_gates_start_from_the_same_tensors():
    torch.manual_seed(0)
    expected = SqueezeExcite(32).state_dict()
    torch.manual_seed(0)
    other = SqueezeExcite(32, squeeze="max", excite="tanh").state_dict()

    assert list(other) == list(expected)
    assert all(torch.equal(other[name], expected[name]) for name in expected)


@pytest.mark.slow
@pytest.mark.parametrize(("bias", "excite"), [(True, "sigmoid"), (False, "sigmoid"), (True, "tanh"), (False, "relu")])
def test_it_equals_that_of_timm(timm, assert_twins, bias, excite):
    theirs = timm.layers.SEModule(32, rd_channels=4, bias=bias, gate_layer=excite)
    ours = SqueezeExcite(32, reduction=8, bias=bias, excite=excite)
    names = {"fc1": "squeeze", "fc2": "excite"}

    def translate(state):
        return {
            f"{names[layer]}.{kind}": state[f"{layer}.{kind}"].flatten(1)
            if kind == "weight"
            else state[f"{layer}.{kind}"]
            for layer, kind in (name.split(".") for name in state)
        }

    assert_twins(ours, theirs, X, translate=translate)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "se: reduction=16 leaves no unit for 8 channels; 1 to 8 would fit"),
        ({"reduction": 0}, "se: reduction=0 "),
        ({"reduction": 4, "squeeze": "mean"}, "se: unknown squeeze: 'mean'"),
        ({"reduction": 4, "excite": "sigmoidd"}, "se: unknown excite: 'sigmoidd'; did you mean 'sigmoid'"),
    ],
)
def test_options_that_do_not_fit_are_refused_with_those_that_would(options, message):
    with pytest.raises(ValueError, match=message):
        SqueezeExcite(8, **options)


def test_the_smallest_width_that_has_a_hidden_unit_is_accepted():
    assert count(SqueezeExcite(16)) == 32
