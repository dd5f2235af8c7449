"""Data sets by name: decoded once a process, then arrays."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from ablate.errors import DataError
from ablate.study import Choice
from blocks import catalogue


@dataclass(frozen=True)
class Images:
    """Labelled images in two parts, (image, channel, height, width) float32 and (image,) int64.

    Inputs are standardised by the mean and deviation of the training part.
    """

    train_inputs: NDArray[np.float32]
    train_targets: NDArray[np.int64]
    test_inputs: NDArray[np.float32]
    test_targets: NDArray[np.int64]
    n_classes: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one input."""
        channels, height, width = self.train_inputs.shape[1:]
        return channels, height, width

    @cached_property
    def fingerprint(self) -> str:
        """Hash of every value and of the split."""
        digest = hashlib.sha256()
        for part in (self.train_inputs, self.train_targets, self.test_inputs, self.test_targets):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()[:32]


@cache
def load(choice: Choice) -> Images:
    """Return a data set; the second call with the same options costs nothing.

    Raises:
        DataError: if its files are missing or damaged, or it has fewer images than asked for.
    """
    known = catalogue.read("blocks", "ablate.data", "ablate.tasks")
    images: Images = known.find("data", str(choice.name)).load()(**dict(choice.options))
    return images


def fingerprint(choice: Choice) -> str:
    """Return the hash of a data set's arrays and split."""
    return load(choice).fingerprint


def stratified(targets: NDArray[np.int64], n: int, *, split: int) -> NDArray[np.int64]:
    """Return `n` indices in random order, with as equal a share of every class as there can be.

    Args:
        targets: the class of each image.
        n: how many.
        split: which draw.

    Raises:
        DataError: if there are fewer images than asked for, or `split` is negative.
    """
    if not 1 <= n <= len(targets):
        raise DataError(f"train: {n} is out of range: there are {len(targets)} images")
    if split < 0:
        raise DataError(f"split: {split} is out of range: at least 0")
    order = np.random.default_rng(split).permutation(len(targets))
    rank = np.zeros(len(targets), dtype=np.int64)  # how many of the same class stand before
    for label in np.unique(targets):
        mine = order[targets[order] == label]
        rank[mine] = np.arange(len(mine))
    by_rank = order[np.argsort(rank[order], kind="stable")]
    return by_rank[:n]


def standardised(train: NDArray[np.floating], test: NDArray[np.floating]) -> Iterator[NDArray[np.float32]]:
    """Yield both parts with the training part's mean taken away and its deviation divided out, per channel."""
    mean = train.mean(axis=(0, 2, 3), keepdims=True, dtype=np.float64)
    deviation = np.maximum(train.std(axis=(0, 2, 3), keepdims=True, dtype=np.float64), 1e-8)
    for part in (train, test):
        yield ((part - mean.astype(np.float32)) / deviation.astype(np.float32)).astype(np.float32, copy=False)
