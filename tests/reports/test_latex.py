import os
import shutil
import subprocess

import pytest

from reports.latex import escape, render
from reports.tables import Metric

NASTY = r"50% of $x_1$ & #~^\{}<>[*|\"`--"


def document(*tables):
    """Return a complete document of one column of 17 cm that needs nothing but booktabs."""
    preamble = [
        r"\documentclass[10pt]{article}",
        r"\usepackage[a4paper,textwidth=17cm,textheight=25cm]{geometry}",
        r"\usepackage{booktabs}",
        r"\begin{document}",
    ]
    return "\n".join([*preamble, *tables, r"\end{document}", ""])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CBAM_k7", r"CBAM\_k7"),
        ("50%", r"50\%"),
        ("95 % interval", r"95\,\% interval"),
        ("$#&", r"\$\#\&"),
        ("~^\\", r"\textasciitilde{}\textasciicircum{}\textbackslash{}"),
        ("<0.001>", "$<$0.001$>$"),
        ("{a}", r"\{a\}"),
        ("[1, 2]", "{[}1, 2{]}"),
        ("*", "{*}"),
        ("Δ ± − – ×", r"$\Delta$ $\pm$ $-$ -- $\times$"),
        ("--- x", "-{}-{}- x"),
        ("is 'se' Holm's", "is `se' Holm's"),
        ("two\nlines", "two lines"),
        ("注意力 é", "注意力 é"),
    ],
)
def test_text_is_escaped(text, expected):
    assert escape(text) == expected


def test_label_is_the_study_unless_given(table, five_blocks):
    shown = table(five_blocks)

    assert r"\label{tab:attention}" in render(shown)
    assert r"\label{tab:main}" in render(shown, label="tab:main")


def test_the_label_has_only_characters_that_ref_accepts(table, runs):
    frame = runs({"none": [0.9, 0.91], "se": [0.9, 0.93]}, study="50% #1_b")

    assert r"\label{tab:50---1-b}" in render(table(frame, study="50% #1_b"))


def test_the_reference_row_is_marked(table, five_blocks):
    assert r"\textit{none} & 90.30 $\pm$ 0.64 & reference" in render(table(five_blocks))


def test_rows_have_as_many_cells_as_columns(table, five_blocks):
    source = render(table(five_blocks | {NASTY: [0.9] * 5}))
    rows = [line for line in source.splitlines() if line.endswith(r"\\")]

    assert {line.replace(r"\&", "").count("&") for line in rows} == {rows[0].count("&")}


@pytest.mark.slow
def test_tables_compile_without_an_overfull_box(table, slots_table, runs, five_blocks, tmp_path):
    if shutil.which("pdflatex") is None:
        if os.environ.get("CI"):
            pytest.fail("pdflatex is missing where it must not be")
        pytest.skip("pdflatex is not installed")
    frame = runs(five_blocks | {NASTY: [0.9, 0.91, None, 0.9, 0.9], "[*": [0.9] * 5})
    frame["loss"] = 1 - frame["accuracy"]
    plain = table(five_blocks, practical=0.005, notes=[NASTY, "µ ² α → ≤ é 'x'"])
    tables = [
        render(plain, label="tab:plain"),
        render(table(frame, notes=["--- [x]"]), label="tab:nasty"),
        render(table(runs(five_blocks).assign(loss=0.1), secondary=[Metric("loss")]), label="tab:secondary"),
        render(table({"none": [0.9], "se": [0.91]}), label="tab:single"),
        render(
            table(five_blocks | {"control": [0.9] * 5}, calibration=[("none", "control")], marks=[NASTY]),
            label="tab:aa",
        ),
        render(
            slots_table(lambda row: 0.06 * (row["norm"] != "batch" and row["attention"] == "se")), label="tab:slots"
        ),
    ]
    (tmp_path / "tables.tex").write_text(document(*tables), encoding="utf-8")

    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)

    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert (tmp_path / "tables.pdf").stat().st_size > 10_000
