"""systemd's notification protocol, against a socket such as systemd's."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vats_exporter.cli.service_manager import ServiceManager

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 20.0


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENCE)
        yield listening


def told(manager: socket.socket) -> list[str]:
    return manager.recv(4096).decode().splitlines()


def environment(manager: socket.socket, **others: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": manager.getsockname(), **others}


def test_ready_reloading_and_stopping_are_told(manager: socket.socket) -> None:
    service = ServiceManager(environment(manager))
    service.ready("2 accounts")
    assert told(manager) == ["READY=1", "STATUS=2 accounts"]
    before = time.monotonic_ns() // 1000
    service.reloading()
    reloading, moment = told(manager)
    assert reloading == "RELOADING=1"
    assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    service.stopping()
    assert told(manager) == ["STOPPING=1"]


def test_an_abstract_address_is_understood() -> None:
    name = f"vats-exporter-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(PATIENCE)
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).ready("up")
        assert told(listening)[0] == "READY=1"


@pytest.mark.parametrize("given", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/no/such/socket"}])
def test_without_a_manager_nothing_happens(given: dict[str, str]) -> None:
    service = ServiceManager(given)
    service.ready("up")
    service.watch(lambda: True)
    service.stopping()


def test_signs_of_life_come_while_there_is_life(manager: socket.socket) -> None:
    service = ServiceManager(environment(manager, WATCHDOG_USEC="100000"))
    alive = True
    service.watch(lambda: alive)
    assert [told(manager) for _ in range(3)] == [["WATCHDOG=1"]] * 3
    service.stopping()


def test_no_sign_is_given_without_life(manager: socket.socket) -> None:
    asked: list[None] = []

    def is_alive() -> bool:
        asked.append(None)
        if len(asked) == 3:
            service.ready("asked three times")
        return False

    service = ServiceManager(environment(manager, WATCHDOG_USEC="20000"))
    service.watch(is_alive)
    assert told(manager)[0] == "READY=1"
    service.stopping()


@pytest.mark.parametrize(
    "given", [{"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_PID": "1"}]
)
def test_who_is_not_watched_gives_no_signs(manager: socket.socket, given: dict[str, str]) -> None:
    service = ServiceManager(environment(manager, **{"WATCHDOG_USEC": "20000", **given}))
    service.watch(lambda: True)
    service.ready("up")
    assert told(manager)[0] == "READY=1"


def test_serve_tells_its_manager(manager: socket.socket, tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text(
        "accounts: [{name: a, login: b, password: c-c-c-c-c, address: 'http://127.0.0.1:9'}]\n"
    )
    command = [sys.executable, "-m", "vats_exporter", "serve", "--config.file", str(config)]
    process = subprocess.Popen(
        [*command, "--web.listen-address", "127.0.0.1:0"],
        env={**os.environ, **environment(manager, WATCHDOG_USEC="200000")},
        cwd=Path(__file__).parents[2],
        stderr=subprocess.DEVNULL,
    )
    try:
        seen: list[str] = []
        while "WATCHDOG=1" not in seen:
            seen += told(manager)
        assert seen[0] == "READY=1"
        process.send_signal(signal.SIGHUP)
        while "RELOADING=1" not in seen:
            seen += told(manager)
        while seen.count("READY=1") < 2:
            seen += told(manager)
        process.send_signal(signal.SIGTERM)
        while "STOPPING=1" not in seen:
            seen += told(manager)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
