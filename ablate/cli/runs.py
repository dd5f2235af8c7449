"""Commands that run a study, or say what it would run and how far it is."""

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ablate.cli.group import main
from ablate.cli.options import STUDY, TRACKING, WORKERS, Duration, name_of, place_of, read_study, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ablate.place import Place
    from ablate.progress import Outcome, Progress
    from ablate.study import Study

SD = "What paired scores scatter by, such as 0.003; that of the runs so far unless given."


@main.command()
@STUDY
@WORKERS
@TRACKING
@click.option("--smoke", is_flag=True, help="Train one step of every setting and record nothing.")
@click.option("--stop-after", type=Duration(), help="Stop after so long (11h, 90m), with everything recorded.")
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
    from ablate.cli import terminal
    from ablate.place import Place

    content, place = read_study(study), place_of(tracking)
    n_workers = pool.default_workers(content.device) if workers is None else workers
    if smoke:
        _smoke(content, n_workers)
        return
    say(f"Records: {place.address if place.uri else place.root.resolve()}")
    say(f"Study {content.name}: {content.question}".rstrip(": "))
    with _progress(content) as (listen, tell):
        outcome, result = summary.run(
            content, place, workers=n_workers, listen=listen, say=tell, stop_after=stop_after,
            imported=Place(imported) if imported else None,
        )  # fmt: skip
    if not outcome.runs and not outcome.is_stopped:
        what = "the search and its confirmation" if content.design.search else f"all {outcome.n_planned} trials"
        say(f"Nothing to train: {what} are complete.")
    if result is not None:
        say("")
        terminal.show(result)
        for name, text in reporting.files(result).items():
            say(f"wrote {reporting.write(place.root / content.name / name, text).as_posix()}")
    where = f" --tracking {place.uri}" if place.uri else ""
    if result is not None:
        say(f"a page to read: ablate report {content.name}{where}")
    say(f"browse the runs: {place.uri if place.by_server else f'ablate ui{where}'}")
    _end(content, place, outcome)


def _smoke(study: "Study", workers: int) -> None:
    from ablate.forecast import smoke

    wrong = smoke(study, workers=workers)
    for label, error in wrong.items():
        say(f"{label}: {'failed' if error else 'ok'}{chr(10) + error if error else ''}")
    n_failed = sum(map(bool, wrong.values()))
    say(f"One step of {len(wrong)} settings trained, {n_failed} failed; nothing recorded.")
    if n_failed:
        sys.exit(1)


def _end(study: "Study", place: "Place", outcome: "Outcome") -> None:
    """Say what a user must know in the end, and leave with the exit code that says it to a script."""
    from ablate import display

    if outcome.is_stopped:
        n_done = outcome.n_already_complete + sum(run.state == "complete" for run in outcome.runs)
        say(
            f"Stopped, as its time was over: {n_done}/{outcome.n_planned} trials are complete, and the same command goes "
            "on from there."
        )
    for sentence in display.concerns(study, place, outcome):
        say(sentence, error=True)
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

    content = read_study(study)
    n_workers = pool.default_workers(content.device) if workers is None else workers
    ahead = forecast(content, place_of(tracking), sd=sd)
    for line in display.ahead(content, ahead, n_workers):
        say(line)


@main.command()
@STUDY
@TRACKING
def status(study: str, tracking: str | None) -> None:
    """Show how far STUDY is: complete, failed and missing trials of each setting, and why trials failed.

    \b
    Example: ablate status attention
    """
    from ablate import display, summary

    place = place_of(tracking)
    counts = summary.status(place, name_of(study))
    searches = any(count.pruned for count in counts)
    heads = ("setting", "complete", *(("pruned",) if searches else ()), "failed", "missing")
    say(display.columns([heads, *(tuple(str(getattr(count, head)) for head in heads) for count in counts)]))
    for count in counts:
        for seed, error in count.errors.items():
            say(f"{count.setting}, seed {seed}: {error}")
    if any(count.errors for count in counts):
        say("The whole traceback is the artifact traceback.txt of the run: ablate ui")


@contextmanager
def _progress(study: "Study") -> "Iterator[tuple[Callable[[Progress], None], Callable[[str], None]]]":
    """Show a live bar on a terminal, plain lines elsewhere; beside it what is said meanwhile."""
    from ablate import display

    if not sys.stdout.isatty():
        yield lambda progress: say(display.line(progress, study.metric)), say
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
