"""Frames of runs for the tests of `reports`."""

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
def table(runs):
    """Return a function that tabulates scores; keywords override the arguments of `comparison_table`."""
    from reports.tables import Metric, comparison_table

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
        return comparison_table(frame, **(arguments | changes))

    return make


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
