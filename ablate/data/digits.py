"""Handwritten digits that come with scikit-learn."""

import gzip
import io
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ablate.data import Images, read_bytes, standardised, stratified
from ablate.errors import DataError
from blocks.catalogue import register


@register("data", "digits", task="classification", split="drawn at random, with an equal share of every class")
def digits(*, train: int = 1000, split: int = 0) -> Images:
    """Load 1,797 grey 8×8 images of handwritten digits, 10 classes; the rest of the training images is the test part.

    Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998; as shipped by scikit-learn.

    Args:
        train: training images, drawn with an equal share of every class.
        split: which draw.

    Raises:
        DataError: if `train` leaves nothing to train or test on, or `split` is negative.
    """
    # scikit-learn takes 1.5 s to import; its file is read where it lies.
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataError("digits: scikit-learn, which ships them, is not installed")
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    try:
        text = io.BytesIO(gzip.decompress(read_bytes(path)))
        table = np.loadtxt(text, delimiter=",", dtype=np.float32)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"digits: {path} cannot be read: {error}") from None
    inputs = table[:, :-1].reshape(-1, 1, 8, 8) / np.float32(16)
    targets = table[:, -1].astype(np.int64)
    if train >= len(targets):
        raise DataError(f"digits: train: {train} leaves nothing to test on: there are {len(targets)} images")
    chosen = stratified(targets, train, split=split)
    rest = np.setdiff1d(np.arange(len(targets)), chosen)
    train_inputs, test_inputs = standardised(inputs[chosen], inputs[rest])
    return Images(train_inputs, targets[chosen], test_inputs, targets[rest], n_classes=10)
