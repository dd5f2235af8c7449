"""Capacity matching: held against brute force, built again, and what is refused."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ablate import build, config, cost, design
from ablate.errors import StudyError
from ablate.matching import Matched, match, nearest, sentences
from ablate.study import Choice, Match
from blocks import catalogue
from blocks.catalogue import Catalogue, Entry, Option

SHAPE = (1, 8, 8)


def study_of(slots, *, by="params", network="{resnet: {depth: 8, width: 16}}", **others):
    keys = "".join(f"{key}: {value}\n" for key, value in others.items())
    text = f"network: {network}\ndata: {{digits: {{train: 300}}}}\nslots: {slots}\nmatch: {by}\n{keys}"
    return config.parse_study(text, path=Path("s.yml"))


def matched(study):
    return match(study, design.plan(study), in_channels=1, n_classes=10, shape=SHAPE)


def size_of(study, setting):
    module = build.network(study, setting, in_channels=1, n_classes=10)
    return cost.parameters(module) if study.match.by == "params" else cost.macs(module, SHAPE)


def widths_of(one):
    return tuple(int(width) for width in one.after.split("-"))


def best_of_all(start, target, size, *, step=1, widest=2):
    """Build everything: every uniform factor, then all widths between the two nearest and one step outside."""
    unit = start[0]
    uniform = [tuple(width * n // unit for width in start) for n in range(step, widest * unit, step)]
    below = max(widths for widths in uniform if size(widths) is not None and size(widths) <= target)
    above = tuple(width + step * before // unit for width, before in zip(below, start, strict=True))
    spans = [range(low - step, high + step + 1, step) for low, high in zip(below, above, strict=True)]

    def rank(widths):
        factors = [width / before for width, before in zip(widths, start, strict=True)]
        return (
            round(abs(size(widths) / target - 1) / 0.002),
            max(factors) / min(factors),
            abs(size(widths) - target),
            widths,
        )

    return min((widths for widths in product(*spans) if size(widths) is not None), key=rank)


@pytest.mark.slow
@pytest.mark.parametrize("by", ["params", pytest.param("macs", marks=pytest.mark.slow)])
def test_the_search_finds_what_building_all_widths_finds(by):
    study = study_of("{kernel: [3, 5]}", by=by, network="{resnet: {depth: 6, width: 16, stages: 2}}")
    reference, wide = design.plan(study).settings
    known = {}

    def size(widths):
        if widths not in known:
            known[widths] = size_of(study, replace(wide, choices=(*wide.choices, ("width", Choice(widths)))))
        return known[widths]

    found = matched(study)["5"]

    assert widths_of(found) == best_of_all((16, 32), size_of(study, reference), size)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    st.integers(14, 24),
    st.integers(2, 3),
    st.sampled_from([1, 2, 4]),
    st.floats(0.5, 4.0),
    st.lists(st.integers(1, 20), min_size=6, max_size=6),
)
def test_no_widths_are_nearer_where_layers_see_the_stage_before(width, n_stages, groups, factor, weights):
    start = tuple(width * groups * 2**i for i in range(n_stages))

    def size(widths):
        if any(width % groups for width in widths):
            return None
        inside = sum(weight * width * width // 2 for weight, width in zip(weights, widths, strict=False))
        between = sum(weight * a * b for weight, a, b in zip(weights[3:], widths, widths[1:], strict=False))
        return 27 * widths[0] + inside + between + 10 * widths[-1]

    target = round(factor * size(start))
    widths, found = nearest((start, size(start)), target, size)

    assert found == size(widths)
    assert widths == best_of_all(start, target, size, step=groups, widest=8)


def test_a_size_worked_by_hand_is_found_in_the_even_way():
    def area(widths):
        return widths[0] * widths[1]

    assert nearest(((10, 20), 200), 288, area) == ((12, 24), 288)
    assert nearest(((10, 20), 200), 50, area) == ((5, 10), 50)
    # Between 10-20 and 11-22, and one outside, 11·19 and 10·21 are near 210; the second is exact.
    assert nearest(((10, 20), 200), 210, area) == ((10, 21), 210)


def test_what_has_one_width_gets_the_nearest_that_its_steps_allow():
    def square(widths):
        return widths[0] ** 2 if widths[0] % 8 == 0 else None

    assert nearest(((32,), 1024), 1500, square) == ((40,), 1600)
    assert nearest(((32,), 1024), 1200, square) == ((32,), 1024)


def test_widths_without_a_common_divisor_keep_their_proportions_too():
    assert nearest(((10, 21, 45), 76), 99, sum) == ((13, 27, 59), 99)  # 1.30, 1.29 and 1.31 times

    start = (25, 52, 111)
    widths, found = nearest((start, 188), 244, sum)
    assert abs(found - 244) <= 1
    assert all(1.25 < width / before < 1.35 for width, before in zip(widths, start, strict=True))


def test_stages_are_made_wider_only_so_far_and_no_stage_vanishes():
    assert nearest(((16, 32), 48), 10**9, sum)[0] == (16 * 64, 32 * 64)
    assert nearest(((16, 32), 48), 1, sum)[0] == (2, 4)
    assert nearest(((16, 32), 48), 100, lambda widths: 48 if widths == (16, 32) else None) == ((16, 32), 48)


@pytest.mark.slow
def test_a_stage_that_cannot_be_narrower_stays_while_the_others_give_way():
    def size(widths):
        return sum(widths) if widths[0] >= 16 else None

    assert nearest(((16, 32, 64), 112), 64, size) == ((16, 16, 32), 64)

    # Sixteen channels are the fewest that squeeze-excite divides by its sixteen.
    study = study_of("{attention: [none, {se: {reduction: 16}}, {cbam: {reduction: 16}}]}")

    for one in matched(study).values():
        assert widths_of(one)[0] >= 16
        assert abs(one.gap) < 0.005


@pytest.mark.slow
@pytest.mark.parametrize("by", ["params", pytest.param("macs", marks=pytest.mark.slow)])
def test_a_matched_network_has_the_size_that_is_claimed_and_is_near_the_reference(by):
    slots = "{attention: [none, {se: {reduction: 4}}], conv: [dense, {grouped: {groups: 4}}, depthwise]}"
    study = study_of(slots, by=by)
    found = matched(study)

    assert list(found) == ["attention=se(reduction=4)", "conv=grouped(groups=4)", "conv=depthwise"]
    for one in found.values():
        assert one.size == size_of(study, one.setting)
        assert one.target == size_of(study, study.reference)
        assert one.gap == one.size / one.target - 1
        assert abs(one.gap) < 0.02
    assert all(width % 4 == 0 for width in widths_of(found["conv=grouped(groups=4)"]))
    narrow, middle, wide = widths_of(found["conv=depthwise"])
    assert middle % narrow == wide % middle == 0


@pytest.mark.parametrize(
    ("network", "slots"),
    [
        ("{vit: {patch: 1, depth: 1}}", "{attention: [{mhsa: {heads: 3}}, none]}"),
        ("{swin: {patch: 1, depths: [1, 1]}}", "{attention: [{window: {window: 4, heads: 2}}, none]}"),
        ("{convnext: {patch: 1, depths: [1, 1]}}", "{kernel: [7, 3]}"),
        ("{mobilenet-v2: {depths: [1, 1, 1]}}", "{expansion: [6, 4]}"),
        ("{shufflenet-v1: {depths: [1, 1]}}", "{groups: [3, 8]}"),
        ("{shufflenet-v2: {depths: [1, 1], width: 48}}", "{kernel: [3, 5]}"),
    ],
    ids=lambda value: value.strip("{").partition(":")[0],
)
def test_every_kind_of_network_can_be_matched(network, slots):
    study = study_of(slots, network=network)
    (one,) = matched(study).values()

    assert one.size == size_of(study, one.setting)
    assert one.before != one.after
    assert abs(one.gap) < 0.05


def test_what_is_as_large_already_keeps_its_widths_and_so_its_runs():
    study = study_of("{norm: [batch, layer], recipe.label_smoothing: [0.0, 0.1]}")
    plan = design.plan(study)
    found = matched(study)

    assert [one.setting for one in found.values()] == [s for s in plan.settings if s != plan.reference]
    assert {one.gap for one in found.values()} == {0}


def test_the_reference_and_twins_are_left_out_and_so_is_all_where_nothing_is_matched():
    study = study_of("{attention: [none, eca]}", calibration="[[none, again]]")

    assert list(matched(study)) == ["eca"]
    assert matched(replace(study, match=None)) == {}


def test_the_same_study_is_matched_in_the_same_way():
    study = study_of("{kernel: [3, 5]}", network="{resnet: {depth: 4, width: 16, stages: 1}}")

    assert matched(study) == matched(study)


def test_sentences_say_the_widths_the_size_and_what_is_left():
    setting = study_of("{attention: [none, eca]}").reference
    found = {
        "se": Matched(setting, 77_702, 77_754, "16-32-64", "15-30-61"),
        "eca": Matched(setting, 77_763, 77_754, "16-32-64", "16-32-64"),
        "layer": Matched(setting, 77_754, 77_754, "16-32-64", "16-32-64"),
    }

    assert list(sentences(found, "params")) == [
        "'se': 15-30-61 instead of 16-32-64: 77,702 parameters, −0.1 % from the reference's 77,754",
        "'eca': 16-32-64 as it is: 77,763 parameters, within 0.1 % of the reference's 77,754",
        "'layer': 16-32-64 as it is: 77,754 parameters, as many as the reference's 77,754",
    ]
    assert "77,702 multiply-accumulates, −0.1 %" in next(sentences(found, "macs"))


def test_a_study_that_varies_widths_itself_is_refused():
    with pytest.raises(StudyError, match=r"match: slots\.width varies what would be made equal: keep one"):
        matched(study_of("{width: [8, 16]}", network="{resnet: {depth: 8}}"))
    with pytest.raises(StudyError, match=r"match: slots\.widths varies"):
        matched(study_of("{widths: [[8, 16], [8, 24]]}", network="{mobilenet-v2: {depths: [1, 1]}}"))


def test_settings_that_cannot_be_built_are_all_named():
    study = study_of("{norm: [batch, {group: {groups: 7}}, {group: {groups: 3}}]}")

    with pytest.raises(StudyError) as error:
        matched(study)

    assert [problem.partition(": ")[0] for problem in error.value.problems] == [
        "setting 'group(groups=7)' cannot be built", "setting 'group(groups=3)' cannot be built",
    ]  # fmt: skip


class Plain(nn.Sequential):
    """A network of somebody who has not thought of matching."""

    def __init__(self, in_channels, n_classes, **options):
        super().__init__(nn.Flatten(), nn.Linear(in_channels, n_classes))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "match: network 'plain' has no widths that could be changed"),
        ({"width": Option("width", ("float",))}, "match: network 'plain' has no widths that could be changed"),
        (
            {"width": Option("width", ("int", "none"), is_list=True)},
            "match: network 'plain' does not say in `widths` how wide its stages are",
        ),
    ],
)
def test_a_network_without_widths_is_refused(options, message, monkeypatch):
    study = study_of("{kernel: [3, 5]}")
    entry = Entry("network", "plain", __name__, "Plain", Path(__file__), options)
    monkeypatch.setattr(catalogue, "read", lambda *_: Catalogue([entry]))

    with pytest.raises(StudyError, match=message):
        matched(replace(study, network=Choice("plain", tuple((name, None) for name in options))))


def test_match_by_hand_and_by_the_study_is_one_setting():
    study = study_of("{attention: [none, {se: {reduction: 4}}]}")
    (one,) = matched(study).values()

    name, choice = one.setting.choices[-1]
    assert (name, choice.name, choice.label) == ("width", widths_of(one), one.after)
    assert study.match == Match("params")
    by_hand = study_of(
        "{attention: [none, {se: {reduction: 4}}]}", network=f"{{resnet: {{depth: 8, width: {list(choice.name)}}}}}"
    )
    theirs = build.network(by_hand, design.plan(by_hand).settings[1], in_channels=1, n_classes=10)
    ours = build.network(study, one.setting, in_channels=1, n_classes=10)
    assert build.signature(ours) == build.signature(theirs)
