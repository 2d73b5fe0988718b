"""The signals that end a process, and what systemd is told of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.process import told
from vats_exporter.process import (
    give_signs_of_life,
    keep_signals,
    notify,
    serve_until_end,
    wait_for_end,
)

PROGRAM = """
import sys
from vats_exporter.process import keep_signals, wait_for_end
keep_signals()
print("waiting", flush=True)
wait_for_end()
print("ending", flush=True)
sys.stdin.read()
"""

SENT_ELSEWHERE = """
import os, signal, sys, threading
from vats_exporter.process import keep_signals, wait_for_end
number = int(sys.argv[1])
def take():
    print("waiting", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), number)
    threading.Event().wait()
keep_signals(signal.SIGHUP)
threading.Thread(target=take, daemon=True).start()
wait_for_end(lambda: sys.exit(0))
"""


def send(number: int) -> None:
    """Send a signal to this thread: a test process has others, which do not block it."""
    signal.pthread_kill(threading.get_ident(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_before_anybody_waits_is_remembered(number: int) -> None:
    keep_signals()
    send(number)
    wait_for_end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_another_thread_may_take_is_kept_for_the_one_that_waits(number: int) -> None:
    # In a process of its own, since a signal that is lost would never let this one go on.
    with subprocess.Popen(
        [sys.executable, "-c", SENT_ELSEWHERE, str(int(number))],
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


def test_a_wish_to_end_goes_before_any_number_of_wishes_to_reload() -> None:
    keep_signals(signal.SIGHUP)
    for _ in range(1000):
        send(signal.SIGHUP)
    send(signal.SIGTERM)
    wait_for_end(lambda: pytest.fail("reloaded first"))


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


@pytest.fixture
def _hangups_kept() -> Iterator[None]:
    """Block hangups as the program does when it begins, and forget those that are left."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    yield
    while signal.SIGHUP in signal.sigpending():
        signal.sigwait({signal.SIGHUP})
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.usefixtures("_hangups_kept")
def test_no_hangup_ends_a_process_that_ends_already() -> None:
    keep_signals(signal.SIGHUP)
    send(signal.SIGTERM)
    wait_for_end(lambda: pytest.fail("reloaded"))
    send(signal.SIGHUP)
    send(signal.SIGHUP)


@pytest.mark.usefixtures("_hangups_kept")
def test_a_hangup_that_came_before_it_was_handled_reloads() -> None:
    reloaded: list[bool] = []

    def reload() -> None:
        reloaded.append(True)
        send(signal.SIGTERM)

    send(signal.SIGHUP)
    keep_signals(signal.SIGHUP)
    wait_for_end(reload)
    assert reloaded == [True]


@pytest.mark.parametrize("lines", [["READY=1", "STATUS=2 accounts"], ["STOPPING=1"]])
def test_the_manager_is_told_line_by_line(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
    notify(*lines)
    assert told(manager) == lines


def test_an_abstract_address_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"vats-exporter-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        notify("READY=1")
        assert told(listening) == ["READY=1"]


@pytest.mark.parametrize("address", [None, "", "/no/such/socket"])
def test_without_a_manager_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")


def test_signs_of_life_come_while_there_is_life(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    answers = iter([True, False, True])

    def is_alive() -> bool:
        answer = next(answers, None)
        if answer is None:
            notify("asked three times")
            threading.Event().wait()  # for ever: the thread ends with the process
        return bool(answer)

    give_signs_of_life(is_alive)
    assert [told(manager) for _ in range(3)] == [
        ["WATCHDOG=1"],
        ["WATCHDOG=1"],
        ["asked three times"],
    ]


@pytest.mark.parametrize("waited", [None, "0", "", "soon"])
def test_who_is_not_watched_gives_no_signs(
    monkeypatch: pytest.MonkeyPatch, waited: str | None
) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    if waited is not None:
        monkeypatch.setenv("WATCHDOG_USEC", waited)
    before = threading.active_count()
    give_signs_of_life(lambda: True)
    assert threading.active_count() == before


def test_the_manager_follows_a_service_from_its_beginning_to_its_end(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    accounts = [1]

    def reload() -> None:
        accounts.append(2)
        send(signal.SIGTERM)

    keep_signals(signal.SIGHUP)
    send(signal.SIGHUP)
    serve_until_end(lambda: f"accounts: {accounts[-1]}", reload=reload, is_alive=lambda: True)
    assert told(manager) == ["READY=1", "STATUS=accounts: 1"]
    assert told(manager)[0] == "RELOADING=1"
    assert told(manager) == ["READY=1", "STATUS=accounts: 2"]
    assert told(manager) == ["STOPPING=1"]
