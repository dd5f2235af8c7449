"""`ablate run studies/attention.yml` on two workers against `bare_loop.py`, the same trials written by hand.

python benchmarks/attention.py

Both sides are whole processes in fresh temporary folders, imports counted, and take turns, because machines drift. Two
figures:

overhead: from the start of the process to the first training step, plus from the end of the last one until the table
    is printed and the process has ended. For ablate both ends come from the MLflow records: the earliest
    `start_time` and the latest `end_time` (`start_time` and `seconds`: when the worker is done, after the last
    evaluation). A trial starts when a worker takes it up, before its network is built (about 0.02 s) and, in a worker
    that has made no optimizer yet, before torch imports what an optimizer needs (about 1.6 s; the worker that has
    inspected the study has it already). So this is a lower bound, and close where that worker begins. The bare loop
    notes its own first step and last step.
slope: the least-squares slope of the wall time over the number of trials, ablate's over the bare loop's.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean, linear_regression, median
from typing import NamedTuple

import machine

HERE = Path(__file__).resolve().parent
STUDY = HERE.parent / "studies" / "attention.yml"
N_SETTINGS = 5
MOST_OVERHEAD_SECONDS, MOST_SLOPE_RATIO = 12.0, 1.05


class Measured(NamedTuple):
    """One call of one side; times in seconds.

    `trial` is the mean time that a worker spends on a trial.
    """

    side: str
    n_trials: int
    wall: float
    before: float
    after: float
    trial: float

    @property
    def overhead(self) -> float:
        """What is no training: before the first step and after the last."""
        return self.before + self.after


def ablate_side(n_trials: int, folder: Path) -> Measured:
    """Run the study with as many seeds as make `n_trials` trials, as a user does."""
    text, n_found = re.subn(
        r"^seeds: \d+$", f"seeds: {n_trials // N_SETTINGS}", STUDY.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    if n_found != 1:
        raise SystemExit(f"{STUDY} should have one line `seeds: <number>`; it has {n_found}")
    (folder / STUDY.name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "ablate", "run", STUDY.name, "--workers", "2"]
    start, end, output = _run(command, folder)
    if "verdict" not in output:
        raise SystemExit(f"ablate printed no table:\n{output}")
    times = _recorded(folder / "runs" / "mlflow.db")
    if len(times) != n_trials:
        raise SystemExit(f"{len(times)} runs are FINISHED where {n_trials} were planned")
    first, last = min(t[0] for t in times), max(t[1] for t in times)
    return Measured("ablate", n_trials, end - start, first - start, end - last, fmean(b - a for a, b in times))


def bare_side(n_trials: int, folder: Path) -> Measured:
    """Run the loop without any tool."""
    start, end, output = _run([sys.executable, str(HERE / "bare_loop.py"), str(n_trials)], folder)
    times = json.loads(output.splitlines()[-1])
    before, after = times["first_step"] - start, end - times["last_step"]
    return Measured("bare", n_trials, end - start, before, after, times["trial_seconds"])


def _run(command: list[str], folder: Path) -> tuple[float, float, str]:
    """Run a command to its end; return when it started and ended, in seconds since 1970, and what it printed."""
    environment = {**os.environ, "PYTHONUTF8": "1"}
    start = time.time()
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, encoding="utf-8", check=True)
    return start, time.time(), done.stdout


def _recorded(database: Path) -> list[tuple[float, float]]:
    """Return when each trial began and ended, from the records of a run that is over."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient  # noqa: PLC0415  # after its telemetry is switched off

    client = MlflowClient(tracking_uri=f"sqlite:///{database.as_posix()}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(
        experiments, "tags.`ablate.kind` = 'trial' and attributes.status = 'FINISHED'", max_results=5000
    )
    return [(run.info.start_time / 1000, run.info.end_time / 1000) for run in runs]


def slope(calls: list[Measured], side: str) -> float:
    """Return the seconds that one more trial takes."""
    mine = [call for call in calls if call.side == side]
    return linear_regression([call.n_trials for call in mine], [call.wall for call in mine]).slope


def measure(sizes: list[int], repeats: int) -> list[list[Measured]]:
    """Let both sides take turns, who begins too; return the calls of each repeat."""
    sides = [ablate_side, bare_side]
    measured: list[list[Measured]] = []
    print("repeat  side    trials  wall s  to 1st step  from last step  overhead s  s/trial in a worker", flush=True)
    for repeat in range(repeats):
        measured.append([])
        for n_trials in sizes:
            for side in sides:
                with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                    call = side(n_trials, Path(folder))
                measured[-1].append(call)
                print(
                    f"{repeat + 1:6d}  {call.side:6s}  {n_trials:6d}  {call.wall:6.1f}  {call.before:11.2f}"
                    f"  {call.after:14.2f}  {call.overhead:10.2f}  {call.trial:20.3f}",
                    flush=True,
                )
            sides.reverse()
    return measured


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[25, 50, 100], help="multiples of 5")
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    if any(n < N_SETTINGS or n % N_SETTINGS for n in arguments.trials):
        parser.error(f"--trials: the study has {N_SETTINGS} settings: give multiples of {N_SETTINGS}")
    facts = machine.describe()
    machine.show(facts)
    repeats = measure(arguments.trials, arguments.repeats)
    calls = [call for repeat in repeats for call in repeat]
    figures: dict[str, object] = {
        f"overhead_{side}_seconds": round(median(call.overhead for call in calls if call.side == side), 2)
        for side in ("ablate", "bare")
    }
    print(
        f"\noverhead, the median of all calls: ablate {figures['overhead_ablate_seconds']} s "
        f"(at most {MOST_OVERHEAD_SECONDS} s), bare loop {figures['overhead_bare_seconds']} s"
    )
    if len(set(arguments.trials)) > 1:
        slopes = {side: slope(calls, side) for side in ("ablate", "bare")}
        ratio = slopes["ablate"] / slopes["bare"]
        each = [round(slope(repeat, "ablate") / slope(repeat, "bare"), 3) for repeat in repeats]
        figures |= {f"slope_{side}_seconds": round(value, 4) for side, value in slopes.items()}
        figures |= {"slope_ratio": round(ratio, 3), "slope_ratio_of_each_repeat": each}
        print(
            f"slope: ablate {slopes['ablate']:.3f} s a trial, bare loop {slopes['bare']:.3f} s: "
            f"ratio {ratio:.3f} (at most {MOST_SLOPE_RATIO}; repeats: {', '.join(map(str, each))})"
        )
    print(json.dumps({**facts, **figures, "calls": [call._asdict() for call in calls]}))


if __name__ == "__main__":
    main()
