"""What the engine raises on purpose; anything else that escapes is a bug."""

from collections.abc import Sequence
from typing import Any


class AblateError(Exception):
    """The root of the errors that a user can cause and mend."""


class StudyError(AblateError):
    """Something in a study cannot be meant.

    Args:
        problems: one sentence each, with its place.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker may raise it: pickle would hand the joined text on in place of the list.
        return type(self), (self.problems,)


class DataError(AblateError):
    """A data set is missing, truncated or not what its options ask for."""


class StoreError(AblateError):
    """The record of runs cannot be read or written."""


class AwayError(StoreError):
    """The record cannot be reached just now; a later attempt may succeed."""


class DivergedError(AblateError):
    """A loss or a score stopped being a finite number."""
