"""Setting → network; every setting tried out before anything trains."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ablate.design import Plan
from ablate.study import Setting, Study
from blocks import catalogue

PROBE_BATCH = 4


def network(study: Study, setting: Setting, *, in_channels: int, n_classes: int) -> nn.Module:
    """Build the network of a setting: (batch, in_channels, height, width) → (batch, n_classes).

    Raises:
        ValueError: if a block cannot be built so, in the block's own words.
    """
    known = catalogue.read("blocks", "ablate.data", "ablate.tasks")
    entry = known.find("network", str(study.network.name))
    arguments: dict[str, Any] = dict(study.network.options)
    for slot, choice in setting.choices:
        if slot in entry.slots:
            arguments[slot] = partial(known.find(slot, str(choice.name)).load(), **dict(choice.options))
        elif slot in entry.options:
            arguments[slot] = choice.name
    built: nn.Module = entry.load()(in_channels, n_classes, **arguments)
    return built


def signature(network: nn.Module) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return the names and shapes of all tensors: networks that differ in them are no candidates for an inert pair."""
    return tuple((name, tuple(tensor.shape)) for name, tensor in network.state_dict().items())


def inert_pairs(networks: Mapping[str, Callable[[], nn.Module]], shape: Sequence[int]) -> list[tuple[str, str]]:
    """Return the pairs of settings that compute the same function of the same parameters.

    All tensors of a pair are filled with the same random values, so that a branch that starts at zero cannot hide what
    it does; then both see the same batch, in training and in evaluation.

    Args:
        networks: for each label, what builds its network; all of one signature.
        shape: of one input (channels, height, width).
    """
    answers = {label: _answers(build(), shape) for label, build in networks.items()}
    return [
        (first, second)
        for first, second in combinations(answers, 2)
        if all(_same(a, b) for a, b in zip(answers[first], answers[second], strict=True))
    ]


def _answers(module: nn.Module, shape: Sequence[int]) -> list[Tensor]:
    """Return what a network says to one batch when its tensors hold values that depend on their order alone."""
    rng = Generator().manual_seed(0)
    module = module.double()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in module.parameters():
            fan_in = max(1, parameter.numel() // max(1, parameter.shape[0] if parameter.dim() else 1))
            noise = torch.randn(parameter.shape, generator=rng, dtype=torch.float64)
            parameter.copy_(noise / fan_in**0.5 + (1.0 if parameter.dim() == 1 else 0.0))
        batch = torch.randn((PROBE_BATCH, *shape), generator=rng, dtype=torch.float64)
        return [module.train()(batch), module.eval()(batch)]


def _same(first: Tensor, second: Tensor) -> bool:
    """Tell whether two answers agree up to the rounding of another order of summation."""
    return bool((first - second).abs().max() <= 1e-9 * (1e-12 + first.abs().max()))


def starts(study: Study, plan: Plan, setting: Setting, *, in_channels: int, n_classes: int) -> list[partial[nn.Module]]:
    """Return what builds the networks whose starting tensors a setting shares, the reference first, itself last."""
    chain = plan.start_of(setting)
    return [partial(network, study, other, in_channels=in_channels, n_classes=n_classes) for other in chain]
