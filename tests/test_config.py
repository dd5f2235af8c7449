"""What a study file may say, and what is said about one that cannot be meant."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ablate import config
from ablate.errors import StudyError
from ablate.study import Design, Search

PATH = Path("studies/se.yml")
PARTS = {
    "network": "{resnet: {depth: 8, width: 16}}",
    "data": "{digits: {train: 300}}",
    "slots": "{attention: [none, se]}",
}


def text(**parts):
    """Write a study that is right but for the parts that are given; a part that is None is left out."""
    return "\n".join(f"{key}: {value}" for key, value in {**PARTS, **parts}.items() if value is not None)


def read(**parts):
    return config.parse_study(text(**parts), path=PATH)


def problems_in(content, **options):
    with pytest.raises(StudyError) as caught:
        config.parse_study(content, path=PATH, **options)
    return [problem.removeprefix("studies/se.yml: ") for problem in caught.value.problems]


def problems(**parts):
    return problems_in(text(**parts))


def labels(study, slot):
    return [choice.label for choice in study.slot(slot).choices]


FULL = """
question: 哪个注意力模块最有用？
network: {resnet: {depth: 8, width: 16}}
data: {digits: {train: 300}}
slots:
  attention: [none, se, eca, cbam, {coordinate: {reduction: 8}}]
  norm: [batch, none, {group: {groups: [2, 4, 8]}}, layer, instance]
  mix: {choices: [none, pointwise, {shuffle: {groups: 4}}], when: {conv: [grouped, depthwise]}, reference: none}
  conv: [dense, {grouped: {groups: [2, 4]}}, depthwise]
  kernel: [3, 5, 7]
  recipe.label_smoothing: [0.0, 0.1]
reference: {attention: none}
design: one-at-a-time
seeds: 5
recipe: {epochs: 20, batch: 64, optimizer: sgd, learning_rate: 0.1, weight_decay: 0.0005, schedule: cosine}
metric: accuracy
metrics: [loss]
practical: 0.002
"""


def test_the_study_of_the_manual_is_read():
    study = config.parse_study(FULL, path=PATH)

    assert study.name == "se"
    assert study.question == "哪个注意力模块最有用？"
    assert study.seeds == (0, 1, 2, 3, 4)
    assert labels(study, "norm") == [
        "batch", "none", "group(groups=2)", "group(groups=4)", "group(groups=8)", "layer", "instance",
    ]  # fmt: skip
    assert labels(study, "kernel") == ["3", "5", "7"]
    assert study.slot("mix").when == (("conv", frozenset({"grouped(groups=2)", "grouped(groups=4)", "depthwise"})),)
    assert [slot.name for slot in study.slots].index("conv") < [slot.name for slot in study.slots].index("mix")
    assert (study.metric.name, study.metric.higher_is_better, study.metric.unit) == ("accuracy", True, "fraction")
    assert not study.metrics[0].higher_is_better


def test_ten_mistakes_are_ten_problems_each_with_its_place_the_nearest_match_and_what_is_allowed():
    found = problems_in("""
network: {resnet: {depth: 8, width: 16.5}}
data: {digits: {trian: 300}}
slots:
  attention: [none, sse, {se: {redction: 4}}]
  atention: [none]
  norm: []
  conv: {choices: [dense, dense], when: {mix: none}}
  mix: {choices: [none, pointwise], when: {conv: dens}}
  recipe.label_smoothing: [0.0, 1.5]
reference: {kernel: 3}
seeds: 0
metrc: accuracy
precision: no
""")

    assert found == [
        (
            "metrc: unknown key: 'metrc'; did you mean 'metric'? (known: network, data, slots, name, question, reference, "
            "design, seeds, recipe, metric, metrics, practical, ...)"
        ),
        (
            "precision: unknown precision: False (known: fp32, bf16) (YAML reads no, off and false as false: "
            "put the word in quotes if it is one)"
        ),
        "network.resnet.width: expected int, not 16.5",
        "data.digits.trian: unknown option of 'digits': 'trian'; did you mean 'train'? (known: train, split)",
        (
            "slots.atention: unknown slot of 'resnet': 'atention'; did you mean 'attention'? (known: attention, norm, "
            "conv, mix, depth, width, stages, kernel); recipe.* and data.* vary the training and the data"
        ),
        "slots.attention[1]: unknown choice: 'sse'; did you mean 'se'? (known: cbam, coordinate, eca, none, se)",
        (
            "slots.attention[2].se.redction: unknown option of 'se': 'redction'; did you mean 'reduction'? "
            "(known: reduction, bias)"
        ),
        "slots.norm: the list is empty",
        "slots.conv.choices[1]: 'dense' is the same choice as slots.conv.choices[0]",
        "slots.recipe.label_smoothing[1]: 1.5 is out of range: must be in [0, 1)",
        (
            "reference.kernel: unknown slot: 'kernel' (known: attention, atention, norm, conv, mix, "
            "recipe.label_smoothing)"
        ),
        "slots.mix.when.conv: unknown choice: 'dens'; did you mean 'dense'? (known: dense)",
        "slots.conv.when: goes in a circle: conv → mix → conv",
        "seeds: 0 is out of range: from 1 to 10,000",
    ]


def test_reading_a_study_imports_no_torch():
    code = (
        "import sys; from ablate import config, design, identity; "
        "study = config.read_study('attention'); plan = design.plan(study); "
        "identity.trials(study, plan, lambda _: 'data'); "
        "assert not {'torch', 'pandas', 'mlflow', 'optuna', 'sklearn'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_study_that_comes_with_the_package_can_be_read():
    names = [path.stem for path in config.STUDIES.rglob("*.yml")]

    assert "attention" in names
    assert [config.read_study(name).name for name in names] == names


# Choices


def test_a_list_for_a_scalar_option_makes_one_choice_per_value_the_last_list_fastest():
    study = read(slots="{attention: [none, {cbam: {reduction: [4, 8], kernel: [3, 7]}}]}")

    assert labels(study, "attention")[1:] == [
        "cbam(reduction=4, kernel=3)", "cbam(reduction=4, kernel=7)",
        "cbam(reduction=8, kernel=3)", "cbam(reduction=8, kernel=7)",
    ]  # fmt: skip
    assert dict(study.slot("attention").choices[2].options)["kernel"] == 7


def test_defaults_are_filled_in_before_choices_are_compared():
    assert problems(slots="{attention: [none, se, {se: {reduction: 16}}, {se: {bias: false}}]}") == [
        "slots.attention[2]: 'se(reduction=16)' is the same choice as slots.attention[1]",
        "slots.attention[3]: 'se(bias=false)' is the same choice as slots.attention[1]",
    ]


def test_a_whole_number_is_a_value_of_a_slot_that_takes_fractions():
    assert problems(slots="{recipe.label_smoothing: [0, 0.0]}") == [
        "slots.recipe.label_smoothing[1]: '0.0' is the same choice as slots.recipe.label_smoothing[0]"
    ]
    assert type(read(slots="{recipe.label_smoothing: [0, 0.1]}").slots[0].choices[0].name) is float
    assert read(recipe="{learning_rate: 1}").recipe == read(recipe="{learning_rate: 1.0}").recipe


def test_a_choice_can_carry_a_label_of_its_own():
    study = read(
        slots="{attention: [none, {se: {reduction: 4, label: 挤压, r=4}}]}".replace("挤压, r=4", "'挤压, r=4'")
    )

    assert labels(study, "attention") == ["none", "挤压, r=4"]
    assert dict(study.slots[0].choices[1].options) == {"reduction": 4, "bias": False}


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("{se: {label: ''}}", 'slots.attention[1].se.label: expected a word or a few; given ""'),
        ("{se: {label: ' a'}}", 'slots.attention[1].se.label: expected a word or a few; given " a"'),
        ("{se: {label: 3}}", "slots.attention[1].se.label: expected a word or a few; given 3"),
        ("{se: {label: eca}}", "slots.attention[1].se.label: 'eca' is the name of another choice"),
        (
            "{se: {reduction: [2, 4], label: a}}",
            "slots.attention[1].se.label: 'a' would name several choices: give each its own item in the list",
        ),
        (
            "{se: {label: a}}, {eca: {label: a}}",
            "slots.attention[2]: 'a' is also the label of slots.attention[1]",
        ),
        ("{se: 3}", 'slots.attention[1]: expected a name or {name: {option: value}}; given {"se": 3}'),
        ("{se: {}, eca: {}}", ("slots.attention[1]: expected a name or {name: {option: value}}; given "
         '{"se": {}, "eca": {}}')),
        ("[se]", 'slots.attention[1]: expected a name or {name: {option: value}}; given ["se"]'),
        ("3", "slots.attention[1]: expected a name or {name: {option: value}}; given 3"),
        ("{se: {reduction: []}}", "slots.attention[1].se.reduction: the list is empty"),
        ("{se: {reduction: '4'}}", "slots.attention[1].se.reduction: expected int, not '4'"),
        ("{se: {reduction: 4.0}}", "slots.attention[1].se.reduction: expected int, not 4.0"),
        ("{se: {reduction: [[4]]}}", "slots.attention[1].se.reduction: expected int, not [4]"),
        ("{cbam: {order: chanel-first}}", ("slots.attention[1].cbam.order: expected one of channel-first, "
         "spatial-first, not 'chanel-first'; did you mean 'channel-first'?")),
    ],
)  # fmt: skip
def test_a_choice_that_cannot_be_meant_is_refused(item, problem):
    assert problems(slots=f"{{attention: [none, {item}]}}") == [problem]


def test_lists_that_multiply_without_end_are_refused():
    many = ", ".join(map(str, range(1, 100)))

    found = problems(slots=f"{{attention: [none, {{cbam: {{reduction: [{many}], kernel: [{many}]}}}}]}}")

    assert found == ["slots.attention[1].cbam: its lists multiply to 9,801 choices; at most 1,000"]


@pytest.mark.parametrize("wrong", ["'5'", "5.0", "yes", "{5: {label: five}}", "[5]", "~"])
def test_a_value_of_another_type_is_refused_and_not_cast(wrong):
    found = problems(slots=f"{{kernel: [3, {wrong}]}}")

    assert found
    assert all(problem.startswith("slots.kernel[1]") for problem in found)


# Whose slot


def test_a_network_argument_can_be_a_slot_but_then_not_also_under_network():
    assert labels(read(network="resnet", slots="{depth: [8, 14]}"), "depth") == ["8", "14"]
    assert problems(slots="{depth: [8, 14], data.train: [100, 200]}") == [
        "network.resnet.depth: given here and varied by slots.depth: keep one",
        "data.digits.train: given here and varied by slots.data.train: keep one",
    ]


def test_a_slot_is_not_set_under_network():
    assert problems(network="{resnet: {attention: se}}") == [
        "network.resnet.attention: 'attention' is a slot: list its choices under slots"
    ]


def test_dotted_slots_vary_the_recipe_and_the_data():
    study = read(slots="{recipe.optimizer: [sgd, adam], data.split: [0, 1]}", recipe="{learning_rate: 0.01}")
    changed = study.complete({slot.name: slot.choices[1] for slot in study.slots})

    assert study.recipe_of(changed).optimizer == "adam"
    assert study.recipe_of(changed).learning_rate == 0.01
    assert dict(study.data_of(changed).options) == {"train": 300, "split": 1}


def test_unknown_dotted_slots_are_named_with_what_there_is():
    found = problems(slots="{recipe.epoch: [1], data.trian: [1], recipe: [1], network.depth: [8]}")

    assert [re.sub(r" \(known.*", "", problem) for problem in found] == [
        "slots.recipe.epoch: unknown hyper-parameter: 'epoch'; did you mean 'epochs'?",
        "slots.data.trian: unknown option of 'digits': 'trian'; did you mean 'train'?",
        "slots.recipe: unknown slot of 'resnet': 'recipe'",
        "slots.network.depth: unknown slot of 'resnet': 'network.depth'",
    ]


def test_a_hyper_parameter_is_given_or_varied_but_not_both():
    assert problems(slots="{recipe.epochs: [1, 2]}", recipe="{epochs: 3}") == [
        "recipe.epochs: given here and varied by slots.recipe.epochs: keep one"
    ]


def test_a_hyper_parameter_that_no_optimizer_reads_is_refused():
    nobody = "nobody reads it: adam has no momentum (known for: sgd)"

    assert problems(recipe="{optimizer: adam, momentum: 0.9}") == [f"recipe.momentum: {nobody}"]
    assert problems(slots="{recipe.optimizer: [sgd, adam]}", recipe="{momentum: 0.5}") == [
        f"recipe.momentum: {nobody} (with recipe.optimizer=adam)"
    ]
    assert problems(slots="{recipe.optimizer: [sgd, adam], recipe.momentum: [0.5, 0.9]}") == [
        f"slots.recipe.momentum: {nobody} (with recipe.optimizer=adam, recipe.momentum=0.5)"
    ]


def test_a_hyper_parameter_can_exist_for_one_optimizer_only():
    study = read(
        slots="{recipe.optimizer: [sgd, adam], recipe.momentum: {choices: [0.9, 0.5], when: {recipe.optimizer: sgd}}}",
        design="factorial",
    )
    adam = study.complete({"recipe.optimizer": study.slots[0].choices[1]})

    assert "recipe.momentum" not in adam
    assert study.recipe_of(adam).momentum is None


def test_a_warm_up_longer_than_the_epochs_of_its_setting_is_refused():
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
def test_a_hyper_parameter_that_cannot_be_meant_is_refused(name, value, said):
    assert problems(recipe=f"{{{name}: {value}}}") == [f"recipe.{name}: {said}"]


# Conditions


def when(condition, *, others="conv: [dense, {grouped: {groups: [2, 4]}}]"):
    return f"{{{others}, mix: {{choices: [none, pointwise], when: {condition}}}}}"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("{conv: grouped}", {"grouped(groups=2)", "grouped(groups=4)"}),
        ("{conv: [grouped(groups=4), dense]}", {"grouped(groups=4)", "dense"}),
        ("{conv: {grouped: {groups: 4}}}", {"grouped(groups=4)"}),
        ("{conv: [{grouped: {groups: [4, 2]}}]}", {"grouped(groups=2)", "grouped(groups=4)"}),
    ],
)
def test_a_condition_names_choices_by_name_by_label_or_written_out(condition, expected):
    assert read(slots=when(condition)).slot("mix").when == (("conv", frozenset(expected)),)


def test_a_name_in_a_condition_matches_all_its_expansions_even_if_one_has_the_bare_name_as_label():
    study = read(slots=when("{norm: group}", others="norm: [batch, {group: {groups: 4}}, group]"))

    assert study.slot("mix").when == (("norm", frozenset({"group", "group(groups=4)"})),)


def test_a_condition_can_be_on_a_value():
    study = read(slots=when("{kernel: [5], recipe.label_smoothing: 0}",
                            others="kernel: [3, 5], recipe.label_smoothing: [0.0, 0.1]"))  # fmt: skip

    assert study.slot("mix").when == (
        ("kernel", frozenset({"5"})), ("recipe.label_smoothing", frozenset({"0.0"})),
    )  # fmt: skip


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
def test_a_condition_that_cannot_be_meant_is_refused(condition, problem):
    assert problems(slots=when(condition)) == [problem]


def test_conditions_can_chain_and_slots_come_after_their_parents():
    study = read(
        slots="""
  recipe.label_smoothing: {choices: [0.0, 0.1], when: {mix: pointwise}}
  mix: {choices: [none, pointwise], when: {conv: depthwise}}
  conv: [dense, depthwise]"""
    )

    assert [slot.name for slot in study.slots] == ["conv", "mix", "recipe.label_smoothing"]
    assert dict(study.reference.choices).keys() == {"conv"}


def test_every_circle_is_named_and_what_depends_on_one_is_not():
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


def test_a_condition_that_no_combination_fulfils_is_refused():
    found = problems(
        slots="""
  conv: [dense, depthwise]
  mix: {choices: [none, pointwise], when: {conv: depthwise}}
  attention: {choices: [none, se], when: {mix: pointwise, conv: dense}}"""
    )

    assert found == ["slots.attention.when: can never hold: no combination of choices fulfils it"]


# Reference


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("{norm: layer}", "layer"),
        ("{norm: group(groups=4)}", "group(groups=4)"),
        ("{norm: {group: {groups: 4}}}", "group(groups=4)"),
        ("{norm: 我的}", "我的"),
        ("{}", "batch"),
    ],
)
def test_a_reference_is_a_label_a_name_or_a_choice_written_out_and_else_the_first(reference, expected):
    study = read(
        slots="{norm: [batch, {group: {groups: [4, 8]}}, layer, {instance: {label: 我的}}]}", reference=reference
    )

    assert study.reference["norm"].label == expected


def test_a_bare_name_that_is_also_a_label_is_that_choice():
    study = read(slots="{norm: [{group: {groups: 4}}, group]}", reference="{norm: group}")

    assert dict(study.reference["norm"].options) == {"groups": 32}


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("{norm: group}", "reference.norm: 'group' means several choices: group(groups=4), group(groups=8)"),
        ("{norm: {group: {groups: [4, 8]}}}", ("reference.norm: '{group: {groups: [4, 8]}}' means several choices: "
         "group(groups=4), group(groups=8)")),
        ("{norm: instance}", ("reference.norm: unknown choice: 'instance' "
         "(known: batch, group(groups=4), group(groups=8), layer)")),
        ("{norm: {group: {groups: 16}}}", ("reference.norm: unknown choice: 'group(groups=16)'; did you mean "
         "'group(groups=8)'? (known: batch, group(groups=4), group(groups=8), layer)")),
        ("{norm: {layer: {label: a}}}", ("reference.norm: a label is given in the slot's list; here it stands alone, "
         "without options")),
        ("{nrom: batch}", "reference.nrom: unknown slot: 'nrom'; did you mean 'norm'? (known: norm)"),
        ("{norm: no}", ("reference.norm: unknown choice: 'false' (known: batch, group(groups=4), group(groups=8), "
         "layer) (YAML reads no, off and false as false: put the word in quotes if it is one)")),
        ("batch", 'reference: expected a choice for each slot that it names; given "batch"'),
    ],
)  # fmt: skip
def test_a_reference_outside_the_choices_is_refused(reference, problem):
    assert problems(slots="{norm: [batch, {group: {groups: [4, 8]}}, layer]}", reference=reference) == [problem]


def test_a_conditional_slot_declares_its_own_reference_once():
    slots = (
        "{conv: [dense, depthwise], mix: {choices: [none, pointwise], when: {conv: depthwise}, reference: pointwise}}"
    )

    assert read(slots=slots).slot("mix").reference.label == "pointwise"
    assert problems(slots=slots, reference="{mix: pointwise}") == [
        "reference.mix: also given as slots.mix.reference: keep one"
    ]


# Designs, seeds, scores


@pytest.mark.parametrize(
    ("design", "problem"),
    [
        ("cumulative", "design: 'cumulative' is not in this version (known: one-at-a-time, factorial, list, search)"),
        ("one-at-a-tme", ("design: unknown design: 'one-at-a-tme'; did you mean 'one-at-a-time'? "
         "(known: one-at-a-time, factorial, list, search)")),
        ("{one-at-a-time: 3}", "design: one-at-a-time takes no details; given 3"),
        ("{}", "design: expected one design; given {}"),
        ("{factorial: attention}", 'design.factorial: expected a list of slots; given "attention"'),
        ("{factorial: []}", "design.factorial: expected a list of slots; given []"),
        ("{factorial: [{attention: se}]}", ("design.factorial[0]: unknown slot: {'attention': 'se'}; did you mean "
         "'attention'? (known: attention)")),
        ("{factorial: [attention, attention]}", "design.factorial[1]: 'attention' stands twice"),
        ("list", "design.list: needs its settings: {list: [{slot: choice}, ...]}"),
        ("{list: [se]}", 'design.list[0]: expected {slot: choice}; given "se"'),
        ("{list: [{attention: eca}]}", ("design.list[0].attention: unknown choice: 'eca' "
         "(known: none, se)")),
        ("{list: [{norm: none}]}", "design.list[0].norm: unknown slot: 'norm' (known: attention)"),
        ("{list: [{}]}", "design: list leaves the reference alone: nothing would be compared"),
        ("{factorial: [attention], confirm: {top: 3}}",
         "design.confirm: only a search is confirmed on fresh seeds; factorial is not"),
        ("confirm", 'design: expected one design; given "confirm"'),
        ("{search: {}, list: []}", 'design: expected one design; given {"search": {}, "list": []}'),
        ("{search: 40}", "design.search: expected {option: value}; given 40"),
        ("{search: {}, confirm: [3]}", "design.confirm: expected {option: value}; given [3]"),
        ("{search: {setings: 40}}", ("design.search.setings: unknown option: 'setings'; did you mean 'settings'? "
         "(known: settings, sampler, prune, objectives)")),
        ("{search: {settings: many}}", "design.search.settings: expected int, not 'many'"),
        ("{search: {settings: 1}}", "design.search.settings: 1 is out of range: from 2 to 10,000"),
        ("{search: {sampler: tpee}}", ("design.search.sampler: expected one of tpe, gp, random, qmc, nsga2, not 'tpee'; "
         "did you mean 'tpe'?")),
        ("{search: {prune: no}}", ("design.search.prune: expected one of none, median, hyperband, wilcoxon, not False "
         "(YAML reads no, off and false as false: put the word in quotes if it is one)")),
        ("{search: {objectives: accuracy}}", "design.search.objectives: expected a list of str, not 'accuracy'"),
        ("{search: {objectives: [accuracy, mac]}}", ("design.search.objectives[1]: unknown objective: 'mac'; did you mean "
         "'macs'? (known: accuracy, params, macs, latency_ms)")),
        ("{search: {objectives: [accuracy, macs, macs]}}", "design.search.objectives[2]: 'macs' stands twice"),
        ("{search: {objectives: [macs, accuracy]}}",
         "design.search.objectives: the first must be the metric of the study, 'accuracy'"),
        ("{search: {objectives: []}}",
         "design.search.objectives: the first must be the metric of the study, 'accuracy'"),
        ("{search: {objectives: [accuracy, macs], prune: median}}",
         "design.search.prune: median compares one score on the way, and there are 2 objectives: leave it out"),
        ("{search: {}, confirm: {tops: 3}}", ("design.confirm.tops: unknown option: 'tops'; did you mean 'top'? "
         "(known: top, seeds)")),
        ("{search: {settings: 4}, confirm: {top: 4}}", "design.confirm.top: 4 is out of range: from 1 to 3"),
        ("{search: {}, confirm: {seeds: 0}}", "design.confirm.seeds: 0 is out of range: from 1 to 10,000"),
        ("{search: {}, confirm: {seeds: five}}", "design.confirm.seeds: expected int, not 'five'"),
        ("{search: {}, confirm: {seeds: []}}", "design.confirm.seeds: the list is empty"),
        ("{search: {}, confirm: {seeds: [-1]}}", "design.confirm.seeds[0]: -1 is out of range: from 0 to 4294967295"),
        ("{search: {}, confirm: {seeds: [7, 8, 7]}}", "design.confirm.seeds[2]: 7 stands twice in [7, 8, 7]"),
        ("{search: {}, confirm: {seeds: [7, 4]}}",
         "design.confirm.seeds[1]: 4 is a seed of the search, which has chosen by it: take a fresh one"),
    ],
)  # fmt: skip
def test_a_design_that_cannot_be_meant_is_refused(design, problem):
    assert problems(design=design) == [problem]


def test_a_search_is_read_and_what_is_not_given_is_filled_in():
    given = (
        "{confirm: {top: 2, seeds: [8, 6]}, search: {settings: 12, sampler: gp, objectives: [accuracy, loss, macs]}}"
    )

    assert read(design="search").design == Design(
        "search", search=Search(40, "tpe", "none", ("accuracy",), 3, (5, 6, 7, 8, 9))
    )
    assert read(design=given, metrics="[loss]").design.search == Search(
        12, "gp", "none", ("accuracy", "loss", "macs"), 2, (8, 6)
    )
    assert read(design="{search: {settings: 3}, confirm: {seeds: 2}}", seeds="[3, 7]").design.search == Search(
        3, "tpe", "none", ("accuracy",), 2, (8, 9)
    )


def test_pruning_that_could_stop_nothing_or_compare_nothing_is_refused():
    epochs = "{attention: [none, se], recipe.epochs: [10, 20]}"

    assert problems(design="{search: {prune: wilcoxon}}", seeds=4) == [
        "design.search.prune: wilcoxon compares seeds and can stop nothing with 4: at least 5"
    ]
    assert problems(design="{search: {prune: median}}", slots=epochs) == [
        (
            "design.search.prune: median compares settings epoch by epoch, and slots.recipe.epochs varies their "
            "number: leave it out"
        )
    ]
    assert read(design="{search: {prune: wilcoxon}}", slots=epochs).design.search.prune == "wilcoxon"


def test_all_problems_of_a_search_are_shown_together():
    assert len(problems(design="{search: {settings: 0, sampler: x, a: 1}, confirm: {top: 0, seeds: [0]}}")) == 5


def test_a_listed_setting_cannot_fill_a_slot_that_does_not_exist_in_it():
    slots = "{conv: [dense, depthwise], mix: {choices: [none, pointwise], when: {conv: depthwise}}}"

    assert problems(slots=slots, design="{list: [{conv: depthwise, mix: pointwise}, {mix: pointwise}]}") == [
        "design.list[1].mix: does not exist in this setting: its `when` does not hold"
    ]


def test_seeds_are_a_number_or_a_list():
    assert read(seeds="3").seeds == (0, 1, 2)
    assert read(seeds="[3, 7, 11]").seeds == (3, 7, 11)


@pytest.mark.parametrize(
    ("seeds", "found"),
    [
        ("{from: 2, to: 7, until: decided}", ["seeds: adaptive seeds are not in this version; give a number or a list"]),
        ("[1, -1, 1]", ["seeds[1]: -1 is out of range: from 0 to 4294967295", "seeds[2]: 1 stands twice in [1, -1, 1]"]),
        ("[1, a, 2.5]", ['seeds[1]: expected a whole number; given "a"',
                         "seeds[2]: expected a whole number; given 2.5"]),
        ("[]", ["seeds: the list is empty"]),
        ("1000000000", ["seeds: 1000000000 is out of range: from 1 to 10,000"]),
        ("2.0", ["seeds: expected a number of seeds or a list of them; given 2.0"]),
    ],
)  # fmt: skip
def test_seeds_that_cannot_be_meant_are_refused(seeds, found):
    assert problems(seeds=seeds) == found


def test_a_score_of_the_users_own_training_says_which_way_is_better():
    content = text(metric="{psnr: {better: higher}}", metrics="[{time: {better: lower}}]")

    study = config.parse_study(content, path=PATH, own_training=True)

    assert (study.metric.name, study.metric.higher_is_better, study.metric.unit) == ("psnr", True, "")
    assert not study.metrics[0].higher_is_better
    assert problems_in(text(metric="{psnr: {better: higher}}")) == [
        "metric: 'psnr' needs a training function of your own: ablate.run(study, train=...)"
    ]


@pytest.mark.parametrize(
    ("metric", "found"),
    [
        ("{psnr: {}}", ["metric.psnr.better: is missing: higher or lower"]),
        ("{psnr: {better: up}}", ["metric.psnr.better: unknown direction: 'up' (known: higher, lower)"]),
        ("{psnr: {better: higher, unti: dB}}", [("metric.psnr.unti: unknown key: 'unti'; did you mean 'unit'? "
                                                "(known: better, unit)")]),
        ("{seed: {better: higher}}", [("metric: a score cannot be called 'seed': letters, digits and _-./: only, no "
                                      "column of the frame")]),
        ("{accuracy: {better: lower}}", ["metric: 'accuracy' is known already: write its name alone"]),
        ("psnr", [("metric: unknown metric: 'psnr' (known: accuracy, balanced-accuracy, loss); a score of your own "
                  "training function says which way is better: {psnr: {better: higher}}")]),
    ],
)  # fmt: skip
def test_a_score_that_cannot_be_meant_is_refused(metric, found):
    assert problems_in(text(metric=metric), own_training=True) == found


def test_a_score_stands_once():
    assert problems(metrics="[loss, accuracy]") == ["metrics[1]: 'accuracy' stands twice"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("practical", "0", "0.0 must be positive: the smallest difference that matters"),
        ("practical", "2", "2.0 is out of range: accuracy is a fraction in [0, 1]"),
        ("practical", "1e-3", 'expected a number; given "1e-3" (YAML reads 1e-3 as text: write 1.0e-3)'),
        ("device", "gpu", "unknown device: 'gpu'; did you mean 'cpu'? (known: auto, cpu, cuda, cuda:0, mps)"),
        ("precision", "fp16", "unknown precision: 'fp16'; did you mean 'bf16'? (known: fp32, bf16)"),
        ("name", "a/b", "'a/b' cannot name a folder"),
        ("name", "con", "'con' cannot name a folder"),
        ("name", '"a\\nb"', "'a\\nb' cannot name a folder"),
        ("name", "a.", "'a.' cannot name a folder"),
        ("notes", "2020-01-01",
         "expected a word, a number, a list or keys, not 2020-01-01 (YAML reads it as a date: put it in quotes)"),
        ("calibration", "[[a, b]]", "not in this version (A/A pairs)"),
        ("network", "resnt", "unknown network: 'resnt'; did you mean 'resnet'? (known: resnet)"),
        ("network", "[resnet]", 'expected a name, or one name with its options; given ["resnet"]'),
        ("network", "{}", "expected one name, not 0"),
        ("data", "digit", "unknown data set: 'digit'; did you mean 'digits'? (known: digits, fashion-mnist)"),
        ("data", None, "is missing"),
        ("slots", "{}", "there are none: nothing would be compared"),
        ("slots", "[attention]", 'expected slots, each with a list of choices; given ["attention"]'),
    ],
)  # fmt: skip
def test_other_keys_that_cannot_be_meant_are_refused(key, value, said):
    assert problems(**{key: value}) == [f"{key}: {said}"]


# YAML


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", ["expected keys such as network, data and slots, not nothing"]),
        ("- a", ['expected keys such as network, data and slots, not ["a"]']),
        ("network:\n\tresnet", ["line 2, column 1: found character '\\t' that cannot start any token"]),
        ("a: &x 1\nb: *x", ["line 2, column 4: references to anchors are not read here: write it out"]),
        ("&x [*x]", ["line 1, column 5: references to anchors are not read here: write it out"]),
        ("<<: {a: 1}", ["line 1, column 1: a key must be a plain word"]),
        ("? [a]\n: 1", ["line 1, column 3: a key must be a plain word"]),
        ("a: 1\n---\nb: 1", ["line 2, column 1: but found another document"]),
        ("a: " + "[" * 5000, ["nested too deeply"]),
        ("a: !!python/object:os.system x", [("line 1, column 4: could not determine a constructor for the tag "
                                            "'tag:yaml.org,2002:python/object:os.system'")]),
        ("a: 2020-13-45", ["no YAML: month must be in 1..12"]),
        ("a: \x07", [('no YAML: unacceptable character #x0007: special characters are not allowed in '
                     '"<unicode string>", position 3')]),
    ],
)  # fmt: skip
def test_what_is_no_yaml_or_no_study_is_said_with_its_line(content, found):
    assert problems_in(content) == found


def test_what_yaml_makes_of_things_silently_is_said_along_with_everything_else():
    found = problems_in(
        text(metrc="1", seeds="010", practical="1:30", tags="!!set {a}", question='"\\ud800"')
        + "\nno: 1\n3: 4\nseeds: 0x10\nslots: {attention: [no, se]}"
    )

    assert found[:9] == [
        "line 5, column 8: YAML reads 010 as 8: write 8, or put it in quotes",
        "line 6, column 12: YAML reads 1:30 as 90: write 90, or put it in quotes",
        "line 11, column 1: 'seeds' stands twice",
        "line 11, column 8: YAML reads 0x10 as 16: write 16, or put it in quotes",
        "line 12, column 1: 'slots' stands twice",
        "tags: expected a word, a number, a list or keys, not {'a'}",
        "question: '\\ud800' holds half a character",
        (
            "False: expected a word as key, not False (YAML reads no, off and false as false: put the word in quotes if "
            "it is one)"
        ),
        "3: expected a word as key, not 3",
    ]
    assert any(problem.startswith("slots.attention[0]: expected a name") for problem in found)
    assert any(problem.startswith("metrc: unknown key") for problem in found)


def test_a_number_too_large_to_record_is_refused():
    assert problems(seeds="99999999999999999999") == ["seeds: the number is too large"]


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.dates(),
    st.sampled_from(["none", "se", "grouped", "sgd", "factorial", "list", "when", "choices", "label", "reduction"]),
)  # fmt: skip
KEYS = st.one_of(
    st.sampled_from([
        *config.FIELDS, "resnet", "digits", "attention", "conv", "mix", "kernel", "recipe.epochs", "data.train", "se",
        "grouped", "choices", "when", "reference", "factorial", "list", "label", "reduction", "groups", "epochs",
    ]),
    st.integers(),
    st.text(max_size=3),
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
GOOD = yaml.safe_load(text())


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.dictionaries(st.sampled_from(config.FIELDS), ANYTHING, max_size=4), st.dictionaries(KEYS, ANYTHING))
def test_whatever_a_file_holds_the_answer_is_a_study_or_its_problems(parts, slots):
    content = yaml.safe_dump({**GOOD, "slots": {"attention": ["none", "se"], **slots}, **parts}, allow_unicode=True)

    found = ()
    try:
        config.parse_study(content, path=PATH)
    except StudyError as error:
        found = error.problems
    assert all(problem.startswith("studies/se.yml: ") for problem in found)


# Files


def test_a_file_is_read_as_utf8_with_or_without_a_mark_and_named_by_its_stem(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, mark in (("注意力.yml", b""), ("marked.yml", b"\xef\xbb\xbf")):
        (tmp_path / name).write_bytes(mark + text(question="哪个？").encode())

        study = config.read_study(name)

        assert (study.name, study.path, study.question) == (Path(name).stem, name, "哪个？")


def test_a_file_that_is_no_utf8_text_is_named(tmp_path):
    path = tmp_path / "gbk.yml"
    path.write_bytes(text(question="哪个？").encode("gbk"))

    with pytest.raises(StudyError, match=r"gbk\.yml: cannot be read as UTF-8 text"):
        config.read_study(path)


@pytest.mark.parametrize("argument", ["atention", "studies/atention.yml", "", ".", "x" * 5000, "a\0b"])
def test_a_study_that_does_not_exist_is_an_error_that_names_those_that_do(argument):
    with pytest.raises(StudyError, match=r"no such file|cannot be read"):
        config.read_study(argument)


def test_the_name_of_a_shipped_study_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert config.read_study("attention").path == "ablate:attention.yml"
