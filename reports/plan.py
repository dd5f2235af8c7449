"""What a study planned, in the words of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from reports.errors import ResultsError, unknown

if TYPE_CHECKING:
    from reports.formats import Metric
    from reports.sequential import Looks


@dataclass(frozen=True)
class Plan:
    """What is compared with what, on which seeds, by which metric.

    Attributes:
        study: its name; a frame must hold no other.
        question: what the study asks.
        settings: the planned labels in the order of the rows.
        slots: what to show as columns where it varies.
        reference: the label of the setting that others are compared with.
        metric: the primary one.
        planned_seeds: the same for every setting, or by label; the longest list has the order of the study's seeds.
        choices: of each label, what fills each slot that it has; may be empty.
        design: its name, such as "cumulative"; may be empty.
        against: setting → its partner, where that is not the reference.
        secondary: shown as mean ± SD; their contrasts are corrected together, apart from those of the primary metric.
            They are not tested where seeds were allocated adaptively, because the primary metric decided how many.
        estimand: what the contrasts estimate, to follow "The table estimates".
        practical: the smallest difference that matters, in the metric's unit as in the frame.
        level: one minus the family-wise error.
        correction: for several comparisons.
        calibration: A/A pairs.
        looks: when adaptive seeds were looked at.
        until: what the adaptive seeds were for.
        scored_on: a sentence on the images that the scores come from; it stands in the caption.
        marks: sentences that no reader of a table may miss: the first notes, and in the caption.
        notes: further sentences.
    """

    study: str
    question: str
    settings: Sequence[str]
    slots: Sequence[str]
    reference: str
    metric: Metric
    planned_seeds: Sequence[int] | Mapping[str, Sequence[int]]
    choices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    design: str = ""
    against: Mapping[str, str] = field(default_factory=dict)
    secondary: Sequence[Metric] = ()
    estimand: str = ""
    practical: float | None = None
    level: float = 0.95
    correction: Literal["holm", "dunnett"] = "holm"
    calibration: Sequence[tuple[str, str]] = ()
    looks: Looks | None = None
    until: Literal["decided", "best"] = "decided"
    scored_on: str = ""
    marks: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def seeds(self) -> dict[str, Sequence[int]]:
        """The planned seeds of each setting.

        Raises:
            ResultsError: if a setting has none.
        """
        planned = self.planned_seeds
        if not isinstance(planned, Mapping):
            return dict.fromkeys(self.settings, planned)
        for label in self.settings:
            if label not in planned:
                raise ResultsError(unknown("setting", label, planned) + ", in the planned seeds")
        return {label: planned[label] for label in self.settings}
