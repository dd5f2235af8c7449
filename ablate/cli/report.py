"""The command that compares settings: on the terminal, for the paper, and as a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ablate.cli.group import main
from ablate.cli.options import TRACKING, name_of, place_of, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ablate.place import Place
    from reports.report import Report

FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


@main.command()
@click.argument("study", metavar="STUDY", required=False)
@TRACKING
@click.option("--table", "only_table", is_flag=True, help="Print the table and write no page.")
@click.option("--latex", metavar="DIR", type=FOLDER, help="Write every table as LaTeX, CSV and provenance in DIR.")
@click.option("--figures", metavar="DIR", type=FOLDER, help="Write every figure as PDF, SVG and PNG in DIR.")
@click.option(
    "--style", type=click.Choice(["cvpr", "neurips", "ieee"]), default="cvpr", show_default=True,
    help="The column widths that tables and figures are made for.",
)
@click.option("--html", metavar="FILE", type=FILE, help="Write the page here, not to runs/STUDY/report/index.html.")
@click.option("--markdown", metavar="FILE", type=FILE, help="Write the table as Markdown here.")
@click.option("--csv", metavar="FILE", type=FILE, help="Write the frame of all runs here.")
@click.option(
    "--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True,
    help="Language of table, Markdown and page; LaTeX is English.",
)
@click.option(
    "--correction", type=click.Choice(["holm", "dunnett"]), default="holm", show_default=True,
    help="How p-values are corrected for the number of comparisons.",
)
@click.option("--compare", metavar="STUDY STUDY", nargs=2, help="Compare two studies over the settings they share.")
def report(
    study: str | None, tracking: str | None, compare: tuple[str, str] | None, *, only_table: bool, **options: Any
) -> None:
    """Compare the settings of STUDY from its records; nothing is trained.

    \b
    Example: ablate report attention --latex paper/tables
             ablate report --compare attention attention-deep
    """  # fmt: skip
    from ablate import reporting

    place, how = place_of(tracking), {"correction": options["correction"]}
    if compare is not None:
        _compare(place, compare, options, how)
        return
    if study is None:
        raise click.UsageError("name a study; or two of them after --compare")
    name = name_of(study)
    result = reporting.report(place, name, lang=options["lang"], **how)
    reporting.check_begun(result)
    english = result if options["lang"] == "en" else reporting.report(place, name, **how)
    contents = _contents(result, english, options)
    _show(result)
    _write(contents)
    if not only_table:
        page = options["html"] or place.folder_of(name) / "report" / "index.html"
        _write({page: reporting.page(result, english, lang=options["lang"])})
        _log(place, name, page)


def _compare(place: "Place", names: tuple[str, str], options: "Mapping[str, Any]", how: "Mapping[str, Any]") -> None:
    from ablate import reporting
    from ablate.cli import terminal

    table = reporting.compared(place, [name_of(name) for name in names], lang=options["lang"], **how)
    contents: dict[Path, str] = {}
    if options["csv"]:
        contents[options["csv"]] = table.frame.to_csv(index=False)
    if options["markdown"]:
        contents[options["markdown"]] = table.to_markdown()
    terminal.show([table])
    _write(contents)


def _contents(result: "Report", english: "Report", options: "Mapping[str, Any]") -> dict[Path, str | bytes]:
    """Make all that was asked for, before the first file is written."""
    from ablate import reporting

    contents: dict[Path, str | bytes] = {}
    if options["csv"]:
        contents[options["csv"]] = result.frame.to_csv(index=False)
    if options["markdown"]:
        contents[options["markdown"]] = "\n".join(table.to_markdown() for table in result.printed)
    if options["latex"]:
        from reports.latex import documents

        made = documents(english, style=options["style"])
        contents |= {options["latex"] / name: text for name, text in made.items()}
    if options["figures"]:
        made = reporting.figures(result, style=options["style"], lang=options["lang"])
        contents |= {options["figures"] / name: content for name, content in made.items()}
    return contents


def _show(result: "Report") -> None:
    from ablate.cli import terminal

    terminal.show(result.printed)
    if result.found:
        say(result.found)


def _write(contents: "Mapping[Path, str | bytes]") -> None:
    from ablate import reporting

    for path, content in contents.items():
        say(f"wrote {reporting.write(path, content).as_posix()}")


def _log(place: "Place", name: str, page: Path) -> None:
    """Put the page beside the study's runs in MLflow; where that cannot be, say so, as the page is written."""
    from ablate import reporting
    from ablate.errors import StoreError

    try:
        reporting.log(place, name, page)
    except StoreError as error:
        say(f"not logged to MLflow: {error}", error=True)
