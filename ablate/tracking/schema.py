"""MLflow's tables, with the columns that are read here: to import its own takes longer than to read all runs."""

import re
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import column, table

EXPERIMENTS = table("experiments", column("experiment_id"), column("name"), column("lifecycle_stage"))
EXPERIMENT_TAGS = table("experiment_tags", column("experiment_id"), column("key"), column("value"))
RUNS = table(
    "runs", column("run_uuid"), column("experiment_id"), column("name"), column("status"), column("lifecycle_stage"),
    column("start_time"), column("end_time"), column("artifact_uri"),
)  # fmt: skip
TAGS = table("tags", column("run_uuid"), column("key"), column("value"))
PARAMS = table("params", column("run_uuid"), column("key"), column("value"))
METRICS = table(
    "metrics", column("run_uuid"), column("key"), column("value"), column("is_nan"), column("timestamp"), column("step")
)
LATEST = table("latest_metrics", column("run_uuid"), column("key"), column("value"), column("is_nan"))


def migrations() -> Path:
    """Return the folder in which the installed MLflow keeps the versions of its tables."""
    found = find_spec("mlflow")
    return Path(next(iter((found and found.submodule_search_locations) or []))) / "store" / "db_migrations"


def newest() -> str:
    """Return the version of its tables that the installed MLflow writes; empty if its files do not tell at a glance."""
    steps: dict[str, str] = {}
    for path in (migrations() / "versions").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        step = re.search(r"^revision = \"(\w+)\"$", text, re.MULTILINE)
        before = re.search(r"^down_revision = (?:\"(\w+)\"|None)$", text, re.MULTILINE)
        if step and before:
            steps[step[1]] = before[1]
    ends = steps.keys() - set(steps.values())
    return ends.pop() if len(ends) == 1 else ""
