"""Runs on their way from the scheduler to the record: nothing lost, nothing twice, nobody held up."""

import errno
import json
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
import time
import uuid
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from ablate import design, writer
from ablate.config import parse_study
from ablate.errors import StoreError
from ablate.place import Place
from ablate.spool import FORMAT, Spool
from ablate.study import Cost, Run, RunState, Trial
from ablate.tracking import Records
from ablate.tracking.rows import Interface
from ablate.writer import Writer, drain

TEXT = """\
network: {resnet: {depth: 8, width: 16}}
data: {digits: {train: 50}}
slots: {attention: [none, se]}
seeds: 2
"""


@pytest.fixture(scope="module")
def study():
    return parse_study(TEXT, path=Path("writing.yml"))


@pytest.fixture(scope="module")
def records(study, tmp_path_factory):
    """One store for all tests that leave it usable: MLflow takes 2 s to make one."""
    return begun(Place(tmp_path_factory.mktemp("records") / "runs"), study)


def begun(place, study):
    records = Records(place, study.name)
    records.begin(study)
    records.planned(study, design.plan(study), [])
    return records


def run_of(study, state=RunState.COMPLETE, scores=(0.5, 0.6, 0.7), **more):
    trial = Trial(design.plan(study).settings[0], 0, uuid.uuid4().hex)
    run = Run(trial, state, {"accuracy": list(scores)}, started=1.0, attempt=uuid.uuid4().hex, cost=Cost(1, 2))
    return replace(run, **more)


def statuses(records):
    """Return the status of each record, by attempt."""
    found = {}
    for record in Interface(records._client)._search([records._number()], "tags.`ablate.kind` = 'trial'"):
        found.setdefault(record.data.tags["ablate.attempt"], []).append(record.info.status)
    return found


def curves(records):
    """Return the curve of each trial that has ended, by identity."""
    return {one.identity: one.curves["accuracy"] for one in records.selected("accuracy", held_out=False)}


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_a_finished_run_is_in_the_spool_first_and_then_in_the_record_alone(records, study, tmp_path):
    run = run_of(study, weights=b"weights")
    folder = tmp_path / "spool"
    spool = Spool(folder)
    spool.put(records.entry(run, study))
    assert spool.waiting() == [run.attempt]
    assert spool.get(run.attempt).files["weights.pt"].read_bytes() == b"weights"

    thread = Writer(records, study, folder)
    thread.finish(run)
    assert thread.close() == 0

    assert statuses(records)[run.attempt] == ["FINISHED"]
    assert not folder.exists()
    assert [p.read_bytes() for p in records.place.artifacts.rglob("weights.pt")] == [b"weights"]


def test_an_entry_comes_back_from_the_spool_as_it_was_put(records, study, tmp_path):
    run = run_of(study, RunState.FAILED, scores=(0.1, float("inf")), error="Traceback\n注意力: ²")
    entry = records.entry(run, study)

    Spool(tmp_path).put(entry)
    found = Spool(tmp_path).get(run.attempt)

    assert {name: path.read_bytes() for name, path in found.files.items()} == entry.files
    assert replace(found, files={}) == replace(entry, files={})


def test_only_the_newest_progress_is_written_and_none_after_the_end(records, study, tmp_path):
    run = run_of(study)
    thread = Writer(records, study, tmp_path / "spool")
    for n in (1, 2, 3):
        thread.progress(replace(run, state=RunState.RUNNING, curves={"accuracy": [0.5] * n}))
    wait_for(lambda: run.attempt in statuses(records))
    assert statuses(records)[run.attempt] == ["RUNNING"]
    thread.finish(run)
    thread.progress(replace(run, state=RunState.RUNNING, curves={"accuracy": [0.5] * 9}))
    assert thread.close() == 0

    assert statuses(records)[run.attempt] == ["FINISHED"]
    assert len(curves(records)[run.trial.identity]) == 3


def test_what_stops_the_thread_for_good_is_raised_and_the_runs_wait_in_the_spool(study, tmp_path):
    records = begun(Place(tmp_path / "runs"), study)
    records._client.delete_experiment(records._number())
    thread = Writer(records, study, tmp_path / "spool")
    runs = [run_of(study) for _ in range(3)]
    for run in runs:
        thread.finish(run)

    assert thread.close() == 3
    with pytest.raises(StoreError, match="must be in the 'active' state"):
        thread.check()

    records._client.restore_experiment(records._number())
    assert drain(records, tmp_path / "spool") == 3
    assert statuses(records) == {run.attempt: ["FINISHED"] for run in runs}


def test_draining_removes_what_was_half_written_or_damaged(records, study, tmp_path):
    spool = Spool(tmp_path / "spool")
    whole, torn, bare = (run_of(study, weights=b"w") for _ in range(3))
    for run in (whole, torn, bare):
        spool.put(records.entry(run, study))
    path = spool.folder / f"{torn.attempt}.json"
    path.write_bytes(path.read_bytes()[:100])
    (spool.folder / f"{bare.attempt}-weights.pt").unlink()
    (spool.folder / f"{uuid.uuid4().hex}-weights.pt").write_bytes(b"no entry")
    (spool.folder / f"{uuid.uuid4().hex}.json.part").write_bytes(b"{")

    assert drain(records, spool.folder) == 1

    assert not spool.folder.exists()
    assert {whole.attempt, torn.attempt, bare.attempt} & set(statuses(records)) == {whole.attempt}
    assert drain(records, spool.folder) == 0


def test_an_entry_of_a_newer_ablate_is_refused_and_kept(records, study, tmp_path):
    run = run_of(study)
    Spool(tmp_path).put(records.entry(run, study))
    path = tmp_path / f"{run.attempt}.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"format": FORMAT + 1}), "utf-8")

    with pytest.raises(StoreError, match=r"json was left by a newer ablate"):
        drain(records, tmp_path)
    assert path.exists()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of a few megabytes."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        if "CI" in os.environ:
            pytest.fail("CI must run this: it needs root to mount a small disk")
        pytest.skip("needs root to mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_under_the_spool_is_said_and_leaves_nothing_half(records, study, small_disk):
    spool = Spool(small_disk / "spool")
    entry = records.entry(run_of(study, weights=bytes(1_000_000)), study)
    spool.put(entry)
    before = sorted(spool.folder.iterdir())

    with pytest.raises(StoreError, match=r"spool cannot be written: no space left on the disk") as caught:
        spool.put(replace(entry, attempt="another", files={"fits": bytes(300_000), "does not": bytes(1_000_000)}))

    assert caught.value.__cause__.errno == errno.ENOSPC
    assert sorted(spool.folder.iterdir()) == before
    assert drain(records, spool.folder) == 1


KILLED = """
    import sys, uuid
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from ablate.place import Place
    from ablate.writer import Writer
    from test_writer import TEXT, Records, parse_study, run_of
    study = parse_study(TEXT, path=Path("writing.yml"))
    thread = Writer(Records(Place(Path({runs!r})), study.name), study, Path({spool!r}))
    while True:
        run = run_of(study, weights=b"w")
        thread.finish(run)
        print(run.attempt, flush=True)
        thread.check()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_process_loses_no_run_that_had_ended_and_none_is_there_twice(records, study, tmp_path):
    code = textwrap.dedent(KILLED).format(
        tests=str(Path(__file__).parent), runs=str(records.place.root), spool=str(tmp_path / "spool")
    )
    rng = random.Random(0)
    before = set(statuses(records))
    ended, n_drained = [], 0
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
            ended += [process.stdout.readline().strip() for _ in range(rng.randint(5, 30))]
            time.sleep(rng.random() / 50)
            process.send_signal(signal.SIGKILL)
            ended += process.stdout.read().split()
        n_drained += drain(records, tmp_path / "spool")

    found = {attempt: status for attempt, status in statuses(records).items() if attempt not in before}
    assert n_drained > 0
    assert set(ended) <= set(found)
    assert len(found) <= len(ended) + 2  # the last of each may have ended and not been printed
    assert Counter(status for each in found.values() for status in each) == {"FINISHED": len(found)}
    assert len(list(records.place.artifacts.rglob("weights.pt"))) >= len(found)
    assert not (tmp_path / "spool").exists()


@pytest.fixture
def server(tmp_path):
    """A function that starts the server, again and again, on one store."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "served").mkdir()
    backend = ["--backend-store-uri", f"sqlite:///{(tmp_path / 'served' / 'mlflow.db').as_posix()}"]
    files = ["--artifacts-destination", (tmp_path / "served" / "artifacts").as_uri(), "--serve-artifacts"]
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *backend, *files, *where], start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        started.append(process)
        wait_for(lambda: _answers(port), 60)
        return f"http://127.0.0.1:{port}", process

    yield start
    for process in started:
        stop(process)


def _answers(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def stop(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups to kill")
def test_a_server_that_goes_away_and_comes_back_loses_and_doubles_nothing(server, study, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.5)
    address, process = server()
    records = begun(Place(tmp_path / "runs", address), study)
    said = []
    thread = Writer(records, study, tmp_path / "spool", said.append)
    runs = [run_of(study, weights=b"w" if i % 10 == 0 else None) for i in range(30)]
    for i, run in enumerate(runs):
        if i == 10:
            stop(process)  # in the middle of a write
        if i == 20:
            assert len(Spool(tmp_path / "spool").waiting()) >= 10
            _, process = server()
        if i % 3 == 0:
            thread.progress(replace(run, state=RunState.RUNNING))
        clock = time.monotonic()
        thread.finish(run)
        assert time.monotonic() - clock < 0.5
        thread.check()
        time.sleep(0.05)

    assert thread.close(120) == 0
    thread.check()
    assert statuses(records) == {run.attempt: ["FINISHED"] for run in runs}
    assert list(curves(records).values()) == 30 * [[0.5, 0.6, 0.7]]
    assert len(list((tmp_path / "served" / "artifacts").rglob("weights.pt"))) == 3
    assert len(said) == 2
    assert said[0].startswith(f"the store {address} cannot be reached: ")
    assert said[1] == "the store is back"

    stop(process)
    later = run_of(study)
    thread = Writer(records, study, tmp_path / "spool")
    thread.finish(later)
    clock = time.monotonic()
    assert thread.close(3) == 1  # it waits for the next call
    assert time.monotonic() - clock < 5

    server()
    again = Records(records.place, study.name)
    assert drain(again, tmp_path / "spool") == 1
    assert again.begin(study) == {}
    assert statuses(again)[later.attempt] == ["FINISHED"]
