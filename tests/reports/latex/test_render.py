"""The LaTeX of single tables and of a report's files, as text; test_compile.py sets them."""

import json
import re
from pathlib import Path

import pytest

from reports import ResultsError
from reports.latex import PREAMBLE, Style, documents, render, style_of
from reports.latex.blocks import lines
from reports.latex.widths import width
from reports.report import Provenance

GOLDEN = Path(__file__).parent / "golden"
NASTY = r"50% of $x_1$ & #~^\{}<>[*|\"`--"


def _noisy(frame):
    """Return runs of which the two best settings cannot be told apart."""
    shift = frame["setting"].map({"reference": 0.0, "attention=se": 0.03}).fillna(0.0)
    swing = [0.02 * (-1) ** i for i in range(len(frame))]
    return frame.assign(accuracy=frame["accuracy"] + shift + swing)


@pytest.fixture(scope="module")
def files(crossed):
    return documents(crossed())


@pytest.mark.parametrize("name", ["crossed", "crossed-effects", "crossed-components", "crossed-pairs", "crossed-cost"])
def test_each_table_is_the_golden_file(files, name):
    assert files[f"{name}.tex"] == (GOLDEN / f"{name}.tex").read_text(encoding="utf-8")


def test_a_path_is_the_golden_file(crossed):
    labels = ("reference", "attention=se", "attention=se, norm=group(groups=4)")
    against = dict(zip(labels[1:], labels, strict=False))

    found = documents(crossed(design="cumulative", labels=labels, against=against))

    assert found["crossed-path.tex"] == (GOLDEN / "crossed-path.tex").read_text(encoding="utf-8")


def test_a_report_leaves_one_preamble_and_three_files_a_table_and_a_document_that_shows_them(files):
    tables = ["crossed", *(f"crossed-{key}" for key in ("effects", "components", "pairs", "cost"))]

    assert set(files) == {
        "ablation-preamble.tex", "crossed-methods.tex", "crossed-all.tex",
        *(f"{table}.{kind}" for table in tables for kind in ("tex", "csv", "json")),
    }  # fmt: skip
    assert files["ablation-preamble.tex"] == PREAMBLE
    assert re.findall(r"\\input\{(.+?)\}", files["crossed-all.tex"]) == [
        "ablation-preamble.tex", *(f"{table}.tex" for table in tables), "crossed-methods.tex"
    ]  # fmt: skip


def test_two_calls_give_the_same_bytes(crossed, files):
    assert documents(crossed()) == files


def test_provenance_names_the_runs_and_what_they_stand_on(crossed):
    known = Provenance(
        "text", "ab12", ("c0ffee",), uncommitted=True, versions={"torch": ("2.13.0",)}, hardware=("2 cores",),
        commands=("ablate run crossed",),
    )  # fmt: skip
    found = json.loads(documents(crossed(more={"provenance": known}))["crossed-cost.json"])

    assert found["study_sha256"] == "ab12"
    assert (found["commits"], found["uncommitted"]) == (["c0ffee"], True)
    assert found["versions"] == {"torch": ["2.13.0"]}
    assert len(found["runs"]) == 20
    assert found["n"]["reference"] == 5
    assert ["reference", 0, "reference-0"] in found["runs"]


def test_methods_say_seeds_pairing_correction_failures_and_only_what_is_known(crossed):
    def fail(frame):
        return frame.assign(state=["failed" if i == 7 else one for i, one in enumerate(frame["state"])])

    known = Provenance(commits=("c0ffee123456",), hardware=("an H100",), versions={"torch": ("2.12", "2.13")})
    said = documents(crossed(edit=fail, more={"provenance": known}))["crossed-methods.tex"]

    assert "4 settings of `crossed' have 5 seeds (19 complete runs)" in said
    assert "variances moderated towards the pooled one" in said
    assert "corrected over 2 comparisons by Holm's method" in said
    assert "1 run failed and is not scored." in said
    assert "Trained on an H100." in said
    assert "torch 2.12 and 2.13" in said
    assert "commit c0ffee1234." in said
    bare = documents(crossed())["crossed-methods.tex"]
    assert "Trained on" not in bare
    assert "commit" not in bare
    assert "No run failed." in bare


def test_bold_and_underline_stand_where_the_table_has_them(table, five_blocks):
    apart = {
        "none": five_blocks["none"],
        "se": [x + 0.03 for x in five_blocks["se"]],
        "cbam": [x + 0.06 for x in five_blocks["eca"]],
    }

    source = render(table(apart))

    assert re.search(r"^cbam & \\ablationbest 96\.16\(61\)", source, flags=re.MULTILINE)
    assert re.search(r"^se & \{\\ablationsecond\{93\.70 \$\\pm\$ 0\.40\}\}", source, flags=re.MULTILINE)
    assert "Bold: the best" in source


def test_differences_are_coloured_signed_and_have_their_interval_apart(table, five_blocks):
    source = render(table(five_blocks))

    assert r"\ablationup{+1.92} & \ablationci{{[}+1.59, +2.25{]}}" in source
    assert r"\ablationns{" in source
    assert r"\multicolumn{2}{c}{reference}" in source


def test_a_spread_larger_than_one_keeps_its_digits(table):
    assert "50.00(1414)" in render(table({"none": [0.4, 0.6], "se": [0.55, 0.5]}))


def test_a_spread_of_more_digits_than_siunitx_counts_is_set_as_text(table, runs, five_blocks):
    from reports.tables import Metric

    frame = runs(five_blocks)
    tiny = [1e-8 * (i + 1) for i in range(5)]
    frame["loss"] = [811.6, 266.2, 5.0, 4.0, 3.0, *tiny * 4]

    source = render(table(frame, secondary=[Metric("loss", higher_is_better=False)]))

    assert re.search(r"[\d.]+ \$\\pm\$ \d{3}\.\d{7,}", source)
    assert re.search(r"table-format=[\d.]+\(\d\d", source) is None


def test_a_failed_setting_has_its_dagger_beside_the_number(table, five_blocks):
    source = render(table(five_blocks | {"eca": [0.899, None, 0.893, None, 0.901]}))

    assert r"89.77(42){$^\dagger$}" in source
    assert "table-space-text-post" in source


def test_the_number_of_seeds_is_a_column_only_where_it_varies(table, five_blocks):
    assert " n &" not in render(table(five_blocks))
    assert " n &" in render(table(five_blocks | {"se": [*five_blocks["se"][:3], ..., ...]}))


def test_costs_have_one_unit_a_column_and_tell_different_ones_apart(table, runs, five_blocks):
    frame = runs(five_blocks)
    frame["macs"] = [9.35e6 if label == "none" else 1.2e9 for label in frame["setting"]]

    source = render(table(frame))

    assert r"MACs\\(M)" in source
    assert re.findall(r" & (9\.35|1200\.00) & ", source) == ["9.35", *["1200.00"] * 4]
    assert r"params\\(k)" in source


def test_rows_have_as_many_cells_as_columns(table, five_blocks):
    source = render(table(five_blocks | {NASTY: [0.9] * 5}))
    rows = [line for line in source.splitlines() if line.endswith(r"\\") and "cmidrule" not in line]
    counts = {
        line.replace(r"\&", "").count("&") + sum(int(n) - 1 for n in re.findall(r"multicolumn\{(\d+)\}", line))
        for line in rows
    }

    assert len(counts) == 1


def test_the_reference_and_its_label_are_marked(table, five_blocks):
    source = render(table(five_blocks))

    assert r"\textit{none}" in source
    assert r"\label{tab:attention}" in source
    assert r"\label{tab:main}" in render(table(five_blocks), label="tab:main")


def test_a_table_takes_one_column_where_it_fits_and_the_page_where_it_does_not(crossed, table, five_blocks):
    assert r"\begin{table*}" in render(table(five_blocks), style=style_of("cvpr"))
    assert r"\begin{table}" in render(table(five_blocks), style=style_of("neurips"))
    pairs = next(one for one in crossed().tables if one.key == "effects")
    assert r"\begin{table*}" in render(pairs, style=style_of("ieee"))


def test_what_is_too_wide_is_set_in_panels_that_repeat_the_names(table, runs, five_blocks):
    from reports.tables import Metric

    frame = runs(five_blocks)
    for i in range(8):
        frame[f"metric-{i}"] = frame["accuracy"]
    shown = table(frame, secondary=[Metric(f"metric-{i}", unit="fraction") for i in range(8)])

    source = render(shown)

    assert source.count(r"\begin{tabular}") >= 2
    assert source.count(r"\textit{none}") == source.count(r"\begin{tabular}")
    assert re.search(r"cost\}", source.rsplit(r"\begin{tabular}", maxsplit=1)[0]) is None


@pytest.mark.parametrize(("style", "parts"), [("cvpr", 2), ("neurips", 1)])
def test_sixty_rows_go_over_pages(table, style, parts):
    shown = table({"none": [0.9, 0.91], **{f"setting {i}": [0.9, 0.92] for i in range(60)}})

    source = render(shown, style=style_of(style))

    assert source.count(r"\caption[") == parts
    assert ("longtable" in source) == (style == "neurips")
    assert "(continued)" in source
    assert all(f"setting {i} &" in source for i in range(60))


def test_rows_that_are_compared_with_each_other_keep_number_and_name_in_every_panel(crossed):
    labels = ("reference", "attention=se", "attention=se, norm=group(groups=4)")
    path = crossed(design="cumulative", labels=labels, against=dict(zip(labels[1:], labels, strict=False)))
    narrow = Style("narrow", 260.0, 260.0, "")

    source = render(path.table, style=narrow)

    headers = re.findall(r"^row & attention & norm & .*$", source, flags=re.MULTILINE)
    assert len(headers) == source.count(r"\begin{tabular}") > 1
    assert all((r"\Delta" in header) == ("Holm" in header) for header in headers)


def test_where_names_take_the_width_the_panels_have_their_numbers(crossed):
    long = {f"a_slot_of_many_{i}": f"choice_with_a_long_name_{i}" for i in range(7)}

    def edit(frame):
        columns = {f"slot.{slot}": [f"{name}_{i % 4}" for i in range(len(frame))] for slot, name in long.items()}
        return frame.assign(
            **{
                name: frame["setting"].map(dict(zip(frame["setting"], values, strict=True)))
                for name, values in columns.items()
            }
        )

    source = render(crossed(edit=edit, slots=list(long), design="list").table)

    panels = source.split(r"\begin{tabular}")[1:]
    assert len(panels) > 1
    assert all(re.search(r"^row & ", panel, flags=re.MULTILINE) for panel in panels)
    assert all(re.search(rf"^{i} & ", panel, flags=re.MULTILINE) for panel in panels for i in range(1, 5))


def test_notes_that_do_not_fit_the_page_are_continued_and_none_is_lost(table, five_blocks):
    notes = [f"Note {i}: {'word ' * 60}." for i in range(40)]

    source = render(table(five_blocks, notes=notes))

    assert all(source.count(f"Note {i}: ") == 1 for i in range(40))
    assert source.count(r"\begin{table*}") == source.count("(continued)") + 1 > 1
    assert source.count(r"\label{") == 1


def test_pairs_have_a_tint_and_a_star_and_their_figures_stand_below_each_other(crossed):
    source = next(render(one) for one in crossed(edit=_noisy).tables if one.key == "pairs")

    assert r"\cellcolor{ablationbetter!12}\ablationup{+" in source
    assert r"\cellcolor{ablationworse!12}\ablationdown{$-$" in source
    assert re.search(r"\\ablationns\{\S+\}\\phantom\{\*\}", source)


def test_the_question_leads_the_caption_and_stands_alone_in_a_list_of_tables(table, five_blocks):
    asked = "Which attention block helps a small residual network most?"
    assert rf"\caption[{{{asked}}}]{{\textbf{{{asked}}} The table estimates" in render(table(five_blocks))
    assert r"\caption{The table estimates" in render(table(five_blocks, question=""))


def test_numbers_elsewhere_in_a_paper_are_set_as_it_wants():
    assert PREAMBLE.count(r"\sisetup") == 1
    assert r"\DeclareRobustCommand{\ablationsetup}{\sisetup{" in PREAMBLE


@pytest.mark.parametrize(
    ("text", "room", "expected"),
    [
        ("p", 5, ("p",)),
        ("Δ pp [95 % interval]", 90, ("Δ pp", "[95 % interval]")),
        ("grouped(groups=2)", 20, ("grouped", "(groups=2)")),
        ("coordinate", 20, ("coordinate",)),
        ("position_of_the_module", 20, ("position_of_", "the_module")),
        ("", 20, ("",)),
    ],
)
def test_headers_break_before_brackets_and_at_spaces_first(text, room, expected):
    assert lines(text, room) == expected


def test_no_line_of_a_header_is_wider_than_a_word_may_be():
    assert all(width(line) <= 56 for line in lines("W" * 60, 20))
    assert "".join(lines("W" * 60, 20)) == "W" * 60


def test_an_unknown_style_names_those_there_are():
    with pytest.raises(
        ResultsError, match=r"unknown style 'cvrp'; did you mean 'cvpr'\? \(known: cvpr, ieee, neurips\)"
    ):
        style_of("cvrp")
