"""What a trial costs that does nothing: a training generator that only yields ten epochs of scores.

python benchmarks/noop_trial.py

`ablate.run(study, train=noop)` is called in a fresh process and folder. It prints a line as soon as a run reads
FINISHED in the MLflow store; the lines are timed from outside. Two figures:

until FINISHED: from the tenth of those lines to the last, over the trials between them. Building the network, the way
    to the worker and back, and the record are in it; imports and the start of the store are not.
whole call: the wall time of the call minus that of a call with 10 trials, over the further trials. What comes at the
    end (latencies written to each run, reading all runs, the table) is in it too.

`--workers 0` is strictly one trial after the other in one process. For comparison the floor, in turns with it:
MLflow's client alone writes the same curves, one run with one batch, with MLflow's default settings of SQLite and with
write-ahead logging (WAL, synchronous=NORMAL), which is what ablate uses.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import machine

if TYPE_CHECKING:
    from ablate.train import Progress

N_SETTINGS, EPOCHS, FEW = 5, 10, 10
MOST_MS = 60.0
STUDY = """\
network: {{resnet: {{depth: 8, width: 16}}}}
data: {{digits: {{train: 300}}}}
slots:
  attention: [none, se, eca, cbam, coordinate]
reference: {{attention: none}}
seeds: {n_seeds}
metric: accuracy
"""


def noop(network: object, data: object, recipe: object, seed: int) -> Iterator["Progress"]:  # noqa: ARG001  # its shape
    """Yield ten epochs of two scores."""
    from ablate.train import Progress  # noqa: PLC0415  # torch, which workers have and this process does not need

    for epoch in range(1, EPOCHS + 1):
        yield Progress(epoch, {"accuracy": (epoch + seed % 7) / 20, "loss": 1 / epoch}, {})


def call_ablate(n_trials: int, workers: int) -> None:
    """Run a study of trials that do nothing in the current folder."""
    import ablate  # noqa: PLC0415  # only this process may load it: it changes the settings of every SQLite store

    path = Path("noop.yml")
    path.write_text(STUDY.format(n_seeds=n_trials // N_SETTINGS), encoding="utf-8")
    ablate.run(path, train=noop, workers=workers)


def call_mlflow(n_trials: int, *, wal: bool) -> None:
    """Write runs with MLflow's client alone, in the current folder; print a line after each."""
    import sqlalchemy  # noqa: PLC0415  # only this process needs it
    from mlflow import MlflowClient  # noqa: PLC0415
    from mlflow.entities import Metric, Param  # noqa: PLC0415

    if wal:

        @sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
        def set_wal(connection: Any, _: Any) -> None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")

    client = MlflowClient(tracking_uri="sqlite:///runs.db")
    experiment = client.create_experiment("noop")
    for number in range(1, n_trials + 1):
        now = round(1000 * time.time())
        run_id = client.create_run(experiment).info.run_id
        scores = [(epoch, {"accuracy": epoch / 20, "loss": 1 / epoch}) for epoch in range(1, EPOCHS + 1)]
        metrics = [Metric(name, value, now, epoch) for epoch, both in scores for name, value in both.items()]
        client.log_batch(run_id, metrics, [Param("attention", "none"), Param("seed", str(number))])
        client.set_terminated(run_id)
        print(f"{number}/{n_trials}", flush=True)


def timed(side: str, n_trials: int, workers: int) -> tuple[float, float]:
    """Run a side in a fresh process and folder; return milliseconds a trial in the steady state, and wall seconds.

    The store is read afterwards: every run must be FINISHED.
    """
    command = [sys.executable, str(Path(__file__).resolve()), "--side", side]
    command += ["--trials", str(n_trials), "--workers", str(workers)]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONUTF8": "1"}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        start = time.perf_counter()
        ended: list[float] = []
        process = subprocess.Popen(
            command, cwd=folder, env=environment, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        with process:
            for line in process.stdout or ():
                number = line.partition("/")[0]
                if number.isdigit() and int(number) > 0:
                    ended.append(time.perf_counter())
            errors = process.stderr.read() if process.stderr else ""
        wall = time.perf_counter() - start
        if process.returncode or len(ended) != n_trials:
            raise SystemExit(f"{side}: {len(ended)} of {n_trials} trials, exit {process.returncode}\n{errors}")
        _check(next(Path(folder).rglob("*.db")), n_trials)
    return 1000 * (ended[-1] - ended[FEW - 1]) / max(1, n_trials - FEW), wall


def _check(database: Path, n_trials: int) -> None:
    """Make sure that the store holds every trial, FINISHED, with its whole curves."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient  # noqa: PLC0415  # after its telemetry is switched off

    client = MlflowClient(tracking_uri=f"sqlite:///{database.as_posix()}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, "attributes.status = 'FINISHED' and params.seed != ''", max_results=5000)
    n_epochs = {len(client.get_metric_history(run.info.run_id, "accuracy")) for run in (runs[0], runs[-1])}
    if len(runs) != n_trials or n_epochs != {EPOCHS}:
        raise SystemExit(f"{len(runs)} of {n_trials} runs are FINISHED, with {n_epochs} epochs")


def compare(n_trials: int, repeats: int, workers: list[int]) -> dict[str, float]:
    """Let ablate and the floor take turns; print each call and return the medians."""
    sides = [("mlflow", 0), ("mlflow-wal", 0), *(("ablate", n) for n in workers)]
    steady: dict[str, list[float]] = {}
    whole: dict[str, list[float]] = {}
    print("repeat  side               until FINISHED, ms a trial  whole call, ms a trial", flush=True)
    for repeat in range(repeats):
        for side, n in sides:
            label = f"{side}, {n} workers" if side == "ablate" else side
            _, short = timed(side, FEW, n)
            milliseconds, wall = timed(side, n_trials, n)
            steady.setdefault(label, []).append(milliseconds)
            whole.setdefault(label, []).append(1000 * (wall - short) / (n_trials - FEW))
            print(f"{repeat + 1:6d}  {label:17s}  {milliseconds:26.1f}  {whole[label][-1]:22.1f}", flush=True)
    return {
        **{f"until FINISHED, {label}": round(median(values), 1) for label, values in steady.items()},
        **{f"whole call, {label}": round(median(values), 1) for label, values in whole.items()},
    }


def main() -> None:
    """Measure and print, or be one side of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=100, help=f"a multiple of {N_SETTINGS}, more than {FEW}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--side", choices=["ablate", "mlflow", "mlflow-wal"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side == "ablate":
        call_ablate(arguments.trials, arguments.workers[0])
        return
    if arguments.side:
        call_mlflow(arguments.trials, wal=arguments.side == "mlflow-wal")
        return
    if arguments.trials <= FEW or arguments.trials % N_SETTINGS:
        parser.error(f"--trials: a multiple of {N_SETTINGS}, more than {FEW}")
    facts = machine.describe()
    machine.show(facts)
    figures = compare(arguments.trials, arguments.repeats, arguments.workers)
    print()
    for name, milliseconds in figures.items():
        limit = f"  (at most {MOST_MS:.0f})" if name.startswith("until FINISHED, ablate") else ""
        print(f"{name:34s} {milliseconds:6.1f} ms a trial{limit}")
    print(json.dumps({**facts, "milliseconds": figures}))


if __name__ == "__main__":
    main()
