"""Ctrl-C and SIGTERM: noted at once, obeyed where nothing is half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Stops:
    """The signals that have come.

    An exception that is raised anywhere can be swallowed by whoever is at work there, a library that makes its tables
    for instance, and Python reports one that comes out of an `exec` as a death by SIGINT even if it is caught. So the
    first signal raises while this process only waits; elsewhere it is noted, and raises when the next wait begins.

    Args:
        at_once: raise anywhere: what trains in this process may take long to come to a wait.
    """

    def __init__(self, *, at_once: bool) -> None:
        self._at_once = at_once
        self._waits = False
        self._names: list[str] = []

    def hear(self, number: int, _: object) -> None:
        """Note a signal; a second one raises wherever it comes."""
        self._names.append(signal.Signals(number).name)
        if self._at_once or self._waits or len(self._names) > 1:
            raise KeyboardInterrupt(self._names[-1])

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Let signals raise meanwhile, those too that have come before.

        Raises:
            KeyboardInterrupt: with the name of the signal.
        """
        self._waits = True
        try:
            if len(self._names) == 1:
                raise KeyboardInterrupt(self._names[0])
            yield
        finally:
            self._waits = False


@contextmanager
def signals(*, at_once: bool) -> Iterator[Stops]:
    """Hear Ctrl-C and SIGTERM for a while; a thread that is not the main one hears neither."""
    stops = Stops(at_once=at_once)
    if threading.current_thread() is not threading.main_thread():
        yield stops
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]  # as with nohup
    for number in heard:
        signal.signal(number, stops.hear)
    try:
        yield stops
    finally:
        for number in heard:
            signal.signal(number, before[number])
