"""Results of others as rows of text: from a file, an MLflow experiment, or an Optuna study; what is read stays as it is."""

import contextlib
import csv
import io
import json
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ablate.errors import AblateError, StoreError
from ablate.place import Place
from blocks.catalogue import unknown

KINDS = {".csv": ",", ".tsv": "\t"}
LINES = (".jsonl", ".ndjson")
LONGEST_CELL = 2**31 - 1  # in characters: exports hold whole configurations in one cell
NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]+')
DATABASE = re.compile(r"(?P<driver>sqlite(\+\w+)?:///)(?P<path>[^?]+)(?P<options>.*)")
CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")

Row = dict[str, str]


@dataclass(frozen=True)
class Results:
    """What others ran.

    Attributes:
        name: fit for a file.
        where: what they come from, without its address, which may hold a password.
        rows: one a run, each with all columns, all cells as they are written.
        at: where each row stands, such as "line 2".
        minimized: columns of which less is better, where the source says so.
    """

    name: str
    where: str
    rows: list[Row]
    at: list[str]
    minimized: frozenset[str] = frozenset()


def read(source: str, place: Place, *, study: str | None = None, name: str | None = None) -> Results:
    """Return the runs of a source, which nothing is written to.

    Args:
        source: a file of comma- or tab-separated values or of JSON lines; `mlflow:EXPERIMENT`, in the store of `place`; or
            `optuna:URL`, or `optuna:FILE` of a journal.
        place: where MLflow's records are.
        study: of Optuna, where a storage holds several.
        name: of the results; without it that of the file, the experiment or the study.

    Raises:
        StoreError: if a store cannot be read, or does not hold what was asked for.
        AblateError: if a file, or a study of Optuna, cannot be read as it is.
    """
    kind, _, rest = source.partition(":")
    minimized: frozenset[str] = frozenset()
    if kind == "mlflow":
        from ablate.tracking import foreign  # noqa: PLC0415  # MLflow takes 2 s to import

        with _untouched(place.address) as address:
            own, found = foreign.runs(Place(place.root, address), rest)
        where = f"{kind}:{own}"
    elif kind == "optuna":
        from ablate.search import foreign_trials  # noqa: PLC0415  # Optuna takes half a second

        with _untouched(rest) as address:
            own, found, minimized = foreign_trials(address, study)
        where = f"{kind}:{own}"
    else:
        path = Path(source)
        own, where, found = path.stem, path.name, list(_of_file(path))
    columns = list(dict.fromkeys(column for _, row in found for column in row))
    rows = [{column: row.get(column, "") for column in columns} for _, row in found]
    fit = NOT_IN_NAMES.sub("-", name or own).strip("-. ")[:100] or "results"
    return Results(fit, where, rows, [at for at, _ in found], minimized)


def _of_file(path: Path) -> Iterator[tuple[str, Row]]:
    if path.suffix not in (*KINDS, *LINES):
        raise AblateError(f"{path.as_posix()}: a file of results ends in .csv, .tsv or .jsonl")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"byte {error.start} is 0x{error.object[error.start]:02x}"
        raise StoreError(f"{path.as_posix()} is no UTF-8: {found}") from error
    except OSError as error:
        near = [other.name for other in path.parent.glob("*.*")] if path.parent.is_dir() else []
        hint = f"; {unknown('file', path.name, near)}" if not path.exists() and near else ""
        raise StoreError(f"{path.as_posix()} cannot be read: {error.strerror or error}{hint}") from error
    yield from _objects(path, text) if path.suffix in LINES else _cells(path, text)


def _cells(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    csv.field_size_limit(LONGEST_CELL)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=KINDS[path.suffix], strict=True)
    try:
        header = next(table, [])
        twice = [name for name in header if name and header.count(name) > 1]
        if twice:
            raise AblateError(f"{path.as_posix()} has two columns {twice[0]!r}")
        first = table.line_num + 1  # of a row: a cell in quotes may go over several lines
        for cells in table:
            at, first = f"line {first}", table.line_num + 1
            if len(cells) not in (0, len(header)):
                raise AblateError(f"{path.as_posix()}, {at}: {len(cells)} cells under {len(header)} headers")
            if cells:
                yield at, {name: cell for name, cell in zip(header, cells, strict=True) if name}
    except csv.Error as error:
        raise AblateError(f"{path.as_posix()}, line {table.line_num}: {error}") from error


def _objects(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    for i, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        at = f"line {i}"
        try:
            found = json.loads(line, object_pairs_hook=_distinct)
        except (ValueError, RecursionError) as error:
            raise AblateError(f"{path.as_posix()}, {at} is no JSON: {getattr(error, 'msg', error)}") from error
        if not isinstance(found, dict):
            raise AblateError(f"{path.as_posix()}, {at} is no object of names and values")
        yield at, {name: _text(value) for name, value in found.items()}


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it has a name twice")
    return found


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@contextlib.contextmanager
def _untouched(address: str) -> Iterator[str]:
    """Give the address of a copy where a store is an SQLite file: to open one is to make it, or to change it.

    What goes wrong meanwhile is said of the address itself, without a password.
    """
    shown = CREDENTIALS.sub("", address)
    file = DATABASE.fullmatch(address)
    with tempfile.TemporaryDirectory(prefix="ablate-", ignore_cleanup_errors=True) as folder:
        copy = address
        try:
            if file is not None:
                copied = Path(folder) / "copy.db"
                _copy(Path(file["path"]), copied, shown)
                copy = f"{file['driver']}{copied.as_posix()}{file['options']}"
            yield copy
        except AblateError as error:
            raise type(error)(str(error).replace(copy, shown)) from error


def _copy(path: Path, to: Path, shown: str) -> None:
    if not path.is_file():
        raise StoreError(f"the store {shown} does not exist")
    try:
        with (
            contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as source,
            contextlib.closing(sqlite3.connect(to)) as target,
        ):
            source.backup(target)
    except sqlite3.Error as error:
        raise StoreError(f"the store {shown} cannot be read: {error}") from error
