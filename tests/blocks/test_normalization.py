"""Normalisation layers: which values share statistics, and the identities between layers."""

import pytest
import torch
from torch import nn

from blocks.normalization import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LayerNormCHW

torch.manual_seed(0)
X = torch.randn(3, 8, 5, 4, dtype=torch.float64) * 2 + 1


def moved(module):
    """Return the module with gains and biases that differ by channel."""
    with torch.no_grad():
        for shift, parameter in enumerate(module.parameters()):
            parameter.copy_(torch.linspace(0.5, 1.5, parameter.numel()) + shift)
    return module.double()


def normalised(values, eps):
    centred = values - values.sum() / values.numel()
    return centred / (centred.square().sum() / values.numel() + eps).sqrt()


def test_batch_norm_is_torchs():
    ours, theirs = moved(BatchNorm(8)), moved(nn.BatchNorm2d(8))

    torch.testing.assert_close(ours(X), theirs(X))
    torch.testing.assert_close(ours.eval()(X), theirs.eval()(X))


def test_layer_norm_takes_each_pixel_by_itself():
    module = moved(LayerNorm(8))
    y = module(X)

    for b in range(3):
        for i in range(5):
            for j in range(4):
                expected = normalised(X[b, :, i, j], 1e-6) * module.weight + module.bias
                torch.testing.assert_close(y[b, :, i, j], expected)


def test_layer_norm_chw_takes_each_sample_as_a_whole():
    module = moved(LayerNormCHW(8))

    for x, y in zip(X, module(X), strict=True):
        torch.testing.assert_close(y, normalised(x, 1e-5) * module.weight[:, None, None] + module.bias[:, None, None])


def test_instance_norm_takes_each_channel_of_each_sample_and_has_no_gain_unless_asked():
    plain, affine = InstanceNorm(8), moved(InstanceNorm(8, affine=True))
    y = plain(X)

    assert list(plain.parameters()) == []
    for b in range(3):
        for c in range(8):
            torch.testing.assert_close(y[b, c], normalised(X[b, c], 1e-5))
            torch.testing.assert_close(affine(X)[b, c], y[b, c] * affine.weight[c] + affine.bias[c])


def test_group_norm_takes_neighbouring_channels_together():
    module = GroupNorm(8, groups=2).double()

    for b in range(3):
        for half in (slice(0, 4), slice(4, 8)):
            torch.testing.assert_close(module(X)[b, half], normalised(X[b, half], 1e-5))


def test_one_group_is_layer_norm_over_channels_and_pixels_but_not_per_pixel():
    torch.testing.assert_close(moved(GroupNorm(8, groups=1))(X), moved(LayerNormCHW(8))(X))
    assert (GroupNorm(8, groups=1).double()(X) - LayerNorm(8).double()(X)).abs().max() > 0.5


def test_as_many_groups_as_channels_is_instance_norm():
    torch.testing.assert_close(moved(GroupNorm(8, groups=8))(X), moved(InstanceNorm(8, affine=True))(X))


@pytest.mark.parametrize("make", [BatchNorm, LayerNorm, LayerNormCHW, GroupNorm])
def test_a_norm_has_a_gain_and_a_bias_per_channel(make):
    assert sum(parameter.numel() for parameter in make(64).parameters()) == 128


def test_groups_that_do_not_divide_the_channels_are_refused_with_those_that_do():
    with pytest.raises(ValueError, match="group: groups=32 does not divide 12 channels; 1, 2, 3, 4, 6, 12 would fit"):
        GroupNorm(12)
    with pytest.raises(ValueError, match="layer: channels=1 leaves nothing to normalise"):
        LayerNorm(1)


@pytest.mark.parametrize(
    ("name", "module"),
    [("instance", InstanceNorm(8)), ("group", GroupNorm(8, groups=8)), ("layer-chw", LayerNormCHW(1))],
)
@pytest.mark.parametrize("training", [True, False])
def test_a_single_value_is_refused_because_it_would_always_become_zero(name, module, training):
    x = torch.randn(2, 1 if name == "layer-chw" else 8, 1, 1)

    with pytest.raises(ValueError, match=f"{name}: a 1×1 map leaves a single value"):
        module.train(training)(x)
