"""Whatever a server does, a call ends in an answer or one error of the tree, in time and size."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import io
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol, cast
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cabinet.proxy import ForwardingProxy
from tests.cabinet.replay import NOCACHE, ReplayServer, Reply, html, redirect
from vats_exporter import __version__
from vats_exporter.cabinet import transport as module
from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    NotACabinetError,
    NotGwtError,
    ProxyError,
    UndecodableError,
    UnreachableError,
)
from vats_exporter.cabinet.settings import CabinetSettings, Timeouts
from vats_exporter.cabinet.transport import (
    Answer,
    CallEnded,
    CallStarted,
    TraceEvent,
    Transport,
    read_body,
)

if TYPE_CHECKING:
    from contextlib import ExitStack

Hides = Callable[[BaseException], None]
PATH = "/page"
HEAD = b"HTTP/1.1 200 OK\r\n"
GZIP = {"Content-Encoding": "gzip"}


class TransportMaker(Protocol):
    def __call__(self, server: ReplayServer, **changes: Any) -> Transport: ...


@pytest.fixture
def make_transport(stack: ExitStack, events: list[TraceEvent]) -> TransportMaker:
    def make(server: ReplayServer, **changes: Any) -> Transport:
        settings = {"timeouts": Timeouts(connect=5, read=5, call=10), **changes}
        given = CabinetSettings().model_copy(update=settings)
        transport = Transport(server.url, given, events.append)
        stack.callback(transport.start_afresh)
        return transport

    return make


@pytest.fixture
def transport(server: ReplayServer, make_transport: TransportMaker) -> Transport:
    return make_transport(server)


def drip(piece: bytes, stopping: threading.Event, every: float = 0.02) -> Iterator[bytes]:
    while not stopping.wait(every):
        yield piece


# -- answers


def test_an_answer_is_given_with_its_status_path_and_body(
    transport: Transport, server: ReplayServer
) -> None:
    server.answer(PATH, Reply(status="418 I'm a teapot", body="чай".encode()))
    answer = transport.send("nocache", f"{PATH}?query=1")
    assert (answer.status, answer.path, answer.body.decode()) == (418, PATH, "чай")


def test_a_compressed_answer_is_unpacked(transport: Transport, server: ReplayServer) -> None:
    body = b"//OK[" * 10_000
    server.answer(PATH, Reply(body=gzip.compress(body), headers=GZIP))
    assert transport.send("list", PATH).body == body
    assert server.received[0].headers["accept-encoding"] == "gzip"


def test_an_answer_in_chunks_is_joined(transport: Transport, server: ReplayServer) -> None:
    raw = [HEAD, b"Transfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"]
    server.answer(PATH, Reply(raw=raw))
    assert transport.send("list", PATH).body == b"abcde"


def test_an_answer_that_ends_with_the_connection_is_taken(
    transport: Transport, server: ReplayServer
) -> None:
    server.answer(PATH, Reply(raw=[HEAD, b"\r\n", b"abc"], then="close"))
    assert transport.send("list", PATH).body == b"abc"


def test_one_connection_serves_all_calls(transport: Transport, server: ReplayServer) -> None:
    bodies = [b"", b"short", b"long" * 100_000, gzip.compress(b"x" * 100_000)]
    for body in bodies:
        server.answer(PATH, Reply(body=body, headers=GZIP if body[:2] == b"\x1f\x8b" else {}))
        transport.follow("list", PATH)
    server.answer(PATH, redirect("/login"), Reply(status="500 Oops", body=b"x" * 1000))
    transport.follow("list", PATH)
    transport.follow("list", PATH)
    assert server.connections == 1


def test_a_connection_closed_while_idle_is_opened_again(
    transport: Transport, server: ReplayServer
) -> None:
    server.answer(PATH, Reply(body=b"one", then="close"), Reply(body=b"two"))
    assert transport.send("list", PATH).body == b"one"
    assert transport.send("list", PATH).body == b"two"
    assert server.connections == 2


def test_a_kept_connection_that_closes_on_the_next_request_is_opened_again(
    transport: Transport, server: ReplayServer
) -> None:
    # The request is read, and the connection closed without a byte: a keep-alive that ran out.
    server.answer(PATH, Reply(body=b"one"), Reply(raw=[], then="close"), Reply(body=b"two"))
    transport.send("list", PATH)
    assert transport.send("list", PATH).body == b"two"


def test_a_new_connection_that_closes_is_not_tried_again(
    transport: Transport, server: ReplayServer
) -> None:
    server.always(PATH, Reply(raw=[], then="close"))
    with pytest.raises(UnreachableError):
        transport.send("list", PATH)
    assert server.count(PATH) == 1


def test_a_refused_connection_is_not_tried_twice(
    make_transport: TransportMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ReplayServer() as gone:
        pass
    opened = mock.Mock(wraps=HTTPConnection.connect, side_effect=ConnectionRefusedError)
    monkeypatch.setattr(HTTPConnection, "connect", opened)
    with pytest.raises(UnreachableError):
        make_transport(gone).send("list", PATH)
    assert opened.call_count == 1


def test_the_trace_sees_every_call(
    transport: Transport, server: ReplayServer, events: list[TraceEvent]
) -> None:
    body = gzip.compress(b"x" * 5000)
    server.answer(PATH, redirect("/next"))
    server.answer("/next", Reply(body=body, headers=GZIP))
    transport.follow("home", PATH)
    assert [type(event) for event in events] == [CallStarted, CallEnded] * 2
    ended = [event for event in events if isinstance(event, CallEnded)]
    answers = [one.outcome for one in ended if isinstance(one.outcome, Answer)]
    assert [(one.status, len(one.body)) for one in answers] == [(302, 0), (200, 5000)]
    assert all(event.call == "home" and 0 <= event.duration < 10 for event in ended)


def test_the_trace_sees_a_call_that_fails(
    transport: Transport, server: ReplayServer, events: list[TraceEvent]
) -> None:
    server.answer(PATH, Reply(raw=[], then="reset"))
    with pytest.raises(UnreachableError) as caught:
        transport.send("home", PATH)
    failed = events[-1]
    assert isinstance(failed, CallEnded)
    assert failed.outcome is caught.value
    assert failed.call == "home"


def test_names_of_headers_are_sent_as_they_are(transport: Transport) -> None:
    real = HTTPConnection.putheader
    with mock.patch.object(HTTPConnection, "putheader", autospec=True, side_effect=real) as put:
        transport.send("list", NOCACHE, b"x", {"X-GWT-Permutation": "A"})
    assert "X-GWT-Permutation" in {call.args[1] for call in put.call_args_list}


def test_the_client_says_who_it_is(transport: Transport, server: ReplayServer) -> None:
    transport.send("nocache", NOCACHE)
    agent = server.received[0].headers["user-agent"]
    assert agent.startswith(f"vats-exporter/{__version__}")


# -- bodies


class Source(io.BytesIO):
    """The part of an answer that reading its body needs."""

    def __init__(self, data: bytes, encoding: str) -> None:
        super().__init__(data)
        self.headers = {"content-encoding": encoding}
        self.length = None


def read(data: bytes, encoding: str = "", *, limit: int = 1 << 20) -> bytes:
    source = cast("http.client.HTTPResponse", Source(data, encoding))
    return read_body(source, limit)


@given(st.binary(max_size=5000), st.integers(0, 9))
def test_what_was_packed_is_unpacked(body: bytes, level: int) -> None:
    packed = gzip.compress(body, level)
    assert read(packed, "gzip") == body
    assert read(packed, " X-GZIP ") == body
    assert read(body) == body


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4))
def test_members_of_a_packed_body_are_joined(bodies: list[bytes]) -> None:
    packed = b"".join(gzip.compress(body) for body in bodies)
    assert read(packed, "gzip") == b"".join(bodies)


@given(st.data(), st.binary(min_size=1, max_size=500))
def test_a_packed_body_that_is_cut_off_is_refused(data: st.DataObject, body: bytes) -> None:
    packed = gzip.compress(body)
    length = data.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(UndecodableError, match="cut off" if length > 1 else "broken"):
        read(packed[:length], "gzip")


@given(st.binary(max_size=300), st.sampled_from(["gzip", "identity", "br", "deflate", "x"]))
def test_any_bytes_are_a_body_or_undecodable(data: bytes, encoding: str) -> None:
    with contextlib.suppress(UndecodableError):
        read(data, encoding)


def test_nothing_is_an_empty_body_whatever_the_encoding() -> None:
    for encoding in ("", "identity", "gzip", "br"):
        assert read(b"", encoding) == b""


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_the_bound_is_exact(encoding: str) -> None:
    body = b"x" * 200_000
    sent = gzip.compress(body) if encoding else body
    assert read(sent, encoding, limit=200_000) == body
    with pytest.raises(UndecodableError, match="longer than 199999 bytes"):
        read(sent, encoding, limit=199_999)


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_little_is_kept_past_the_bound(encoding: str) -> None:
    body = bytes(100_000_000)
    sent = gzip.compress(body) if encoding else body
    tracemalloc.start()
    try:
        with pytest.raises(UndecodableError, match="longer than 1000000 bytes"):
            read(sent, encoding, limit=1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


# -- no answer


def test_a_refused_connection_is_unreachable(make_transport: TransportMaker, hides: Hides) -> None:
    with ReplayServer() as gone:
        pass
    with pytest.raises(UnreachableError, match=r"^list: 127\.0\.0\.1:\d+: .*refused") as caught:
        make_transport(gone).send("list", PATH)
    hides(caught.value)


def test_a_name_that_does_not_resolve_is_unreachable(
    monkeypatch: pytest.MonkeyPatch, hides: Hides
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    transport = Transport("https://vpbx.invalid", CabinetSettings(), lambda event: None)
    with pytest.raises(UnreachableError, match=r"vpbx\.invalid: .*resolve") as caught:
        transport.send("list", PATH)
    hides(caught.value)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(raw=[], then="reset"), UnreachableError),
        (Reply(raw=[], then="close"), UnreachableError),
        (Reply(raw=[HEAD], then="reset"), UnreachableError),
        (Reply(raw=[HEAD, b"Content-Length: 9\r\n\r\nabc"], then="reset"), UnreachableError),
        (Reply(raw=[HEAD, b"Content-Length: 9\r\n\r\nabc"], then="close"), UndecodableError),
        (
            Reply(raw=[HEAD, b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc"], then="close"),
            UndecodableError,
        ),
        (
            Reply(raw=[HEAD, b"Transfer-Encoding: chunked\r\n\r\nnine\r\nabc"], then="close"),
            UndecodableError,
        ),
        (
            Reply(raw=[HEAD, b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"], then="close"),
            UndecodableError,
        ),
        (Reply(body=b"not gzip at all", headers=GZIP), UndecodableError),
        (Reply(body=gzip.compress(b"abc" * 1000)[:-30], headers=GZIP), UndecodableError),
        (Reply(body=gzip.compress(b"abc" * 1000)[:-1], headers=GZIP), UndecodableError),
        (Reply(body=gzip.compress(b"abc")[:-8] + bytes(8), headers=GZIP), UndecodableError),
        (Reply(body=zlib.compress(b"abc"), headers={"Content-Encoding": "br"}), UndecodableError),
        (Reply(raw=[b"SSH-2.0-OpenSSH_9.2\r\n"], then="close"), NotGwtError),
        (Reply(raw=[b"HTTP/1.1 oops\r\n\r\n"], then="close"), NotGwtError),
        (Reply(raw=[HEAD, b"X: " + b"y" * 100_000 + b"\r\n\r\n"], then="close"), NotGwtError),
        (Reply(raw=[HEAD, b"X: y\r\n" * 1000 + b"\r\n"], then="close"), NotGwtError),
    ],
    ids=[
        "reset before the answer",
        "closed before the answer",
        "reset in the head",
        "reset in the body",
        "body cut off",
        "chunk cut off",
        "chunk without a length",
        "last chunk missing",
        "not gzip",
        "gzip cut off",
        "gzip cut off by one byte",
        "gzip with a wrong sum",
        "compressed as was not asked for",
        "another protocol",
        "no status",
        "endless header",
        "a thousand headers",
    ],
)
def test_a_broken_answer_is_an_error_of_its_kind(
    transport: Transport,
    server: ReplayServer,
    hides: Hides,
    reply: Reply,
    error: type[CabinetError],
) -> None:
    server.answer(PATH, reply)
    with pytest.raises(error) as caught:
        transport.send("list", PATH)
    assert str(caught.value).startswith(f"list: 127.0.0.1:{server.port}: ")
    hides(caught.value)
    # The connection is not left in the middle of an answer.
    server.answer(PATH, Reply(body=b"next"))
    assert transport.send("list", PATH).body == b"next"


# -- bounds


def test_a_body_past_the_bound_is_refused(
    server: ReplayServer, make_transport: TransportMaker
) -> None:
    transport = make_transport(server, max_response=1000)
    server.answer(PATH, Reply(body=b"x" * 1000), Reply(body=b"x" * 1001))
    assert len(transport.send("list", PATH).body) == 1000
    with pytest.raises(UndecodableError, match="1000"):
        transport.send("list", PATH)


def test_an_endless_body_is_refused(server: ReplayServer, make_transport: TransportMaker) -> None:
    def endless() -> Iterator[bytes]:
        yield HEAD + b"\r\n"
        while True:
            yield b"x" * 65536

    server.answer(PATH, Reply(raw=endless()))
    with pytest.raises(UndecodableError, match="1000000"):
        make_transport(server, max_response=1_000_000).send("list", PATH)


def test_a_chunk_of_less_than_nothing_is_refused(
    transport: Transport, server: ReplayServer
) -> None:
    many = [b"x" * 100_000] * 200
    server.answer(PATH, Reply(raw=[HEAD, b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", *many]))
    tracemalloc.start()
    try:
        with pytest.raises(NotACabinetError, match="not HTTP"):
            transport.send("list", PATH)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_an_endless_body_that_unpacks_to_nothing_is_refused(
    server: ReplayServer, make_transport: TransportMaker
) -> None:
    def endless() -> Iterator[bytes]:
        yield HEAD + b"Content-Encoding: gzip\r\n\r\n"
        while True:
            yield gzip.compress(b"") * 1000

    server.answer(PATH, Reply(raw=endless()))
    with pytest.raises(UndecodableError):
        make_transport(server, max_response=100_000).send("list", PATH)


def test_a_compressed_body_is_bounded_by_what_it_unpacks_to(
    server: ReplayServer, make_transport: TransportMaker
) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    server.answer(PATH, Reply(body=bomb, headers=GZIP))
    with pytest.raises(UndecodableError, match="1000000"):
        make_transport(server, max_response=1_000_000).send("list", PATH)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_connection_that_is_not_made_in_time_is_a_timeout(
    stack: ExitStack, hides: Hides, scheme: str
) -> None:
    # Nobody accepts: TLS waits for its handshake; plain HTTP for a place in the queue, once full.
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    address = listener.getsockname()
    if scheme == "http":
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
    timeouts = Timeouts(connect=0.2, read=5, call=10)
    transport = Transport(
        f"{scheme}://127.0.0.1:{address[1]}", CabinetSettings(timeouts=timeouts), lambda event: None
    )
    with pytest.raises(CabinetTimeoutError, match=r"no connection within 0\.2 s") as caught:
        transport.send("list", PATH)
    hides(caught.value)


def test_silence_is_a_timeout(server: ReplayServer, make_transport: TransportMaker) -> None:
    server.answer(PATH, Reply(raw=[], then="hang"))
    transport = make_transport(server, timeouts=Timeouts(connect=5, read=0.1, call=10))
    with pytest.raises(CabinetTimeoutError, match=r"0\.1 s"):
        transport.send("list", PATH)


def test_silence_in_the_middle_of_a_body_is_a_timeout(
    server: ReplayServer, make_transport: TransportMaker
) -> None:
    server.answer(PATH, Reply(raw=[HEAD, b"Content-Length: 9\r\n\r\nabc"], then="hang"))
    transport = make_transport(server, timeouts=Timeouts(connect=5, read=0.1, call=10))
    with pytest.raises(CabinetTimeoutError, match=r"0\.1 s"):
        transport.send("list", PATH)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b"H"),
        (HEAD + b"X: ", b"y"),
        (HEAD + b"Content-Length: 1000000\r\n\r\n", b"x"),
        (HEAD + b"\r\n", b"x"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["status line", "header", "body with a length", "body without one", "chunks"],
)
def test_an_answer_that_drips_is_cut_off_in_time(
    server: ReplayServer, make_transport: TransportMaker, hides: Hides, head: bytes, piece: bytes
) -> None:
    def dripping() -> Iterator[bytes]:
        yield head
        yield from drip(piece, server.stopping)

    server.answer(PATH, Reply(raw=dripping()))
    transport = make_transport(server, timeouts=Timeouts(connect=5, read=5, call=0.3))
    with pytest.raises(CabinetTimeoutError, match=r"0\.3 s") as caught:
        transport.send("list", PATH)
    hides(caught.value)
    server.answer(PATH, Reply(body=b"next"))
    assert transport.send("list", PATH).body == b"next"


def test_redirects_that_drip_are_cut_off_in_time_together(
    server: ReplayServer, make_transport: TransportMaker
) -> None:
    def slow(number: int) -> Iterator[bytes]:
        yield b"HTTP/1.1 302 Found\r\n"
        server.stopping.wait(0.1)
        yield f"Location: /{number}\r\nContent-Length: 0\r\n\r\n".encode()

    paths = [PATH, *(f"/{number}" for number in range(1, 10))]
    for number, path in enumerate(paths, 1):
        server.answer(path, Reply(raw=slow(number)))
    transport = make_transport(server, timeouts=Timeouts(connect=5, read=5, call=0.35))
    with pytest.raises(CabinetTimeoutError, match=r"0\.35 s"):
        transport.follow("list", PATH)


def test_no_thread_is_left_behind(transport: Transport, server: ReplayServer) -> None:
    transport.send("list", NOCACHE)
    before = threading.active_count()
    for _ in range(20):
        transport.send("list", NOCACHE)
    assert threading.active_count() == before


@pytest.mark.parametrize("step", ["poll", "connect", "putrequest"])
def test_a_call_closed_before_it_is_sent_is_not_sent(
    transport: Transport, server: ReplayServer, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    transport.send("nocache", NOCACHE)
    real = getattr(transport._received if step == "poll" else HTTPConnection, step)

    def close_first(*given: Any, **options: Any) -> Any:
        done = real(*given, **options)
        monkeypatch.undo()
        transport.close()
        return done

    if step == "poll":
        monkeypatch.setattr(transport, "_received", SimpleNamespace(poll=close_first))
    else:
        monkeypatch.setattr(HTTPConnection, step, close_first)
    if step == "connect":
        transport.start_afresh()
    with pytest.raises(UnreachableError, match="the connection was closed"):
        transport.send("list", NOCACHE)
    assert len(server.received) == 1


def test_an_answer_that_is_closed_in_the_middle_is_none(
    transport: Transport, server: ReplayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never() -> Iterator[bytes]:
        yield from (HEAD, b"Transfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n")
        server.stopping.wait()

    def read_and_close(answer: HTTPResponse, limit: int) -> bytes:
        assert answer.read(1) == b"a"
        transport.close()  # as another thread does
        return read_body(answer, limit)

    monkeypatch.setattr(module, "read_body", read_and_close)
    server.answer(PATH, Reply(raw=never()))
    with pytest.raises(UnreachableError, match="the connection was closed"):
        transport.send("list", PATH)


def test_closing_ends_a_call_under_way(
    server: ReplayServer, make_transport: TransportMaker
) -> None:
    transport = make_transport(server)
    arrived = threading.Event()

    def never() -> Iterator[bytes]:
        arrived.set()
        server.stopping.wait()
        yield b""

    server.answer(PATH, Reply(raw=never()))
    caught: list[BaseException] = []

    def call() -> None:
        try:
            transport.send("list", PATH)
        except CabinetError as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert arrived.wait(5)
    transport.close()
    thread.join(3)
    assert not thread.is_alive()
    assert isinstance(caught[0], UnreachableError)


# -- what comes before an answer


@pytest.mark.parametrize("interim", ["100 Continue", "102 Processing", "103 Early Hints"])
@pytest.mark.parametrize("times", [1, 3])
def test_an_interim_answer_is_passed_over(
    transport: Transport, server: ReplayServer, interim: str, times: int
) -> None:
    head = f"HTTP/1.1 {interim}\r\nLink: </style.css>\r\n\r\n".encode() * times
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere"
    server.answer(PATH, Reply(raw=[head, final]), Reply(body=b"next"))
    answer = transport.send("list", PATH)
    assert (answer.status, answer.body) == (200, b"here")
    assert transport.send("list", PATH).body == b"next"
    assert server.connections == 1


def test_interim_answers_without_an_end_are_no_answer(
    transport: Transport, server: ReplayServer
) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"HTTP/1.1 103 Early Hints\r\n\r\n"

    server.answer(PATH, Reply(raw=endless()))
    with pytest.raises(NotGwtError):
        transport.send("list", PATH)


# -- redirects

with_every_status = pytest.mark.parametrize("status", [301, 302, 303, 307, 308])


def test_blanks_after_a_location_do_not_count(transport: Transport, server: ReplayServer) -> None:
    server.answer(PATH, redirect("/target \t "))
    server.answer("/target", Reply(body=b"here"))
    answer = transport.follow("home", PATH)
    assert (answer.path, answer.body) == ("/target", b"here")


@pytest.mark.parametrize(
    "location",
    ["/target", "target", "?done", "http://127.0.0.1:{port}/target", "//127.0.0.1:{port}/"],
)
def test_a_redirect_within_the_host_is_followed(
    transport: Transport, server: ReplayServer, location: str
) -> None:
    server.answer(PATH, redirect(location.format(port=server.port)), Reply(body=b"here"))
    for path in ("/target", "/"):
        server.answer(path, Reply(body=b"here"))
    assert transport.follow("home", PATH).body == b"here"


@pytest.mark.parametrize(
    ("status", "method"),
    [
        ("301 Moved Permanently", "GET"),
        ("302 Found", "GET"),
        ("303 See Other", "GET"),
        ("307 Temporary Redirect", "POST"),
        ("308 Permanent Redirect", "POST"),
    ],
)
def test_a_redirected_post_is_repeated_as_the_standard_says(
    transport: Transport, server: ReplayServer, status: str, method: str
) -> None:
    server.answer(PATH, redirect("/target", status=status))
    server.answer("/target", html())
    transport.follow("sign_in", PATH, b"form", {"Content-Type": "text/plain"})
    target = server.received[-1]
    assert target.method == method
    assert target.body == (b"form" if method == "POST" else b"")


@with_every_status
def test_a_redirect_to_another_host_is_refused_and_nothing_is_sent_there(
    transport: Transport, server: ReplayServer, stack: ExitStack, hides: Hides, status: int
) -> None:
    other = stack.enter_context(ReplayServer())
    server.answer(
        PATH, redirect(f"{other.url}/?geheim-cookie", f"{status} Away", "JSESSIONID=geheim-cookie")
    )
    with pytest.raises(NotACabinetError, match="redirects to another host") as caught:
        transport.follow("sign_in", PATH, b"j_password=geheim", {})
    hides(caught.value)
    assert other.connections == 0


@with_every_status
@pytest.mark.parametrize(
    "location",
    [
        "http://[::1",
        "http://127.0.0.1:99999/",
        "ftp://127.0.0.1/",
        "javascript:alert(1)",
        "http://user:geheim@evil.invalid/",
        "https://127.0.0.1@evil.invalid/",
        "http://127.0.0.1:1/",
        "//evil.invalid",
        "https://evil.invalid",
        "http://127.0.0.1.evil.invalid/",
    ],
)
def test_a_redirect_to_what_is_no_page_of_the_host_is_an_error(
    transport: Transport, server: ReplayServer, location: str, status: int, hides: Hides
) -> None:
    server.answer(PATH, redirect(location, f"{status} Away"))
    with pytest.raises(CabinetError) as caught:
        transport.follow("home", PATH)
    assert caught.value.result == "not_gwt"
    assert "geheim" not in str(caught.value)


def test_redirects_in_a_circle_are_an_error_that_says_so(
    transport: Transport, server: ReplayServer
) -> None:
    server.always("/a", redirect("/b"))
    server.always("/b", redirect("/a"))
    with pytest.raises(NotACabinetError, match="in a circle"):
        transport.follow("home", "/a")


def test_a_circle_that_sets_a_new_cookie_each_time_is_still_one(
    transport: Transport, server: ReplayServer
) -> None:
    cookies = iter(range(100))
    server.always(PATH, lambda _: redirect(PATH, cookie=f"JSESSIONID={next(cookies)}"))
    with pytest.raises(NotACabinetError, match="in a circle"):
        transport.follow("home", PATH)


def test_a_page_that_sets_a_cookie_and_redirects_to_itself_is_no_circle(
    transport: Transport, server: ReplayServer
) -> None:
    server.answer(PATH, redirect(PATH, cookie="seen=1"), html("you have a cookie"))
    assert transport.follow("home", PATH).body == b"you have a cookie"


def test_ten_redirects_are_followed_and_eleven_are_not(
    transport: Transport, server: ReplayServer
) -> None:
    for number in range(11):
        server.answer(f"/{number}", redirect(f"/{number + 1}"), redirect(f"/{number + 1}"))
    server.answer("/11", html())
    assert transport.follow("home", "/1").status == 200
    with pytest.raises(NotACabinetError, match="more than 10 times"):
        transport.follow("home", "/0")


def test_a_redirect_without_a_target_is_the_answer(
    transport: Transport, server: ReplayServer
) -> None:
    server.answer(PATH, Reply(status="302 Found", body=b"where to?"))
    assert transport.follow("home", PATH).status == 302


def test_a_redirect_can_be_taken_as_the_answer(transport: Transport, server: ReplayServer) -> None:
    server.answer(PATH, redirect("/elsewhere"))
    assert transport.send("list", PATH).status == 302
    assert server.calls() == [PATH]


# -- cookies, and what the environment may not change


def test_cookies_are_kept_until_they_are_forgotten(
    transport: Transport, server: ReplayServer
) -> None:
    server.answer(PATH, redirect("/next", cookie="JSESSIONID=geheim-cookie; Path=/; HttpOnly"))
    transport.follow("home", PATH)
    assert server.received[-1].headers["cookie"] == "JSESSIONID=geheim-cookie"
    transport.cookies.clear()
    transport.follow("home", PATH)
    assert "cookie" not in server.received[-1].headers


def test_many_large_cookies_are_bounded_in_memory(
    make_transport: TransportMaker, server: ReplayServer
) -> None:
    transport = make_transport(server)
    tracemalloc.start()
    for answer in range(10):
        head = b"".join(
            b"Set-Cookie: c%d-%d=%s\r\n" % (answer, number, b"x" * 60_000) for number in range(90)
        )
        server.answer(PATH, Reply(raw=[HEAD, head, b"Content-Length: 0\r\n\r\n"]))
        transport.follow("home", PATH)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    server.answer(PATH, redirect("/next", cookie="JSESSIONID=geheim-cookie; Path=/"))
    transport.follow("home", PATH)
    assert server.received[-1].headers["cookie"] == "JSESSIONID=geheim-cookie"
    assert kept < 15_000_000  # all of them would be 54 MB


def test_the_environment_sets_no_proxy_and_no_credentials(
    transport: Transport,
    server: ReplayServer,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    proxy = stack.enter_context(ReplayServer())
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password geheim\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    transport.send("nocache", NOCACHE)
    assert proxy.connections == 0
    assert "authorization" not in server.received[0].headers


# -- proxies


def test_plain_http_goes_through_a_proxy_with_its_password(
    server: ReplayServer, stack: ExitStack, make_transport: TransportMaker
) -> None:
    proxy = stack.enter_context(ForwardingProxy("user:geheim@"))
    transport = make_transport(server, proxy_url=f"http://user:geheim%40@{proxy.host}")
    server.answer(PATH, Reply(body=b"one"), Reply(body=b"two"))
    assert transport.send("list", PATH).body == b"one"
    assert transport.send("list", PATH).body == b"two"
    assert server.connections == 1
    assert proxy.asked == [f"GET {server.url}{PATH} HTTP/1.1"]


def test_the_environments_proxy_is_used_where_it_is_asked_for(
    server: ReplayServer,
    stack: ExitStack,
    make_transport: TransportMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = stack.enter_context(ForwardingProxy())
    monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    make_transport(server, proxy_from_environment=True).send("nocache", NOCACHE)
    assert len(proxy.asked) == 1


def test_a_proxy_that_wants_a_password_is_told_from_the_cabinet(
    server: ReplayServer, stack: ExitStack, make_transport: TransportMaker, hides: Hides
) -> None:
    proxy = stack.enter_context(ForwardingProxy("user:geheim"))
    says = r"proxy 127\.0\.0\.1:\d+ refuses: HTTP 407; proxy_url"
    transport = make_transport(server, proxy_url=f"http://{proxy.host}")
    with pytest.raises(ProxyError, match=says) as caught:
        transport.send("list", PATH)
    hides(caught.value)
    assert server.received == []


def test_a_proxy_that_is_not_there_is_told_from_the_cabinet(
    server: ReplayServer, make_transport: TransportMaker, hides: Hides
) -> None:
    with ReplayServer() as gone:
        pass
    transport = make_transport(server, proxy_url=gone.url.replace("http://", "http://user:geheim@"))
    with pytest.raises(ProxyError, match=r"list: .*: proxy 127\.0\.0\.1:\d+: .*refused") as caught:
        transport.send("list", PATH)
    assert "geheim" not in str(caught.value)
    hides(caught.value)


def test_what_is_no_proxy_is_said_without_quoting_it(
    server: ReplayServer, make_transport: TransportMaker
) -> None:
    with pytest.raises(ProxyError, match="only http:// proxies") as caught:
        make_transport(server, proxy_url="socks5://user:geheim@proxy.local").send("list", PATH)
    assert "geheim" not in str(caught.value)


# -- connections are opened a few at a time

PATIENCE = 10.0


class Silent:
    """Accepts connections and never answers, so that a TLS handshake takes until it is cut."""

    def __init__(self) -> None:
        self.accepted = threading.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def drop(self) -> None:
        """End the connection that was accepted first."""
        self._open.pop(0).close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            one.close()
        self._thread.join(PATIENCE)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._open.append(self._listener.accept()[0])
                self.accepted.release()


@pytest.fixture
def silent() -> Iterator[Silent]:
    server = Silent()
    yield server
    server.close()


def opening(url: str, connect: float) -> threading.Thread:
    """Begin a request that ends with an error, whenever that is."""
    settings = CabinetSettings(timeouts=Timeouts(connect=connect, read=connect, call=connect))
    made = Transport(url, settings, lambda event: None)

    def send() -> None:
        with contextlib.suppress(CabinetError):
            made.send("list", "/")

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def test_no_more_connections_are_opened_at_the_same_time_than_that(
    silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module._OPENING._value == 32
    monkeypatch.setattr(module, "_OPENING", threading.BoundedSemaphore(2))
    threads = [opening(silent.url, PATIENCE) for _ in range(4)]
    for _ in range(2):
        assert silent.accepted.acquire(timeout=PATIENCE)
    assert not silent.accepted.acquire(timeout=0.2)
    silent.drop()
    assert silent.accepted.acquire(timeout=PATIENCE)  # the next one's turn
    silent.close()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_who_waits_too_long_for_a_turn_has_a_timeout(
    silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    none_left = threading.BoundedSemaphore(1)
    none_left.acquire()
    monkeypatch.setattr(module, "_OPENING", none_left)
    thread = opening(silent.url, 0.1)
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert not silent.accepted.acquire(blocking=False)
