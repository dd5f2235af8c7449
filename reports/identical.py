"""Settings whose scores are equal to the last bit: more often a swap that never reached the network than chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.frame import score_columns

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pandas as pd

    Curve = dict[int, tuple[float, ...]]  # seed → its scores, NaN where there is none


def identical(
    frame: pd.DataFrame, *, settings: Sequence[str], apart: Collection[tuple[str, str]] = ()
) -> list[tuple[str, ...]]:
    """Return groups of settings of which any two agree in every score on all seeds that they share, two at least.

    Scores that one of them lacks do not count. The pairs `apart` are never called identical.
    """
    curves = _curves(frame)
    groups: list[list[str]] = []
    for label in (label for label in settings if label in curves):
        for group in groups:
            known = any({label, other} in map(set, apart) for other in group)
            if not known and all(_agree(curves[label], curves[other]) for other in group):
                group.append(label)
                break
        else:
            groups.append([label])
    return [tuple(group) for group in groups if len(group) > 1]


def _curves(frame: pd.DataFrame) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    names = score_columns(frame)
    columns = (frame[name].tolist() for name in ("setting", "seed", "state", *names))
    for setting, seed, state, *scores in zip(*columns, strict=True):
        if state == "complete":
            curves.setdefault(setting, {})[int(seed)] = tuple(map(float, scores))
    return curves


def _agree(one: Curve, other: Curve) -> bool:
    n = 0
    for seed, scores in one.items():
        if seed in other:
            n += 1
            # NaN, a score that one of them lacks, equals nothing, itself included.
            if any(a != b and a == a and b == b for a, b in zip(scores, other[seed], strict=True)):  # noqa: PLR0124
                return False
    return n >= 2
