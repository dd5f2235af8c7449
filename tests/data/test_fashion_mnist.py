"""Fashion-MNIST from its four files: made-up ones, and the published ones where they are at hand."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from ablate.data.fashion_mnist import FILES, fashion_mnist
from ablate.errors import DataError

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = FILES


def test_files_are_decoded_and_standardised(folder):
    images = fashion_mnist(path=str(folder), train=40)

    assert images.train_inputs.shape == (40, 1, 4, 4)
    assert images.test_inputs.shape == (20, 1, 4, 4)
    assert images.train_targets.tolist() == [*range(10)] * 4
    assert abs(images.train_inputs.mean()) < 1e-6
    assert abs(images.train_inputs.std() - 1) < 1e-6


def test_a_subset_has_an_equal_share_of_every_class_and_the_test_part_stays_whole(folder):
    first, other = (fashion_mnist(path=str(folder), train=20, split=split) for split in (0, 1))

    assert np.bincount(first.train_targets).tolist() == [2] * 10
    assert len(first.test_targets) == 20
    assert first.fingerprint != other.fingerprint


def test_the_content_makes_the_fingerprint_and_not_the_folder(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in FILES:
        (elsewhere / name).write_bytes((folder / name).read_bytes())

    here, there = (fashion_mnist(path=str(place), train=40).fingerprint for place in (folder, elsewhere))

    assert here == there


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: content[: len(content) // 2], "is damaged"),
        (lambda content: content[:-9], "is damaged"),
        (lambda content: b"", "is no idx file"),
        (lambda content: b"<html>not found</html>", "is damaged"),
        (lambda content: gzip.compress(b"\0\0\x08"), "is no idx file"),
        (lambda content: gzip.compress(b"\0\0\x08\x02" + bytes(12)), "is no idx file"),
        (lambda content: gzip.compress(gzip.decompress(content)[:-1]), "is damaged: .* bytes for sizes"),
        (lambda content: gzip.compress(gzip.decompress(content) + b"\0"), "is damaged: .* bytes for sizes"),
    ],
)
def test_a_damaged_file_is_named(folder, name, damage, said):
    (folder / name).write_bytes(damage((folder / name).read_bytes()))

    with pytest.raises(DataError, match=said) as caught:
        fashion_mnist(path=str(folder), train=40)

    assert name in str(caught.value)


def test_labels_that_belong_to_other_images_are_named(folder):
    (folder / TRAIN_LABELS).write_bytes((folder / TEST_LABELS).read_bytes())

    with pytest.raises(DataError, match=f"{TRAIN_LABELS} does not belong to its images: 20 labels"):
        fashion_mnist(path=str(folder), train=40)


def test_missing_files_are_named_with_where_to_get_them(folder):
    (folder / TRAIN_LABELS).unlink()
    (folder / TEST_IMAGES).unlink()

    with pytest.raises(DataError, match=f"lacks {TRAIN_LABELS}, {TEST_IMAGES}: download them from github"):
        fashion_mnist(path=str(folder))


def test_without_a_folder_the_error_says_how_to_give_one(monkeypatch):
    monkeypatch.delenv("ABLATE_DATA", raising=False)

    with pytest.raises(DataError, match=r"\{fashion-mnist: \{path: \.\.\.\}\}, or set ABLATE_DATA"):
        fashion_mnist()


def test_the_folder_can_stand_in_the_environment(folder, monkeypatch):
    folder.rename(folder.parent / "fashion_mnist")
    monkeypatch.setenv("ABLATE_DATA", str(folder.parent))

    assert len(fashion_mnist(train=40).train_targets) == 40


@pytest.mark.parametrize(("options", "said"), [({"train": 41}, "train: 41"), ({"train": 0}, "train: 0"),
                                               ({"train": 9, "split": -1}, "split: -1")])  # fmt: skip
def test_a_subset_that_cannot_be_is_refused(folder, options, said):
    with pytest.raises(DataError, match=f"{said} is out of range"):
        fashion_mnist(path=str(folder), **options)


def test_the_published_files_hold_what_is_known_of_them():
    if "ABLATE_DATA" not in os.environ:
        pytest.skip("set ABLATE_DATA to a folder that holds fashion_mnist/ with the four published files")
    if not (Path(os.environ["ABLATE_DATA"]) / "fashion_mnist").is_dir():
        pytest.skip("the folder in ABLATE_DATA holds no fashion_mnist/")

    images = fashion_mnist()

    assert images.train_inputs.shape == (60000, 1, 28, 28)
    assert images.test_inputs.shape == (10000, 1, 28, 28)
    assert images.shape == (1, 28, 28)
    assert np.bincount(images.train_targets).tolist() == [6000] * 10
    assert np.bincount(images.test_targets).tolist() == [1000] * 10
    low, high = float(images.train_inputs.min()), float(images.train_inputs.max())
    assert -low / (high - low) == pytest.approx(0.2860, abs=5e-5)
    assert 1 / (high - low) == pytest.approx(0.3530, abs=5e-5)
    assert np.bincount(fashion_mnist(train=5000).train_targets).tolist() == [500] * 10
