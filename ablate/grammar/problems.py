"""What is wrong with a study, collected, and how a value is shown to the one who wrote it."""

import json
import re
from datetime import date
from typing import Any

from ablate.errors import StudyError

MOST_SHOWN = 60


class Problems:
    """What is wrong so far, in the order found."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[str] = []

    def __len__(self) -> int:
        return len(self.found)

    def add(self, place: str, message: str) -> None:
        """Note a problem at a place such as `slots.attention[1]`, once."""
        problem = f"{self.source}: {place}: {message}" if place else f"{self.source}: {message}"
        if problem not in self.found:
            self.found.append(problem)

    def check(self) -> None:
        """Raise what was found, if anything was.

        Raises:
            StudyError: naming every problem.
        """
        if self.found:
            raise StudyError(self.found)


def shown(value: object) -> str:
    """Quote a value in a message, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 3] + "..."


def written(value: Any) -> str:
    """Write a value as the study file does."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(written(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {written(item)}' for key, item in value.items())}}}"
    return "null" if value is None else str(value)


def hint(value: object) -> str:
    """Say what YAML made of a word that people write and mean otherwise; empty if nothing."""
    if isinstance(value, bool):
        words = "yes, on and true as true" if value else "no, off and false as false"
        return f" (YAML reads {words}: put the word in quotes if it is one)"
    if isinstance(value, str) and re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+", value):
        mantissa, exponent = re.split("[eE]", value)
        point = "" if "." in mantissa else ".0"
        sign = "" if exponent[0] in "+-" else "+"
        return f" (YAML reads {value} as text: write {mantissa}{point}e{sign}{exponent})"
    if value is None:
        return " (YAML reads null, ~ and an empty place as nothing; the choice that removes a block is called none)"
    if isinstance(value, date):
        return " (YAML reads it as a date: put it in quotes)"
    return ""
