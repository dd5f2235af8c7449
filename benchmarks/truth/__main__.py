"""Whether the numbers that people publish with `ablate` keep their word: studies with a known truth, many times.

python benchmarks/truth                            # everything
python benchmarks/truth --only power adaptive      # some rows
python benchmarks/truth --studies 50               # a glance: so many studies in place of the full number

Every row runs the real code of `reports`, or the whole of `ablate`, and prints its figures with their Monte Carlo error
as rows of the table in this folder's README. The same numbers come out whatever the number of workers.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

import machine  # noqa: E402  # it lies beside this folder

from truth.simulation import Crowd  # noqa: E402  # likewise

ROWS = {
    "false-verdicts": "comparisons.false_verdicts",
    "coverage": "comparisons.coverage",
    "power": "comparisons.power",
    "equivalence": "comparisons.equivalence",
    "calibration": "comparisons.calibration",
    "slots": "slots.slots",
    "adaptive": "adaptive.verdicts",
    "race": "adaptive.race",
    "planted": "planted.planted",
    "pairing": "pairing.pairing",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--only", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW", help=", ".join(ROWS)
    )
    parser.add_argument("--studies", type=int, help="so many in place of the full number")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; 0 for this one alone")
    arguments = parser.parse_args()
    facts = machine.describe()
    machine.show(facts)
    print("| what | asked | measured | studies | reached |\n|---|---|---|---|---|", flush=True)
    figures, seconds = [], {}
    with Crowd(arguments.workers, studies=arguments.studies) as crowd:
        for name in arguments.only:
            start = time.perf_counter()
            module, row = ROWS[name].split(".")
            for figure in getattr(import_module(f"truth.{module}"), row)(crowd):
                figures.append(figure)
                print(f"| {' | '.join(figure.cells)} |", flush=True)
            seconds[name] = round(time.perf_counter() - start, 1)
    print()
    for name, took in seconds.items():
        print(f"{name:16s} {took:7.1f} s")
    print(json.dumps({**facts, "seconds": seconds, "figures": [asdict(figure) for figure in figures]}))


if __name__ == "__main__":
    main()
