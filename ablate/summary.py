"""A study run and its records as a table: what the command line and `ablate.run` share."""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate.errors import StoreError
from ablate.place import Place
from ablate.runner import Outcome, Progress, run_study
from ablate.study import Study
from blocks.catalogue import unknown

if TYPE_CHECKING:
    import pandas as pd

    from ablate.tracking import Records
    from reports.tables import Table


@dataclass(frozen=True)
class Summary:
    """All runs of a study, one row each, and the comparison of its settings."""

    frame: "pd.DataFrame"
    table: "Table"

    def __str__(self) -> str:
        return self.table.to_text()

    def __repr__(self) -> str:
        return self.table.to_text()

    def write(self, folder: Path) -> list[Path]:
        """Write the frame and the table in every form into a folder, and return the paths.

        Raises:
            StoreError: if the folder cannot be written.
        """
        from reports import latex  # noqa: PLC0415  # pandas and scipy take a second

        contents = {
            "runs.csv": self.frame.to_csv(index=False),
            "comparison.csv": self.table.frame.to_csv(),
            "comparison.md": self.table.to_markdown(),
            "comparison.tex": latex.render(self.table),
        }
        return [write(folder / name, content) for name, content in contents.items()]


@dataclass
class Count:
    """How far one setting is; errors by seed."""

    setting: str
    complete: int = 0
    failed: int = 0
    missing: int = 0
    errors: dict[int, str] = field(default_factory=dict)


def run(
    study: Study,
    place: Place,
    *,
    workers: int,
    training: Callable[..., Iterator[Any]] | None = None,
    listen: Callable[[Progress], None] = lambda _: None,
) -> tuple[Outcome, Summary]:
    """Run what a study still lacks and compare its settings; arguments and errors as in `runner.run_study`."""

    def hear(progress: Progress) -> None:
        listen(progress)
        if progress.run is None:
            importlib.import_module("reports.tables")  # a second that is free now, while the workers train

    outcome = run_study(study, place, workers=workers, training=training, listen=hear)
    return outcome, summarise(place, study.name)


def summarise(place: Place, name: str) -> Summary:
    """Read the runs of a study and compare its settings.

    Raises:
        StoreError: if there is no such study, naming the nearest.
    """
    from reports.tables import Metric, comparison_table  # noqa: PLC0415  # pandas and scipy take a second

    records = _records(place, name)
    planned = records.plan()
    frame, n_stale = records.frame()
    notes = []
    if n_stale:
        notes.append(
            f"{n_stale} earlier run{'s are' if n_stale > 1 else ' is'} left out: what they did is not what the study "
            "asks for now (its settings, seeds, recipe, data, a block's source code or torch have changed)."
        )
    if any(slot.startswith("data.") for slot in planned["slots"]):
        notes.append("Settings that differ in data.* may be tested on different images: see the data set.")
    table = comparison_table(
        frame,
        study=planned["study"],
        question=planned["question"],
        settings=list(planned["settings"]),
        slots=planned["slots"],
        reference=planned["reference"],
        against=planned["against"],
        metric=Metric(**planned["metric"]),
        secondary=[Metric(**metric) for metric in planned["metrics"]],
        estimand=planned["estimand"],
        practical=planned["practical"],
        planned_seeds=planned["seeds"],
        notes=notes,
    )
    return Summary(frame, table)


def status(place: Place, name: str) -> list[Count]:
    """Count the trials of each setting.

    Raises:
        StoreError: if there is no such study, naming the nearest.
    """
    records = _records(place, name)
    complete, errors, planned = records.completed(), records.errors(), records.plan()
    counts = {label: Count(label) for label in planned["settings"]}
    for label, seed, identity in planned["trials"]:
        count = counts[label]
        if identity in complete:
            count.complete += 1
        elif identity in errors:
            count.failed += 1
            count.errors[seed] = errors[identity]
        else:
            count.missing += 1
    return list(counts.values())


def write(path: Path, content: str) -> Path:
    """Write a text file whole or not at all, UTF-8, and return its path.

    Raises:
        StoreError: if it cannot be written.
    """
    path = path.resolve() if path.is_symlink() else path
    beside = path.with_name(path.name + ".part")
    try:
        if path.exists() and not path.is_file():  # /dev/stdout
            path.write_text(content, encoding="utf-8", newline="\n")
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(content, encoding="utf-8", newline="\n")
        return beside.replace(path)
    except OSError as error:
        raise StoreError(f"{path.as_posix()} cannot be written: {error.strerror or error}") from error


def _records(place: Place, name: str) -> "Records":
    nothing = StoreError(f"nothing has been run here: {place.address} holds no study")
    if place.is_new():
        raise nothing
    from ablate.tracking import Records, studies  # noqa: PLC0415  # MLflow takes 2 s to import

    known = studies(place)
    if not known:
        raise nothing
    if name not in known:
        raise StoreError(unknown("study", name, known))
    return Records(place, name)
