"""Results of others as rows of text: from a file, an MLflow experiment, or an Optuna study."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ablate.errors import AblateError, StoreError
from ablate.place import Place
from blocks.catalogue import unknown

KINDS = {".csv": ",", ".tsv": "\t"}


def rows_of(source: str, place: Place, study: str | None = None) -> tuple[str, list[dict[str, str]]]:
    """Return a name for the results, and one row a run, all cells as they are written.

    Args:
        source: a file of comma- or tab-separated values or of JSON lines; `mlflow:EXPERIMENT`, in the store of `place`; or
            `optuna:URL`, or `optuna:FILE` of a journal.
        place: where MLflow's records are.
        study: of Optuna, where a storage holds several.

    Raises:
        StoreError: if it cannot be read, or does not exist.
    """
    kind, _, rest = source.partition(":")
    if kind == "mlflow":
        from ablate.tracking import foreign  # noqa: PLC0415  # MLflow takes 2 s to import

        return rest, _same_columns(foreign.rows(place, rest))
    if kind == "optuna":
        from ablate.search import foreign_rows  # noqa: PLC0415  # Optuna takes half a second

        name, rows = foreign_rows(rest, study)
        return name, _same_columns(rows)
    path = Path(source)
    return path.stem, _same_columns(list(_read(path)))


def _read(path: Path) -> Iterator[dict[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise StoreError(
            f"{path.as_posix()} is no UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}"
        ) from error
    except OSError as error:
        near = [other.name for other in path.parent.glob("*.*")] if path.parent.is_dir() else []
        hint = f"; {unknown('file', path.name, near)}" if not path.exists() and near else ""
        raise StoreError(f"{path.as_posix()} cannot be read: {error.strerror or error}{hint}") from error
    if path.suffix in (".jsonl", ".ndjson"):
        yield from _lines(path, text)
        return
    if path.suffix not in KINDS:
        raise AblateError(f"{path.as_posix()}: a file of results ends in .csv, .tsv or .jsonl")
    table = csv.reader(text.splitlines(keepends=True), delimiter=KINDS[path.suffix])
    header = next(table, [])
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise AblateError(f"{path.as_posix()} has two columns {twice!r}")
    for cells in table:
        if not cells:
            continue
        if len(cells) != len(header):
            raise AblateError(
                f"{path.as_posix()}, line {table.line_num}: {len(cells)} cells under {len(header)} headers"
            )
        yield dict(zip(header, cells, strict=True))


def _lines(path: Path, text: str) -> Iterator[dict[str, str]]:
    for i, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except json.JSONDecodeError as error:
            raise AblateError(f"{path.as_posix()}, line {i} is no JSON: {error.msg}") from error
        if not isinstance(found, dict):
            raise AblateError(f"{path.as_posix()}, line {i} is no object of names and values")
        yield {str(name): _text(value) for name, value in found.items()}


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _same_columns(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return rows that all have every column, empty where they lacked it."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name, "") for name in columns} for row in rows]
