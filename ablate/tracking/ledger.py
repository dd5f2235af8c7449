"""What one study has in a store: its experiment, its parent run, its runs and their files."""

import hashlib
import re
import tempfile
from pathlib import Path

from mlflow.entities import Experiment, Metric, Param, RunTag
from mlflow.entities import Run as Record

from ablate.errors import StoreError
from ablate.place import Place
from ablate.spool import Entry, write_whole
from ablate.tracking.rows import Interface, Tables
from ablate.tracking.store import Store, folder_of, said, speaking

FORMAT = 1  # of what is written of a run; a store that says a higher one is refused
BATCH = 900  # points a call; with the params, at most 1,000 values
MOST_PARAMS = 100  # a call


class Ledger:
    """The experiment of one study, and all that is written into it.

    Attributes:
        experiment: None before there is one.
        parent: the run that the study's runs hang under; None before there is one.
        rows: reads runs.

    Raises:
        StoreError: if the store cannot be read, or something newer has written it.
    """

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name
        self.client = store.client
        self.rows = Tables(store.engine) if store.engine is not None else Interface(store.client)
        self._logged: dict[str, dict[str, int]] = {}  # by open run and metric, the last epoch that is written
        with said(self.place):
            self.experiment: Experiment | None = self.client.get_experiment_by_name(name)
            self._check()
            self.parent = self._find_parent()

    @property
    def place(self) -> Place:
        """Where the store is."""
        return self.store.place

    def _check(self) -> None:
        if self.experiment is None:
            return
        if self.experiment.lifecycle_stage == "deleted":
            raise StoreError(
                f"the experiment {self.name!r} has been deleted in MLflow: restore it (mlflow experiments restore "
                f"--experiment-id {self.experiment.experiment_id}), or give the study another name"
            )
        found = self.experiment.tags.get("ablate.format", str(FORMAT))
        if not found.isdecimal() or int(found) > FORMAT:
            raise StoreError(
                f"study {self.name!r} in {self.place.address} was written by a newer ablate (format {found}; this one "
                f"knows up to {FORMAT}): install the newer one, or give the study another name"
            )

    def _find_parent(self) -> Record | None:
        if self.experiment is None:
            return None
        found = self.client.search_runs(
            [self.experiment.experiment_id], "tags.`ablate.kind` = 'study'", max_results=1, order_by=["start_time ASC"]
        )
        return found[0] if found else None

    def open(self) -> str:
        """Return the number of the experiment; it is made where there is none.

        Raises:
            StoreError: if the store is read-only.
        """
        if self.store.read_only:
            raise StoreError(f"{self.place.root} cannot be written: it is read-only")
        if self.experiment is None:
            # An address relative to the store's own files: the folder can be moved, and `ablate ui` finds them.
            slug = re.sub(r"[^A-Za-z0-9_-]+", "-", self.name).strip("-")
            place = f"mlflow-artifacts:/{slug}-{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"
            location = None if self.place.by_server else place
            # MLflow's UI shows experiments that do not say so as those of a chat bot.
            tags = {"mlflow.experimentKind": "custom_model_development", "ablate.format": str(FORMAT)}
            number = self.client.create_experiment(self.name, artifact_location=location, tags=tags)
            self.experiment = self.client.get_experiment(number)
        return str(self.experiment.experiment_id)

    def begun(self) -> Record:
        """Return the parent run.

        Raises:
            StoreError: if there is none.
        """
        if self.parent is None:
            raise StoreError(f"study {self.name!r} has not been run here ({self.place.address})")
        return self.parent

    # -- runs ----------------------------------------------------------------------------------------------------

    @speaking
    def write(self, entry: Entry, *, first: bool = False) -> None:
        """Write what has ended; to repeat it changes nothing, so that a lost answer does no harm.

        Args:
            entry: what to write.
            first: nothing of this attempt has been sent yet, so there is no need to look for it.
        """
        found = [] if first else self.rows.of_attempt(self.open(), entry.attempt)
        if any(row.status in ("FINISHED", entry.status) for row in found):
            return
        record = self.client.get_run(found[0].run_id) if found else self._create(entry)
        run_id = record.info.run_id
        if found:  # what only the end knows
            self.client.log_batch(run_id, tags=[RunTag(k, v) for k, v in entry.tags.items()])
        self._log(run_id, entry)
        for name, content in entry.files.items():
            self.put(record, name, content)
        self.client.set_terminated(run_id, entry.status, entry.ended)
        self._logged.pop(run_id, None)

    @speaking
    def progress(self, entry: Entry) -> None:
        """Write what there is of a running attempt and not written yet; nothing if it has ended."""
        found = self.rows.of_attempt(self.open(), entry.attempt)
        if any(row.status != "RUNNING" for row in found):
            return
        self._log(found[0].run_id if found else self._create(entry).info.run_id, entry)

    def _create(self, entry: Entry) -> Record:
        hangs = {} if self.parent is None else {"mlflow.parentRunId": self.parent.info.run_id}
        return self.client.create_run(self.open(), entry.started, {**entry.tags, **hangs}, entry.name)

    def _log(self, run_id: str, entry: Entry) -> None:
        """Write params, and the points that are not written yet."""
        logged = self._logged.get(run_id, {})
        params = [] if logged else [Param(k, v) for k, v in entry.params.items()]
        metrics = [Metric(*point) for point in entry.points if point[3] > logged.get(point[0], -1)]
        while params or metrics:
            self.client.log_batch(run_id, metrics[:BATCH], params[:MOST_PARAMS])
            params, metrics = params[MOST_PARAMS:], metrics[BATCH:]
        if entry.ended is None:
            self._logged[run_id] = logged | {name: epoch for name, _, _, epoch in entry.points}

    # -- files ---------------------------------------------------------------------------------------------------

    def put(self, record: Record, name: str, content: bytes | Path) -> None:
        """Keep a file with a run."""
        if not self.place.by_server:
            path = folder_of(self.place, record.info.artifact_uri or "") / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(name).name
            write_whole(path, content)
            inside = Path(name).parent.as_posix()
            self.client.log_artifact(record.info.run_id, str(path), None if inside == "." else inside)

    def get(self, record: Record, name: str) -> str:
        """Return the text of a file that is kept with a run."""
        if self.place.by_server:
            with tempfile.TemporaryDirectory() as folder:
                return Path(self.client.download_artifacts(record.info.run_id, name, folder)).read_text("utf-8")
        path = folder_of(self.place, record.info.artifact_uri or "") / name
        if not path.is_file():
            raise StoreError(f"study {self.name!r}: {path} is missing; `ablate run` writes it again")
        return path.read_text(encoding="utf-8")
