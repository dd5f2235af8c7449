"""The error of this package, and the words for a name that does not exist."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class ResultsError(ValueError):
    """The results given do not allow what was asked; the message says where and why."""


def unknown(what: str, given: str, known: Iterable[str]) -> str:
    """Say that `given` is not among `known`, with the nearest match."""
    names = sorted({str(name) for name in known})
    matches = get_close_matches(given, names, n=1)
    hint = f"; did you mean {matches[0]!r}?" if matches else ""
    return f"unknown {what} {given!r}{hint} (known: {', '.join(names) or 'none'})"
