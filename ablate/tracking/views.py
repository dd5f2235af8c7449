"""Where MLflow's pages show a study: the views that are set up for it, and their addresses."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

VIEW = "ablate"
# Where MLflow keeps a view that is shared by its address.
TAG = f"mlflow.sharedViewState.{VIEW}"
ONLY_TRIALS = "tags.`ablate.kind` = 'trial'"
MOST_COMPARED = 12  # columns of MLflow's comparison that can be read


def view_of(planned: Mapping[str, Any]) -> str:
    """Return the table of a study's runs as MLflow keeps it: the best first, with what was chosen and what came out."""
    metric = planned["metric"]
    scores = [one["name"] for one in (metric, *planned["metrics"])]
    state = {
        "searchFilter": ONLY_TRIALS,
        "orderByKey": f"metrics.`{metric['name']}`",
        "orderByAsc": not metric["higher_is_better"],
        "selectedColumns": [
            *(f"metrics.`{name}`" for name in scores),
            *(f"params.`{name}`" for name in (*planned["slots"], "seed")),
        ],
    }
    return json.dumps(state, ensure_ascii=False)


def addresses(
    experiment: str, study: str, *, compared: Sequence[str], has_view: bool, has_report: bool
) -> dict[str, str]:
    """Return the addresses of a study's pages below that of MLflow, by what they show.

    Args:
        experiment: its number.
        study: the run that the others hang under.
        compared: the runs that are to be seen beside each other.
        has_view: whether the experiment has the table of `view_of`, which an older ablate did not set up.
        has_report: whether the study's run keeps a report.
    """
    runs = f"#/experiments/{experiment}/runs"
    shown = f"viewStateShareKey={VIEW}" if has_view else f"searchFilter={quote(ONLY_TRIALS)}"
    found = {"runs": f"{runs}?{shown}", "study": f"{runs}/{study}"}
    if len(compared) > 1:
        both = [quote(json.dumps(list(listed), separators=(",", ":"))) for listed in (compared, [experiment])]
        found["compare"] = f"#/compare-runs?runs={both[0]}&experiments={both[1]}"
    if has_report:
        found["report"] = f"{runs}/{study}/artifacts/report/index.html"
    return found
