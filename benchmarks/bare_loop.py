"""The trials of `studies/attention.yml` or `studies/fashion.yml` without any tool: what a careful person writes by hand.

python benchmarks/bare_loop.py attention 25
python benchmarks/bare_loop.py fashion 30

Two spawned processes with one torch thread each take the next trial as soon as they are free (a dynamic split). Same
network, data, split and recipe as the study: ResNet-8 of width 16 in batches of 64, SGD with momentum 0.9, weight decay
0.0005 and a cosine from 0.1 per step, channels last, flips of a whole batch at once where the study has them, accuracy
on the test images after every epoch. The trials cycle over the settings, then over seeds. Nothing is recorded: each
accuracy is printed, then a line of JSON with the times.

Choices that were measured, the faster one is here: the fused SGD (0.2 ms less per optimizer step of this network), test
images in batches of 250 (500 and all at once take about as long or longer, as the allocator has it), and a parent that
does not import torch beside its workers.
"""

import json
import math
import multiprocessing
import os
import sys
import time
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from blocks.networks.resnet import ResNet
    from blocks.slots import MakeModule

BATCH, RATE, MOMENTUM, DECAY = 64, 0.1, 0.9, 0.0005
EVALUATION_BATCH = 250


class Work(NamedTuple):
    """What a study asks for: attention and norm of each setting, epochs, and whether half the images are mirrored."""

    settings: tuple[tuple[str, str], ...]
    epochs: int
    flip: bool


WORK = {
    "attention": Work(tuple((name, "batch") for name in ("none", "se", "eca", "cbam", "coordinate")), 20, flip=False),
    "fashion": Work(tuple((name, norm) for name in ("none", "se", "eca") for norm in ("batch", "group")), 4, flip=True),
}


class Result(NamedTuple):
    """The last accuracy of a trial, and seconds since 1970."""

    setting: tuple[str, str]
    seed: int
    accuracy: float
    began: float
    first_step: float
    last_step: float
    ended: float


def trial(study: str, epochs: int, number: int) -> Result:
    """Train one trial and return its last accuracy; runs in a worker, which alone imports torch."""
    import torch  # noqa: PLC0415  # the parent would import it beside its workers for nothing
    from torch.nn.functional import cross_entropy  # noqa: PLC0415

    began = time.time()
    torch.set_num_threads(1)
    settings, _, flip = WORK[study]
    setting, seed = settings[number % len(settings)], number // len(settings)
    torch.manual_seed(seed)
    train_inputs, train_targets, test_inputs, test_targets = tensors(study)
    network = build(*setting).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY, fused=True)
    n, accuracy = len(train_targets), 0.0
    n_steps, step = epochs * math.ceil(n / BATCH), 0
    first_step = last_step = time.time()
    for _ in range(epochs):
        network.train()
        for chosen in torch.split(torch.randperm(n), BATCH):
            optimizer.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / n_steps))
            inputs = train_inputs[chosen]
            if flip:
                inputs = torch.where(torch.rand(len(chosen), 1, 1, 1) < 0.5, inputs.flip(3), inputs)
            loss = cross_entropy(network(inputs), train_targets[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
        last_step = time.time()
        network.eval()
        with torch.inference_mode():
            logits = torch.cat([network(images) for images in torch.split(test_inputs, EVALUATION_BATCH)])
            accuracy = (logits.argmax(1) == test_targets).double().mean().item()
    return Result(setting, seed, accuracy, began, first_step, last_step, time.time())


def build(attention: str, norm: str) -> "ResNet":
    """Return the network of a setting."""
    from blocks.absence import Nothing  # noqa: PLC0415  # as above
    from blocks.attention import CBAM, CoordinateAttention, EfficientChannel, SqueezeExcite  # noqa: PLC0415
    from blocks.networks.resnet import ResNet  # noqa: PLC0415
    from blocks.normalization import BatchNorm, GroupNorm  # noqa: PLC0415

    attentions = {
        "none": Nothing, "se": SqueezeExcite, "eca": EfficientChannel, "cbam": CBAM, "coordinate": CoordinateAttention,
    }  # fmt: skip
    norms: dict[str, MakeModule] = {"batch": BatchNorm, "group": partial(GroupNorm, groups=4)}
    return ResNet(1, 10, depth=8, width=16, attention=attentions[attention], norm=norms[norm])


@cache
def tensors(study: str) -> "tuple[Tensor, Tensor, Tensor, Tensor]":
    """Return training and test images and classes, the study's split, once a process."""
    import torch  # noqa: PLC0415  # as above

    from ablate.data.digits import digits  # noqa: PLC0415  # scikit-learn's own loader imports for 1.5 s
    from ablate.data.fashion_mnist import fashion_mnist  # noqa: PLC0415

    images = digits(train=300) if study == "attention" else fashion_mnist(train=10000)
    train_inputs, test_inputs = (
        torch.from_numpy(part).contiguous(memory_format=torch.channels_last)
        for part in (images.train_inputs, images.test_inputs)
    )
    return train_inputs, torch.from_numpy(images.train_targets), test_inputs, torch.from_numpy(images.test_targets)


def main() -> None:
    """Run as many trials as the command line asks for; a third argument are epochs other than the study's."""
    study, n_trials = sys.argv[1], int(sys.argv[2])
    epochs = int(sys.argv[3]) if len(sys.argv) > 3 else WORK[study].epochs
    os.environ["OMP_NUM_THREADS"] = "1"  # read by the workers when they import torch
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        results = []
        for result in pool.imap_unordered(partial(trial, study, epochs), range(n_trials)):
            name = " × ".join(result.setting)
            print(f"{name}, seed {result.seed}: accuracy {100 * result.accuracy:.2f} %", flush=True)
            results.append(result)
    times = {
        "first_step": min(result.first_step for result in results),
        "last_step": max(result.last_step for result in results),
        "last_end": max(result.ended for result in results),
        "trial_seconds": sum(result.ended - result.began for result in results) / n_trials,
    }
    print(json.dumps(times))


if __name__ == "__main__":
    main()
