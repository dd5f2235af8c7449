"""What every block in the catalogue keeps to; a new block is tested with no new line."""

import copy
import pickle

import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap

from blocks.activation import GELU
from blocks.catalogue import read
from blocks.convolution import DenseConvolution
from blocks.normalization import BatchNorm

CATALOGUE = read()
CHANNELS = 32


def stride_conv(in_channels, out_channels, stride):
    return DenseConvolution(in_channels, out_channels, 3, stride)


# What each kind of slot is called with, and the channels and the stride that its output then has.
CALLS = {
    "attention": [((CHANNELS,), CHANNELS, 1)],
    "norm": [((CHANNELS,), CHANNELS, 1)],
    "mix": [((CHANNELS,), CHANNELS, 1)],
    "activation": [((CHANNELS,), CHANNELS, 1)],
    "conv": [((CHANNELS, 2 * CHANNELS, "kernel", 2), 2 * CHANNELS, 2), ((CHANNELS, CHANNELS, "kernel", 1), CHANNELS, 1)],
    "shortcut": [
        ((CHANNELS, 2 * CHANNELS, 2, BatchNorm), 2 * CHANNELS, 2), ((CHANNELS, CHANNELS, 1, BatchNorm), CHANNELS, 1),
    ],
    "downsample": [((CHANNELS, 2 * CHANNELS, stride_conv), 2 * CHANNELS, 2)],
    "mlp": [((CHANNELS, GELU), CHANNELS, 1)],
    "pooling": [((CHANNELS,), CHANNELS, None)],
}  # fmt: skip
PAIRS = [
    pytest.param(entry, i, id=f"{entry.slot}-{entry.name}{f'-{i}' if i else ''}")
    for entry in CATALOGUE.entries()
    for i in range(len(CALLS.get(entry.slot, ())))
]
every_block = pytest.mark.parametrize(("entry", "call"), PAIRS)


def build(entry, call=0):
    torch.manual_seed(0)
    kernel = entry.facts.get("kernel", 3)
    arguments = (kernel if argument == "kernel" else argument for argument in CALLS[entry.slot][call][0])
    return entry.load()(*arguments)


def stirred(entry, call=0):
    """Return the block with every parameter moved, so that none hides behind another that starts at zero."""
    module = build(entry, call)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return module


def example(entry, *, batch=2, height=7, width=5):
    """Return an input, no smaller than the block says it needs."""
    smallest = entry.facts.get("smallest", 1)
    rng = torch.Generator().manual_seed(1)
    return torch.randn(batch, CHANNELS, max(height, smallest), max(width, smallest), generator=rng)


def run(module, x):
    """Return the output; what an activation overwrites is a copy."""
    return module(x.clone(memory_format=torch.preserve_format))


def expected_shape(entry, call, x, y):
    _, channels, stride = CALLS[entry.slot][call]
    if y.dim() == 0 and entry.slot == "shortcut":
        return ()  # a zero that any shape can be added to
    if stride is None:
        return (x.shape[0], channels)
    return (x.shape[0], channels, *(-(-side // stride) for side in x.shape[2:]))


@every_block
def test_the_shape_is_as_declared_at_odd_sizes_and_with_one_sample(entry, call):
    module = build(entry, call).eval()
    smallest = entry.facts.get("smallest", 1)
    sizes = [{}, {"batch": 1}, {"height": 1, "width": 9}, {"batch": 1, "height": 8, "width": 8}]

    for size in [*sizes, {"height": smallest + 4, "width": smallest + 1}]:
        x = example(entry, **size)
        y = run(module, x)
        assert y.shape == expected_shape(entry, call, x, y)


@every_block
def test_every_parameter_and_the_input_get_a_finite_gradient(entry, call):
    module = stirred(entry, call)
    x = example(entry).requires_grad_()
    y = run(module, x) + 0 * x.sum()  # nothing to add to a residual branch depends on no input
    target = torch.randn(y.shape, generator=torch.Generator().manual_seed(2))

    (y - target).square().sum().backward()

    assert x.grad.isfinite().all()
    assert [n for n, p in module.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    assert [n for n, p in module.named_parameters() if not p.grad.any()] == []


@every_block
def test_the_layout_in_memory_changes_nothing_and_channels_last_stay_last(entry, call):
    module = stirred(entry, call).eval()
    x = example(entry, height=6, width=8)
    apart = torch.stack([x, x], dim=-1)[..., 0]  # every second value in memory
    last = x.contiguous(memory_format=torch.channels_last)
    y = run(module, x)

    assert not apart.is_contiguous()
    torch.testing.assert_close(run(module, apart), y, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(run(module, last), y, rtol=1e-4, atol=1e-5)
    assert y.dim() < 4 or run(module, last).is_contiguous(memory_format=torch.channels_last)


@every_block
def test_the_input_is_left_as_it_was(entry, call):
    x = example(entry)

    build(entry, call)(x)

    assert torch.equal(x, example(entry)) or entry.slot == "activation"


@every_block
def test_samples_do_not_see_each_other_at_evaluation(entry, call):
    module = stirred(entry, call).eval()
    x = example(entry)
    changed = torch.stack([x[0], torch.full_like(x[1], 100.0)])

    if run(module, x).dim():
        torch.testing.assert_close(run(module, x)[0], run(module, changed)[0], rtol=1e-4, atol=1e-5)


@every_block
def test_the_same_input_gives_the_same_output_at_evaluation_and_for_one_random_state_in_training(entry, call):
    module, x = stirred(entry, call), example(entry)

    def outputs(module):
        torch.manual_seed(3)
        trained = run(module.train(), x)
        torch.manual_seed(4)  # evaluation draws nothing
        return trained, run(module.eval(), x), run(module, x)

    first, second = outputs(copy.deepcopy(module)), outputs(module)

    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert torch.equal(first[1], first[2])


@every_block
def test_a_saved_state_gives_the_same_output_again(entry, call):
    module, other = stirred(entry, call), build(entry, call)
    run(module, example(entry))  # moves running averages

    other.load_state_dict(module.state_dict())

    assert torch.equal(run(module.eval(), example(entry)), run(other.eval(), example(entry)))


@every_block
def test_a_block_can_be_sent_to_another_process(entry, call):
    module = build(entry, call).eval()

    assert torch.equal(run(pickle.loads(pickle.dumps(module)), example(entry)), run(module, example(entry)))


@every_block
def test_a_block_can_be_built_and_run_without_memory(entry, call):
    with torch.device("meta"):
        module = build(entry, call)
        x = torch.empty(2, CHANNELS, 16, 16)
        y = module(x)

        assert y.shape == expected_shape(entry, call, x, y)


@every_block
def test_half_the_bits_give_about_the_same_output_and_finite_gradients(entry, call):
    module = stirred(entry, call)
    x = example(entry, height=8, width=8).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = run(module, x)
    (y.float() + 0 * x.sum()).square().sum().backward()
    expected = run(stirred(entry, call), x)

    assert (y.float() - expected).norm() <= 0.05 * expected.norm() + 1e-6
    assert all(grad.isfinite().all() for grad in (x.grad, *(p.grad for p in module.parameters())) if grad is not None)


@every_block
@pytest.mark.parametrize("is_training", [True, False])
def test_several_seeds_run_side_by_side_under_vmap_or_the_block_says_that_they_do_not(entry, call, is_training):
    modules = [stirred(entry, call).train(is_training) for _ in range(2)]
    with torch.no_grad():
        for parameter in modules[1].parameters():
            parameter.mul_(1.1)
    parameters, buffers = stack_module_state(modules)
    shell = copy.deepcopy(modules[0]).to("meta")
    x = torch.stack([example(entry, height=8, width=8), example(entry, height=8, width=9)[..., :8] + 1])

    def one(parameters, buffers, x):
        return functional_call(shell, (parameters, buffers), (x.clone(),))

    if entry.facts.get("vmap", True):
        together = vmap(one, randomness="different")(parameters, buffers, x)
        if not entry.facts.get("stochastic", False):
            alone = torch.stack([run(module, part) for module, part in zip(modules, x, strict=True)])
            torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    else:
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever torch says; a block that runs must not say it does not
            vmap(one, randomness="different")(parameters, buffers, x)


@pytest.mark.slow
@every_block
def test_a_block_compiles_as_one_graph_or_says_that_it_does_not(entry, call):
    torch.compiler.reset()
    module, x = stirred(entry, call).eval(), example(entry, height=8, width=8)
    compiled = torch.compile(module, backend="eager", fullgraph=True)

    if entry.facts.get("compile", True):
        torch.testing.assert_close(run(compiled, x), run(module, x))
    else:
        with pytest.raises(Exception):  # noqa: B017, PT011 - as above
            run(compiled, x)


@every_block
def test_an_option_that_does_not_exist_is_refused(entry, call):
    with pytest.raises(TypeError, match="no_such_option"):
        entry.load()(*CALLS[entry.slot][call][0], no_such_option=1)


def test_no_slot_of_the_catalogue_is_left_out_here():
    assert set(CATALOGUE.slots()) == {*CALLS, "network"}
