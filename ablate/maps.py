"""What a trained network makes of images inside: the maps of one layer."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isqrt
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ablate.seeding import drawing, generator

SIDE = 4  # pixels: a smaller map says little about where in an image something is
PLAIN = (str, int, float, tuple, list, dict, type(None), type, FunctionType, BuiltinFunctionType)

Array = NDArray[Any]
Size = tuple[int, int]


@dataclass(frozen=True)
class Maps:
    """What a network answers to images, and what one of its layers makes of them, (image, height, width) each.

    Attributes:
        answers: the class of each image, (image,).
        energy: the mean over the channels of the squared output, as a multiple of its mean over the map.
        cam: Grad-CAM for the images' own classes, as a share of its largest value in each map.
        gate: the size of the output over that of the input; None where the layer does not weigh its input.
    """

    answers: Array
    energy: Array
    cam: Array
    gate: Array | None


def layers(network: nn.Module, images: Tensor) -> dict[str, Size]:
    """Return the modules whose output is a map, and its height and width, in the order in which they end."""
    found: dict[str, Size] = {}

    def note(name: str, output: object) -> None:
        folded = _folded(output, len(images))
        found.pop(name, None)  # of a module that is used twice the last use counts
        if folded is not None:
            height, width = folded.shape[2:]
            found[name] = (height, width)

    with torch.no_grad(), drawing(0, "maps"), _hooks(network, note):
        network.eval()(images)
    return found


def default(
    networks: Sequence[nn.Module], known: Mapping[str, Size], *, slots: Collection[str] = ()
) -> tuple[str, str]:
    """Return the last of the known layers that the networks do not have in common, and how it was chosen.

    Where all are alike it is the last; one with a map of several pixels is preferred.

    Args:
        networks: two, or one alone.
        known: the layers with maps, in the order in which they end.
        slots: what is filled otherwise; a module of such a name is shown as a whole, whatever differs inside.
    """
    differing = set().union(*(_differing(networks[0], other) for other in networks[1:]))
    apart = {_slot_of(name, slots) for name in differing}
    unlike = [name for name in known if name in apart]
    found = unlike or [*known]
    large = [name for name in found if min(known[name]) >= SIDE]
    why = f"the last{' in which they differ' if unlike else ''}{f' of {SIDE}×{SIDE} pixels or more' if large else ''}"
    return (large or found)[-1], why


def maps(network: nn.Module, layer: str, images: Tensor, targets: Tensor) -> Maps:
    """Return what a layer makes of images: (image, channel, height, width), (image,).

    Selvaraju et al., Grad-CAM, ICCV 2017, arXiv:1610.02391: the channels of a layer, weighted by the mean gradient of
    a class's logit with respect to them, summed, and cut off at zero.
    """
    module = network.get_submodule(layer)
    kept: dict[str, Tensor] = {}

    def before(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        if len(inputs) == 1 and isinstance(inputs[0], Tensor):
            kept["input"] = inputs[0].detach().clone()  # what comes later may overwrite it, and the output

    def after(_: nn.Module, __: object, output: Tensor) -> Tensor:
        kept["output"] = output.clone()
        return kept["output"].clone()

    handles = [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    with torch.enable_grad(), drawing(0, "maps"):
        logits = network.eval()(images)
        own = logits.gather(1, targets[:, None]).sum()
        (gradient,) = torch.autograd.grad(own, kept["output"], allow_unused=True, materialize_grads=True)
    for handle in handles:
        handle.remove()
    with torch.no_grad(), drawing(0, "maps"):
        output, slope = (_map(kept["output"].detach(), len(images)), _map(gradient, len(images)))
        cam = (slope.mean((2, 3), keepdim=True) * output).sum(1).relu()
        return Maps(
            logits.argmax(1).numpy(),
            _relative(output.square().mean(1), "mean"),
            _relative(cam, "max"),
            _gate(module, kept.get("input"), kept["output"].detach()),
        )


def _gate(module: nn.Module, given: Tensor | None, made: Tensor) -> Array | None:
    """Return |output| / |input| at each pixel of a module that multiplies its input; None for any other."""
    if given is None or given.shape != made.shape or torch.equal(given, made):
        return None
    # Whatever the factors are, what is zero stays zero.
    mask = torch.rand(given.shape, generator=generator(0, "gate")) < 0.5
    if module(given * mask)[~mask].any():
        return None
    sizes = [_map(x, len(x)).square().sum(1).sqrt().double() for x in (made, given)]
    return np.asarray((sizes[0] / sizes[1]).numpy())  # 0 / 0, of an input that is zero there, is drawn as missing


def _relative(energy: Tensor, to: str) -> Array:
    """Return maps as multiples of their mean or maximum; one that is zero all over stays so."""
    flat = energy.double().flatten(1)
    whole = flat.mean(1) if to == "mean" else flat.amax(1)
    return np.asarray((energy.double() / whole.where(whole > 0, 1.0)[:, None, None]).numpy())


def _map(x: Tensor, n_images: int) -> Tensor:
    folded = _folded(x, n_images)
    assert folded is not None  # noqa: S101  # only layers with maps are asked for
    return folded


def _folded(x: object, n_images: int) -> Tensor | None:
    """Return a map as (image, channel, height, width), from tokens of a square too; None if it is none."""
    if not isinstance(x, Tensor) or x.dim() not in (3, 4) or len(x) != n_images:
        return None
    if x.dim() == 4 and min(x.shape[2:]) > 1:
        return x
    if x.dim() == 4 and x.shape[3] != 1:
        return None
    tokens = x.squeeze(3) if x.dim() == 4 else x.transpose(1, 2)  # (image, channel, token)
    side = isqrt(tokens.shape[2])
    if side < 2 or tokens.shape[2] - side**2 not in (0, 1):
        return None
    return tokens[:, :, -(side**2) :].reshape(*tokens.shape[:2], side, side)  # a class token stands first


def _slot_of(name: str, slots: Collection[str]) -> str:
    parts = name.split(".")
    return ".".join(parts[: next((i for i, part in enumerate(parts, 1) if part in slots), len(parts))])


def _differing(first: nn.Module, second: nn.Module) -> set[str]:
    """Return the outermost modules that are made differently, or in one network alone; the whole is none of them."""
    ones, others = dict(first.named_modules()), dict(second.named_modules())
    found: set[str] = set()
    for name in {**ones, **others}:  # outer modules come before those inside
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if name and not inside and _made(ones.get(name)) != _made(others.get(name)):
            found.add(name)
    return found


def _made(module: nn.Module | None) -> object:
    """Return how a module is made, but for the modules inside: its type, options and shapes."""
    if module is None:
        return None
    options = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, PLAIN) and not name.startswith("_") and name != "training"
    }
    own = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    return type(module), options, [(name, tensor.shape) for name, tensor in own]


@contextmanager
def _hooks(network: nn.Module, note: Any) -> Iterator[None]:
    def of(name: str) -> Any:
        return lambda _module, _inputs, output: note(name, output)

    handles = [module.register_forward_hook(of(name)) for name, module in network.named_modules() if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
