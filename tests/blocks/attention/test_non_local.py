"""The non-local block: literal in all its forms, the identity at the start, and its twin in timm."""

import math

import pytest
import torch

from ablate import cost
from blocks.attention.non_local import NonLocal

SIMILARITIES = ["embedded-gaussian", "gaussian", "dot", "concatenation"]


def image(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def drawn(*arguments, **options):
    """Return the block in float64 with every tensor moved, the averages of the norm among them."""
    torch.manual_seed(0)
    module = NonLocal(*arguments, **options).double().eval().requires_grad_(requires_grad=False)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            tensor.add_(torch.rand_like(tensor) if name.endswith("var") else torch.randn_like(tensor) * 0.4)
    return module


def dot(a, b):
    return sum(float(p) * float(q) for p, q in zip(a, b, strict=True))


def linear(layer, pixel):
    if isinstance(layer, torch.nn.Identity):
        return [float(value) for value in pixel]
    return [dot(row, pixel) + float(z) for row, z in zip(layer.weight, layer.bias, strict=True)]


def halved(made, height, width):
    """Return the maximum of every 2×2 pixels, without what is left over."""
    return {
        (i, j): [
            max(values) for values in zip(*(made[2 * i + a, 2 * j + b] for a in (0, 1) for b in (0, 1)), strict=True)
        ]
        for i in range(height // 2)
        for j in range(width // 2)
    }


def literal(module, x, similarity, *, sub_sample):
    """Compute the output pixel by pixel."""
    batch, _, height, width = x.shape
    pixels = [(i, j) for i in range(height) for j in range(width)]
    norm = module.norm
    y = torch.zeros_like(x)
    for b in range(batch):
        theta, phi, g = (
            {p: linear(layer, x[b, :, *p]) for p in pixels} for layer in (module.theta, module.phi, module.g)
        )
        if sub_sample:
            phi, g = (halved(made, height, width) for made in (phi, g))
        for p in pixels:
            if similarity == "concatenation":
                f = {q: max(0.0, dot(module.mix.weigh.weight[0], theta[p] + phi[q])) for q in phi}
            else:
                f = {q: dot(theta[p], phi[q]) for q in phi}
            total = len(f)
            if "gaussian" in similarity:
                f = {q: math.exp(score) for q, score in f.items()}
                total = sum(f.values())
            mixed = [sum(f[q] * g[q][c] for q in f) / total for c in range(len(g[0, 0]))]
            for c, value in enumerate(linear(module.project, mixed)):
                scaled = (value - float(norm.running_mean[c])) / math.sqrt(float(norm.running_var[c]) + 1e-5)
                y[b, c, *p] = x[b, c, *p] + scaled * float(norm.weight[c]) + float(norm.bias[c])
    return y


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("sub_sample", [True, False])
def test_the_output_is_what_the_paper_writes(similarity, sub_sample):
    module, x = drawn(4, similarity=similarity, sub_sample=sub_sample), image(2, 4, 3, 4)

    torch.testing.assert_close(module(x), literal(module, x, similarity, sub_sample=sub_sample))


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_it_starts_as_the_identity_unless_told_not_to(similarity):
    x = image(2, 8, 5, 4).float()

    assert torch.equal(NonLocal(8, similarity=similarity)(x), x)
    assert not torch.allclose(NonLocal(8, similarity=similarity, zero_init=False)(x), x, atol=1e-2)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_the_output_is_the_same_whatever_comes_last_in_memory(similarity):
    module, x = drawn(8, similarity=similarity), image(2, 8, 5, 4)

    torch.testing.assert_close(module(x.contiguous(memory_format=torch.channels_last)), module(x))


def test_options_that_keep_the_weights_keep_their_names_and_shapes():
    def shapes(**options):
        return {name: tuple(tensor.shape) for name, tensor in NonLocal(8, **options).state_dict().items()}

    everything = shapes()

    assert shapes(sub_sample=True) == shapes(similarity="dot") == shapes(zero_init=False) == everything
    assert shapes(similarity="concatenation") == everything | {"mix.weigh.weight": (1, 8)}
    assert shapes(similarity="gaussian") == {k: v for k, v in everything.items() if k[:3] not in ("the", "phi")}


def test_weights_start_as_the_paper_draws_them_and_biases_at_zero():
    torch.manual_seed(0)
    module = NonLocal(128)

    for layer in (module.theta, module.phi, module.g, module.project):
        assert float(layer.weight.detach().std()) == pytest.approx(math.sqrt(2 / layer.in_features), rel=0.05)
        assert not layer.bias.any()


def test_it_has_the_published_number_of_parameters_and_products():
    with torch.device("meta"):
        whole, sampled = NonLocal(256), NonLocal(256, sub_sample=True)

    assert cost.parameters(whole) == cost.parameters(sampled) == 132_224
    assert cost.macs(whole, (256, 32, 32)) == 402_653_184
    assert cost.macs(sampled, (256, 32, 32)) == 201_326_592


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_every_parameter_learns_once_the_last_norm_has_moved(similarity):
    module = NonLocal(8, similarity=similarity, sub_sample=True, zero_init=False)

    module(image(2, 8, 5, 4).float()).square().sum().backward()

    still = {"project.bias", "phi.bias"}  # the norm takes the one away, the softmax the other up to rounding
    assert {n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()} <= still


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": 9}, "non-local: reduction=9 leaves no unit for 8 channels; 1 to 8 would fit"),
        ({"reduction": 0}, "non-local: reduction=0 leaves no unit for 8 channels; 1 to 8 would fit"),
        ({"similarity": "gausian"}, "non-local: unknown similarity: 'gausian'; did you mean 'gaussian'?"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(options, message):
    with pytest.raises(ValueError, match=message):
        NonLocal(8, **options)


def test_a_map_that_is_too_small_to_be_sub_sampled_is_refused():
    with pytest.raises(ValueError, match="non-local: sub_sample needs a side of 2 or more, and the map is 1×9"):
        NonLocal(8, sub_sample=True)(torch.zeros(1, 8, 1, 9))


@pytest.mark.parametrize(
    ("options", "side"), [({}, 1), ({"sub_sample": True}, 3), ({"similarity": "gaussian"}, 1)], ids=str
)
def test_a_share_of_a_single_pixel_is_refused(options, side):
    with pytest.raises(ValueError, match=r"non-local: the map leaves a single pixel .*; larger images or fewer stages"):
        NonLocal(8, **options)(torch.zeros(2, 8, side, side))


@pytest.mark.slow
@pytest.mark.parametrize("reduction", [2, 4])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_equals_the_block_of_timm(timm, assert_twins, reduction, layout):
    theirs = timm.layers.NonLocalAttn(16, use_scale=False, rd_channels=16 // reduction)
    names = {"t": "theta", "p": "phi", "g": "g", "z": "project", "norm": "norm"}

    def translate(state):
        return {
            f"{names[layer]}.{tensor}": value.flatten(1) if value.dim() == 4 else value
            for (layer, tensor), value in ((name.split("."), value) for name, value in state.items())
        }

    x = image(2, 16, 5, 7).contiguous(memory_format=layout)
    assert_twins(NonLocal(16, reduction=reduction), theirs, x, translate=translate, to_theirs=torch.Tensor.contiguous)
