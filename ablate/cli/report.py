"""The command that compares settings: on the terminal, for the paper, and as a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ablate.cli.group import main
from ablate.cli.options import TRACKING, name_of, place_of, say
from reports.language import LANGUAGES
from reports.styles import STYLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ablate.place import Place
    from reports.report import Report

# What says how other results are to be read, and what two studies together are not written as.
OF_SOURCES = (
    "setting_columns", "seed_column", "metric", "lower_is_better", "unit", "reference", "state_column", "practical",
    "question", "missing", "cost_columns", "name", "study_name",
)  # fmt: skip
RESULTS = (".csv", ".tsv", ".jsonl")
NOT_OF_TWO = ("figures", "html", "only_table")
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


@main.command()
@click.argument("study", metavar="STUDY", required=False)
@TRACKING
@click.option("--table", "only_table", is_flag=True, help="Print the table and write no page.")
@click.option("--latex", metavar="DIR", type=FOLDER, help="Write every table as LaTeX, CSV and provenance in DIR.")
@click.option("--figures", metavar="DIR", type=FOLDER, help="Write every figure as PDF, SVG and PNG in DIR.")
@click.option(
    "--style",
    type=click.Choice(list(STYLES)),
    default="cvpr",
    show_default=True,
    help="The column widths that tables and figures are made for.",
)
@click.option("--html", metavar="FILE", type=FILE, help="Write the page here, not to runs/STUDY/report/index.html.")
@click.option("--markdown", metavar="FILE", type=FILE, help="Write the table as Markdown here.")
@click.option("--csv", metavar="FILE", type=FILE, help="Write the frame of all runs here.")
@click.option(
    "--lang",
    type=click.Choice(list(LANGUAGES)),
    default="en",
    show_default=True,
    help="Language of table, Markdown and page; LaTeX is English.",
)
@click.option(
    "--correction",
    type=click.Choice(["holm", "dunnett"]),
    default="holm",
    show_default=True,
    help="How p-values are corrected for the number of comparisons.",
)
@click.option("--compare", metavar="STUDY STUDY", nargs=2, help="Compare two studies over the settings they share.")
@click.option(
    "--from",
    "source",
    metavar="SOURCE",
    help="Report on other results: a .csv, .tsv or .jsonl file, mlflow:EXPERIMENT, optuna:URL or optuna:JOURNAL.",
)
@click.option("--setting-columns", metavar="A,B", help="With --from: the columns that tell settings apart.")
@click.option("--seed-column", metavar="NAME", help="With --from: the column of seeds; without it one run a setting.")
@click.option("--metric", metavar="NAME", help="With --from: the column of scores.")
@click.option("--lower-is-better", is_flag=True, help="With --from: the direction of the metric.")
@click.option("--unit", default="", metavar="UNIT", help="With --from: %, dB, ...; 'fraction' is shown in percent.")
@click.option(
    "--reference", metavar="LABEL", help="With --from: what others are compared with; else the first setting."
)
@click.option("--state-column", metavar="NAME", help="With --from: how a run ended; else 'state' or 'status'.")
@click.option("--practical", type=float, help="With --from: the smallest difference that matters.")
@click.option("--question", default="", help="With --from: what the results are to answer.")
@click.option(
    "--missing",
    type=click.Choice(["refuse", "failed"]),
    default="refuse",
    show_default=True,
    help="With --from: what a complete run without a finite score is.",
)
@click.option(
    "--cost-columns",
    default="",
    metavar="params=A,macs=B,latency_ms=C",
    help="With --from: where costs are called otherwise.",
)
@click.option("--name", metavar="NAME", help="With --from: a name for the results; else the file's.")
@click.option("--study-name", metavar="NAME", help="With --from optuna: which study of the storage.")
@click.pass_context
def report(ctx: click.Context, /, study: str | None, tracking: str | None, **options: Any) -> None:
    """Compare the settings of STUDY from its records; nothing is trained.

    Prints the table and writes a page to runs/STUDY/report/index.html.

    \b
    Example: ablate report attention --latex paper/tables
             ablate report --compare attention attention-deep
             ablate report --from runs.csv --setting-columns method --seed-column seed --metric top1
    """  # fmt: skip
    place, compare, source = place_of(tracking), options["compare"], options["source"]
    if sum(given is not None for given in (study, compare, source)) != 1:
        raise click.UsageError("name a study; or two of them after --compare; or results after --from")
    if study is not None and Path(study).suffix in RESULTS:
        raise click.UsageError(f"{study} holds results, and no study: name it after --from")
    if source is None:
        _refuse(ctx, OF_SOURCES, "goes with --from alone: a study's file says it")
    if compare is not None:
        _refuse(ctx, NOT_OF_TWO, "does not go with --compare")
        _compare(place, compare, options)
    elif source is not None:
        _elsewhere(place, source, options)
    else:
        _study(place, name_of(str(study)), options)


def _refuse(ctx: click.Context, names: "Iterable[str]", why: str) -> None:
    """Refuse options that would be ignored."""
    for option in ctx.command.params:
        if option.name in names and ctx.get_parameter_source(str(option.name)) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"{option.opts[0]} {why}")


def _study(place: "Place", name: str, options: "Mapping[str, Any]") -> None:
    from ablate import reporting

    whole = not options["only_table"] or bool(options["latex"] or options["figures"])

    def made(lang: str) -> "Report":
        return reporting.report(place, name, correction=options["correction"], lang=lang, whole=whole)

    result = made(options["lang"])
    reporting.check_begun(result)
    documents, page = _publish(result, made, options, place.folder_of(name) / "report" / "index.html")
    if page:
        _log(place, result, documents, page)


def _elsewhere(place: "Place", source: str, options: "Mapping[str, Any]") -> None:
    from ablate import elsewhere
    from reports.elsewhere import Columns, report_from
    from reports.language import speaking

    if options["metric"] is None or options["setting_columns"] is None:
        raise click.UsageError("--from needs --setting-columns and --metric")
    found = elsewhere.read(source, place, study=options["study_name"], name=options["name"])
    metric, settings = options["metric"], _listed(options["setting_columns"])
    pairs = [pair.partition("=") for pair in _listed(options["cost_columns"])]
    costs = {cost: column for cost, _, column in pairs}
    missing = options["missing"] == "failed"
    columns = Columns(settings, metric, options["seed_column"], options["state_column"], costs, missing)

    def made(lang: str) -> "Report":
        with speaking(lang):
            return report_from(
                found.rows, columns, where=found.where, name=found.name, at=found.at, question=options["question"],
                reference=options["reference"], unit=options["unit"], practical=options["practical"],
                higher_is_better=not options["lower_is_better"] and metric not in found.minimized,
                correction=options["correction"],
            )  # fmt: skip

    _publish(made(options["lang"]), made, options, Path(f"{found.name}-report") / "index.html")


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _publish(
    result: "Report", made: "Callable[[str], Report]", options: "Mapping[str, Any]", page: Path
) -> tuple[dict[str, str], str]:
    """Print the table, write what was asked for and the page, and return the documents and the page.

    All is made before the first file is written. `made` returns the report in a language: LaTeX is English.
    """
    from ablate import reporting
    from ablate.cli import terminal
    from reports.latex import documents

    lang, style, wants_page = options["lang"], options["style"], not options["only_table"]
    english = result if lang == "en" or not (options["latex"] or wants_page) else made("en")
    sources = documents(english, style=style) if options["latex"] or wants_page else {}
    contents: dict[Path, str | bytes] = {}
    if options["csv"]:
        contents[options["csv"]] = result.frame.to_csv(index=False)
    if options["markdown"]:
        contents[options["markdown"]] = "\n".join(table.to_markdown() for table in result.printed)
    if options["latex"]:
        contents |= {options["latex"] / name: text for name, text in sources.items()}
    if options["figures"]:
        drawn = reporting.figures(result, style=style, lang=lang)
        contents |= {options["figures"] / name: content for name, content in drawn.items()}
    text = reporting.page(result, sources, lang=lang) if wants_page else ""
    if text:
        contents[options["html"] or page] = text
    terminal.show(result)
    _write(contents)
    return sources, text


def _compare(place: "Place", names: tuple[str, str], options: "Mapping[str, Any]") -> None:
    from ablate import reporting
    from ablate.cli import terminal

    table = reporting.compared(
        place, [name_of(name) for name in names], lang=options["lang"], correction=options["correction"]
    )
    contents: dict[Path, str] = {}
    if options["csv"]:
        contents[options["csv"]] = table.frame.to_csv(index=False)
    if options["markdown"]:
        contents[options["markdown"]] = table.to_markdown()
    if options["latex"]:
        from reports.latex import PREAMBLE, render, style_of
        from reports.latex.escape import key

        english = reporting.compared(place, [name_of(name) for name in names], correction=options["correction"])
        stem = options["latex"] / "-".join(key(name_of(name)) for name in names)
        contents[options["latex"] / "ablation-preamble.tex"] = PREAMBLE
        contents[stem.with_name(f"{stem.name}.tex")] = render(english, style=style_of(options["style"]))
        contents[stem.with_name(f"{stem.name}.csv")] = english.frame.to_csv(index=False)
    terminal.show_tables([table])
    _write(contents)


def _write(contents: "Mapping[Path, str | bytes]") -> None:
    from ablate import reporting

    for path, content in contents.items():
        say(f"wrote {reporting.write(path, content).as_posix()}")


def _log(place: "Place", result: "Report", documents: "Mapping[str, str]", page: str) -> None:
    """Put page and tables beside the study's runs in MLflow; where that cannot be, say so, as the page is written."""
    from ablate import reporting
    from ablate.errors import StoreError

    try:
        reporting.log(place, result, documents, page)
    except StoreError as error:
        say(f"not logged to MLflow: {error}", error=True)
