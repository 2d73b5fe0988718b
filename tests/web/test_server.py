"""Listening, accepting, stopping."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.process import capture_logs
from tests.web.clients import GET, PATIENCE, answer, ask, connect, everything, until
from vats_exporter.web import Request, Response, say
from vats_exporter.web import server as server_module
from vats_exporter.web.addresses import ListenAddress
from vats_exporter.web.connections import Limits
from vats_exporter.web.server import LogLimit, WebServer

if TYPE_CHECKING:
    from tests.web.conftest import Serve

LOOPBACK = ListenAddress("127.0.0.1", 0)


def test_the_url_has_the_port_that_was_free(serve: Serve) -> None:
    server = serve()
    assert server.addresses[0].port > 0
    assert server.url == f"http://127.0.0.1:{server.addresses[0].port}"


def test_several_addresses_are_served_within_one_limit() -> None:
    addresses = [ListenAddress(f"127.0.0.{last}", 0) for last in (1, 2, 3)]
    server = WebServer(addresses, lambda _: say(200, "fine"), limits=Limits(max_connections=2))
    server.start()
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop, 1.0)
        idle = [stack.enter_context(connect(server, at=at)) for at in (0, 1)]
        assert until(lambda: len(server.connections) == 2)
        client = stack.enter_context(connect(server, at=2))
        client.sendall(GET)
        assert answer(client).endswith(b"fine\n")
        assert len(server.connections) == 2
        (ended, *_), _, _ = select.select(idle, [], [], PATIENCE)
        assert ended.recv(1) == b""


def test_where_one_of_several_addresses_is_taken_none_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        addresses = [LOOPBACK, ListenAddress("127.0.0.1", taken.getsockname()[1])]
        made: list[socket.socket] = []
        listen = ListenAddress.listen

        class Noted(ListenAddress):
            def listen(self) -> socket.socket:
                made.append(listen(self))
                return made[-1]

        noted = [Noted(one.host, one.port) for one in addresses]
        with pytest.raises(OSError, match="in use") as caught:
            WebServer(noted, lambda _: say(200, "never"))
    assert caught.value.filename == str(addresses[1])
    assert [one.fileno() for one in made] == [-1]


def test_a_connection_that_cannot_be_accepted_does_not_end_the_server(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    errors = [OSError(errno.EMFILE, os.strerror(errno.EMFILE))] * 5
    real = socket.socket.accept

    def accept(listener: socket.socket) -> tuple[socket.socket, object]:
        if errors:
            raise errors.pop()
        return real(listener)

    monkeypatch.setattr(socket.socket, "accept", accept)
    with capture_logs() as logs, connect(server) as client:
        client.sendall(GET)
        assert answer(client).startswith(b"HTTP/1.1 200 ")
    told = [line["error"] for line in logs if line["event"] == "connection not accepted"]
    assert told == ["Too many open files"]  # once, though it failed five times
    assert not errors


def test_a_system_without_descriptors_gets_one_back_from_an_idle_client(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    real = socket.socket.accept

    def accept(listener: socket.socket) -> tuple[socket.socket, object]:
        if len(server.connections) > 1:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(listener)

    with connect(server), connect(server):
        assert until(lambda: len(server.connections) == 2)
        monkeypatch.setattr(socket.socket, "accept", accept)
        assert ask(server, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_a_system_without_threads_tells_the_client(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with connect(server) as client:
            assert everything(client).startswith(b"HTTP/1.1 503 ")
    with connect(server) as client:
        client.sendall(GET)
        assert answer(client).startswith(b"HTTP/1.1 200 ")


def test_a_bug_in_a_connections_thread_is_logged_without_its_message(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()

    def serve_one(_: object) -> None:
        raise KeyError("secret")

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(server_module._Handler, "_serve", serve_one)
        assert ask(server, GET) == b""
        assert until(lambda: len(logs) > 0)
    (line,) = logs
    assert line["event"] == "connection failed"
    assert line["error"].startswith("unexpected KeyError at test_server.py:")
    assert ask(server, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_stopping_ends_idle_connections_at_once(serve: Serve) -> None:
    server = serve()
    with connect(server) as client:
        client.sendall(GET)
        answer(client)
        began = time.monotonic()
        server.stop(PATIENCE)
        assert time.monotonic() - began < PATIENCE / 2
        assert everything(client) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(server)


class Gate:
    """A page that is made when the test lets it."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, _: Request) -> Response:
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        return say(200, "whole")


def test_stopping_lets_an_answer_under_way_end(serve: Serve) -> None:
    page = Gate()
    server = serve(page)
    with connect(server) as client:
        client.sendall(GET)
        assert page.begun.wait(PATIENCE)
        stopping = threading.Thread(target=server.stop, args=(PATIENCE,))
        stopping.start()
        assert until(lambda: server.connections.stopping)
        page.go_on.set()
        data = everything(client)
        stopping.join(PATIENCE)
    assert data.endswith(b"whole\n")
    assert b"\r\nConnection: close\r\n" in data


def test_stopping_cuts_off_what_takes_too_long(serve: Serve) -> None:
    page = Gate()
    server = serve(page)
    with connect(server) as client:
        client.sendall(GET)
        assert page.begun.wait(PATIENCE)
        server.stop(0.01)
        page.go_on.set()
        assert everything(client) == b""


def test_a_server_that_never_started_can_be_stopped() -> None:
    server = WebServer([LOOPBACK], lambda _: say(200, "never"))
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        connect(server)


def test_a_server_that_no_longer_listens_is_not_alive() -> None:
    server = WebServer([LOOPBACK], lambda request: say(200, request.path))
    server.start()
    assert server.is_alive()
    server.stop(1.0)
    assert not server.is_alive()


class SetClock:
    ticks = 5.0

    def __call__(self) -> float:
        return self.ticks


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    clock = SetClock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def test_each_client_gets_a_line_once_a_minute(clock: SetClock) -> None:
    limit = LogLimit()
    assert [limit.allows(one) for one in ("a", "a", "b", "a")] == [True, False, True, False]
    clock.ticks += 59.9
    assert not limit.allows("a")
    clock.ticks += 0.1
    assert limit.allows("a")
    assert not limit.allows("a")


def test_a_crowd_of_clients_fills_neither_the_log_nor_the_memory(clock: SetClock) -> None:
    limit = LogLimit()
    crowd = [f"10.0.{number >> 8}.{number & 255}" for number in range(10_000)]
    assert sum(map(limit.allows, crowd)) == 100
    clock.ticks += 60
    assert limit.allows("somebody else")
    assert len(limit._logged) == 1
