"""The scores, the loss and the augmentation of classification, against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from ablate.data import Images
from ablate.study import Recipe
from ablate.tasks import classification
from ablate.tasks.classification import Samples, accuracy, augment, balanced_accuracy, cross_entropy, evaluate
from blocks import catalogue

# Three images of class 0 of which two are found, one of class 1 that is found, none of class 2.
LOGITS = torch.tensor([[2.0, 1.0, 0.0], [3.0, 0.0, 1.0], [0.0, 1.0, 0.5], [0.0, 4.0, 0.0]])
TARGETS = torch.tensor([0, 0, 0, 1])


def test_accuracy_is_the_share_that_is_found():
    assert accuracy(LOGITS, TARGETS) == 3 / 4


def test_balanced_accuracy_is_the_mean_of_the_shares_of_the_classes_that_occur():
    assert balanced_accuracy(LOGITS, TARGETS) == pytest.approx((2 / 3 + 1) / 2)


def test_cross_entropy_is_in_nats():
    by_hand = [
        math.log(sum(map(math.exp, row))) - row[target]
        for row, target in zip(LOGITS.tolist(), TARGETS.tolist(), strict=True)
    ]

    assert cross_entropy(LOGITS, TARGETS) == pytest.approx(sum(by_hand) / 4)


def test_label_smoothing_moves_a_share_of_the_target_to_all_classes():
    logs = LOGITS.log_softmax(1)
    smooth = 0.3 / 3 * logs.sum(1) + 0.7 * logs[range(4), TARGETS]

    assert classification.loss(LOGITS, TARGETS, Recipe()).item() == pytest.approx(cross_entropy(LOGITS, TARGETS))
    assert classification.loss(LOGITS, TARGETS, Recipe(label_smoothing=0.3)).item() == pytest.approx(
        -smooth.mean().item()
    )


def test_every_score_is_in_the_catalogue_under_its_name():
    known = catalogue.read("ablate.tasks")

    assert set(known.names("metric")) == set(classification.SCORES)
    assert all(known.find("metric", name).load() is score for name, score in classification.SCORES.items())


def batch(n=64, *, channels=2, side=16):
    values = torch.arange(float(n * channels * side * side)).reshape(n, channels, side, side) + 1
    return values.contiguous(memory_format=torch.channels_last)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_flip_mirrors_about_half_the_images_left_to_right_and_leaves_the_others():
    before = batch()
    after = augment(before, Recipe(augment="flip"), rng())

    kept = [torch.equal(a, b) for a, b in zip(after, before, strict=True)]
    mirrored = [torch.equal(a, b.flip(2)) for a, b in zip(after, before, strict=True)]
    assert all(k != m for k, m in zip(kept, mirrored, strict=True))
    assert 20 < sum(mirrored) < 44


def shifted(image, down, right):
    """Move an image by slicing, zeros coming in."""
    _, height, width = image.shape
    moved = torch.zeros_like(image)
    to_rows, to_columns = (slice(max(0, by), side + min(0, by)) for by, side in ((down, height), (right, width)))
    rows, columns = (slice(max(0, -by), side + min(0, -by)) for by, side in ((down, height), (right, width)))
    moved[:, to_rows, to_columns] = image[:, rows, columns]
    return moved


def test_shift_moves_each_image_by_up_to_an_eighth_of_its_side_and_zeros_come_in():
    before = batch(48)
    after = augment(before, Recipe(augment="shift"), rng())

    moves = [
        [(d, r) for d in range(-3, 4) for r in range(-3, 4) if torch.equal(a, shifted(b, d, r))]
        for a, b in zip(after, before, strict=True)
    ]
    assert all(len(found) == 1 for found in moves)
    downs, rights = ({found[0][axis] for found in moves} for axis in (0, 1))
    assert downs == rights == {-2, -1, 0, 1, 2}
    assert len({found[0] for found in moves}) > 15, "rows and columns move apart from each other"


def test_shift_moves_small_images_by_a_pixel():
    before = batch(40, side=5)
    after = augment(before, Recipe(augment="shift"), rng())

    assert not torch.equal(after, before)
    assert all(
        any(torch.equal(a, shifted(b, d, r)) for d in (-1, 0, 1) for r in (-1, 0, 1))
        for a, b in zip(after, before, strict=True)
    )


def test_flip_shift_does_both_and_nothing_does_nothing():
    before = batch(32)
    both = augment(before, Recipe(augment="flip-shift"), rng())
    flipped = augment(before, Recipe(augment="flip"), rng())

    assert torch.equal(augment(before, Recipe(), rng()), before)
    assert not torch.equal(both, flipped)
    assert all(
        any(torch.equal(a, shifted(b, d, r)) for d in range(-2, 3) for r in range(-2, 3))
        for a, b in zip(both, flipped, strict=True)
    )


@pytest.mark.parametrize("how", ["flip", "shift", "flip-shift"])
def test_augmentation_keeps_the_layout_and_the_input_and_follows_its_generator_alone(how):
    before, recipe = batch(), Recipe(augment=how)
    copy = before.clone()
    torch.manual_seed(1)
    first = augment(before, recipe, rng(5))
    torch.manual_seed(2)
    again = augment(before, recipe, rng(5))

    assert torch.equal(first, again)
    assert not torch.equal(first, augment(before, recipe, rng(6)))
    assert first.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(before, copy)


def samples(n=6):
    inputs = np.arange(n * 3 * 4 * 4, dtype=np.float32).reshape(n, 3, 4, 4)
    targets = np.arange(n) % 2
    return Samples.of(Images(inputs, targets, inputs[:5], targets[:5], n_classes=2), torch.device("cpu"))


def test_samples_hold_the_same_values_channels_last():
    held = samples()

    assert held.train_inputs.is_contiguous(memory_format=torch.channels_last)
    assert held.test_inputs.is_contiguous(memory_format=torch.channels_last)
    assert held.train_inputs.flatten().tolist() == list(range(6 * 48))
    assert held.test_targets.tolist() == [0, 1, 0, 1, 0]


class Remember(nn.Module):
    """Answers class 0, and remembers in which mode and batches it was asked."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def forward(self, x):
        self.asked.append((len(x), self.training, torch.is_grad_enabled()))
        return torch.stack([x.sum((1, 2, 3)) * 0 + 1, x.sum((1, 2, 3)) * 0], 1)


def test_evaluation_sees_every_test_image_once_in_evaluation_mode_without_gradients(monkeypatch):
    given = samples()
    monkeypatch.setattr(classification, "CPU_PIXELS", 2 * given.test_inputs[0, 0].numel())
    monkeypatch.setattr(classification, "FEWEST_IMAGES", 1)
    network = Remember()

    scores = evaluate(network, given)

    assert network.asked == [(2, False, False), (2, False, False), (1, False, False)]
    assert scores["accuracy"] == pytest.approx(3 / 5)
    assert scores["balanced-accuracy"] == pytest.approx(1 / 2)
    assert scores["loss"] == pytest.approx(math.log(1 + math.e) - 3 / 5)
