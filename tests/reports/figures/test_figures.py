import os
import re
from dataclasses import replace
from itertools import combinations, product
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

from reports import ResultsError
from reports.factors import Factor
from reports.figures import figures, save
from reports.figures.drawing import brief, fitted, settled, text_width
from reports.language import speaking
from reports.plan import Plan
from reports.report import report_on
from reports.styles import STYLES
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
        frame = runs(scores, metric=changes["metric"].name if "metric" in changes else "accuracy")
        labels = list(scores)
        plan = {
            "study": "attention", "question": "Which?", "settings": labels, "slots": ["attention"], "reference": labels[0],
            "metric": Metric("accuracy", unit="fraction"), "planned_seeds": range(5),
            "choices": {label: {"attention": label} for label in labels},
        }  # fmt: skip
        more = changes.pop("more", {})
        return replace(report_on(frame, Plan(**(plan | changes))), **more)

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
    assert said["curves"].startswith("From epoch 6 to 8 the means change by +")
    assert said["importance"] == "Shares: attention 0.80 (p = 0.590) and norm 0.20 (p = 0.705)."
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


def texts(drawing):
    """Return the texts that are seen, each with the box that it takes."""
    with settled():
        drawing.figure.draw_without_rendering()
        found = [one for one in drawing.figure.findobj(Text) if one.get_visible() and one.get_text().strip()]
        for axes in drawing.figure.axes:
            for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
                # An axis keeps the labels of ticks beyond its ends, and draws none of them.
                ends = min(low, high) - 1e-9, max(low, high) + 1e-9
                outside = [tick for tick in axis.get_major_ticks() if not ends[0] <= tick.get_loc() <= ends[1]]
                hidden = {id(text) for tick in outside for text in (tick.label1, tick.label2)}
                found = [one for one in found if id(one) not in hidden and (axes.get_visible() or one.axes is not axes)]
        return [(one, one.get_window_extent()) for one in found]


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("metric", ["accuracy", "mean_average_precision_at_iou_50_to_95"])
def test_every_text_lies_inside_the_figure_and_covers_no_other_whatever_the_names(reported, curves, style, metric):
    rng = np.random.default_rng(0)
    names = ["none", LONG, "CBAM_k7", "W" * 40, "坐标注意力与残差连接", *(f"group(groups={2**i})" for i in range(8))]
    report = reported(
        {name: (0.9 + 0.02 * rng.normal(size=5)).tolist() for name in names},
        metric=Metric(metric, unit="fraction"), more={"curves": curves(names)},
    )  # fmt: skip

    for one in figures(report, style=style):
        check_texts(one)


def check_texts(drawing):
    seen = texts(drawing)
    for text, box in seen:
        assert text.get_fontsize() >= 6
        assert drawing.figure.bbox.padded(1).contains(box.x0, box.y0), (drawing.key, text.get_text())
        assert drawing.figure.bbox.padded(1).contains(box.x1, box.y1), (drawing.key, text.get_text())
    level = [(text.get_text(), box) for text, box in seen if text.get_rotation() in (0, 90)]
    covering = [
        (a, b) for (a, one), (b, other) in combinations(level, 2) if one.padded(-0.5).overlaps(other.padded(-0.5))
    ]
    assert covering == [], drawing.key


@pytest.mark.parametrize("sizes", [(2, 2), (3, 12), (12, 12)])
@pytest.mark.parametrize(
    "slots", [("attention", "norm"), ("a_slot_with_a_name_as_long_as_this", "另一个名字很长的插槽位置")]
)
def test_means_of_combinations_fit_their_cells(runs, sizes, slots):
    rng = np.random.default_rng(0)
    factors = [
        Factor(slot, tuple(f"choice-{i}" for i in range(n)), "choice-0") for slot, n in zip(slots, sizes, strict=True)
    ]
    choices = {f"{a}, {b}": dict(zip(slots, (a, b), strict=True)) for a, b in product(*(one.levels for one in factors))}
    frame = runs({label: (0.9 + 0.02 * rng.normal(size=2)).tolist() for label in choices})
    for slot in slots:
        frame[f"slot.{slot}"] = [choices[label][slot] for label in frame["setting"]]
    plan = Plan(
        study="attention", question="Which?", settings=list(choices), slots=list(slots), reference=next(iter(choices)),
        metric=Metric("accuracy", unit="fraction"), planned_seeds=range(2), choices=choices, design="factorial",
    )  # fmt: skip

    (interaction,) = [one for one in figures(report_on(frame, plan, factors=factors)) if one.key == "interaction"]

    check_texts(interaction)
    assert interaction.figure.get_size_inches()[1] <= 9.3
    assert len(interaction.figure.axes[0].texts) == sizes[0] * sizes[1]


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


def test_a_failed_setting_is_named_and_not_drawn(reported, five_blocks, curves):
    scores = five_blocks | {"eca": [0.899, None, 0.893, None, 0.901]}
    drawn = figures(reported(scores, more={"curves": curves(scores)}))

    assert [one.key for one in drawn] == ["forest", "slopes", "curves", "pareto"]
    for one in drawn:
        assert one.caption.endswith("Not drawn, as runs failed: 'eca'.")
        assert "eca" not in [text.get_text() for text, _ in texts(one)]


def test_a_setting_without_complete_runs_is_named_and_not_drawn(reported, five_blocks, curves):
    scores = five_blocks | {"later": [...] * 5}
    report = reported(five_blocks, settings=list(scores), more={"curves": curves(five_blocks)})

    for one in figures(report):
        assert one.caption.endswith("Not drawn, as too few runs are complete: 'later'.")


def test_a_run_that_ended_early_bends_no_curve(reported, curves):
    points = curves(["none", "se"])
    stopped = points.assign(seed=7, value=0.0).query("epoch < 4")
    scores = {"none": [0.9, 0.91, 0.89, 0.9, 0.92], "se": [0.92, 0.93, 0.9, 0.9, 0.94]}

    clean, same = (
        next(one for one in figures(reported(scores, more={"curves": given})) if one.key == "curves")
        for given in (points, pd.concat([points, stopped]))
    )

    assert save(clean, "svg") == save(same, "svg")


def test_curves_are_shown_from_the_second_half_on_and_the_caption_says_so(reported, curves):
    scores = {"none": [0.9, 0.91], "se": [0.92, 0.93]}
    (one,) = [one for one in figures(reported(scores, more={"curves": curves(scores)})) if one.key == "curves"]

    low, high = one.figure.axes[0].get_ylim()
    assert 76 < low < 79
    assert 84 < high < 88
    assert "The scores shown are those of the second half of the epochs." in one.caption


def test_a_failed_setting_is_in_no_mean_of_combinations(crossed):
    def fail(frame):
        frame.loc[(frame["setting"] == "attention=se") & (frame["seed"] == 0), ["state", "accuracy"]] = [
            "failed",
            np.nan,
        ]
        return frame

    (one,) = [one for one in figures(crossed(edit=fail)) if one.key == "interaction"]

    assert [text.get_text() for text in one.figure.axes[0].texts] == ["90.00", "89.00", "–", "95.00"]
    assert one.caption.endswith("Not drawn, as runs failed: 'attention=se'.")


def test_equivalent_is_told_from_inconclusive(reported):
    seeds = [0.9, 0.91, 0.9, 0.89, 0.92, 0.9, 0.91, 0.9]
    jitter = [0.001, -0.001] * 4
    scores = {
        "none": seeds,
        "same": [one + change for one, change in zip(seeds, jitter, strict=True)],
        "better": [one + 0.05 - change for one, change in zip(seeds, jitter, strict=True)],
    }
    forest = figures(reported(scores, practical=0.01, planned_seeds=range(8)))[0]

    assert forest.alt == "Beside 'none': better (+5.00 pp) better; same (0.00 pp) equivalent."
    assert "Squares: equivalent" in forest.caption
    markers = {line.get_marker() for line in forest.figure.axes[0].lines}
    assert {"^", "s"} <= markers


def test_a_bar_of_the_front_reaches_the_reference_where_the_interval_holds_zero(reported, five_blocks):
    report = reported(five_blocks)
    pareto = figures(report)[-1]
    bars = {}
    for line in pareto.figure.axes[0].lines:
        x, y = line.get_data()
        if len(x) == 2 and x[0] == x[1]:
            bars[round(float(x[0]), 6)] = sorted(y)

    measured = report.analysis.measurements.set_index("setting")
    at = measured["mean"]["none"] * 100
    assert "95 % intervals of the difference from 'none' (dotted)" in pareto.caption
    for row in measured.drop("none").itertuples():
        low, high = bars[round(row.latency_ms, 6)]
        assert low - at == pytest.approx(100 * row.low)
        assert high - at == pytest.approx(100 * row.high)


def test_bars_of_the_front_are_deviations_where_settings_are_compared_with_different_ones(reported, five_blocks):
    pareto = figures(reported(five_blocks, against={"eca": "se"}))[-1]

    assert "Bars: ± one standard deviation over seeds." in pareto.caption
    assert "dotted" not in pareto.caption


@pytest.mark.parametrize("text", [True, False])
def test_names_that_do_not_print_leave_an_svg_whole(reported, curves, text):
    names = ["none", "\x1b[31mred", "a\x00b\x08", "<script>alert(1)</script>", "$x_1$ & 50% #"]
    rng = np.random.default_rng(0)
    scores = {name: (0.9 + 0.01 * rng.normal(size=3)).tolist() for name in names}

    for one in figures(reported(scores, more={"curves": curves(names)})):
        content = save(one, "svg", text=text)
        assert b"<script" not in content
        assert "svg" in ET.fromstring(content).tag


def test_chinese_figures_have_chinese_signs(crossed, curves):
    report = crossed()
    with speaking("zh"):
        drawn = figures(crossed(more={"curves": curves(report.plan.settings)}))

    assert [one.title for one in drawn if not re.search("[\u4e00-\u9fff]", one.title)] == []
    try:
        contents = [save(one, "pdf") for one in drawn]
    except ResultsError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no Chinese font is installed: {error}")
    assert all(b"/Type3" not in content for content in contents)


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
POINTS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(1, 3), st.floats(-1, 1) | st.just(np.nan) | st.just(np.inf)),
    max_size=12,
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.lists(SCORES, min_size=1, max_size=5), points=POINTS, practical=st.sampled_from([None, 0.01]))
def test_no_results_stop_the_figures(reported, data, points, practical):
    known = pd.DataFrame([(f"s{i}", *rest) for i, *rest in points], columns=["setting", "seed", "epoch", "value"])
    scores = {f"s{i}": one for i, one in enumerate(data)}
    report = reported(scores, practical=practical, more={"curves": known})

    for one in figures(report):
        assert save(one, "svg").startswith(b"<?xml")


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(states=st.lists(st.sampled_from(["complete", "failed", "running", "pruned"]), min_size=20, max_size=20))
def test_no_results_of_several_slots_stop_the_figures(crossed, states):
    def edit(frame):
        frame["state"] = states
        frame.loc[frame["state"] != "complete", "accuracy"] = np.nan
        return frame

    for one in figures(crossed(edit=edit)):
        assert save(one, "svg").startswith(b"<?xml")
