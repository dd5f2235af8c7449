"""Fashion-MNIST from its four published files."""

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ablate.data import Images, read_bytes, standardised, stratified
from ablate.errors import DataError
from blocks.catalogue import register

FILES = {
    "train-images-idx3-ubyte.gz": 3,
    "train-labels-idx1-ubyte.gz": 1,
    "t10k-images-idx3-ubyte.gz": 3,
    "t10k-labels-idx1-ubyte.gz": 1,
}


@register("data", "fashion-mnist", task="classification", split="its published parts")
def fashion_mnist(*, path: str | None = None, train: int = 60000, split: int = 0) -> Images:
    """Load 60,000 + 10,000 grey 28×28 images of clothing, 10 classes, in their published split.

    Xiao et al., Fashion-MNIST, 2017, arXiv:1708.07747.

    Args:
        path: the folder with the four idx .gz files; the folder `fashion_mnist` in $ABLATE_DATA if not given.
        train: training images, drawn with an equal share of every class; the test part is always whole.
        split: which draw.

    Raises:
        DataError: if a file is missing or damaged, or `train` asks for more than there is.
    """
    folder = _folder(path)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"fashion-mnist: {folder} lacks {', '.join(missing)}: "
            "download them from github.com/zalandoresearch/fashion-mnist and give the folder as `path`"
        )
    train_images, train_targets, test_images, test_targets = (_read(folder / name, n) for name, n in FILES.items())
    for images, labels, name in (
        (train_images, train_targets, "train-labels-idx1-ubyte.gz"),
        (test_images, test_targets, "t10k-labels-idx1-ubyte.gz"),
    ):
        if len(images) != len(labels) or labels.size == 0 or labels.max() > 9:
            raise DataError(f"fashion-mnist: {folder / name} does not belong to its images: {len(labels)} labels")
    targets = train_targets.astype(np.int64)
    chosen = np.sort(stratified(targets, train, split=split))
    inputs = [images[:, None] / np.float32(255) for images in (train_images[chosen], test_images)]
    train_inputs, test_inputs = standardised(*inputs)
    return Images(train_inputs, targets[chosen], test_inputs, test_targets.astype(np.int64), n_classes=10)


def _folder(path: str | None) -> Path:
    if path is not None:
        return Path(path).expanduser()
    if "ABLATE_DATA" not in os.environ:
        raise DataError(
            "fashion-mnist: give the folder with its files: data: {fashion-mnist: {path: ...}}, or set ABLATE_DATA"
        )
    return Path(os.environ["ABLATE_DATA"]) / "fashion_mnist"


def _read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Decode an idx file: a magic number that ends in the number of dimensions, their sizes, then bytes."""
    try:
        content = gzip.decompress(read_bytes(path))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"fashion-mnist: {path} is damaged: {error}") from None
    start = 4 + 4 * dimensions
    if len(content) < start or int.from_bytes(content[:4], "big") != 0x0800 + dimensions:
        raise DataError(f"fashion-mnist: {path} is no idx file of bytes with {dimensions} dimensions")
    sizes = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    body = np.frombuffer(content[start:], dtype=np.uint8)
    if body.size != math.prod(sizes):
        raise DataError(f"fashion-mnist: {path} is damaged: {body.size} bytes for sizes {sizes}")
    return body.reshape(sizes)
