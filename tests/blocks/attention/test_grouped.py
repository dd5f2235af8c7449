import math

import pytest
import torch

from ablate.cost import macs, parameters
from blocks.attention.grouped import GroupedChannelAttention, GroupedSpatialAttention

BOTH = pytest.mark.parametrize("make", [GroupedChannelAttention, GroupedSpatialAttention])


def drawn(make, channels=4, **options):
    """Return the block in float64 with every parameter moved, so that the second path counts."""
    torch.manual_seed(0)
    module = make(channels, **options).double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.5)
    return module


def image(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cut(sample, n):
    """Return the pixels of (channels, height, width) as groups of (row, column), those with the weakest peak first."""
    channels, height, width = sample.shape
    pixels = [(i, j) for i in range(height) for j in range(width)]
    pixels.sort(key=lambda pixel: max(float(sample[c, pixel[0], pixel[1]]) for c in range(channels)))
    groups = []
    for g in range(n):
        size = height * width // n + (g < height * width % n)
        groups.append(pixels[:size])
        pixels = pixels[size:]
    assert not pixels
    return groups


def softmax_one(scores):
    total = 1 + sum(math.exp(score) for score in scores)
    return [math.exp(score) / total for score in scores]


def dot(a, b):
    return sum(float(p) * float(q) for p, q in zip(a, b, strict=True))


def unit(vector):
    length = math.sqrt(dot(vector, vector))
    return [float(value) / length if length else 0.0 for value in vector]


def nearest(value, groups):
    """Return for each group the other one with the most similar mean of the values."""
    means = [[sum(float(v[i, j]) for i, j in pixels) / len(pixels) for v in value] for pixels in groups]
    return [
        max((h for h in range(len(groups)) if h != g or len(groups) == 1), key=lambda h: dot(unit(means[g]), unit(means[h])))
        for g in range(len(groups))
    ]  # fmt: skip


def values_at(plane, pixels, length):
    """Return the values of a plane at some pixels, and zeros up to a length."""
    found = [float(plane[i, j]) for i, j in pixels][:length]
    return found + [0.0] * (length - len(found))


def channels_attend(module, query, key, value, group, asking):
    """Return {(channel, pixel): value}: in each head, each channel mixes those of its group."""
    channels, heads = len(value), module.heads
    out = {}
    for c in range(channels):
        head = c // (channels // heads)
        members = range(head * (channels // heads), (head + 1) * (channels // heads))
        asked = unit(values_at(query[c], asking, max(len(asking), len(group))))
        scores = []
        for d in members:
            answer = unit(values_at(key[d], group, max(len(asking), len(group))))
            scores.append(dot(asked, answer) * float(module.temperature[head]))
        weights = softmax_one(scores)
        for i, j in group:
            out[c, i, j] = sum(w * float(value[d][i, j]) for w, d in zip(weights, members, strict=True))
    return out


def pixels_attend(module, query, key, value, group, asking):
    """Return {(channel, pixel): value}: each pixel mixes those of its group."""
    channels = len(value)
    out = {}
    for rank, (i, j) in enumerate(group):
        partner = asking[rank] if rank < len(asking) else None
        asked = unit([query[c][partner] for c in range(channels)]) if partner else [0.0] * channels
        weights = softmax_one([dot(asked, unit([key[c][pixel] for c in range(channels)])) for pixel in group])
        for c in range(channels):
            out[c, i, j] = sum(w * float(value[c][pixel]) for w, pixel in zip(weights, group, strict=True))
    return out


def literal(module, x, attend):
    mixed = torch.zeros_like(x)
    for b, sample in enumerate(x):
        planes = module.local(module.project(sample[None]))[0].detach().unflatten(0, (5, -1))
        query, key, asked, asked_key, value = planes
        groups = cut(sample, module.groups)
        for group, other in zip(groups, nearest(value, groups), strict=True):
            within = attend(module, query, key, value, group, group)
            across = attend(module, asked, asked_key, value, group, groups[other])
            for c, i, j in within:
                mixed[b, c, i, j] = module.within[c] * within[c, i, j] + module.across[c] * across[c, i, j]
    return module.out(mixed)


@pytest.mark.parametrize("size", [(3, 4), (2, 5), (1, 5), (1, 4)])
@pytest.mark.parametrize("groups", [1, 3, 4])
@BOTH
def test_the_output_is_that_of_the_formula_written_out(make, groups, size):
    module = drawn(make, groups=groups, **({"heads": 2} if make is GroupedChannelAttention else {}))
    x = image(2, 4, *size)
    attend = channels_attend if make is GroupedChannelAttention else pixels_attend

    with torch.no_grad():
        torch.testing.assert_close(module(x), literal(module, x, attend))


@BOTH
def test_large_scores_do_not_overflow(make):
    module = drawn(make, groups=2).float()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1e4)

    assert module(image(1, 4, 4, 4).float()).isfinite().all()


@BOTH
def test_the_second_path_has_no_part_at_the_start_and_learns_at_once(make):
    module = make(8)
    x = image(2, 8, 4, 4).float()
    before = module(x)
    before.square().sum().backward()
    with torch.no_grad():
        module.project.weight[16:32] += 1  # what asks and answers in the second path

    torch.testing.assert_close(module(x), before)
    assert module.across.grad.all()


@BOTH
def test_a_group_does_not_see_pixels_of_another_in_the_first_path(make):
    module = drawn(make, groups=2)
    with torch.no_grad():
        module.across.zero_()
        module.local.weight.zero_()
        module.local.weight[:, :, 1, 1] = 1  # no pixel sees its neighbours
    x = image(1, 4, 2, 4)
    x[..., 2:] += 10  # the strong pixels are one group
    changed = x.clone()
    changed[..., 2:] *= 2

    torch.testing.assert_close(module(changed)[..., :2], module(x)[..., :2])
    assert not torch.allclose(module(changed)[..., 2:], module(x)[..., 2:])


@BOTH
def test_where_a_pixel_lies_does_not_matter_but_for_the_convolution(make):
    module = drawn(make, groups=3)
    with torch.no_grad():
        module.local.weight.zero_()
        module.local.weight[:, :, 1, 1] = 1
    x = image(2, 4, 3, 4)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(2))

    shuffled = module(x.flatten(2)[..., order].unflatten(2, (3, 4)))

    torch.testing.assert_close(shuffled, module(x).flatten(2)[..., order].unflatten(2, (3, 4)))


def test_the_counts_are_those_of_the_authors_code():
    assert parameters(GroupedChannelAttention(48, heads=2, groups=2)) == 16_082
    assert parameters(GroupedSpatialAttention(48, groups=16)) == 16_080
    similarity = 16 * 16 * 48  # a product that the authors' code does element by element
    with torch.device("meta"):
        spatial = GroupedSpatialAttention(48, groups=16)
    assert macs(spatial, (48, 32, 32)) == 28_950_528 + similarity


@BOTH
def test_the_number_of_groups_changes_no_tensor(make):
    few, many = make(8, groups=1), make(8, groups=16)

    assert {n: p.shape for n, p in few.named_parameters()} == {n: p.shape for n, p in many.named_parameters()}


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"grouped-channel: heads=3 does not divide 8 channels; 1, 2, 4, 8 would fit"):
        GroupedChannelAttention(8, heads=3)
    with pytest.raises(ValueError, match=r"grouped-channel: groups=0 is too small; 1 or more would fit"):
        GroupedChannelAttention(8, groups=0)
    with pytest.raises(ValueError, match=r"grouped-spatial: groups=0 is too small; 1 or more would fit"):
        GroupedSpatialAttention(8, groups=0)
    for name, make in (("channel", GroupedChannelAttention), ("spatial", GroupedSpatialAttention)):
        with pytest.raises(ValueError, match=rf"grouped-{name}: groups=4 leaves .* the map is 1×3; 1 to 3 would fit"):
            make(8)(torch.zeros(1, 8, 1, 3))
