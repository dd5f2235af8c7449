"""Where work is done: a process of its own for each lane, or this process."""

import gc
import importlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor, process_executor

from ablate.errors import AblateError

# What a worker process must find when it starts: one thread; and, for glibc, to keep memory that a batch has used for
# the next one. Without the last two every evaluation gives tens of megabytes back to the kernel and asks for them
# again, which was a tenth of a trial (glibc stops adapting both limits as soon as one is set).
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}

# After this long without work a process ends by itself.
IDLE_SECONDS = 120
# How long at most to wait for what a lane leaves behind.
RELEASE_SECONDS = 0.5
# How often a worker looks whether its parent is still there.
WATCH_SECONDS = 0.5

# What the future of a lane raises when its process has died.
Died = BrokenProcessPool
DIED = "the worker process died: killed (for memory, perhaps), or a crash in native code"
# Who sees his worker die this often does not try again.
MOST_DEATHS = 3


class Lane:
    """A worker that does one thing after another: functions of `ablate.worker`, by name.

    One process a lane, an executor each, so that it is known whose work killed a process, and nobody else's is lost.
    By name, so that this process need not import torch.

    Args:
        environment: beside `ENVIRONMENT`; None runs everything here and now, where breakpoints work.
    """

    def __init__(self, environment: Mapping[str, str] | None) -> None:
        self._environment = environment
        self._executor = self._new()
        self._ready: Future[Any] | None = None

    @property
    def is_process(self) -> bool:
        """Tell whether it is a process of its own, which can be ended."""
        return self._environment is not None

    def _new(self) -> ProcessPoolExecutor | None:
        if self._environment is None:
            return None
        return ProcessPoolExecutor(
            1,
            timeout=IDLE_SECONDS,
            initializer=_prepare,
            initargs=(os.getpid(),),
            env={**ENVIRONMENT, **self._environment},
        )

    def submit(self, name: str, *arguments: Any, **options: Any) -> Future[Any]:
        """Run a function of `ablate.worker` and return its future."""
        return self._submit(_call, name, *arguments, **options)

    def _submit(self, call: Callable[..., Any], name: str, *arguments: Any, **options: Any) -> Future[Any]:
        if self._executor is not None:
            try:
                future: Future[Any] = self._executor.submit(call, name, *arguments, **options)
            except BrokenProcessPool:  # it died while it had nothing to do
                self.renew()
                future = self._executor.submit(call, name, *arguments, **options)
            return future
        future = Future()
        try:
            future.set_result(call(name, *arguments, **options))
        except Exception as error:  # noqa: BLE001  # a future carries it to whoever asks
            future.set_exception(error)
        return future

    def ask(self, name: str, *arguments: Any) -> Any:
        """Return what a function of `ablate.worker` returns, from a new process where one dies over it.

        Raises:
            AblateError: if one after the other dies.
        """
        for _ in range(MOST_DEATHS):
            with suppress(Died):
                return self.submit(name, *arguments).result()
        raise AblateError(f"{name}: {DIED}, {MOST_DEATHS} times")

    def start(self, name: str, *arguments: Any) -> Future[Any]:
        """Submit what a new process does first; until it is done the lane is not ready."""
        self._ready = self._submit(_first if self.is_process else _call, name, *arguments)
        return self._ready

    @property
    def is_ready(self) -> bool:
        """Tell whether the process has started and done what it does first."""
        return self._ready is None or self._ready.done()

    def renew(self) -> None:
        """Put a new process in the place of one that died or hangs."""
        self.kill()
        self._executor = self._new()
        self._ready = None

    def kill(self) -> None:
        """End the process without waiting for what it does."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)


def lanes(n: int, *, pin: bool) -> list[Lane]:
    """Return as many lanes; 0: one, in this process.

    Args:
        n: how many processes.
        pin: whether each sees one GPU alone, the GPUs in turn; more lanes than GPUs share them.
    """
    if n == 0:
        return [Lane(None)]
    names = gpus() if pin else []
    return [Lane({"CUDA_VISIBLE_DEVICES": names[i % len(names)]} if names else {}) for i in range(n)]


def semaphores(pid: int) -> set[Path]:
    """Return the semaphores of a process's lanes, where they are files (Linux)."""
    return set(Path("/dev/shm").glob(f"sem.loky-{pid}-*"))  # noqa: S108  # where Linux keeps them


def sweep(pid: int) -> None:
    """Remove the semaphores of workers whose whole process group was killed: on Linux they outlive it."""
    for path in semaphores(pid):
        path.unlink(missing_ok=True)


def await_release(before: set[Path]) -> None:
    """Wait until threads of loky have removed the semaphores of lanes that were killed: a few milliseconds.

    Whoever is killed meanwhile still holds its lease, so that the next one knows whose to sweep.

    Args:
        before: semaphores of this process that are none of theirs.
    """
    deadline = time.monotonic() + RELEASE_SECONDS
    while semaphores(os.getpid()) - before and time.monotonic() < deadline:
        time.sleep(0.002)


def gpus() -> list[str]:
    """Return the GPUs that CUDA may use, as CUDA_VISIBLE_DEVICES names them, without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in {"", "-1"}]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    listed = subprocess.run([program, "-L"], capture_output=True, text=True, check=False, timeout=20)
    return [str(i) for i in range(sum(line.startswith("GPU ") for line in listed.stdout.splitlines()))]


def default_workers(device: str) -> int:
    """Return one worker per core, at most eight; one per GPU where the study trains on them."""
    if device == "cpu":
        return min(8, os.cpu_count() or 1)
    if device == "auto":
        return len(gpus()) or min(8, os.cpu_count() or 1)
    return max(1, len(gpus())) if device == "cuda" else 1


def _call(name: str, *arguments: Any, **options: Any) -> Any:
    return getattr(importlib.import_module("ablate.worker"), name)(*arguments, **options)


def _first(name: str, *arguments: Any) -> Any:
    """Do what a new process does first; no search for garbage need look again at what that has imported.

    loky makes a process search after every task of a second or more; torch's objects alone take it 0.14 s.
    """
    try:
        return _call(name, *arguments)
    finally:
        gc.freeze()


def _prepare(parent: int) -> None:
    """Leave signals that reach every process of a terminal to the parent, and end when it has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Where psutil is installed, loky ends a worker whose memory has grown, and would end the trial that is in it.
    process_executor._USE_PSUTIL = False  # noqa: SLF001  # there is no other way to say so
    if sys.platform != "win32":
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when its parent has been killed: nobody would take the result."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)
