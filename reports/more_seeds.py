"""How many more seeds it would take to settle what is inconclusive, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.formats import FEW, listed, quoted
from reports.language import tr
from reports.power import MOST_SEEDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.comparison import Comparison, Contrast
    from reports.formats import Metric


def unsettled(contrasts: Sequence[Contrast]) -> str:
    """Name what is inconclusive, with the seeds that it lacks in brackets."""
    if len(contrasts) > FEW:
        lacking, n = _range(contrasts), len(contrasts)
        return (
            tr("the other {n} settings ({seeds})", n=n, seeds=lacking) if lacking else tr("the other {n} settings", n=n)
        )
    named = zip(contrasts, _lacking(contrasts), strict=True)
    return listed(
        [tr("'{setting}' ({note})", setting=c.setting, note=n) if n else quoted([c.setting]) for c, n in named]
    )


def seeds_for(contrasts: Sequence[Contrast]) -> str:
    """Say how many more seeds a list of inconclusive contrasts would take."""
    lacking = [(c.setting, n) for c, n in zip(contrasts, _lacking(contrasts), strict=True) if n]
    if len(lacking) > FEW or len({c.more_seeds for c in contrasts}) == 1:
        return _range(contrasts)
    return listed([tr("{seeds} for '{setting}'", seeds=n, setting=setting) for setting, n in lacking])


def _lacking(contrasts: Sequence[Contrast]) -> list[str]:
    """Say of each how many more seeds it would take; empty if none, or if that is not known."""
    found: list[str] = []
    for one in contrasts:
        is_known = one.detectable is not None and one.more_seeds != 0
        found.append(_more(one.more_seeds, noun=not any(found)) if is_known else "")
    return found


def _range(contrasts: Sequence[Contrast]) -> str:
    counts = sorted(MOST_SEEDS + 1 if c.more_seeds is None else c.more_seeds for c in contrasts if c.detectable)
    if not counts or counts[-1] == 0:
        return ""
    low, high = (None if n > MOST_SEEDS else n for n in (counts[0], counts[-1]))
    if low == high:
        return _more(low, noun=True)
    if high is None:
        return tr("about {low} to more than {high} more seeds", low=low, high=f"{MOST_SEEDS:,}")
    return tr("about {low} to {high} more seeds", low=low, high=f"{high:,}")


def _more(n: int | None, *, noun: bool) -> str:
    """Return a number of further seeds, with or without the noun; None is more than can be foreseen."""
    more = tr("more than {n} more", n=f"{MOST_SEEDS:,}") if n is None else tr("about {n} more", n=f"{n:,}")
    if not noun:
        return more
    return tr("{more} seed", more=more) if n == 1 else tr("{more} seeds", more=more)


def sought(comparison: Comparison, contrasts: Sequence[Contrast], metric: Metric, decimals: int) -> str:
    """Return the effect that further seeds would find; empty if none are lacking."""
    if not any(_lacking(contrasts)):
        return ""
    if comparison.practical is None:
        return tr("as large as observed")
    return tr("of {size}", size=metric.size(comparison.practical, decimals))
