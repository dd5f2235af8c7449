r"""Tables set by a real pdfLaTeX: no error, no overfull box, and names of users printed as they stand."""

import os
import re
import shutil
import subprocess

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.latex import PREAMBLE, documents, escape, render, style_of
from reports.styles import STYLES
from reports.tables import Metric
from reports.tables.studies import studies_table

pytestmark = pytest.mark.slow

NASTY = (
    "CBAM_k7", "50%", "$x_1$", "#1 & ~^", r"\input{/etc/passwd}", r"\write18{touch owned}", "^^5cinput", '{[*|"`--]}<>', "注意力 é",
    "😀 ж", "<script>alert(1)</script>", "\x1b[31mred", "a-very-long-name_of(a=1,b=2)_that/goes=on.and:on", "W" * 60, "'quoted'",
)  # fmt: skip


@pytest.fixture(scope="session")
def pdflatex(tmp_path_factory):
    """Return a function that sets tables in a style and returns the folder; it fails on an error or an overfull box."""
    for program in ("pdflatex", "pdftotext"):
        if shutil.which(program) is None:
            if os.environ.get("CI"):
                pytest.fail(f"{program} is missing where it must not be")
            pytest.skip(
                f"{program} is not installed: apt-get install texlive-latex-extra texlive-science poppler-utils"
            )

    def compile_(tables, style, *, files=None, shell=False):
        folder = tmp_path_factory.mktemp("latex")
        for name, text in (files or {"ablation-preamble.tex": PREAMBLE}).items():
            (folder / name).write_text(text, encoding="utf-8")
        body = "\n\\clearpage\n".join(tables)
        source = f"{style_of(style).begin}\n\\input{{ablation-preamble.tex}}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
        (folder / "all.tex").write_text(source, encoding="utf-8")
        flags = ["-interaction=nonstopmode", "-halt-on-error", *(["-shell-escape"] if shell else [])]
        for _ in range(2):  # longtable knows its widths at the second
            done = subprocess.run(
                ["pdflatex", *flags, "all.tex"], cwd=folder, capture_output=True, text=True, errors="replace"
            )
            assert done.returncode == 0, done.stdout[-3000:]
        assert re.findall(r"^(?:Overfull|Missing character|.*too large).*$", done.stdout, flags=re.MULTILINE) == []
        return folder

    return compile_


def printed(folder):
    """Return the text of the PDF, its spaces and line ends taken out."""
    done = subprocess.run(["pdftotext", "-layout", "all.pdf", "-"], cwd=folder, capture_output=True, check=True)
    return re.sub(r"\s+", "", done.stdout.decode("utf-8"))


@pytest.mark.parametrize("style", STYLES)
def test_tables_of_every_kind_fit_every_style(pdflatex, crossed, table, slots_table, five_blocks, runs, style):
    labels = ("reference", "attention=se", "attention=se, norm=group(groups=4)")
    path = crossed(design="cumulative", labels=labels, against=dict(zip(labels[1:], labels, strict=False)))
    many = {"none": [0.9, 0.91], **{f"attention=se, norm=group(groups={i})": [0.9, 0.92] for i in range(60)}}
    wide = runs(five_blocks)
    for i in range(8):
        wide[f"metric-{i}"] = wide["accuracy"]
    later = crossed(study="later", edit=lambda frame: frame.assign(study="later", accuracy=frame["accuracy"] / 2))
    tables = [
        *crossed().tables,
        *path.tables,
        studies_table(crossed().analysis, later.analysis),
        table(five_blocks, practical=0.005, notes=["µ ² α → ≤ é 'x'"], marks=["Selected on the test part."]),
        table(five_blocks | {"eca": [0.9, None, 0.9, None, 0.9]}),
        table({"none": [0.9], "se": [0.91]}),
        table({"none": [0.9, 0.95]}),
        table({"none": [None] * 3, "se": [None] * 3}),
        table(five_blocks | {"control": [0.9] * 5}, calibration=[("none", "control")]),
        table(many),
        table({"none": [0.9, 0.91], **{f"s{i}": [0.9, 0.92] for i in range(60)}}, notes=["word " * 80] * 30),
        table(wide, secondary=[Metric(f"metric-{i}", unit="fraction") for i in range(8)]),
        slots_table(lambda row: 0.06 * (row["norm"] != "batch" and row["attention"] == "se")),
    ]

    pdflatex([render(one, style=style_of(style), label=f"tab:{i}") for i, one in enumerate(tables)], style)


@pytest.mark.parametrize("style", STYLES)
def test_names_of_users_are_printed_as_text(pdflatex, crossed, table, style):
    frame_names = {"none": [0.9, 0.91, 0.92], **{name: [0.9, 0.92, 0.93] for name in NASTY}}
    shown = table(frame_names, notes=NASTY, question=" ".join(NASTY))

    folder = pdflatex([render(shown, style=style_of(style))], style, shell=True)

    text = printed(folder)
    # The underscore of Computer Modern is a rule, and its circumflex an accent.
    for name in ("CBAMk7", "50%", "$x1$", r"\write18{touchowned}", "ˆˆ5cinput", "<script>alert(1)</script>", "注意力"):
        assert name in text, name
    assert "/etc/passwd" in text.replace("-", "")
    assert "root:" not in text
    assert "[U+1F600]" in text
    assert not (folder / "owned").exists()


def test_the_document_of_a_report_shows_every_table_and_the_methods(pdflatex, crossed):
    files = documents(crossed(), style="cvpr")

    folder = pdflatex([], "cvpr", files=files)

    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "crossed-all.tex"], cwd=folder, capture_output=True
    )
    assert done.returncode == 0
    shutil.copy(folder / "crossed-all.pdf", folder / "all.pdf")
    text = printed(folder)
    assert "Table5:" in text
    assert "4settingsof‘crossed’have5seeds(20completeruns)" in text


@pytest.mark.skipif(shutil.which("kpsewhich") is None and "CI" not in os.environ, reason="needs TeX Live")
def test_the_preamble_may_be_input_twice_in_the_real_class_of_ieee(pdflatex, crossed, tmp_path):
    if not subprocess.run(["kpsewhich", "IEEEtran.cls"], capture_output=True).stdout:
        if os.environ.get("CI"):
            pytest.fail("IEEEtran.cls is missing where it must not be")
        pytest.skip("IEEEtran.cls is not installed: apt-get install texlive-publishers")
    (tmp_path / "ablation-preamble.tex").write_text(PREAMBLE, encoding="utf-8")
    tables = "\n".join(render(one, style=style_of("ieee")) for one in crossed().tables)
    source = "\\documentclass[conference]{IEEEtran}\n" + "\\input{ablation-preamble.tex}\n" * 2
    (tmp_path / "paper.tex").write_text(f"{source}\\begin{{document}}\n{tables}\n\\end{{document}}\n", encoding="utf-8")

    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
    )

    assert done.returncode == 0, done.stdout[-2000:]
    assert re.findall(r"^Overfull.*$", done.stdout, flags=re.MULTILINE) == []


def test_lualatex_prints_a_code_for_what_its_font_lacks(tmp_path):
    if shutil.which("lualatex") is None:
        if os.environ.get("CI"):
            pytest.fail("lualatex is missing where it must not be")
        pytest.skip("lualatex is not installed: apt-get install texlive-latex-base")
    (tmp_path / "ablation-preamble.tex").write_text(PREAMBLE, encoding="utf-8")
    text = " ".join(escape(name) for name in NASTY)
    source = f"\\documentclass{{article}}\n\\input{{ablation-preamble.tex}}\n\\begin{{document}}\n{text}\n\\end{{document}}\n"
    (tmp_path / "all.tex").write_text(source, encoding="utf-8")

    done = subprocess.run(
        ["lualatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace",
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in (tmp_path / "all.log").read_text(encoding="utf-8", errors="replace")
    found = printed(tmp_path)
    assert all(character in found or f"U+{ord(character):04X}" in found for character in "注意力😀ж")


LABELS = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp")), min_size=1, max_size=30),
    st.from_regex(r"[a-z]{2,12}(=[a-z0-9]{1,6}|\([a-z]{2,9}=[0-9]{1,2}\))?", fullmatch=True),
)
SLOTS = st.sampled_from(
    ("attention", "norm_1", "卷积", "position_of_the_attention_module", "W" * 30, "50% $x$", r"\input{x}")
)
SCORES = st.lists(st.one_of(st.none(), st.floats(0, 1, width=32)), min_size=1, max_size=4)


def _report(names, data, question, slots, other):
    """Return a report on settings of these names with these scores; None is a failed run."""
    from reports.plan import Plan
    from reports.report import report_on

    rows = [
        {
            "study": "random", "setting": name, "seed": seed, "state": "failed" if score is None else "complete",
            "accuracy": score, other: None if score is None else 1e3 * score, "params": 10.0 ** (3 + i % 7),
            "macs": 1.7e5 * 3 ** (i % 9), "latency_ms": 0.01 * (i + 1) ** 3,
            **{f"slot.{slot}": None if (i + k) % 3 == 2 else f"{name[:24]}{i % (k + 2)}" for k, slot in enumerate(slots)},
        }
        for i, (name, scores) in enumerate(zip(names, data, strict=True))
        for seed, score in enumerate(scores)
    ]  # fmt: skip
    choices = {
        name: {slot: f"{name[:24]}{i % (k + 2)}" for k, slot in enumerate(slots) if (i + k) % 3 != 2}
        for i, name in enumerate(names)
    }
    plan = Plan(
        study="random", question=question, settings=names, slots=slots, reference=names[0], choices=choices,
        metric=Metric("accuracy", unit="fraction"), secondary=[Metric(other, higher_is_better=False)], planned_seeds=range(4),
        notes=names[:2], design="cumulative" if len(names) % 3 == 0 else "list",
    )  # fmt: skip
    return report_on(pd.DataFrame(rows), plan)


def test_two_hundred_random_reports_fit(pdflatex):
    made = {style: [] for style in STYLES}

    @settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(
        names=st.lists(LABELS.map(lambda name: " ".join(name.split())).filter(bool), min_size=1, max_size=9, unique=True),
        question=LABELS, style=st.sampled_from(sorted(STYLES)), data=st.data(),
    )  # fmt: skip
    def collect(names, question, style, data):
        scores = [data.draw(SCORES) for _ in names]
        slots = data.draw(st.lists(SLOTS, min_size=1, max_size=6, unique=True))
        other = data.draw(LABELS.map(lambda name: f"loss {name}"))
        report = _report(names, scores, question, slots, other)
        made[style] += [
            render(one, style=style_of(style), label=f"tab:{len(made[style])}-{i}")
            for i, one in enumerate(report.tables)
        ]

    collect()

    assert sum(map(len, made.values())) > 300
    for style, tables in made.items():
        pdflatex(tables, style)
