"""Window attention: literal, who sees whom, and its twins in timm and torchvision."""

import math

import pytest
import torch

from ablate import cost
from blocks.attention.self_attention import SelfAttention
from blocks.attention.window import WindowAttention


def image(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def drawn(*arguments, **options):
    """Return the block in float64 with every parameter moved."""
    torch.manual_seed(0)
    module = WindowAttention(*arguments, **options).double().eval().requires_grad_(requires_grad=False)
    for parameter in module.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.3)
    return module


def dot(a, b):
    return sum(float(p) * float(q) for p, q in zip(a, b, strict=True))


def cell(place, side, window, is_shifted):
    """Return which piece of a side a place lies in: shifted pieces begin half a window later, so the first is cut."""
    return (place - (window // 2 if is_shifted and side > window else 0)) // window


def see_each_other(p, q, sides, window, is_shifted):
    return all(
        cell(a, side, window, is_shifted) == cell(b, side, window, is_shifted)
        for a, b, side in zip(p, q, sides, strict=True)
    )


def literal(module, x, *, window, heads, is_shifted):
    """Compute the output pixel by pixel, on the map as it lies, with zeros below and to the right of it."""
    batch, channels, height, width = x.shape
    size = channels // heads
    weight = module.qkv.weight.tolist()
    bias = [0.0] * 3 * channels if module.qkv.bias is None else module.qkv.bias.tolist()
    table = getattr(module.position, "table", None)
    padded = [(i, j) for i in range(-(-height // window) * window) for j in range(-(-width // window) * window)]
    y = torch.zeros_like(x)
    for b in range(batch):
        made = {}
        for i, j in padded:
            pixel = x[b, :, i, j].tolist() if i < height and j < width else [0.0] * channels
            made[i, j] = [dot(row, pixel) + z for row, z in zip(weight, bias, strict=True)]
        for p in [(i, j) for i in range(height) for j in range(width)]:
            seen = [q for q in padded if see_each_other(p, q, (height, width), window, is_shifted)]
            mixed = []
            for head in range(heads):
                q, k, v = (
                    slice(part * channels + head * size, part * channels + (head + 1) * size) for part in range(3)
                )
                weights = []
                for other in seen:
                    score = dot(made[p][q], made[other][k]) / math.sqrt(size)
                    if table is not None:
                        below, beside = (a - b + window - 1 for a, b in zip(p, other, strict=True))
                        score += float(table[below * (2 * window - 1) + beside, head])
                    weights.append(math.exp(score))
                mixed += [dot(weights, [made[other][v][c] for other in seen]) / sum(weights) for c in range(size)]
            for c in range(channels):
                y[b, c, *p] = dot(module.project.weight[c], mixed) + float(module.project.bias[c])
    return y


@pytest.mark.parametrize(
    ("shape", "window", "options"),
    [
        ((2, 4, 4, 4), 2, {}),
        ((1, 4, 6, 6), 3, {"shift": True}),
        ((1, 4, 5, 7), 3, {"shift": True}),
        ((1, 4, 5, 7), 3, {"bias": False}),
        ((1, 4, 3, 6), 3, {"shift": True, "position": "none"}),
        ((1, 4, 5, 4), 4, {"shift": True}),
    ],
)
def test_the_output_is_what_the_paper_writes(shape, window, options):
    module, x = drawn(4, window=window, heads=2, **options), image(*shape)

    expected = literal(module, x, window=window, heads=2, is_shifted=options.get("shift", False))

    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (4, 8), (10, 9), (4, 4)])
@pytest.mark.parametrize("shift", [True, False])
def test_two_pixels_see_each_other_if_they_share_a_window_where_they_lie(height, width, shift):
    module = drawn(2, window=4, heads=1, shift=shift)
    pixels = [(i, j) for i in range(height) for j in range(width)]

    x = image(1, 2, height, width)
    changed = x.repeat(len(pixels), 1, 1, 1)
    for n, pixel in enumerate(pixels):
        changed[n, :, *pixel] += 1
    is_seen = (module(changed) - module(x)).abs().amax(1) > 1e-12  # (changed pixels, height, width)

    for n, p in enumerate(pixels):
        for q in pixels:
            assert bool(is_seen[n, *q]) is see_each_other(p, q, (height, width), 4, shift)


def test_two_pixels_that_only_rolling_has_brought_together_do_not_see_each_other_however_well_they_match():
    module, x = drawn(2, window=4, heads=1, shift=True), 100 * image(32, 2, 8, 8)
    changed = x.clone()
    changed[..., 2:, 2:] *= 2

    torch.testing.assert_close(module(changed)[..., :2, :2], module(x)[..., :2, :2])


def test_one_window_without_positions_is_attention_over_all_pixels():
    window, everywhere = drawn(8, window=5, heads=2, position="none"), SelfAttention(8, heads=2).double()
    everywhere.load_state_dict(window.state_dict())
    x = image(2, 8, 5, 5)

    torch.testing.assert_close(window(x), everywhere(x))


def test_a_side_that_one_window_covers_is_not_shifted():
    plain, shifted = drawn(8, window=4, heads=2), drawn(8, window=4, heads=2, shift=True)

    assert torch.equal(plain(image(2, 8, 4, 4)), shifted(image(2, 8, 4, 4)))
    assert not torch.allclose(plain(image(2, 8, 4, 8)), shifted(image(2, 8, 4, 8)))


def test_a_block_can_be_shifted_after_it_was_built_and_keeps_its_weights():
    plain, shifted, x = drawn(8, window=4, heads=2), drawn(8, window=4, heads=2, shift=True), image(2, 8, 8, 8)
    before = plain(x)

    assert plain.shifted() is plain
    assert torch.equal(plain(x), shifted(x))
    assert not torch.allclose(plain(x), before)


def test_options_change_no_tensor_but_the_table_of_positions():
    def shapes(**options):
        return {
            name: tuple(tensor.shape) for name, tensor in WindowAttention(64, window=4, **options).state_dict().items()
        }

    everything = shapes()

    assert everything["position.table"] == (49, 2)
    assert set(everything) == {"qkv.weight", "qkv.bias", "project.weight", "project.bias", "position.table"}
    assert shapes(shift=True) == everything
    assert shapes(bias=False) == {name: shape for name, shape in everything.items() if name != "qkv.bias"}
    assert shapes(position="none") == {name: shape for name, shape in everything.items() if name != "position.table"}


@pytest.mark.parametrize("shift", [True, False])
def test_it_has_as_many_parameters_and_products_as_in_the_first_stage_of_swin_t(shift):
    with torch.device("meta"):
        module = WindowAttention(96, heads=3, shift=shift)

    assert cost.parameters(module) == 37_755
    assert cost.macs(module, (96, 56, 56)) == 145_108_992


def test_weights_and_positions_start_as_the_authors_draw_them():
    torch.manual_seed(0)
    module = WindowAttention(128, heads=8)

    for tensor in (module.qkv.weight, module.project.weight, module.position.table):
        assert float(tensor.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert not module.qkv.bias.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 3}, "window: heads=3 does not divide 32 channels; 1, 2, 4, 8, 16, 32 would fit"),
        (
            {"heads": 2, "head_channels": 16},
            "window: heads=2 and head_channels=16 are both given; one of them would fit",
        ),
        ({"window": 1}, "window: window=1 is too small; 2 or more would fit"),
        ({"position": "relativ"}, "window: unknown position: 'relativ'; did you mean 'relative'?"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(options, message):
    with pytest.raises(ValueError, match=message):
        WindowAttention(32, **options)


def test_a_map_smaller_than_a_window_is_refused():
    with pytest.raises(ValueError, match="window: window=7 needs a side of 7 or more, and the map is 8×6"):
        WindowAttention(32)(torch.zeros(1, 32, 8, 6))


NAMES = (r"^attn\.", ""), (r"^proj", "project"), ("relative_position_bias_table", "position.table")


def rows(x):
    return x.permute(0, 2, 3, 1)


def maps(x):
    return x.permute(0, 3, 1, 2)


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width"), [(8, 12), (4, 8), (4, 4)])
@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_it_equals_the_attention_of_a_swin_block_of_timm(timm, assert_twins, renamed, height, width, shift, bias):
    block = timm.models.swin_transformer.SwinTransformerBlock(
        12, (height, width), num_heads=3, window_size=4, shift_size=2 if shift else 0, qkv_bias=bias
    )
    block.forward = block._attn

    def translate(state):
        return renamed(*NAMES)({name: tensor for name, tensor in state.items() if name.startswith("attn.")})

    ours = WindowAttention(12, window=4, heads=3, shift=shift, bias=bias)
    assert_twins(ours, block, image(2, 12, height, width), translate=translate, to_theirs=rows, to_ours=maps)


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 13), (4, 10), (11, 4)])
@pytest.mark.parametrize("shift", [True, False])
def test_it_equals_the_attention_of_torchvision_where_maps_are_padded(
    torchvision, assert_twins, renamed, height, width, shift
):
    theirs = torchvision.models.swin_transformer.ShiftedWindowAttention(12, [4, 4], [2 if shift else 0] * 2, 3)

    def translate(state):
        return renamed(*NAMES)({name: tensor for name, tensor in state.items() if "index" not in name})

    ours = WindowAttention(12, window=4, heads=3, shift=shift)
    assert_twins(ours, theirs, image(2, 12, height, width), translate=translate, to_theirs=rows, to_ours=maps)
