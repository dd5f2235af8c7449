"""What a trial costs that does nothing: a training generator that only yields ten epochs of scores.

python benchmarks/noop_trial.py
python benchmarks/noop_trial.py --growth 5000       # does the 5,000th trial cost what the first did?

`ablate.run(study, train=noop)` is called in a fresh process and folder. From outside, the runs that read FINISHED in the
MLflow store are counted every 20 ms, because ablate writes them in a thread of its own. Two figures:

until FINISHED: from the tenth of those runs to the last, over the trials between them. Building the network, the way to
    the worker and back, and the record are in it; imports and the start of the store are not.
whole call: the wall time of the call minus that of a call with 10 trials, over the further trials. What comes at the
    end (latencies written to each run, reading all runs, the table) is in it too.

`--workers 0` is strictly one trial after the other in one process. For comparison the floor, in turns with it:
MLflow's client alone writes the same curves, one run with one batch, with MLflow's default settings of SQLite and with
write-ahead logging (WAL, synchronous=NORMAL), which is what ablate uses.

`--growth` is one call with many trials on two workers instead: milliseconds a trial, until FINISHED, of each block of
500, their slope, and the resident memory of the parent process at the end of each block, read from outside. `--keep`
leaves the study and its records in a folder, for `resume.py --runs`.
"""

import argparse
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import linear_regression, median
from typing import TYPE_CHECKING, Any, NamedTuple

import machine

if TYPE_CHECKING:
    from ablate.train import Progress

N_SETTINGS, EPOCHS, FEW, BLOCK = 5, 10, 10, 500
POLL_SECONDS = 0.02
MOST_MS, MOST_GROWTH_MS, MOST_MIB = 20.0, 25.0, 700.0
STARTED = "NOOP_STARTED"  # an environment variable: where the first trial notes when it starts
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
    """Note when the first trial starts, where that is asked for; yield ten epochs of two scores."""
    if STARTED in os.environ:
        with contextlib.suppress(FileExistsError), Path(os.environ[STARTED]).open("x", encoding="utf-8") as file:
            file.write(repr(time.time()))
    from ablate.train import Progress  # noqa: PLC0415  # torch, which workers have and this process does not need

    for epoch in range(1, EPOCHS + 1):
        yield Progress(epoch, {"accuracy": (epoch + seed % 7) / 20, "loss": 1 / epoch}, {})


def call_ablate(n_trials: int, workers: int) -> None:
    """Run a study of trials that do nothing in the current folder."""
    import ablate  # noqa: PLC0415  # only this process may load it: it changes the settings of every SQLite store

    path = Path("noop.yml")
    path.write_text(STUDY.format(n_seeds=n_trials // N_SETTINGS), encoding="utf-8")
    ablate.run(path, train=noop, workers=workers)
    print(machine.memory_mib(os.getpid(), "VmHWM"))


def call_mlflow(n_trials: int, *, wal: bool) -> None:
    """Write runs with MLflow's client alone, in the current folder."""
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
    print(machine.memory_mib(os.getpid(), "VmHWM"))


class Watched(NamedTuple):
    """A side that has run: when each trial had ended and what the process held then, in MiB; the wall seconds.

    `last_line` is what it printed last: for ablate the most memory that it ever held, in MiB.
    """

    ended: list[float]
    held: list[float]
    wall: float
    last_line: str


def timed(side: str, n_trials: int, workers: int) -> tuple[float, float]:
    """Run a side in a fresh folder; return milliseconds a trial in the steady state, and wall seconds."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        ended, _, wall, _ = watch(side, n_trials, workers, Path(folder))
    return 1000 * (ended[-1] - ended[FEW - 1]) / max(1, n_trials - FEW), wall


def watch(side: str, n_trials: int, workers: int, folder: Path) -> Watched:
    """Run a side in a process of its own, in an empty folder, and watch it from outside.

    The store is read afterwards: every run must be FINISHED.
    """
    command = [sys.executable, str(Path(__file__).resolve()), "--side", side]
    command += ["--trials", str(n_trials), "--workers", str(workers)]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONUTF8": "1"}
    start = time.perf_counter()
    ended: list[float] = []
    held: list[float] = []
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as output,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        while process.poll() is None:
            n_new = min(_n_finished(folder), n_trials) - len(ended)
            ended += [time.perf_counter()] * n_new
            held += [machine.memory_mib(process.pid)] * n_new
            time.sleep(POLL_SECONDS)
        wall = time.perf_counter() - start
        output.seek(0)
        said = output.read()
    if process.returncode:
        raise SystemExit(f"{side}: exit {process.returncode}\n{said}")
    _check(next(folder.rglob("*.db")), n_trials)
    if len(ended) != n_trials:
        raise SystemExit(f"{side}: {len(ended)} of {n_trials} trials were seen to end\n{said}")
    return Watched(ended, held, wall, said.splitlines()[-1])


def _n_finished(folder: Path) -> int:
    """Count the runs of trials that read FINISHED in the store, as far as there is one."""
    for database in folder.rglob("*.db"):
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store,
        ):
            n: int = store.execute("SELECT count(*) FROM runs WHERE status = 'FINISHED'").fetchone()[0]
            return n
    return 0


def _check(database: Path, n_trials: int) -> None:
    """Make sure that the store holds every trial, FINISHED, with its whole curves."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient  # noqa: PLC0415  # after its telemetry is switched off

    client = MlflowClient(tracking_uri=f"sqlite:///{database.as_posix()}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, "attributes.status = 'FINISHED' and params.seed != ''", max_results=50000)
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


def growth(n_trials: int, folder: Path) -> dict[str, object]:
    """Run one call with many trials on two workers; print each block of trials and return the figures."""
    ended, held, wall, last_line = watch("ablate", n_trials, 2, folder)
    most = float(last_line)
    ends = [*range(BLOCK, n_trials, BLOCK), n_trials]
    blocks = [1000 * (ended[b - 1] - ended[a - 1]) / (b - a) for a, b in pairwise([FEW, *ends])]
    print("trials        ms a trial  parent's MiB")
    for end, milliseconds in zip(ends, blocks, strict=True):
        print(f"until {end:6d}  {milliseconds:10.1f}  {held[end - 1]:12.0f}")
    slope = 1000 * linear_regression(ends, blocks).slope if len(ends) > 1 else 0.0
    print(
        f"\nwhole call {wall:.1f} s; slowest block {max(blocks):.1f} ms a trial (at most {MOST_GROWTH_MS:.0f}), "
        f"{slope:+.2f} ms for each further 1,000 trials\n"
        f"the parent held at most {max(held):.0f} MiB while trials ran, {most:.0f} MiB with the table made "
        f"(at most {MOST_MIB:.0f})"
    )
    return {
        "trials": n_trials, "wall_seconds": round(wall, 1), "blocks_ms": [round(block, 2) for block in blocks],
        "slope_ms_per_1000_trials": round(slope, 3), "parent_mib": [round(held[end - 1]) for end in ends],
        "parent_most_mib": most,
    }  # fmt: skip


def main() -> None:
    """Measure and print, or be one side of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=100, help=f"a multiple of {N_SETTINGS}, more than {FEW}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--growth", type=int, metavar="TRIALS", help="one call with so many trials instead")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="with --growth: a new folder where the records stay")
    parser.add_argument("--side", choices=["ablate", "mlflow", "mlflow-wal"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side == "ablate":
        call_ablate(arguments.trials, arguments.workers[0])
        return
    if arguments.side:
        call_mlflow(arguments.trials, wal=arguments.side == "mlflow-wal")
        return
    for n in (arguments.trials, arguments.growth or arguments.trials):
        if n <= FEW or n % N_SETTINGS:
            parser.error(f"--trials, --growth: a multiple of {N_SETTINGS}, more than {FEW}")
    facts = machine.describe()
    machine.show(facts)
    if arguments.growth:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
            folder = arguments.keep or Path(temporary)
            folder.mkdir(parents=True, exist_ok=folder == Path(temporary))
            print(json.dumps({**facts, "growth": growth(arguments.growth, folder)}))
        return
    figures = compare(arguments.trials, arguments.repeats, arguments.workers)
    print()
    for name, milliseconds in figures.items():
        limit = f"  (at most {MOST_MS:.0f})" if name.startswith("until FINISHED, ablate") else ""
        print(f"{name:34s} {milliseconds:6.1f} ms a trial{limit}")
    print(json.dumps({**facts, "milliseconds": figures}))


if __name__ == "__main__":
    main()
