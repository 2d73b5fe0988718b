"""Listening, accepting, stopping; which requests are answered, how, and what no answer quotes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import socket
import ssl
import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.process import capture_logs
from tests.web.clients import (
    GET,
    LAST,
    PATIENCE,
    answer,
    ask,
    connect,
    everything,
    none_open,
    until,
)
from vats_exporter.address import ListenAddress
from vats_exporter.web import JSON, Request, Response, read_request, say
from vats_exporter.web import server as server_module
from vats_exporter.web.server import Limits, WebServer

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        assert until(lambda: len(server._open) == 2)
        client = stack.enter_context(connect(server, at=2))
        client.sendall(GET)
        assert answer(client).endswith(b"fine\n")
        assert len(server._open) == 2
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
        if len(server._open) > 1:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(listener)

    with connect(server), connect(server):
        assert until(lambda: len(server._open) == 2)
        monkeypatch.setattr(socket.socket, "accept", accept)
        assert ask(server, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_a_system_without_threads_ends_the_connection_and_not_the_server(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(threading.Thread, "start", start)
        with connect(server) as client:
            assert everything(client) == b""
    assert [line["event"] for line in logs] == ["connection failed"]
    with connect(server) as client:
        client.sendall(GET)
        assert answer(client).startswith(b"HTTP/1.1 200 ")


def test_a_bug_in_a_connections_thread_is_logged_without_its_message(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()

    def answer_one(_: object) -> None:
        raise KeyError("secret")

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(server_module._Connection, "_answer_one", answer_one)
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
        assert until(lambda: server.stopping)
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


# -- requests over real connections


def status(data: bytes) -> int:
    assert data.startswith(b"HTTP/1.1 "), data
    return int(data[9:12])


def tell_request(request: Request) -> Response:
    """What the server made of a request."""
    told = [request.method, request.path, request.query, request.headers.get("accept")]
    return say(200, json.dumps(told, ensure_ascii=False), content_type=JSON)


def told(server: WebServer, target: str, accept: str = "*/*") -> list[str]:
    head = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: {accept}\r\n\r\n"
    found: list[str] = json.loads(ask(server, head.encode()).partition(b"\r\n\r\n")[2])
    return found


def test_many_requests_share_a_connection(serve: Serve) -> None:
    connection = HTTPConnection("127.0.0.1", serve().addresses[0].port, timeout=PATIENCE)
    with contextlib.closing(connection):
        for at in range(5):
            connection.request("GET", f"/{at}")
            mine = connection.sock
            with connection.getresponse() as response:
                assert (response.status, response.read()) == (200, f"/{at}\n".encode())
            assert connection.sock is mine is not None


def test_requests_sent_without_waiting_are_answered_in_order(serve: Serve) -> None:
    data = ask(
        serve(),
        b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"
        b"GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in data.split(b"HTTP/1.1")]
    assert bodies[1:] == [b"/1\n", b"/2\n", b"/3\n"]


def test_a_request_may_come_byte_by_byte_after_an_empty_line(serve: Serve) -> None:
    with connect(serve()) as client:
        for byte in b"\r\n" + GET:
            client.sendall(bytes([byte]))
        assert answer(client).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_head_may_fill_its_bound_again_and_again(serve: Serve) -> None:
    with connect(serve()) as client:
        for _ in range(3):
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"x" * 15_000 + b"\r\n\r\n")
            assert answer(client).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_head_that_comes_again_is_parsed_once_and_means_the_same(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(tell_request)
    parsed: list[str] = []
    parse = BaseHTTPRequestHandler.parse_request

    def counting_parse(handler: BaseHTTPRequestHandler) -> bool:
        done = parse(handler)
        parsed.append(handler.path)
        return done

    monkeypatch.setattr(BaseHTTPRequestHandler, "parse_request", counting_parse)
    first, second, first_again = told(server, "/a"), told(server, "/b?c"), told(server, "/a")
    assert first == first_again == ["GET", "/a", "", "*/*"]
    assert second == ["GET", "/b", "c", "*/*"]
    assert parsed == ["/a", "/b?c"]


def test_heads_that_are_remembered_are_bounded(serve: Serve) -> None:
    server = serve()
    for number in range(150):
        assert status(ask(server, b"GET /%d HTTP/1.0\r\n\r\n" % number)) == 200
    assert read_request.cache_info().currsize <= 64


def test_a_client_of_http_1_0_that_wants_its_connection_kept_is_told_that_it_is(
    serve: Serve,
) -> None:
    with connect(serve()) as client:  # as ab -k asks
        for _ in range(3):
            client.sendall(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            assert b"\r\nConnection: keep-alive\r\n" in answer(client)
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"\r\nConnection: close\r\n" in everything(client)


def test_an_answers_head_tells_its_body(serve: Serve) -> None:
    server = serve(lambda _: Response(200, (b"abc", b"de"), "a/b", (("Vary", "Accept"),)))
    head, _, body = ask(server, LAST).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ") for line in lines)
    assert first == "HTTP/1.1 200 OK"
    assert headers.pop("Date").endswith(" GMT")
    assert headers == {
        "Content-Type": "a/b",
        "Content-Length": "5",
        "Connection": "close",
        "Vary": "Accept",
    }
    assert body == b"abcde"


def test_head_is_answered_with_the_length_and_without_the_body(serve: Serve) -> None:
    data = ask(serve(), b"HEAD /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"\r\nContent-Length: 3\r\n" in head + b"\r\n"
    assert body == b""


def test_a_body_of_many_pieces_and_megabytes_arrives_whole_and_in_order(serve: Serve) -> None:
    chunks = [b"%07d\n" % at * 250 for at in range(3000)]
    server = serve(lambda _: Response(200, chunks))
    assert ask(server, LAST).partition(b"\r\n\r\n")[2] == b"".join(chunks)


@pytest.mark.parametrize("header", [b"Content-Length: 30", b"Transfer-Encoding: chunked"])
def test_a_body_in_a_request_is_not_taken_for_another_request(serve: Serve, header: bytes) -> None:
    data = ask(serve(), b"POST / HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n" + GET)
    assert data.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in data


def test_a_client_that_would_wait_before_it_sends_a_body_is_asked_for_none(serve: Serve) -> None:
    sent = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    assert status(ask(serve(), sent)) == 200


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/metrics?a=1&b=", "/metrics", "a=1&b="),
        ("/metrics#top", "/metrics", ""),
        ("//metrics", "/metrics", ""),
        ("http://exporter:9742/metrics?x=1", "/metrics", "x=1"),
        ("http://exporter:9742", "/", ""),
        ("*", "*", ""),
        ("/probe?account=Офис", "/probe", "account=Офис"),
        ("/probe?account=%D0%9E", "/probe", "account=%D0%9E"),
    ],
)
def test_a_target_is_reduced_to_path_and_query(
    serve: Serve, target: str, path: str, query: str
) -> None:
    assert told(serve(tell_request), target, "a, b") == ["GET", path, query, "a, b"]


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"GET / HTTP/9\r\n\r\n", 400),
        (b"GET / FTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"G\x00T\r\n\r\n", 400),
        (b"GET http://[x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"x" * 1_000_000, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 150 + b"\r\n", 431),
    ],
)
def test_what_is_no_request_gets_a_status_and_the_connection_ends(
    serve: Serve, sent: bytes, wanted: int
) -> None:
    server = serve()
    with capture_logs() as logs:
        data = ask(server, sent)
    assert status(data) == wanted
    assert b"\r\nConnection: close\r\n" in data
    assert {line["log_level"] for line in logs} <= {"debug"}


def test_a_request_that_could_not_be_read_is_quoted_nowhere(serve: Serve) -> None:
    server = serve()
    with capture_logs() as logs:
        data = ask(server, b"GET hunter2 hunter2 hunter2 HTTP/1.1\r\nhunter2\r\n\r\n")
    assert status(data) == 400
    assert b"hunter2" not in data
    assert "hunter2" not in repr(logs)


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[WebServer]:
    server = WebServer([ListenAddress("127.0.0.1", 0)], lambda _: say(200, "fine"), limits=Limits())
    server.start()
    yield server
    server.stop(1.0)


HEADS = st.binary(max_size=60).map(b"GET / HTTP/1.1\r\nHost: x\r\n".__add__)


@settings(deadline=None, max_examples=60)
@given(sent=st.binary(max_size=200) | HEADS)
def test_any_bytes_get_an_answer_or_an_end_and_the_server_stays(
    fuzzed: WebServer, sent: bytes
) -> None:
    with capture_logs() as logs, connect(fuzzed) as client:
        client.sendall(sent + b"\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        assert everything(client)[:9] in {b"HTTP/1.1 ", b""}
    assert {line["log_level"] for line in logs} <= {"debug"}
    assert status(ask(fuzzed, LAST)) == 200


def test_a_request_that_was_cut_short_is_not_answered(serve: Serve) -> None:
    answered: list[Request] = []

    def respond(request: Request) -> Response:
        answered.append(request)
        return say(200, "whole")

    server = serve(respond)
    for sent in (b"POST /-/reload HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1", b"GET"):
        with connect(server) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            assert everything(client) == b""
    assert answered == []


def test_a_client_that_begins_tls_is_told_at_once_that_there_is_none(serve: Serve) -> None:
    server = serve(read_timeout=60.0)
    data = ask(server, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert status(data) == 400
    assert b"plain HTTP" in data
    context = ssl.create_default_context()
    with connect(server) as client, pytest.raises(ssl.SSLError, match=r"(?i)wrong.version"):
        context.wrap_socket(client, server_hostname="localhost")


def test_a_client_that_leaves_in_the_middle_leaves_no_trace(serve: Serve) -> None:
    left = threading.Event()

    def respond(_: Request) -> Response:
        assert left.wait(PATIENCE)
        return Response(200, [b"x" * 1_000_000] * 20)

    server = serve(respond)
    with capture_logs() as logs:
        client = connect(server)
        client.sendall(GET)
        assert until(lambda: len(server._open) == 1)
        client.close()
        left.set()
        assert none_open(server)
    assert logs == []


def test_a_bug_in_a_page_is_a_500_and_an_error_line_and_the_connection_stays(
    serve: Serve,
) -> None:
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
    (error,) = [line for line in logs if line["log_level"] == "error"]
    assert error["error"].startswith("unexpected ValueError at test_server.py:")
    assert "secret" not in repr(logs) + data.decode()


def test_requests_are_logged_at_debug_alone(serve: Serve) -> None:
    with capture_logs() as logs:
        server = serve()
        ask(server, b"GET /page?password=x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert none_open(server)
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


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("account=office", "office"),
        ("account=%D0%9E%D1%84%D0%B8%D1%81+1", "Офис 1"),
        ("account=Офис%20%E2%84%961", "Офис №1"),
        ("debug=true&account=first&account=second", "first"),
        ("account=", ""),
        ("accounts=office", None),
        ("", None),
    ],
)
def test_a_parameter_is_the_first_of_its_name_decoded(query: str, value: str | None) -> None:
    assert Request("GET", "/probe", query).parameter("account") == value


def test_saying_something_is_one_line_of_text() -> None:
    response = say(405, "Нет.", ("Allow", "GET"))
    assert (response.status, b"".join(response.chunks).decode()) == (405, "Нет.\n")
    assert response.content_type == "text/plain; charset=utf-8"
    assert [*response.headers] == [("Allow", "GET")]
    assert response.length == len("Нет.\n".encode())


def test_a_text_that_no_encoding_holds_is_sent_as_far_as_it_can_be() -> None:
    response = say(200, '"\ud800"', content_type=JSON)
    assert b"".join(response.chunks) == b'"?"\n'
    assert (response.content_type, response.length) == (JSON, 4)
