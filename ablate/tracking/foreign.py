"""Runs that others recorded in MLflow."""

from mlflow.entities import ViewType

from ablate.errors import StoreError
from ablate.place import Place
from ablate.tracking.store import Store, said
from blocks.catalogue import unknown


def rows(place: Place, name: str) -> list[dict[str, str]]:
    """Return one row a run of an experiment, given by name or number, the earliest first.

    Columns are `params.NAME`, `metrics.NAME` (the last value), `tags.NAME` without MLflow's own, `status` and `run_id`.

    Raises:
        StoreError: if there is no such experiment, naming the nearest, or the store cannot be read.
    """
    store = Store(place)
    with said(place):
        known = {str(one.experiment_id): str(one.name) for one in store.client.search_experiments(max_results=1000)}
        numbers = [number for number, other in known.items() if name in (other, number)]
        if not numbers:
            raise StoreError(unknown("experiment", name, known.values()))
        found: list[dict[str, str]] = []
        token: str | None = None
        while True:
            page = store.client.search_runs(
                numbers[:1], "", ViewType.ACTIVE_ONLY, 1000, order_by=["start_time ASC"], page_token=token
            )
            found += [
                {f"params.{key}": value for key, value in run.data.params.items()}
                | {f"metrics.{key}": repr(value) for key, value in run.data.metrics.items()}
                | {f"tags.{key}": value for key, value in run.data.tags.items() if not key.startswith("mlflow.")}
                | {"status": run.info.status, "run_id": run.info.run_id}
                for run in page
            ]
            token = page.token
            if not token:
                return found
