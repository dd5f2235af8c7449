"""Fractional designs: so many trials that tell most about every slot, seeds as blocks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ablate.errors import StudyError
from ablate.study import Choice, Setting, Slot, Study

Array = NDArray[np.float64]
Levels = NDArray[np.int64]
Row = tuple[int, ...]  # the number of each slot's choice, 0 for the reference and for a slot that does not exist
Run = tuple[int, Row]  # the number of the seed, and the row

PLACE = "design.fractional.runs"
STARTS = 12  # an exchange ends in a local optimum: the best of several is kept
MOST_EXCHANGED = 1200  # rows in all starts together: a large design has few poor optima, and takes long
LARGEST_ARRAY = 100  # rows; choosing columns of larger ones takes seconds
RIDGE = 1e-6  # keeps the determinant of a start that determines nothing above zero


@dataclass(frozen=True)
class _Shape:
    """What of the slots decides a design.

    Attributes:
        sizes: how many choices each slot has.
        when: for each slot its parents, and the numbers of their choices beside which it exists.
    """

    sizes: tuple[int, ...]
    when: tuple[tuple[tuple[int, frozenset[int]], ...], ...]

    @property
    def n_effects(self) -> int:
        return sum(self.sizes) - len(self.sizes)

    def exists(self, slot: int, row: Sequence[int | None]) -> bool:
        """Tell whether a slot exists beside the choices of those before it; None stands for one that does not."""
        return all(row[parent] in allowed for parent, allowed in self.when[slot])

    def existing(self, row: Row) -> Row:
        """Return the row with the reference in place of what does not exist: equal rows are one setting."""
        kept: list[int | None] = []
        for slot, level in enumerate(row):
            kept.append(level if self.exists(slot, kept) else None)
        return tuple(level or 0 for level in kept)

    def changed(self, row: Row, slot: int, level: int) -> Row:
        """Return the row with another choice of a slot, and of those above where it would not exist else."""
        for parent, allowed in self.when[slot]:
            row = self.changed(row, parent, row[parent] if row[parent] in allowed else min(allowed))
        return (*row[:slot], level, *row[slot + 1 :])

    def count(self) -> int:
        """Count the combinations that exist, slot by slot: what matters of those above is what others depend on."""
        parents = {parent for conditions in self.when for parent, _ in conditions}
        states: dict[tuple[int | None, ...], int] = {(): 1}
        for slot, size in enumerate(self.sizes):
            grown: dict[tuple[int | None, ...], int] = {}
            for known, n in states.items():
                for level in range(size) if self.exists(slot, known) else (None,):
                    state = (*known, level if slot in parents else None)
                    grown[state] = grown.get(state, 0) + n
            states = grown
        return sum(states.values())


def fraction(study: Study) -> tuple[tuple[Setting, ...], dict[str, tuple[int, ...]]]:
    """Return the settings of a fractional design, the reference first, and for each label the seeds that it is run on.

    An orthogonal array where there is one with a column for every slot, and one for the seeds if there are several;
    else the design that is D-optimal for the effects of slots and seeds. No setting stands twice on one seed, and the
    reference stands on the first.

    Raises:
        StudyError: if there are too few trials for the effects of all slots, or more than there are combinations.
    """
    shape, n_blocks, n_runs = _shape(study.slots), len(study.seeds), study.design.runs
    on_seeds = f"on {n_blocks} seed{'s' if n_blocks > 1 else ''}"
    least = n_blocks + shape.n_effects + 1
    if n_runs < least:
        raise StudyError(
            [f"{PLACE}: {n_runs} trials {on_seeds} leave no error for the effects of these slots: at least {least}"]
        )
    most = shape.count() * n_blocks
    if n_runs > most:
        raise StudyError([f"{PLACE}: {n_runs} is out of range: all combinations {on_seeds} are {most}"])
    settings: dict[Setting, list[int]] = {study.reference: []}
    for block, row in _runs(shape, n_blocks, n_runs):
        chosen = {slot.name: _ordered(slot)[level] for slot, level in zip(study.slots, row, strict=True)}
        settings.setdefault(study.complete(chosen), []).append(study.seeds[block])
    return tuple(settings), {setting.label: tuple(seeds) for setting, seeds in settings.items()}


def _ordered(slot: Slot) -> list[Choice]:
    return [slot.reference, *(choice for choice in slot.choices if choice != slot.reference)]


def _shape(slots: Sequence[Slot]) -> _Shape:
    labels = {slot.name: [choice.label for choice in _ordered(slot)] for slot in slots}
    number = {slot.name: i for i, slot in enumerate(slots)}
    when = tuple(
        tuple((number[one], frozenset(labels[one].index(label) for label in allowed)) for one, allowed in slot.when)
        for slot in slots
    )
    return _Shape(tuple(len(slot.choices) for slot in slots), when)


@lru_cache(maxsize=32)
def _runs(shape: _Shape, n_blocks: int, n_runs: int) -> tuple[Run, ...]:
    """Return the trials of a design, the reference on the first seed first, seed by seed."""
    if n_runs == shape.count() * n_blocks:
        rows = dict.fromkeys(shape.existing(row) for row in product(*map(range, shape.sizes)))
        return tuple(product(range(n_blocks), rows))
    found = None if any(shape.when) else _orthogonal(shape.sizes, n_blocks, n_runs)
    return tuple(sorted(found or _optimal(shape, n_blocks, n_runs), key=lambda run: run[0]))


def _orthogonal(sizes: Sequence[int], n_blocks: int, n_runs: int) -> list[Run] | None:
    """Return the trials of an orthogonal array with so many rows, none of them twice; None if none is known."""
    levels = [n_blocks, *sizes]
    for array in _arrays(n_runs):
        columns = _chosen(array, levels)
        if columns is not None and _is_orthogonal(columns) and len(np.unique(columns, axis=0)) == n_runs:
            columns = (columns - columns[0]) % np.array(levels)  # the first row becomes the reference
            return [(block, tuple(row)) for block, *row in columns.tolist()]
    return None


def _arrays(n_runs: int) -> Iterator[Levels]:
    """Yield the arrays that are known with so many rows, (run, column), levels from 0."""
    import pyDOE3  # noqa: PLC0415  # 0.7 s, which only a fractional design pays

    if n_runs > LARGEST_ARRAY:
        return
    for name in pyDOE3.list_orthogonal_arrays():
        if name.startswith(f"L{n_runs}("):
            array = np.asarray(pyDOE3.get_orthogonal_array(name)).astype(np.int64)
            yield _split(array - array.min(axis=0))
    if n_runs % 4 == 0:
        try:
            yield (np.asarray(pyDOE3.pbdesign(n_runs - 1)) > 0).astype(np.int64)  # Plackett and Burman, two levels
        except AssertionError:  # none is known
            return


def _split(array: Levels) -> Levels:
    """Add to each column of 4 or 6 levels those of fewer that it is made of: balanced columns, too."""
    parts = [array]
    for column in array.T:
        n = int(column.max()) + 1
        parts += [part[:, None] for b in range(2, n) if n % b == 0 for part in (column // b, column % b)]
    return np.hstack(parts)


def _chosen(array: Levels, levels: Sequence[int]) -> Levels | None:
    """Return a column of the array for each number of levels, so that slots and their pairs look least alike.

    Columns are exchanged for minimum moment aberration (Xu 2003, Statistica Sinica 13). Count the places in which two
    rows agree, each as often as it has levels: the second moment of that is least where columns are orthogonal, the
    third where no effect looks like an interaction of two others, the fourth where no two interactions look alike. The
    first of the columns is that of the seeds, whose interactions are no matter: slots alone are looked at before all.
    A column of one level is added where one is asked for.
    """
    array = np.column_stack([array, *([np.zeros(len(array), dtype=np.int64)] * levels.count(1))])
    n_levels = array.max(axis=0) + 1
    fitting = [np.flatnonzero(n_levels == n) for n in levels]
    if any(len(columns) < levels.count(n) for n, columns in zip(levels, fitting, strict=True)):
        return None
    agree = array.T[:, :, None] == array.T[:, None, :]
    alike = (n_levels[:, None, None] * agree).astype(np.int32)  # (column, run, run)
    rng = np.random.default_rng(0)
    starts = max(1, min(4, 160 // len(array)))  # a large array takes long, and has few poor choices
    _, chosen = min(_aberration(alike, levels, fitting, rng) for _ in range(starts))
    return array[:, chosen]


def _aberration(
    alike: NDArray[np.int32], levels: Sequence[int], fitting: Sequence[Levels], rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Exchange one of random columns at a time as long as the moments fall; return these, and the columns."""
    shuffled = {n: rng.permutation(columns).tolist() for n, columns in zip(levels, fitting, strict=True)}
    chosen = [shuffled[n].pop() for n in levels]

    def moments(columns: list[int]) -> list[int]:
        seeds, slots = alike[columns[0]], alike[columns[1:]].sum(axis=0, dtype=np.int32)
        every, square = seeds + slots, slots * slots
        parts = (every * every, every == sum(levels), square * slots, every * every * every, square * square)
        return [int(part.sum()) for part in parts]

    best, improved = moments(chosen), True
    while improved:
        improved = False
        for k, columns in enumerate(fitting):
            for column in columns.tolist():
                other = [*chosen[:k], column, *chosen[k + 1 :]]
                if column not in chosen and (found := moments(other)) < best:
                    best, chosen, improved = found, other, True
    return best, chosen


def _is_orthogonal(columns: Levels) -> bool:
    """Tell whether in any two columns all combinations stand equally often."""
    indicators = [(column[:, None] == np.arange(column.max() + 1)).astype(int) for column in columns.T]
    return all(
        len(set((one.T @ other).ravel().tolist())) == 1 for i, one in enumerate(indicators) for other in indicators[:i]
    )


def _optimal(shape: _Shape, n_blocks: int, n_runs: int) -> list[Run]:
    """Return the trials of a D-optimal design by coordinate exchange (Meyer and Nachtsheim 1995, Technometrics 37)."""
    blocks = [i * n_blocks // n_runs for i in range(n_runs)]
    rng = np.random.default_rng(0)
    near = _Neighbours(shape)
    starts = max(1, min(STARTS, MOST_EXCHANGED // n_runs))
    _, rows = max((_exchanged(near, blocks, rng) for _ in range(starts)), key=lambda found: found[0])
    return list(zip(blocks, rows, strict=True))


class _Neighbours:
    """The settings that differ from one in the choice of one slot, and the values of each in the model.

    A slot that does not exist comes to exist with those above it: a change of these might not pay by itself. A choice
    other than the reference has a column, of ones where it stands: a slot that does not exist has zeros, so that its
    choices are compared where it exists.
    """

    def __init__(self, shape: _Shape) -> None:
        self.shape = shape
        self._known: dict[Row, tuple[list[Row], Array]] = {}

    def __call__(self, row: Row) -> tuple[list[Row], Array]:
        """Return the settings, and their values: (setting, effect)."""
        if row not in self._known:
            cells = [(slot, level) for slot, size in enumerate(self.shape.sizes) for level in range(size)]
            rows = list(dict.fromkeys(self.shape.existing(self.shape.changed(row, *cell)) for cell in cells))
            self._known[row] = rows, self.values(rows)
        return self._known[row]

    def values(self, rows: Sequence[Row]) -> Array:
        """Return the values of rows in the model: (row, effect)."""
        levels = np.array(rows)
        return np.hstack(
            [levels[:, [slot]] == np.arange(1, size) for slot, size in enumerate(self.shape.sizes)]
        ).astype(float)


def _exchanged(near: _Neighbours, blocks: Sequence[int], rng: np.random.Generator) -> tuple[float, list[Row]]:
    """Start from random settings, and change one slot of one run at a time as long as that tells more."""
    rows = _start(near.shape, blocks, rng)
    taken = set(zip(blocks, rows, strict=True))
    frame = np.eye(blocks[-1] + 1)
    x = np.hstack([frame[list(blocks)], near.values(rows)])
    information = x.T @ x + RIDGE * np.eye(x.shape[1])
    improved = True
    while improved:
        improved = False
        for i, block in enumerate(blocks[1:], start=1):  # the first is the reference
            others, values = near(rows[i])
            vectors = np.hstack([np.broadcast_to(frame[block], (len(others), len(frame))), values])
            without = information - np.outer(x[i], x[i])
            inverse = np.linalg.inv(without)
            gains = np.einsum("ij,ij->i", vectors @ inverse, vectors)  # det(A + vv') = det(A) (1 + v'A⁻¹v)
            least = gains[others.index(rows[i])] * (1 + 1e-9)
            better = [j for j in np.argsort(-gains, kind="stable") if gains[j] > least]
            best = next((j for j in better if (block, others[j]) not in taken), None)
            if best is not None:
                taken.remove((block, rows[i]))
                taken.add((block, others[best]))
                rows[i], x[i], improved = others[best], vectors[best], True
                information = without + np.outer(x[i], x[i])
    return float(np.linalg.slogdet(information)[1]), rows


def _start(shape: _Shape, blocks: Sequence[int], rng: np.random.Generator) -> list[Row]:
    """Return random settings, the reference first, none twice on one seed."""
    rows: list[Row] = [(0,) * len(shape.sizes)]
    seen = {(blocks[0], rows[0])}
    while len(rows) < len(blocks):
        for drawn in rng.integers(shape.sizes, size=(len(blocks), len(shape.sizes))).tolist():
            row = shape.existing(tuple(drawn))
            if len(rows) < len(blocks) and (key := (blocks[len(rows)], row)) not in seen:
                seen.add(key)
                rows.append(row)
    return rows
