import math

import pytest
import torch
from torch.nn import functional

from ablate.cost import macs, parameters
from blocks.attention.content_aware import ContentAwareMixer


def drawn(channels=4, *, window=2, **options):
    torch.manual_seed(0)
    module = ContentAwareMixer(channels, window=window, **options).double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return module


def image(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def decided(module, hard):
    """Make every window hard, or none, whatever is drawn."""
    with torch.no_grad():
        module.predictor.scores[2].weight.zero_()
        module.predictor.scores[2].bias.copy_(torch.tensor([1e4, -1e4] if hard else [-1e4, 1e4]))
    return module


def between(plane, row, column):
    """Return the value of a plane between four pixels, or at the border nearest to a place outside."""
    height, width = len(plane), len(plane[0])
    row, column = min(max(row, 0.0), height - 1.0), min(max(column, 0.0), width - 1.0)
    top, left = min(int(row), height - 2), min(int(column), width - 2)
    down, right = row - top, column - left
    return (
        plane[top][left] * (1 - down) * (1 - right)
        + plane[top][left + 1] * (1 - down) * right
        + plane[top + 1][left] * down * (1 - right)
        + plane[top + 1][left + 1] * down * right
    )


def leaky(value):
    return value if value > 0 else 0.1 * value


def linear(layer, vector):
    weight = layer.weight.flatten(1).tolist()
    return [
        sum(w * v for w, v in zip(row, vector, strict=True)) + b
        for row, b in zip(weight, layer.bias.tolist(), strict=True)
    ]


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def literal(module, x, ratio):
    """Return the mixed map of one sample (channels, height, width), written out pixel by pixel."""
    window, predictor = module.window, module.predictor
    channels, height, width = x.shape
    maps = x.tolist()
    pixels = [(i, j) for i in range(height) for j in range(width)]
    feature = {(i, j): [maps[c][i][j] for c in range(channels)] for i, j in pixels}
    value = {p: linear(module.value, feature[p]) for p in pixels}
    hidden = {}
    for i, j in pixels:
        place = [-1 + 2 * (i % window) / (window - 1), -1 + 2 * (j % window) / (window - 1)]
        condition = [sum(feature[i, j]) / channels, max(feature[i, j])]
        raw = linear(predictor.reduce, value[i, j] + condition + place)
        mean = sum(raw) / len(raw)
        deviation = math.sqrt(sum((r - mean) ** 2 for r in raw) / len(raw) + 1e-6)
        scale, shift = predictor.norm.weight.tolist(), predictor.norm.bias.tolist()
        hidden[i, j] = [leaky((r - mean) / deviation * a + b) for r, a, b in zip(raw, scale, shift, strict=True)]
    n = len(hidden[0, 0])
    averages = [sum(hidden[p][k] for p in pixels) / len(pixels) for k in range(n)]
    channel_gate = [sigmoid(g) for g in linear(predictor.channel_gate, averages)]

    kernel, bias = predictor.pixel_gate.weight[0].tolist(), float(predictor.pixel_gate.bias)
    easy, key = {}, {}
    for i, j in pixels:
        around = sum(
            kernel[k][a + 1][b + 1] * hidden[i + a, j + b][k]
            for k in range(n)
            for a in (-1, 0, 1)
            for b in (-1, 0, 1)
            if (i + a, j + b) in hidden
        )
        easy[i, j] = [v * sigmoid(around + bias) for v in value[i, j]]
        first, _, second = predictor.offsets
        right, down = (8 * math.tanh(o) for o in linear(second, [leaky(o) for o in linear(first, hidden[i, j])]))
        key[i, j] = [maps[c][i][j] + between(maps[c], i + down, j + right) for c in range(channels)]

    windows = [
        [(top + a, left + b) for a in range(window) for b in range(window)]
        for top in range(0, height, window)
        for left in range(0, width, window)
    ]
    scores = []
    for members in windows:
        first, _, second = predictor.scores
        hard, soft = linear(second, [leaky(s) for s in linear(first, [sum(hidden[p]) / n for p in members])])
        scores.append(hard - soft)
    order = sorted(range(len(windows)), key=lambda w: -scores[w])
    chosen = order[: max(1, math.floor(len(windows) * ratio + 0.5))] if ratio else []

    mixed = dict(easy)
    for w in chosen:
        for p in windows[w]:
            query = linear(module.query, feature[p])
            logits = [sum(q * k for q, k in zip(query, linear(module.key, key[o]), strict=True)) for o in windows[w]]
            weights = [math.exp(logit) for logit in logits]
            mixed[p] = [
                sum(a * value[o][c] for a, o in zip(weights, windows[w], strict=True)) / sum(weights)
                for c in range(channels)
            ]
    plane = x.clone()
    for (i, j), mix in mixed.items():
        plane[:, i, j] = torch.tensor(mix, dtype=torch.float64)
    gate = torch.tensor(channel_gate, dtype=torch.float64)[:, None, None]
    return module.out((functional.gelu(module.spatial(plane[None])[0]) * gate + plane)[None])[0]


@pytest.mark.parametrize(("window", "size"), [(2, (4, 6)), (3, (6, 3)), (2, (2, 2))])
@pytest.mark.parametrize("ratio", [0.25, 0.5, 1.0])
def test_the_output_is_that_of_the_formula_written_out(window, size, ratio):
    module = drawn(window=window, ratio=ratio)
    x = image(2, 4, *size)

    with torch.no_grad():
        torch.testing.assert_close(module(x), torch.stack([literal(module, sample, ratio) for sample in x]))


@pytest.mark.parametrize(("is_hard", "ratio"), [(True, 1.0), (False, 0.0)])
def test_in_training_the_draw_decides_for_each_window(is_hard, ratio):
    module = decided(drawn(), is_hard).train()
    x = image(1, 4, 4, 4)

    with torch.no_grad():
        torch.testing.assert_close(module(x)[0], literal(module, x[0], ratio))


def test_a_map_that_is_no_multiple_of_the_window_is_reflected():
    module = drawn(window=4)
    x = image(2, 4, 5, 7)
    whole = functional.pad(x, (0, 1, 0, 3), mode="reflect")

    torch.testing.assert_close(module(x), module(whole)[..., :5, :7])


def test_what_is_cut_off_leaves_no_gaps_in_memory():
    x = image(2, 4, 5, 7).contiguous(memory_format=torch.channels_last)

    assert drawn(window=4)(x).is_contiguous(memory_format=torch.channels_last)


def test_in_training_a_window_is_hard_as_often_as_the_predictor_says():
    module = ContentAwareMixer(4)
    logits = torch.tensor([0.8, 0.2]).log().expand(1, 10_000, 2)
    value = torch.ones(1, 10_000, 4, 4)

    torch.manual_seed(0)
    with torch.no_grad():
        mixed = module._draw(logits, value, value, value, 0 * value)

    assert set(mixed.round(decimals=5).unique().tolist()) == {0.0, 1.0}
    assert float(mixed.mean()) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("is_hard", [True, False])
def test_every_parameter_learns_even_if_all_windows_are_hard_or_none_is(is_hard, monkeypatch):
    module = drawn().train()
    soft = torch.tensor([0.9, 0.1] if is_hard else [0.1, 0.9])
    monkeypatch.setattr(functional, "gumbel_softmax", lambda logits, dim: soft + 0.1 * logits.softmax(dim))

    module(image(2, 4, 4, 4)).square().sum().backward()

    assert [name for name, parameter in module.named_parameters() if not parameter.grad.any()] == []


def test_the_output_is_hard_and_its_gradient_that_of_the_soft_mixture():
    module = drawn()
    value, easy = image(1, 9, 4, 4), image(1, 9, 4, 4, seed=2)
    logits = image(1, 9, 2, seed=3).requires_grad_()

    torch.manual_seed(0)
    output = module._draw(logits, value, value, value, easy)
    torch.manual_seed(0)
    share = functional.gumbel_softmax(logits, dim=2)[:, :, :1, None]
    attended = module._attend(value, value, value)
    soft = share * attended + (1 - share) * easy

    torch.testing.assert_close(output, torch.where(share > 0.5, attended, easy))
    both = [
        torch.autograd.grad((y * value).sum(), (logits, module.query.weight), retain_graph=True) for y in (output, soft)
    ]
    torch.testing.assert_close(*both)


def test_at_evaluation_each_sample_has_its_own_hard_windows():
    module = drawn(ratio=0.5)
    x = image(2, 4, 4, 4)

    torch.testing.assert_close(module(x), torch.cat([module(x[:1]), module(x[1:])]))


@pytest.mark.parametrize("channels", [1, 4, 7])
def test_few_channels_can_tell_windows_and_pixels_apart(channels):
    torch.manual_seed(0)
    predictor = ContentAwareMixer(channels, window=4).double().predictor
    x = image(4, channels, 8, 8)

    logits, offsets, _, _ = predictor(x, x)

    assert (logits.std(1) > 1e-4).all()
    assert len(offsets.detach().flatten().round(decimals=3).unique()) > 100


def test_training_draws_and_evaluation_does_not():
    module = drawn()
    x = image(1, 4, 8, 8)

    assert torch.equal(module(x), module(x))
    module.train()
    assert not torch.equal(module(x), module(x))


def test_the_counts_are_those_of_the_authors_code():
    with torch.device("meta"):
        module = ContentAwareMixer(60, window=16, ratio=0.75)

    assert parameters(module) == 22_377
    assert macs(module, (60, 32, 32)) == 38_962_240  # counted there when three windows of four were drawn


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"camixer: window=1 is too small; 2 or more would fit"):
        ContentAwareMixer(8, window=1)
    for ratio in (0.0, 1.5):
        with pytest.raises(ValueError, match=rf"camixer: ratio={ratio} .* above 0 and at most 1 would fit"):
            ContentAwareMixer(8, ratio=ratio)
    with pytest.raises(ValueError, match=r"camixer: window=8 needs a side of 8 or more, and the map is 9×7"):
        ContentAwareMixer(8)(torch.zeros(1, 8, 9, 7))
