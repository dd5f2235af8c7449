"""The digits that come with scikit-learn."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ablate import data
from ablate.data.digits import digits
from ablate.errors import DataError
from ablate.study import Choice


def pixels(images):
    """Return every image as it was before standardising, with its class: a row each, sorted."""
    inputs = np.concatenate([images.train_inputs, images.test_inputs]).reshape(1797, 64)
    low, high = inputs.min(), inputs.max()
    whole = np.rint((inputs - low) / (high - low) * 16)
    return sorted(map(tuple, np.column_stack([whole, np.concatenate([images.train_targets, images.test_targets])])))


def test_all_images_are_there_once_whatever_the_split():
    images = digits(train=300, split=3)
    published = load_digits()

    assert images.train_inputs.shape == (300, 1, 8, 8)
    assert images.test_inputs.shape == (1497, 1, 8, 8)
    assert images.shape == (1, 8, 8)
    assert images.n_classes == 10
    assert images.train_inputs.dtype == images.test_inputs.dtype == np.float32
    assert images.train_targets.dtype == images.test_targets.dtype == np.int64
    assert pixels(images) == sorted(map(tuple, np.column_stack([published.data, published.target])))


def test_inputs_are_standardised_by_the_training_part():
    images = digits(train=300)

    assert abs(images.train_inputs.mean()) < 1e-6
    assert abs(images.train_inputs.std() - 1) < 1e-6
    assert images.test_inputs.mean() != 0


@pytest.mark.parametrize("train", [10, 300, 1000])
def test_every_class_has_an_equal_share_of_the_training_part(train):
    counts = np.bincount(digits(train=train).train_targets, minlength=10)

    assert counts.max() - counts.min() <= 1
    assert counts.sum() == train


def test_the_training_part_is_in_random_order():
    targets = digits(train=300).train_targets

    assert len(set(targets[:20])) > 5
    assert (np.diff(targets) != 0).mean() > 0.7
    drawn = data.stratified(np.repeat(np.arange(3), 10), 30, split=0)
    assert sorted(drawn) == list(range(30))
    assert len({tuple(drawn[i : i + 3] // 10) for i in range(0, 30, 3)}) > 1, "classes come in no fixed order"


def test_another_split_is_another_draw_and_the_same_split_the_same():
    first, again, other = digits(split=0), digits(split=0), digits(split=1)

    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert not np.array_equal(first.train_targets, other.train_targets)


def test_the_fingerprint_sees_every_value_and_which_part_it_is_in():
    choices = [Choice("digits", (("train", train), ("split", 0))) for train in (300, 301)]

    assert len({data.fingerprint(choice) for choice in choices}) == 2
    images = digits(train=300)
    before = images.fingerprint
    altered = digits(train=300)
    altered.test_inputs[-1, 0, 7, 7] += 1e-3
    assert altered.fingerprint != before


def test_a_data_set_is_decoded_once():
    choice = Choice("digits", (("train", 300), ("split", 0)))

    assert data.load(choice) is data.load(Choice("digits", (("train", 300), ("split", 0)), label="other"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"train": 1797}, "digits: train: 1797 leaves nothing to test on: there are 1797 images"),
        ({"train": 0}, "train: 0 is out of range"),
        ({"train": -5}, "train: -5 is out of range"),
        ({"split": -1}, "split: -1 is out of range"),
    ],
)
def test_a_split_that_cannot_be_is_refused(options, said):
    with pytest.raises(DataError, match=said):
        digits(**options)


def test_what_trains_and_what_is_scored_is_said_in_a_sentence():
    choice = Choice("digits", (("train", 300), ("split", 0)))

    assert data.described(choice) == (
        "Scored on the test part of digits (train=300, split=0), drawn at random, with an equal share of every class: "
        "300 images train, 1,497 are scored."
    )
    assert data.described(choice, held_out=True) == (
        "Scored on a held-out fifth of the training images of digits (train=300, split=0): 240 images train, 60 are "
        "scored; the test part is not touched."
    )
