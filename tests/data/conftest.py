"""Fashion-MNIST in small."""

import gzip

import numpy as np
import pytest

from ablate.data.fashion_mnist import FILES


def idx(array):
    """Write an array of bytes as an idx file does."""
    header = b"".join(int(n).to_bytes(4, "big") for n in (0x0800 + array.ndim, *array.shape))
    return gzip.compress(header + array.tobytes(), mtime=0)


@pytest.fixture
def folder(tmp_path):
    """A data set of 40 + 20 images of 4×4 pixels."""
    train, test = list(FILES)[:2], list(FILES)[2:]
    rng = np.random.default_rng(0)
    for images, labels, n in ((*train, 40), (*test, 20)):
        (tmp_path / images).write_bytes(idx(rng.integers(256, size=(n, 4, 4), dtype=np.uint8)))
        (tmp_path / labels).write_bytes(idx((np.arange(n) % 10).astype(np.uint8)))
    return tmp_path
