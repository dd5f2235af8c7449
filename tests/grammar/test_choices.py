"""Lists that become choices, and the choices that a reference or a condition means."""

import pytest


def labels(study, slot):
    return [choice.label for choice in study.slot(slot).choices]


def test_a_list_for_a_scalar_option_makes_one_choice_per_value_the_last_list_fastest(read):
    study = read(slots="{attention: [none, {cbam: {reduction: [4, 8], kernel: [3, 7]}}]}")

    assert labels(study, "attention")[1:] == [
        "cbam(reduction=4, kernel=3)", "cbam(reduction=4, kernel=7)",
        "cbam(reduction=8, kernel=3)", "cbam(reduction=8, kernel=7)",
    ]  # fmt: skip
    assert dict(study.slot("attention").choices[2].options)["kernel"] == 7


def test_defaults_are_filled_in_before_choices_are_compared(problems):
    assert problems(slots="{attention: [none, se, {se: {reduction: 16}}, {se: {bias: false}}]}") == [
        "slots.attention[2]: 'se(reduction=16)' is the same choice as slots.attention[1]",
        "slots.attention[3]: 'se(bias=false)' is the same choice as slots.attention[1]",
    ]


def test_a_whole_number_is_a_value_of_a_slot_that_takes_fractions(read, problems):
    assert problems(slots="{recipe.label_smoothing: [0, 0.0]}") == [
        "slots.recipe.label_smoothing[1]: '0.0' is the same choice as slots.recipe.label_smoothing[0]"
    ]
    assert type(read(slots="{recipe.label_smoothing: [0, 0.1]}").slots[0].choices[0].name) is float
    assert read(recipe="{learning_rate: 1}").recipe == read(recipe="{learning_rate: 1.0}").recipe


def test_a_choice_can_carry_a_label_of_its_own(read):
    study = read(
        slots="{attention: [none, {se: {reduction: 4, label: 挤压, r=4}}]}".replace("挤压, r=4", "'挤压, r=4'")
    )

    assert labels(study, "attention") == ["none", "挤压, r=4"]
    assert dict(study.slots[0].choices[1].options)["reduction"] == 4


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
         "spatial-first, parallel, not 'chanel-first'; did you mean 'channel-first'?")),
    ],
)  # fmt: skip
def test_a_choice_that_cannot_be_meant_is_refused(problems, item, problem):
    assert problems(slots=f"{{attention: [none, {item}]}}") == [problem]


def test_lists_that_multiply_without_end_are_refused(problems):
    many = ", ".join(map(str, range(1, 100)))

    found = problems(slots=f"{{attention: [none, {{cbam: {{reduction: [{many}], kernel: [{many}]}}}}]}}")

    assert found == ["slots.attention[1].cbam: its lists multiply to 9,801 choices; at most 1,000"]


@pytest.mark.parametrize("wrong", ["'5'", "5.0", "yes", "{5: {label: five}}", "[5]", "~"])
def test_a_value_of_another_type_is_refused_and_not_cast(problems, wrong):
    found = problems(slots=f"{{kernel: [3, {wrong}]}}")

    assert found
    assert all(problem.startswith("slots.kernel[1]") for problem in found)


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
def test_a_condition_names_choices_by_name_by_label_or_written_out(read, condition, expected):
    assert read(slots=when(condition)).slot("mix").when == (("conv", frozenset(expected)),)


def test_a_name_in_a_condition_matches_all_its_expansions_even_if_one_has_the_bare_name_as_label(read):
    study = read(slots=when("{norm: group}", others="norm: [batch, {group: {groups: 4}}, group]"))

    assert study.slot("mix").when == (("norm", frozenset({"group", "group(groups=4)"})),)


def test_a_condition_can_be_on_a_value(read):
    study = read(slots=when("{kernel: [5], recipe.label_smoothing: 0}",
                            others="kernel: [3, 5], recipe.label_smoothing: [0.0, 0.1]"))  # fmt: skip

    assert study.slot("mix").when == (
        ("kernel", frozenset({"5"})), ("recipe.label_smoothing", frozenset({"0.0"})),
    )  # fmt: skip


# References


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
def test_a_reference_is_a_label_a_name_or_a_choice_written_out_and_else_the_first(read, reference, expected):
    study = read(
        slots="{norm: [batch, {group: {groups: [4, 8]}}, layer, {instance: {label: 我的}}]}", reference=reference
    )

    assert study.reference["norm"].label == expected


def test_a_bare_name_that_is_also_a_label_is_that_choice(read):
    study = read(slots="{norm: [{group: {groups: 4}}, group]}", reference="{norm: group}")

    assert dict(study.reference["norm"].options) == {"groups": None, "per_group": None}


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
def test_a_reference_outside_the_choices_is_refused(problems, reference, problem):
    assert problems(slots="{norm: [batch, {group: {groups: [4, 8]}}, layer]}", reference=reference) == [problem]
