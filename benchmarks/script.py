"""The trials of `studies/fashion.yml` in a script as people write it, and with better choices, one after the other.

ABLATE_DATA=... python benchmarks/script.py 6 5                          # as people write it: 6 trials, 5 epochs
ABLATE_DATA=... python benchmarks/script.py 6 5 arrays one-batch         # with the first two of CHOICES

As people write it: one process with torch's default threads, trials one after the other; a DataLoader with two workers
that transforms image by image (to floats in [0, 1], a flip, the usual mean and deviation); contiguous memory; plain SGD
and CosineAnnealingLR; `mlflow.log_metric` and `mlflow.log_param` for every single value: the loss of every hundredth
step and four metrics an epoch. It prints each accuracy, then a line of JSON with the times.
"""

import gzip
import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from bare_loop import BATCH, DECAY, EVALUATION_BATCH, MOMENTUM, RATE, WORK, build
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, Dataset

from ablate.data import stratified

CHOICES = ("arrays", "one-batch", "channels-last", "two-processes", "fused")
MEAN, DEVIATION = 0.2860, 0.3530
STORE = "sqlite:///mlflow.db"

Sample = tuple[Tensor, int]
Log = Callable[[str, float, int], object]


class Result(NamedTuple):
    """The last accuracy of a trial, how long it took, and the metrics that are not recorded yet."""

    setting: tuple[str, str]
    seed: int
    accuracy: float
    seconds: float
    metrics: list[tuple[str, float, int]]


class Clothes(Dataset[Sample]):
    """Images as bytes, transformed one by one when they are asked for."""

    def __init__(self, images: NDArray[np.uint8], targets: NDArray[np.uint8], *, train: bool) -> None:
        self.images = images
        self.targets = targets
        self.train = train

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Sample:
        image = torch.from_numpy(self.images[i]).unsqueeze(0).float().div(255)  # (1, height, width)
        if self.train and torch.rand(1) < 0.5:
            image = image.flip(-1)
        return (image - MEAN) / DEVIATION, int(self.targets[i])


class Batches:
    """Batches of a data set that is transformed once, as a whole; only flips are drawn for each batch."""

    def __init__(self, clothes: Clothes, memory: torch.memory_format) -> None:
        images = torch.from_numpy(clothes.images).unsqueeze(1).float().div(255)  # (image, 1, height, width)
        self.inputs = ((images - MEAN) / DEVIATION).contiguous(memory_format=memory)
        self.targets = torch.from_numpy(clothes.targets).long()
        self.train = clothes.train

    def __len__(self) -> int:
        return math.ceil(len(self.targets) / (BATCH if self.train else EVALUATION_BATCH))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if not self.train:
            yield from zip(
                *(torch.split(whole, EVALUATION_BATCH) for whole in (self.inputs, self.targets)), strict=True
            )
            return
        for chosen in torch.split(torch.randperm(len(self.targets)), BATCH):
            inputs = self.inputs[chosen]
            yield torch.where(torch.rand(len(chosen), 1, 1, 1) < 0.5, inputs.flip(3), inputs), self.targets[chosen]


def read(name: str, header: int) -> NDArray[np.uint8]:
    """Decode one of the four files."""
    path = Path(os.environ["ABLATE_DATA"]) / "fashion_mnist" / f"{name}-ubyte.gz"
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


@cache
def loaders(choices: frozenset[str]) -> tuple[DataLoader[Sample] | Batches, DataLoader[Sample] | Batches]:
    """Return what yields training and test batches, once a process."""
    images, targets = read("train-images-idx3", 16).reshape(-1, 28, 28), read("train-labels-idx1", 8)
    chosen = stratified(targets.astype(np.int64), 10000, split=0)
    train = Clothes(images[chosen], targets[chosen], train=True)
    test = Clothes(
        read("t10k-images-idx3", 16).reshape(-1, 28, 28).copy(), read("t10k-labels-idx1", 8).copy(), train=False
    )
    if "arrays" in choices:
        memory = torch.channels_last if "channels-last" in choices else torch.contiguous_format
        return Batches(train, memory), Batches(test, memory)
    return DataLoader(train, BATCH, shuffle=True, num_workers=2), DataLoader(test, EVALUATION_BATCH, num_workers=2)


def prepare(choices: frozenset[str]) -> None:
    """Let a process read the data and import what its first optimizer needs; no trial's time holds this."""
    if "two-processes" in choices:
        torch.set_num_threads(1)
    loaders(choices)
    torch.optim.SGD([nn.Parameter(torch.zeros(1))])


def trial(number: int, epochs: int, choices: frozenset[str]) -> Result:
    """Train one trial, and record it unless the caller does."""
    began = time.perf_counter()
    settings = WORK["fashion"].settings
    setting, seed = settings[number % len(settings)], number // len(settings)
    metrics: list[tuple[str, float, int]] = []
    if "one-batch" in choices:
        accuracy = train(setting, seed, epochs, choices, lambda *metric: metrics.append(metric))
    else:
        import mlflow  # noqa: PLC0415  # a worker process does not need it

        with mlflow.start_run(run_name=" × ".join(setting)):
            for name, value in parameters(setting, seed, epochs).items():
                mlflow.log_param(name, value)
            accuracy = train(setting, seed, epochs, choices, mlflow.log_metric)
    return Result(setting, seed, accuracy, time.perf_counter() - began, metrics)


def train(setting: tuple[str, str], seed: int, epochs: int, choices: frozenset[str], log: Log) -> float:
    """Train a network and return its last accuracy."""
    torch.manual_seed(seed)
    batches, test_batches = loaders(choices)
    network: nn.Module = build(*setting)
    if "channels-last" in choices:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(
        network.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY, fused="fused" in choices or None
    )
    schedule = CosineAnnealingLR(optimizer, epochs * len(batches))
    step, accuracy = 0, 0.0
    for epoch in range(1, epochs + 1):
        network.train()
        total = 0.0
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss = cross_entropy(network(inputs), targets)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.item() * len(targets)
            step += 1
            if step % 100 == 0:
                log("step-loss", loss.item(), step)
        accuracy, test_loss = evaluate(network, test_batches)
        scores = {"train-loss": total / 10000, "test-loss": test_loss, "accuracy": accuracy}
        for name, value in {**scores, "learning-rate": schedule.get_last_lr()[0]}.items():
            log(name, float(value), epoch)
    return accuracy


def evaluate(network: nn.Module, batches: DataLoader[Sample] | Batches) -> tuple[float, float]:
    """Return the accuracy and the loss on the test images."""
    network.eval()
    n_right, n, total = 0, 0, 0.0
    with torch.no_grad():
        for inputs, targets in batches:
            logits = network(inputs)
            n_right += int((logits.argmax(1) == targets).sum())
            total += cross_entropy(logits, targets, reduction="sum").item()
            n += len(targets)
    return n_right / n, total / n


def parameters(setting: tuple[str, str], seed: int, epochs: int) -> dict[str, object]:
    """Return what a run is recorded with."""
    attention, norm = setting
    return {"attention": attention, "norm": norm, "seed": seed, "epochs": epochs, "batch": BATCH, "rate": RATE}


def record(result: Result, epochs: int) -> None:
    """Write a run in one batch."""
    from mlflow import MlflowClient  # noqa: PLC0415  # as above
    from mlflow.entities import Metric, Param  # noqa: PLC0415

    client = MlflowClient()
    run_id = client.create_run("0", run_name=" × ".join(result.setting)).info.run_id
    now = round(1000 * time.time())
    given = [Param(name, str(value)) for name, value in parameters(result.setting, result.seed, epochs).items()]
    client.log_batch(run_id, [Metric(name, value, now, step) for name, value, step in result.metrics], given)
    client.set_terminated(run_id)


def main() -> None:
    """Run trials: their number, the epochs, and the better choices stand on the command line."""
    import mlflow  # noqa: PLC0415  # as above

    n_trials, epochs, choices = int(sys.argv[1]), int(sys.argv[2]), frozenset(sys.argv[3:])
    if unknown := choices - set(CHOICES):
        raise SystemExit(f"unknown choices: {', '.join(sorted(unknown))} (known: {', '.join(CHOICES)})")
    mlflow.set_tracking_uri(STORE)
    mlflow.search_experiments()  # makes the tables, which takes seconds and is no trial's
    one = partial(trial, epochs=epochs, choices=choices)
    if "two-processes" in choices:
        os.environ["OMP_NUM_THREADS"] = "1"  # read by the workers when they import torch
        with multiprocessing.get_context("spawn").Pool(2, prepare, (choices,)) as pool:
            seconds = finish(pool.imap_unordered(one, range(n_trials)), epochs, choices)
    else:
        prepare(choices)
        seconds = finish(map(one, range(n_trials)), epochs, choices)
    print(json.dumps({"trial_seconds": seconds}))


def finish(results: Iterator[Result], epochs: int, choices: frozenset[str]) -> float:
    """Record and print trials as they end; return their mean seconds, halved where two processes share them."""
    seconds = []
    n_processes = 2 if "two-processes" in choices else 1
    for result in results:
        clock = time.perf_counter()
        if "one-batch" in choices:
            record(result, epochs)
        seconds.append(result.seconds / n_processes + time.perf_counter() - clock)
        name = " × ".join(result.setting)
        print(f"{name}, seed {result.seed}: accuracy {100 * result.accuracy:.2f} %", flush=True)
    return sum(seconds) / len(seconds)


if __name__ == "__main__":
    main()
