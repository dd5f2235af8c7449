"""The final weights of runs, where they are kept."""

import tempfile
from pathlib import Path

from ablate.place import Place
from ablate.tracking.store import Store, files_of, said

NAME = "weights.pt"


def weights(place: Place, run_id: str) -> bytes | None:
    """Return the weights of a run; None where they are not kept.

    Raises:
        StoreError: if the store cannot be read.
    """
    store = Store(place)
    with said(place):
        if place.by_server:
            if NAME not in [one.path for one in store.client.list_artifacts(run_id)]:
                return None
            with tempfile.TemporaryDirectory() as folder:
                return Path(store.client.download_artifacts(run_id, NAME, folder)).read_bytes()
        path = files_of(place, store.client.get_run(run_id).info.artifact_uri or "").get(NAME)
        return path.read_bytes() if path is not None else None
