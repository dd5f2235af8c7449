"""Whose slots there are, when they exist, and where their reference stands."""

import re

import pytest

from blocks import catalogue


def test_dotted_slots_vary_the_recipe_and_the_data(read):
    study = read(slots="{recipe.optimizer: [sgd, adam], data.split: [0, 1]}", recipe="{learning_rate: 0.01}")
    changed = study.complete({slot.name: slot.choices[1] for slot in study.slots})

    assert study.recipe_of(changed).optimizer == "adam"
    assert study.recipe_of(changed).learning_rate == 0.01
    assert dict(study.data_of(changed).options) == {"train": 300, "split": 1}


def test_unknown_dotted_slots_are_named_with_what_there_is(problems):
    found = problems(slots="{recipe.epoch: [1], data.trian: [1], recipe: [1], network.depth: [8]}")

    assert [re.sub(r" \(known.*", "", problem) for problem in found] == [
        "slots.recipe.epoch: unknown hyper-parameter: 'epoch'; did you mean 'epochs'?",
        "slots.data.trian: unknown option of 'digits': 'trian'; did you mean 'train'?",
        "slots.recipe: unknown slot of 'resnet': 'recipe'",
        "slots.network.depth: unknown slot of 'resnet': 'network.depth'",
    ]


# Conditions


def when(condition):
    others = "conv: [dense, {grouped: {groups: [2, 4]}}]"
    return f"{{{others}, mix: {{choices: [none, pointwise], when: {condition}}}}}"


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("{conf: dense}", "slots.mix.when.conf: unknown slot: 'conf'; did you mean 'conv'? (known: conv, mix)"),
        ("{conv: gruped}", ("slots.mix.when.conv: unknown choice: 'gruped' "
         "(known: dense, grouped(groups=2), grouped(groups=4))")),
        ("{conv: depthwise}", ("slots.mix.when.conv: unknown choice: 'depthwise' "
         "(known: dense, grouped(groups=2), grouped(groups=4))")),
        ("{conv: {grouped: {groups: 8}}}", ("slots.mix.when.conv: unknown choice: 'grouped(groups=8)'; did you mean "
         "'grouped(groups=4)'? (known: dense, grouped(groups=2), grouped(groups=4))")),
        ("{conv: []}", "slots.mix.when.conv: the list is empty: the slot would never exist"),
        ("{conv: [dense, dense]}", "slots.mix.when.conv[1]: 'dense' stands twice"),
        ("{}", "slots.mix.when: expected {slot: [choices]}; given {}"),
        ("grouped", 'slots.mix.when: expected {slot: [choices]}; given "grouped"'),
        ("{mix: none}", "slots.mix.when: goes in a circle: mix → mix"),
    ],
)  # fmt: skip
def test_a_condition_that_cannot_be_meant_is_refused(problems, condition, problem):
    assert problems(slots=when(condition)) == [problem]


def test_conditions_can_chain_and_slots_come_after_their_parents(read):
    study = read(
        slots="""
  recipe.label_smoothing: {choices: [0.0, 0.1], when: {mix: pointwise}}
  mix: {choices: [none, pointwise], when: {conv: depthwise}}
  conv: [dense, depthwise]"""
    )

    assert [slot.name for slot in study.slots] == ["conv", "mix", "recipe.label_smoothing"]
    assert dict(study.reference.choices).keys() == {"conv"}


def test_every_circle_is_named_and_what_depends_on_one_is_not(problems):
    found = problems(
        slots="""
  conv: {choices: [dense, depthwise], when: {mix: none}}
  mix: {choices: [none, pointwise], when: {conv: dense}}
  norm: {choices: [batch, none], when: {norm: batch}}
  attention: {choices: [none, se], when: {norm: batch}}
  kernel: [3, 5]"""
    )

    assert found == [
        "slots.conv.when: goes in a circle: conv → mix → conv",
        "slots.norm.when: goes in a circle: norm → norm",
    ]


def test_a_condition_that_no_combination_fulfils_is_refused(problems):
    found = problems(
        slots="""
  conv: [dense, depthwise]
  mix: {choices: [none, pointwise], when: {conv: depthwise}}
  attention: {choices: [none, se], when: {mix: pointwise, conv: dense}}"""
    )

    assert found == ["slots.attention.when: can never hold: no combination of choices fulfils it"]


# Reference


def test_a_conditional_slot_declares_its_own_reference_once(read, problems):
    slots = (
        "{conv: [dense, depthwise], mix: {choices: [none, pointwise], when: {conv: depthwise}, reference: pointwise}}"
    )

    assert read(slots=slots).slot("mix").reference.label == "pointwise"
    assert problems(slots=slots, reference="{mix: pointwise}") == [
        "reference.mix: also given as slots.mix.reference: keep one"
    ]


def test_a_choice_that_makes_no_sense_in_a_network_is_refused_with_the_reason(monkeypatch, problems):
    entry = catalogue.read("blocks", "ablate.data", "ablate.tasks").find("network", "resnet")
    monkeypatch.setitem(entry.facts, "misfits", {"attention": {"se": "a reason"}})

    assert problems(slots="{attention: [none, se]}") == [
        "slots.attention[1]: 'se' makes no sense in 'resnet': a reason"
    ]
