"""What the catalogue raises, and how it names what it does not know."""

import difflib
from collections.abc import Iterable

MOST_LISTED = 20


class CatalogueError(Exception):
    """A name is not in the catalogue, or a source file cannot be read into it."""


def unknown(what: str, given: object, known: Iterable[str]) -> str:
    """Return the sentence for a name that is not known, with the nearest one that is."""
    names = list(known)
    hint = nearest(given, names)
    listed = ", ".join([*names[:MOST_LISTED], *(["..."] if len(names) > MOST_LISTED else [])])
    return f"unknown {what}: {given!r}{hint} ({f'known: {listed}' if names else 'there are none'})"


def nearest(given: object, names: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the most similar name, "" if none is similar."""
    by_folded = {name.casefold(): name for name in names}
    found = difflib.get_close_matches(str(given).casefold(), by_folded, n=1)
    return f"; did you mean {by_folded[found[0]]!r}?" if found else ""
