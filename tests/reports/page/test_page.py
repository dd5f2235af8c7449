"""The page as text; test_browser.py looks at it."""

import base64
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise, product
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

from reports import ResultsError
from reports.figures import figures
from reports.language import speaking
from reports.latex import render
from reports.page import page
from reports.report import Provenance

GOLDEN = Path(__file__).parent / "golden" / "crossed.html"
NASTY = (
    "<script>alert(1)</script>",
    "</style><b>",
    "{{ 7 * 7 }}",
    "\"' onload=x",
    "\x1b[31mred",
    "\u202egnp.exe",
    "注意力 & é",
)
KNOWN = Provenance(
    "question: Which?\n", "ab" * 32, ("c0ffee",), uncommitted=True, versions={"torch": ("2.13.0",)}, hardware=("2 cores",),
    commands=("ablate run crossed", "ablate report crossed"),
)  # fmt: skip


def made(report, **more):
    drawings = figures(report, titled=False)
    return page(report, drawings, latex={table.key: render(table) for table in report.tables}, **more)


class Outline(HTMLParser):
    """Collects tags with their attributes, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def crossed_page(crossed):
    return made(crossed(more={"provenance": KNOWN}))


def test_the_page_is_the_golden_file_but_for_figures_and_sources(crossed_page):
    without = re.sub(r'src="data:image/svg[^"]*"', 'src=""', crossed_page)
    without = re.sub(r'(<pre id="latex-[^>]*><code>).*?(?=</code>)', r"\1", without, flags=re.DOTALL)

    assert without == GOLDEN.read_text(encoding="utf-8")


def test_the_source_of_each_table_is_in_the_page(crossed, crossed_page):
    text = "".join(Outline(crossed_page).text)

    assert all(render(table) in text for table in crossed().tables)


def test_two_pages_of_one_report_are_the_same_bytes(crossed, crossed_page):
    assert made(crossed(more={"provenance": KNOWN})) == crossed_page


def test_the_answer_comes_first_with_its_verdict_and_its_cost(crossed_page):
    answer = crossed_page.split('class="answer">')[1].split("</div>")[0]

    assert "are better than" in answer or "is better than" in answer
    assert "costs +300 parameters (+0.4 %), +2.4 % MACs, +0.30 ms an image (+35.7 %) beside" in answer


def test_without_a_better_setting_the_page_says_what_the_others_cost(crossed):
    text = made(crossed(labels=("attention=se", "reference"), design="list"))

    assert "the others differ in latency by" in text


def test_headings_are_in_order_and_every_header_and_picture_says_what_it_is(crossed_page):
    outline = Outline(crossed_page)
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch("h[1-6]", tag)]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    assert all(attributes.get("scope") for attributes in outline.all("th"))
    assert len(outline.all("img")) >= 5
    assert all(len(attributes["alt"]) > 20 for attributes in outline.all("img"))
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [attributes["href"][1:] for attributes in outline.all("a") if attributes["href"].startswith("#")]
    assert set(targets) <= set(ids)


def test_nothing_is_fetched_and_scripts_but_our_own_are_forbidden(crossed_page):
    outline = Outline(crossed_page)
    addresses = [a.get("src") or a.get("href") for _, a in outline.tags if a.get("src") or a.get("href")]

    assert all(address.startswith(("data:", "#")) for address in addresses)
    (policy,) = [a["content"] for a in outline.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert re.search(r"; style-src 'sha256-[A-Za-z0-9+/]{43}='; script-src 'sha256-[A-Za-z0-9+/]{43}=';", policy)


@pytest.mark.parametrize("nasty", NASTY)
def test_names_of_users_come_out_as_text(analysis, nasty):
    from reports.plan import Plan
    from reports.report import report_on
    from reports.tables import Metric

    name = nasty.replace("\x1b", "").replace("\u202e", "")
    found = analysis({"none": [0.9, 0.91, 0.93], nasty: [0.92, 0.93, 0.94]}, notes=[nasty])
    plan = Plan(**{**vars(found.plan), "question": nasty, "choices": {"none": {}, nasty: {nasty: nasty}}})
    report = replace(
        report_on(found.runs, plan),
        errors={(nasty, 0): nasty}, provenance=Provenance(nasty, nasty, (nasty,), commands=(nasty,)),
    )  # fmt: skip

    text = made(report)

    assert isinstance(plan.metric, Metric)
    outline = Outline(text)
    assert len(outline.all("script")) == 2
    assert not [a for _, a in outline.tags if "onload" in a]
    assert "49" not in "".join(outline.text).split("Settings compared")[0]
    assert name in "".join(outline.text)
    pictures = [base64.b64decode(a["src"].split(",")[1]).decode() for a in outline.all("img")]
    assert pictures
    data = [unquote(a["href"]) for a in outline.all("a") if "download" in a]
    assert data
    assert not [one for one in [text, *pictures, *data] if "\x1b" in one or "\u202e" in one]


def test_failures_are_listed_with_their_errors(crossed):
    def fail(frame):
        return frame.assign(state=["failed" if i == 7 else one for i, one in enumerate(frame["state"])])

    text = made(crossed(edit=fail, more={"errors": {("attention=se", 2): "RuntimeError: diverged"}}))

    assert "&#39;attention=se&#39;, seed 2: RuntimeError: diverged" in text
    assert '<p><a href="#failures">1 run failed</a></p>' in text.split('class="answer"')[0]


def test_a_retry_that_came_through_is_no_failure(crossed):
    def retry(frame):
        first = frame.iloc[[7]].assign(state="failed", accuracy=float("nan"), run_id="first")
        return pd.concat([first, frame], ignore_index=True)

    text = made(crossed(edit=retry, more={"errors": {("attention=se", 2): "RuntimeError: diverged"}}))

    assert 'id="failures"' not in text
    assert "diverged" not in text


def test_a_study_without_a_complete_run_has_a_page_too(crossed):
    text = made(crossed(edit=lambda frame: frame.assign(state="failed")))

    assert "Nothing can be compared with" in text


def test_an_unknown_language_names_those_there_are(crossed):
    with pytest.raises(ResultsError, match=r"unknown language 'de' \(known: en, zh\)"):
        made(crossed(), lang="de")


def test_rows_of_one_slot_all_carry_its_name(crossed_page):
    assert crossed_page.count('<span class="repeat">attention</span>') == 1
    assert crossed_page.count('<span class="repeat">norm</span>') == 1


def test_what_stands_out_is_also_said(crossed_page):
    assert re.search(r'<strong class="best">[^<]+</strong><span class="vh"> \(best\)</span>', crossed_page)
    assert re.search(r'<u class="second">[^<]+</u><span class="vh"> \(second best\)</span>', crossed_page)
    assert re.search(r'<span class="better">\+[^<]+</span><span class="vh"> \(better\)</span>', crossed_page)


def test_every_column_that_names_a_row_heads_it_and_the_most_telling_stays_in_view(crossed_page):
    effects = crossed_page.split('id="table-effects"')[1].split("</section>")[0]
    first = next(re.finditer(r"<tr data-row.*", effects))[0]

    assert [name for name, attributes in Outline(first).tags if attributes.get("scope") == "row"] == ["th", "th"]
    kept = [attributes for _, attributes in Outline(effects).tags if "kept" in attributes.get("class", "").split()]
    assert [one["data-name"] for one in kept if "data-name" in one] == ["choice"]


def test_a_question_is_the_heading_and_without_one_the_study_is_and_stands_there_once(crossed, crossed_page):
    header = made(crossed(question="")).split("<header>")[1].split("</header>")[0]

    assert header.split() == ["<h1>crossed</h1>"]
    assert "<h1>Which part helps?</h1>" in crossed_page


def test_data_too_large_for_a_page_has_no_link(crossed, monkeypatch):
    monkeypatch.setattr("reports.page.grid.MOST_CSV", 1200)
    text = made(crossed())

    links = [a for a in Outline(text).all("a") if "download" in a]
    assert 0 < len(links) < len(crossed().tables)
    assert all(100 < len(a["href"]) < 1300 for a in links)


def test_a_page_in_chinese_says_so_and_sorts_as_the_english_one(crossed):
    with speaking("zh"):
        report = crossed()
    values = [
        [a.get("data-value") for name, a in Outline(text).tags if name == "td"]
        for text in (made(report, lang="zh"), made(crossed()))
    ]

    assert '<html lang="zh-CN">' in made(report, lang="zh")
    assert "0" in values[0]
    assert [bool(value) for value in values[0]] == [bool(value) for value in values[1]]


@pytest.mark.slow
def test_a_page_on_5000_runs_is_made_in_two_seconds_and_is_below_3_mb(runs):
    from reports.factors import Factor
    from reports.plan import Plan
    from reports.report import report_on
    from reports.tables import Metric

    slots = {"attention": "abcde", "norm": "abcde", "kernel": "1357", "smoothing": "01"}
    settings = [dict(zip(slots, names, strict=True)) for names in product(*slots.values())]
    choices = {", ".join(f"{slot}={name}" for slot, name in one.items()): one for one in settings}
    rng = np.random.default_rng(0)
    frame = runs({label: list(0.9 + 0.004 * rng.normal(size=25)) for label in choices}).drop(columns="slot.attention")
    for slot in slots:
        frame[f"slot.{slot}"] = [choices[label][slot] for label in frame["setting"]]
    plan = Plan(
        study="attention", question="Which?", settings=list(choices), slots=list(slots), reference=next(iter(choices)),
        metric=Metric("accuracy", unit="fraction"), planned_seeds=range(25), choices=choices, design="factorial",
    )  # fmt: skip
    factors = [Factor(slot, tuple(names), names[0]) for slot, names in slots.items()]
    report = report_on(frame, plan, factors=factors)
    sources = {table.key: render(table) for table in report.tables}
    page(report, (), latex={})

    start = time.perf_counter()
    text = page(report, (), latex=sources)

    assert time.perf_counter() - start < 2
    assert len(text.encode()) < 3_000_000
    assert text.count("<tr data-row") >= 400
    assert 'class="scroll tall"' in text


@pytest.mark.parametrize(
    ("cell", "value"),
    [("90.30 ± 0.64", "90.3"), ("−0.32 [−0.86, +0.22]", "-0.32"), ("77,754", "77754.0"), ("9.35 M", "9350000.0"), ("<0.001", "0.001"),
     ("reference", "0"), ("–", ""), ("★", "1")],
)  # fmt: skip
def test_cells_are_sorted_by_their_leading_figure(cell, value):
    from reports.page.grid import _value

    assert _value(cell) == value
