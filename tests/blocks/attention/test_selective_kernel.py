"""The selective kernel convolution against its paper and against timm."""

import math

import pytest
import torch

from blocks.attention import SelectiveKernel

X = torch.randn(2, 4, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def moved(*arguments, **options):
    """Return a module at evaluation, with norms that do something."""
    torch.manual_seed(0)
    module = SelectiveKernel(*arguments, **options).double()
    for name, tensor in module.state_dict().items():
        if "norm" in name and tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    return module.eval()


def normed(norm, channel, value):
    value = (value - norm.running_mean[channel].item()) / math.sqrt(norm.running_var[channel].item() + 1e-5)
    return value * norm.weight[channel].item() + norm.bias[channel].item()


def convolved(branch, x, *, stride, dilation, groups):
    """Return the features of one branch for one sample: convolution, norm, ReLU."""
    weight = branch.conv.weight
    channels, per_group, kernel, _ = weight.shape
    height, width = (-(-side // stride) for side in x.shape[1:])
    y = torch.zeros(channels, height, width, dtype=x.dtype)
    for c in range(channels):
        first = c // (channels // groups) * per_group
        for i in range(height):
            for j in range(width):
                total = 0.0
                for k in range(per_group):
                    for u in range(kernel):
                        for v in range(kernel):
                            row = i * stride + (u - kernel // 2) * dilation
                            column = j * stride + (v - kernel // 2) * dilation
                            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                                total += weight[c, k, u, v].item() * x[first + k, row, column].item()
                y[c, i, j] = max(0.0, normed(branch.norm, c, total))
    return y


def selected(module, maps):
    """Return the sum of the maps, each channel weighted by the softmax over the branches."""
    channels = len(maps[0])
    sums = [sum(sum(features[c].flatten().tolist()) for features in maps) for c in range(channels)]
    averages = [s / maps[0][0].numel() for s in sums]
    hidden = [
        max(0.0, normed(module.norm, i, sum(w * a for w, a in zip(row, averages, strict=True))))
        for i, row in enumerate(module.reduce.weight.tolist())
    ]
    scores = [sum(w * h for w, h in zip(row, hidden, strict=True)) for row in module.select.weight.tolist()]
    y = torch.zeros_like(maps[0])
    for c in range(channels):
        masses = [math.exp(scores[i * channels + c]) for i in range(len(maps))]
        for mass, features in zip(masses, maps, strict=True):
            y[c] += mass / sum(masses) * features[c]
    return y


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((4,), {"groups": 2}),
        ((4, 2, 3, 2), {"groups": 1, "branches": 3}),
        ((4, 4, 5, 1), {"groups": 4}),
        ((4, 2, 3, 1), {"groups": 2, "split": True}),
    ],
)
def test_each_channel_is_a_mixture_of_what_the_dilated_kernels_find(arguments, options):
    module = moved(*arguments, least=3, **options)
    n_branches, stride = options.get("branches", 2), arguments[3] if arguments[3:] else 1
    y = module(X)

    for b in range(2):
        maps = [
            convolved(branch, share, stride=stride, dilation=i + 1, groups=options["groups"])
            for i, (branch, share) in enumerate(
                zip(module.branches, X[b].chunk(2) if "split" in options else [X[b]] * n_branches, strict=True)
            )
        ]
        torch.testing.assert_close(y[b], selected(module, maps))


def test_parameters_are_as_many_as_the_paper_counts():
    # Branches of 9·C²/G weights with two tensors of a norm, then C·d, two of a norm, and M·d·C with d = max(C/r, L).
    assert count(SelectiveKernel(128)) == 2 * (9 * 128 * 4 + 256) + 128 * 32 + 64 + 2 * 32 * 128
    assert count(SelectiveKernel(1_024)) == 2 * (9 * 1_024 * 32 + 2_048) + 1_024 * 64 + 128 + 2 * 64 * 1_024
    assert count(SelectiveKernel(64, split=True, groups=1)) == 2 * (9 * 64 * 32 + 128) + 64 * 32 + 64 + 2 * 32 * 64


def test_on_a_single_pixel_dilation_is_nothing_and_equal_kernels_leave_no_choice():
    module = moved(4, groups=1)
    first, second = module.branches
    second.load_state_dict(first.state_dict())
    pixel = X[:, :, :1, :1]

    torch.testing.assert_close(module(pixel), first(pixel))


def test_without_scores_the_branches_are_averaged():
    module = moved(4, groups=1)
    torch.nn.init.zeros_(module.select.weight)
    first, second = module.branches

    torch.testing.assert_close(module(X), (first(X) + second(X)) / 2)


def test_one_sample_cannot_be_normalised_over_the_batch_in_training_but_can_be_evaluated():
    module = SelectiveKernel(4, groups=1).double()

    with pytest.raises(ValueError, match="more than 1 value per channel"):
        module(X[:1])
    assert module.eval()(X[:1]).shape == X[:1].shape


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "ours", "theirs"),
    [
        ((8,), {"groups": 4}, {"groups": 4, "split_input": False, "rd_channels": 32}),
        ((8, 16, 3, 2), {"groups": 8}, {"groups": 8, "split_input": False, "rd_channels": 32}),
        (
            (32, 32, 3, 1),
            {"groups": 1, "reduction": 2, "least": 8, "split": True},
            {"rd_ratio": 1 / 2, "rd_divisor": 8},
        ),
        (
            (8, 16, 3, 2),
            {"groups": 1, "reduction": 8, "least": 16, "split": True},
            {"rd_ratio": 1 / 8, "rd_divisor": 16},
        ),
        (
            (6, 12, 3, 1),
            {"groups": 2, "branches": 3, "least": 4},
            {"groups": 2, "kernel_size": [3, 5, 7], "split_input": False, "rd_channels": 4},
        ),
    ],
)
def test_it_equals_that_of_timm(timm, assert_twins, renamed, arguments, ours, theirs):
    in_channels, out_channels, _, stride = (*arguments, *(None, 3, 1)[len(arguments) - 1 :])
    names = renamed(
        (r"paths\.(\d+)\.conv", r"branches.\1.conv"),
        (r"paths\.(\d+)\.bn", r"branches.\1.norm"),
        (r"attn\.fc_reduce", "reduce"),
        (r"attn\.bn", "norm"),
        (r"attn\.fc_select", "select"),
    )

    def translate(state):
        return {
            name: t if name.startswith("branches") or t.dim() < 2 else t.flatten(1) for name, t in names(state).items()
        }

    x = torch.randn(3, in_channels, 6, 5, generator=torch.Generator().manual_seed(0))
    reference = timm.layers.SelectiveKernel(in_channels, out_channels, stride=stride, **theirs)
    assert_twins(SelectiveKernel(*arguments, **ours), reference, x, translate=translate)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((32, 32, 4), {}, "sk: kernel=4 has no middle pixel; 3 or 5 would fit"),
        ((32, 32, 1), {}, "sk: kernel=1 is too small; 3 or more would fit"),
        ((16,), {}, "sk: groups=32 does not divide 16 input and 16 output channels; 1, 2, 4, 8, 16 would fit"),
        ((32, 48), {}, "sk: groups=32 does not divide 32 input and 48 output channels"),
        ((32,), {"split": True}, "sk: groups=32 does not divide 16 input and 32 output channels"),
        ((9,), {"groups": 1, "split": True}, "sk: branches=2 does not divide 9 channels; 1, 3, 9 would fit"),
        ((32,), {"branches": 1}, "sk: branches=1 is too small; 2 or more would fit"),
        ((32,), {"reduction": 0}, "sk: reduction=0 is too small; 1 or more would fit"),
        ((32,), {"least": 0}, "sk: least=0 is too small; 1 or more would fit"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_with_those_that_would(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        SelectiveKernel(*arguments, **options)
