"""What a network does as it starts that its scores would not tell: chance, parameters without effect, scale."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ablate.build import fill
from ablate.seeding import drawing, generator

FILLS = 8
NAMED = 4


@dataclass(frozen=True)
class Audit:
    """Findings about one network.

    Attributes:
        stochastic: whether two evaluations of the same weights differ.
        dead: name and number of elements of each tensor that could be trained and has no effect on the outputs in
            training, such as a bias before batch normalisation or a layer that is never called.
        n_parameters: that can be trained, dead ones among them.
        scale: the smallest and largest root mean square among the outputs of the modules with parameters of their own,
            in training, with the initial weights; infinite where they overflow. Outputs that are zero all over do not
            count: a branch that starts at nothing is meant to.
        logits: root mean square of the network's outputs.
    """

    stochastic: bool
    dead: tuple[tuple[str, int], ...]
    n_parameters: int
    scale: tuple[float, float]
    logits: float


def audit(module: nn.Module, inputs: Tensor) -> Audit:
    """Examine a network that has its initial weights on one batch; it stays as it is, random states too.

    A copy is examined, on the CPU, so that the device makes no difference. What it is found to do at random or without
    effect, it does with random weights, as a branch that starts at nothing would hide it.

    Args:
        module: the network.
        inputs: (batch, channels, height, width), a few real images; of fewer than four with maps of one pixel, batch
            normalisation may make rounding errors that look like effects.
    """
    cuda = [inputs.device] if inputs.is_cuda else []  # where `drawing` seeds too, and restores nothing
    with torch.random.fork_rng(cuda):
        twin, images = copy.deepcopy(module).cpu(), inputs.cpu()
        scales, logits = _scales(twin, images)
        twin, images = twin.double(), images.double()
        trainable = {name: tensor for name, tensor in twin.named_parameters() if tensor.requires_grad}
        return Audit(
            stochastic=_is_stochastic(twin, images),
            dead=tuple((name, trainable[name].numel()) for name in _dead(twin, images, trainable)),
            n_parameters=sum(tensor.numel() for tensor in trainable.values()),
            scale=(min(scales, default=logits), max(scales, default=logits)),
            logits=logits,
        )


def notes(label: str, found: Audit) -> list[str]:
    """Return what people should know about the network of a setting, one sentence each."""
    sentences = []
    if found.stochastic:
        sentences.append(f"{label!r}: evaluation draws random numbers: two evaluations of the same weights differ")
    if found.dead:
        largest = sorted(found.dead, key=lambda tensor: -tensor[1])
        named = ", ".join(f"{name} ({size:,})" for name, size in largest[:NAMED])
        more = f" and {len(largest) - NAMED} more" if len(largest) > NAMED else ""
        n_dead = sum(size for _, size in largest)
        sentences.append(f"{label!r}: {n_dead:,} of {found.n_parameters:,} parameters have no effect: {named}{more}")
    if math.isinf(max(*found.scale, found.logits)):
        sentences.append(f"{label!r}: activations overflow with the initial weights")
    return sentences


def _scales(module: nn.Module, images: Tensor) -> tuple[list[float], float]:
    """Return the root mean squares of the outputs of modules with parameters, but of zeros, and of the network."""
    scales: list[float] = []

    def note(_part: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and (scale := _root_mean_square(output)) > 0:
            scales.append(scale)

    parts = [part for part in module.modules() if [*part.parameters(recurse=False)]]
    hooks = [part.register_forward_hook(note) for part in parts]
    with torch.no_grad(), drawing(0, "scale"):
        logits = _root_mean_square(module.train()(images))
    for hook in hooks:
        hook.remove()
    return scales, logits


def _root_mean_square(x: Tensor) -> float:
    value = x.detach().double().square().mean().sqrt().item()
    return value if math.isfinite(value) else math.inf


def _is_stochastic(module: nn.Module, images: Tensor) -> bool:
    fill(module, generator(0, "evaluation"))
    module.eval()
    answers = []
    for seed in (0, 1):
        with torch.no_grad(), drawing(seed, "evaluation"):
            answers.append(module(images))
    return bool((answers[0] - answers[1]).abs().max() > 1e-9 * answers[0].abs().max())


def _dead(module: nn.Module, images: Tensor, trainable: Mapping[str, Tensor]) -> list[str]:
    """Return the names of tensors without effect: under some values a unit is never active, so several are tried.

    A gradient that is zero but for rounding is told from a small one by taking it again of a third of the function, for
    images that differ in the ninth digit: rounding errors become others, a gradient a third.
    """
    left = dict(trainable)
    for trial in range(FILLS):
        fill(module, generator(trial, "dead"))
        first = _gradients(module, images, left, trial)
        second = _gradients(module, images * (1 + 1e-9), left, trial, share=1 / 3)
        left = {name: left[name] for name, a, b in zip(left, first, second, strict=True) if not _has_effect(a, b)}
        if not left:
            break
    return [*left]


def _gradients(
    module: nn.Module, images: Tensor, tensors: Mapping[str, Tensor], trial: int, *, share: float = 1.0
) -> tuple[Tensor | None, ...]:
    """Return the gradients of a random linear function of the outputs in training."""
    with drawing(trial, "dead"):
        outputs = module.train()(images)
        direction = torch.randn_like(outputs)
    if not outputs.requires_grad:
        return (None,) * len(tensors)
    return torch.autograd.grad(outputs, [*tensors.values()], direction * share, allow_unused=True)


def _has_effect(first: Tensor | None, second: Tensor | None) -> bool:
    if first is None or second is None:
        return False
    size, gap = first.norm(), (first - 3 * second).norm()
    return bool(size > 0) and not bool(gap > 1e-3 * size)  # so that an overflow is an effect
