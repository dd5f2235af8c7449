"""The words of reports in the reader's language.

English stands where it is said; another language has a catalogue of templates, English → its own.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from reports.errors import ResultsError, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LANGUAGES = {"en": "en", "zh": "zh-CN"}  # as a page names it

# Between a Chinese word of a template and a Latin one that fills it stands a space; within a name nothing is changed.
EDGE = "\0"
FIELD = re.compile(r"\{[^{}]+\}")
SPACED = re.compile(f"(?<=[\u4e00-\u9fff]){EDGE}(?=[A-Za-z0-9])|(?<=[A-Za-z0-9%]){EDGE}(?=[\u4e00-\u9fff])")

_spoken: ContextVar[str] = ContextVar("language", default="en")


@contextmanager
def speaking(lang: str) -> Iterator[None]:
    """Say all that is said meanwhile in a language.

    Raises:
        ResultsError: if there is no catalogue for it.
    """
    if lang not in LANGUAGES:
        raise ResultsError(unknown("language", lang, LANGUAGES))
    token = _spoken.set(lang)
    try:
        yield
    finally:
        _spoken.reset(token)


def tr(template: str, /, **values: object) -> str:
    """Return a template in the language that is spoken, filled in; values are text and never templates."""
    lang = _spoken.get()
    if lang == "en":
        return template.format(**values) if values else template
    template = catalogue(lang).get(template, template)
    if not values:
        return template
    filled = FIELD.sub(f"{EDGE}\\g<0>{EDGE}", template).format(**values)
    return SPACED.sub(" ", filled).replace(EDGE, "")


@dataclass(frozen=True)
class Said:
    """What is kept with figures, where it stands in English, and said in the language of whoever shows it."""

    template: str
    values: tuple[tuple[str, object], ...] = ()

    @property
    def english(self) -> str:
        """The words that are kept."""
        return self.template.format(**dict(self.values))

    def __str__(self) -> str:
        return tr(self.template, **dict(self.values))


def said(template: str, /, **values: object) -> Said:
    """Return what is to be said by a template, as `tr` would, but later."""
    return Said(template, tuple(values.items()))


@cache
def catalogue(lang: str) -> Mapping[str, str]:
    """Return English templates and what they are in a language."""
    text = Path(__file__).with_name(f"{lang}.json").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(text)
    return found
