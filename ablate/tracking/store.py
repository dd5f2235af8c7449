"""An MLflow store: opened, looked at before MLflow is, and its faults said in sentences."""

import contextlib
import errno
import logging
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator
from functools import cached_property, update_wrapper
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

import sqlalchemy

from ablate.errors import AwayError, StoreError
from ablate.place import Place
from ablate.spool import unwritable
from ablate.tracking import schema
from ablate.tracking.rows import Interface, Tables

if TYPE_CHECKING:
    import mlflow

# What MLflow says of its own tables while it makes them is no news to a user, and what goes wrong is said by us.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
logging.getLogger("alembic").setLevel(logging.WARNING)

NO_SPACE = 65_536  # bytes; a disk with less is full, whatever SQLite calls it


@sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
def _quick_and_safe(connection: Any, _: Any) -> None:
    """Let SQLite write ahead: half the time per run; a killed process loses nothing, a power cut the last runs."""
    if type(connection).__module__.startswith("sqlite3"):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")


class Store:
    """An opened store.

    A folder that cannot be written, or must not be, is read from a copy of its database in a temporary folder.

    Attributes:
        engine: for reading its tables; None by a server.
        rows: reads what is in it.
        read_only: whether nothing can be written.

    Raises:
        StoreError: if it cannot be opened.
    """

    def __init__(self, place: Place, *, copy: bool = False) -> None:
        self.place = place
        self.read_only = copy or (place.uri is None and place.database.exists() and not _is_writable(place))
        with said(place):
            self._address = _copied(self, place) if self.read_only else place.address
            if place.uri is None and not self.read_only:
                place.root.mkdir(parents=True, exist_ok=True)
            self.engine: sqlalchemy.Engine | None = None
            is_new = False
            if not place.by_server:
                self.engine, is_new = _look(place, self._address)
            # With MLflow's workspaces there may be several experiments of one name, and it alone knows which is meant.
            by_tables = self.engine is not None and not os.environ.get("MLFLOW_ENABLE_WORKSPACES")
            self.rows = Tables(self.engine) if self.engine and by_tables else Interface(self.client)
            if is_new or not by_tables:
                self.client.search_experiments(max_results=1)  # makes the tables, or tells that a server is there

    def experiments(self) -> dict[str, str]:
        """Return the names of the experiments that are not deleted, by their number."""
        return self.rows.experiments()

    @cached_property
    def client(self) -> "mlflow.MlflowClient":
        """MLflow's own: it writes; to read tables it need not be imported, which takes longer than reading them."""
        import mlflow  # noqa: PLC0415  # as said

        return mlflow.MlflowClient(tracking_uri=self._address)


def _is_writable(place: Place) -> bool:
    return os.access(place.root, os.W_OK) and os.access(place.database, os.W_OK)


def _copied(owner: Store, place: Place) -> str:
    """Copy the database of a folder, with what SQLite has not yet put into it, and return the copy's address."""
    if not place.database.is_file():
        raise StoreError(f"nothing has been run in {place.root}: {place.database} does not exist")
    folder = Path(tempfile.mkdtemp(prefix="ablate-"))
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    before = place.database.stat().st_mtime_ns
    for name in (place.database.name, f"{place.database.name}-wal"):
        if (place.root / name).is_file():
            shutil.copyfile(place.root / name, folder / name)
    if place.database.stat().st_mtime_ns != before:
        raise StoreError(f"{place.database} is being written: wait for the study that is run there, or stop it")
    return Place(folder).address


def _look(place: Place, address: str) -> tuple[sqlalchemy.Engine, bool]:
    """Open a database for reading, say whether it is new, and refuse what MLflow would try again for minutes."""
    try:
        engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool)
    except ImportError as error:
        raise StoreError(f"the store {place.address} needs a driver that is not installed: {error}") from error
    with engine.connect() as connection:
        if not sqlalchemy.inspect(connection).has_table("alembic_version"):
            return engine, True
        found = str(connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).scalar())
    if found == schema.newest():
        return engine, False
    from alembic.script import ScriptDirectory  # noqa: PLC0415  # 0.2 s, where something is wrong

    known = ScriptDirectory(str(schema.migrations()))
    if found == (ours := known.get_current_head()):
        return engine, False
    if any(found == script.revision for script in known.walk_revisions()):
        raise StoreError(
            f"the store {place.address} was written by an older MLflow (its schema is {found}, MLflow "
            f"{version('mlflow')} has {ours}): make a copy of it, then `mlflow db upgrade {place.address}`"
        )
    raise StoreError(
        f"the store {place.address} was written by a newer MLflow (its schema is {found}, unknown to MLflow "
        f"{version('mlflow')}): install the MLflow that wrote it"
    )


def settle(place: Place) -> None:
    """Put all that is in a folder's database into one file, so that whoever copies that copies everything."""
    with contextlib.closing(sqlite3.connect(place.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def folder_of(place: Place, address: str) -> Path:
    """Return where the files of a run lie, given MLflow's address of them."""
    return place.artifacts / address.removeprefix("mlflow-artifacts:/")


def files_of(place: Place, address: str) -> dict[str, Path]:
    """Return the files of a run by name, given MLflow's address of them."""
    folder = folder_of(place, address)
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


# -- faults ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def said(place: Place) -> Iterator[None]:
    """Say in a sentence what MLflow, its database or its server raise."""
    try:
        yield
    except Exception as error:
        if isinstance(error, (sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, OSError, *_foreign())):
            raise _sentence(place, error) from error
        raise


def _foreign() -> tuple[type[Exception], ...]:
    """Return the faults of MLflow and of its way to a server; nobody can raise them who has not imported them."""
    known = (("mlflow.exceptions", "MlflowException"), ("requests", "RequestException"))
    return tuple(getattr(sys.modules[module], name) for module, name in known if module in sys.modules)


class _Placed(Protocol):
    @property
    def place(self) -> Place: ...


P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound=_Placed)


def speaking(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Let a method of what has a place raise sentences."""

    def with_sentences(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with said(self.place):
            return method(self, *args, **kwargs)

    update_wrapper(with_sentences, method)
    return with_sentences


def _sentence(place: Place, error: Exception) -> StoreError:
    text = str(error).strip()
    first = text.splitlines()[0] if text else type(error).__name__
    by_file = place.address.startswith("sqlite")
    if _is_full(place, error, text):
        return StoreError(unwritable(place.root, OSError(errno.ENOSPC, "")))
    if by_file and re.search(r"readonly database|unable to open database", text):
        return StoreError(f"{place.root} cannot be written: it is read-only, or not yours ({first})")
    if isinstance(error, OSError) and not isinstance(error, _foreign()):  # requests' are OSErrors too
        return StoreError(unwritable(place.root, error))
    if _is_away(place, error, text, by_file=by_file):
        return AwayError(f"the store {place.address} cannot be reached: {first}")
    return StoreError(f"the store {place.address} cannot be read or written: {first}")


def _is_full(place: Place, error: Exception, text: str) -> bool:
    if place.by_server:
        return False
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    if "disk is full" in text:
        return True
    return "disk I/O error" in text and shutil.disk_usage(place.root).free < NO_SPACE


def _is_away(place: Place, error: Exception, text: str, *, by_file: bool) -> bool:
    """Tell whether what went wrong may go right later."""
    if by_file:
        return "locked" in text or "busy" in text
    if hasattr(error, "get_http_status_code"):  # MLflow's
        status = int(error.get_http_status_code())
        return status in (408, 429, 503) or (place.by_server and status >= 500)
    return isinstance(error, (sqlalchemy.exc.OperationalError, *_foreign()))
