"""Stores that can only be read, or cannot be used."""

import os
import shutil
import sqlite3
import subprocess
import time

import pytest

from ablate.errors import AwayError, StoreError
from ablate.place import Place
from ablate.tracking import Records, studies


@pytest.fixture
def read_only(place, study_of, trials_of, run_of, begun, write):
    """The folder of records on a disk that cannot be written."""
    study = study_of()
    write(begun(place, study), study, *map(run_of, trials_of(study)))
    root = place.root
    if os.name != "posix":
        pytest.skip("needs a file system that can be made read-only")
    if os.geteuid() == 0:  # whom no permission stops
        subprocess.run(["mount", "--bind", root, root], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", root, root], check=True)
    else:
        root.chmod(0o500)
        place.database.chmod(0o400)
    yield place
    if os.geteuid() == 0:
        subprocess.run(["umount", root], check=True)
    else:
        root.chmod(0o700)


def test_a_read_only_folder_can_be_read_and_adopted_but_not_run_in(read_only, tmp_path, study_of):
    records = Records(read_only, "one")

    assert len(records.frame()[0]) == 4
    assert studies(read_only) == ["one"]
    with pytest.raises(StoreError, match="runs cannot be written: it is read-only"):
        records.begin(study_of())
    with pytest.raises(StoreError, match="runs cannot be written: it is read-only"):
        records.put_report({"index.html": b""})
    assert Records(Place(tmp_path / "here"), "one").adopt(read_only) == 4


def test_a_file_that_is_no_database_is_said_at_once(tmp_path):
    place = Place(tmp_path / "runs")
    place.root.mkdir()
    place.database.write_bytes(b"this is no database" * 100)

    clock = time.monotonic()
    with pytest.raises(StoreError, match=r"mlflow.db cannot be read or written: .*file is not a database"):
        Records(place, "one")
    assert time.monotonic() - clock < 5


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ("ffffffffffff", r"was written by a newer MLflow \(its schema is ffffffffffff, unknown to MLflow 3"),
        ("451aebb31d03", r"was written by an older MLflow .*`mlflow db upgrade sqlite:"),
    ],
)
def test_a_store_of_another_mlflow_is_refused_and_left_alone(place, schema, says):
    with sqlite3.connect(place.database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [schema])
    connection.close()

    with pytest.raises(StoreError, match=says):
        Records(place, "one")


def test_a_store_that_needs_a_driver_says_so(tmp_path):
    with pytest.raises(StoreError, match=r"needs a driver that is not installed: No module named 'psycopg"):
        Records(Place(tmp_path, "postgresql://nobody@127.0.0.1:9/none"), "one")


def test_an_absent_server_is_known_within_ten_seconds(tmp_path):
    clock = time.monotonic()

    with pytest.raises(AwayError, match=r"the store http://127.0.0.1:9 cannot be reached: .*refused"):
        Records(Place(tmp_path, "http://127.0.0.1:9"), "one")
    assert time.monotonic() - clock < 10


@pytest.fixture
def small_disk(tmp_path):
    """A disk of a few megabytes."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        if "CI" in os.environ:
            pytest.fail("CI must run this: it needs root to mount a small disk")
        pytest.skip("needs root to mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_said_and_what_was_recorded_is_still_there(
    small_disk, empty, study_of, trials_of, run_of, begun, write
):
    place = Place(small_disk / "runs")
    place.root.mkdir()
    shutil.copyfile(empty / "mlflow.db", place.database)
    study = study_of()
    records = begun(place, study)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 1_000_000)
    written = []

    def fill():
        for i in range(500):
            write(records, study, run_of(trials_of(study, identity=f"trial {i}")[0], scores=[0.1] * 50))
            written.append(f"trial {i}")

    with pytest.raises(StoreError, match=r"runs cannot be written: no space left on the disk"):
        fill()
    filler.unlink()

    assert len(written) > 3
    again = Records(place, "one")
    assert set(again.completed([f"trial {i}" for i in range(500)], share=False)) == set(written)
    write(again, study, run_of(trials_of(study)[0]))
