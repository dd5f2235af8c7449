"""The seeds of a study: a number of them, a list, or a rule that adds them one by one."""

from typing import Any, get_args, get_type_hints

from ablate.grammar.choices import fitting, ranged
from ablate.grammar.problems import Problems, shown
from ablate.study import Adaptive
from blocks.catalogue import Option

MOST = 10_000
LARGEST = 2**32 - 1  # what NumPy takes, whichever generator a training function of the user's own may seed
UNUSABLE = (0,)
ADAPTIVE = {
    "from": Option("from", ("int",)),
    "to": Option("to", ("int",)),
    "until": Option("until", ("str",), get_args(get_type_hints(Adaptive)["until"])),
    "max_runs": Option("max_runs", ("int",)),
}
# The most seeds where the file does not say: what was best in simulation.
MOST_UNTIL = {"decided": 7, "best": 5}


def read_seeds(given: int | list[int] | dict[str, Any], problems: Problems) -> tuple[tuple[int, ...], Adaptive | None]:
    """Read the seeds, and the rule that adds them if there is one; 5 means 0 to 4."""
    before = len(problems)
    if isinstance(given, dict):
        return _read_adaptive(given, problems)
    if isinstance(given, int):
        if not 1 <= given <= MOST:
            problems.add("seeds", f"{given} is out of range: from 1 to {MOST:,}")
    else:
        if not given:
            problems.add("seeds", "the list is empty")
        for i, seed in enumerate(given):
            if not 0 <= seed <= LARGEST:
                problems.add(f"seeds[{i}]", f"{seed} is out of range: from 0 to {LARGEST}")
            elif seed in given[:i]:
                problems.add(f"seeds[{i}]", f"{seed} stands twice in {shown(given)}")
    if len(problems) > before:
        return UNUSABLE, None
    return tuple(range(given)) if isinstance(given, int) else tuple(given), None


def _read_adaptive(given: dict[str, Any], problems: Problems) -> tuple[tuple[int, ...], Adaptive | None]:
    before = len(problems)
    found = fitting("seeds", given, ADAPTIVE, problems)
    until = found.get("until", Adaptive.until)
    first = ranged("seeds.from", found.get("from", Adaptive.first), 2, MOST - 1, problems)  # one seed shows no noise
    last = ranged("seeds.to", found.get("to", max(MOST_UNTIL[until], first + 1)), first + 1, MOST, problems)
    if len(problems) > before:
        return UNUSABLE, None
    return tuple(range(last)), Adaptive(first, until, found.get("max_runs"))
