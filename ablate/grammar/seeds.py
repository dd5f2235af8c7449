"""The seeds of a study: a number of them, a list, or a rule that adds them one by one."""

from typing import Any, get_args, get_type_hints

from ablate.grammar.problems import Problems, hint, shown
from ablate.study import Adaptive
from blocks.catalogue import Option, unknown

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
    for key, value in given.items():
        if key not in ADAPTIVE:
            problems.add(f"seeds.{key}", unknown("key", key, ADAPTIVE))
        elif wrong := ADAPTIVE[key].check(value):
            problems.add(f"seeds.{key}", wrong + hint(value))
    if len(problems) > before:
        return UNUSABLE, None
    until = given.get("until", Adaptive.until)
    rule = Adaptive(given.get("from", Adaptive.first), until, given.get("max_runs"))
    last = given.get("to", max(MOST_UNTIL[until], rule.first + 1))
    _check(rule.first >= 2, "seeds.from", f"{rule.first} is out of range: noise takes 2 seeds to be seen", problems)
    _check(
        rule.first < last <= MOST, "seeds.to", f"{last} is out of range: from {rule.first + 1} to {MOST:,}", problems
    )
    return (tuple(range(last)), rule) if len(problems) == before else (UNUSABLE, None)


def _check(fits: bool, place: str, message: str, problems: Problems) -> None:  # noqa: FBT001  # a condition
    if not fits:
        problems.add(place, message)
