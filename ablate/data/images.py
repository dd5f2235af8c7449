"""Labelled images as arrays, and how they are split and scaled."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ablate.errors import DataError

HASHED_AT_ONCE = 1000  # images: those that do not lie channels first are copied to be hashed


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
        """Hash of every value and of the split, however the values lie in memory."""
        digest = hashlib.sha256()
        for part in (self.train_inputs, self.train_targets, self.test_inputs, self.test_targets):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            for start in range(0, len(part), HASHED_AT_ONCE):
                digest.update(np.ascontiguousarray(part[start : start + HASHED_AT_ONCE]).data)
        return digest.hexdigest()[:32]

    @property
    def held_out(self) -> "Images":
        """The training part alone, every fifth image of each class held out as the test part.

        What selects is scored on it. The split is always the same, and nothing of the test part is in it.

        Raises:
            DataError: if there are fewer than five training images.
        """
        n = len(self.train_targets)
        if n < 5:
            raise DataError(f"a held-out part needs 5 training images or more: there are {n}")
        order = np.random.default_rng(0).permutation(n)
        by_class = order[np.argsort(self.train_targets[order], kind="stable")]
        held = np.sort(by_class[4::5])
        kept = np.setdiff1d(order, held)
        train_inputs, test_inputs = standardised(self.train_inputs[kept], self.train_inputs[held])
        return replace(
            self,
            train_inputs=train_inputs,
            train_targets=self.train_targets[kept],
            test_inputs=test_inputs,
            test_targets=self.train_targets[held],
        )


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
