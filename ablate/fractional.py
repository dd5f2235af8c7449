"""Fractional designs: so many trials that tell most about every slot, seeds as blocks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ablate.errors import StudyError
from ablate.study import Choice, Setting, Slot, Study

Array = NDArray[np.float64]
Row = tuple[int, ...]  # the number of each slot's choice; what does not exist beside the others stays in the row

PLACE = "design.fractional.runs"
STARTS = 12  # coordinate exchange ends in a local optimum: the best of several is kept
RIDGE = 1e-6  # keeps the determinant of a start that determines nothing above zero


def fraction(study: Study) -> tuple[tuple[Setting, ...], dict[str, tuple[int, ...]]]:
    """Return the settings of a fractional design, the reference first, and for each label the seeds that it is run on.

    An orthogonal array where there is one with a column for every slot, and one for the seeds if there are several;
    else the design that is D-optimal for the effects of slots and seeds, by coordinate exchange (Meyer and Nachtsheim
    1995). The reference is always run on the first seed.

    Raises:
        StudyError: if there are too few trials for the effects of all slots, or more than there are combinations.
    """
    return _fraction(study.slots, study.seeds, study.design.runs, study)


@lru_cache(maxsize=32)
def _fraction(
    slots: tuple[Slot, ...], seeds: tuple[int, ...], n_runs: int, study: Study
) -> tuple[tuple[Setting, ...], dict[str, tuple[int, ...]]]:
    least = len(seeds) + sum(len(slot.choices) - 1 for slot in slots) + 1
    if n_runs < least:
        raise StudyError(
            [
                f"{PLACE}: {n_runs} trials on {len(seeds)} seeds leave no error for the effects of these slots: at least {least}"
            ]
        )
    most = _n_settings(study) * len(seeds)
    if n_runs > most:
        raise StudyError([f"{PLACE}: {n_runs} is out of range: all combinations on {len(seeds)} seeds are {most}"])
    found = _orthogonal(slots, len(seeds), n_runs) or _optimal(study, len(seeds), n_runs)
    settings: dict[Setting, list[int]] = {study.reference: []}
    for block, row in sorted(found, key=lambda run: run[0]):
        settings.setdefault(_setting(study, row), []).append(seeds[block])
    return tuple(settings), {setting.label: tuple(of) for setting, of in settings.items()}


def _setting(study: Study, row: Row) -> Setting:
    return study.complete({slot.name: _ordered(slot)[i] for slot, i in zip(study.slots, row, strict=True)})


def _ordered(slot: Slot) -> list[Choice]:
    """Return the choices, the reference first: the first row of an array is then the reference."""
    return [slot.reference, *(choice for choice in slot.choices if choice != slot.reference)]


def _n_settings(study: Study) -> int:
    """Count the combinations that exist, slot by slot: what matters of those above is whether a slot exists."""
    parents = {parent for slot in study.slots for parent, _ in slot.when}
    states: dict[tuple[tuple[str, str], ...], int] = {(): 1}
    for slot in study.slots:
        grown: dict[tuple[tuple[str, str], ...], int] = {}
        for known, n in states.items():
            labels = dict(known)
            exists = all(labels.get(parent) in allowed for parent, allowed in slot.when)
            for choice in slot.choices if exists else (None,):
                more = ((slot.name, choice.label),) if choice is not None and slot.name in parents else ()
                grown[known + more] = grown.get(known + more, 0) + n
        states = grown
    return sum(states.values())


# -- orthogonal arrays -------------------------------------------------------------------------------------------


def _orthogonal(slots: Sequence[Slot], n_blocks: int, n_runs: int) -> list[tuple[int, Row]] | None:
    """Return the seed and the choices of each run by an orthogonal array with so many rows; None if there is none."""
    if any(slot.when for slot in slots):
        return None
    levels = (
        [n_blocks, *(len(slot.choices) for slot in slots)] if n_blocks > 1 else [len(slot.choices) for slot in slots]
    )
    for array in _arrays(n_runs):
        if (columns := _columns(array, levels)) is not None and _is_orthogonal(columns):
            columns = (columns - columns[0]) % np.array(levels)  # the first row becomes the reference on the first seed
            rows = [tuple(int(x) for x in row) for row in columns]
            return [(row[0], row[1:]) if n_blocks > 1 else (0, row) for row in rows]
    return None


def _arrays(n_runs: int) -> Iterator[NDArray[np.int64]]:
    """Yield the arrays that are known with so many rows."""
    import pyDOE3  # noqa: PLC0415  # 0.7 s, which only a fractional design pays

    for name in pyDOE3.list_orthogonal_arrays():
        array = np.asarray(pyDOE3.get_orthogonal_array(name)).astype(np.int64)
        if len(array) == n_runs:
            yield array - array.min(axis=0)
    if n_runs % 4 == 0 and n_runs >= 4:
        try:
            yield (np.asarray(pyDOE3.pbdesign(n_runs - 1)) > 0).astype(np.int64)  # Plackett and Burman, two levels
        except (ValueError, AssertionError):  # none is known
            return


def _columns(array: NDArray[np.int64], levels: Sequence[int]) -> NDArray[np.int64] | None:
    """Return a column of the array for each factor, each with as many levels as that; None if it has not so many."""
    left = list(range(array.shape[1]))
    chosen = []
    for n in levels:
        fitting = [i for i in left if array[:, i].max() + 1 == n]
        if not fitting:
            return None
        chosen.append(fitting[0])
        left.remove(fitting[0])
    return array[:, chosen]


def _is_orthogonal(columns: NDArray[np.int64]) -> bool:
    """Tell whether in any two columns all combinations stand equally often."""
    for i in range(columns.shape[1]):
        for j in range(i):
            counts = np.zeros((columns[:, i].max() + 1, columns[:, j].max() + 1), dtype=int)
            np.add.at(counts, (columns[:, i], columns[:, j]), 1)
            if counts.min() != counts.max():
                return False
    return True


# -- D-optimal ---------------------------------------------------------------------------------------------------


@dataclass
class _Model:
    """The effects of seeds and slots; a slot that does not exist beside the others' choices has none."""

    slots: Sequence[Slot]
    n_blocks: int
    vectors: dict[tuple[Row, int], Array] = field(default_factory=dict)
    known: dict[Row, Row] = field(default_factory=dict)

    def existing(self, row: Row) -> Row:
        """Return the row with the reference in place of what does not exist: equal rows are one setting."""
        if row not in self.known:
            choices: dict[str, Choice] = {}
            kept = []
            for slot, level in zip(self.slots, row, strict=True):
                exists = slot.exists(choices)
                kept.append(level if exists else 0)
                if exists:
                    choices[slot.name] = _ordered(slot)[level]
            self.known[row] = tuple(kept)
        return self.known[row]

    def vector(self, row: Row, block: int) -> Array:
        """Return a run's values: which seed, and which choice of each slot beside the reference."""
        if (row, block) not in self.vectors:
            values = [block == other for other in range(self.n_blocks)]
            for slot, level in zip(self.slots, self.existing(row), strict=True):
                values += [level == other for other in range(1, len(slot.choices))]
            self.vectors[row, block] = np.array(values, dtype=float)
        return self.vectors[row, block]


def _optimal(study: Study, n_blocks: int, n_runs: int) -> list[tuple[int, Row]]:
    """Return the seed and the choices of each run by coordinate exchange."""
    blocks = [i * n_blocks // n_runs for i in range(n_runs)]
    rng = np.random.default_rng(0)
    model = _Model(study.slots, n_blocks)
    best = max((_exchanged(model, blocks, rng) for _ in range(STARTS)), key=lambda found: found[0])
    return list(zip(blocks, best[1], strict=True))


def _exchanged(model: _Model, blocks: Sequence[int], rng: np.random.Generator) -> tuple[float, list[Row]]:
    """Start from random settings, and change one slot of one run at a time as long as that tells more."""
    sizes = [len(slot.choices) for slot in model.slots]
    rows = _start(model, blocks, sizes, rng)
    x = np.array([model.vector(row, block) for row, block in zip(rows, blocks, strict=True)])
    information = x.T @ x + RIDGE * np.eye(x.shape[1])
    improved = True
    while improved:
        improved = False
        for i in range(1, len(rows)):  # the first is the reference
            without = information - np.outer(x[i], x[i])
            inverse = np.linalg.inv(without)
            taken = {row for k, row in enumerate(rows) if k != i and blocks[k] == blocks[i]}
            now = x[i] @ inverse @ x[i]
            for j, size in enumerate(sizes):
                for level in range(size):
                    row = model.existing((*rows[i][:j], level, *rows[i][j + 1 :]))
                    vector = model.vector(row, blocks[i])
                    gain = vector @ inverse @ vector  # det(A + vv') = det(A) (1 + v'A⁻¹v)
                    if gain > now * (1 + 1e-9) and row not in taken:
                        rows[i], x[i], now, improved = row, vector, gain, True
            information = without + np.outer(x[i], x[i])
    return float(np.linalg.slogdet(information)[1]), rows


def _start(model: _Model, blocks: Sequence[int], sizes: Sequence[int], rng: np.random.Generator) -> list[Row]:
    """Return random settings, the reference first, none twice on one seed."""
    rows: list[Row] = [(0,) * len(sizes)]
    seen = {(blocks[0], rows[0])}
    while len(rows) < len(blocks):
        row = model.existing(tuple(int(rng.integers(size)) for size in sizes))
        if (key := (blocks[len(rows)], row)) not in seen:
            seen.add(key)
            rows.append(row)
    return rows
