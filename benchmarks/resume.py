"""How long a study with 5,000 finished runs takes to start the first trial that is new.

python benchmarks/resume.py
python benchmarks/noop_trial.py --growth 5000 --keep DIR && python benchmarks/resume.py --runs DIR

The finished runs are made first, by `noop_trial.py` in a process of its own, or come from its `--keep`. Then the same
study with one more seed starts in a new process on a copy of the records; the clock runs from the start of that process
until the training function of a new trial is entered, which notes the time. In turns with it, on the same copy and in
a new process too: MLflow alone, its import and its paged search of all these runs.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from statistics import median

import machine
import noop_trial
import sides

MOST_SECONDS = 8.0

SEARCH = """\
import time
start = time.perf_counter()
from mlflow import MlflowClient
imported = time.perf_counter()
client = MlflowClient(tracking_uri="sqlite:///runs/mlflow.db")
opened = time.perf_counter()
experiments = [experiment.experiment_id for experiment in client.search_experiments()]
n, token = 0, None
while True:
    page = client.search_runs(experiments, "tags.`ablate.kind` = 'trial'", max_results=1000, page_token=token)
    n, token = n + len(page), page.token
    if not token:
        break
print(n, imported - start, opened - imported, time.perf_counter() - opened)
"""


def resume(folder: Path, n_trials: int) -> dict[str, float]:
    """Run the study with one more seed; return the seconds until a new trial starts, and of the whole call."""
    started = folder / "started"
    command = [noop_trial.__file__, "--side", "ablate", "--workers", "2"]
    command += ["--trials", str(n_trials + noop_trial.N_SETTINGS)]
    call = sides.run(command, folder, {noop_trial.STARTED: str(started)})
    n_run = sum(line.partition("/")[0].isdigit() for line in call.output.splitlines())
    if n_run > noop_trial.N_SETTINGS + 1:  # a line at the start, then one a trial
        raise SystemExit(f"the records were not used: {n_run} trials ran again\n{call.output[-2000:]}")
    return {"first trial": float(started.read_text(encoding="utf-8")) - call.start, "whole call": call.wall}


def search(folder: Path, n_trials: int) -> dict[str, float]:
    """Let MLflow alone find the runs; return the seconds of its import, of opening the store and of the search."""
    n, *seconds = sides.run(["-c", SEARCH], folder).output.split()
    if int(n) != n_trials:
        raise SystemExit(f"MLflow found {n} runs where there should be {n_trials}")
    names = ("MLflow's import", "MLflow opens the store", "MLflow's paged search")
    return dict(zip(names, map(float, seconds), strict=True))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=5000, help="finished ones; as many as --runs holds")
    parser.add_argument("--runs", type=Path, metavar="DIR", help="what `noop_trial.py --growth TRIALS --keep DIR` left")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.runs and not (arguments.runs / "runs" / "mlflow.db").is_file():
        parser.error(f"--runs: {arguments.runs} holds no runs/mlflow.db")
    facts = machine.describe()
    machine.show(facts)
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        made = arguments.runs or Path(temporary) / "made"
        if not arguments.runs:
            made.mkdir()
            print(f"makes {arguments.trials} finished runs", flush=True)
            noop_trial.watch("ablate", arguments.trials, 2, made)
        for repeat in range(arguments.repeats):
            folder = Path(temporary) / str(repeat)
            shutil.copytree(made, folder)
            for side in (search, resume):
                found = side(folder, arguments.trials)
                print(
                    f"{repeat + 1:3d}  {', '.join(f'{name} {value:.2f} s' for name, value in found.items())}",
                    flush=True,
                )
                for name, value in found.items():
                    seconds.setdefault(name, []).append(value)
            shutil.rmtree(folder, ignore_errors=True)
    figures = {name: round(median(values), 2) for name, values in seconds.items()}
    print()
    for name, value in figures.items():
        limit = f"  (at most {MOST_SECONDS:.0f})" if name == "first trial" else ""
        print(f"{name:22s} {value:6.2f} s{limit}")
    print(json.dumps({**facts, "finished runs": arguments.trials, "seconds": figures}))


if __name__ == "__main__":
    main()
