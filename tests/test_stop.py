"""Signals: heard at once, obeyed while this process only waits."""

import os
import signal
import threading

import pytest

from ablate import stop


def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


def wait(stops, done):
    with stops.waiting():
        done.append("wait")


def test_a_signal_during_work_is_obeyed_when_the_next_wait_begins():
    done = []
    with stop.signals(at_once=False) as stops:
        send()
        done.append("work")
        with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
            wait(stops, done)

    assert done == ["work"]


def test_a_signal_during_a_wait_is_obeyed_there():
    with stop.signals(at_once=False) as stops, pytest.raises(KeyboardInterrupt, match="SIGINT"), stops.waiting():
        send(signal.SIGINT)


def test_after_a_wait_a_signal_is_only_noted_again():
    with stop.signals(at_once=False) as stops:
        with stops.waiting():
            pass
        send()


def test_a_second_signal_is_obeyed_at_once():
    with stop.signals(at_once=False):
        send()
        with pytest.raises(KeyboardInterrupt, match="SIGINT"):
            send(signal.SIGINT)


def test_what_trains_in_this_process_is_stopped_at_once():
    with stop.signals(at_once=True), pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        send()


def test_afterwards_signals_do_what_they_did_before():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stop.signals(at_once=False):
        assert signal.getsignal(signal.SIGINT) is not before[0]

    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_signal_that_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as nohup and shells do in the background
    try:
        with stop.signals(at_once=True):
            send(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_hears_no_signals():
    before = signal.getsignal(signal.SIGINT)
    during = []

    def work():
        with stop.signals(at_once=False):
            during.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert during == [before]
