"""Scores of the task, and those of a training function of the user's own."""

from pathlib import Path

import pytest

from ablate import config

PATH = Path("studies/se.yml")


def test_a_score_of_the_users_own_training_says_which_way_is_better(text, problems_in):
    content = text(metric="{psnr: {better: higher}}", metrics="[{time: {better: lower}}]")

    study = config.parse_study(content, path=PATH, own_training=True)

    assert (study.metric.name, study.metric.higher_is_better, study.metric.unit) == ("psnr", True, "")
    assert not study.metrics[0].higher_is_better
    assert problems_in(text(metric="{psnr: {better: higher}}")) == [
        "metric: 'psnr' needs a training function of your own: ablate.run(study, train=...)"
    ]


@pytest.mark.parametrize(
    ("metric", "found"),
    [
        ("{psnr: {}}", ["metric.psnr.better: is missing: higher or lower"]),
        ("{psnr: {better: up}}", ["metric.psnr.better: unknown direction: 'up' (known: higher, lower)"]),
        ("{psnr: {better: higher, unti: dB}}", [("metric.psnr.unti: unknown key: 'unti'; did you mean 'unit'? "
                                                "(known: better, unit)")]),
        ("{seed: {better: higher}}", [("metric: a score cannot be called 'seed': letters, digits and _-./: only, no "
                                      "column of the frame")]),
        ("{accuracy: {better: lower}}", ["metric: 'accuracy' is known already: write its name alone"]),
        ("psnr", [("metric: unknown metric: 'psnr' (known: accuracy, balanced-accuracy, loss); a score of your own "
                  "training function says which way is better: {psnr: {better: higher}}")]),
    ],
)  # fmt: skip
def test_a_score_that_cannot_be_meant_is_refused(text, problems_in, metric, found):
    assert problems_in(text(metric=metric), own_training=True) == found
