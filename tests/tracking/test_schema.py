"""MLflow's tables as they are read, against MLflow's own."""

import subprocess
import sys

from alembic.script import ScriptDirectory
from mlflow.store.db.base_sql_model import Base
from mlflow.store.tracking.dbmodels import models  # noqa: F401  # so that Base knows the tables
from sqlalchemy import TableClause

from ablate.tracking import schema


def test_every_column_that_is_read_is_one_of_mlflows():
    tables = [one for one in vars(schema).values() if isinstance(one, TableClause)]

    assert len(tables) == 7
    for table in tables:
        assert set(table.c.keys()) <= set(Base.metadata.tables[table.name].c.keys())


def test_the_newest_version_of_the_tables_is_the_one_that_alembic_finds():
    assert schema.newest() == ScriptDirectory(str(schema.migrations())).get_current_head()


def test_migrations_that_cannot_be_read_at_a_glance_tell_nothing(tmp_path, monkeypatch):
    (tmp_path / "versions").mkdir()
    monkeypatch.setattr(schema, "migrations", lambda: tmp_path)
    assert schema.newest() == ""
    for name in ("a", "b"):
        (tmp_path / "versions" / f"{name}.py").write_text(
            f'revision = "{name}"\ndown_revision = None\n', encoding="utf-8"
        )
    assert schema.newest() == ""
    (tmp_path / "versions" / "b.py").write_text('revision = "b"\ndown_revision = "a"\n', encoding="utf-8")
    assert schema.newest() == "b"


def test_a_report_reads_and_keeps_without_importing_mlflow(place, study_of, trials_of, run_of, begun, write):
    study = study_of()
    write(begun(place, study), study, *map(run_of, trials_of(study)))
    code = """
import sys
from pathlib import Path
from ablate.place import Place
from ablate.tracking import Records, studies

place = Place(Path(sys.argv[1]))
records = Records(place, *studies(place))
frame, _ = records.frame()
assert len(frame) == 4
records.plan(), records.study(), records.networks(), records.errors(), records.curves(frame), records.provenance(frame)
records.put_report({"index.html": b""})
records.addresses()
print({"mlflow", "alembic", "torch"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code, place.root], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
