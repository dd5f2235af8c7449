"""The widths of stages: doubled from one number, or given one by one; what networks make of them."""

import pytest
import torch

from blocks.networks.convnext import ConvNeXt
from blocks.networks.lenet import LeNet
from blocks.networks.mobilenet_v2 import MobileNetV2
from blocks.networks.resnet import ResNet
from blocks.networks.resnext import ResNeXt
from blocks.networks.shufflenet_v1 import ShuffleNetV1
from blocks.networks.sknet import SKNet
from blocks.networks.widths import one_for_each, stage_widths


def channels(module):
    """Return the output channels of every convolution, by name."""
    return {name: tensor.shape[0] for name, tensor in module.state_dict().items() if tensor.dim() == 4}


def test_one_number_is_doubled_from_stage_to_stage_and_a_list_is_taken_as_it_is():
    assert stage_widths("net", 16, 3) == (16, 32, 64)
    assert stage_widths("net", [15, 30, 61], 3) == (15, 30, 61)


def test_widths_that_do_not_fit_are_refused_with_what_would():
    with pytest.raises(ValueError, match=r"net: width=\[16, 32\] has 2 numbers; 3 would fit, one for each part"):
        stage_widths("net", [16, 32], 3)
    with pytest.raises(ValueError, match="net: width=1 is too small; 2 or more would fit"):
        stage_widths("net", [4, 1], 2, least=2)
    with pytest.raises(ValueError, match="net: width=1 is too small; 2 or more would fit"):
        stage_widths("net", 1, 2, least=2)
    with pytest.raises(ValueError, match="net: widths=0 is too small; 1 or more would fit"):
        one_for_each("net", "widths", (8, 0), 2)


def test_a_basic_block_has_the_width_of_its_stage_and_the_stem_that_of_the_first():
    found = channels(ResNet(3, 10, depth=8, width=(5, 7, 11)))

    assert found["stem.conv.weight"] == 5
    assert [found[f"stages.{i}.0.conv2.weight"] for i in range(3)] == [5, 7, 11]
    assert [found[f"stages.{i}.0.shortcut.conv.weight"] for i in (1, 2)] == [7, 11]


def test_a_bottleneck_puts_out_four_times_its_width():
    found = channels(ResNet(3, 10, family="imagenet", depth=14, width=(5, 7, 11, 13)))

    assert [found[f"stages.{i}.0.conv1.weight"] for i in range(4)] == [5, 7, 11, 13]
    assert [found[f"stages.{i}.0.conv3.weight"] for i in range(4)] == [20, 28, 44, 52]


@pytest.mark.parametrize("network", [ResNeXt, SKNet])
def test_groups_keep_their_channels_whatever_the_stages_put_out(network):
    found = channels(network(3, 10, width=(5, 7, 11)))

    assert [found[f"stages.{i}.0.conv1.weight"] for i in range(3)] == [32, 64, 128]
    assert [found[f"stages.{i}.0.conv3.weight"] for i in range(3)] == [20, 28, 44]


def test_selective_kernels_without_groups_are_as_wide_as_their_stage():
    found = channels(SKNet(3, 10, family="imagenet", depth=10, width=(8, 12, 20, 24)))

    assert [found[f"stages.{i}.0.conv2.weight"] for i in range(4)] == [8, 12, 20, 24]


def test_a_map_is_halved_from_the_width_of_one_stage_to_that_of_the_next():
    with torch.device("meta"):
        found = channels(ConvNeXt(3, 10, depths=(1, 1), width=(10, 14)))

    assert (found["stem.conv.weight"], found["stages.1.downsample.conv.conv.weight"]) == (10, 14)


def test_a_multiplier_is_left_to_what_has_no_stage():
    plain, given = (MobileNetV2(3, 10, depths=(1, 1), width=0.5, widths=w) for w in (None, (9, 13)))

    assert plain.widths == (8, 16)
    assert given.widths == (9, 13)
    assert channels(given)["stem.conv.weight"] == channels(plain)["stem.conv.weight"] == 16
    assert channels(given)["last.conv.weight"] == channels(plain)["last.conv.weight"] == 1280
    assert channels(given)["stages.1.0.residual.expand.weight"] == 6 * 9
    shuffled = channels(ShuffleNetV1(3, 10, depths=(1, 1), widths=(48, 96)))
    assert shuffled["stem.conv.weight"] == 12
    assert shuffled["stages.1.0.residual.expand.weight"] == 96 - 48


def test_lenet_takes_its_maps_and_units():
    found = channels(LeNet(1, 10, width=(4, 8, 16, 12)))

    assert list(found.values()) == [4, 8, 16, 12]
