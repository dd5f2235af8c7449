"""Both sides as whole processes: `ablate run` on a study that comes with it, or a script; and what the records say."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
STUDIES = HERE.parent / "studies"


class Call(NamedTuple):
    """When a process started and had ended, in seconds since 1970, and what it printed."""

    start: float
    end: float
    output: str

    @property
    def wall(self) -> float:
        """How long it took, in seconds."""
        return self.end - self.start


class Recorded(NamedTuple):
    """A trial as it stands in the store: its setting, when it began and ended, in seconds since 1970."""

    setting: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long a worker was busy with it."""
        return self.ended - self.began


def run(command: list[str], folder: Path, environment: Mapping[str, str] = {}) -> Call:
    """Run a Python program to its end, in a folder.

    Raises:
        SystemExit: if it fails.
    """
    quiet = {"PYTHONUTF8": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_LOGGING_LEVEL": "WARNING"}
    settings = {**os.environ, **quiet, **environment}
    start = time.time()
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=settings, stdout=subprocess.PIPE, encoding="utf-8", check=False
    )
    end = time.time()
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}")
    return Call(start, end, done.stdout)


def run_ablate(study: str, folder: Path, *, seeds: int, n_trials: int, epochs: int) -> tuple[Call, list[Recorded]]:
    """Run a study with so many seeds and epochs on two workers, as a user does.

    Raises:
        SystemExit: if it fails, or not all trials are in the store, FINISHED.
    """
    text = (STUDIES / f"{study}.yml").read_text(encoding="utf-8")
    for pattern, number in ((r"^(seeds: )\d+$", seeds), (r"^(recipe: .*epochs: )\d+", epochs)):
        text, n_found = re.subn(pattern, rf"\g<1>{number}", text, flags=re.MULTILINE)
        if n_found != 1:
            raise SystemExit(f"{study}.yml should have one line {pattern}; it has {n_found}")
    (folder / f"{study}.yml").write_text(text, encoding="utf-8")
    call = run(["-m", "ablate", "run", f"{study}.yml", "--workers", "2"], folder)
    trials = recorded(folder / "runs" / "mlflow.db")
    if len(trials) != n_trials:
        raise SystemExit(f"{len(trials)} runs are FINISHED where {n_trials} were planned:\n{call.output}")
    return call, trials


def recorded(database: Path) -> list[Recorded]:
    """Return the finished trials of a store that nobody writes to, in the order in which they began."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient  # noqa: PLC0415  # after its telemetry is switched off

    client = MlflowClient(tracking_uri=f"sqlite:///{database.as_posix()}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(
        experiments, "tags.`ablate.kind` = 'trial' and attributes.status = 'FINISHED'", max_results=5000
    )
    trials = [
        Recorded(run.data.tags["ablate.setting"], run.info.start_time / 1000, run.info.end_time / 1000) for run in runs
    ]
    return sorted(trials, key=lambda trial: trial.began)
