"""Studies whose truth is known: scores drawn from a model, their frame, and what many of them come to."""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from multiprocessing import get_context
from typing import TYPE_CHECKING, Literal, Self, TypeVar

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Case = TypeVar("Case")

SIGMA, RHO = 0.3, 0.5  # of a score: standard deviation in percentage points, correlation of scores that share a seed
SEEDS, ERRORS = SIGMA * math.sqrt(RHO), SIGMA * math.sqrt(1 - RHO)  # the standard deviations that make up these two
REFERENCE = "s0"
CHUNKS = 8  # for each process, so that none waits long for the last one


@dataclass(frozen=True)
class Figure:
    """A figure as measured and, where one is asked for, what it should reach.

    Attributes:
        error: its Monte Carlo standard error; None where nothing was repeated.
        n: how many studies it rests on.
        least: what is asked at least; `most` likewise.
        unit: `%` for shares, which are kept as fractions.
    """

    what: str
    measured: float
    error: float | None
    n: int
    least: float | None = None
    most: float | None = None
    unit: Literal["%", ""] = "%"

    @property
    def reached(self) -> str:
        """Whether it reaches what is asked: what two standard errors can explain is near."""
        missed = [bound - self.measured for bound in [self.least] if bound is not None]
        missed += [self.measured - bound for bound in [self.most] if bound is not None]
        if not missed:
            return ""
        return "yes" if max(missed) <= 0 else "near" if max(missed) <= 2 * (self.error or 0) else "no"

    @property
    def cells(self) -> tuple[str, ...]:
        """Return what, asked, measured ± standard error, studies, reached."""
        low, high = ("" if bound is None else self._shown(bound, 1) for bound in (self.least, self.most))
        asked = f"{low} to {high}" if low and high else f"≥ {low}" if low else f"≤ {high}" if high else ""
        error = "" if self.error is None else f" ± {self._shown(self.error, 2)}"
        return self.what, asked, self._shown(self.measured, 2) + error, f"{self.n:,}", self.reached

    def _shown(self, value: float, digits: int) -> str:
        return f"{100 * value:.{digits}f} %" if self.unit == "%" else f"{value:.{digits}f}"


def mean(
    what: str,
    values: pd.Series[float],
    *,
    least: float | None = None,
    most: float | None = None,
    unit: Literal["%", ""] = "%",
) -> Figure:
    """Return the mean over studies, one value each; studies that have none (NaN) are left out."""
    known = values.dropna().to_numpy(dtype=float)
    error = float(np.std(known, ddof=1)) / math.sqrt(len(known)) if len(known) > 1 else None
    return Figure(what, float(known.mean()), error, len(known), least, most, unit)


def root(what: str, squares: pd.Series[float]) -> Figure:
    """Return the root of the mean over studies of a squared error."""
    found = mean(what, squares, unit="")
    size = math.sqrt(found.measured)
    return replace(found, measured=size, error=found.error and found.error / (2 * size))


@dataclass(frozen=True)
class Truth:
    """What the scores of a study are drawn from: setting + seed + error, normal, in percentage points.

    Attributes:
        means: of the settings, the reference first.
        n: seeds.
        seeds: standard deviation of what the scores of a seed share; one for all settings, or one for each.
        errors: standard deviation of what is a score's own; likewise.
        missing: share of the runs that are missing at random.
    """

    means: tuple[float, ...]
    n: int
    seeds: float | tuple[float, ...] = SEEDS
    errors: float | tuple[float, ...] = ERRORS
    missing: float = 0.0

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the settings, the reference first."""
        return tuple(f"s{i}" for i in range(len(self.means)))

    def delta(self, label: str) -> float:
        """Return the true difference between a setting and the reference."""
        return self.means[self.labels.index(label)] - self.means[0]

    def scores(self, rng: np.random.Generator) -> Array:
        """Draw the scores of one study: (setting, seed)."""
        shared, own = rng.standard_normal(self.n), rng.standard_normal((len(self.means), self.n))
        columns = np.broadcast_arrays(self.means, self.seeds, self.errors)
        mean, seeds, errors = (column[:, None] for column in columns)
        return mean + seeds * shared + errors * own

    def frame(self, rng: np.random.Generator) -> pd.DataFrame:
        """Draw one study as a frame of runs; the next frame overwrites it."""
        drawn = frame(self.labels, self.scores(rng))
        return drawn[rng.random(len(drawn)) >= self.missing] if self.missing else drawn


def frame(labels: tuple[str, ...], scores: Array) -> pd.DataFrame:
    """Return scores (setting, seed) as a frame of runs, NaN where there is none; the next frame overwrites it."""
    runs = _frame(labels, scores.shape[1])
    runs["score"] = scores.ravel()
    return runs.dropna() if np.isnan(scores).any() else runs


@lru_cache(maxsize=8)
def _frame(labels: tuple[str, ...], n: int) -> pd.DataFrame:
    setting, seed = zip(*((label, seed) for label in labels for seed in range(n)), strict=True)
    return pd.DataFrame({"study": "truth", "setting": setting, "seed": seed, "state": "complete", "score": 0.0})


class Crowd:
    """Processes that simulate studies; what comes out is the same however many there are.

    Attributes:
        studies: how many to simulate in place of the full number; None for the full number.
        workers: processes; 0 simulates in this one.
    """

    def __init__(self, workers: int, *, studies: int | None = None) -> None:
        self.studies = studies
        self.workers = workers
        self._executor = ProcessPoolExecutor(workers, mp_context=get_context("spawn")) if workers else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._executor:
            self._executor.shutdown(cancel_futures=True)

    def repeat(
        self, study: Callable[[Case, np.random.Generator], Mapping[str, float]], case: Case, n: int
    ) -> pd.DataFrame:
        """Simulate `n` studies of one case; return a row of figures for each.

        Study i draws from the random state i in every case, so that cases are compared on the same noise.
        """
        n = self.studies or n
        edges = np.linspace(0, n, min(n, CHUNKS * max(1, self.workers)) + 1).astype(int).tolist()
        chunks = [(study, case, first, last) for first, last in pairwise(edges)]
        results = self._executor.map(_simulate, chunks) if self._executor else map(_simulate, chunks)
        return pd.DataFrame([figures for chunk in results for figures in chunk])


def _simulate(
    chunk: tuple[Callable[[Case, np.random.Generator], Mapping[str, float]], Case, int, int],
) -> list[Mapping[str, float]]:
    study, case, first, last = chunk
    return [study(case, np.random.default_rng(i)) for i in range(first, last)]
