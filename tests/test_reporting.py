"""Every study that comes with the package, as a report: each table set by pdfLaTeX in each style, each figure, the page."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ablate import config, design, reporting
from ablate.study import Trial
from ablate.tracking import entries
from reports.figures import figures, save
from reports.latex import documents
from reports.page import page
from reports.styles import STYLES

STUDIES = sorted(Path(__file__).parents[1].glob("studies/**/*.yml"))
NAMES = [path.stem for path in STUDIES]


def reported(path):
    """Return a report on scores that are drawn, as the study plans its runs."""
    study = config.read_study(str(path))
    plan = design.plan(study) if study.design.search is None else design.neighbours(study)
    rng = np.random.default_rng(0)
    worth = {setting.label: rng.normal() for setting in plan.settings}
    trials = [
        Trial(setting, seed, f"{setting.label} {seed}")
        for setting in plan.settings
        for seed in (study.seeds if plan.seeds is None else plan.seeds[setting.label])
    ]
    names = [study.metric.name, *(metric.name for metric in study.metrics)]
    rows = [
        {
            "study": study.name, "setting": trial.setting.label, "seed": trial.seed, "state": "complete",
            **{f"slot.{name}": choice.label for name, choice in trial.setting.choices},
            **{name: 0.8 + 0.02 * worth[trial.setting.label] + 0.005 * trial.seed + 0.004 * rng.normal() for name in names},
            "params": 7e4 + 1e3 * i % 7, "macs": 7e5 + 1e4 * i % 5, "latency_ms": 0.3 + 0.01 * i % 3, "run_id": str(i),
        }
        for i, trial in enumerate(trials)
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    for column in ("params", "macs", "latency_ms"):
        frame[column] = frame.groupby("setting")[column].transform("first")
    for name in (slot.name for slot in study.slots):
        if f"slot.{name}" not in frame:
            frame[f"slot.{name}"] = None
    planned = entries.planned(study, plan, trials, (), "Scored on the test part.") | {"search": None, "selected": {}}
    return reporting.reported(planned, frame)


@pytest.fixture(scope="module")
def reports():
    return {path.stem: reported(path) for path in STUDIES}


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
def test_every_table_of_every_study_is_set_without_an_overfull_box(reports, tmp_path, style):
    if shutil.which("pdflatex") is None:
        if os.environ.get("CI"):
            pytest.fail("pdflatex is missing where it must not be")
        pytest.skip("pdflatex is not installed")
    for name, report in reports.items():
        folder = tmp_path / name
        folder.mkdir()
        made = documents(report, style=style)
        for file, text in made.items():
            (folder / file).write_text(text, encoding="utf-8")
        (document,) = [file for file in made if file.endswith("-all.tex")]
        for _ in range(2):
            done = subprocess.run(
                ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", document],
                cwd=folder, capture_output=True, text=True, errors="replace",
            )  # fmt: skip
            assert done.returncode == 0, (name, done.stdout[-2000:])
        assert re.findall(r"^Overfull \\hbox.*$", done.stdout, flags=re.MULTILINE) == [], name


@pytest.mark.slow
def test_every_study_has_figures_and_a_page(reports):
    for name, report in reports.items():
        drawings = figures(report, titled=False)
        assert len(drawings) >= 2, name
        assert all(save(one, "pdf").startswith(b"%PDF") for one in drawings), name
        assert page(report, drawings, latex={}).count("<table") == len(report.tables), name


def test_a_fractional_study_is_told_by_its_slots():
    report = reported(next(path for path in STUDIES if path.stem == "fraction"))

    assert [table.key for table in report.tables] == ["effects"]
    assert report.analysis is None
