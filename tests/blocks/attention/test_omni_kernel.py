"""The omni-kernel module against loops over kernels and sums over frequencies."""

import cmath
import math

import pytest
import torch
from torch.nn import functional

from blocks.attention.omni_kernel import OmniKernel


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def stirred(module):
    """Return the module in float64 with values of its own in all that starts at zero or one."""
    for name, parameter in module.double().named_parameters():
        if name.endswith(("alpha", "beta")):
            torch.nn.init.normal_(parameter)
    return module


def gelu(value):
    return value * (1 + math.erf(value / math.sqrt(2))) / 2


def mixed(maps, layer):
    """Return the maps after a 1×1 convolution or a linear layer."""
    rows, biases = layer.weight.flatten(1).tolist(), layer.bias.tolist()
    places = maps[0].keys()
    return [
        {p: b + sum(w * values[p] for w, values in zip(row, maps, strict=True)) for p in places}
        for row, b in zip(rows, biases, strict=True)
    ]


def convolved(maps, layer):
    """Return the maps after a convolution of each by a kernel of its own, with zeros around the map."""
    output = []
    for values, kernel, bias in zip(maps, layer.weight[:, 0].tolist(), layer.bias.tolist(), strict=True):
        up, left = len(kernel) // 2, len(kernel[0]) // 2
        output.append(
            {
                (i, j): bias
                + sum(
                    weight * values.get((i + a - up, j + b - left), 0.0)
                    for a, row in enumerate(kernel)
                    for b, weight in enumerate(row)
                )
                for i, j in values
            }
        )
    return output


def transformed(values, height, width, sign):
    return {
        (u, v): sum(
            value * cmath.exp(sign * 2j * math.pi * (u * i / height + v * j / width))
            for (i, j), value in values.items()
        )
        for u, v in values
    }


def frequencies(values, height, width):
    return transformed(values, height, width, -1)


def magnitudes(spectrum, height, width):
    back = transformed(spectrum, height, width, 1)
    return {place: abs(value) / (height * width) for place, value in back.items()}


def factors(maps, layer):
    averages = [{None: sum(values.values()) / len(values)} for values in maps]
    return [value[None] for value in mixed(averages, layer)]


def whole(maps, module, height, width):
    """Return what the global branch makes: two gates for channels, the first of them on frequencies, and the product."""
    gated = [
        magnitudes({p: gate * value for p, value in frequencies(values, height, width).items()}, height, width)
        for gate, values in zip(factors(maps, module.frequency_gate), maps, strict=True)
    ]
    gated = [
        {p: gate * value for p, value in values.items()}
        for gate, values in zip(factors(gated, module.channel_gate), gated, strict=True)
    ]
    weights = mixed(gated, module.weights)
    spectra = [frequencies(values, height, width) for values in mixed(gated, module.values)]
    products = [
        magnitudes({p: w[p] * value for p, value in spectrum.items()}, height, width)
        for w, spectrum in zip(weights, spectra, strict=True)
    ]
    return [
        {p: product[p] * alpha + values[p] * beta for p in values}
        for product, values, alpha, beta in zip(
            products, gated, module.alpha.flatten().tolist(), module.beta.flatten().tolist(), strict=True
        )
    ]


def literal(module, sample):
    channels, height, width = sample.shape
    maps = [{(i, j): sample[c, i, j].item() for i in range(height) for j in range(width)} for c in range(channels)]
    features = [{p: gelu(value) for p, value in values.items()} for values in mixed(maps, module.reduce)]
    terms = [maps]
    for name, branch in module.branches.items():
        if name == "local":
            terms.append(convolved(features, branch))
        elif name == "large":
            terms += [convolved(features, layer) for layer in (branch.row, branch.column, branch.square)]
        else:
            terms.append(whole(features, branch, height, width))
    sums = [{p: max(0.0, sum(term[c][p] for term in terms)) for p in maps[c]} for c in range(channels)]
    output = mixed(sums, module.project)
    return torch.tensor(
        [[[values[i, j] for j in range(width)] for i in range(height)] for values in output], dtype=torch.float64
    )


@pytest.mark.parametrize("kernel", [3, 5, 9])
def test_input_and_branches_are_summed_rectified_and_mixed(kernel):
    torch.manual_seed(0)
    module, x = stirred(OmniKernel(3, kernel=kernel)), torch.randn(2, 3, 3, 4, dtype=torch.float64)

    torch.testing.assert_close(module(x), torch.stack([literal(module, sample) for sample in x]))


@pytest.mark.parametrize("branches", [("local",), ("large",), ("global",), ("global", "local")])
def test_branches_can_be_left_out(branches):
    torch.manual_seed(0)
    module, x = stirred(OmniKernel(3, branches=branches)), torch.randn(1, 3, 4, 3, dtype=torch.float64)

    assert set(module.branches) == set(branches)
    torch.testing.assert_close(module(x)[0], literal(module, x[0]))


@pytest.mark.parametrize(("height", "width"), [(1, 9), (5, 7), (16, 3)])
def test_a_kernel_larger_than_the_map_is_cut_to_what_the_map_can_fill(height, width):
    large = OmniKernel(4, kernel=15).double().branches["large"]
    x = torch.randn(2, 4, height, width, dtype=torch.float64)

    def padded(conv):
        reach = [side // 2 for side in conv.kernel_size]
        return functional.conv2d(x, conv.weight, conv.bias, padding=reach, groups=4)

    expected = padded(large.row) + padded(large.column) + padded(large.square)
    weights = torch.randn_like(expected)
    gradients = torch.autograd.grad((expected * weights).sum(), list(large.parameters()))
    actual = large(x)

    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(torch.autograd.grad((actual * weights).sum(), list(large.parameters())), gradients)


def test_parameters_are_those_of_the_authors_module_without_what_it_never_uses():
    with torch.device("meta"):
        module = OmniKernel(128)
        never_used = torch.nn.Conv2d(128, 256, 3)

    assert module.branches["large"].square.kernel_size == (63, 63)
    assert count(module) + count(never_used) == 919_296


def test_frequencies_start_without_effect():
    module, x = OmniKernel(8, kernel=3), torch.randn(2, 8, 6, 6)
    before = module(x)
    torch.nn.init.normal_(module.branches["global"].values.weight)

    assert torch.equal(module(x), before)


def test_all_of_it_can_be_in_half_the_bits():
    module, x = stirred(OmniKernel(8, kernel=3)).float(), torch.randn(2, 8, 6, 6)
    expected = module(x)

    y = module.bfloat16()(x.bfloat16())

    assert y.dtype is torch.bfloat16
    assert (y.float() - expected).norm() < 0.05 * expected.norm()


def test_gradients_are_finite_where_the_inverse_transform_is_zero():
    module = OmniKernel(4, branches=("global",))
    branch = module.branches["global"]
    for parameter in branch.values.parameters():
        torch.nn.init.zeros_(parameter)
    torch.nn.init.ones_(branch.alpha)
    x = torch.zeros(1, 4, 4, 4, requires_grad=True)

    module(x).sum().backward()

    assert all(grad.isfinite().all() for grad in (x.grad, *(parameter.grad for parameter in module.parameters())))


def test_a_pixel_is_seen_by_itself_by_its_row_and_column_or_everywhere():
    torch.manual_seed(0)
    x = torch.randn(1, 8, 9, 9).abs()  # no value is cut by the rectifier
    moved = x.clone()
    moved[0, :, 4, 4] += 1

    def changed(**options):
        module = OmniKernel(8, **options)
        torch.nn.init.constant_(module.reduce.bias, 3.0)
        difference = (module(moved) - module(x)).abs().sum((0, 1)) > 1e-6
        return int(difference.sum())

    assert changed(branches=("local",)) == 1
    assert changed(branches=("large",), kernel=3) == 9
    assert changed(branches=("large",)) == 81
    assert changed(branches=("global",)) == 81


def test_the_order_of_branches_changes_nothing():
    one, other = OmniKernel(8, kernel=3), OmniKernel(8, kernel=3, branches=("global", "large", "local"))
    other.load_state_dict(one.state_dict())
    x = torch.randn(2, 8, 6, 6)

    assert torch.equal(one(x), other(x))


def test_what_it_cannot_be_built_with_is_refused():
    with pytest.raises(ValueError, match=r"omni-kernel: kernel=4 has no middle pixel; 3 or 5 would fit"):
        OmniKernel(8, kernel=4)
    with pytest.raises(ValueError, match=r"omni-kernel: kernel=1 is too small; 3 or more would fit"):
        OmniKernel(8, kernel=1)
    with pytest.raises(ValueError, match=r"omni-kernel: unknown branch: 'gobal'; did you mean 'global'"):
        OmniKernel(8, branches=("gobal",))
    for branches in ((), ("local", "local")):
        with pytest.raises(ValueError, match=r"is not one or more of local, large, global, each at most once"):
            OmniKernel(8, branches=branches)
    with pytest.raises(ValueError, match=r"omni-kernel: kernel=31 does nothing without the branch large"):
        OmniKernel(8, kernel=31, branches=("local",))
