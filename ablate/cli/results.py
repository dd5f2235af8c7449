"""Commands that show what has been run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ablate.cli.group import main
from ablate.cli.options import STUDY, TRACKING, name_of, place_of, say

if TYPE_CHECKING:
    from typing import Literal


@main.command()
@STUDY
@TRACKING
@click.option("--csv", "csv", type=click.Path(dir_okay=False, path_type=Path), help="Write the frame of all runs here.")
@click.option("--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Write the table as Markdown here.")
@click.option(
    "--latex", type=click.Path(file_okay=False, path_type=Path), help="Write the table as LaTeX in this folder."
)
@click.option(
    "--correction", type=click.Choice(["holm", "dunnett"]), default="holm", show_default=True,
    help="How p-values are corrected for the number of comparisons.",
)  # fmt: skip
def report(
    study: str,
    tracking: str | None,
    csv: Path | None,
    markdown: Path | None,
    latex: Path | None,
    correction: 'Literal["holm", "dunnett"]',
) -> None:
    """Compare the settings of STUDY from its records; nothing is trained.

    \b
    Example: ablate report attention --latex paper/tables
    """
    from ablate import reporting
    from ablate.cli import terminal
    from reports.latex import render
    from reports.report import PRINTED

    result = reporting.report(place_of(tracking), name_of(study), correction=correction)
    terminal.show(table for table in result.tables if table.key in PRINTED)
    if result.found:
        say(result.found)
    outputs: list[tuple[Path, str]] = []
    tables = [table for table in result.tables if table.key in PRINTED]
    if csv is not None:
        outputs.append((csv, result.frame.to_csv(index=False)))
    if markdown is not None:
        outputs.append((markdown, "\n".join(table.to_markdown() for table in tables)))
    if latex is not None:
        outputs += [
            (latex / f"{name_of(study)}{'' if i == 0 else '-effects'}.tex", render(t)) for i, t in enumerate(tables)
        ]
    for path, content in outputs:
        reporting.write(path, content)
        say(f"wrote {path.as_posix()}")


@main.command()
@STUDY
@TRACKING
@click.option(
    "--optuna", metavar="FILE", required=True, type=click.Path(dir_okay=False, path_type=Path),
    help="Write an Optuna journal here, for optuna-dashboard.",
)  # fmt: skip
def export(study: str, tracking: str | None, optuna: Path) -> None:
    """Write the settings of STUDY and their scores as an Optuna study.

    \b
    Example: ablate export search --optuna journal.log    then: optuna-dashboard journal.log
    """
    from ablate import summary

    summary.export(place_of(tracking), name_of(study), optuna)
    say(f"wrote {optuna.as_posix()}")


@main.command()
@TRACKING
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535), help="Where it listens.")
def ui(tracking: str | None, port: int) -> None:
    """Open the MLflow UI on the records in runs/.

    \b
    Example: ablate ui --port 5001
    """
    import os
    import subprocess

    from ablate.errors import StoreError

    place = place_of(tracking)
    if place.is_new():
        raise StoreError(f"nothing has been run here: {place.database} does not exist")
    if place.by_server:
        say(f"The records are on a server: open {place.address}")
        return
    say(f"MLflow UI of {place.root.resolve()}: http://127.0.0.1:{port} (Ctrl-C ends it)")
    command = place.server_command(port)
    if os.name == "posix":
        os.execv(command[0], command)  # noqa: S606  # so that what ends this process ends the server
    sys.exit(subprocess.run(command, check=False).returncode)
