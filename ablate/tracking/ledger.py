"""What one study has in a store: its experiment, its parent run, its runs and their files."""

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.errors import StoreError
from ablate.place import Place
from ablate.spool import Entry, write_whole
from ablate.tracking.rows import Experiment, Head, head_of
from ablate.tracking.store import Store, files_of, folder_of, said, speaking

if TYPE_CHECKING:
    import mlflow

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
        self.rows = store.rows
        self._logged: dict[str, dict[str, int]] = {}  # by open run and metric, the last epoch that is written
        with said(self.place):
            self.experiment = self.rows.experiment(name)
            self._check()
            self.parent = self.rows.parent(self.experiment.number) if self.experiment else None

    @property
    def place(self) -> Place:
        """Where the store is."""
        return self.store.place

    @property
    def client(self) -> "mlflow.MlflowClient":
        """MLflow's own, for what is written."""
        return self.store.client

    def _check(self) -> None:
        if self.experiment is None:
            return
        if self.experiment.stage == "deleted":
            raise StoreError(
                f"the experiment {self.name!r} has been deleted in MLflow: restore it (mlflow experiments restore "
                f"--experiment-id {self.experiment.number}), or give the study another name"
            )
        found = self.experiment.tags.get("ablate.format", str(FORMAT))
        if not found.isdecimal() or int(found) > FORMAT:
            raise StoreError(
                f"study {self.name!r} in {self.place.address} was written by a newer ablate (format {found}; this one "
                f"knows up to {FORMAT}): install the newer one, or give the study another name"
            )

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
            self.experiment = Experiment(str(number), "active", tags)
        return self.experiment.number

    def note(self, key: str, value: str) -> None:
        """Write a tag of the experiment, unless it says so already."""
        number = self.open()
        if self.experiment is not None and self.experiment.tags.get(key) != value:
            self.client.set_experiment_tag(number, key, value)
            self.experiment.tags[key] = value

    def begun(self) -> Head:
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
        head = head_of(self.client.get_run(found[0].run_id)) if found else self._create(entry)
        run_id = head.run_id
        if found:  # what only the end knows
            self.tag(run_id, entry.tags)
        self._log(run_id, entry)
        for name, content in entry.files.items():
            self.put(head, name, content)
        self.client.set_terminated(run_id, entry.status, entry.ended)
        self._logged.pop(run_id, None)

    @speaking
    def progress(self, entry: Entry) -> None:
        """Write what there is of a running attempt and not written yet; nothing if it has ended."""
        found = self.rows.of_attempt(self.open(), entry.attempt)
        if any(row.status != "RUNNING" for row in found):
            return
        self._log(found[0].run_id if found else self._create(entry).run_id, entry)

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Write tags of a run in one call."""
        from mlflow.entities import RunTag  # noqa: PLC0415  # MLflow takes 2 s to import; who only reads does without

        self.client.log_batch(run_id, tags=[RunTag(k, v) for k, v in tags.items()])

    def _create(self, entry: Entry) -> Head:
        hangs = {} if self.parent is None else {"mlflow.parentRunId": self.parent.run_id}
        return head_of(self.client.create_run(self.open(), entry.started, {**entry.tags, **hangs}, entry.name))

    def _log(self, run_id: str, entry: Entry) -> None:
        """Write params, and the points that are not written yet."""
        from mlflow.entities import Metric, Param  # noqa: PLC0415  # as in `tag`

        logged = self._logged.get(run_id, {})
        params = [] if logged else [Param(k, v) for k, v in entry.params.items()]
        metrics = [Metric(*point) for point in entry.points if point[3] > logged.get(point[0], -1)]
        while params or metrics:
            self.client.log_batch(run_id, metrics[:BATCH], params[:MOST_PARAMS])
            params, metrics = params[MOST_PARAMS:], metrics[BATCH:]
        if entry.ended is None:
            self._logged[run_id] = logged | {name: epoch for name, _, _, epoch in entry.points}

    # -- files ---------------------------------------------------------------------------------------------------

    def put(self, run: Head, name: str, content: bytes | Path) -> None:
        """Keep a file with a run."""
        if not self.place.by_server:
            path = folder_of(self.place, run.address) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(name).name
            write_whole(path, content)
            inside = Path(name).parent.as_posix()
            self.client.log_artifact(run.run_id, str(path), None if inside == "." else inside)

    def has(self, run: Head, name: str) -> bool:
        """Tell whether a file is kept with a run."""
        if not self.place.by_server:
            return (folder_of(self.place, run.address) / name).is_file()
        return name in self._listed(run, Path(name).parent.as_posix())

    def get(self, run: Head, name: str) -> str:
        """Return the text of a file that is kept with a run."""
        if self.place.by_server:
            with tempfile.TemporaryDirectory() as folder:
                return Path(self.client.download_artifacts(run.run_id, name, folder)).read_text("utf-8")
        path = folder_of(self.place, run.address) / name
        if not path.is_file():
            raise StoreError(f"study {self.name!r}: {path} is missing; `ablate run` writes it again")
        return path.read_text(encoding="utf-8")

    def replace(self, run: Head, folder: str, files: Mapping[str, bytes]) -> None:
        """Keep these files in a folder of a run, and no others.

        Raises:
            StoreError: if the store is read-only.
        """
        self.open()
        for name, content in files.items():
            self.put(run, f"{folder}/{name}", content)
        left = {f"{folder}/{name}" for name in files}
        if not self.place.by_server:
            for name, path in files_of(self.place, run.address).items():
                if name.startswith(f"{folder}/") and name not in left:
                    path.unlink()
                    with suppress(OSError):
                        path.parent.rmdir()  # where it was the last
            return
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository  # noqa: PLC0415  # as in `tag`

        repository = get_artifact_repository(run.address, tracking_uri=self.place.address)
        for name in self._listed(run, folder):
            if name not in left:
                repository.delete_artifacts(name)  # type: ignore[no-untyped-call]

    def _listed(self, run: Head, folder: str) -> Iterator[str]:
        for entry in self.client.list_artifacts(run.run_id, folder):
            if entry.is_dir:
                yield from self._listed(run, entry.path)
            else:
                yield entry.path
