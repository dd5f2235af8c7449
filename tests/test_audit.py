"""Chance in evaluation, parameters without effect, and the scale of a network as it starts."""

import copy
import math
import random
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from ablate.audit import Audit, audit, notes
from blocks import catalogue

CATALOGUE = catalogue.read()
NETWORK = CATALOGUE.find("network", "resnet")


def images(channels=3, side=6):
    return torch.randn(4, channels, side, side, generator=torch.Generator().manual_seed(0))


def head(channels=8):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 2))


def conv(*, bias=True, source=3):
    return nn.Conv2d(source, 8, 3, padding=1, bias=bias)


class Gated(nn.Module):
    """Add what a branch makes of the input, times a gain that starts at nothing."""

    def __init__(self, branch):
        super().__init__()
        self.branch = branch
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x + self.gain * self.branch(x)


class Unused(nn.Module):
    """Hold a layer that is never called."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 5)

    def forward(self, x):
        return x


class Attend(nn.Module):
    """Average pixels by a softmax, from which a bias cancels."""

    def __init__(self):
        super().__init__()
        self.score = nn.Conv2d(3, 1, 1)

    def forward(self, x):
        return (x * self.score(x).flatten(2).softmax(2).view(len(x), 1, *x.shape[2:])).sum((2, 3), keepdim=True)


# Parameters without effect


@pytest.mark.parametrize(
    ("network", "dead"),
    [
        (lambda: nn.Sequential(conv(), nn.BatchNorm2d(8), nn.ReLU(), head()), [("0.bias", 8)]),
        (lambda: nn.Sequential(conv(bias=False), nn.BatchNorm2d(8), nn.ReLU(), head()), []),
        (lambda: nn.Sequential(conv(), nn.InstanceNorm2d(8), nn.ReLU(), head()), [("0.bias", 8)]),
        (lambda: nn.Sequential(conv(), nn.GroupNorm(2, 8), nn.ReLU(), head()), []),
        (lambda: nn.Sequential(Unused(), conv(), head()), [("0.layer.weight", 15), ("0.layer.bias", 5)]),
        (lambda: nn.Sequential(Attend(), conv(), head()), [("0.score.bias", 1)]),
        (lambda: nn.Sequential(Gated(lambda x: 0 * x), conv(), head()), [("0.gain", 1)]),
        (Unused, [("layer.weight", 15), ("layer.bias", 5)]),
        (lambda: head(3), []),
    ],
)
def test_tensors_that_can_be_trained_but_change_no_output_are_named(network, dead):
    found = audit(network(), images())

    assert found.dead == tuple(dead)
    assert found.n_parameters == sum(tensor.numel() for tensor in network().parameters())


@pytest.mark.parametrize("n_images", [2, 4, 16])
def test_a_bias_before_batch_normalisation_has_no_effect_however_its_gradient_is_rounded(n_images):
    network = nn.Sequential(conv(), nn.BatchNorm2d(8), head(), nn.Linear(2, 7), nn.BatchNorm1d(7), nn.ReLU())
    inputs = torch.randn(n_images, 3, 5, 5, generator=torch.Generator().manual_seed(1))

    assert audit(network, inputs).dead == (("0.bias", 8), ("1.bias", 8), ("2.2.bias", 2), ("3.bias", 7))


@pytest.mark.parametrize("n_images", [2, 4, 16])
def test_a_bias_that_passes_through_a_convolution_to_batch_normalisation_has_no_effect(n_images):
    inner = [nn.Conv2d(8, 8, 1, groups=8, bias=False), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1, bias=False)]
    first = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8))
    network = nn.Sequential(*first, *inner, nn.BatchNorm2d(8), nn.ReLU(), head())
    inputs = torch.randn(n_images, 3, 5, 5, generator=torch.Generator().manual_seed(0))

    assert audit(network, inputs).dead == (("2.bias", 8), ("4.bias", 8))


def test_a_branch_that_starts_at_nothing_has_an_effect():
    branch = nn.Sequential(conv(source=8), nn.GroupNorm(1, 8))
    nn.init.zeros_(branch[1].weight)
    network = nn.Sequential(conv(), Gated(branch), head())
    nn.init.zeros_(network[2][2].weight)

    assert audit(network, images()).dead == ()


def test_units_that_some_values_switch_off_have_an_effect():
    narrow = [Gated(nn.Sequential(nn.Conv2d(8, 1, 1), nn.ReLU(), nn.Conv2d(1, 8, 1))) for _ in range(12)]

    assert audit(nn.Sequential(conv(), *narrow, head()), images()).dead == ()


def test_a_gradient_that_is_only_small_is_an_effect():
    class Faint(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, x):
            return x.mean((2, 3)) * (1 + 1e-12 * self.weight)

    assert audit(Faint(), images()).dead == ()


def test_a_dropped_branch_has_an_effect_although_one_training_step_may_not_show_it():
    class Sometimes(Gated):
        def forward(self, x):
            return super().forward(x) if torch.rand(()) < 0.5 or not self.training else x

    assert audit(nn.Sequential(conv(), *(Sometimes(conv(source=8)) for _ in range(3)), head()), images()).dead == ()


def test_what_is_frozen_is_neither_counted_nor_named():
    network = nn.Sequential(conv(), nn.BatchNorm2d(8), head())
    network[0].requires_grad_(requires_grad=False)

    found = audit(network, images())

    assert (found.dead, found.n_parameters) == ((), 16 + 18)


def test_a_network_without_parameters_has_none_that_are_dead():
    assert audit(nn.Flatten(), images()) == Audit(
        stochastic=False, dead=(), n_parameters=0, scale=(pytest.approx(1, abs=0.1),) * 2, logits=pytest.approx(1, abs=0.1)
    )  # fmt: skip


DEAD = {  # biases that a softmax or the normalisation behind them takes away, as in the papers' code
    "camixer": ["key.bias"],
    "coordinate": ["reduce.bias"],
    "danet": ["parts.position.key.bias"],
    "non-local": ["phi.bias", "g.bias", "project.bias"],
}


@pytest.mark.parametrize("name", CATALOGUE.names("attention"))
def test_the_attentions_of_the_catalogue_have_no_other_parameters_without_effect(name):
    fitting = {"window": {"window": 4}, "safm": {"levels": 2}, "camixer": {"window": 4}}
    make = partial(CATALOGUE.find("attention", name).load(), **fitting.get(name, {}))
    network = NETWORK.load()(1, 4, depth=4, width=32, stages=1, attention=make)

    found = audit(network, images(1, 8))

    assert [tensor for tensor, _ in found.dead] == [f"stages.0.0.attention.{tensor}" for tensor in DEAD.get(name, [])]
    assert not found.stochastic


# Chance in evaluation


def torchs(x):
    return functional.dropout(x, 0.5)


def numpys(x):
    return x * np.random.rand()  # noqa: NPY002  # the global state is what is looked for


def pythons(x):
    return x * random.random()


class Draw(nn.Module):
    """Draw random numbers, in evaluation too."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, x):
        return self.how(x)


@pytest.mark.parametrize("how", [torchs, numpys, pythons])
def test_evaluation_that_draws_is_found_in_a_branch_that_starts_at_nothing_too(how):
    plain = nn.Sequential(conv(), Draw(how), head())
    hidden = nn.Sequential(conv(), Gated(Draw(how)), head())

    assert (audit(plain, images()).stochastic, audit(hidden, images()).stochastic) == (True, True)


def test_training_that_draws_is_no_evaluation_that_draws():
    assert not audit(nn.Sequential(conv(), nn.Dropout(0.5), head()), images()).stochastic


# Scale


def linear(*rows):
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    layer.weight.data = torch.tensor(rows)
    return layer


def test_scales_are_those_of_the_initial_weights():
    # (3, 4) → (6, 8), rms √50 → 6 · 0.5 − 8 · 0.25 = 1 → (0, 0), not counted → 0
    network = nn.Sequential(linear([2.0, 0.0], [0.0, 2.0]), linear([0.5, -0.25]), linear([0.0], [0.0]))

    found = audit(network, torch.tensor([[3.0, 4.0], [3.0, 4.0]]))

    assert (found.scale, found.logits) == ((pytest.approx(1), pytest.approx(50**0.5)), 0)


def test_scales_are_those_of_training():
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(1))

    found = audit(network, torch.tensor([[[[100.0]]], [[[300.0]]]]))

    assert (found.scale, found.logits) == ((pytest.approx(1), pytest.approx(1)), pytest.approx(1))


def test_an_overflow_is_infinite():
    network = nn.Sequential(linear([1e30]), linear([1e30], [1e30]), linear([1.0, -1.0]))  # ∞ − ∞ at last

    found = audit(network, torch.ones(2, 1))

    assert (found.scale, found.logits) == ((pytest.approx(1e30), math.inf), math.inf)
    assert notes("x", found) == ["'x': activations overflow with the initial weights"]


# What is left alone


def test_the_network_and_the_random_states_stay_as_they_were():
    network = nn.Sequential(conv(), nn.BatchNorm2d(8), nn.Dropout(), head()).to(memory_format=torch.channels_last)
    network[1].eval()
    inputs = images().contiguous(memory_format=torch.channels_last)
    before = copy.deepcopy(network.state_dict()), inputs.clone(), [part.training for part in network.modules()]
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002

    audit(network, inputs)

    after = network.state_dict()
    assert all(
        torch.equal(tensor, after[name]) and tensor.dtype == after[name].dtype for name, tensor in before[0].items()
    )
    assert torch.equal(inputs, before[1])
    assert [part.training for part in network.modules()] == before[2]
    assert all(
        tensor.grad is None and not part._forward_hooks for part in network.modules() for tensor in part.parameters()
    )
    assert torch.equal(states[0], torch.get_rng_state())
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    assert states[2] == random.getstate()


def test_an_audit_is_the_same_every_time():
    network = nn.Sequential(conv(), nn.BatchNorm2d(8), nn.Dropout(), head())
    first = audit(network, images())
    torch.manual_seed(1)

    assert audit(network, images()) == first


# Sentences


def test_notes_are_sentences_for_people():
    found = Audit(
        stochastic=True,
        dead=(("a", 4), ("b", 1000), ("c", 2), ("d", 3), ("e", 10), ("f", 5)),
        n_parameters=77_754,
        scale=(0.1, 2.0),
        logits=0.3,
    )

    assert notes("mix=x", found) == [
        "'mix=x': evaluation draws random numbers: two evaluations of the same weights differ",
        "'mix=x': 1,024 of 77,754 parameters have no effect: b (1,000), e (10), f (5), a (4) and 2 more",
    ]


def test_a_network_with_nothing_to_say_about_has_no_notes():
    assert notes("x", Audit(stochastic=False, dead=(), n_parameters=3, scale=(0.1, 2.0), logits=0.0)) == []
