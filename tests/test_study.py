"""The nouns of a study."""

import subprocess
import sys

import pytest

from ablate.errors import AblateError
from ablate.study import Choice, Recipe, Run, RunState, Setting, Slot, Study, Trial

OFF, ON = Choice("none", label="none"), Choice("se", (("reduction", 4),), label="se(reduction=4)")
DENSE, DEPTHWISE = Choice("dense", label="dense"), Choice("depthwise", label="depthwise")
CONV = Slot("conv", (DENSE, DEPTHWISE), DENSE)
ATTENTION = Slot("attention", (OFF, ON), ON, when=(("conv", frozenset({"depthwise"})),))
SMOOTHING = Slot("recipe.label_smoothing", (Choice(0.0, label="0.0"), Choice(0.1, label="0.1")), Choice(0.0))
STUDY = Study(
    "s", Choice("resnet"), Choice("digits", (("train", 300), ("split", 0))), (CONV, ATTENTION, SMOOTHING),
)  # fmt: skip


def test_choices_are_equal_when_they_do_the_same_whatever_their_labels():
    assert Choice("se", (("reduction", 4),), label="mine") == ON
    assert Choice("se", (("reduction", 8),), label="se(reduction=4)") != ON
    assert str(ON) == "se(reduction=4)"


def test_a_setting_holds_only_slots_that_exist():
    assert [name for name, _ in STUDY.reference.choices] == ["conv", "recipe.label_smoothing"]
    assert STUDY.complete({"conv": DEPTHWISE})["attention"] == ON
    assert STUDY.complete({"attention": OFF}) == STUDY.reference


def test_a_setting_is_called_by_what_differs_from_the_reference():
    assert STUDY.reference.label == "reference"
    assert STUDY.complete({"conv": DEPTHWISE}).label == "conv=depthwise"
    assert STUDY.complete({"conv": DEPTHWISE, "attention": OFF}).label == "conv=depthwise, attention=none"


def test_dotted_slots_change_the_recipe_and_the_data_and_nothing_else():
    setting = STUDY.complete({"recipe.label_smoothing": SMOOTHING.choices[1]})

    assert STUDY.recipe_of(setting) == Recipe(label_smoothing=0.1)
    assert STUDY.data_of(setting) == STUDY.data
    assert Setting((("data.train", Choice(100)),)).of("data") == {"train": 100}


def test_the_momentum_that_is_used_is_known():
    assert Recipe().filled().momentum == 0.9
    assert Recipe(momentum=0.0).filled().momentum == 0.0
    assert Recipe(optimizer="adam").filled().momentum is None


def test_the_default_recipe_is_in_range():
    assert Recipe().problems() == {}
    assert list(Recipe(epochs=0, warmup=2, label_smoothing=1.0).problems()) == ["epochs", "label_smoothing", "warmup"]


def test_only_a_complete_run_has_a_score_and_it_is_that_of_the_last_epoch():
    trial = Trial(STUDY.reference, 3, "id")

    assert Run(trial, RunState.COMPLETE, {"accuracy": [0.1, 0.7, 0.6]}).score("accuracy") == 0.6
    with pytest.raises(AblateError, match="setting 'reference', seed 3: no score 'accuracy'"):
        Run(trial, RunState.FAILED, {"accuracy": [0.9]}).score("accuracy")
    with pytest.raises(AblateError, match="no score 'loss'"):
        Run(trial, RunState.COMPLETE, {"accuracy": [0.9]}).score("loss")


def test_the_nouns_need_the_standard_library_only():
    code = (
        "import sys; import ablate.study, ablate.design; "
        "assert not {'torch', 'numpy', 'yaml', 'pydantic'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("choices", "values"),
    [
        ([Choice(3), Choice(5.5)], (3.0, 5.5)),
        ([Choice("group", (("groups", 2), ("eps", 1.0))), Choice("group", (("groups", 4), ("eps", 1.0)))], (2.0, 4.0)),
        ([Choice("batch"), Choice("group", (("groups", 4),))], None),
        ([Choice("group", (("groups", 2), ("eps", 1.0))), Choice("group", (("groups", 4), ("eps", 2.0)))], None),
        ([Choice("batch"), Choice("layer")], None),
        ([Choice(False), Choice(True)], None),
    ],
)
def test_choices_have_numbers_where_they_differ_in_one_number_alone(choices, values):
    assert Slot("slot", tuple(choices), choices[0]).values == values
