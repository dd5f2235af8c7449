"""Group normalisation: which channels share statistics, and what one or as many groups as channels are."""

import pytest
import torch

from blocks.normalization import GroupNorm, InstanceNorm, LayerNorm, LayerNormCHW

X = torch.randn(3, 8, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 + 1


def moved(module):
    """Return the module with gains and biases that differ by channel."""
    with torch.no_grad():
        for shift, parameter in enumerate(module.parameters()):
            parameter.copy_(torch.linspace(0.5, 1.5, parameter.numel()) + shift)
    return module.double()


@pytest.mark.parametrize(
    ("options", "size"), [({"groups": 2}, 4), ({"groups": 4}, 2), ({"per_group": 2}, 2), ({"per_group": 8}, 8)]
)
def test_neighbouring_channels_are_normalised_together(options, size):
    module = moved(GroupNorm(8, **options))
    y = module(X)

    for b in range(3):
        for first in range(0, 8, size):
            together = range(first, first + size)
            values = [float(X[b, c, i, j]) for c in together for i in range(5) for j in range(4)]
            mean = sum(values) / len(values)
            variance = sum((value - mean) ** 2 for value in values) / len(values)
            for c in together:
                expected = (X[b, c] - mean) / (variance + 1e-5) ** 0.5 * module.weight[c] + module.bias[c]
                torch.testing.assert_close(y[b, c], expected)


@pytest.mark.parametrize(
    ("options", "groups"), [({}, 32), ({"groups": 4}, 4), ({"per_group": 16}, 4), ({"per_group": 1}, 64)]
)
def test_there_are_as_many_groups_as_said_and_32_if_nothing_is(options, groups):
    module = GroupNorm(64, **options)

    assert module.num_groups == groups
    assert sum(parameter.numel() for parameter in module.parameters()) == 128


def test_one_group_is_layer_norm_over_channels_and_pixels_but_not_per_pixel():
    torch.testing.assert_close(moved(GroupNorm(8, groups=1))(X), moved(LayerNormCHW(8))(X), rtol=1e-9, atol=0)
    assert (GroupNorm(8, groups=1).double()(X) - LayerNorm(8).double()(X)).abs().max() > 0.5


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("options", [{"groups": 8}, {"per_group": 1}])
def test_as_many_groups_as_channels_is_instance_norm_with_gains(options, memory_format):
    x = X.contiguous(memory_format=memory_format)

    torch.testing.assert_close(
        moved(GroupNorm(8, **options))(x), moved(InstanceNorm(8, affine=True))(x), rtol=1e-9, atol=1e-12
    )


def test_a_factor_and_a_shift_of_the_whole_sample_change_nothing():
    module = moved(GroupNorm(8, groups=2))

    torch.testing.assert_close(module(X * 3 + 5), module(X), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "group: groups=32 does not divide 12 channels; 1, 2, 3, 4, 6, 12 would fit"),
        ({"groups": 5}, "group: groups=5 does not divide 12 channels; 1, 2, 3, 4, 6, 12 would fit"),
        ({"groups": 0}, "group: groups=0 does not divide 12 channels"),
        ({"per_group": 8}, "group: per_group=8 does not divide 12 channels; 1, 2, 3, 4, 6, 12 would fit"),
        ({"per_group": 0}, "group: per_group=0 does not divide 12 channels"),
        ({"groups": 4, "per_group": 3}, "group: groups=4 and per_group=3 both set the groups; one of them would fit"),
    ],
)
def test_groups_that_do_not_fit_are_refused_with_those_that_do(options, message):
    with pytest.raises(ValueError, match=message):
        GroupNorm(12, **options)


@pytest.mark.parametrize("is_training", [True, False])
def test_a_group_of_a_single_value_is_refused_because_it_would_always_become_zero(is_training):
    with pytest.raises(ValueError, match="group: a 1×1 map leaves a single value"):
        GroupNorm(8, per_group=1).train(is_training)(torch.randn(2, 8, 1, 1))
    assert GroupNorm(8, per_group=2)(torch.randn(2, 8, 1, 1)).shape == (2, 8, 1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (64, 8), (64, 1), (24, 3)])
def test_it_equals_timms(timm, assert_twins, channels, groups, memory_format):
    x = torch.randn(4, channels, 9, 7).contiguous(memory_format=memory_format)

    assert_twins(GroupNorm(channels, groups=groups), timm.layers.GroupNorm(channels, groups), x)
