"""Patch merging: literal at even and odd sides, and its twin in timm."""

import math

import pytest
import torch

from ablate import cost
from blocks.downsampling.patch_merging import PatchMerging


def image(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def merging(in_channels, out_channels):
    """Return the block; what convolves in other choices is not called."""
    return PatchMerging(in_channels, out_channels, None)


def literal(module, x):
    """Compute the output pixel by pixel; what lies outside of the map is zero."""
    batch, _, height, width = x.shape
    rows, columns = (height + 1) // 2, (width + 1) // 2
    y = torch.zeros(batch, module.reduce.out_features, rows, columns, dtype=x.dtype)
    zero = torch.zeros_like(x[0, :, 0, 0])
    for b in range(batch):
        for i in range(rows):
            for j in range(columns):
                joined = []
                for row, column in ((2 * i, 2 * j), (2 * i + 1, 2 * j), (2 * i, 2 * j + 1), (2 * i + 1, 2 * j + 1)):
                    pixel = x[b, :, row, column] if row < height and column < width else zero
                    joined += pixel.tolist()
                mean = sum(joined) / len(joined)
                deviation = math.sqrt(sum((value - mean) ** 2 for value in joined) / len(joined) + 1e-5)
                scale, shift = module.norm.weight.tolist(), module.norm.bias.tolist()
                joined = [(value - mean) / deviation * a + z for value, a, z in zip(joined, scale, shift, strict=True)]
                for c, line in enumerate(module.reduce.weight.tolist()):
                    y[b, c, i, j] = sum(w * value for w, value in zip(line, joined, strict=True))
    return y


@pytest.mark.parametrize(("height", "width"), [(4, 6), (3, 5), (4, 3), (1, 1)])
def test_the_output_is_what_the_paper_writes(height, width):
    torch.manual_seed(0)
    module, x = merging(3, 5).double(), image(2, 3, height, width)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.5)

    torch.testing.assert_close(module(x).detach(), literal(module, x))


def test_it_has_as_many_parameters_and_products_as_after_the_first_stage_of_swin_t():
    with torch.device("meta"):
        module = merging(96, 192)

    assert cost.parameters(module) == 74_496
    assert cost.macs(module, (96, 56, 56)) == 57_802_752
    assert set(module.state_dict()) == {"norm.weight", "norm.bias", "reduce.weight"}


def test_the_weights_start_as_the_authors_draw_them():
    torch.manual_seed(0)

    assert float(merging(32, 64).reduce.weight.detach().std()) == pytest.approx(0.02, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width"), [(6, 4), (5, 7), (4, 3)])
@pytest.mark.parametrize("out_channels", [12, 24])
def test_it_equals_the_merging_of_timm(timm, assert_twins, renamed, height, width, out_channels):
    assert_twins(
        merging(12, out_channels),
        timm.models.swin_transformer.PatchMerging(12, out_channels),
        image(2, 12, height, width),
        translate=renamed(("reduction", "reduce")),
        to_theirs=lambda x: x.permute(0, 2, 3, 1),
        to_ours=lambda y: y.permute(0, 3, 1, 2),
    )
