"""What a network costs, against counts by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from ablate import cost
from blocks.networks import ResNet


def test_the_parameters_of_resnet_20_are_those_of_its_layers():
    convolutions = 3 * 16 * 9 + 6 * 16 * 16 * 9
    convolutions += 16 * 32 * 9 + 5 * 32 * 32 * 9 + 16 * 32 + 32 * 64 * 9 + 5 * 64 * 64 * 9 + 32 * 64
    norms = 2 * (7 * 16 + 7 * 32 + 7 * 64)
    head = 64 * 10 + 10

    assert convolutions + norms + head == 272_474
    assert cost.parameters(ResNet(3, 10, depth=20, width=16)) == 272_474


def test_parameters_that_are_not_trained_do_not_count():
    network = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5))
    network[0].bias.requires_grad_(False)

    assert cost.parameters(network) == 3 * 5 + 2 * 5


def test_a_convolution_costs_one_product_per_weight_and_place():
    # 5×7 pixels at stride 2 become 3×4; each of 8 outputs sees 3 / groups · 9 weights at every place.
    convolution = nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2)

    assert cost.macs(convolution, (6, 5, 7)) == 3 * 4 * 8 * (6 // 2) * 9


def test_a_matrix_product_costs_its_weights_and_norms_activations_and_pooling_cost_nothing():
    network = nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2 * 2 * 2, 5))

    assert cost.macs(network, (2, 4, 4)) == 8 * 5


def test_the_cost_is_known_without_computing_anything():
    with torch.device("meta"):
        network = ResNet(3, 10, depth=20, width=16)

    assert cost.parameters(network) == 272_474
    # 32×32 images, stage by stage: stem and six convolutions, then five and a strided one and its shortcut, twice.
    first = 32 * 32 * 16 * 9 * (3 + 6 * 16)
    second = 16 * 16 * 32 * (9 * (16 + 5 * 32) + 16)
    third = 8 * 8 * 64 * (9 * (32 + 5 * 64) + 32)
    assert cost.macs(network, (3, 32, 32)) == first + second + third + 64 * 10


def test_networks_are_timed_side_by_side_and_the_larger_takes_longer():
    networks = {width: ResNet(1, 10, depth=8, width=width).eval() for width in (4, 64)}

    times = cost.latencies(networks, torch.zeros(1, 1, 16, 16), rounds=5)

    assert list(times) == [4, 64]
    assert 0 < times[4] < times[64] < 10_000
    assert times == pytest.approx(times)


def test_both_matrix_products_of_attention_cost_their_size_also_where_they_are_one_fused_operation():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x):  # (batch, channels, height, width)
            pixels = (x * self.scale).flatten(2).mT[:, None].contiguous()  # (batch, 1 head, pixels, channels)
            return functional.scaled_dot_product_attention(pixels, pixels, pixels)

    assert cost.macs(Attention(), (8, 5, 7)) == 2 * 35 * 35 * 8
