"""Numbers and names as a reader of the paper sees them; what is missing is an en dash."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.language import tr

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MISSING = "–"
WIDE_ENDS = "。？！"
ENDS = f".?!{WIDE_ENDS}"
HAN = re.compile("[\u4e00-\u9fff]")
FEW = 4  # more names than this are no sentence any more
MOST_NAMED = 10  # names that a sentence can hold where each matters


@dataclass(frozen=True)
class Metric:
    """A column of scores.

    Attributes:
        unit: "fraction" is shown in percent, its differences in percentage points (pp); anything else as it is.
    """

    name: str
    higher_is_better: bool = True
    unit: str = ""

    @property
    def scale(self) -> float:
        """Factor from the frame's unit to the table's."""
        return 100.0 if self.unit == "fraction" else 1.0

    @property
    def header(self) -> str:
        """The name with the unit of its scores."""
        return f"{self.name} {'%' if self.unit == 'fraction' else self.unit}".strip()

    @property
    def difference_unit(self) -> str:
        """The unit of its differences."""
        return tr("pp") if self.unit == "fraction" else self.unit

    def decimals(self, noise: Iterable[float | None]) -> int:
        """Return how many decimals its table needs: two for percent, else two digits of the smallest noise."""
        sizes = [abs(value) for value in noise if value is not None and math.isfinite(value) and value != 0]
        if self.unit == "fraction" or not sizes:
            return 2
        return min(max(1 - math.floor(math.log10(min(sizes))), 0), 12)

    def difference(self, value: float, decimals: int) -> str:
        """Return a signed difference, given in the frame's unit, with its unit."""
        return f"{fixed(value * self.scale, decimals, signed=True)} {self.difference_unit}".strip()

    def size(self, value: float, decimals: int) -> str:
        """Return the size of a difference, given in the frame's unit, with its unit."""
        return f"{fixed(value * self.scale, decimals)} {self.difference_unit}".strip()


def fixed(value: float | None, decimals: int, *, signed: bool = False) -> str:
    """Return a number with this many decimals, with a typographic minus and, if `signed`, a plus."""
    if value is None or not math.isfinite(value):
        return MISSING
    if float(f"{value:.{decimals}f}") == 0:
        return f"{0:.{decimals}f}"
    return f"{value:{'+' if signed else ''},.{decimals}f}".replace("-", "−")


def probability(p: float | None) -> str:
    """Return a p-value with three decimals."""
    if p is None:
        return MISSING
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def count(value: float | None) -> str:
    """Return a number of parameters: exact below ten million, then with three digits and a unit."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{round(value):,}" if value < 1e7 else magnitude(value)


def magnitude(value: float | None) -> str:
    """Return a large number with three digits and k, M, G or T."""
    if value is None or not math.isfinite(value):
        return MISSING
    for unit in ("", "k", "M", "G"):
        if value < 999.5:
            return f"{_three_digits(value)} {unit}".strip() if unit else f"{round(value)}"
        value /= 1000
    return f"{_three_digits(value)} T"


def milliseconds(value: float | None) -> str:
    """Return a duration with three digits, but no more than two decimals."""
    return MISSING if value is None or not math.isfinite(value) else _three_digits(value)


def percent(share: float) -> str:
    """Return a share without needless decimals: 5 %, 0.5 %."""
    return tr("{share} %", share=f"{round(100 * share, 6):g}")


def listed(words: Sequence[str]) -> str:
    """Join words: a, b and c."""
    return words[0] if len(words) == 1 else tr("{first} and {last}", first=tr(", ").join(words[:-1]), last=words[-1])


def few(words: Sequence[str]) -> str:
    """Join words; of many the first, and how many more there are."""
    if len(words) <= FEW:
        return listed(words)
    return tr("{first} and {n} more", first=tr(", ").join(words[:FEW]), n=len(words) - FEW)


def some(words: Sequence[str]) -> str:
    """Join words; of more than a sentence can hold the first, and how many more there are."""
    return listed(words) if len(words) <= MOST_NAMED else few(words)


def quoted(labels: Iterable[str]) -> str:
    """Join labels in quotes: 'a', 'b' and 'c'."""
    return listed([tr("'{label}'", label=label) for label in labels])


def counted(n: int, noun: str) -> str:
    """Return a count with its noun: 1 seed, 5 seeds."""
    return tr(f"{{n}} {noun}{'' if n == 1 else 's'}", n=n)


def one_line(text: str) -> str:
    """Return text on one line, without characters that do not print."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())


def sentence(text: str) -> str:
    """Return text on one line, ending as a sentence of its script does."""
    text = one_line(text)
    if not text or text[-1] in ENDS:
        return text
    return tr("{text}.", text=text) if HAN.search(text) else f"{text}."


def paragraph(sentences: Iterable[str]) -> str:
    """Join sentences; after a full-width stop there is no space."""
    text = ""
    for one in filter(None, sentences):
        text += f"{'' if not text or text[-1] in WIDE_ENDS else ' '}{one}"
    return text


def clauses(parts: Iterable[str]) -> str:
    """Join parts of a sentence: a; b."""
    return tr("; ").join(parts)


def _three_digits(value: float) -> str:
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:,.{decimals}f}"
