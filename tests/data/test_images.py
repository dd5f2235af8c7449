"""The held-out part of the training data."""

import numpy as np
import pytest

from ablate.data import Images
from ablate.errors import DataError


def images(counts, *, n_test=4):
    """Return images of two pixels, as many of each class as said; the first pixel tells them apart."""
    targets = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    inputs = np.stack([np.arange(len(targets)), targets], axis=1).astype(np.float32).reshape(-1, 1, 1, 2)
    test = np.full((n_test, 1, 1, 2), 1e6, dtype=np.float32)
    return Images(inputs, targets, test, np.zeros(n_test, dtype=np.int64), n_classes=len(counts))


def originals(part, whole):
    """Return which training images stand in a part, told by their rank: standardising keeps the order."""
    both = np.concatenate([whole.held_out.train_inputs, whole.held_out.test_inputs])[:, 0, 0, 0]
    return np.searchsorted(np.sort(both), part[:, 0, 0, 0])


def test_a_fifth_of_every_class_is_held_out_and_each_image_stands_in_one_part():
    whole = images([50, 20, 5])
    held_out = whole.held_out

    trained, tested = originals(held_out.train_inputs, whole), originals(held_out.test_inputs, whole)
    assert sorted([*trained, *tested]) == list(range(75))
    assert np.bincount(held_out.test_targets).tolist() == [10, 4, 1]
    assert np.bincount(held_out.train_targets).tolist() == [40, 16, 4]
    np.testing.assert_array_equal(whole.train_targets[trained], held_out.train_targets)
    np.testing.assert_array_equal(whole.train_targets[tested], held_out.test_targets)


def test_nothing_of_the_test_part_is_in_it():
    first, second = images([10, 10], n_test=4), images([10, 10], n_test=7)

    assert first.held_out.fingerprint == second.held_out.fingerprint
    assert first.held_out.fingerprint != first.fingerprint
    assert len(first.held_out.test_targets) + len(first.held_out.train_targets) == 20


def test_it_is_standardised_by_what_is_trained_on():
    held_out = images([50, 50]).held_out

    assert abs(held_out.train_inputs.mean()) < 1e-6
    assert abs(held_out.train_inputs.std() - 1) < 1e-6
    assert abs(held_out.test_inputs.mean()) > 1e-6
    assert held_out.train_inputs.dtype == held_out.test_inputs.dtype == np.float32


def test_a_held_out_part_is_the_same_every_time():
    assert images([30, 40]).held_out.fingerprint == images([30, 40]).held_out.fingerprint


@pytest.mark.parametrize("counts", [[1, 4], [1, 1, 1, 1, 1], [5]])
def test_small_classes_can_be_split(counts):
    held_out = images(counts).held_out

    assert (len(held_out.train_targets), len(held_out.test_targets)) == (4, 1)
    assert held_out.n_classes == len(counts)


def test_fewer_than_five_images_cannot_be_split():
    with pytest.raises(DataError, match="needs 5 training images or more: there are 4"):
        images([2, 2]).held_out  # noqa: B018 - asking is the test
