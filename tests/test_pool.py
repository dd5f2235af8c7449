"""The lanes: what their processes see, and when they end."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from ablate import pool


def environment_of(lane):
    """Return what a lane's process finds, by way of a function that every worker has."""
    return lane._executor.submit(os.getenv, "CUDA_VISIBLE_DEVICES").result(timeout=60)


@pytest.fixture
def lanes():
    made = []

    def make(n, **options):
        made.extend(pool.lanes(n, **options))
        return made

    yield make
    for lane in made:
        lane.kill()


@pytest.mark.parametrize(("visible", "found"), [("0,1", ["0", "1"]), ("GPU-8f3a", ["GPU-8f3a"]), ("", []), ("-1", [])])
def test_the_gpus_are_those_that_cuda_may_use(monkeypatch, visible, found):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert pool.gpus() == found


def test_each_lane_sees_one_gpu_and_more_lanes_than_gpus_share_them(monkeypatch, lanes):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")

    assert [environment_of(lane) for lane in lanes(3, pin=True)] == ["4", "7", "4"]


def test_a_study_on_the_cpu_pins_nothing(monkeypatch, lanes):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")

    assert [environment_of(lane) for lane in lanes(1, pin=False)] == ["4,7"]


def test_there_is_one_worker_a_gpu_unless_the_study_stays_on_the_cpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    n_cores = min(8, os.cpu_count())

    assert [pool.default_workers(device) for device in ("auto", "cuda", "cuda:1", "cpu")] == [3, 3, 1, n_cores]

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert pool.default_workers("auto") == n_cores


@pytest.mark.skipif(os.name == "nt", reason="Windows ends no process with its parent")
def test_a_worker_ends_when_its_parent_is_killed(tmp_path):
    program = textwrap.dedent("""
        import os, time
        from ablate import pool
        if __name__ == "__main__":
            (lane,) = pool.lanes(1, pin=False)
            print(lane._executor.submit(os.getpid).result(), flush=True)
            lane._executor.submit(time.sleep, 600)
            time.sleep(600)
    """)
    (tmp_path / "parent.py").write_text(program, "utf-8")
    with subprocess.Popen([sys.executable, "parent.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        parent.kill()

    deadline = time.monotonic() + 20
    while _is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _is_alive(worker)


def _is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_in_this_process_an_error_reaches_whoever_asks(lanes):
    (lane,) = lanes(0, pin=False)

    with pytest.raises(AttributeError):
        lane.submit("no such function").result()
    assert not lane.is_process


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="semaphores are no files here")
def test_what_lanes_leave_behind_is_waited_for_until_it_is_gone_and_not_for_ever(monkeypatch):
    mine, foreign = (Path(f"/dev/shm/sem.loky-{os.getpid()}-{name}") for name in ("mine", "foreign"))
    foreign.touch()
    before = pool.semaphores(os.getpid())
    mine.touch()
    later = threading.Timer(0.1, mine.unlink)
    later.start()

    pool.await_release(before)

    assert before == {foreign} == pool.semaphores(os.getpid())
    later.join()

    monkeypatch.setattr(pool, "RELEASE_SECONDS", 0.05)
    pool.await_release(set())
    pool.sweep(os.getpid())
    assert pool.semaphores(os.getpid()) == set()
