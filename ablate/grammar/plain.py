"""What YAML can hold and a study cannot: words that are no words, dates, sets, numbers that are no numbers."""

import math
from typing import Any

from ablate.grammar.problems import Problems, hint

DEEPEST = 20
LARGEST = 2**63 - 1


def plain(content: Any, problems: Problems, place: str = "", depth: int = 0) -> Any:
    """Return what a file holds without what no study can hold, of which each piece leaves a problem behind."""
    if depth > DEEPEST:
        problems.add(place[:60] + "...", f"nested more than {DEEPEST} deep")
        return None
    if isinstance(content, dict):
        kept = {}
        for key, value in content.items():
            where = f"{place}.{key}" if place else str(key)
            if not isinstance(key, str):
                problems.add(where, f"expected a word as key, not {key!r}{hint(key)}")
            elif wrong := _wrong(key):
                problems.add(place, wrong)
            elif wrong := _wrong(value):
                problems.add(where, wrong)
            else:
                kept[key] = plain(value, problems, where, depth + 1)
        return kept
    if isinstance(content, list):
        wrongs = [_wrong(item) for item in content]
        for i, wrong in enumerate(wrongs):
            if wrong:
                problems.add(f"{place}[{i}]", wrong)
        return [
            plain(item, problems, f"{place}[{i}]", depth + 1)
            for i, (item, wrong) in enumerate(zip(content, wrongs, strict=True))
            if not wrong
        ]
    return content


def _wrong(value: object) -> str:
    """Say what is wrong with a value whatever it is meant for; empty if nothing is."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return f"{value!r} holds half a character"
    elif isinstance(value, float):
        return "" if math.isfinite(value) else f"{value} is no number"
    elif isinstance(value, int):
        return "" if abs(value) <= LARGEST else "the number is too large"
    elif not isinstance(value, list | dict | None):
        return f"expected a word, a number, a list or keys, not {value!s:.60}{hint(value)}"
    return ""
