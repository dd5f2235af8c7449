"""The command line: glue, and what is printed."""

import gc
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Literal

    from ablate.place import Place
    from ablate.progress import Outcome, Progress
    from ablate.study import Study

TRACKING = click.option("--tracking", metavar="URI", help="Another MLflow store or server than the one in runs/.")
WORKERS = click.option(
    "--workers", type=click.IntRange(min=0), help="Processes; one per core unless given, 0 for none (breakpoints work)."
)
STUDY = click.argument("study", metavar="STUDY")
SD = "What paired scores scatter by, such as 0.003; that of the runs so far unless given."


class _Duration(click.ParamType[float]):
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


class _Group(click.Group):
    """Prints the errors that a user can mend as sentences, and lets bugs show their traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt as stop:
            _say("stopped; what is complete is recorded, and the same command goes on from there", error=True)
            sys.exit(143 if stop.args == ("SIGTERM",) else 130)
        except Exception as error:
            if not _mendable(error):
                raise
            _say(str(error), error=True)
            sys.exit(2)
        finally:
            # The interpreter would search a million objects of MLflow and pandas for garbage before it ends: 1 s.
            gc.freeze()


def _mendable(error: Exception) -> bool:
    from ablate.errors import AblateError
    from blocks.catalogue import CatalogueError
    from reports.errors import ResultsError

    return isinstance(error, AblateError | CatalogueError | ResultsError)


def _say(text: str, *, error: bool = False) -> None:
    from ablate.display import say

    say(text, error=error)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ablate")
def main() -> None:
    """Ablation experiments: declare a study, run it, print the table for the paper.

    \b
    ablate run attention                a study that comes with the package, in about a minute
    ablate plan studies/mine.yml        what a study would train, and how long it would take
    ablate report attention             the table again, for the terminal and for the paper
    ablate ui                           every run in the MLflow UI
    """


@main.command()
@STUDY
@WORKERS
@TRACKING
@click.option("--smoke", is_flag=True, help="Train one step of every setting and record nothing.")
@click.option("--stop-after", type=_Duration(), help="Stop after so long (11h, 90m), with everything recorded.")
@click.option(
    "--import", "imported", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Go on from a copied or read-only runs/ folder of an earlier session.",
)  # fmt: skip
def run(
    study: str,
    workers: int | None,
    tracking: str | None,
    *,
    smoke: bool,
    stop_after: float | None,
    imported: Path | None,
) -> None:
    """Run every trial of STUDY that is not complete yet, and print the table.

    STUDY is a file, or the name of a study that comes with the package. Run it again after an interruption and it goes
    on where it stopped; run it again when it is complete and it prints the same table without training.

    \b
    Example: ablate run studies/attention.yml --workers 2
    """
    from ablate import pool, reporting, summary
    from ablate.place import Place

    content, place = _read(study), _place(tracking)
    n_workers = pool.default_workers(content.device) if workers is None else workers
    if smoke:
        _smoke(content, n_workers)
        return
    _say(f"Records: {place.address if place.uri else place.root.resolve()}")
    _say(f"Study {content.name}: {content.question}".rstrip(": "))
    with _progress(content) as (listen, say):
        outcome, result = summary.run(
            content, place, workers=n_workers, listen=listen, say=say, stop_after=stop_after,
            imported=Place(imported) if imported else None,
        )  # fmt: skip
    if not outcome.runs and not outcome.is_stopped:
        what = "the search and its confirmation" if content.design.search else f"all {outcome.n_planned} trials"
        _say(f"Nothing to train: {what} are complete.")
    if result is not None:
        _say("")
        _say(str(result))
        _say("")
        for name, text in reporting.files(result).items():
            _say(f"wrote {reporting.write(place.root / content.name / name, text).as_posix()}")
    browse = f"ablate ui --tracking {place.uri}" if place.uri else "ablate ui"
    _say(f"browse the runs: {place.uri if place.by_server else browse}")
    _end(content, place, outcome)


def _smoke(study: "Study", workers: int) -> None:
    from ablate.forecast import smoke

    wrong = smoke(study, workers=workers)
    for label, error in wrong.items():
        _say(f"{label}: {'failed' if error else 'ok'}{chr(10) + error if error else ''}")
    n_failed = sum(map(bool, wrong.values()))
    _say(f"One step of {len(wrong)} settings trained, {n_failed} failed; nothing recorded.")
    if n_failed:
        sys.exit(1)


def _end(study: "Study", place: "Place", outcome: "Outcome") -> None:
    """Say what a user must know in the end, and leave with the exit code that says it to a script."""
    from ablate import display

    if outcome.is_stopped:
        n_done = outcome.n_already_complete + sum(run.state == "complete" for run in outcome.runs)
        _say(
            f"Stopped, as its time was over: {n_done}/{outcome.n_planned} trials are complete, and the same command goes "
            "on from there."
        )
    for sentence in display.concerns(study, place, outcome):
        _say(sentence, error=True)
    if outcome.n_waiting or outcome.is_edited or outcome.n_restarted:
        sys.exit(2)
    if outcome.failed:
        sys.exit(1)


@main.command()
@STUDY
@WORKERS
@TRACKING
@click.option("--sd", type=click.FloatRange(min=0, min_open=True), help=SD)
def plan(study: str, workers: int | None, tracking: str | None, sd: float | None) -> None:
    """Show what STUDY would train: settings, trials, their cost, and the time it would take.

    Every setting is built and a few of its steps are timed; nothing is trained or recorded.

    \b
    Example: ablate plan studies/attention.yml
    """
    from ablate import display, pool
    from ablate.forecast import forecast

    content = _read(study)
    n_workers = pool.default_workers(content.device) if workers is None else workers
    ahead = forecast(content, _place(tracking), sd=sd)
    for line in display.ahead(content, ahead, n_workers):
        _say(line)


@main.command()
@STUDY
@TRACKING
def status(study: str, tracking: str | None) -> None:
    """Show how far STUDY is: complete, failed and missing trials of each setting, and why trials failed.

    \b
    Example: ablate status attention
    """
    from ablate import display, summary

    place = _place(tracking)
    counts = summary.status(place, _name(study))
    searches = any(count.pruned for count in counts)
    heads = ("setting", "complete", *(("pruned",) if searches else ()), "failed", "missing")
    _say(display.columns([heads, *(tuple(str(getattr(count, head)) for head in heads) for count in counts)]))
    for count in counts:
        for seed, error in count.errors.items():
            _say(f"{count.setting}, seed {seed}: {error}")
    if any(count.errors for count in counts):
        _say("The whole traceback is the artifact traceback.txt of the run: ablate ui")


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
    from reports.latex import render
    from reports.report import PRINTED

    result = reporting.report(_place(tracking), _name(study), correction=correction)
    _say(str(result))
    outputs: list[tuple[Path, str]] = []
    tables = [table for table in result.tables if table.key in PRINTED]
    if csv is not None:
        outputs.append((csv, result.frame.to_csv(index=False)))
    if markdown is not None:
        outputs.append((markdown, "\n".join(table.to_markdown() for table in tables)))
    if latex is not None:
        outputs += [
            (latex / f"{_name(study)}{'' if i == 0 else '-effects'}.tex", render(t)) for i, t in enumerate(tables)
        ]
    for path, content in outputs:
        reporting.write(path, content)
        _say(f"wrote {path.as_posix()}")


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

    summary.export(_place(tracking), _name(study), optuna)
    _say(f"wrote {optuna.as_posix()}")


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

    place = _place(tracking)
    if place.is_new():
        raise StoreError(f"nothing has been run here: {place.database} does not exist")
    if place.by_server:
        _say(f"The records are on a server: open {place.address}")
        return
    _say(f"MLflow UI of {place.root.resolve()}: http://127.0.0.1:{port} (Ctrl-C ends it)")
    command = place.server_command(port)
    if os.name == "posix":
        os.execv(command[0], command)  # noqa: S606  # so that what ends this process ends the server
    sys.exit(subprocess.run(command, check=False).returncode)


@main.command()
@click.argument("slot", required=False)
@click.option("--markdown", is_flag=True, help="The blocks as a page, with a table of networks and slots.")
def blocks(slot: str | None, *, markdown: bool) -> None:
    """List what may fill each slot, with paper and options; SLOT shows one only.

    \b
    Example: ablate blocks attention
    """
    from ablate import display
    from blocks import catalogue

    if markdown:
        _say(catalogue.page(catalogue.read()).rstrip())
        return
    known = catalogue.read("blocks", "ablate.data", "ablate.tasks")
    if slot is not None and slot not in known.slots():
        raise catalogue.CatalogueError(catalogue.unknown("slot", slot, known.slots()))
    for line in display.entries(known, [slot] if slot else known.slots()):
        _say(line)


# -- glue --------------------------------------------------------------------------------------------------------


def _read(study: str) -> "Study":
    from ablate import config

    return config.read_study(study)


def _place(tracking: str | None) -> "Place":
    from ablate.place import Place

    return Place(Path("runs"), tracking or None)


def _name(study: str) -> str:
    """Return the name of a study given by name or by file; a file may say another name than its own."""
    return _read(study).name if study.endswith((".yml", ".yaml")) else study


@contextmanager
def _progress(study: "Study") -> "Iterator[tuple[Callable[[Progress], None], Callable[[str], None]]]":
    """Show a live bar on a terminal, plain lines elsewhere; beside it what is said meanwhile."""
    from ablate import display

    if not sys.stdout.isatty():
        yield lambda progress: _say(display.line(progress, study.metric)), _say
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("trials"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[said]}", markup=False))
    with Bar(*columns, console=Console(), transient=True) as bar:
        task = bar.add_task("", total=None, said="starting workers")

        def listen(progress: "Progress") -> None:
            said = []
            if progress.best is not None:
                label, value = progress.best
                said.append(f"best so far: {label} {display.score(value, study.metric)}")
            if progress.n_failed:
                said.append(f"{progress.n_failed} failed")
            if progress.seconds_left is not None:
                said.append(f"{display.duration(progress.seconds_left)} left")
            text = display.printable("; ".join(said) or "training", sys.stdout)
            bar.update(task, total=progress.n_planned, completed=progress.n_complete + progress.n_failed, said=text)

        yield listen, lambda text: bar.console.print(display.printable(text, sys.stdout), markup=False, highlight=False)
