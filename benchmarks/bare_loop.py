"""The trials of `studies/attention.yml` without any tool: what a careful person writes by hand.

python benchmarks/bare_loop.py 25

Two spawned processes with one torch thread each take the next trial as soon as they are free (a dynamic split). Same
network, data, split and recipe as the study: ResNet-8 of width 16 on 300 digits, 20 epochs in batches of 64, SGD with
momentum 0.9, weight decay 0.0005 and a cosine from 0.1 per step, channels last, accuracy on the test images after
every epoch. The trials cycle over the five attention settings, then over seeds. Nothing is recorded: each accuracy is
printed, then a line of JSON with the times.

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
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

SETTINGS = ("none", "se", "eca", "cbam", "coordinate")
EPOCHS, BATCH, RATE, MOMENTUM, DECAY = 20, 64, 0.1, 0.9, 0.0005
EVALUATION_BATCH = 250


class Result(NamedTuple):
    """The last accuracy of a trial, and seconds since 1970."""

    setting: str
    seed: int
    accuracy: float
    began: float
    first_step: float
    last_step: float
    ended: float


def trial(number: int) -> Result:
    """Train one trial and return its last accuracy; runs in a worker, which alone imports torch."""
    import torch  # noqa: PLC0415  # the parent would import it beside its workers for nothing
    from torch import nn  # noqa: PLC0415
    from torch.nn.functional import cross_entropy  # noqa: PLC0415

    from blocks.absence import Nothing  # noqa: PLC0415
    from blocks.attention import CBAM, CoordinateAttention, EfficientChannel, SqueezeExcite  # noqa: PLC0415
    from blocks.networks.resnet import ResNet  # noqa: PLC0415

    began = time.time()
    torch.set_num_threads(1)
    blocks: dict[str, type[nn.Module]] = {
        "none": Nothing, "se": SqueezeExcite, "eca": EfficientChannel, "cbam": CBAM, "coordinate": CoordinateAttention,
    }  # fmt: skip
    setting, seed = SETTINGS[number % len(SETTINGS)], number // len(SETTINGS)
    torch.manual_seed(seed)
    train_inputs, train_targets, test_inputs, test_targets = digits()
    network = ResNet(1, 10, depth=8, width=16, attention=blocks[setting]).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY, fused=True)
    n, accuracy = len(train_targets), 0.0
    n_steps, step = EPOCHS * math.ceil(n / BATCH), 0
    first_step = last_step = time.time()
    for _ in range(EPOCHS):
        network.train()
        for chosen in torch.split(torch.randperm(n), BATCH):
            optimizer.param_groups[0]["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / n_steps))
            loss = cross_entropy(network(train_inputs[chosen]), train_targets[chosen])
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


@cache
def digits() -> "tuple[Tensor, Tensor, Tensor, Tensor]":
    """Return training and test images and classes, the study's split, once a process."""
    import torch  # noqa: PLC0415  # as above

    from ablate.data.digits import digits as load  # noqa: PLC0415  # scikit-learn's own loader imports for 1.5 s

    images = load(train=300)
    train_inputs, test_inputs = (
        torch.from_numpy(part).contiguous(memory_format=torch.channels_last)
        for part in (images.train_inputs, images.test_inputs)
    )
    return train_inputs, torch.from_numpy(images.train_targets), test_inputs, torch.from_numpy(images.test_targets)


def main() -> None:
    """Run as many trials as the command line asks for."""
    n_trials = int(sys.argv[1])
    os.environ["OMP_NUM_THREADS"] = "1"  # read by the workers when they import torch
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        results = []
        for result in pool.imap_unordered(trial, range(n_trials)):
            print(f"{result.setting}, seed {result.seed}: accuracy {100 * result.accuracy:.2f} %", flush=True)
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
