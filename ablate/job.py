"""What travels between the parent and its workers, in plain values."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.design import Plan
from ablate.study import Cost, Study


@dataclass(frozen=True)
class Job:
    """What all trials of a study share.

    Attributes:
        training: the user's own training function, where there is one.
        checkpoints: the folder of what unfinished trials go on from; None if nothing is kept.
    """

    study: Study
    plan: Plan
    training: Callable[..., Iterator[Any]] | None = None
    checkpoints: Path | None = None


@dataclass(frozen=True)
class Inspection:
    """What is known of all settings before anything trains.

    Attributes:
        problems: why the study cannot run, one sentence each.
        costs: parameters and multiply-accumulates by label.
        hardware: what it would run on, in words.
    """

    problems: tuple[str, ...]
    costs: Mapping[str, Cost]
    hardware: str


@dataclass(frozen=True)
class Examination:
    """What a setting's network does as it starts that its scores would not tell.

    Attributes:
        notes: what a reader should know, one sentence each; none if there is nothing.
        scale: the smallest and the largest root mean square among the outputs of its layers; None if it is not known.
        logits: that of its answers.
    """

    notes: tuple[str, ...]
    scale: tuple[float, float] | None = None
    logits: float | None = None
