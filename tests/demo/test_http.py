"""What a request holds, and how the server takes and sends bytes, and breaks connections."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from contextlib import closing, contextmanager
from dataclasses import replace
from email.message import Message
from typing import TYPE_CHECKING

import pytest
import requests
import trustme

from vats_exporter.demo import Answer, Fault, Incoming, SimulatedCabinet, make_accounts
from vats_exporter.demo.http import HttpRequest, Stats, redirect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.demo.browser import Client


FORM = Message()
FORM["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"


def test_a_forms_fields_are_decoded() -> None:
    request = HttpRequest("POST", "/", "", FORM, "p=%2B7+a%26b&ü=%C3%A4".encode())
    assert request.form == {"p": "+7 a&b", "ü": "ä"}


def test_a_body_of_another_kind_is_no_form() -> None:
    headers = Message()
    headers["Content-Type"] = "text/plain"
    assert HttpRequest("POST", "/", "", headers, b"p=1").form == {}


def test_a_redirect_says_where_to_go() -> None:
    answer = redirect("/login")
    assert (answer.status, answer.headers) == (302, (("Location", "/login"),))


def test_what_is_answered_at_the_same_time_is_counted_by_account_and_in_all() -> None:
    stats = Stats()
    with stats.request("list", "a"), stats.request("list", "a"), stats.request("home", "b"):
        pass
    with stats.request("nocache", ""):
        pass
    counts = stats.as_json()
    assert counts["highest_concurrency"] == 3
    assert counts["accounts"]["a"]["highest_concurrency"] == 2
    assert counts["accounts"]["b"]["highest_concurrency"] == 1
    assert counts["requests"] == {"list": 2, "home": 1, "nocache": 1}
    assert set(counts["accounts"]) == {"a", "b"}


def test_requests_one_after_the_other_are_never_two_at_a_time() -> None:
    stats = Stats()
    numbers = []
    for _ in range(3):
        with stats.request("list", "a") as number:
            numbers.append(number)
    assert numbers == [1, 2, 3]
    assert stats.as_json()["highest_concurrency"] == 1


@contextmanager
def connected(cabinet: SimulatedCabinet) -> Iterator[socket.socket]:
    port = int(cabinet.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        yield connection


def ask(connection: socket.socket, request: str) -> http.client.HTTPResponse:
    connection.sendall(request.encode())
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response


def everything(connection: socket.socket) -> bytes:
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def test_a_connection_is_kept_over_many_requests(signed_in: Client) -> None:
    for _ in range(5):
        assert signed_in.list().status_code == 200
    assert signed_in.cabinet.stats()["connections"] == 1


def test_a_stopped_cabinet_breaks_open_connections_and_refuses_new_ones(
    cabinet: SimulatedCabinet,
) -> None:
    with connected(cabinet) as connection:
        with closing(ask(connection, "GET /login HTTP/1.1\r\nHost: x\r\n\r\n")) as response:
            response.read()
        cabinet.stop()
        assert connection.recv(1) == b""
    with pytest.raises(ConnectionRefusedError), connected(cabinet):
        pass


def test_a_cabinet_starts_again_on_the_same_port_and_remembers(signed_in: Client) -> None:
    cabinet = signed_in.cabinet
    url = cabinet.url
    cabinet.stop()
    cabinet.start()
    assert cabinet.url == url
    assert signed_in.list().status_code == 200


def test_a_cabinet_can_be_stopped_twice(cabinet: SimulatedCabinet) -> None:
    cabinet.stop()
    cabinet.stop()


def test_a_stopped_cabinet_leaves_no_threads(cabinet: SimulatedCabinet) -> None:
    before = threading.active_count()
    with SimulatedCabinet(make_accounts(trunks=1)) as other, connected(other):
        pass
    assert threading.active_count() == before


def test_a_port_that_is_taken_is_an_error(cabinet: SimulatedCabinet) -> None:
    port = int(cabinet.url.rpartition(":")[2])
    with pytest.raises(OSError, match="Address already in use"):
        SimulatedCabinet(make_accounts(trunks=1), address=("127.0.0.1", port)).start()


@pytest.mark.parametrize(
    "header",
    [
        "Content-Length: ten",
        "Content-Length: -1",
        "Content-Length: 99999999999999",
        "Transfer-Encoding: chunked",
    ],
)
def test_a_body_that_can_not_be_read_is_refused_and_ends_the_connection(
    cabinet: SimulatedCabinet, header: str
) -> None:
    with connected(cabinet) as connection:
        request = f"POST /j_spring_security_check HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n"
        with closing(ask(connection, request)) as response:
            assert response.status == 400
            response.read()
        assert connection.recv(1) == b""


def test_a_post_without_a_length_has_no_body(cabinet: SimulatedCabinet) -> None:
    with connected(cabinet) as connection:
        request = "POST /_demo/redeploy HTTP/1.1\r\nHost: x\r\n\r\n"
        with closing(ask(connection, request)) as response:
            assert response.status == 200


def test_half_a_request_is_not_answered_and_not_acted_on(cabinet: SimulatedCabinet) -> None:
    with connected(cabinet) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        connection.shutdown(socket.SHUT_WR)
        assert everything(connection) == b""
    assert cabinet.stats()["requests"] == {}


def test_a_client_that_goes_away_before_its_answer_harms_nobody(client: Client) -> None:
    came, let_go = threading.Event(), threading.Event()

    def hold(incoming: Incoming) -> Fault | None:
        came.set()
        return Fault(wait=let_go) if incoming.number == 1 else None

    client.cabinet.faults = hold
    with connected(client.cabinet) as connection:
        connection.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n")
        assert came.wait(10)
    let_go.set()
    assert client.get("/login").status_code == 200


def test_it_speaks_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with (
        SimulatedCabinet(make_accounts(trunks=1), tls=context) as cabinet,
        requests.Session() as session,
    ):
        assert cabinet.url.startswith("https://127.0.0.1:")
        with pytest.raises(requests.exceptions.SSLError):
            session.get(f"{cabinet.url}/login", timeout=10)
        session.trust_env = False  # the environment may name other authorities
        session.verify = str(tmp_path / "ca.pem")
        response = session.get(f"{cabinet.url}/login", timeout=10)
        assert "Secure" in response.headers["Set-Cookie"]


def test_a_hook_sees_what_each_request_is(signed_in: Client) -> None:
    seen: list[Incoming] = []

    def look(incoming: Incoming) -> None:
        seen.append(incoming)

    signed_in.cabinet.faults = look
    signed_in.list(page=2)
    signed_in.list(page=0)
    signed_in.form("CaL0H_", 31)
    signed_in.selector("CaL0H_", on=True)
    signed_in.selector("CaL0H_", on=True, policy="stale")
    signed_in.http.cookies.clear()
    signed_in.get("/")
    assert seen == [
        Incoming("list", 1, "shop", 2),
        Incoming("list", 2, "shop", 0),
        Incoming("details", 1, "shop", None, "CaL0H_"),
        Incoming("selector", 1, "shop", None, "CaL0H_"),
        Incoming("selector", 2, "shop", None, "CaL0H_"),
        Incoming("home", 1, ""),
    ]


def test_an_answer_instead_keeps_the_request_from_the_cabinet(client: Client) -> None:
    sorry = Answer(503, (("Retry-After", "7"),), b"later")
    client.cabinet.faults = lambda _: Fault(instead=sorry)
    response = client.sign_in(client.cabinet.account("shop"))
    assert (response.status_code, response.text) == (503, "later")
    assert response.headers["Retry-After"] == "7"
    assert client.cabinet.stats()["sign_ins"] == 0


def test_a_changed_answer_comes_after_the_cabinet_has_done_its_work(signed_in: Client) -> None:
    signed_in.cabinet.faults = lambda _: Fault(
        change=lambda answer: replace(answer, status=500, body=b"?")
    )
    response = signed_in.selector("CaL0H_", on=False)
    assert (response.status_code, response.content) == (500, b"?")
    device = signed_in.cabinet.account("shop").enterprise.find("CaL0H_").device
    assert device is not None
    assert not device.enabled


def test_a_fault_can_hit_one_request_only(signed_in: Client) -> None:
    signed_in.cabinet.faults = lambda incoming: (
        Fault(instead=Answer(500)) if (incoming.call, incoming.number) == ("list", 2) else None
    )
    assert [signed_in.list().status_code for _ in range(3)] == [200, 500, 200]


def test_an_answer_waits_until_it_is_let_go_and_is_counted_meanwhile(client: Client) -> None:
    let_go, came = threading.Event(), threading.Barrier(4)

    def hold(_: Incoming) -> Fault:
        came.wait(10)
        return Fault(wait=let_go)

    client.cabinet.faults = hold
    statuses: list[int] = []

    def look() -> None:
        statuses.append(requests.get(f"{client.cabinet.url}/login", timeout=10).status_code)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    came.wait(10)
    assert statuses == []
    let_go.set()
    for thread in threads:
        thread.join(10)
    assert statuses == [200, 200, 200]
    assert client.cabinet.stats()["highest_concurrency"] == 3


def test_a_waiting_answer_does_not_keep_the_cabinet_from_stopping(
    cabinet: SimulatedCabinet,
) -> None:
    came = threading.Event()

    def hold(_: Incoming) -> Fault:
        came.set()
        return Fault(wait=threading.Event())

    cabinet.faults = hold
    with connected(cabinet) as connection:
        connection.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n")
        assert came.wait(10)
        cabinet.stop()
        assert connection.recv(1) == b""


def test_a_cut_body_ends_early_under_its_full_length(cabinet: SimulatedCabinet) -> None:
    cabinet.faults = lambda _: Fault(cut=10)
    with connected(cabinet) as connection:
        connection.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = everything(connection).partition(b"\r\n\r\n")
    assert body == b"<!DOCTYPE "
    assert b"Content-Length: 422" in head


def test_a_dropped_request_gets_nothing(cabinet: SimulatedCabinet) -> None:
    cabinet.faults = lambda _: Fault(drop=True)
    with connected(cabinet) as connection:
        connection.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n")
        assert everything(connection) == b""


@pytest.mark.parametrize("fault", [Fault(drop=True, reset=True), Fault(cut=5, reset=True)])
def test_a_connection_can_be_reset(cabinet: SimulatedCabinet, fault: Fault) -> None:
    cabinet.faults = lambda _: fault
    with connected(cabinet) as connection:
        connection.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            everything(connection)


def test_a_body_of_pieces_has_no_length_and_ends_with_the_connection(
    cabinet: SimulatedCabinet,
) -> None:
    cabinet.faults = lambda _: Fault(instead=Answer(body=(b"drip" for _ in range(3))))
    with connected(cabinet) as connection:
        connection.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = everything(connection).partition(b"\r\n\r\n")
    assert body == b"dripdripdrip"
    assert b"Content-Length" not in head
    assert b"Connection: close" in head


def test_a_body_of_pieces_can_be_cut(cabinet: SimulatedCabinet) -> None:
    cabinet.faults = lambda _: Fault(instead=Answer(body=[b"abc", b"def", b"ghi"]), cut=4)
    with connected(cabinet) as connection:
        connection.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n")
        assert everything(connection).endswith(b"\r\n\r\nabcd")


def test_bytes_that_are_no_answer_are_sent_as_they_are(cabinet: SimulatedCabinet) -> None:
    cabinet.faults = lambda _: Fault(raw=[b"HTTP/1.1 2", b"00 \xff\r", b"\n"])
    with connected(cabinet) as connection:
        connection.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n")
        assert everything(connection) == b"HTTP/1.1 200 \xff\r\n"


def test_a_length_can_be_a_lie(cabinet: SimulatedCabinet) -> None:
    lie = Answer(200, (("Content-Length", "99"),), b"short")
    cabinet.faults = lambda _: Fault(instead=lie, cut=5)
    with connected(cabinet) as connection:
        connection.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n")
        received = everything(connection)
    assert received.count(b"Content-Length") == 1
    assert b"Content-Length: 99" in received
