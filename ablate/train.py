"""The only training loop: a generator of progress that can be closed, and taken up again from any epoch."""

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from ablate.errors import DivergedError
from ablate.seeding import generator, reseed
from ablate.study import Recipe
from ablate.tasks import classification
from ablate.tasks.classification import Samples


@dataclass(frozen=True)
class Progress:
    """What is known after an epoch.

    Attributes:
        epoch: epochs done.
        scores: by name; those of the last epoch are the trial's.
        state: what `resume` takes to go on from here; it changes when training goes on, so copy it to keep it.
    """

    epoch: int
    scores: Mapping[str, float]
    state: Mapping[str, Any]


def train(
    network: nn.Module,
    data: Samples,
    recipe: Recipe,
    seed: int,
    resume: Mapping[str, Any] | None = None,
    *,
    precision: str = "fp32",
) -> Iterator[Progress]:
    """Train a network on data, and yield after each epoch.

    The order of the images, their augmentation and every draw inside `forward` depend on the seed and the epoch alone.

    Args:
        network: (batch, channels, height, width) → (batch, classes), on the device of the data.
        data: what to train and test on.
        recipe: how.
        seed: the replicate.
        resume: the state of a former progress, to go on from.
        precision: fp32, or bf16 for mixed precision.

    Raises:
        DivergedError: if the loss of an epoch is not finite.
    """
    optimizer = _optimizer(network, recipe)
    done = 0
    if resume is not None:
        network.load_state_dict(resume["network"])
        optimizer.load_state_dict(deepcopy(resume["optimizer"]))  # it would go on with the very tensors given
        done = resume["epoch"]
    for epoch in range(done, recipe.epochs):
        reseed(seed, "forward", epoch)
        train_loss = _epoch(network, data, recipe, optimizer, seed, epoch, _casting(precision, data))
        if not math.isfinite(train_loss):
            raise DivergedError(f"the training loss became {train_loss} in epoch {epoch + 1} of {recipe.epochs}")
        with _casting(precision, data):
            scores = {**classification.evaluate(network, data), "train-loss": train_loss}
        state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch + 1}
        yield Progress(epoch + 1, scores, state)


def _epoch(
    network: nn.Module,
    data: Samples,
    recipe: Recipe,
    optimizer: Optimizer,
    seed: int,
    epoch: int,
    casting: AbstractContextManager[Any],
) -> float:
    """Train one epoch and return its mean loss."""
    network.train()
    n = len(data.train_targets)
    order = torch.randperm(n, generator=generator(seed, "order", epoch)).to(data.train_targets.device)
    rng = generator(seed, "augmentation", epoch)
    steps = math.ceil(n / recipe.batch)
    total = torch.zeros((), device=order.device)
    for step, chosen in enumerate(torch.split(order, recipe.batch)):
        rate = recipe.learning_rate * _schedule(recipe, epoch + step / steps, 1 / steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        inputs = data.train_inputs[chosen]
        if recipe.augment != "none":
            inputs = classification.augment(inputs, recipe, rng)
        with casting:
            loss = classification.loss(network(inputs), data.train_targets[chosen], recipe)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += loss.detach() * len(chosen)  # read once an epoch: reading a loss makes a GPU wait
    return total.item() / n


def _schedule(recipe: Recipe, epoch: float, step: float) -> float:
    """Return the share of the peak learning rate at a point in time, in epochs."""
    if epoch < recipe.warmup:
        return (epoch + step) / recipe.warmup
    if recipe.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (epoch - recipe.warmup) / (recipe.epochs - recipe.warmup)))


def _optimizer(network: nn.Module, recipe: Recipe) -> Optimizer:
    rate, decay = recipe.learning_rate, recipe.weight_decay
    match recipe.optimizer:
        case "sgd":
            momentum = recipe.filled().momentum or 0.0
            return SGD(network.parameters(), lr=rate, momentum=momentum, weight_decay=decay, fused=True)
        case "adam":
            return Adam(network.parameters(), lr=rate, weight_decay=decay, fused=True)
        case "adamw":
            return AdamW(network.parameters(), lr=rate, weight_decay=decay, fused=True)


def _casting(precision: str, data: Samples) -> AbstractContextManager[Any]:
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(data.train_inputs.device.type, dtype=torch.bfloat16)
