import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports import ResultsError
from reports.figures import WIDTHS, figures, save
from reports.figures.drawing import brief, fitted, settled, text_width
from reports.plan import Plan
from reports.report import report_on
from reports.tables import Metric

LONG = "coordinate(reduction=8,axes=both,bias=true,activation=hard-swish)"


@pytest.fixture(scope="module")
def curves():
    """Return a function that adds learning curves to a report's attributes."""

    def make(labels):
        rng = np.random.default_rng(0)
        rows = [
            (label, seed, epoch, 0.9 - 0.5 / epoch + 0.01 * rng.normal())
            for label in labels for seed in range(5) for epoch in range(1, 9)
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["setting", "seed", "epoch", "value"])

    return make


@pytest.fixture(scope="module")
def drawn(crossed, curves):
    report = crossed()
    return figures(crossed(more={"curves": curves(report.plan.settings)}))


@pytest.fixture(scope="module")
def reported(runs):
    """Return a function that reports on scores of one slot."""

    def make(scores, **changes):
        frame = runs(scores)
        labels = list(scores)
        plan = {
            "study": "attention", "question": "Which?", "settings": labels, "slots": ["attention"], "reference": labels[0],
            "metric": Metric("accuracy", unit="fraction"), "planned_seeds": range(5),
            "choices": {label: {"attention": label} for label in labels},
        }  # fmt: skip
        more = changes.pop("more", {})
        return report_on(frame, Plan(**(plan | changes)), **more)

    return make


def test_every_figure_there_is_something_for_is_drawn(drawn):
    assert [one.key for one in drawn] == ["forest", "slopes", "curves", "interaction", "pareto", "importance"]


def test_raw_means_are_shown_beside_adjusted_ones_where_they_differ(crossed):
    lacking = crossed(labels=("reference", "attention=se", "attention=se, norm=group(groups=4)"))

    assert "raw" not in [one.key for one in figures(crossed())]
    (raw,) = [one for one in figures(lacking) if one.key == "raw"]
    assert "The largest shift is that of attention: none: +1.50 pp" in raw.alt


def test_titles_are_questions_and_texts_say_what_is_found(drawn):
    assert all(one.title.endswith("?") for one in drawn)
    said = {one.key: one.alt for one in drawn}
    assert "attention=se (+2.00 pp)" in said["forest"]
    assert "attention=se 5/5" in said["slopes"]
    assert "On the front: 'reference'" in said["pareto"]
    assert re.search(r"from 89\.00 .* to 95\.00", said["interaction"])
    assert all(len(one.caption) > 20 for one in drawn)


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_a_figure_is_the_same_bytes_whenever_it_is_made(drawn, crossed, kind):
    again = {one.key: one for one in figures(crossed())}

    for one in drawn:
        if one.key in again:
            assert save(one, kind) == save(again[one.key], kind)


def test_a_pdf_has_its_fonts_in_it(drawn):
    content = save(drawn[0], "pdf")

    assert b"/FontFile2" in content
    assert b"/Type3" not in content


def test_an_svg_for_a_page_has_text_and_no_date(drawn):
    content = save(drawn[0], "svg", text=True).decode()

    assert "<text" in content
    assert "<dc:date>" not in content
    assert "<text" not in save(drawn[0], "svg").decode()


@pytest.mark.parametrize("style", WIDTHS)
def test_every_text_lies_inside_the_figure_whatever_the_names(reported, curves, style):
    rng = np.random.default_rng(0)
    names = ["none", LONG, "CBAM_k7", "W" * 40, *(f"group(groups={2**i})" for i in range(8))]
    report = reported(
        {name: (0.9 + 0.02 * rng.normal(size=5)).tolist() for name in names}, more={"curves": curves(names)}
    )

    for one in figures(report, style=style):
        with settled():
            one.figure.draw_without_rendering()
            width, height = one.figure.get_size_inches()
            box = one.figure.get_tightbbox()
        assert box.x0 >= -0.01, one.key
        assert box.y0 >= -0.01, one.key
        assert box.x1 <= width + 0.01, one.key
        assert box.y1 <= height + 0.01, one.key


def test_names_beside_points_do_not_cover_each_other(reported, runs):
    rng = np.random.default_rng(1)
    report = reported({f"setting {i}": (0.9 + 0.02 * rng.normal(size=5)).tolist() for i in range(12)})
    (pareto,) = [one for one in figures(report) if one.key == "pareto"]

    with settled():
        pareto.figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in pareto.figure.axes[0].texts]
    best = pareto.alt.count("'setting")
    clashes = sum(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])

    assert len(boxes) >= best
    assert clashes == 0


def test_a_failed_setting_is_named_and_not_drawn(reported, five_blocks):
    report = reported(five_blocks | {"eca": [0.899, None, 0.893, None, 0.901]})
    forest, *_, pareto = figures(report)

    assert "Not drawn, as runs failed: 'eca'." in forest.caption
    labels = [label.get_text() for label in forest.figure.axes[0].get_yticklabels()]
    assert "eca" not in labels
    assert "eca" not in [text.get_text() for text in pareto.figure.axes[0].texts]


def test_one_seed_has_no_interval_and_the_caption_says_so(reported):
    forest = figures(reported({"none": [0.9], "se": [0.92]}))[0]

    assert "One seed: noise is unknown" in forest.caption
    assert "[" not in " ".join(text.get_text() for text in forest.figure.axes[0].texts)


def test_more_than_forty_settings_are_shown_by_their_ends(reported):
    rng = np.random.default_rng(2)
    report = reported({f"s{i}": (0.9 + 0.001 * i + 0.002 * rng.normal(size=3)).tolist() for i in range(60)})

    forest = figures(report)[0]

    assert len(forest.figure.axes[0].get_yticks()) == 40
    assert "19 settings between the largest and the smallest differences are left out." in forest.caption


def test_a_character_that_no_font_has_is_a_sentence(reported):
    forest = figures(reported({"none": [0.9, 0.91], "\U00012000": [0.91, 0.93]}))[0]

    with pytest.raises(ResultsError, match=r"no installed font has '.' \(U\+12000\), which stands in '.'; install one"):
        save(forest, "pdf")
    assert b"<svg" in save(forest, "svg", text=True)


def test_an_unknown_style_names_those_there_are(crossed):
    with pytest.raises(ResultsError, match="unknown style 'cvrp'; did you mean 'cvpr'"):
        figures(crossed(), style="cvrp")


def test_settings_are_named_by_what_they_change(crossed):
    plan = crossed().plan

    assert list(brief(plan).values()) == ["reference", "se", "group 4", "se + group 4"]
    same = Plan(**{**vars(plan), "choices": {label: {"a": "x"} for label in plan.settings}})
    assert list(brief(same).values()) == list(plan.settings)


def test_shortened_names_still_differ():
    names = fitted(["short", "a" * 20 + "b", "x" * 30 + "1" + "y" * 30, "x" * 30 + "2" + "y" * 30], 60)

    assert names[0] == "short"
    assert names[1].startswith("aaaa")
    assert names[1].endswith("aaab")
    assert all(text_width(name.removesuffix(" (2)"), 6.5) <= 60 for name in names)
    assert len(set(names)) == 4


SCORES = st.lists(st.one_of(st.none(), st.floats(0, 1, width=16)), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.lists(SCORES, min_size=1, max_size=5))
def test_no_results_stop_the_figures(reported, data):
    report = reported({f"s{i}": scores for i, scores in enumerate(data)})

    for one in figures(report):
        assert save(one, "svg").startswith(b"<?xml")
