"""How long `ablate report` takes on a study with 5,000 finished runs, and how much memory.

python benchmarks/report.py
python benchmarks/report.py --keep DIR     # leaves the records in a new folder; --runs DIR takes them from there

The study is a factorial of four slots, 5 × 5 × 4 × 2 = 200 settings on 25 seeds: as many settings as people cross when
they ask what slots do to each other, and as many seeds as they can pay at most; many settings make the tables long and
many runs the reading. Its records are written first, one run after the other, by the code that writes them for `ablate
run`: ten epochs of four scores, costs, params and tags, all real but the scores, which are drawn: an effect for each choice,
one for each pair of them, a difference between seeds and noise.

Measured are whole processes, from start to end, and the most that each ever held, in turns: `ablate report --table`,
`ablate report` with its page, and MLflow alone, its import and its paged search of the same runs into a data frame.
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
from typing import NamedTuple

import machine
import numpy as np

SEEDS, EPOCHS, STARTED = 25, 10, 1_700_000_000.0
N_RUNS = 200 * SEEDS
MOST = {"ablate report --table": 6.0, "ablate report": 12.0}
MOST_MB = 700.0
STUDY = f"""\
question: What do attention, normalization, kernel and label smoothing do together?
network: {{resnet: {{depth: 8, width: 16}}}}
data: {{digits: {{train: 300}}}}
slots:
  attention: [none, se, eca, cbam, coordinate]
  norm: [batch, {{group: {{groups: [2, 4, 8]}}}}, instance]
  kernel: [1, 3, 5, 7]
  recipe.label_smoothing: [0.0, 0.1]
reference: {{attention: none, kernel: 3}}
design: factorial
seeds: {SEEDS}
recipe: {{epochs: {EPOCHS}}}
metric: accuracy
"""
SEARCH = """\
import time
start = time.perf_counter()
import mlflow
imported = time.perf_counter()
mlflow.set_tracking_uri("sqlite:///runs/mlflow.db")
client = mlflow.MlflowClient()
numbers = [experiment.experiment_id for experiment in client.search_experiments()]
opened = time.perf_counter()
frame = mlflow.search_runs(numbers, "tags.`ablate.kind` = 'trial'", max_results=50_000)
print(len(frame), imported - start, opened - imported, time.perf_counter() - opened)
"""


def write() -> None:
    """Write the study and its records in the current folder."""
    from ablate import design  # noqa: PLC0415  # only this process may load it: it sets MLflow's environment
    from ablate.config import read_study  # noqa: PLC0415
    from ablate.place import Place  # noqa: PLC0415
    from ablate.study import Cost, Run, RunState, Trial  # noqa: PLC0415
    from ablate.tracking import Records  # noqa: PLC0415

    path = Path("crossed.yml")
    path.write_text(STUDY, encoding="utf-8")
    study = read_study(str(path))
    plan = design.plan(study)
    parts = tuple((name, f"{i:08x}") for i, name in enumerate(["network", "recipe", "data", "task", "training"]))
    trials = [
        Trial(setting, seed, f"{i:06d}{seed:026d}", parts=parts)
        for seed in study.seeds
        for i, setting in enumerate(plan.settings)
    ]
    records = Records(Place(Path("runs")), study.name)
    records.begin(study, "a machine")
    records.planned(study, plan, trials)
    start = time.perf_counter()
    for number, (trial, curves) in enumerate(zip(trials, drawn([t.setting.choices for t in trials]), strict=True)):
        began = STARTED + 2.0 * number
        cost = Cost(70_000 + len(trial.setting.label), 760_000 + len(trial.setting.label), 0.3)
        run = Run(
            trial, RunState.COMPLETE, curves, started=began, ended=began + 1.5, seconds=1.5,
            attempt=f"{number:032x}", cost=cost,
        )  # fmt: skip
        records.write(records.entry(run, study), first=True)
    records.end()
    print(f"{len(trials)} runs written in {time.perf_counter() - start:.0f} s")


def drawn(settings: list[tuple[tuple[str, object], ...]]) -> Iterator[dict[str, list[float]]]:
    """Yield the curves of trials, seed by seed as they are listed: effects of choices and of pairs, seed, and noise."""
    rng = np.random.default_rng(0)
    single: dict[object, float] = {}
    double: dict[object, float] = {}
    n_settings = len(settings) // SEEDS
    for number, choices in enumerate(settings):
        if number % n_settings == 0:
            seed = rng.normal(0, 0.01)
        names = [(slot, str(choice)) for slot, choice in choices]
        effect = sum(single.setdefault(name, rng.normal(0, 0.01)) for name in names)
        pairs = [(a, b) for a in names for b in names if a < b]
        effect += sum(double.setdefault(pair, rng.normal(0, 0.003)) for pair in pairs)
        last = 0.85 + effect + seed + rng.normal(0, 0.01)
        rise = 1 - np.exp(-0.5 * np.arange(1, EPOCHS + 1)) + rng.normal(0, 0.003, EPOCHS)
        accuracy = np.clip(last * rise / rise[-1], 0, 1)
        yield {
            "accuracy": accuracy.tolist(), "balanced-accuracy": (0.99 * accuracy).tolist(),
            "loss": (2.3 * (1 - accuracy)).tolist(), "train-loss": (2.1 * (1 - accuracy)).tolist(),
        }  # fmt: skip


class Process(NamedTuple):
    """A process that has ended: how long it took, by the clock and of processors, the most memory that it held, in MB.

    Where others keep the processors busy, the two times are far apart, and neither is what an idle machine takes.
    """

    seconds: float
    processor_seconds: float
    megabytes: float
    output: str


def measured(command: list[str], folder: Path) -> Process:
    """Run a Python program in a folder, to its end.

    Raises:
        SystemExit: if it fails.
    """
    quiet = {"PYTHONUTF8": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_LOGGING_LEVEL": "WARNING"}
    log = folder / "output.txt"
    with log.open("w", encoding="utf-8") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command], cwd=folder, env={**os.environ, **quiet}, stdout=output, stderr=output
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}\n{log.read_text(encoding='utf-8')[-3000:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    text = log.read_text(encoding="utf-8")
    return Process(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * unit / 1e6, text)


def compare(folder: Path, repeats: int) -> tuple[dict[str, float], dict[str, float]]:
    """Let the sides take turns; print each call and return the medians, of seconds and of megabytes."""
    sides = {
        "ablate report --table": ["-m", "ablate", "report", "crossed", "--table"],
        "ablate report": ["-m", "ablate", "report", "crossed"],
        "MLflow alone": ["-c", SEARCH],
    }
    seconds: dict[str, list[float]] = {}
    megabytes: dict[str, list[float]] = {}
    for repeat in range(repeats):
        for name, command in sides.items():
            took, busy, held, output = measured(command, folder)
            seconds.setdefault(name, []).append(took)
            megabytes.setdefault(name, []).append(held)
            print(
                f"{repeat + 1:3d}  {name:22s} {took:6.2f} s {held:6.0f} MB (processors busy {busy:.2f} s)", flush=True
            )
            if name != "MLflow alone":
                continue
            n, *parts = output.split()
            if int(n) != N_RUNS:
                raise SystemExit(f"MLflow found {n} runs where there should be {N_RUNS}")
            for part, value in zip(("its import", "opens the store", "its paged search"), parts, strict=True):
                seconds.setdefault(f"MLflow: {part}", []).append(float(value))
    return medians(seconds), medians(megabytes)


def medians(values: dict[str, list[float]]) -> dict[str, float]:
    """Return the median of each, to a hundredth."""
    return {name: round(median(each), 2) for name, each in values.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--runs", type=Path, metavar="DIR", help="take the records that --keep left")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="a new folder where the records stay")
    parser.add_argument("--write", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write()
        return
    facts = machine.describe()
    machine.show(facts)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = arguments.runs or arguments.keep or Path(temporary)
        if not arguments.runs:
            folder.mkdir(parents=True, exist_ok=folder == Path(temporary))
            print(measured([str(Path(__file__).resolve()), "--write"], folder).output.splitlines()[-1], flush=True)
        seconds, megabytes = compare(folder, arguments.repeats)
    print()
    for name, value in seconds.items():
        limit = f"  (at most {MOST[name]:.0f} s, {MOST_MB:.0f} MB)" if name in MOST else ""
        held = f" {megabytes[name]:6.0f} MB" if name in megabytes else ""
        print(f"{name:24s} {value:6.2f} s{held}{limit}")
    print(json.dumps({**facts, "runs": N_RUNS, "seconds": seconds, "megabytes": megabytes}))


if __name__ == "__main__":
    main()
