"""The vision transformer: counts, its twin in timm, positions, and what a class token asks of the slots."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy import ndimage

from ablate import cost
from blocks.absence import Nothing
from blocks.activation import HardSwish, ReLU
from blocks.attention.self_attention import SelfAttention
from blocks.attention.squeeze_excite import SqueezeExcite
from blocks.attention.window import WindowAttention
from blocks.mlp.inverted_residual import InvertedResidual
from blocks.mlp.perceptron import MLP
from blocks.networks.vit import VisionTransformer
from blocks.normalization import BatchNorm, InstanceNorm, LayerNorm
from blocks.pooling import AveragePooling, MaxPooling

SMALL = partial(VisionTransformer, width=32, depth=2)
HEADS_OF_64 = partial(SelfAttention, head_channels=64)


def images(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def stirred(network):
    rng = torch.Generator().manual_seed(2)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=rng)
    return network.eval()


def shapes(module):
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize(
    ("width", "parameters", "macs"), [(192, 5_717_416, 1_253_683_200), (768, 86_567_656, 17_563_828_224)]
)
def test_the_networks_of_the_paper_have_as_many_parameters_and_products(width, parameters, macs):
    with torch.device("meta"):
        network = VisionTransformer(
            3, 1000, patch=16, grid=14, width=width, depth=12, class_token=True, attention=HEADS_OF_64
        )

    assert cost.parameters(network) == parameters
    assert cost.macs(network, (3, 224, 224)) == macs


@pytest.mark.parametrize("class_token", [False, True])
def test_the_output_is_what_the_paper_writes(class_token):
    network, x = stirred(SMALL(3, 5, grid=3, class_token=class_token)), images(2, 3, 12, 12)
    patches = [x[:, :, i : i + 4, j : j + 4].flatten(1) for i in (0, 4, 8) for j in (0, 4, 8)]
    tokens = [patch @ network.stem.weight.flatten(1).T + network.stem.bias for patch in patches]
    tokens = [token + place for token, place in zip(tokens, network.position.embedding.flatten(0, 1), strict=True)]
    if class_token:
        token = network.class_token.token.flatten() + network.class_token.position.embedding.flatten()
        tokens = [token.expand(2, -1), *tokens]
    y = torch.stack(tokens, 2)[..., None]  # (batch, channels, tokens, 1)
    for block in network.blocks:
        y = y + block.attention(block.norm1(y))
        y = y + block.mlp(block.norm2(y))
    y = network.norm(y)[..., 0]
    pooled = y[..., 0] if class_token else y.mean(2)

    torch.testing.assert_close(network(x), pooled @ network.head.weight.T + network.head.bias)


def test_without_positions_the_patches_are_a_set_and_with_them_they_are_not():
    x = images(2, 3, 16, 16)
    shuffled = x.unflatten(2, (4, 4)).flip(2).flatten(2, 3)  # the rows of patches in another order

    for class_token in (False, True):
        blind = stirred(SMALL(3, 5, position="none", class_token=class_token))
        seeing = stirred(SMALL(3, 5, grid=4, class_token=class_token))
        torch.testing.assert_close(blind(x), blind(shuffled))
        assert not torch.allclose(seeing(x), seeing(shuffled), atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(6, 6), (3, 2), (4, 7)])
def test_a_map_of_another_size_takes_the_positions_between_the_learned_ones(height, width):
    position = stirred(SMALL(3, 5, grid=4).position).double()
    grid = position.embedding.detach().numpy()
    expected = ndimage.zoom(grid, (height / 4, width / 4, 1), order=1)

    added = position(torch.zeros(2, 32, height, width, dtype=torch.float64)).detach()

    torch.testing.assert_close(added[1].permute(1, 2, 0), torch.from_numpy(np.asarray(expected)))


def test_a_side_that_is_no_multiple_of_the_patch_is_completed_by_zeros():
    network, x = stirred(SMALL(3, 5)), images(2, 3, 30, 27)

    assert torch.equal(network(x), network(torch.nn.functional.pad(x, (0, 1, 0, 2))))


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        ({"attention": Nothing}, {"attention.qkv", "attention.project"}),
        ({"norm": Nothing}, {"norm", "norm1", "norm2"}),
        ({"norm": InstanceNorm}, {"norm", "norm1", "norm2"}),
        ({"mlp": partial(MLP, expansion=2)}, {"mlp.hidden", "mlp.output"}),
        ({"activation": HardSwish}, set()),
        ({"pooling": MaxPooling}, set()),
        ({"position": "none"}, {"position"}),
        ({"class_token": True}, {"class_token", "class_token.position"}),
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
        name.rpartition(".")[0].removeprefix("blocks.0.").removeprefix("blocks.1.") for name in differing
    } == touched
    assert not torch.allclose(network(images(2, 3, 16, 16)), changed(images(2, 3, 16, 16)), atol=1e-3)


@pytest.mark.parametrize(
    "change",
    [
        *({"class_token": is_there} for is_there in (False, True)),
        *({"class_token": is_there, "norm": norm} for is_there in (False, True) for norm in (BatchNorm, InstanceNorm)),
        *({"class_token": is_there, "norm": Nothing} for is_there in (False, True)),
        *({"class_token": is_there, "position": "none"} for is_there in (False, True)),
        {"attention": Nothing},
    ],
)
def test_it_trains_and_every_parameter_gets_a_gradient(change):
    network = stirred(SMALL(3, 5, **change)).train()

    torch.nn.functional.cross_entropy(network(images(4, 3, 32, 28)), torch.tensor([0, 1, 2, 3])).backward()

    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_the_weights_start_as_the_authors_draw_them():
    torch.manual_seed(0)
    network = VisionTransformer(3, 5, patch=8, width=192, depth=1, class_token=True)

    assert not any(tensor.any() for tensor in (network.head.weight, network.head.bias, network.class_token.token))
    assert float(network.position.embedding.detach().std()) == pytest.approx(0.02, rel=0.03)
    assert float(network.stem.weight.detach().std()) == pytest.approx((3 * 8 * 8) ** -0.5, rel=0.03)
    assert not network.stem.bias.any()
    assert network.norm.weight.shape == (192,)
    assert isinstance(network.norm, LayerNorm)


def test_the_pooling_sees_the_patches_where_there_is_no_class_token():
    network, x = stirred(SMALL(3, 5, pooling=MaxPooling)), images(2, 3, 16, 16)
    features = network.norm(network.blocks(network.position(network.stem(x))))

    torch.testing.assert_close(network(x), network.head(features.amax((2, 3))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": 0}, "vit: patch=0 is too small; 1 or more would fit"),
        ({"width": 0}, "vit: width=0 is too small; 1 or more would fit"),
        ({"depth": 0}, "vit: depth=0 is too small; 1 or more would fit"),
        ({"grid": 0}, "vit: grid=0 is too small; 1 or more would fit"),
        ({"width": 40}, "mhsa: head_channels=32 does not divide 40 channels; 1, 2, 4, 5, 8, 10, 20, 40 would fit"),
        ({"position": "sine"}, r"vit: unknown position: 'sine' \(known: learned, none\)"),
        (
            {"position": "none", "grid": 8},
            "vit: grid=8 is of learned positions, and position='none' has none; no grid would fit",
        ),
        (
            {"class_token": True, "attention": SqueezeExcite},
            "vit: SqueezeExcite needs a map, and the class token makes a sequence of it; class_token: false would fit",
        ),
        ({"class_token": True, "attention": WindowAttention}, "vit: WindowAttention needs a map"),
        (
            {"class_token": True, "attention": Nothing},
            "vit: without attention the class token sees no patch, and all images get the same answer",
        ),
        ({"class_token": True, "mlp": InvertedResidual}, "vit: InvertedResidual needs a map"),
        (
            {"class_token": True, "pooling": MaxPooling},
            "vit: MaxPooling has nothing to pool, as the head sees the class token; class_token: false would fit",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(options, message):
    with pytest.raises(ValueError, match=message):
        VisionTransformer(3, 10, **options)


def test_a_class_token_takes_the_default_pooling_where_it_is_named():
    assert SMALL(3, 5, class_token=True, pooling=partial(AveragePooling))(images(1, 3, 8, 8)).shape == (1, 5)


@pytest.mark.slow
@pytest.mark.parametrize("pointwise", ["linear", "conv"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"class_token": False, "global_pool": "avg", "fc_norm": False},
        {"class_token": False, "global_pool": "max", "fc_norm": False, "act_layer": "relu"},
        {"pos_embed": "none", "qkv_bias": False},
        {"class_token": False, "global_pool": "avg", "fc_norm": False, "pos_embed": "none", "mlp_ratio": 2},
    ],
)
def test_it_equals_the_network_of_timm(timm, assert_twins, renamed, options, pointwise):
    theirs = timm.models.VisionTransformer(
        img_size=12, patch_size=4, num_classes=5, embed_dim=32, depth=2, num_heads=4, **options
    )
    positions = options.get("pos_embed", "learned")
    ours = VisionTransformer(
        3,
        5,
        width=32,
        depth=2,
        grid=3 if positions == "learned" else None,
        position=positions,
        class_token=options.get("class_token", True),
        attention=partial(SelfAttention, heads=4, bias=options.get("qkv_bias", True)),
        mlp=partial(MLP, pointwise=pointwise, expansion=options.get("mlp_ratio", 4)),
        **({"activation": ReLU, "pooling": MaxPooling} if "act_layer" in options else {}),
    )
    rename = renamed(
        (r"^patch_embed\.proj", "stem"),
        (r"attn\.qkv", "attention.qkv"),
        (r"attn\.proj", "attention.project"),
        ("fc1", "hidden"),
        ("fc2", "output"),
    )

    def translate(state):
        state = rename(state)
        if "cls_token" in state:
            state["class_token.token"] = state.pop("cls_token").permute(0, 2, 1)[..., None]
        if "pos_embed" in state:
            *first, places = state.pop("pos_embed")[0].tensor_split([-9])
            state["position.embedding"] = places.reshape(3, 3, 32)
            if len(first[0]):
                state["class_token.position.embedding"] = first[0].reshape(1, 1, 32)
        return state

    assert_twins(ours, theirs, images(2, 3, 12, 12), translate=translate)
