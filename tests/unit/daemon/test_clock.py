"""Waiting: signals, descriptors and news end it, whatever the time left."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from auto_iter.daemon.signals import Signals
from auto_iter.errors import interrupted_exit_code

LONG_S = 300.0


@pytest.fixture
def signals() -> Iterator[Signals]:
    """Return installed signals; the process's own handlers come back afterwards."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
    # Under nohup hangups are ignored, and would stay so: these tests mean them to arrive.
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    made = Signals()
    made.install()
    yield made
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


def signalled(number: signal.Signals, once_asleep: Signals) -> None:
    """Send a signal to ourselves from another thread while the main one sleeps."""
    thread = threading.Thread(target=os.kill, args=(os.getpid(), number))
    begun = time.monotonic()
    thread.start()
    once_asleep.sleep(LONG_S)
    thread.join()
    assert time.monotonic() - begun < LONG_S / 10


def test_usr1_asks_for_a_poll_now_and_for_nothing_else(signals: Signals) -> None:
    signalled(signal.SIGUSR1, signals)
    assert not signals.should_stop()
    begun = time.monotonic()
    signals.sleep(0.05)
    assert time.monotonic() - begun >= 0.05  # once, not for ever


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_request_to_stop_ends_the_waiting_with_an_exit_code_of_its_own(
    number: signal.Signals, code: int, signals: Signals
) -> None:
    signalled(number, signals)
    assert signals.should_stop()
    assert signals.stop_requested is number
    assert interrupted_exit_code(number) == code


def test_hangups_stay_ignored_where_nohup_ignores_them() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    others = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        Signals().install()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGHUP, before)
        for number, handler in others.items():
            signal.signal(number, handler)


def test_a_readable_descriptor_ends_the_waiting(signals: Signals) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"!")
    begun = time.monotonic()
    signals.sleep(LONG_S, [reader])
    assert time.monotonic() - begun < LONG_S / 10
    os.close(reader)
    os.close(writer)


def test_news_ends_the_waiting(signals: Signals) -> None:
    looks = iter([False, True])
    begun = time.monotonic()
    signals.sleep(LONG_S, has_news=lambda: next(looks))
    assert time.monotonic() - begun < LONG_S / 10
