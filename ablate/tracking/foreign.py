"""Runs that others recorded in MLflow."""

from mlflow.entities import ViewType

from ablate.errors import StoreError
from ablate.place import Place
from ablate.tracking.store import Store, said
from blocks.catalogue import unknown


def runs(place: Place, name: str) -> tuple[str, list[tuple[str, dict[str, str]]]]:
    """Return the name of an experiment, given that or its number, and its runs, the earliest first, each with its id.

    Columns are `params.NAME`, `metrics.NAME` (the last value), `tags.NAME` without MLflow's own, `status` and `run_id`.

    Raises:
        StoreError: if there is no such experiment, naming the nearest, or the store cannot be read.
    """
    store = Store(place)
    with said(place):
        known = store.experiments()
        number = next((number for number, other in known.items() if other == name), name)
        if number not in known:
            raise StoreError(unknown("experiment", name, known.values()))
        found: list[tuple[str, dict[str, str]]] = []
        token: str | None = None
        while True:
            page = store.client.search_runs(
                [number], "", ViewType.ACTIVE_ONLY, 1000, order_by=["start_time ASC"], page_token=token
            )
            found += [
                (
                    f"run {run.info.run_id}",
                    {f"params.{key}": value for key, value in run.data.params.items()}
                    | {f"metrics.{key}": repr(value) for key, value in run.data.metrics.items()}
                    | {f"tags.{key}": value for key, value in run.data.tags.items() if not key.startswith("mlflow.")}
                    | {"status": run.info.status, "run_id": run.info.run_id},
                )
                for run in page
            ]
            token = page.token
            if not token:
                return known[number], found
