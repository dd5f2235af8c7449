"""ConvNeXt: counts, its twin in timm, and what each slot and number touches."""

from functools import partial

import pytest
import torch

from ablate import cost
from blocks.absence import Nothing
from blocks.activation import HardSwish, ReLU
from blocks.attention.squeeze_excite import SqueezeExcite
from blocks.convolution.dense import DenseConvolution
from blocks.downsampling import MaxPool
from blocks.mlp.perceptron import MLP
from blocks.networks.convnext import ConvNeXt
from blocks.normalization import BatchNorm, InstanceNorm
from blocks.pooling import MaxPooling

TINY = partial(ConvNeXt, patch=4, width=96, depths=(3, 3, 9, 3))
ATTO = partial(ConvNeXt, patch=4, width=40, depths=(2, 2, 6, 2))


def images(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def shapes(module):
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize(
    ("network", "in_channels", "n_classes", "side", "parameters", "macs"),
    [
        (TINY, 3, 1000, 224, 28_589_128, 4_455_531_264),
        (ATTO, 3, 1000, 224, 3_695_520, 547_332_480),
        (ATTO, 1, 10, 32, 3_376_450, 11_084_800),
    ],
)
def test_the_networks_of_the_paper_and_of_timm_have_as_many_parameters_and_products(
    network, in_channels, n_classes, side, parameters, macs
):
    with torch.device("meta"):
        built = network(in_channels, n_classes)

    assert cost.parameters(built) == parameters
    assert cost.macs(built, (in_channels, side, side)) == macs


def test_the_output_is_what_the_paper_writes():
    torch.manual_seed(0)
    network = ConvNeXt(3, 5, depths=(1, 2), width=8, layer_scale=0.5, attention=partial(SqueezeExcite, reduction=2))
    x = images(2, 3, 8, 12)
    y = network.stem.norm(torch.nn.functional.conv2d(x, network.stem.conv.weight, network.stem.conv.bias, stride=2))
    for stage in network.stages:
        if hasattr(stage, "downsample"):
            norm, conv = stage.downsample.conv
            y = torch.nn.functional.conv2d(norm(y), conv.weight, conv.bias, stride=2)
        for block in stage.blocks:
            torch.nn.init.normal_(block.bias)
            branch = block.conv(y) + block.bias.reshape(1, -1, 1, 1)
            branch = block.attention(block.mlp(block.norm(branch)))
            y = y + branch * block.scale.weight.reshape(1, -1, 1, 1)
    pooled = network.norm(y.mean((2, 3), keepdim=True))[:, :, 0, 0]

    torch.testing.assert_close(network(x), pooled @ network.head.weight.T + network.head.bias)


def test_each_stage_after_the_first_halves_the_map_rounding_up_and_doubles_the_channels():
    network = ConvNeXt(3, 5, depths=(1, 1, 1), width=8)
    sizes = [tuple((x := network.stem(images(1, 3, 21, 26))).shape[1:])]
    for stage in network.stages:
        x = stage(x)
        sizes.append(tuple(x.shape[1:]))

    assert sizes == [(8, 11, 13), (8, 11, 13), (16, 6, 7), (32, 3, 4)]


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        ({"attention": partial(SqueezeExcite, reduction=4)}, {"attention.squeeze.weight", "attention.excite.weight"}),
        ({"norm": Nothing}, {"norm.weight", "norm.bias"}),
        ({"norm": BatchNorm}, {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}),
        ({"conv": DenseConvolution}, {"conv.weight"}),
        ({"kernel": 3}, {"conv.weight"}),
        ({"mlp": partial(MLP, expansion=2)}, {"mlp.hidden.weight", "mlp.hidden.bias", "mlp.output.weight"}),
        ({"activation": HardSwish}, set()),
        ({"downsample": MaxPool}, {"conv.conv.weight"}),
        ({"pooling": MaxPooling}, set()),
        ({"layer_scale": None}, {"scale.weight"}),
        ({"layer_scale": 1.0}, set()),
    ],
)
def test_filling_one_slot_changes_no_other_tensor_but_the_answer(change, touched):
    torch.manual_seed(0)
    network = ConvNeXt(3, 5, depths=(1, 1), width=8)
    torch.manual_seed(0)
    changed = ConvNeXt(3, 5, depths=(1, 1), width=8, **change)
    before, after = shapes(network), shapes(changed)
    differing = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    for parameter in (*network.parameters(), *changed.parameters()):
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(parameter.numel()))

    assert [name for name in differing if not name.endswith(tuple(touched) or "?")] == []
    assert {end for end in touched if not any(name.endswith(end) for name in differing)} == set()
    assert "layer_scale" in change or not torch.allclose(network(images(2, 3, 8, 8)), changed(images(2, 3, 8, 8)))


def test_a_block_with_the_small_layer_scale_of_the_authors_starts_as_the_identity():
    network = ConvNeXt(3, 5, depths=(2,), width=8)
    x = images(2, 8, 6, 6)

    torch.testing.assert_close(network.stages(x), x, rtol=0, atol=1e-5)
    assert not torch.allclose(ConvNeXt(3, 5, depths=(2,), width=8, layer_scale=None).stages(x), x, rtol=0, atol=1e-5)


def test_the_weights_start_as_the_authors_draw_them():
    torch.manual_seed(0)
    network = ConvNeXt(3, 100, width=64, depths=(1, 1))

    for layer in (network.head, network.stages[1].downsample.conv.conv, network.stages[1].blocks[0].mlp.hidden):
        assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
        assert not layer.bias.any()


def test_instance_norm_does_not_fit_as_the_last_norm_sees_a_single_pixel():
    with pytest.raises(ValueError, match="instance: a 1×1 map leaves a single value to normalise"):
        ConvNeXt(3, 5, norm=partial(InstanceNorm, affine=True))(images(2, 3, 32, 32))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depths": ()}, "convnext: stages in depths=0 is too small; 1 or more would fit"),
        ({"depths": (2, 0)}, "convnext: depths=0 is too small; 1 or more would fit"),
        ({"width": 0}, "convnext: width=0 is too small; 1 or more would fit"),
        ({"patch": 0}, "convnext: patch=0 is too small; 1 or more would fit"),
        ({"kernel": 4}, "depthwise: kernel=4 has no middle pixel; 3 or 5 would fit"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_with_those_that_would(options, message):
    with pytest.raises(ValueError, match=message):
        ConvNeXt(3, 10, **options)


@pytest.mark.slow
@pytest.mark.parametrize("pointwise", ["linear", "conv"])
@pytest.mark.parametrize(
    "options",
    [
        {"conv_mlp": False},
        {"conv_mlp": True},
        {"kernel_sizes": 3, "ls_init_value": None},
        {"patch_size": 1, "act_layer": "relu", "ls_init_value": 1.0},
    ],
)
def test_it_equals_the_network_of_timm(timm, assert_twins, renamed, options, pointwise):
    theirs = timm.models.ConvNeXt(
        num_classes=5, depths=(1, 2, 1, 1), dims=(8, 16, 32, 64), **{"patch_size": 4, **options}
    )
    ours = ConvNeXt(
        3,
        5,
        depths=(1, 2, 1, 1),
        width=8,
        patch=options.get("patch_size", 4),
        kernel=options.get("kernel_sizes", 7),
        layer_scale=options.get("ls_init_value", 1e-6),
        mlp=partial(MLP, pointwise=pointwise),
        **({"activation": ReLU} if "act_layer" in options else {}),
    )
    rename = renamed(
        (r"^stem\.0", "stem.conv"),
        (r"^stem\.1", "stem.norm"),
        (r"downsample\.0", "downsample.conv.norm"),
        (r"downsample\.1", "downsample.conv.conv"),
        (r"conv_dw\.weight", "conv.weight"),
        (r"conv_dw\.bias", "bias"),
        ("fc1", "hidden"),
        ("fc2", "output"),
        ("gamma", "scale.weight"),
        (r"^head\.norm", "norm"),
        (r"^head\.fc", "head"),
    )

    def translate(state):
        return {
            name: tensor.flatten(1) if "mlp" in name and tensor.dim() == 4 else tensor
            for name, tensor in rename(state).items()
        }

    assert_twins(ours, theirs, images(2, 3, 32, 32 if options.get("patch_size") is None else 16), translate=translate)
