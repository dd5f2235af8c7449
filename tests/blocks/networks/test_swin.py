"""The Swin transformer: counts, its twin in timm, and where windows are shifted."""

from functools import partial

import pytest
import torch

from ablate import cost
from blocks.absence import Nothing
from blocks.activation import HardSwish
from blocks.attention.self_attention import SelfAttention
from blocks.attention.window import WindowAttention
from blocks.downsampling import MaxPool, Strided
from blocks.mlp.perceptron import MLP
from blocks.networks.swin import SwinTransformer
from blocks.normalization import BatchNorm, InstanceNorm
from blocks.pooling import MaxPooling

WINDOWS_OF_4 = partial(WindowAttention, window=4)
SMALL = partial(SwinTransformer, attention=WINDOWS_OF_4)


def images(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def stirred(network):
    rng = torch.Generator().manual_seed(2)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=rng)
    return network.eval()


def shapes(module):
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def test_the_network_of_the_paper_and_its_parts_have_as_many_parameters_and_products():
    with torch.device("meta"):
        network = SwinTransformer(3, 1000, patch=4, width=96, depths=(2, 2, 6, 2))
    block, shifted = network.stages[0].blocks

    assert cost.parameters(network) == 28_288_354
    assert cost.macs(network, (3, 224, 224)) == 4_490_566_656
    assert cost.parameters(block) == cost.parameters(shifted) == 112_347
    assert cost.macs(block, (96, 56, 56)) == cost.macs(shifted, (96, 56, 56)) == 376_320_000
    assert cost.parameters(network.stem) == 4_896
    assert cost.macs(network.stem, (3, 224, 224)) == 14_450_688
    assert cost.parameters(network.stages[1].downsample) == 74_496


def test_the_output_is_what_the_paper_writes():
    network, x = stirred(SMALL(3, 5, depths=(2, 1))), images(2, 3, 16, 16)
    y = network.stem.norm(torch.nn.functional.conv2d(x, network.stem.conv.weight, network.stem.conv.bias, stride=2))
    for stage in network.stages:
        if hasattr(stage, "downsample"):
            y = stage.downsample(y)
        for block in stage.blocks:
            y = y + block.attention(block.norm1(y))
            y = y + block.mlp(block.norm2(y))
    pooled = network.norm(y).mean((2, 3))

    torch.testing.assert_close(network(x), pooled @ network.head.weight.T + network.head.bias)


def test_every_second_block_of_a_stage_shifts_its_windows_by_half():
    def shifts(network):
        return [[block.attention.shift for block in stage.blocks] for stage in network.stages]

    assert shifts(SMALL(3, 5, depths=(3, 2))) == [[0, 2, 0], [0, 2]]
    assert shifts(SMALL(3, 5, depths=(3, 2), shift=False)) == [[0, 0, 0], [0, 0]]
    assert shifts(SwinTransformer(3, 5)) == [[0, 3], [0, 3]]


def test_windows_hear_of_each_other_through_the_shift_alone():
    x = images(1, 3, 16, 16)
    changed = x.clone()
    changed[:, :, :8, :8] += 1  # one of four windows of 4×4 patches

    for shift in (True, False):
        stage = stirred(SMALL(3, 5, depths=(2,), shift=shift)).stages
        stem = stirred(SMALL(3, 5, depths=(2,))).stem
        heard = (stage(stem(changed)) - stage(stem(x))).abs().amax(1)[0] > 1e-6
        assert bool(heard[4:, 4:].any()) is shift
        assert heard[:4, :4].all()


def test_each_stage_after_the_first_halves_the_map_rounding_up_and_doubles_the_channels():
    network = SMALL(3, 5, depths=(1, 1, 1))
    sizes = [tuple((x := network.stem(images(1, 3, 37, 48))).shape[1:])]
    for stage in network.stages:
        x = stage(x)
        sizes.append(tuple(x.shape[1:]))

    assert sizes == [(32, 19, 24), (32, 19, 24), (64, 10, 12), (128, 5, 6)]


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        ({"attention": Nothing}, {"attention.qkv", "attention.project", "attention.position"}),
        ({"attention": SelfAttention}, {"attention.position"}),
        ({"norm": Nothing}, {"norm", "norm1", "norm2", "stem.norm"}),
        ({"norm": InstanceNorm}, {"norm", "norm1", "norm2", "stem.norm"}),
        ({"mlp": partial(MLP, expansion=2)}, {"mlp.hidden", "mlp.output"}),
        ({"activation": HardSwish}, set()),
        (
            {"downsample": Strided},
            {"downsample.norm", "downsample.reduce", "downsample.conv.norm", "downsample.conv.conv"},
        ),
        ({"pooling": MaxPooling}, set()),
        ({"shift": False}, set()),
    ],
)
def test_filling_one_slot_changes_no_other_tensor_but_the_answer(change, touched):
    network, changed = stirred(SMALL(3, 5)), stirred(SMALL(3, 5, **change))
    before, after = shapes(network), shapes(changed)
    for name, tensor in network.state_dict().items():
        if name in after and after[name] == before[name]:
            changed.state_dict()[name].copy_(tensor)
    differing = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}

    assert {
        name.rpartition(".")[0].split("blocks.")[-1].lstrip("01.").removeprefix("stages.1.") for name in differing
    } == touched
    assert not torch.allclose(network(images(2, 3, 32, 32)), changed(images(2, 3, 32, 32)))


@pytest.mark.parametrize(
    "change",
    [{}, {"attention": Nothing}, {"norm": BatchNorm}, {"norm": Nothing}, {"downsample": MaxPool}, {"shift": False}],
)
def test_it_trains_and_every_parameter_gets_a_gradient(change):
    network = SMALL(3, 5, **change)

    torch.nn.functional.cross_entropy(network(images(4, 3, 28, 25)), torch.tensor([0, 1, 2, 3])).backward()

    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_a_convolution_between_stages_has_the_norm_of_the_network_before_it_and_no_bias():
    norm, conv = SMALL(3, 5, norm=BatchNorm, downsample=Strided).stages[1].downsample.conv

    assert isinstance(norm, BatchNorm)
    assert conv.bias is None
    assert (conv.kernel_size, conv.stride) == ((2, 2), (2, 2))


def test_the_head_starts_as_the_authors_draw_it():
    torch.manual_seed(0)
    head = SMALL(3, 100).head

    assert float(head.weight.detach().std()) == pytest.approx(0.02, rel=0.03)
    assert not head.bias.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depths": ()}, "swin: stages in depths=0 is too small; 1 or more would fit"),
        ({"depths": (2, 0)}, "swin: depths=0 is too small; 1 or more would fit"),
        ({"width": 0}, "swin: width=0 is too small; 1 or more would fit"),
        ({"patch": 0}, "swin: patch=0 is too small; 1 or more would fit"),
        ({"width": 48}, "window: head_channels=32 does not divide 48 channels"),
        (
            {"shift": False, "attention": SelfAttention},
            "swin: shift=False changes nothing in SelfAttention; shift=True would fit",
        ),
        (
            {"shift": False, "depths": (1, 1)},
            "swin: shift=False changes nothing where no stage has a second block; shift=True would fit",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(options, message):
    with pytest.raises(ValueError, match=message):
        SwinTransformer(3, 10, **options)


def test_a_map_smaller_than_the_window_is_refused():
    with pytest.raises(ValueError, match="window: window=7 needs a side of 7 or more, and the map is 4×4"):
        SwinTransformer(3, 10)(images(1, 3, 16, 16))


@pytest.mark.slow
@pytest.mark.parametrize("pointwise", ["linear", "conv"])
@pytest.mark.parametrize(
    ("depths", "window", "side", "options"),
    [
        ((2, 2), 4, 16, {}),
        ((3,), 3, 18, {"qkv_bias": False}),
        ((2, 1), 2, 12, {"mlp_ratio": 2.0, "global_pool": "max"}),
    ],
)
def test_it_equals_the_network_of_timm(timm, assert_twins, renamed, depths, window, side, options, pointwise):
    theirs = timm.models.SwinTransformer(
        img_size=side,
        patch_size=2,
        num_classes=5,
        embed_dim=16,
        depths=depths,
        num_heads=(2, 4)[: len(depths)],
        window_size=window,
        drop_path_rate=0.0,
        **options,
    )
    for name, module in theirs.named_modules():
        if "norm" in name and "downsample" not in name:
            module.eps = 1e-6  # as in our `norm` slot; theirs adds 1e-5 everywhere
    ours = SwinTransformer(
        3,
        5,
        depths=depths,
        width=16,
        attention=partial(WindowAttention, window=window, head_channels=8, bias=options.get("qkv_bias", True)),
        mlp=partial(MLP, pointwise=pointwise, expansion=options.get("mlp_ratio", 4.0)),
        **({"pooling": MaxPooling} if "global_pool" in options else {}),
    )
    translate = renamed(
        (r"^patch_embed\.proj", "stem.conv"),
        (r"^patch_embed\.norm", "stem.norm"),
        (r"^layers", "stages"),
        ("reduction", "reduce"),
        (r"attn\.relative_position_bias_table", "attention.position.table"),
        (r"attn\.qkv", "attention.qkv"),
        (r"attn\.proj", "attention.project"),
        ("fc1", "hidden"),
        ("fc2", "output"),
        (r"^head\.fc", "head"),
    )

    assert_twins(ours, theirs, images(2, 3, side, side), translate=translate)
