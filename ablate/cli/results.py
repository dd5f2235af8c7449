"""Commands that show what has been run."""

import sys
from pathlib import Path

import click

from ablate.cli.group import main
from ablate.cli.options import STUDY, TRACKING, name_of, place_of, say


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
@STUDY
@click.argument("setting", metavar="SETTING")
@TRACKING
@click.option("--seed", type=int, help="Of the runs that are shown; else the first whose weights are kept.")
@click.option("--images", default=6, show_default=True, type=click.IntRange(1, 40), help="How many test images.")
@click.option("--layer", metavar="NAME", help="The module whose maps are shown; else the last in which the two differ.")
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Where the PNG goes.")
def show(
    study: str,
    setting: str,
    tracking: str | None,
    *,
    seed: int | None,
    images: int,
    layer: str | None,
    output: Path | None,
) -> None:
    """Draw what SETTING of STUDY looks at, beside the reference on the same images.

    Activations, Grad-CAM and how the block weighs its input, of the networks as they were trained. By default in
    runs/STUDY/show/SETTING.png.

    \b
    Example: ablate show attention cbam
    """
    from ablate import reporting
    from ablate import show as showing
    from reports.figures import save

    place, name = place_of(tracking), name_of(study)
    picture = showing.show(place, name, setting, seed=seed, n_images=images, layer=layer)
    path = reporting.write(output or showing.default_path(place, name, setting), save(picture, "png"))
    say(picture.alt)
    say(f"wrote {path.as_posix()}")


@main.command()
@click.argument("study", metavar="STUDY", required=False)
@TRACKING
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535), help="Where it listens.")
@click.option(
    "--browser/--no-browser", default=None, help="Whether to open a browser; it does on a terminal, of a named STUDY."
)
def ui(study: str | None, tracking: str | None, *, port: int, browser: bool | None) -> None:
    """Open the MLflow UI on the records in runs/, and on the runs of STUDY if it is named.

    \b
    Example: ablate ui attention --port 5001
    """
    import os
    import subprocess

    from ablate import reporting
    from ablate.errors import StoreError

    place = place_of(tracking)
    if place.is_new():
        raise StoreError(f"nothing has been run here: {place.database} does not exist")
    pages = reporting.open_records(place, name_of(study)).addresses() if study else {}
    server = place.address if place.by_server else f"http://127.0.0.1:{port}"
    for what, page in pages.items():
        say(f"{what:<8} {server}/{page}")
    if place.by_server:
        say(f"The records are on a server: open {place.address}")
        return
    say(f"MLflow UI of {place.root.resolve()}: {server} (Ctrl-C ends it)")
    if browser or (browser is None and study and sys.stdout.isatty()):
        _open_later(f"{server}/{pages.get('runs', '')}")
    command = place.server_command(port)
    if os.name == "posix":
        os.execv(command[0], command)  # noqa: S606  # so that what ends this process ends the server
    sys.exit(subprocess.run(command, check=False).returncode)


OPEN = """
import sys, time, urllib.request, webbrowser
for _ in range(120):
    time.sleep(0.5)
    try:
        urllib.request.urlopen(sys.argv[1].partition("#")[0], timeout=5).close()
    except OSError:
        continue
    webbrowser.open(sys.argv[1])
    break
"""


def _open_later(address: str) -> None:
    """Open a browser once the server answers: this process is about to become the server."""
    import subprocess

    subprocess.Popen(
        [sys.executable, "-c", OPEN, address],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
