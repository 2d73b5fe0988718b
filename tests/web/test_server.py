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
from vats_exporter.web import Limits, ListenAddress, Request, Response, WebServer
from vats_exporter.web import handler as handler_module
from vats_exporter.web.messages import say

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
        clients = [stack.enter_context(one.connect(timeout=PATIENCE)) for one in server.addresses]
        clients[2].sendall(GET)
        assert answer(clients[2]).endswith(b"fine\n")
        assert len(server.connections) == 2
        (ended, *_), _, _ = select.select(clients[:2], [], [], PATIENCE)
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


@pytest.mark.parametrize("error", [errno.EMFILE, errno.EAGAIN])
def test_a_connection_that_cannot_be_accepted_does_not_end_the_server(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    server = serve()
    errors = [OSError(error, os.strerror(error))] * 5
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
    # Once, though it failed five times.
    assert told == (["Too many open files"] if error == errno.EMFILE else [])
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

    def setup(_: handler_module.Handler) -> None:
        raise KeyError("secret")

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(handler_module.Handler, "setup", setup)
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
        assert until(lambda: server._service.stopping)
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
