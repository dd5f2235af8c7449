"""The gated feed-forward network against loops over pixels and channels."""

import math

import pytest
import torch

from blocks.activation import GELU, ReLU
from blocks.mlp.gated_depthwise import GatedDepthwise
from blocks.mlp.perceptron import MLP


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def gelu(value):
    return value * (1 + math.erf(value / math.sqrt(2))) / 2


def biases(layer):
    return [0.0] * layer.out_channels if layer.bias is None else layer.bias.tolist()


def mixed(maps, layer):
    """Return the maps after a 1×1 convolution."""
    return [
        {p: bias + sum(w * values[p] for w, values in zip(row, maps, strict=True)) for p in maps[0]}
        for row, bias in zip(layer.weight.flatten(1).tolist(), biases(layer), strict=True)
    ]


def convolved(maps, layer):
    """Return the maps after a 3×3 convolution of each by a kernel of its own, with zeros around the map."""
    return [
        {
            (i, j): bias
            + sum(kernel[a][b] * values.get((i + a - 1, j + b - 1), 0.0) for a in range(3) for b in range(3))
            for i, j in values
        }
        for values, kernel, bias in zip(maps, layer.weight[:, 0].tolist(), biases(layer), strict=True)
    ]


def along(path, maps):
    maps = mixed(maps, path.expand)
    return convolved(maps, path.depthwise) if hasattr(path, "depthwise") else maps


def literal(module, sample):
    channels, height, width = sample.shape
    maps = [{(i, j): sample[c, i, j].item() for i in range(height) for j in range(width)} for c in range(channels)]
    hidden = [{p: gelu(value) for p, value in values.items()} for values in along(module.path, maps)]
    if len(module.gates):
        gates = along(module.gates[0], maps)
        hidden = [{p: values[p] * gate[p] for p in values} for values, gate in zip(hidden, gates, strict=True)]
    output = mixed(hidden, module.project)
    return torch.tensor(
        [[[values[i, j] for j in range(width)] for i in range(height)] for values in output], dtype=torch.float64
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("depthwise", [True, False])
@pytest.mark.parametrize("gate", [True, False])
def test_an_activated_path_is_multiplied_by_another(gate, depthwise, bias):
    torch.manual_seed(0)
    module = GatedDepthwise(4, GELU, gate=gate, depthwise=depthwise, bias=bias).double()
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64)

    assert module.project.in_channels == 10
    torch.testing.assert_close(module(x), torch.stack([literal(module, sample) for sample in x]))


def test_parameters_are_as_many_as_in_the_authors_code():
    assert count(GatedDepthwise(48, GELU)) == 20_574


def test_with_neither_gate_nor_small_convolutions_it_is_a_perceptron():
    module = GatedDepthwise(8, GELU, expansion=2.0, gate=False, depthwise=False, bias=True)
    other = MLP(8, GELU, expansion=2.0)
    with torch.no_grad():
        for theirs, ours in zip(other.parameters(), module.parameters(), strict=True):
            theirs.copy_(ours.reshape(theirs.shape))
    x = torch.randn(2, 8, 5, 4)

    torch.testing.assert_close(module(x), other(x))


def test_leaving_out_the_gate_changes_no_other_tensor():
    with_gate, without = (GatedDepthwise(8, GELU, gate=gate).state_dict() for gate in (True, False))

    assert {name: tensor.shape for name, tensor in with_gate.items() if not name.startswith("gates.")} == {
        name: tensor.shape for name, tensor in without.items()
    }


def test_the_activation_is_made_for_the_hidden_channels_and_may_work_in_place():
    asked = []

    def make(channels):
        asked.append(channels)
        return ReLU(channels)

    module, x = GatedDepthwise(32, make), torch.randn(2, 32, 4, 4, requires_grad=True)
    module(x).sum().backward()

    assert asked == [85]
    assert x.grad.any()


def test_an_expansion_that_leaves_no_hidden_channel_is_refused():
    with pytest.raises(
        ValueError,
        match=r"gdfn: expansion=0.1 makes no whole number of hidden channels of 8 channels; 0.125 or more would fit",
    ):
        GatedDepthwise(8, GELU, expansion=0.1)
