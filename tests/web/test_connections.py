"""Which connections may stay, and for how long."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.web.clients import GET, PATIENCE, answer, connect, everything, none_open, until
from vats_exporter.web import Request, Response, say
from vats_exporter.web.server import Limits, WebServer, _Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.web.conftest import Serve


class Opened:
    """Pairs of sockets: the near ends are the server's, the far ones see what becomes of it."""

    def __init__(self, stack: contextlib.ExitStack, limit: int) -> None:
        self.server = WebServer([], lambda _: say(200, "never"), limits=Limits(limit))
        self._stack = stack

    def admit(self) -> tuple[bool, _Connection, socket.socket]:
        near, far = (self._stack.enter_context(one) for one in socket.socketpair())
        far.setblocking(False)
        connection = object.__new__(_Connection)  # without a thread that answers it
        connection.request = near
        connection._wait(150.0)
        return self.server.admit(connection), connection, far

    def three(self) -> list[tuple[_Connection, socket.socket]]:
        return [self.admit()[1:] for _ in range(3)]


@pytest.fixture
def opened() -> Iterator[Opened]:
    with contextlib.ExitStack() as stack:
        yield Opened(stack, limit=3)


def has_ended(far: socket.socket) -> bool:
    try:
        return far.recv(1) == b""
    except BlockingIOError:
        return False


def test_a_newcomer_takes_the_room_of_the_one_that_waited_longest(opened: Opened) -> None:
    three = opened.three()
    for since, (connection, _) in zip((30.0, 10.0, 20.0), three, strict=True):
        connection.waiting = (since, 1e9)
    assert opened.admit()[0]
    assert [has_ended(far) for _, far in three] == [False, True, False]
    assert len(opened.server._open) == 3


def test_one_that_takes_its_answer_goes_after_those_that_owe_a_request(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    three = opened.three()
    ticks = iter((10.0, 24.0, 26.0, 30.0, 30.0, 30.0))
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    for favour, (connection, _) in zip((15.0, 0.0, 0.0), three, strict=True):
        connection._wait(30.0, favour)
    opened.admit()
    opened.admit()
    assert [has_ended(far) for _, far in three] == [True, True, False]


def test_where_all_are_being_answered_there_is_no_room(opened: Opened) -> None:
    three = opened.three()
    for connection, _ in three:
        connection.waiting = None
    admitted, _, _ = opened.admit()
    assert not admitted
    assert not any(has_ended(far) for _, far in three)


def test_what_is_overdue_ends_and_nothing_else_does(opened: Opened) -> None:
    (late, late_end), (early, early_end), (busy, busy_end) = opened.three()
    late.waiting = (0.0, 1.0)
    early._wait(3600.0)
    busy.waiting = None
    opened.server.end_overdue()
    assert [has_ended(far) for far in (late_end, early_end, busy_end)] == [True, False, False]


def test_stopping_waits_for_what_is_being_answered(opened: Opened) -> None:
    three = opened.three()
    busy, busy_end = three[0]
    busy.waiting = None
    answered = threading.Event()

    def serve(connection: _Connection) -> None:
        assert connection.request.recv(1) == b""  # it is over, says the server
        if connection is busy:
            assert answered.wait(PATIENCE)
            connection.request.sendall(b"x")
        opened.server.forget(connection)

    threads = [threading.Thread(target=serve, args=(connection,)) for connection, _ in three]
    ending = threading.Thread(target=opened.server.stop, args=(PATIENCE,))
    for thread in (*threads, ending):
        thread.start()
    threads[1].join(PATIENCE)
    assert len(opened.server._open) >= 1
    answered.set()
    for thread in (*threads, ending):
        thread.join(PATIENCE)
    assert busy_end.recv(1) == b"x"
    assert len(opened.server._open) == 0


def test_stopping_cuts_off_what_takes_too_long(opened: Opened) -> None:
    three = opened.three()
    for connection, _ in three:
        connection.waiting = None
    opened.server.stop(0.01)
    assert all(has_ended(far) for _, far in three)


def test_ending_what_has_ended_by_itself_is_no_error(opened: Opened) -> None:
    (connection, far), *_ = opened.three()
    connection.request.close()
    connection.end()
    assert has_ended(far)


def big(_: Request) -> Response:
    """An answer of more bytes than the kernel takes at once."""
    return Response(200, [bytes(1_000_000)] * 20)


def ask_and_do_not_read(server: WebServer, stack: contextlib.ExitStack) -> socket.socket:
    client = stack.enter_context(connect(server))
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert client.recv(8) == b"HTTP/1.1"
    return client


def test_two_hundred_idle_clients_do_not_stop_a_request(serve: Serve) -> None:
    server = serve()
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connect(server))
        client = stack.enter_context(connect(server))
        client.sendall(GET)
        assert answer(client).startswith(b"HTTP/1.1 200 ")


def is_idle(connection: _Connection) -> bool:
    return connection.waiting is not None and connection.waiting[0] <= time.monotonic()


def test_past_the_limit_the_client_that_was_idle_longest_goes(serve: Serve) -> None:
    server = serve(max_connections=3)

    def ask(client: socket.socket) -> None:
        client.sendall(GET)
        assert answer(client).startswith(b"HTTP/1.1 200 ")
        assert until(lambda: all(is_idle(one) for one in server._open))

    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(server)) for _ in range(3)]
        for client in (*clients, clients[0]):
            ask(client)  # the first is in the end the one that was heard of last
        late = stack.enter_context(connect(server))
        ask(late)
        assert everything(clients[1]) == b""
        for kept in (clients[0], clients[2]):
            ask(kept)


def test_a_crowd_of_clients_cuts_no_answer_that_is_being_taken(serve: Serve) -> None:
    server = serve(big, max_connections=4)
    with contextlib.ExitStack() as stack:
        taking = [ask_and_do_not_read(server, stack) for _ in range(3)]
        for sent in (b"", b"GET / HT", b"") * 10:
            stack.enter_context(connect(server)).sendall(sent)
        for client in taking:
            assert len(everything(client)) > 20_000_000


def test_clients_whose_requests_were_bad_make_room_for_another_one(serve: Serve) -> None:
    server = serve(max_connections=2)
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            # It is read on for a moment, so that it gets its answer.
            client = stack.enter_context(connect(server))
            client.sendall(b"nonsense\r\n\r\n")
            assert answer(client).startswith(b"HTTP/1.1 400 ")
        client = stack.enter_context(connect(server))
        client.sendall(GET)
        assert answer(client).startswith(b"HTTP/1.1 200 ")


class Gate:
    """A page that is made when the test lets it."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, _: Request) -> Response:
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        return say(200, "whole")


def test_a_crowd_of_clients_does_not_stop_a_scrape_under_way(serve: Serve) -> None:
    page = Gate()
    server = serve(page, max_connections=5)
    with contextlib.ExitStack() as stack:
        scrape = stack.enter_context(connect(server))
        scrape.sendall(GET)
        assert page.begun.wait(PATIENCE)
        for _ in range(100):
            stack.enter_context(connect(server))
        page.go_on.set()
        assert answer(scrape).endswith(b"whole\n")


def test_where_all_are_being_answered_another_client_is_told_so(serve: Serve) -> None:
    page = Gate()
    server = serve(page, max_connections=1)
    with connect(server) as first:
        first.sendall(GET)
        assert page.begun.wait(PATIENCE)
        with connect(server) as second:
            assert everything(second).startswith(b"HTTP/1.1 503 ")
        page.go_on.set()
        assert answer(first).endswith(b"whole\n")


def test_a_head_that_does_not_end_is_given_up(serve: Serve) -> None:
    server = serve(read_timeout=0.05)
    with connect(server) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost:")
        assert everything(client) == b""
    assert none_open(server)


@pytest.mark.parametrize("endless", [b"x", b"y\r\nX: "])
def test_neither_drips_nor_floods_prolong_a_request(serve: Serve, endless: bytes) -> None:
    answered: list[Request] = []

    def respond(request: Request) -> Response:
        answered.append(request)
        return say(200, "whole")

    server = serve(respond, read_timeout=0.2)
    ended = threading.Event()

    def drip(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not ended.wait(0.02):
                client.sendall(endless)

    with connect(server) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX: ")
        dripping = threading.Thread(target=drip, args=(client,))
        dripping.start()
        assert everything(client) == b""
        ended.set()
        dripping.join(PATIENCE)
    assert none_open(server)
    assert answered == []


def test_a_flood_of_empty_lines_ends_with_the_second_one(serve: Serve) -> None:
    server = serve(read_timeout=3600.0, idle_timeout=3600.0)
    with connect(server) as client:
        with contextlib.suppress(OSError):
            for _ in range(100):
                client.sendall(b"\r\n" * 10_000)
        assert everything(client) == b""
    assert none_open(server)


def test_an_idle_connection_is_closed_without_a_word(serve: Serve) -> None:
    with connect(serve(idle_timeout=0.05)) as client:
        client.sendall(GET)
        answer(client)
        assert everything(client) == b""


def test_a_client_that_takes_no_answer_is_given_up(serve: Serve) -> None:
    server = serve(big, write_timeout=0.1)
    with connect(server) as client:
        client.sendall(GET)
        assert client.recv(4) == b"HTTP"
        assert none_open(server)  # though nothing more was read
        assert len(everything(client)) < 20_000_000


def test_a_client_that_takes_its_answer_in_drips_is_given_up(serve: Serve) -> None:
    server = serve(big, write_timeout=0.3)
    with connect(server) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(GET)

        def drip() -> bool:
            assert client.recv(10)
            return len(server._open) == 0

        assert until(drip)


def test_a_client_that_goes_on_sending_is_not_read_forever(serve: Serve) -> None:
    server = serve()
    ended = threading.Event()

    def flood(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not ended.is_set():
                client.sendall(b"x" * 1000)

    with connect(server) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        flooding = threading.Thread(target=flood, args=(client,))
        flooding.start()
        assert client.recv(12) == b"HTTP/1.1 200"
        assert none_open(server)
        ended.set()
    flooding.join(PATIENCE)
