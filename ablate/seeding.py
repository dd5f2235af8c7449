"""One seed → initial weights, data order, augmentation and dropout, each from a stream of its own."""

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Generator, Tensor, nn


def derive(seed: int, *words: object) -> int:
    """Return a seed for one purpose, unrelated to that of any other purpose or seed."""
    digest = hashlib.sha256(repr((seed, *words)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # torch takes 63 bits on every platform


def generator(seed: int, *words: object) -> Generator:
    """Return a generator of random numbers for one purpose."""
    return Generator().manual_seed(derive(seed, *words))


def reseed(seed: int, *words: object) -> None:
    """Let whatever draws without a generator (torch, NumPy, Python) draw from a stream for one purpose."""
    derived = derive(seed, *words)
    torch.manual_seed(derived)
    np.random.seed(derived % 2**32)  # noqa: NPY002  # for blocks of the user's that draw from the global state
    random.seed(derived)


@contextmanager
def drawing(seed: int, *words: object) -> Iterator[None]:
    """Draw from a stream for one purpose, and leave the global states as they were."""
    before = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            reseed(seed, *words)
            yield
    finally:
        np.random.set_state(before[0])  # noqa: NPY002
        random.setstate(before[1])


def initialise(chain: Sequence[Callable[[], nn.Module]], seed: int, *, salt: str = "") -> nn.Module:
    """Build the last network of a chain, starting as much like the ones before it as its shapes allow.

    A tensor that has the name and shape of one in an earlier network starts equal to it, so that swapping one slot
    changes nothing else. Tensors that their author does not draw (a zero for a branch that begins as the identity,
    pretrained weights) are no part of this: they stay as they were built, in either network.

    Args:
        chain: what builds the reference first, then what the network is compared with, itself last.
        seed: the replicate.
        salt: draws other weights for the same seed, where it is not empty.
    """
    words = (salt,) if salt else ()
    shared: dict[str, Tensor] = {}
    network = nn.Module()
    for build in chain:
        with drawing(seed, "other weights", *words):
            other = dict(_tensors(build()))
        with drawing(seed, "weights", *words):
            network = build()
        with torch.no_grad():
            for name, tensor in _tensors(network):
                if torch.equal(tensor, other[name]):
                    continue  # not drawn
                if name in shared and shared[name].shape == tensor.shape:
                    tensor.copy_(shared[name])
                else:
                    shared.setdefault(name, tensor.detach().clone())
    return network


def _tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield each parameter and buffer once, a tied one under its first name."""
    yield from network.named_parameters()
    yield from network.named_buffers()
