"""`ablate run studies/attention.yml` on two workers against `bare_loop.py`, the same trials written by hand.

python benchmarks/attention.py

Both sides are whole processes in fresh temporary folders, imports counted, and take turns, because machines drift. Two
figures:

overhead: from the start of the process to the first training step, plus from the end of the last one until the table
    is printed and the process has ended. The bare loop notes both moments. For ablate they come from the MLflow
    records: the earliest `start_time`, and the latest `end_time` (when the worker is done, after the last evaluation).
    A trial starts when a worker takes it up, before torch imports what the first optimizer of a process needs (about
    1.6 s) and while the parent still imports beside it; so what the first trial takes longer than the median of its
    setting's other trials counts as overhead too ("first trial's excess"; 0 where there are no others, --trials 5).
slope: the least-squares slope of the wall time over the number of trials, ablate's over the bare loop's.
"""

import argparse
import json
import tempfile
from pathlib import Path
from statistics import fmean, linear_regression, median
from typing import NamedTuple

import machine
import sides

N_SETTINGS, EPOCHS = 5, 20
MOST_OVERHEAD_SECONDS, MOST_SLOPE_RATIO = 8.0, 1.02


class Measured(NamedTuple):
    """One call of one side; times in seconds.

    `excess` is what the first trial took longer than others of its setting; `trial` is the mean time that a worker
    spends on a trial.
    """

    side: str
    n_trials: int
    wall: float
    before: float
    excess: float
    after: float
    trial: float

    @property
    def overhead(self) -> float:
        """What is no training: before the first step and after the last."""
        return self.before + self.excess + self.after


def ablate_side(n_trials: int, folder: Path) -> Measured:
    """Run the study with as many seeds as make `n_trials` trials, as a user does."""
    call, trials = sides.run_ablate("attention", folder, seeds=n_trials // N_SETTINGS, n_trials=n_trials, epochs=EPOCHS)
    if "verdict" not in call.output:
        raise SystemExit(f"ablate printed no table:\n{call.output}")
    first, *others = trials
    alike = [trial.seconds for trial in others if trial.setting == first.setting]
    excess = max(0.0, first.seconds - median(alike)) if alike else 0.0
    before, after = first.began - call.start, call.end - max(trial.ended for trial in trials)
    return Measured("ablate", n_trials, call.wall, before, excess, after, fmean(trial.seconds for trial in trials))


def bare_side(n_trials: int, folder: Path) -> Measured:
    """Run the loop without any tool."""
    call = sides.run([str(sides.HERE / "bare_loop.py"), "attention", str(n_trials)], folder)
    times = json.loads(call.output.splitlines()[-1])
    before, after = times["first_step"] - call.start, call.end - times["last_step"]
    return Measured("bare", n_trials, call.wall, before, 0.0, after, times["trial_seconds"])


def slope(calls: list[Measured], side: str) -> float:
    """Return the seconds that one more trial takes."""
    mine = [call for call in calls if call.side == side]
    return linear_regression([call.n_trials for call in mine], [call.wall for call in mine]).slope


def measure(sizes: list[int], repeats: int) -> list[list[Measured]]:
    """Let both sides take turns, who begins too; return the calls of each repeat."""
    turns = [ablate_side, bare_side]
    measured: list[list[Measured]] = []
    print(
        "repeat  side    trials  wall s  to 1st step  1st trial's excess  from last step  overhead s  s/trial in a worker",
        flush=True,
    )
    for repeat in range(repeats):
        measured.append([])
        for n_trials in sizes:
            for side in turns:
                with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                    call = side(n_trials, Path(folder))
                measured[-1].append(call)
                print(
                    f"{repeat + 1:6d}  {call.side:6s}  {n_trials:6d}  {call.wall:6.1f}  {call.before:11.2f}"
                    f"  {call.excess:18.2f}  {call.after:14.2f}  {call.overhead:10.2f}  {call.trial:20.3f}",
                    flush=True,
                )
            turns.reverse()
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
