"""What a study would take, and what it could tell."""

from pathlib import Path

import pytest

from ablate import config, design, forecast, summary
from ablate.place import Place

TEXT = """
network: {resnet: {depth: 8, width: 16}}
data: {digits: {train: 50}}
slots: {attention: [none, se, eca]}
recipe: {epochs: 1, batch: 50}
"""


def study_of(more="seeds: 3\n", text=TEXT):
    return config.parse_study(text + more, path=Path("s.yml"))


def said(study, *, sd=None, so_far=None):
    plan = design.plan(study)
    return forecast._sensitivity(study, plan, forecast._known(study, plan), sd, so_far)


def test_the_smallest_effect_is_that_of_the_specification():
    more = "seeds: 3\nslots: {attention: [none, se, eca, cbam, gc, coordinate]}\n"
    study = study_of(more, TEXT.replace("slots: {attention: [none, se, eca]}\n", ""))

    # Six settings, three seeds: 1.01 pp at a standard deviation of 0.3 pp, by Bonferroni over five comparisons.
    assert said(study).startswith("With 3 seeds a difference of 1.01 pp is found with 80 % probability")
    assert "supposed; --sd says another" in said(study)


def test_it_scales_with_the_noise_whether_stated_or_seen():
    study = study_of()

    assert "scatter by 0.6 pp (as --sd says)" in said(study, sd=0.006)
    assert "scatter by 0.1 pp (as in the 12 runs so far)" in said(study, so_far=(0.001, 12))


def test_a_metric_without_a_unit_is_told_in_standard_deviations():
    assert "times the standard deviation of paired scores" in said(study_of("metric: loss\nseeds: 3\n"))


def test_one_seed_tells_nothing():
    assert said(study_of("seeds: 1\n")).startswith("Noise and effect cannot be told apart")


def test_a_fraction_is_as_good_as_its_runs():
    study = study_of("design: {fractional: {runs: 8}}\n", TEXT.replace("eca]}", "eca], kernel: [3, 5]}"))

    assert said(study).startswith("With 8 runs a difference between choices of ")


def test_twins_are_no_choices():
    study = study_of("calibration: [[none, control]]\n")

    assert forecast._known(study, design.plan(study)).main == {"attention": True}


@pytest.mark.slow
def test_matched_settings_and_twins_are_forecast_with_their_widths_and_what_was_found(tmp_path):
    study = study_of("seeds: 2\nmatch: {by: params, show: both}\ncalibration: [[none, control]]\n")
    ahead = forecast.forecast(study, Place(tmp_path / "runs"))

    assert [s.label for s in ahead.plan.settings] == ["none", "se", "se, matched", "eca", "control"]
    assert len(ahead.trials) == len(ahead.waiting) == 10
    assert ahead.costs["se, matched"].params < ahead.costs["se"].params
    assert ahead.plan.remarks[0].startswith("'se': ")
    assert ahead.networks["control"].scale is not None


@pytest.mark.slow
def test_what_a_race_has_run_is_complete_and_not_stale(tmp_path):
    study = study_of("seeds: {from: 2, to: 3, until: best}\n")
    place = Place(tmp_path / "runs")
    outcome, _ = summary.run(study, place, workers=0)
    ahead = forecast.forecast(study, place)

    assert len(ahead.complete) == len(outcome.runs) >= 6
    assert ahead.stale == []
