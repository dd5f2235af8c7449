"""What several commands share: their options, and what is made of their arguments."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

if TYPE_CHECKING:
    from ablate.place import Place
    from ablate.study import Study

TRACKING = click.option("--tracking", metavar="URI", help="Another MLflow store or server than the one in runs/.")
WORKERS = click.option(
    "--workers", type=click.IntRange(min=0), help="Processes; one per core unless given, 0 for none (breakpoints work)."
)
STUDY = click.argument("study", metavar="STUDY")


class Duration(click.ParamType[float]):
    """Reads a time such as 11h, 90m or 30s as seconds."""

    name = "time"
    units: ClassVar = {"s": 1, "m": 60, "h": 3600}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        number, unit = str(value)[:-1], str(value)[-1:]
        try:
            seconds = float(number) * self.units[unit]
        except (KeyError, ValueError):
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            self.fail(f"{value!r} is no time such as 11h, 90m or 30s", param, ctx)
        return seconds


def read_study(study: str) -> "Study":
    """Read a study, given by file or by the name of one that comes with the package."""
    from ablate import config

    return config.read_study(study)


def place_of(tracking: str | None) -> "Place":
    """Return where records are kept."""
    from ablate.place import Place

    return Place(Path("runs"), tracking or None)


def name_of(study: str) -> str:
    """Return the name of a study given by name or by file; a file may say another name than its own."""
    return read_study(study).name if study.endswith((".yml", ".yaml")) else study


def say(text: str, *, error: bool = False) -> None:
    """Print a line."""
    from ablate import display

    display.say(text, error=error)
