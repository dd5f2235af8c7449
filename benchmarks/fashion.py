"""`ablate run studies/fashion.yml` on two workers, `bare_loop.py` and `script.py`: one whole study, three ways.

ABLATE_DATA=... python benchmarks/fashion.py

First the gain by cause: `script.py`, a script as people write it, then one better choice more at a time, in the order
of STAGES; a factor belongs to this order, not to the choice alone. Each stage trains one seed of each setting for
`--stage-epochs`; its figure is the mean time of a trial, over two where two processes share the trials; imports,
reading the data and the start of processes and of MLflow's store are not in it. The repeats go through the stages
forwards and backwards in turn.

Then the whole study once: `ablate run`, and the bare loop over the same trials, each a whole process in a fresh folder,
imports counted. The script trains one seed of each setting only; the time of its trials is multiplied by the number of
seeds, its imports count once.
"""

import argparse
import json
import os
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median

import machine
import sides
from bare_loop import WORK

N_SETTINGS, EPOCHS = len(WORK["fashion"].settings), WORK["fashion"].epochs
MOST_BARE_RATIO, LEAST_GAIN = 1.03, 1.5

# What glibc is told in the workers of ablate: to keep memory that a batch has used for the next one.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}

# What people write, and one more choice of `script.py` at each further stage; `memory` is its environment.
STAGES = {
    "script as people write it": "",
    "DataLoader → arrays, a batch augmented at once": "arrays",
    "a call per metric → one batch a run": "one-batch",
    "contiguous → channels last": "channels-last",
    "one process, default threads → two of one thread": "two-processes",
    "plain → fused optimizer": "fused",
    "memory given back → kept by glibc": "memory",
}


def script(n_trials: int, epochs: int, choices: list[str]) -> tuple[sides.Call, float]:
    """Run the script with some choices; return the call and the seconds of a trial."""
    command = [str(sides.HERE / "script.py"), str(n_trials), str(epochs)]
    command += [choice for choice in choices if choice not in ("", "memory")]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        call = sides.run(command, Path(folder), MEMORY if "memory" in choices else {})
    return call, float(json.loads(call.output.splitlines()[-1])["trial_seconds"])


def ablate(n_trials: int, epochs: int) -> tuple[sides.Call, float]:
    """Run the study; return the call and the seconds of a trial, over two workers."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        call, trials = sides.run_ablate(
            "fashion", Path(folder), seeds=n_trials // N_SETTINGS, n_trials=n_trials, epochs=epochs
        )
    print(call.output[call.output.index("\nfashion:") :], flush=True)  # the table, beside what it cost
    return call, fmean(trial.seconds for trial in trials) / 2


def bare(n_trials: int, epochs: int) -> tuple[sides.Call, float]:
    """Run the loop without any tool; return as for the study."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        call = sides.run([str(sides.HERE / "bare_loop.py"), "fashion", str(n_trials), str(epochs)], Path(folder))
    return call, float(json.loads(call.output.splitlines()[-1])["trial_seconds"]) / 2


def stages(epochs: int, repeats: int) -> list[float]:
    """Return the seconds of a trial at each stage, the median of the repeats; print each as it comes."""
    added = list(STAGES.values())
    measured: list[list[float]] = [[] for _ in added]
    order = list(range(len(added)))
    print("repeat  s/trial  stage", flush=True)
    for repeat in range(repeats):
        for i in order:
            _, seconds = script(N_SETTINGS, epochs, added[: i + 1])
            measured[i].append(seconds)
            print(f"{repeat + 1:6d}  {seconds:7.2f}  {list(STAGES)[i]}", flush=True)
        order.reverse()
    return [median(values) for values in measured]


def whole(n_trials: int, epochs: int) -> dict[str, dict[str, float]]:
    """Run the study in each of the three ways; return and print the wall seconds and the seconds of a trial."""
    figures: dict[str, dict[str, float]] = {}
    print("\nside     wall s  s/trial", flush=True)
    for side, measure in (("ablate", ablate), ("bare", bare)):
        call, seconds = measure(n_trials, epochs)
        figures[side] = {"wall": round(call.wall, 1), "trial": round(seconds, 2)}
        print(f"{side:7s}  {call.wall:6.1f}  {seconds:7.2f}", flush=True)
    call, seconds = script(N_SETTINGS, epochs, [])
    wall = call.wall + seconds * (n_trials - N_SETTINGS)
    figures["script"] = {"wall": round(wall, 1), "trial": round(seconds, 2)}
    print(f"script   {wall:6.1f}  {seconds:7.2f}  ({call.wall:.1f} s for {N_SETTINGS} trials, scaled up to {n_trials})")
    return figures


def table(seconds: dict[str, float]) -> None:
    """Print the seconds of a trial at each stage, the factor of each over the one before, and over the script."""
    first = next(iter(seconds.values()))
    print(f"\ns/trial  factor  in all  stage\n{first:7.2f}                  {next(iter(seconds))}")
    for (_, before), (label, value) in pairwise(seconds.items()):
        print(f"{value:7.2f}  {before / value:6.2f}  {first / value:6.2f}  {label}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=5 * N_SETTINGS, help=f"of the study: a multiple of {N_SETTINGS}")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of the study")
    parser.add_argument("--stage-epochs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=1, help="of the stages")
    arguments = parser.parse_args()
    if arguments.trials < N_SETTINGS or arguments.trials % N_SETTINGS:
        parser.error(f"--trials: the study has {N_SETTINGS} settings: give a multiple of {N_SETTINGS}")
    data = Path(os.environ.get("ABLATE_DATA", "")).resolve()
    os.environ["ABLATE_DATA"] = str(data)  # the sides run in other folders
    if not (data / "fashion_mnist").is_dir():
        parser.error("set ABLATE_DATA to a folder that holds fashion_mnist/ with the four published files")
    facts = machine.describe()
    machine.show(facts)
    steps = stages(arguments.stage_epochs, arguments.repeats)
    figures = whole(arguments.trials, arguments.epochs)
    share = arguments.stage_epochs / arguments.epochs
    ours = f"ablate run, the whole study × {arguments.stage_epochs}/{arguments.epochs} epochs"
    by_cause = {**dict(zip(STAGES, steps, strict=True)), ours: share * figures["ablate"]["trial"]}
    table(by_cause)
    ratio = figures["ablate"]["wall"] / figures["bare"]["wall"]
    gain = figures["script"]["wall"] / figures["ablate"]["wall"]
    print(f"\nablate over the bare loop: {ratio:.3f} (at most {MOST_BARE_RATIO})")
    print(f"script over ablate: {gain:.2f} times faster (at least {LEAST_GAIN})")
    rounded = {label: round(seconds, 2) for label, seconds in by_cause.items()}
    ratios = {"bare_ratio": round(ratio, 3), "gain": round(gain, 2)}
    print(json.dumps({**facts, "whole": figures, "stages": rounded, **ratios}))


if __name__ == "__main__":
    main()
