"""What a list of settings can tell apart: main effects, interactions, and which of them look like each other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np

from reports.errors import ResultsError, unknown
from reports.factors import independent_pairs, matrix, occurring
from reports.formats import FEW, few, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from reports.factors import Factor, Matrix, Pair, Term

    Array = NDArray[np.float64]

ZERO = 1e-8


@dataclass(frozen=True)
class Estimability:
    """What settings can tell apart.

    Attributes:
        main: for each slot that varies, whether its effect is determined where slots do not interact.
        pairs: for each two of them, whether their interaction is, beside the effects of all slots.
        biases: for each slot, the interactions that would look like an effect of it, averaged over the others.
        confused: for each pair, the interactions that could not be told from its own.
        at_reference: whether no setting differs from one of them in more than one slot: effects are those there.
        df: degrees of freedom that are left for the error.
        unit_variance: for each slot whose effect is determined, the variance of its least certain difference over the
            residual variance.
    """

    main: Mapping[str, bool]
    pairs: Mapping[Pair, bool]
    biases: Mapping[str, tuple[Pair, ...]]
    confused: Mapping[Pair, tuple[Pair, ...]]
    at_reference: bool
    df: int
    unit_variance: Mapping[str, float]


def estimability(
    factors: Sequence[Factor], rows: Sequence[Mapping[str, str]], *, blocks: Sequence[int] | None = None
) -> Estimability:
    """Say what a list of settings can tell apart.

    Args:
        factors: the slots, parents first.
        rows: the level of every slot that exists, a row each.
        blocks: the seed of each row, where not all settings are run on the same seeds.

    Raises:
        ResultsError: if there are no rows, or a level that its slot does not have.
    """
    _check(factors, rows, blocks)
    seen = [occurring(factor, rows) for factor in factors]
    varied = [factor for factor in seen if len(factor.levels) > 1]
    pairs = independent_pairs(seen)
    coded = matrix(seen, rows, pairs=pairs)
    frame = np.column_stack([np.ones(len(rows)), *_block_columns(blocks)])
    space = _Space(frame, coded)
    mains = [(factor.name,) for factor in varied]
    main = {term[0]: space.adds(term, [other for other in mains if other != term]) for term in mains}
    told = {pair: space.adds(pair, mains) for pair in pairs}
    return Estimability(
        main=main,
        pairs=told,
        biases=_biases(frame, {factor.name: _columns(factor, rows) for factor in varied}, pairs),
        confused=_confused(space, mains, [pair for pair, fits in told.items() if fits]),
        at_reference=_is_around_one(rows),
        df=len(rows) - space.rank(mains),
        unit_variance=_unit_variances(space, mains, [name for name, fits in main.items() if fits]),
    )


def _check(factors: Sequence[Factor], rows: Sequence[Mapping[str, str]], blocks: Sequence[int] | None) -> None:
    if not rows:
        raise ResultsError("there is no setting: nothing can be told apart")
    if blocks is not None and len(blocks) != len(rows):
        raise ResultsError(f"there are {len(rows)} rows and {len(blocks)} seeds for them")
    levels = {factor.name: factor.levels for factor in factors}
    for row in rows:
        for name, level in row.items():
            if name not in levels:
                raise ResultsError(unknown("slot", name, levels))
            if level not in levels[name]:
                raise ResultsError(unknown(f"level of {name!r}", level, levels[name]))


class _Space:
    """The columns of blocks, main effects and interactions, as few rows with the same inner products."""

    def __init__(self, frame: Array, coded: Matrix) -> None:
        columns = np.hstack([frame, coded.columns[:, 1:]])
        self.reduced = np.linalg.qr(columns).R
        self.terms: list[Term] = [*[()] * frame.shape[1], *coded.terms[1:]]

    def of(self, terms: Sequence[Term]) -> Array:
        """Return the columns of blocks and of some terms."""
        return self.reduced[:, [term == () or term in terms for term in self.terms]]

    def rank(self, terms: Sequence[Term]) -> int:
        """Return how many columns of blocks and of some terms are independent."""
        columns = self.of(terms)
        return int(np.linalg.matrix_rank(columns, tol=ZERO * max(columns.shape)))

    def adds(self, term: Term, others: Sequence[Term]) -> bool:
        """Tell whether every column of a term is independent of blocks, of other terms, and of each other."""
        return self.rank([term, *others]) - self.rank(others) == self.terms.count(term)


def sentences(found: Estimability) -> list[str]:
    """Say it in a few sentences, however many slots there are."""
    if found.at_reference:
        return [
            "Each effect is that at the reference; no interaction can be seen, as no setting changes two slots at once."
        ]
    said = [_split("Effects of slots", [([name], fits) for name, fits in found.main.items()])]
    if found.pairs:
        said.append(_split("Interactions", [([" × ".join(pair)], fits) for pair, fits in found.pairs.items()]))
    biased = {name: pairs for name, pairs in found.biases.items() if pairs and found.main[name]}
    if any(len(pairs) > FEW for pairs in biased.values()):
        said.append(
            f"Averages of {few(list(biased))} would be moved by interactions of the other slots, if there are any."
        )
    elif biased:
        parts = "; ".join(f"{name} by {few([' × '.join(pair) for pair in pairs])}" for name, pairs in biased.items())
        said.append(f"Averages would be moved by interactions, if there are any: {parts}.")
    confused = {frozenset((pair, other)) for pair, others in found.confused.items() for other in others}
    if confused:
        named = [" with ".join(" × ".join(pair) for pair in sorted(two)) for two in confused]
        many = f"many, in {len(named)} pairs" if len(named) > FEW else listed(sorted(named))
        said.append(f"Interactions that look like each other: {many}.")
    return said


def _split(what: str, parts: Sequence[tuple[list[str], bool]]) -> str:
    able = [name for (name,), fits in parts if fits]
    unable = [name for (name,), fits in parts if not fits]
    if not unable:
        return f"{what} that can be estimated: all ({few(able)})."
    if not able:
        return f"{what} that can be estimated: none."
    return f"{what} that can be estimated: {few(able)}; not {few(unable)}."


def _columns(factor: Factor, rows: Sequence[Mapping[str, str]]) -> Array:
    """Return columns that sum to zero over the levels: an average effect is then free of balanced interactions."""
    values = [
        [(row.get(factor.name) == x) - (row.get(factor.name) == factor.reference) for x in factor.others]
        for row in rows
    ]
    return np.array(values, dtype=float)


def _block_columns(blocks: Sequence[int] | None) -> list[Array]:
    if blocks is None:
        return []
    names = list(dict.fromkeys(blocks))
    return [np.array([(block == name) - (block == names[0]) for block in blocks], dtype=float) for name in names[1:]]


def _biases(frame: Array, own: Mapping[str, Array], pairs: Sequence[Pair]) -> dict[str, tuple[Pair, ...]]:
    """Return the interactions with a part in the estimate of each slot: the alias matrix (Box and Wilson 1951)."""
    both = {(one, two): np.column_stack([x * y for x, y in product(own[one].T, own[two].T)]) for one, two in pairs}
    mains = np.column_stack([frame, *own.values()])
    inverse = np.linalg.pinv(mains)
    parts: dict[str, Array] = {}
    first = frame.shape[1]
    for name, columns in own.items():
        parts[name] = inverse[first : first + columns.shape[1]]
        first += columns.shape[1]
    return {
        name: tuple(
            pair for pair, columns in both.items() if name not in pair and np.abs(part @ columns).max(initial=0) > ZERO
        )
        for name, part in parts.items()
    }


def _confused(space: _Space, mains: Sequence[Term], able: Sequence[Pair]) -> dict[Pair, tuple[Pair, ...]]:
    """Return for each pair that can be estimated alone the others beside which it cannot."""
    confused: dict[Pair, list[Pair]] = {}
    for one, two in combinations(able, 2):
        if not space.adds(one, [*mains, two]):
            confused.setdefault(one, []).append(two)
            confused.setdefault(two, []).append(one)
    return {pair: tuple(others) for pair, others in confused.items()}


def _is_around_one(rows: Sequence[Mapping[str, str]]) -> bool:
    """Tell whether all settings differ from one of them in a single slot; what comes to exist by it does not count."""

    def differences(one: Mapping[str, str], other: Mapping[str, str]) -> int:
        return sum(one[name] != other[name] for name in one.keys() & other.keys())

    return any(all(differences(row, centre) <= 1 for row in rows) for centre in rows)


def _unit_variances(space: _Space, mains: Sequence[Term], able: Sequence[str]) -> dict[str, float]:
    inverse = np.linalg.pinv(space.of(mains), rcond=ZERO)
    covariance = inverse @ inverse.T
    terms = [term for term in space.terms if term == () or term in mains]
    found = {}
    for name in able:
        index = [i for i, term in enumerate(terms) if term == (name,)]
        part = covariance[np.ix_(index, index)]
        own = np.diag(part)
        between = own[:, None] + own[None, :] - 2 * part
        found[name] = float(max(own.max(), between.max()))
    return found
