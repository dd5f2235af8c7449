"""Maps of a layer, held against what they must be."""

import numpy as np
import pytest
import torch
from torch import nn

from ablate import maps
from blocks.absence import Nothing
from blocks.attention.cbam import CBAM
from blocks.attention.coordinate import CoordinateAttention
from blocks.attention.efficient_channel import EfficientChannel
from blocks.attention.self_attention import SelfAttention
from blocks.attention.squeeze_excite import SqueezeExcite
from blocks.networks.resnet import ResNet
from blocks.networks.vit import VisionTransformer
from blocks.normalization.batch import BatchNorm


def drawn(make):
    torch.manual_seed(0)
    return make().eval()


def resnet(**slots):
    return drawn(lambda: ResNet(1, 10, depth=8, **slots))


@pytest.fixture
def images():
    return torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(1))


TARGETS = torch.tensor([1, 2, 3])


def test_grad_cam_before_average_pooling_and_a_linear_layer_is_the_class_activation_map(images):
    network = resnet()
    with torch.no_grad():
        features = network.stages(network.stem(images))
        expected = (features * network.head.weight[TARGETS][:, :, None, None]).sum(1).relu()

    found = maps.maps(network, "stages", images, TARGETS)

    assert expected.flatten(1).amax(1).min() > 0
    np.testing.assert_allclose(found.cam, expected / expected.amax((1, 2), keepdim=True), atol=1e-5)


def test_energy_is_the_mean_square_over_the_channels_beside_its_mean(images):
    network = resnet()
    with torch.no_grad():
        energy = network.stem(images).square().mean(1)

    found = maps.maps(network, "stem", images, TARGETS).energy

    np.testing.assert_allclose(found, energy / energy.mean((1, 2), keepdim=True), rtol=1e-5)


def test_what_a_later_layer_overwrites_is_shown_as_it_was(images):
    network = resnet()
    with torch.no_grad():
        before = network.stem[1](network.stem[0](images)).clone()

    found = maps.maps(network, network_name(network, network.stem[1]), images, TARGETS).energy

    assert (before < 0).any()  # which the activation in place after it cuts off
    np.testing.assert_allclose(found.mean((1, 2)), 1, rtol=1e-5)
    energy = before.square().mean(1)
    np.testing.assert_allclose(found, energy / energy.mean((1, 2), keepdim=True), rtol=1e-5)


def network_name(network, module):
    return next(name for name, each in network.named_modules() if each is module)


def test_of_a_spatial_gate_the_map_is_the_gate_itself(images):
    network = resnet(attention=lambda channels: CBAM(channels, parts="spatial"))
    block = network.stages[1][0].attention
    seen = {}
    hook = block.spatial.register_forward_hook(lambda _module, _inputs, output: seen.update(gate=output.detach()))
    with torch.no_grad():
        network(images)
    hook.remove()

    found = maps.maps(network, "stages.1.0.attention", images, TARGETS).gate

    assert found.std() > 1e-3
    np.testing.assert_allclose(found, seen["gate"][:, 0], rtol=1e-4)


@pytest.mark.parametrize(
    ("block", "is_gate"),
    [
        (SqueezeExcite, True), (EfficientChannel, True), (CBAM, True), (CoordinateAttention, True),
        (lambda channels: SelfAttention(channels, heads=2), False), (Nothing, False), (BatchNorm, False),
        (lambda channels: nn.Conv2d(channels, channels, 1, bias=False), False),
    ],
)  # fmt: skip
def test_only_a_block_that_multiplies_its_input_has_a_gate(images, block, is_gate):
    network = resnet(attention=block)
    for module in network.modules():
        if isinstance(module, BatchNorm):
            nn.init.normal_(module.bias)  # as after training

    found = maps.maps(network, "stages.1.0.attention", images, TARGETS)

    assert (found.gate is not None) is is_gate


def test_the_layer_shown_is_the_last_in_which_two_networks_differ_and_a_map_is_to_be_seen():
    images = torch.zeros(1, 1, 8, 8)  # maps of 8, 4 and 2 pixels
    plain, other = resnet(), resnet(attention=SqueezeExcite)

    found = maps.default([plain, other], maps.layers(plain, images))

    assert found == ("stages.1.0.attention", "the last in which they differ of 4×4 pixels or more")


def test_blocks_that_differ_in_an_option_alone_differ(images):
    first = resnet(attention=lambda channels: CBAM(channels, order="channel-first"))
    second = resnet(attention=lambda channels: CBAM(channels, order="parallel"))

    assert maps.default([first, second], maps.layers(first, images))[0] == "stages.2.0.attention"


def test_a_block_that_differs_inside_alone_is_shown_as_a_whole(images):
    first, second = (resnet(attention=lambda channels, k=k: CBAM(channels, kernel=k)) for k in (7, 3))
    known = maps.layers(first, images)

    assert maps.default([first, second], known)[0] == "stages.2.0.attention.spatial.conv"
    assert maps.default([first, second], known, slots={"attention"})[0] == "stages.2.0.attention"


def test_of_networks_that_are_alike_the_last_large_map_is_shown():
    images = torch.zeros(1, 1, 8, 8)

    assert maps.default([resnet(), resnet()], maps.layers(resnet(), images)) == (
        "stages.1",
        "the last of 4×4 pixels or more",
    )


def test_tokens_are_folded_back_to_a_map_without_the_class_token():
    images = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    network = drawn(lambda: VisionTransformer(1, 10, width=32, depth=1, class_token=True))
    nn.init.normal_(network.head.weight)

    sizes = maps.layers(network, images)
    found = maps.maps(network, "blocks", images, torch.tensor([1, 2]))

    assert sizes["stem"] == sizes["blocks"] == (8, 8)
    with torch.no_grad():
        sequence = network.blocks(network.class_token(network.position(network.stem(images))))
    energy = sequence.square().mean(1)[:, 1:, 0].reshape(2, 8, 8)
    np.testing.assert_allclose(found.energy, energy / energy.mean((1, 2), keepdim=True), rtol=1e-4)


def test_tokens_of_no_square_are_no_map():
    network = drawn(lambda: VisionTransformer(1, 10, width=32, depth=1, class_token=True))

    sizes = maps.layers(network, torch.zeros(1, 1, 32, 16))

    assert "stem" in sizes  # a map of 8×4
    assert "blocks" not in sizes  # 1 + 32 tokens


def test_a_map_with_as_many_channels_as_rows_stays_as_it_is():
    network = drawn(lambda: nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten()))

    assert maps.layers(network, torch.zeros(1, 1, 8, 16)) == {"0": (8, 16)}


def test_looking_changes_neither_the_network_nor_the_random_state(images):
    network = resnet(attention=CBAM)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.random.get_rng_state()

    maps.layers(network, images)
    maps.maps(network, "stages.1.0.attention", images, TARGETS)

    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
