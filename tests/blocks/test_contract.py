"""What every block in the catalogue keeps to; a new block is tested with no new line."""

import pickle

import pytest
import torch

from blocks.catalogue import read

CATALOGUE = read()
PAIRS = [pair for pair in CATALOGUE.pairs() if pair[0] in ("attention", "norm", "conv", "mix")]
CHANNELS = 32
every_block = pytest.mark.parametrize(("slot", "name"), PAIRS)


def build(slot, name):
    torch.manual_seed(0)
    make = CATALOGUE.find(slot, name).load()
    return make(CHANNELS, CHANNELS, 3) if slot == "conv" else make(CHANNELS)


def example(*, batch=2, height=7, width=5):
    return torch.randn(batch, CHANNELS, height, width, generator=torch.Generator().manual_seed(1))


@every_block
def test_the_shape_stays_at_odd_sizes_and_with_one_sample(slot, name):
    module = build(slot, name).eval()

    for x in (example(), example(batch=1), example(height=1, width=9), example(batch=1, height=8, width=8)):
        assert module(x).shape == x.shape


@every_block
def test_every_parameter_and_the_input_get_a_finite_gradient(slot, name):
    module = build(slot, name)
    x = example().requires_grad_()
    target = example(batch=3)[:2]

    (module(x) - target).square().sum().backward()

    assert x.grad.isfinite().all()
    assert [n for n, p in module.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    assert [n for n, p in module.named_parameters() if not p.grad.any()] == []


@every_block
def test_the_layout_in_memory_changes_nothing_and_channels_last_stay_last(slot, name):
    module = build(slot, name).eval()
    x = example(height=6, width=8)
    apart = torch.stack([x, x], dim=-1)[..., 0]  # every second value in memory
    last = x.contiguous(memory_format=torch.channels_last)

    assert not apart.is_contiguous()
    torch.testing.assert_close(module(apart), module(x))
    torch.testing.assert_close(module(last), module(x))
    assert module(last).is_contiguous(memory_format=torch.channels_last)


@every_block
def test_the_input_is_left_as_it_was(slot, name):
    x = example()

    build(slot, name)(x)

    assert torch.equal(x, example())


@every_block
def test_samples_do_not_see_each_other_at_evaluation(slot, name):
    module = build(slot, name).eval()
    x = example()
    changed = torch.stack([x[0], torch.full_like(x[1], 100.0)])

    torch.testing.assert_close(module(x)[0], module(changed)[0])


@every_block
def test_a_saved_state_gives_the_same_output_again(slot, name):
    module, other = build(slot, name), build(slot, name)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1)
    module(example())  # moves running averages

    other.load_state_dict(module.state_dict())

    assert torch.equal(module.eval()(example()), other.eval()(example()))


@every_block
def test_a_block_can_be_sent_to_another_process(slot, name):
    module = build(slot, name).eval()

    assert torch.equal(pickle.loads(pickle.dumps(module))(example()), module(example()))


@every_block
def test_a_block_can_be_built_and_run_without_memory(slot, name):
    with torch.device("meta"):
        module = build(slot, name)

        assert module(torch.empty(2, CHANNELS, 8, 8)).shape == (2, CHANNELS, 8, 8)


@every_block
def test_an_option_that_does_not_exist_is_refused(slot, name):
    arguments = (CHANNELS, CHANNELS, 3) if slot == "conv" else (CHANNELS,)

    with pytest.raises(TypeError):
        CATALOGUE.find(slot, name).load()(*arguments, no_such_option=1)
