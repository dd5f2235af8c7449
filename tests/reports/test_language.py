"""Reports in Chinese say what they say in English, and say all of it."""

import ast
import json
import re
from itertools import chain
from pathlib import Path
from string import Formatter
from typing import get_args

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

from ablate import reporting
from ablate.data import described
from ablate.design import ESTIMANDS
from ablate.study import Choice
from blocks import catalogue as blocks_catalogue
from reports.comparison import Verdict
from reports.contrasts import NO_DUNNETT
from reports.errors import ResultsError
from reports.formats import counted, few, listed, paragraph, percent, quoted, sentence
from reports.language import LANGUAGES, catalogue, said, speaking, tr
from reports.report import report_on
from reports.sentences import METHODS, RELATIONS
from reports.sequential import Looks
from reports.tables import Metric, all_tables
from reports.tables.columns import COSTS, P_VALUES
from reports.tables.cost import NAMES
from reports.tables.studies import studies_table
from reports.tables.table import text_width, wrapped

ROOT = Path(__file__).parents[2]
SPOKEN = [*sorted((ROOT / "reports").rglob("*.py")), ROOT / "ablate" / "reporting.py"]
PAGES = sorted((ROOT / "reports").rglob("*.jinja"))


def fields(template):
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def literals():
    """Yield each template that is written where it is said, with its file."""
    for path in SPOKEN:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if called not in {"tr", "said", "counted"}:
                continue
            given = node.args[called == "counted"]
            if isinstance(given, ast.Constant):
                found = [f"{{n}} {given.value}{end}" for end in ("", "s")] if called == "counted" else [given.value]
                yield from ((template, path.name) for template in found)
    for path in PAGES:
        for one in re.finditer(r"""\btr\(\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""", path.read_text(encoding="utf-8")):
            yield ast.literal_eval(one[1]), path.name


def kept():
    """Return what is said by a name: verdicts, corrections, costs, what designs estimate and how data are split."""
    registry = blocks_catalogue.read("blocks", "ablate.data", "ablate.tasks")
    splits = [entry.facts["split"] for entry in registry.entries("data") if "split" in entry.facts]
    return {
        *get_args(Verdict), "A/A", "A/A failed", *METHODS.values(), *RELATIONS.values(), *P_VALUES.values(), *NAMES.values(),
        *(header for header, _ in COSTS.values()), *ESTIMANDS.values(), *splits, *reporting.SCORED_ON, NO_DUNNETT,
    }  # fmt: skip


TEMPLATES = dict(literals()) | dict.fromkeys(kept(), "kept")


def test_every_template_has_a_chinese_entry():
    assert {template: path for template, path in TEMPLATES.items() if template not in catalogue("zh")} == {}


def test_no_entry_is_unused():
    assert [template for template in catalogue("zh") if template not in TEMPLATES] == []


def test_no_entry_is_there_twice():
    text = (ROOT / "reports" / "language" / "zh.json").read_text(encoding="utf-8")
    pairs = json.loads(text, object_pairs_hook=list)

    assert len(pairs) == len(dict(pairs))


@pytest.mark.parametrize("lang", [lang for lang in LANGUAGES if lang != "en"])
def test_an_entry_is_filled_with_what_its_template_is_filled_with(lang):
    differing = {english: own for english, own in catalogue(lang).items() if fields(english) != fields(own)}

    assert differing == {}


def test_an_unknown_language_names_those_that_there_are():
    with (
        pytest.raises(ResultsError, match=r"unknown language 'zhh'; did you mean 'zh'\? \(known: en, zh\)"),
        speaking("zhh"),
    ):
        pass


def test_what_is_spoken_ends_with_its_block_even_after_an_error():
    def fail():
        with speaking("en"):
            raise ResultsError(tr("Copy"))

    with speaking("zh"):
        with pytest.raises(ResultsError, match=r"^Copy$"):
            fail()
        assert tr("Copy") == "复制"
    assert tr("Copy") == "Copy"


@pytest.mark.parametrize("name", ["{n}", "{", "{0.__class__}", "100%", "{{x}}", "“{label}”"])
def test_braces_in_a_name_are_text(name):
    with speaking("zh"):
        assert quoted([name]) == f"“{name}”"
        assert tr("better {name}", name=name) == f"better {name}"


def test_between_chinese_and_latin_words_stands_a_space_but_never_within_a_name():
    with speaking("zh"):
        assert tr("Which settings differ from {partner}?", partner="CBAM注意力7") == "哪些配置与 CBAM注意力7 不同？"
        assert tr("Which settings differ from {partner}?", partner="“se”") == "哪些配置与“se”不同？"


def test_what_is_kept_stays_in_english_and_is_said_in_the_language_of_the_reader():
    reason = said("no complete run of {label!r}", label="se")

    with speaking("zh"):
        assert (reason.english, str(reason)) == ("no complete run of 'se'", "“se”没有已完成的运行")
    assert str(reason) == reason.english


def test_counts_lists_and_sentences_are_those_of_the_language():
    with speaking("zh"):
        assert [counted(1, "seed"), counted(5, "seed")] == ["1 个种子", "5 个种子"]
        assert listed(["a", "b", "c"]) == "a、b 和 c"
        assert quoted(["a", "b"]) == "“a”和“b”"
        assert few(list("abcdef")) == "a、b、c、d 等（另有 2 项）"
        assert percent(0.05) == "5%"
        assert [sentence("“a”更优"), sentence("为什么？"), sentence("What a run noted")] == [
            "“a”更优。", "为什么？", "What a run noted.",
        ]  # fmt: skip
        assert paragraph(["一。", "", "二。", "Three.", "四。"]) == "一。二。Three. 四。"


def test_chinese_lines_are_as_wide_as_asked_and_begin_with_no_stop():
    text = "没有配置与“none”存在显著差异（显著性水平 5%，Holm 校正后）：使用 5 个种子时，不小于 1.96 百分点的效应" * 4
    text += " " + "x" * 100

    for width in range(20, 80):
        lines = wrapped(f"- {text}", width, indent="  ")
        assert max(map(text_width, lines)) <= width
        assert not [line for line in lines if line.strip()[0] in "，。：；、）”"]
        assert "".join("".join(lines).split()) == "".join(f"- {text}".split())


# -- whole reports -----------------------------------------------------------------------------------------------

FIVE = {
    "none": [0.901, 0.907, 0.896, 0.912, 0.899],
    "se": [0.905, 0.909, 0.903, 0.913, 0.905],
    "eca": [0.899, 0.907, 0.893, 0.908, 0.901],
    "cbam": [0.921, 0.926, 0.918, 0.927, 0.919],
}
CLOSE = {"none": FIVE["none"], "se": [0.904, 0.905, 0.897, 0.914, 0.902]}
LOOKED = {"none": [0.800, 0.822, 0.811, 0.803], "se": [0.851, 0.870, ..., ...], "eca": [0.803, 0.820, 0.813, 0.803]}
LOOKS = {"looks": Looks(2, 4), "planned_seeds": {"none": range(4), "se": range(2), "eca": range(4)}}
CONTROL = [0.9005, 0.9069, 0.8967, 0.9116, 0.8997]
SECONDARY = [Metric("loss", higher_is_better=False), Metric("top")]
NOISE = np.random.default_rng(4).normal(0.9, 0.004, 10)
TEN = {
    "none": NOISE.tolist(),
    "se": (NOISE + np.array([0.0001, -0.0001] * 4 + [0.0001, 0.05])).tolist(),
    "eca": (NOISE + np.linspace(0.0009, 0.0011, 10)).tolist(),
}
BROKEN = {"se": [0.905, None, 0.903, None, 0.905], "eca": [None] * 5}
CASES = {
    "effects": (FIVE, {"practical": 0.004}),
    "nothing found": (CLOSE, {}),
    "practical": (CLOSE, {"practical": 0.0004}),
    "equivalent": (CLOSE, {"practical": 0.02}),
    "many": (FIVE | {f"s{i}": [x + i * 1e-4 * (-1) ** j for j, x in enumerate(FIVE["none"])] for i in range(1, 7)}, {}),
    "one seed": ({label: scores[:1] for label, scores in FIVE.items()}, {}),
    "two seeds": ({label: scores[:2] for label, scores in FIVE.items()}, {}),
    "one setting": ({"none": FIVE["none"]}, {}),
    "no variance": ({"none": [0.9] * 3, "se": [0.9] * 3}, {}),
    "no run": ({"none": [..., 0.9], "se": [0.91, ...]}, {"settings": ["none", "se", "eca"]}),
    "failed": (FIVE | BROKEN, {}),
    "reference failed": (FIVE | {"none": [None] * 5}, {}),
    "lacking": (FIVE | {"se": [0.905, 0.909, ..., ..., ...]}, {}),
    "few shared": (FIVE | {"se": [0.905, ..., ..., ..., ...]} | {"eca": [0.899, None, 0.893, 0.908, 0.901]}, {}),
    "dunnett": (FIVE, {"correction": "dunnett"}),
    "no dunnett": (FIVE | BROKEN, {"correction": "dunnett"}),
    "adaptive": (LOOKED, LOOKS),
    "adaptive, wild": (LOOKED | {"cbam": [0.7, None, ..., ...]}, LOOKS | {"planned_seeds": range(4)}),
    "no look yet": (LOOKED, LOOKS | {"looks": Looks(7, 9), "planned_seeds": range(9)}),
    "race": (LOOKED, LOOKS | {"until": "best"}),
    "race, open": (CLOSE, {"looks": Looks(2, 5), "until": "best"}),
    "a/a": (FIVE | {"control": CONTROL}, {"calibration": [("none", "control")]}),
    "a/a, not run": (FIVE, {"settings": [*FIVE, "control"], "calibration": [("none", "control")]}),
    "a/a, failed": (
        FIVE | {"control": [x + 0.02 for x in CONTROL]}, {"calibration": [("none", "control")], "marks": ["选择"]},
    ),
    "sign flips": (TEN, {}),
    "secondary": (FIVE, {"secondary": SECONDARY}),
    "outside": (FIVE, {"planned_seeds": range(3)}),
    "path": (FIVE, {"design": "cumulative", "against": {"se": "none", "eca": "se", "cbam": "eca"}}),
    "lower": (FIVE, {"metric": Metric("accuracy", higher_is_better=False)}),
}  # fmt: skip
SLOTS_GIVEN = ("attention", "norm", "kernel")
CHOICES = {
    "none": {"attention": "none", "norm": "batch"},
    "se": {"attention": "se", "norm": "batch"},
    "eca": {"attention": "none", "norm": "group"},
    "cbam": {"attention": "se", "norm": "group"},
}
NAMES_GIVEN = {
    *FIVE, *CASES["many"][0], *SLOTS_GIVEN, "control", "accuracy", "loss", "top", "batch", "group", "groups", "study", "demo",
}  # fmt: skip
TERMS = {"Holm", "Dunnett", "ms", "II", "fANOVA"}


@pytest.fixture(scope="module")
def tables(runs, analysis):
    """Return a function that makes all tables of one of the cases in the language that is spoken."""

    def make(case):
        scores, changes = CASES[case]
        frame = runs(scores)
        rng = np.random.default_rng(1)
        frame["loss"] = 1 - frame["accuracy"] + 0.05 * (frame["setting"] == "se") + rng.normal(0, 0.002, len(frame))
        frame["top"] = 0.95 + rng.normal(0, 0.01, len(frame))
        found = analysis(frame, **changes)
        return all_tables(found.plan, found, None)

    return make


@pytest.fixture(scope="module")
def crossed(runs):
    """Return a function that makes all tables of two crossed slots in the language that is spoken."""
    from reports.factors import Factor
    from reports.plan import Plan

    def make(design="factorial"):
        factors = [Factor("attention", ("none", "se"), "none"), Factor("norm", ("batch", "group"), "batch")]
        plan = Plan(
            "study", "", list(CHOICES), ["attention", "norm"], "none", Metric("accuracy", unit="fraction"), range(5),
            choices=CHOICES, design=design, estimand=ESTIMANDS[design],
        )  # fmt: skip
        frame = runs(FIVE, study="study")
        for slot in SLOTS_GIVEN[:2]:
            frame[f"slot.{slot}"] = [CHOICES[label][slot] for label in frame["setting"]]
        return report_on(frame, plan, factors=factors).tables

    return make


SLOTS = {
    "noise": {},
    "interaction": {"worth": lambda row: 0.06 * (row["norm"] != "batch" and row["attention"] == "se")},
    "worse": {"worth": lambda row: -0.05 * (row["norm"] != "batch")},
    "better": {"worth": lambda row: 0.05 * (row["norm"] != "batch")},
    "two": {"slots": ("attention", "norm"), "seeds": 4, "worth": lambda row: 0.06 * (row != {"attention": "se"})},
    "scatter": {
        "slots": ("attention", "norm"), "seeds": 4,
        "worth": lambda row: 0.06 * (row["norm"] != "batch" and row["attention"] == "se"),
    },
    "few": {"edit": lambda frame: frame.__setitem__("state", ["complete"] * 9 + ["failed"] * (len(frame) - 9))},
    "none": {"edit": lambda frame: frame.__setitem__("state", "failed")},
}  # fmt: skip


def texts(table):
    return [
        table.title, table.caption, table.legend, *table.notes, *(column.group for column in table.body),
        *chain(*([name, *column.cells] for name, column in zip(table.columns, table.body, strict=True))),
    ]  # fmt: skip


def english_words(table):
    words = re.findall(r"[A-Za-z][A-Za-z0-9]+", " ".join(texts(table)))
    return sorted({word for word in words if word not in TERMS and word not in NAMES_GIVEN})


@pytest.mark.parametrize("case", CASES)
def test_no_english_is_left_in_a_chinese_report(tables, case):
    with speaking("zh"):
        assert {table.key: english_words(table) for table in tables(case) if english_words(table)} == {}


@pytest.mark.parametrize("case", SLOTS)
def test_no_english_is_left_in_a_chinese_table_of_slots(slots_table, case):
    with speaking("zh"):
        assert english_words(slots_table(**SLOTS[case])) == []


@pytest.mark.parametrize("design", ["factorial", "leave-one-out", "cumulative", "list"])
def test_no_english_is_left_where_slots_are_crossed(crossed, design):
    with speaking("zh"):
        assert {table.key: english_words(table) for table in crossed(design) if english_words(table)} == {}


@pytest.mark.parametrize(
    "other",
    [
        CLOSE | {"top": CONTROL},
        {"none": FIVE["none"], "se": [0.85, 0.86, 0.84, 0.86, 0.85]},
        {label: scores[:1] for label, scores in FIVE.items()},
    ],
)
def test_no_english_is_left_where_studies_are_compared(analysis, runs, other):
    with speaking("zh"):
        first, second = (
            analysis(runs(scores, study=study), study=study, choices={label: {"attention": label} for label in scores})
            for scores, study in ((FIVE, "attention"), (other, "norm"))
        )

        assert english_words(studies_table(first, second)) == []


@pytest.mark.parametrize("case", CASES)
def test_the_figures_and_what_stands_out_are_the_same_in_both_languages(tables, case):
    english = tables(case)
    with speaking("zh"):
        chinese = tables(case)

    for one, other in zip(english, chinese, strict=True):
        assert_frame_equal(one.frame, other.frame)
        assert (one.key, one.reference_row, one.breaks, one.shaded) == (
            other.key, other.reference_row, other.breaks, other.shaded,
        )  # fmt: skip
        assert len(one.notes) == len(other.notes)
        assert [(c.kind, c.better, c.emphasis, len(c.cells)) for c in one.body] == [
            (c.kind, c.better, c.emphasis, len(c.cells)) for c in other.body
        ]


def test_the_table_reads_as_a_chinese_one(tables):
    with speaking("zh"):
        (made, *_) = tables("effects")

    assert made.notes[0] == "“se”（+0.40 百分点）和“cbam”（+1.92 百分点）优于“none”（显著性水平 5%，Holm 校正后）。"
    assert made.caption.startswith(
        "本表估计的是其余槽位保持基准时改变单个槽位的效应。accuracy %：5 个种子上的均值 ± 标准差；越高越好。"
    )
    assert made.columns[1:5] == ("accuracy %", "Δ 百分点 [95% 置信区间]", "p (Holm)", "结论")
    assert made.rows[0][2] == "基准"


@pytest.mark.parametrize("held_out", [False, True])
def test_the_sentence_on_the_images_is_known(held_out):
    noted = described(Choice("digits", (("train", 300),)), held_out=held_out)

    assert reporting._scored_on(noted) == noted
    with speaking("zh"):
        assert re.findall(r"[A-Za-z]\w+", reporting._scored_on(noted)) == ["digits", "train"]


def test_a_sentence_that_a_run_noted_in_its_own_words_stays():
    with speaking("zh"):
        assert reporting._scored_on("Scored on my own images.") == "Scored on my own images."
