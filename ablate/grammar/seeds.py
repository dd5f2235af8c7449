"""The seeds of a study: a number of them, or a list."""

from typing import Any

from ablate.grammar.problems import Problems, shown

MOST = 10_000
LARGEST = 2**32 - 1  # what NumPy takes, whichever generator a training function of the user's own may seed


def read_seeds(given: int | list[int] | dict[str, Any], problems: Problems) -> tuple[int, ...]:
    """Read the seeds; 5 means 0 to 4."""
    before = len(problems)
    if isinstance(given, dict):
        problems.add("seeds", "adaptive seeds are not in this version; give a number or a list")
    elif isinstance(given, int):
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
    if len(problems) > before or isinstance(given, dict):
        return (0,)
    return tuple(range(given)) if isinstance(given, int) else tuple(given)
