"""The page as text; test_browser.py looks at it."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from reports import ResultsError
from reports.figures import figures
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


def test_the_page_is_the_golden_file_but_for_its_figures(crossed_page):
    without = re.sub(r'src="data:image/svg[^"]*"', 'src=""', crossed_page)

    assert without == GOLDEN.read_text(encoding="utf-8")


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
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='", policy)


@pytest.mark.parametrize("nasty", NASTY)
def test_names_of_users_come_out_as_text(analysis, nasty):
    from reports.plan import Plan
    from reports.report import report_on
    from reports.tables import Metric

    name = nasty.replace("\x1b", "").replace("\u202e", "")
    found = analysis({"none": [0.9, 0.91, 0.93], nasty: [0.92, 0.93, 0.94]}, notes=[nasty])
    plan = Plan(**{**vars(found.plan), "question": nasty, "choices": {"none": {}, nasty: {nasty: nasty}}})
    report = report_on(
        found.runs, plan, errors={(nasty, 0): nasty}, provenance=Provenance(nasty, nasty, (nasty,), commands=(nasty,))
    )

    text = made(report)

    assert isinstance(plan.metric, Metric)
    outline = Outline(text)
    assert len(outline.all("script")) == 2
    assert not [a for _, a in outline.tags if "onload" in a]
    assert "49" not in "".join(outline.text).split("Settings compared")[0]
    assert name in "".join(outline.text)
    assert "\x1b" not in text


def test_failures_are_listed_with_their_errors(crossed):
    def fail(frame):
        return frame.assign(state=["failed" if i == 7 else one for i, one in enumerate(frame["state"])])

    text = made(crossed(edit=fail, more={"errors": {("attention=se", 2): "RuntimeError: diverged"}}))

    assert "&#39;attention=se&#39;, seed 2: RuntimeError: diverged" in text


def test_a_study_without_a_complete_run_has_a_page_too(crossed):
    text = made(crossed(edit=lambda frame: frame.assign(state="failed")))

    assert "Nothing can be compared with" in text


def test_an_unknown_language_names_those_there_are(crossed):
    with pytest.raises(ResultsError, match=r"unknown language 'de' \(known: en, zh\)"):
        made(crossed(), lang="de")


def test_rows_of_one_slot_all_carry_its_name(crossed_page):
    assert crossed_page.count('<span class="repeat">attention</span>') == 1
    assert crossed_page.count('<span class="repeat">norm</span>') == 1


@pytest.mark.parametrize(
    ("cell", "value"),
    [("90.30 ± 0.64", "90.3"), ("−0.32 [−0.86, +0.22]", "-0.32"), ("77,754", "77754.0"), ("9.35 M", "9350000.0"), ("<0.001", "0.001"),
     ("reference", "0"), ("–", ""), ("★", "1")],
)  # fmt: skip
def test_cells_are_sorted_by_their_leading_figure(cell, value):
    from reports.page.grid import _value

    assert _value(cell) == value
