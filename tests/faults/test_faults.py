"""Each fault once, by its name: real processes, real kills, real disks, a real MLflow store.

How the scheduler deals with workers that die or hang stands in test_schedule.py; here is what a user sees of it, and what
stands in the record afterwards.
"""

import os
import platform
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import ablate
from ablate.train import Progress

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="SIGKILL, process groups and mounts as Linux has them")

ROOT = Path(__file__).parents[2]
STUDY = """\
network: {resnet: {depth: 8, width: 16}}
data: {digits: {train: 300}}
slots:
  attention: [none, se]
seeds: 1
recipe: {epochs: 60, batch: 64}
"""
LONG = STUDY.replace("epochs: 60", "epochs: 2000")  # whose end no machine comes to in these tests
GOES_ON = "stopped; what is complete is recorded, and the same command goes on from there"


def start(folder, *options, package=ROOT):
    """Start `ablate run` as the leader of a process group; what it prints goes to a file."""
    with (folder / "output").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "ablate", "run", "small.yml", "--workers", "2", *options],
            cwd=folder, env={**os.environ, "PYTHONPATH": str(package), "COLUMNS": "500"}, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip


def run(folder, *options, expect=0, package=ROOT):
    """Run `ablate run` to its end, and return what it printed."""
    code = start(folder, *options, package=package).wait(120)
    output = (folder / "output").read_text("utf-8")
    assert code == expect, output
    assert "Traceback" not in output
    return output


def until(condition, process, seconds=60):
    """Wait until something holds while a process runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"it has ended with {process.returncode}"
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def query(folder, statement):
    with closing(sqlite3.connect(folder / "runs" / "mlflow.db")) as connection:
        return connection.execute(statement).fetchall()


def states(folder):
    """Return name and status of every trial's run, the earliest first."""
    return query(folder, "select name, status from runs where name like '% seed %' order by start_time")


def notes(folder, status="FINISHED"):
    """Return the notes of runs by name."""
    return dict(query(folder, f"""select name, value from runs join tags using (run_uuid)
        where key = 'ablate.notes' and status = '{status}' and name like '% seed %'"""))  # fmt: skip


def has_begun(folder):
    """Tell whether both trials have a checkpoint, and the study its plan: training begins before the record."""
    n_kept = len(list(folder.glob("runs/small/checkpoints/*.pt")))
    return n_kept == 2 and any(folder.glob("runs/artifacts/*/*/artifacts/plan.json"))


def is_noted(folder):
    """Tell whether the record has points of both trials, which still run."""
    try:
        points = "select count(distinct run_uuid) from metrics where key = 'accuracy'"
        return query(folder, points)[0][0] == 2
    except sqlite3.OperationalError:  # no table yet
        return False


def contents(folder):
    """Return every file of a folder; all but those that SQLite has beside its own."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-shm")}


def written(folder, text=STUDY):
    folder.mkdir(exist_ok=True)
    (folder / "small.yml").write_text(text, "utf-8")
    return folder


@contextmanager
def mounted(*arguments, at):
    """Mount something for a while; only root can, and in CI root it is."""
    if os.geteuid() != 0 and os.environ.get("CI") != "true":
        pytest.skip("only root can mount a file system")
    subprocess.run(["mount", *map(str, arguments), str(at)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


# -- trials that misbehave -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def misbehaved(tmp_path_factory):
    """Run a study of which every setting but one misbehaves in its own way; return its folder."""
    folder = written(
        tmp_path_factory.mktemp("misbehaving"),
        STUDY.replace("none, se", "none, se, eca, cbam, coordinate").replace("seeds: 1", "seeds: 1\nretries: 2"),
    )
    once = folder / "killed-once"

    def misbehave(network, data, recipe, seed, resume=None):
        import ctypes

        text = repr(network)
        for epoch in range(resume["epoch"] if resume else 0, 3):
            if "SqueezeExcite" in text:
                ctypes.string_at(0)
            if "EfficientChannel" in text:
                raise ZeroDivisionError("on purpose")
            if "CBAM" in text:
                time.sleep(1.1)
                if epoch == 1 and not once.exists():
                    once.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
            nan = "Coordinate" in text and epoch == 1
            yield Progress(epoch + 1, {"accuracy": float("nan") if nan else 0.5 + epoch / 10}, {"epoch": epoch + 1})

    study = ablate.read_study(folder / "small.yml")
    ablate.run(study, train=misbehave, workers=2, runs=folder / "runs", quiet=True)
    return folder


def errors(folder, name):
    return [error for (error,) in query(folder, f"""select value from runs join tags using (run_uuid)
        where key = 'ablate.error' and name = '{name}'""")]  # fmt: skip


@pytest.mark.slow
def test_a_segfaulting_block_fails_once_and_the_innocent_spend_no_attempt(misbehaved):
    named = [status for name, status in states(misbehaved) if name == "se seed 0"]

    assert named == ["FAILED"] * len(named)
    assert all("3 times without one more step" in error for error in errors(misbehaved, "se seed 0"))
    assert [status for name, status in states(misbehaved) if name == "none seed 0"] == ["FINISHED"]


@pytest.mark.slow
def test_a_worker_that_was_killed_for_memory_goes_on_from_its_checkpoint(misbehaved):
    assert [status for name, status in states(misbehaved) if name == "cbam seed 0"] == ["FINISHED"]
    assert re.search(r"worker process died: .*\nwent on from epoch 1$", notes(misbehaved)["cbam seed 0"])


@pytest.mark.slow
def test_a_raising_trial_is_recorded_with_every_attempt_and_its_traceback(misbehaved):
    assert errors(misbehaved, "eca seed 0") == ["ZeroDivisionError: on purpose"] * 3
    kept = [path.read_text("utf-8") for path in misbehaved.rglob("traceback.txt")]
    assert sum("in misbehave" in text and "on purpose" in text for text in kept) == 3


@pytest.mark.slow
def test_a_loss_that_is_no_number_fails_once_and_says_in_which_epoch(misbehaved):
    (error,) = errors(misbehaved, "coordinate seed 0")
    assert error.endswith("the score 'accuracy' became nan in epoch 2")


@pytest.mark.slow
def test_a_trial_that_hangs_in_python_or_in_c_is_ended_and_says_where(tmp_path):
    def hang(network, data, recipe, seed, resume=None):
        yield Progress(1, {"accuracy": 0.5}, {})
        if "SqueezeExcite" in repr(network):
            time.sleep(600)
        while "EfficientChannel" in repr(network):
            pass

    folder = written(tmp_path, STUDY.replace("none, se", "none, se, eca").replace("seeds: 1", "seeds: 1\ntimeout: 3.0"))
    study = ablate.read_study(folder / "small.yml")
    frame = ablate.run(study, train=hang, workers=2, runs=folder / "runs", quiet=True).frame

    assert frame.set_index("setting")["state"].to_dict() == {"none": "complete", "se": "failed", "eca": "failed"}
    kept = [path.read_text("utf-8") for path in folder.rglob("traceback.txt")]
    assert len(kept) == 2
    for text in kept:
        assert re.search(r'test_faults.py", line \d+ in hang', text)
        assert text.endswith("timeout: it ran longer than the 3 seconds that the study allows a trial")


def test_a_full_disk_costs_the_checkpoints_and_not_the_training(tmp_path):
    def large(network, data, recipe, seed, resume=None):
        import torch

        for epoch in range(3):
            time.sleep(0.6)
            yield Progress(epoch + 1, {"accuracy": 0.5}, {"w": torch.zeros(1_000_000), "epoch": epoch + 1})

    folder = written(tmp_path)
    disk = folder / "runs" / "small" / "checkpoints"
    disk.mkdir(parents=True)
    with mounted("-t", "tmpfs", "-o", "size=64k", "tmpfs", at=disk):
        study = ablate.read_study(folder / "small.yml")
        frame = ablate.run(study, train=large, workers=2, runs=folder / "runs", quiet=True).frame

    assert set(frame["state"]) == {"complete"}
    assert set(notes(folder).values()) == {"no checkpoint could be written after epoch 2: No space left on device"}


# -- stopping, and going on ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_study_within_five_seconds_and_the_same_command_goes_on(tmp_path, number, code):
    folder = written(tmp_path)
    process = start(folder)
    until(lambda: has_begun(folder), process)

    clock = time.monotonic()
    os.killpg(process.pid, number)  # as a terminal does

    assert process.wait(20) == code
    assert time.monotonic() - clock < 5
    assert GOES_ON in (folder / "output").read_text("utf-8")
    assert {status for _, status in states(folder)} == {"KILLED"}
    assert not (folder / "runs/small/lease.json").exists()
    run(folder)
    assert sorted(re.sub(r"\d+", "N", note) for note in notes(folder).values()) == ["went on from epoch N"] * 2


@pytest.mark.slow
def test_a_second_ctrl_c_ends_it_at_once(tmp_path):
    folder = written(tmp_path)
    process = start(folder)
    until(lambda: has_begun(folder), process)

    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.05)
    clock = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)

    assert process.wait(20) == 130
    assert time.monotonic() - clock < 2


def interrupted(folder, condition):
    """Start a study, kill all its processes when something holds, and return the folder."""
    process = start(folder)
    until(lambda: condition(folder), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return folder


@pytest.fixture(scope="module")
def broken_off(tmp_path_factory):
    """Return a folder in which a study was killed in the middle of both its trials."""
    return interrupted(written(tmp_path_factory.mktemp("broken-off")), has_begun)


@pytest.fixture
def copied(broken_off, tmp_path):
    return shutil.copytree(broken_off, tmp_path / "copied")


@pytest.mark.slow
def test_a_deleted_folder_of_checkpoints_is_named_and_its_trials_start_again(tmp_path):
    folder = interrupted(written(tmp_path, LONG), is_noted)
    shutil.rmtree(folder / "runs" / "small" / "checkpoints")

    output = run(folder, "--stop-after", "20s", expect=2)

    said = (
        r"(none|se), seed 0: it had come to epoch \d+, but its checkpoint is missing \(runs/small/checkpoints/\w+\.pt\)"
    )
    assert set(re.findall(said, output)) == {"none", "se"}
    assert "2 trials that had begun started again, as checkpoints are missing in runs/small/checkpoints" in output
    assert {status for _, status in states(folder)} == {"KILLED"}


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_checkpoint_is_noted_and_its_trial_starts_again(copied, damage):
    path = min((copied / "runs" / "small" / "checkpoints").glob("*.pt"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content if damage == "flipped" else content[: len(content) // 2])

    run(copied)

    again, on = sorted(notes(copied).values())
    assert again.startswith("started again, because its checkpoint is damaged: ")
    assert path.name in again
    assert on.startswith("went on from epoch ")


@pytest.mark.slow
def test_a_study_goes_on_in_a_folder_that_was_moved(copied, tmp_path):
    moved = copied.rename(tmp_path / "elsewhere")

    run(moved)

    assert [note[:18] for note in notes(moved).values()] == ["went on from epoch"] * 2
    assert "RUNNING" not in {status for _, status in states(moved)}


@pytest.mark.slow
def test_a_study_goes_on_from_a_read_only_folder_of_an_earlier_session(copied, tmp_path):
    folder, before = written(tmp_path / "new"), contents(copied / "runs")
    with mounted("--bind", "-o", "ro", copied / "runs", at=copied / "runs"):
        run(folder, "--import", str(copied / "runs"))

    assert [note[:18] for note in notes(folder).values()] == ["went on from epoch"] * 2
    assert contents(copied / "runs") == before


@pytest.mark.slow
def test_a_study_whose_time_is_over_ends_well_with_everything_recorded_and_goes_on(tmp_path):
    folder = written(tmp_path, LONG)

    output = run(folder, "--stop-after", "20s")

    assert "Stopped, as its time was over" in output
    assert {status for _, status in states(folder)} == {"KILLED"}
    run(folder, "--stop-after", "20s")
    assert [note[:18] for note in notes(folder, "KILLED").values()] == ["went on from epoch"] * 2


# -- while a study runs ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_while_a_study_runs_another_is_refused_and_an_edit_is_said_in_the_end(tmp_path):
    folder = written(tmp_path / "first")
    process = start(folder)
    until((folder / "runs/small/lease.json").exists, process)
    (written(tmp_path / "second") / "runs").symlink_to(folder / "runs")

    refused = run(tmp_path / "second", expect=2)
    (folder / "small.yml").write_text(STUDY.replace("seeds: 1", "seeds: 2"), "utf-8")

    assert f"is being run by process {process.pid} on {platform.node()}; wait for it, or stop it" in refused
    assert process.wait(60) == 2
    assert "small.yml was edited while it ran: what ran is what it said before; the same command runs the rest" in (
        folder / "output"
    ).read_text("utf-8")
    assert sorted(states(folder)) == [("none seed 0", "FINISHED"), ("se seed 0", "FINISHED")]


@pytest.mark.slow
def test_a_block_that_is_edited_before_its_trial_stops_the_study(tmp_path):
    package, folder = tmp_path / "package", written(tmp_path / "user")
    for name in ("ablate", "blocks", "reports", "studies"):
        shutil.copytree(ROOT / name, package / name, ignore=shutil.ignore_patterns("__pycache__"))
    process = start(folder, "--workers", "1", package=package)
    until(lambda: list(folder.glob("runs/small/checkpoints/*.pt")), process)
    block = package / "blocks" / "attention" / "squeeze_excite.py"
    block.write_text(block.read_text("utf-8") + "\nEDITED = True\n", "utf-8")

    assert process.wait(60) == 2
    output = (folder / "output").read_text("utf-8")
    assert "blocks/attention/squeeze_excite.py changed while the study ran: start it again" in output
    assert ("none seed 0", "FINISHED") in states(folder)
    assert ("se seed 0", "FINISHED") not in states(folder)


# -- records that cannot be written ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_folder_that_is_read_only_is_said_and_left_as_it_is(copied):
    before = contents(copied / "runs")
    with mounted("--bind", "-o", "ro", copied / "runs", at=copied / "runs"):
        output = run(copied, expect=2)

    assert re.search(r"runs.* cannot be written: ", output)
    assert contents(copied / "runs") == before


@pytest.mark.slow
def test_a_store_that_a_newer_mlflow_has_written_is_refused_and_left_as_it_is(copied):
    with closing(sqlite3.connect(copied / "runs" / "mlflow.db")) as connection, connection:
        connection.execute("update alembic_version set version_num = 'ffffffffffff'")
    before = query(copied, "select * from runs")

    output = run(copied, expect=2)

    assert "was written by a newer MLflow (its schema is ffffffffffff" in output
    assert query(copied, "select * from runs") == before
    assert len(list(copied.glob("runs/small/checkpoints/*.pt"))) == 2
