"""Ablation experiments for vision networks: declare a study, run it, print the table for the paper."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ablate.study import Study
    from reports.report import Report

__version__ = "0.1.0"
__all__ = ["read_study", "run"]


def read_study(path: str | Path, *, own_training: bool = False) -> "Study":
    """Read and check a study, given by its path or by the name of one that comes with the package.

    Args:
        path: the path or name.
        own_training: the scores come from a training function of your own, so a metric may have any name.

    Raises:
        ablate.errors.StudyError: naming every problem, each with its place.
    """
    from ablate import config  # noqa: PLC0415  # `import ablate` stays quick

    return config.read_study(path, own_training=own_training)


def run(
    study: "str | Path | Study",
    *,
    train: "Callable[..., Iterator[Any]] | None" = None,
    workers: int | None = None,
    runs: str | Path = "runs",
    tracking: str | None = None,
    quiet: bool = False,
    stop_after: float | None = None,
) -> "Report":
    """Run what a study still lacks, record it, and return the report: the frame of all runs and the tables.

    Args:
        study: a path, the name of a study that comes with the package, or a study that has been read.
        train: your own training function, called as `train(network, data, recipe, seed)`; a generator that yields
            `ablate.train.Progress(epoch, scores, state)`.
        workers: processes; one per core if not given; 0 runs everything in this process.
        runs: the folder of the records.
        tracking: the address of another MLflow store or server.
        quiet: print nothing.
        stop_after: seconds after which to stop, with everything recorded.

    Raises:
        ablate.errors.AblateError: if the study cannot run; nothing is lost then.
    """
    from ablate import display, pool, summary  # noqa: PLC0415  # `import ablate` stays quick
    from ablate.errors import AblateError, StoreError  # noqa: PLC0415
    from ablate.place import Place  # noqa: PLC0415
    from ablate.study import Study  # noqa: PLC0415

    if not isinstance(study, Study):
        study = read_study(study, own_training=train is not None)
    place = Place(Path(runs), tracking)
    metric = study.metric
    say = (lambda _: None) if quiet else display.say
    say(f"Records: {place.address if place.uri else place.root.resolve()}")
    outcome, result = summary.run(
        study, place, workers=pool.default_workers(study.device) if workers is None else workers, training=train,
        listen=lambda progress: say(display.line(progress, metric)), say=say, stop_after=stop_after,
    )  # fmt: skip
    if outcome.n_waiting:
        raise StoreError(f"{place.address} is away: {outcome.n_waiting} runs wait for it; call this again later")
    if result is None:
        raise AblateError("the time was over before a trial was complete: call this again, and it goes on")
    return result
