"""Connections: what a client may do, and what no client can keep others from."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.client import HTTPConnection

import pytest

from tests.process import capture_logs
from tests.web.conftest import GET, PATIENCE, answer, connect, everything
from vats_exporter.web import ListenAddress, Request, Response, WebServer
from vats_exporter.web import connection as connection_module
from vats_exporter.web import server as server_module
from vats_exporter.web.messages import BadRequestError, say

LOOPBACK = ListenAddress("127.0.0.1", 0)

Serve = Callable[..., WebServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with contextlib.ExitStack() as stack:

        def start(
            respond: Callable[[Request], Response] = lambda request: say(200, request.path),
            **limits: float,
        ) -> WebServer:
            server = WebServer(LOOPBACK, respond, **limits)  # type: ignore[arg-type]  # by name
            server.start()
            stack.callback(server.stop, 1.0)
            return server

        yield start


def test_the_url_has_the_port_that_was_free(serve: Serve) -> None:
    server = serve()
    assert server.address.port > 0
    assert server.url == f"http://127.0.0.1:{server.address.port}"


def test_many_requests_share_a_connection(serve: Serve) -> None:
    connection = HTTPConnection("127.0.0.1", serve().address.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        for at in range(5):
            connection.request("GET", f"/{at}")
            mine = connection.sock
            with connection.getresponse() as response:
                assert (response.status, response.read()) == (200, f"/{at}\n".encode())
            assert connection.sock is mine is not None


def test_requests_sent_without_waiting_are_answered_in_order(serve: Serve) -> None:
    with connect(serve()) as client:
        client.sendall(
            b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"
            b"GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        bodies = [part.rpartition(b"\r\n\r\n")[2] for part in everything(client).split(b"HTTP/1.1")]
    assert bodies[1:] == [b"/1\n", b"/2\n", b"/3\n"]


def test_a_request_may_come_byte_by_byte(serve: Serve) -> None:
    with connect(serve()) as client:
        for byte in b"\r\n" + GET:
            client.sendall(bytes([byte]))
        assert answer(client).startswith(b"HTTP/1.1 200 OK\r\n")


def test_empty_lines_before_a_request_are_ignored(serve: Serve) -> None:
    with connect(serve()) as client:
        client.sendall(b"\r\n" + GET)
        assert answer(client).startswith(b"HTTP/1.1 200 OK\r\n")
        client.sendall(b"\r\n\r\n" + GET)
        assert answer(client).startswith(b"HTTP/1.1 200 OK\r\n")


def test_head_is_answered_with_the_length_and_without_the_body(serve: Serve) -> None:
    with connect(serve()) as client:
        client.sendall(b"HEAD /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, _, body = everything(client).partition(b"\r\n\r\n")
    assert b"\r\nContent-Length: 3\r\n" in head + b"\r\n"
    assert body == b""


def test_small_packets_are_sent_at_once(serve: Serve) -> None:
    server = serve()
    with connect(server) as client:
        client.sendall(GET)
        answer(client)
        (connection,) = server._connections
        assert connection._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_an_answer_of_many_chunks_arrives_whole_and_in_order(serve: Serve) -> None:
    # More chunks than one system call takes, and more bytes than the kernel buffers.
    chunks = [b"%07d\n" % at * 250 for at in range(3000)]
    server = serve(lambda _: Response(200, chunks))
    with connect(server) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        _, _, body = everything(client).partition(b"\r\n\r\n")
    assert body == b"".join(chunks)


def test_an_answer_given_twice_in_a_second_is_the_same_and_another_is_another(
    serve: Serve,
) -> None:
    answers = {"/a": say(200, "a"), "/b": say(200, "b" * 100_000)}
    server = serve(lambda request: answers[request.path])
    with connect(server) as client:
        for path in ("/a", "/a", "/b", "/a", "/b"):
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            _, _, body = answer(client).partition(b"\r\n\r\n")
            assert body == answers[path].chunks[0]


def test_a_body_in_a_request_is_not_taken_for_another_request(serve: Serve) -> None:
    with connect(serve()) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n" + GET)
        data = everything(client)
    assert data.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in data


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/3.0\r\n\r\n", 505),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"x" * 1_000_000, 431),
    ],
)
def test_a_bad_request_gets_its_status_and_the_connection_ends(
    serve: Serve, sent: bytes, status: int
) -> None:
    server = serve()
    with capture_logs() as logs, connect(server) as client:
        with contextlib.suppress(OSError):  # it may be refused before all of it is sent
            client.sendall(sent)
        data = everything(client)
    assert data.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nConnection: close\r\n" in data
    assert {line["log_level"] for line in logs} <= {"debug"}


def test_a_client_that_begins_tls_is_told_at_once_that_there_is_none(serve: Serve) -> None:
    server = serve(read_timeout=60.0)
    with connect(server) as client:
        client.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        data = everything(client)
    assert data.startswith(b"HTTP/1.1 400 ")
    assert b"plain HTTP" in data
    context = ssl.create_default_context()
    with connect(server) as client, pytest.raises(ssl.SSLError, match=r"(?i)wrong.version"):
        context.wrap_socket(client, server_hostname="localhost")


def test_a_request_that_does_not_end_is_given_up(serve: Serve) -> None:
    with connect(serve(read_timeout=0.05)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost:")
        assert everything(client).startswith(b"HTTP/1.1 408 ")


def test_dripping_bytes_do_not_prolong_a_request(serve: Serve) -> None:
    with connect(serve(read_timeout=0.2)) as client:
        ended = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not ended.wait(0.02):
                    client.sendall(b"x")

        client.sendall(b"GET / HTTP/1.1\r\nX: ")
        dripping = threading.Thread(target=drip)
        dripping.start()
        data = everything(client)
        ended.set()
        dripping.join(PATIENCE)
    assert data.startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_is_closed_without_a_word(serve: Serve) -> None:
    with connect(serve(idle_timeout=0.05)) as client:
        client.sendall(GET)
        answer(client)
        assert everything(client) == b""


def test_a_client_that_takes_no_answer_is_given_up(serve: Serve) -> None:
    server = serve(lambda _: Response(200, [b"x" * 1_000_000] * 50), write_timeout=0.1)
    with connect(server) as client:
        client.sendall(GET)
        with server._changed:
            # The connection ends though not a byte was read.
            assert server._changed.wait_for(lambda: not server._connections, PATIENCE)
        assert len(everything(client)) < 50_000_000


def test_a_client_that_leaves_in_the_middle_leaves_no_trace(serve: Serve) -> None:
    left = threading.Event()

    def respond(_: Request) -> Response:
        assert left.wait(PATIENCE)
        return Response(200, [b"x" * 1_000_000] * 20)

    server = serve(respond)
    with capture_logs() as logs:
        client = connect(server)
        client.sendall(GET)
        client.close()
        left.set()
        with server._changed:
            assert server._changed.wait_for(lambda: not server._connections, PATIENCE)
    assert logs == []


def test_a_bug_in_a_page_is_a_500_and_an_error_line_and_the_server_stays(serve: Serve) -> None:
    def respond(request: Request) -> Response:
        if request.path == "/bug":
            raise ValueError("secret")
        return say(200, "fine")

    server = serve(respond)
    with capture_logs() as logs, connect(server) as client:
        client.sendall(b"GET /bug HTTP/1.1\r\nHost: x\r\n\r\n")
        data = answer(client)
        client.sendall(GET)
        assert answer(client).startswith(b"HTTP/1.1 200 ")
    assert data.startswith(b"HTTP/1.1 500 ")
    errors = [line for line in logs if line["log_level"] == "error"]
    assert len(errors) == 1
    assert errors[0]["error"].startswith("unexpected ValueError at test_server.py:")
    assert "secret" not in repr(logs) + data.decode()


def test_requests_are_logged_at_debug_alone(serve: Serve) -> None:
    with capture_logs() as logs, connect(serve()) as client:
        client.sendall(b"GET /page?password=x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        everything(client)
    line = next(line for line in logs if line["event"] == "request")
    assert line.pop("duration") >= 0
    assert line == {
        "event": "request",
        "log_level": "debug",
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/page",
        "status": 200,
        "size": 6,
    }


def test_two_hundred_idle_connections_do_not_stop_a_request(serve: Serve) -> None:
    server = serve()
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connect(server))
        client = stack.enter_context(connect(server))
        client.sendall(GET)
        assert answer(client).startswith(b"HTTP/1.1 200 ")


def test_past_the_limit_the_connection_that_waits_longest_goes(serve: Serve) -> None:
    server = serve(max_connections=3)
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(3):
            client = stack.enter_context(connect(server))
            client.sendall(GET)
            answer(client)
            clients.append(client)
        clients[0].sendall(GET)  # the first is now the one that was heard of last
        answer(clients[0])
        late = stack.enter_context(connect(server))
        late.sendall(GET)
        assert answer(late).startswith(b"HTTP/1.1 200 ")
        assert everything(clients[1]) == b""
        for kept in (clients[0], clients[2]):
            kept.sendall(GET)
            assert answer(kept).startswith(b"HTTP/1.1 200 ")


def big(server: WebServer, stack: contextlib.ExitStack) -> socket.socket:
    """A client that has asked for more than the kernel takes at once, and does not read it."""
    client = stack.enter_context(connect(server))
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert client.recv(8) == b"HTTP/1.1"
    return client


def test_a_flood_of_connections_cuts_no_answer_that_is_being_taken(serve: Serve) -> None:
    server = serve(lambda _: Response(200, [bytes(1_000_000)] * 20), max_connections=4)
    with contextlib.ExitStack() as stack:
        taking = [big(server, stack) for _ in range(3)]
        for sent in (b"", b"GET / HT", b"") * 10:
            stack.enter_context(connect(server)).sendall(sent)
        for client in taking:
            assert len(everything(client)) > 20_000_000


def test_an_answer_that_is_taken_for_ages_makes_room_for_another_client(serve: Serve) -> None:
    server = serve(lambda _: Response(200, [bytes(1_000_000)] * 20), max_connections=2)
    with contextlib.ExitStack() as stack:
        slow = big(server, stack)
        (connection,) = server._connections
        assert connection.waiting_since is not None
        connection.waiting_since -= server.write_timeout * 0.6
        for _ in range(2):
            stack.enter_context(connect(server))
        assert len(everything(slow)) < 20_000_000


def test_clients_whose_requests_were_bad_make_room_for_another_one(serve: Serve) -> None:
    server = serve(max_connections=2)
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            # Told what is wrong, and read on for a moment, so that it hears that.
            client = stack.enter_context(connect(server))
            client.sendall(b"nonsense\r\n\r\n")
            assert answer(client).startswith(b"HTTP/1.1 400 ")
        client = stack.enter_context(connect(server))
        client.sendall(GET)
        assert answer(client).startswith(b"HTTP/1.1 200 ")


def test_a_flood_of_connections_does_not_stop_a_scrape_under_way(serve: Serve) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def respond(_: Request) -> Response:
        begun.set()
        assert go_on.wait(PATIENCE)
        return say(200, "whole")

    server = serve(respond, max_connections=5)
    with contextlib.ExitStack() as stack:
        scrape = stack.enter_context(connect(server))
        scrape.sendall(GET)
        assert begun.wait(PATIENCE)
        for _ in range(100):
            stack.enter_context(connect(server))
        go_on.set()
        assert answer(scrape).endswith(b"whole\n")


def test_where_all_are_being_answered_another_one_is_told_so(serve: Serve) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def respond(_: Request) -> Response:
        begun.set()
        assert go_on.wait(PATIENCE)
        return say(200, "done")

    server = serve(respond, max_connections=1)
    with connect(server) as first:
        first.sendall(GET)
        assert begun.wait(PATIENCE)
        with connect(server) as second:
            assert everything(second).startswith(b"HTTP/1.1 503 ")
        go_on.set()
        assert answer(first).endswith(b"done\n")


def test_a_machine_out_of_threads_tells_the_client(
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


def test_stopping_lets_an_answer_under_way_end(serve: Serve) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def respond(_: Request) -> Response:
        begun.set()
        assert go_on.wait(PATIENCE)
        return say(200, "whole")

    server = serve(respond)
    with connect(server) as client:
        client.sendall(GET)
        assert begun.wait(PATIENCE)
        stopping = threading.Thread(target=server.stop, args=(PATIENCE,))
        stopping.start()
        while not server.stopping:
            pass
        go_on.set()
        data = everything(client)
        stopping.join(PATIENCE)
    assert data.endswith(b"whole\n")
    assert b"\r\nConnection: close\r\n" in data


def test_stopping_cuts_off_what_takes_too_long(serve: Serve) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def respond(_: Request) -> Response:
        begun.set()
        assert go_on.wait(PATIENCE)
        return say(200, "late")

    server = serve(respond)
    with connect(server) as client:
        client.sendall(GET)
        assert begun.wait(PATIENCE)
        server.stop(0.01)
        go_on.set()
        assert everything(client) == b""


def test_a_server_that_never_started_can_be_stopped() -> None:
    server = WebServer(LOOPBACK, lambda _: say(200, "never"))
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        connect(server)


def test_an_answer_of_which_the_kernel_takes_little_at_a_time_arrives_whole(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = (b"first,", b"", b"second,", b"3,", b"the rest of it\n")
    server = serve(lambda _: Response(200, chunks))
    monkeypatch.setattr(
        socket.socket, "sendmsg", lambda peer, buffers: peer.send(b"".join(buffers)[:3])
    )
    with connect(server) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert everything(client).endswith(b"\r\n\r\n" + b"".join(chunks))


@pytest.mark.parametrize("error", [errno.EMFILE, errno.EAGAIN])
def test_a_connection_that_cannot_be_accepted_does_not_end_the_server(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    server = serve()
    errors = [OSError(error, os.strerror(error))]
    real = socket.socket.accept

    def accept(listener: socket.socket) -> tuple[socket.socket, object]:
        if errors:
            raise errors.pop()
        return real(listener)

    monkeypatch.setattr(socket.socket, "accept", accept)
    with capture_logs() as logs, connect(server) as client:
        client.sendall(GET)
        assert answer(client).startswith(b"HTTP/1.1 200 ")
    told = [line for line in logs if line["event"] == "connection not accepted"]
    assert [line["error"] for line in told] == (
        ["Too many open files"] if error == errno.EMFILE else []
    )
    assert not errors


def test_a_page_may_find_the_request_wrong(serve: Serve) -> None:
    def respond(request: Request) -> Response:
        raise BadRequestError(422, f"There is no {request.path}.")

    with connect(serve(respond)) as client:
        client.sendall(GET)
        data = answer(client)
    assert data.startswith(b"HTTP/1.1 422 ")
    assert data.endswith(b"\r\n\r\nThere is no /.\n")


def test_a_server_that_no_longer_listens_is_not_alive() -> None:
    server = WebServer(LOOPBACK, lambda request: say(200, request.path))
    server.start()
    assert server.is_alive()
    server.stop(1.0)
    assert not server.is_alive()


def test_a_client_that_goes_on_sending_is_not_read_forever(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "_LINGER", 0.0)
    with connect(serve()) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert everything(client).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("seconds", [5e-7, 0.0])
def test_no_time_left_is_never_taken_for_all_the_time_there_is(
    serve: Serve, seconds: float
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection_module.Connection(serve(), ours, "client")._limit_receiving(seconds)
        limit = ours.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
    assert any(limit)  # zeros would mean none


def test_the_first_answer_of_a_second_is_dated_in_every_thread(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    seen: list[str] = []

    def formatdate_seen_by_another(seconds: float, *, usegmt: bool) -> str:
        if not seen:
            seen.append("")
            seen[0] = server.tick()
        return formatdate(seconds, usegmt=usegmt)

    monkeypatch.setattr(server_module, "formatdate", formatdate_seen_by_another)
    assert server.tick().endswith(" GMT")
    assert seen[0].endswith(" GMT")
