"""Runs as a data frame, one row each."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ablate.study import RunState
from ablate.tracking.rows import Histories, Row

if TYPE_CHECKING:
    import pandas as pd

COSTS = ("params", "macs", "latency_ms", "seconds")


def frame_of(planned: Mapping[str, Any], rows: Iterable[Row], *, selection: bool) -> "pd.DataFrame":
    """Return the runs of planned trials, in the order of the plan.

    Args:
        planned: what was planned.
        rows: the runs, each of one of the trials that are wanted.
        selection: whether those of the search are wanted.
    """
    import pandas as pd  # noqa: PLC0415  # 0.6 s that planning and recording do not need

    settings = planned["selected" if selection else "settings"]
    trials = {identity: (label, seed) for label, seed, identity in planned["selection" if selection else "trials"]}
    lines = []
    for row in rows:
        label, seed = trials[row.identity]
        complete = row.state is RunState.COMPLETE
        lines.append(
            {"study": planned["study"], "setting": label}
            | {f"slot.{slot}": settings[label].get(slot) for slot in planned["slots"]}
            | {"seed": seed, "state": row.state.value}
            | {"scores": {name: value for name, value in row.metrics.items() if complete and name not in COSTS}}
            | {name: row.metrics.get(name) for name in COSTS}
            | {"started": datetime.fromtimestamp(row.started / 1000, UTC), "run_id": row.run_id}
        )
    order = {label: i for i, label in enumerate(settings)}
    lines.sort(key=lambda line: (order[line["setting"]], line["seed"], line["started"]))
    declared = [metric["name"] for metric in (planned["metric"], *planned["metrics"])]
    names = dict.fromkeys([*declared, *(name for line in lines for name in line["scores"])])
    columns = [
        "study", "setting", *(f"slot.{slot}" for slot in planned["slots"]), "seed", "state", *names, *COSTS, "started",
        "run_id",
    ]  # fmt: skip
    frame = pd.DataFrame([{**line, **line.pop("scores")} for line in lines], columns=columns)
    for name in (*names, *COSTS):
        frame[name] = frame[name].astype("float64")
    return frame


def curves_of(frame: "pd.DataFrame", histories: Histories) -> "pd.DataFrame":
    """Return the points of runs, in the order of the frame's rows and of the epochs."""
    import pandas as pd  # noqa: PLC0415  # as above

    rows = zip(frame["run_id"], frame["setting"], frame["seed"], strict=True)
    points = [
        (setting, seed, epoch, value) for run_id, setting, seed in rows for epoch, value in histories.get(run_id, ())
    ]
    curves = pd.DataFrame(points, columns=["setting", "seed", "epoch", "value"])
    return curves.astype({"setting": frame["setting"].dtype, "seed": "int64", "epoch": "int64", "value": "float64"})
