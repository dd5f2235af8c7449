"""Designs: what each may say of itself, and what a search fills in."""

import pytest

from ablate.study import Design, Search


@pytest.mark.parametrize(
    ("design", "problem"),
    [
        ("cumulative", "design.cumulative: needs its steps: {cumulative: [slot, {slot: choice}, ...]}"),
        ("{cumulative: [3]}", "design.cumulative[0]: expected a slot, or {slot: choice}; given 3"),
        ("{cumulative: [norm]}", "design.cumulative[0]: unknown slot: 'norm' (known: attention)"),
        ("{cumulative: [{attention: none}]}", "design.cumulative[0]: changes nothing: nothing would be ablated"),
        ("{cumulative: [attention, {attention: none}]}",
         "design.cumulative[1]: comes back to 'none', which has been compared"),
        ("{leave-one-out: {ful: {}}}",
         'design.leave-one-out: expected {full: {slot: choice}}; given {"ful": {}}'),
        ("{leave-one-out: {full: {attention: eca}}}",
         "design.leave-one-out.full.attention: unknown choice: 'eca' (known: none, se)"),
        ("leave-one-out", ("design: the full model holds 'none' for 'attention', and without it would hold the same: say "
         "another in full, or in slots.attention.without")),
        ("fractional", "design.fractional: needs the number of trials in all: {fractional: {runs: 16}}"),
        ("{fractional: 24}", "design.fractional: expected {option: value}; given 24"),
        ("{fractional: {}}", "design.fractional: needs the number of trials in all: {fractional: {runs: 16}}"),
        ("{fractional: {runs: 1}}", "design.fractional.runs: 1 is out of range: from 2 to 10,000"),
        ("{fractional: {runs: 8, rows: 8}}", "design.fractional.rows: unknown option: 'rows' (known: runs)"),
        ("{list: {attention: se}}", 'design.list.attention: expected a list of choices; given "se"'),
        ("one-at-a-tme", ("design: unknown design: 'one-at-a-tme'; did you mean 'one-at-a-time'? "
         "(known: one-at-a-time, leave-one-out, cumulative, factorial, fractional, list, search)")),
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
def test_a_design_that_cannot_be_meant_is_refused(problems, design, problem):
    assert problems(design=design) == [problem]


def test_a_search_is_read_and_what_is_not_given_is_filled_in(read):
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


def test_pruning_that_could_stop_nothing_or_compare_nothing_is_refused(read, problems):
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


def test_all_problems_of_a_search_are_shown_together(problems):
    assert len(problems(design="{search: {settings: 0, sampler: x, a: 1}, confirm: {top: 0, seeds: [0]}}")) == 5


def test_a_listed_setting_cannot_fill_a_slot_that_does_not_exist_in_it(problems):
    slots = "{conv: [dense, depthwise], mix: {choices: [none, pointwise], when: {conv: depthwise}}}"

    assert problems(slots=slots, design="{list: [{conv: depthwise, mix: pointwise}, {mix: pointwise}]}") == [
        "design.list[1].mix: does not exist in this setting: its `when` does not hold"
    ]
