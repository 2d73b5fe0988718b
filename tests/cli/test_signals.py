"""The first signal is a wish, the second an order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from vats_exporter.cli.signals import handled

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = """
import sys
from vats_exporter.cli.signals import handled
with handled() as wait:
    print("waiting", flush=True)
    wait()
    print("ending", flush=True)
    sys.stdin.read()
"""

TAKEN_ELSEWHERE = """
import signal, sys, threading
from vats_exporter.cli.signals import handled
number = int(sys.argv[1])
def take():
    print("waiting", flush=True)
    sys.stdin.readline()
    # As if the kernel had chosen this thread.
    signal.pthread_kill(threading.get_ident(), number)
    threading.Event().wait()
with handled(lambda: sys.exit(0)) as wait:
    threading.Thread(target=take, daemon=True).start()
    wait()
"""


@pytest.fixture(autouse=True)
def _hangups_as_they_were() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_before_anybody_waits_is_remembered(number: int) -> None:
    with handled() as wait:
        os.kill(os.getpid(), number)
        wait()


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with handled() as wait:
        os.kill(os.getpid(), signal.SIGTERM)
        wait()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_another_thread_takes_wakes_the_one_that_waits(number: int) -> None:
    # In a process of its own, since a signal that is lost would never let this one go on.
    with subprocess.Popen(
        [sys.executable, "-c", TAKEN_ELSEWHERE, str(int(number))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"waiting\n"
        process.stdin.write(b"now\n")
        process.stdin.flush()
        try:
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()


def test_a_wish_to_end_is_not_lost_behind_any_number_of_wishes_to_reload() -> None:
    with handled(lambda: pytest.fail("reloaded first")) as wait:
        for _ in range(70_000):  # more than the pipe holds
            os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        wait()


def test_a_signal_of_somebody_else_neither_ends_nor_reloads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = os.read
    reads: list[bytes] = []

    def read_then_end(descriptor: int, count: int) -> bytes:
        if reads:
            os.kill(os.getpid(), signal.SIGTERM)
        reads.append(read(descriptor, count))
        return reads[-1]

    monkeypatch.setattr(os, "read", read_then_end)
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with handled(lambda: pytest.fail("reloaded")) as wait:
            os.kill(os.getpid(), signal.SIGUSR1)
            wait()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert reads == [bytes([signal.SIGUSR1]), bytes([signal.SIGTERM])]


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_process_at_once(second: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"waiting\n"
        process.send_signal(signal.SIGTERM)
        # It takes its time over ending: standard input stays open.
        assert process.stdout.readline() == b"ending\n"
        process.send_signal(second)
        assert process.wait(timeout=20) == -second


def test_no_hangup_ends_a_process_that_ends_already() -> None:
    with handled(lambda: pytest.fail("reloaded")) as wait:
        os.kill(os.getpid(), signal.SIGTERM)
        wait()
        os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGHUP)


def test_a_hangup_that_came_before_it_was_handled_reloads() -> None:
    reloaded: list[bool] = []

    def reload() -> None:
        reloaded.append(True)
        os.kill(os.getpid(), signal.SIGTERM)

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # as the program begins
    # To this thread: a test process has others, which do not block it.
    signal.pthread_kill(threading.get_ident(), signal.SIGHUP)
    with handled(reload) as wait:
        wait()
    assert reloaded == [True]
    assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
