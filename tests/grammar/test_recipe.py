"""Hyper-parameters: what they may be, by themselves and in every setting that varies them."""

import pytest


def test_a_hyper_parameter_is_given_or_varied_but_not_both(problems):
    assert problems(slots="{recipe.epochs: [1, 2]}", recipe="{epochs: 3}") == [
        "recipe.epochs: given here and varied by slots.recipe.epochs: keep one"
    ]


def test_a_hyper_parameter_that_no_optimizer_reads_is_refused(problems):
    nobody = "nobody reads it: adam has no momentum (known for: sgd)"

    assert problems(recipe="{optimizer: adam, momentum: 0.9}") == [f"recipe.momentum: {nobody}"]
    assert problems(slots="{recipe.optimizer: [sgd, adam]}", recipe="{momentum: 0.5}") == [
        f"recipe.momentum: {nobody} (with recipe.optimizer=adam)"
    ]
    assert problems(slots="{recipe.optimizer: [sgd, adam], recipe.momentum: [0.5, 0.9]}") == [
        f"slots.recipe.momentum: {nobody} (with recipe.optimizer=adam, recipe.momentum=0.5)"
    ]


def test_a_hyper_parameter_can_exist_for_one_optimizer_only(read):
    study = read(
        slots="{recipe.optimizer: [sgd, adam], recipe.momentum: {choices: [0.9, 0.5], when: {recipe.optimizer: sgd}}}",
        design="factorial",
    )
    adam = study.complete({"recipe.optimizer": study.slots[0].choices[1]})

    assert "recipe.momentum" not in adam
    assert study.recipe_of(adam).momentum is None


def test_a_warm_up_longer_than_the_epochs_of_its_setting_is_refused(read, problems):
    slots = "{recipe.warmup: [0, 30], recipe.epochs: [20, 40]}"

    assert problems(slots=slots) == [
        (
            "slots.recipe.warmup: 30 is out of range: must be from 0 to the 20 epochs "
            "(with recipe.warmup=30, recipe.epochs=20)"
        )
    ]
    assert read(slots=slots, design="{list: [{recipe.warmup: 30, recipe.epochs: 40}]}").design.rule == "list"
    assert read(slots="{recipe.epochs: [40, 50]}", recipe="{warmup: 30}").recipe.warmup == 30


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("epochs", "2.5", "expected int, not 2.5"),
        ("epochs", "0", "0 is out of range: must be at least 1"),
        ("batch", "yes", ("expected int, not True (YAML reads yes, on and true as true: put the word in quotes if it "
         "is one)")),
        ("learning_rate", "1e-3", "expected float, not '1e-3' (YAML reads 1e-3 as text: write 1.0e-3)"),
        ("learning_rate", "1.5e3", "expected float, not '1.5e3' (YAML reads 1.5e3 as text: write 1.5e+3)"),
        ("learning_rate", "0", "0 is out of range: must be a positive number"),
        ("learning_rate", ".inf", "inf is no number"),
        ("weight_decay", ".nan", "nan is no number"),
        ("momentum", "1.0", "1.0 is out of range: must be in [0, 1)"),
        ("optimizer", "sdg", "expected one of sgd, adam, adamw, not 'sdg'; did you mean 'sgd'?"),
        ("label_smoothing", "[0.1]", "expected float, not [0.1]"),
        ("lr", "0.1", ("unknown hyper-parameter: 'lr' (known: epochs, batch, optimizer, learning_rate, momentum, "
         "weight_decay, schedule, warmup, label_smoothing, augment)")),
    ],
)  # fmt: skip
def test_a_hyper_parameter_that_cannot_be_meant_is_refused(problems, name, value, said):
    assert problems(recipe=f"{{{name}: {value}}}") == [f"recipe.{name}: {said}"]
