"""Frames of runs for the tests of `reports`."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def runs():
    """Return a function that makes a frame: one list of scores per setting; None is a failed run, ... none at all."""

    def make(scores, *, study="attention", slot="attention", metric="accuracy"):
        rows = [
            {
                "study": study,
                "setting": setting,
                f"slot.{slot}": setting,
                "seed": seed,
                "state": "failed" if score is None else "complete",
                metric: np.nan if score is None else score,
                "params": 77_850 + 100 * i,
                "macs": 1.234e6 + 1e4 * i,
                "latency_ms": 0.84 + 0.1 * i,
                "run_id": f"{setting}-{seed}",
            }
            for i, (setting, values) in enumerate(scores.items())
            for seed, score in enumerate(values)
            if score is not ...
        ]
        return pd.DataFrame(rows)

    return make


@pytest.fixture(scope="session")
def analysis(runs):
    """Return a function that analyses scores; keywords override the plan."""
    from reports.analysis import analyse
    from reports.plan import Plan
    from reports.tables import Metric

    def make(scores, **changes):
        frame = scores if isinstance(scores, pd.DataFrame) else runs(scores)
        arguments = {
            "study": "attention",
            "question": "Which attention block helps a small residual network most?",
            "settings": list(dict.fromkeys(frame["setting"])),
            "slots": ["attention"],
            "reference": "none",
            "metric": Metric("accuracy", higher_is_better=True, unit="fraction"),
            "planned_seeds": sorted({int(seed) for seed in frame["seed"]}),
            "estimand": "the effect of changing one slot while the others stay at the reference",
        }
        return analyse(frame, Plan(**(arguments | changes)))

    return make


@pytest.fixture(scope="session")
def table(analysis):
    """Return a function that tabulates scores; keywords override the plan."""
    from reports.tables import comparison_table

    return lambda scores, **changes: comparison_table(analysis(scores, **changes))


@pytest.fixture(scope="session")
def five_blocks():
    """Accuracies of five settings on five seeds, as fractions."""
    return {
        "none": [0.901, 0.907, 0.896, 0.912, 0.899],
        "se": [0.905, 0.909, 0.903, 0.913, 0.905],
        "eca": [0.899, 0.907, 0.893, 0.908, 0.901],
        "CBAM_k7": [0.921, 0.926, 0.918, 0.927, 0.919],
        "coordinate(reduction=8)": [0.894, 0.901, 0.884, 0.906, 0.888],
    }


@pytest.fixture(scope="session")
def slots_table():
    """Return a function that tabulates slots; `worth` says what a setting scores beyond noise, `edit` changes the runs."""
    from reports.factors import Factor, grid
    from reports.slot_effects import slot_effects
    from reports.tables import Metric, effects_table

    known = {
        "attention": Factor("attention", ("none", "se", "eca"), "none"),
        "norm": Factor("norm", ("batch", "group(groups=4)"), "batch"),
        "kernel": Factor("kernel", ("3", "5", "7"), "3", numbers=(3.0, 5.0, 7.0)),
    }

    def make(worth=lambda _: 0.0, *, slots=tuple(known), seeds=3, noise=0.008, edit=lambda _: None, **more):
        rng = np.random.default_rng(0)
        factors = [known[name] for name in slots]
        rows = {str(i): row for i, row in enumerate(grid(factors))}
        frame = pd.DataFrame(
            [
                {
                    "study": "s", "setting": label, "seed": seed, "state": "complete",
                    "accuracy": 0.85 + worth(row) + noise * rng.normal(),
                }
                for label, row in rows.items()
                for seed in range(seeds)
            ]
        )  # fmt: skip
        edit(frame)
        effects = slot_effects(frame, factors=factors, metric="accuracy", settings=rows)
        metric = Metric("accuracy", higher_is_better=True, unit="fraction")
        return effects_table(effects, study="demo", question="Which?", metric=metric, **more)

    return make


@pytest.fixture(scope="session")
def crossed(runs):
    """Return a function that reports on settings of two slots; keywords override the plan."""
    from reports.factors import Factor
    from reports.plan import Plan
    from reports.report import report_on
    from reports.tables import Metric

    choices = {
        "reference": {"attention": "none", "norm": "batch"},
        "attention=se": {"attention": "se", "norm": "batch"},
        "norm=group(groups=4)": {"attention": "none", "norm": "group(groups=4)"},
        "attention=se, norm=group(groups=4)": {"attention": "se", "norm": "group(groups=4)"},
    }
    means = dict(zip(choices, (0.90, 0.92, 0.89, 0.95), strict=True))
    noise = (0.004, -0.004, 0.002, -0.003, 0.001)

    def make(*, edit=lambda frame: frame, design="factorial", labels=tuple(choices), more=None, **changes):
        scores = {label: [means[label] + (1 if i % 2 else -1) * one for one in noise] for i, label in enumerate(labels)}
        frame = runs(scores, study="crossed").drop(columns="slot.attention")
        for slot in ("attention", "norm"):
            frame[f"slot.{slot}"] = [choices[label][slot] for label in frame["setting"]]
        plan = {
            "study": "crossed", "question": "Which part helps?", "settings": list(labels), "slots": ["attention", "norm"],
            "reference": labels[0], "metric": Metric("accuracy", higher_is_better=True, unit="fraction"),
            "planned_seeds": range(5), "choices": {label: choices[label] for label in labels}, "design": design,
            "estimand": "the effect of each combination",
        }  # fmt: skip
        factors = (
            [
                Factor("attention", ("none", "se"), "none"),
                Factor("norm", ("batch", "group(groups=4)"), "batch"),
            ]
            if design == "factorial"
            else []
        )
        return replace(report_on(edit(frame), Plan(**(plan | changes)), factors=factors), **(more or {}))

    return make
