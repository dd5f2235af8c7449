"""Setting → network; every setting tried out before anything trains."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import combinations, product
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
    """Return the pairs of settings that compute the same function of the same parameters, or of renamed channels.

    All tensors of a pair are filled with the same random values, so that a branch that starts at zero cannot hide what
    it does; then both see the same batch, in training and in evaluation. A network that permutes channels answers twice:
    the second time each permutation is undone in the parameters around it as far as can be, because one that only gives
    other names to the channels that a dense convolution makes or reads changes nothing. As these are the same values in
    another order, equal answers are never by mistake.

    Args:
        networks: for each label, what builds its network; all of one signature.
        shape: of one input (channels, height, width).
    """
    answers = {label: _answers(build().double(), shape) for label, build in networks.items()}
    return [
        (first, second)
        for first, second in combinations(answers, 2)
        if any(_same(a, b) for a, b in product(answers[first], answers[second]))
    ]


def fill(module: nn.Module, rng: Generator) -> None:
    """Give all parameters random values of a usual scale, gains around one, that depend on their order alone."""
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = max(1, parameter.numel() // max(1, parameter.shape[0] if parameter.dim() else 1))
            noise = torch.randn(parameter.shape, generator=rng, dtype=torch.float64)
            parameter.copy_(noise / fan_in**0.5 + (1.0 if parameter.dim() == 1 else 0.0))


def _answers(module: nn.Module, shape: Sequence[int]) -> list[Tensor]:
    """Return what a network says to one batch, and what it says without the permutations that can be undone."""
    rng = Generator().manual_seed(0)
    fill(module, rng)
    batch = torch.randn((PROBE_BATCH, *shape), generator=rng, dtype=torch.float64)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        calls = _calls(module, batch[:1])
        left = {i: call.order for i, call in enumerate(calls) if call.order is not None}
        if not left:
            return [_answer(module, batch)]
        as_built = _answer(copy.deepcopy(module), batch)
        for onward in (True, False):  # first the one beyond which no other is undone
            sequence = sorted(left.items(), reverse=onward)
            left = {i: order for i, order in sequence if not _undo(module, batch[:1], calls, i, order, onward=onward)}
        return [as_built, _answer(module, batch)]


def _answer(module: nn.Module, batch: Tensor) -> Tensor:
    """Return the outputs in training and then in evaluation."""
    torch.manual_seed(0)
    return torch.stack([module.train()(batch), module.eval()(batch)])


def _same(first: Tensor, second: Tensor) -> bool:
    """Tell whether two answers agree up to the rounding of another order of summation."""
    gaps, sizes = (first - second).abs().flatten(1).amax(1), first.abs().flatten(1).amax(1)
    return bool((gaps <= 1e-9 * (1e-12 + sizes)).all())


# A map by its shape and values: it stays itself where a block copies it or adds nothing to it.
_Map = tuple[tuple[int, ...], int]


@dataclass(frozen=True)
class _Call:
    """One use of a module that has no modules inside."""

    part: nn.Module
    source: _Map
    target: _Map

    @property
    def groups(self) -> int:
        """Of channels, dimension 1, that are mixed among themselves; 0 where each channel stays itself."""
        if isinstance(self.part, nn.Conv2d):
            return self.part.groups
        return int(isinstance(self.part, nn.Linear) and len(self.source[0]) == 2)  # not of tokens

    @cached_property
    def order(self) -> Tensor | None:
        """Which input channel each output channel is, if a module without parameters only reorders them."""
        shape = self.source[0]
        if [*self.part.parameters()] or shape != self.target[0] or len(shape) != 4:  # (batch, channels, height, width)
            return None
        channels = torch.arange(shape[1], dtype=torch.float64).view(1, -1, 1, 1)
        reordered: Tensor = self.part(channels.expand(shape).clone())
        order = reordered[0, :, 0, 0].argsort().argsort()  # 0, 1, … whatever the values are
        return order if torch.equal(reordered, channels[:, order].expand(shape)) and not _is_identity(order) else None


def _is_identity(order: Tensor) -> bool:
    return torch.equal(order, torch.arange(len(order)))


def _map(x: Tensor) -> _Map:
    return tuple(x.shape), hash(x.detach().numpy().tobytes())


def _calls(module: nn.Module, batch: Tensor) -> list[_Call]:
    """Return the uses of modules in the order in which an evaluation comes to them."""
    calls: list[_Call] = []
    given: dict[nn.Module, _Map] = {}

    def before(part: nn.Module, inputs: tuple[Any, ...]) -> None:
        if inputs and isinstance(inputs[0], Tensor):
            given[part] = _map(inputs[0])  # now, because an activation may overwrite its input

    def after(part: nn.Module, _: tuple[Any, ...], output: object) -> None:
        if part in given and isinstance(output, Tensor):
            calls.append(_Call(part, given[part], _map(output)))

    leaves = [part for part in module.modules() if not [*part.children()]]
    hooks = [leaf.register_forward_pre_hook(before) for leaf in leaves]
    hooks += [leaf.register_forward_hook(after) for leaf in leaves]
    module.eval()(batch)
    for hook in hooks:
        hook.remove()
    return [call for call in calls if call.source != call.target]


def _undo(module: nn.Module, batch: Tensor, calls: Sequence[_Call], i: int, order: Tensor, *, onward: bool) -> bool:
    """Reorder parameters after or before permutation i so that the network evaluates as without it; tell whether it can be."""
    leave_out = calls[i].part.register_forward_hook(lambda _part, inputs, _output: inputs[0])
    without = module(batch)
    leave_out.remove()
    further = calls[i + 1 :] if onward else calls[:i][::-1]
    at, names = (calls[i].target, order) if onward else (calls[i].source, order.argsort())
    route = _route(further, at, names, onward=onward)
    for call, given, made in route:
        _reorder(call, given, made)
    if _same(module(batch), without):
        return True
    for call, given, made in route[::-1]:
        _reorder(call, given.argsort(), made.argsort())
    return False


def _route(calls: Sequence[_Call], at: _Map, names: Tensor, *, onward: bool) -> list[tuple[_Call, Tensor, Tensor]]:
    """Return which modules to reorder, with the names of the channels that each is given and makes.

    Channel i of a map with names is the one that was names[i]. They go from module to module until one mixes all
    channels: it can make any names of any others. A way that ends elsewhere shows in what the network evaluates to.

    Args:
        calls: the ones from here on, or the ones until here, the nearest first.
        at: the map with names.
        names: of its channels.
        onward: to what is given the map, not back to what makes it.
    """
    route = []
    for i, call in enumerate(calls if not _is_identity(names) else ()):
        here, there = (call.source, call.target) if onward else (call.target, call.source)
        beyond = _across(call, names, there[0], onward=onward) if here == at else None
        if beyond is not None:
            route.append((call, names, beyond) if onward else (call, beyond, names))
            route += _route(calls[i + 1 :], there, beyond, onward=onward)
    return route


def _across(call: _Call, names: Tensor, shape: Sequence[int], *, onward: bool) -> Tensor | None:
    """Return the names on the other side of a module, of a map of this shape; None if groups are torn apart."""
    if call.order is not None:
        order = call.order if onward else call.order.argsort()
        return order.argsort()[names[order]]
    if not call.groups:
        return names if shape[1:2] == (len(names),) else None
    group = names.view(call.groups, -1) // (len(names) // call.groups)
    size = shape[1] // call.groups
    is_torn = bool((group != group[:, :1]).any())
    return None if is_torn else (group[:, :1] * size + torch.arange(size)).flatten()


def _reorder(call: _Call, given: Tensor, made: Tensor) -> None:
    """Reorder the parameters of a module for other names of the channels that it is given and makes."""
    for tensor in call.part.parameters():
        if call.groups and tensor.dim() > 1:
            columns = (given % tensor.shape[1]).view(call.groups, -1)  # (groups, inputs of each)
            tensor.copy_(tensor[made[:, None], columns.repeat_interleave(len(made) // call.groups, 0)])
        elif tensor.shape.count(len(made)) == 1:
            tensor.copy_(tensor.index_select(tensor.shape.index(len(made)), made))


def starts(study: Study, plan: Plan, setting: Setting, *, in_channels: int, n_classes: int) -> list[partial[nn.Module]]:
    """Return what builds the networks whose starting tensors a setting shares, the reference first, itself last."""
    chain = plan.start_of(setting)
    return [partial(network, study, other, in_channels=in_channels, n_classes=n_classes) for other in chain]
