"""The dual attention network: its head as published, and an image's logits as the mean of its pixels'."""

import pytest
import torch
from torch import nn

from ablate import cost
from blocks.activation import HardSwish
from blocks.networks.danet import DANet, DANetHead
from blocks.networks.resnet import ResNet
from blocks.normalization.group import GroupNorm


def image(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def drawn(make, *arguments, **options):
    """Return the module with every parameter moved, so that the attention that starts at zero counts."""
    torch.manual_seed(0)
    module = make(*arguments, **options).eval().requires_grad_(requires_grad=False)
    for parameter in module.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.1)
    return module


def test_the_head_has_the_published_number_of_parameters_and_products():
    with torch.device("meta"):
        head = DANetHead(2048, 19)

    assert cost.parameters(head) == 23_954_619
    assert cost.macs(head, (2048, 16, 16)) == 6_303_121_408


def test_a_supervised_head_gives_logits_of_the_sum_then_of_the_positions_and_of_the_channels():
    head, x = drawn(DANetHead, 64, 5), image(2, 64, 6, 4)

    outputs = head(x)
    position, channel = (head.branches[part](x) for part in ("position", "channel"))

    assert [tuple(output.shape) for output in outputs] == [(2, 5, 6, 4)] * 3
    torch.testing.assert_close(outputs[0], head.classify(position + channel))
    torch.testing.assert_close(outputs[1], head.classifiers["position"](position))
    torch.testing.assert_close(outputs[2], head.classifiers["channel"](channel))


def test_a_branch_is_a_convolution_attention_and_a_convolution_each_with_norm_and_activation():
    head, x = drawn(DANetHead, 64, 5), image(2, 64, 6, 4)
    for part, branch in head.branches.items():
        reduce, attend, refine = branch
        y = reduce.norm(nn.functional.conv2d(x, reduce.conv.weight, padding=1)).relu()
        y = y + attend.parts[part](y)
        y = refine.norm(nn.functional.conv2d(y, refine.conv.weight, padding=1)).relu()

        torch.testing.assert_close(branch(x), y)
        assert list(attend.parts) == [part]


def test_the_logits_of_an_image_are_the_means_of_the_logits_of_its_pixels():
    network, x = drawn(DANet, 3, 5, depth=8), image(2, 3, 16, 12)
    (logits,) = network.segment(network.stages(network.stem(x)))
    answer = network(x)

    assert logits.shape == (2, 5, 4, 3)
    for b in range(2):
        for k in range(5):
            mean = sum(float(logits[b, k, i, j]) for i in range(4) for j in range(3)) / 12
            assert float(answer[b, k]) == pytest.approx(mean, abs=1e-5)


def test_stem_and_stages_are_those_of_the_residual_network():
    options = {"depth": 18, "family": "imagenet", "width": 16, "stem": "small"}
    network, resnet = DANet(3, 10, **options), ResNet(3, 10, **options)

    assert str(network.stem) == str(resnet.stem)
    assert str(network.stages) == str(resnet.stages)
    assert network.segment.classify.in_channels == 128 // 4


def test_the_network_of_the_paper_can_be_built():
    with torch.device("meta"):
        network = DANet(3, 19, depth=101, family="imagenet")
    supervision = 2 * (512 * 19 + 19)

    assert cost.parameters(network.segment) == 23_954_619 - supervision
    # The residual network has 44,549,160 with its head for 1,000 classes.
    assert cost.parameters(network) == 44_549_160 - (2048 * 1000 + 1000) + 23_954_619 - supervision


@pytest.mark.parametrize("parts", ["both", "position", "channel"])
def test_no_weight_of_the_network_is_dead_once_attention_has_moved(parts):
    network = DANet(3, 5, depth=8, parts=parts)
    for name, parameter in network.named_parameters():
        if name.endswith("gamma"):
            nn.init.ones_(parameter)

    nn.functional.cross_entropy(network(image(4, 3, 16, 16)), torch.tensor([0, 1, 2, 3])).backward()

    assert {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()} == set()


def test_each_part_keeps_its_tensors_when_the_other_goes():
    def shapes(parts):
        return {k: tuple(v.shape) for k, v in DANet(3, 5, depth=8, parts=parts).state_dict().items()}

    assert shapes("position") | shapes("channel") == shapes("both")
    assert not [name for name in shapes("position") if "channel" in name]


def test_norm_and_activation_act_in_residual_network_and_head():
    plain = DANet(3, 5, depth=8)
    normed = DANet(3, 5, depth=8, norm=lambda channels: GroupNorm(channels, groups=2))
    smooth = DANet(3, 5, depth=8, activation=HardSwish)

    assert not [module for module in normed.modules() if isinstance(module, nn.BatchNorm2d)]
    assert not [module for module in smooth.modules() if isinstance(module, nn.ReLU)]
    assert set(smooth.state_dict()) == set(plain.state_dict())


def test_channels_are_dropped_in_training_alone():
    network, x = drawn(DANet, 3, 5, depth=8, dropout=0.5), image(2, 3, 16, 16)
    resting = network(x)
    network.segment.drop.train()

    assert not torch.allclose(network(x), resting)
    assert torch.equal(network.eval()(x), resting)


def test_dropout_drops_its_share_of_whole_channels():
    drop = DANet(3, 5, depth=8, dropout=0.75).segment.drop
    torch.manual_seed(0)
    kept = drop(torch.ones(64, 64, 2, 2)).flatten(2)

    assert torch.equal(kept.amin(2), kept.amax(2))
    assert float((kept == 0).double().mean()) == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": "spatial"}, r"danet: unknown parts: 'spatial'.* \(known: both, position, channel\)"),
        ({"width": 4}, "danet: the last map has 16 channels; 32 or more, by width or stages, would fit"),
        (
            {"width": 1, "parts": "channel"},
            "danet: the last map has 4 channels; 8 or more, by width or stages, would fit",
        ),
        ({"dropout": 1.0}, "danet: dropout=1.0 is no share that leaves channels; 0 or more, below 1 would fit"),
        ({"dropout": -0.1}, "danet: dropout=-0.1 is no share that leaves channels"),
        ({"dropout": float("nan")}, "danet: dropout=nan is no share that leaves channels"),
        ({"depth": 9}, "depth=9 is not 2·3·n"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(options, message):
    with pytest.raises(ValueError, match=message):
        DANet(3, 10, **options)
