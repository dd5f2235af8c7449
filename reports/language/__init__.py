"""The words of reports in the reader's language.

English stands where it is said; another language has a catalogue of templates, English → its own.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from reports.errors import ResultsError, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LANGUAGES = {"en": "en", "zh": "zh-CN"}  # as a page names it

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


def spoken() -> str:
    """Return the language that is spoken now."""
    return _spoken.get()


def tr(template: str, **values: object) -> str:
    """Return a template in the language that is spoken, filled in; values are text and never templates."""
    lang = _spoken.get()
    if lang != "en":
        template = catalogue(lang).get(template, template)
    return template.format(**values) if values else template


@cache
def catalogue(lang: str) -> Mapping[str, str]:
    """Return English templates and what they are in a language."""
    text = resources.files("reports.language").joinpath(f"{lang}.json").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(text)
    return found
