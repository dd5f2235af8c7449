"""The training loop: what it depends on, how it goes on, and how it ends."""

import copy
import io
import math
import random

import numpy as np
import pytest
import torch
from torch import nn

from ablate import seeding
from ablate import train as training
from ablate.errors import DivergedError
from ablate.study import Recipe
from ablate.tasks.classification import Samples
from ablate.train import train

N = 24


def samples(n=N, *, side=6):
    """Return images whose class shows in which half is bright."""
    rng = torch.Generator().manual_seed(0)
    targets = torch.arange(n) % 2
    inputs = torch.randn(n, 1, side, side, generator=rng)
    inputs[targets == 1, :, :, side // 2 :] += 1.5
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    return Samples(inputs, targets, inputs[: n // 2], targets[: n // 2], 2)


DATA = samples()


class Noisy(nn.Module):
    """A small network with dropout, batch norm, and a branch that NumPy and Python switch off at random."""

    def __init__(self, width=4):
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        x = self.drop(self.norm(self.conv(x)).relu())
        if self.training:
            x = x * np.random.uniform(0.9, 1.1) * random.choice([0.9, 1.1])  # noqa: NPY002
        return self.head(x.mean((2, 3)))


def network(make=Noisy):
    return seeding.initialise([make], 0).to(memory_format=torch.channels_last)


def run(recipe, *, seed=0, make=Noisy, data=DATA, **options):
    """Return the trained network and its scores after each epoch."""
    trained = network(make)
    scores = [dict(progress.scores) for progress in train(trained, data, recipe, seed, **options)]
    return trained, scores


def assert_same_weights(first, second):
    assert [n for n, t in first.state_dict().items() if not torch.equal(t, second.state_dict()[n])] == []


BRIEF = {"epochs": 4, "batch": 10, "learning_rate": 0.05}
RECIPES = {
    "sgd": Recipe(**BRIEF, augment="flip-shift", warmup=2, label_smoothing=0.1),
    "plain-sgd": Recipe(**BRIEF, momentum=0.0, schedule="constant"),
    "adam": Recipe(**BRIEF, optimizer="adam", warmup=1),
    "adamw": Recipe(**BRIEF, optimizer="adamw", augment="shift"),
}
every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


@every_recipe
def test_going_on_from_any_epoch_gives_the_same_bits_as_not_stopping(recipe):
    whole, states = network(), []
    scores = []
    for progress in train(whole, DATA, recipe, 3):
        states.append(copy.deepcopy(progress.state))
        scores.append(progress.scores)

    for state in states[:-1]:
        stored = io.BytesIO()
        torch.save(state, stored)
        stored.seek(0)
        for given in (state, state, torch.load(stored)):  # twice the same: going on leaves a state as it was
            resumed = network()
            torch.manual_seed(99)
            rest = [progress.scores for progress in train(resumed, DATA, recipe, 3, given)]
            assert rest == scores[state["epoch"] :]
            assert_same_weights(resumed, whole)


@every_recipe
def test_the_global_random_state_has_no_part_in_a_result(recipe):
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        trained = network()
        progress = []
        for epoch in train(trained, DATA, recipe, 0):
            progress.append(epoch.scores)
            torch.rand(seed), np.random.random(), random.random()  # noqa: NPY002
        results.append((trained, progress))

    assert results[0][1] == results[1][1]
    assert_same_weights(results[0][0], results[1][0])


def test_another_seed_gives_another_result():
    assert run(RECIPES["sgd"], seed=0)[1] != run(RECIPES["sgd"], seed=1)[1]


class Watch(nn.Module):
    """Remembers what it saw while training."""

    def __init__(self, *, draws=0, width=1):
        super().__init__()
        self.draws = draws
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(36, width), nn.Linear(width, 2))
        self.seen = []

    def forward(self, x):
        if self.training:
            torch.rand(self.draws)
            self.seen.append(x.clone())
        return self.head(x)


def seen(*, seed=0, recipe=None, **made):
    watch = Watch(**made)
    for _ in train(watch, DATA, recipe or Recipe(epochs=2, batch=10, augment="flip-shift"), seed):
        pass
    return watch.seen


def test_order_and_augmentation_are_the_same_for_all_networks_and_differ_by_seed_and_epoch():
    first, other = seen(), seen(draws=7, width=3)

    assert [len(batch) for batch in first] == [10, 10, 4] * 2
    assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert not torch.equal(first[0], seen(seed=1)[0])
    plain = seen(recipe=Recipe(epochs=2, batch=10))
    assert not torch.equal(plain[0], plain[3])


def test_augmentation_differs_by_seed_and_epoch_where_the_order_makes_no_difference():
    alike = DATA.train_inputs[:1].expand(N, -1, -1, -1)
    data = Samples(alike, DATA.train_targets, DATA.test_inputs, DATA.test_targets, 2)

    batches = []
    for seed in (0, 0, 1):
        watch = Watch()
        list(train(watch, data, Recipe(epochs=2, batch=N, augment="flip-shift"), seed))
        batches.append(watch.seen)
    first, again, other = batches

    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])


def test_every_image_is_seen_once_an_epoch():
    batches = seen(recipe=Recipe(epochs=2, batch=10))

    for epoch in (batches[:3], batches[3:]):
        assert sorted(torch.cat(epoch).flatten(1).sum(1).tolist()) == sorted(
            DATA.train_inputs.flatten(1).sum(1).tolist()
        )


def test_training_learns_and_says_so():
    _, scores = run(Recipe(epochs=15, batch=8, learning_rate=0.1, augment="none"))

    assert [set(s) for s in scores] == [{"accuracy", "balanced-accuracy", "loss", "train-loss"}] * 15
    assert scores[-1]["accuracy"] > 0.9
    assert scores[-1]["train-loss"] < scores[0]["train-loss"]


def test_the_training_loss_is_the_mean_over_all_images_also_if_the_last_batch_is_smaller():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.logits = nn.Parameter(torch.tensor([0.0, 1.0]))

        def forward(self, x):
            return self.logits.detach().expand(len(x), 2) + 0 * self.logits

    data = Samples(DATA.train_inputs, (torch.arange(N) < 7).long(), DATA.test_inputs, DATA.test_targets, 2)
    _, scores = run(Recipe(epochs=1, batch=10, weight_decay=0.0), make=Constant, data=data)

    assert scores[0]["train-loss"] == pytest.approx(math.log(1 + math.e) - 7 / N, rel=1e-6)


def test_a_loss_that_is_no_number_names_the_epoch_and_yields_no_score():
    class Explodes(Noisy):
        def __init__(self):
            super().__init__()
            self.steps = 0

        def forward(self, x):
            self.steps += self.training
            return super().forward(x) * (float("nan") if self.steps > 3 else 1.0)

    epochs = train(network(Explodes), DATA, Recipe(epochs=5, batch=10), 0)

    assert next(epochs).epoch == 1
    with pytest.raises(DivergedError, match="the training loss became nan in epoch 2 of 5"):
        next(epochs)


def test_a_learning_rate_that_is_too_large_diverges_with_a_name():
    with pytest.raises(DivergedError, match=r"the training loss became (nan|inf) in epoch"):
        run(Recipe(epochs=30, learning_rate=1e30, schedule="constant"), make=lambda: Watch(width=8))


def test_closing_stops_the_training():
    trained = network()
    epochs = train(trained, DATA, Recipe(epochs=100), 0)
    next(epochs)
    before = copy.deepcopy(trained.state_dict())

    epochs.close()

    assert list(epochs) == []
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.state_dict().items())


def test_nothing_happens_before_the_first_progress_is_asked_for():
    trained = network()
    before = copy.deepcopy(trained.state_dict())

    train(trained, DATA, Recipe(), 0)

    assert all(torch.equal(tensor, before[name]) for name, tensor in trained.state_dict().items())


def rates(recipe, monkeypatch):
    """Return the learning rate of every step, four steps an epoch."""
    used = []

    class Spy(torch.optim.SGD):
        def step(self, closure=None):
            used.append(self.param_groups[0]["lr"])
            return super().step(closure)

    monkeypatch.setattr(training, "SGD", Spy)
    run(recipe)
    return used


def test_the_rate_is_constant_or_falls_along_a_cosine(monkeypatch):
    steps = {"epochs": 5, "batch": 6, "learning_rate": 0.2}

    assert rates(Recipe(**steps, schedule="constant"), monkeypatch) == [0.2] * 20
    assert rates(Recipe(**steps), monkeypatch) == pytest.approx(
        [0.1 * (1 + math.cos(math.pi * step / 20)) for step in range(20)]
    )


def test_the_rate_rises_in_a_line_during_warm_up_and_falls_from_there(monkeypatch):
    used = rates(Recipe(epochs=5, batch=6, learning_rate=0.2, warmup=2), monkeypatch)

    assert used[:8] == pytest.approx([0.2 * step / 8 for step in range(1, 9)])
    assert used[8:] == pytest.approx([0.1 * (1 + math.cos(math.pi * step / 12)) for step in range(12)])
    warm = rates(Recipe(epochs=2, batch=6, learning_rate=0.2, warmup=2), monkeypatch)
    assert warm == pytest.approx([0.2 * step / 8 for step in range(1, 9)])


@pytest.mark.parametrize(
    "change",
    [
        {"momentum": 0.5}, {"weight_decay": 0.1}, {"label_smoothing": 0.2}, {"augment": "flip"}, {"augment": "shift"},
        {"schedule": "constant"}, {"warmup": 1}, {"batch": 7}, {"learning_rate": 0.01}, {"optimizer": "adam"},
        {"optimizer": "adamw"},
    ],
    ids=str,
)  # fmt: skip
def test_every_hyper_parameter_is_read(change):
    plain = run(Recipe(epochs=2, batch=10))[0]
    changed = run(Recipe(**{"epochs": 2, "batch": 10, **change}))[0]

    assert not torch.equal(plain.conv.weight, changed.conv.weight)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_every_optimizer_decays_weights(optimizer):
    weak, strong = (run(Recipe(epochs=2, optimizer=optimizer, weight_decay=decay))[0] for decay in (0.0, 0.5))

    assert not torch.equal(weak.conv.weight, strong.conv.weight)


def test_the_momentum_is_nine_tenths_unless_given():
    first, second = run(Recipe(epochs=1))[0], run(Recipe(epochs=1, momentum=0.9))[0]

    assert_same_weights(first, second)


def test_mixed_precision_computes_in_bfloat16_and_keeps_weights_and_scores_in_full():
    class Kinds(Noisy):
        def forward(self, x):
            answer = super().forward(x)
            assert answer.dtype is torch.bfloat16
            return answer

    trained, scores = run(Recipe(epochs=2, batch=10), make=Kinds, precision="bf16")

    assert {parameter.dtype for parameter in trained.parameters()} == {torch.float32}
    assert all(math.isfinite(value) for value in scores[-1].values())
    assert scores != run(Recipe(epochs=2, batch=10))[1]


def test_weights_and_batches_stay_channels_last():
    layouts = []

    class Layout(Noisy):
        def forward(self, x):
            layouts.append(x.is_contiguous(memory_format=torch.channels_last))
            return super().forward(x)

    trained, _ = run(Recipe(epochs=1, augment="flip-shift"), make=Layout)

    assert all(layouts)
    assert trained.conv.weight.is_contiguous(memory_format=torch.channels_last)
