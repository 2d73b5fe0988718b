"""TLS, passwords, headers and the rate limit, over real connections."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
import threading
import time
from dataclasses import replace
from http.client import HTTPConnection, HTTPSConnection
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest
import trustme
from structlog.testing import capture_logs

from vats_exporter.cli.options import read_web_config
from vats_exporter.web import ListenAddress, Request, Response, WebServer
from vats_exporter.web import protection as protection_module
from vats_exporter.web.messages import say
from vats_exporter.web.passwords import PasswordCheck, Verdict
from vats_exporter.web.protection import Protection, ProtectionError
from vats_exporter.web.settings import Pem, RateLimit, TlsServerSettings, WebSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    Serve = Callable[..., WebServer]

PASSWORD = "correct horse"


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


USERS = {"alice": hashed(PASSWORD)}


@pytest.fixture
def serve() -> Iterator[Serve]:
    with contextlib.ExitStack() as stack:

        def start(
            settings: WebSettings | Callable[[], WebSettings],
            body: Sequence[bytes] | None = None,
            write_timeout: float = 30.0,
        ) -> WebServer:
            read = settings if callable(settings) else (lambda: settings)
            server = WebServer(
                ListenAddress("127.0.0.1", 0),
                lambda request: say(200, request.path) if body is None else Response(200, body),
                protection=Protection(read),
                read_timeout=1.0,
                write_timeout=write_timeout,
            )
            server.start()
            stack.callback(server.stop, 1.0)
            return server

        yield start


def basic(user: str, password: str) -> dict[str, str]:
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {token}"}


def get(
    server: WebServer, path: str = "/metrics", headers: dict[str, str] | None = None
) -> tuple[int, str, dict[str, str]]:
    client = HTTPConnection("127.0.0.1", server.address.port, timeout=10)
    client.request("GET", path, headers=headers or {})
    answer = client.getresponse()
    body = answer.read().decode()
    client.close()
    return answer.status, body, dict(answer.getheaders())


# Passwords


def test_the_right_password_opens_and_everything_else_gets_401(serve: Serve) -> None:
    server = serve(WebSettings(users=USERS))
    assert get(server, headers=basic("alice", PASSWORD))[0] == 200
    for headers in (
        {},
        basic("alice", "wrong"),
        basic("mallory", PASSWORD),
        basic("", ""),
        {"Authorization": "Bearer abc"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"no colon").decode()},
        basic("alice", "a\x00b"),
    ):
        status, _, answer = get(server, headers=headers)
        assert status == 401
        assert answer["WWW-Authenticate"].startswith("Basic realm=")


def test_paths_are_open_only_where_configured(serve: Serve) -> None:
    closed = serve(WebSettings(users=USERS))
    assert get(closed, "/-/healthy")[0] == 401
    opened = serve(WebSettings(users=USERS, open_paths=frozenset({"/-/healthy"})))
    assert get(opened, "/-/healthy")[0] == 200
    assert get(opened, "/-/ready")[0] == 401
    assert get(opened, "/-/healthy/../metrics")[0] == 401


def test_a_password_of_any_length_and_alphabet_is_judged() -> None:
    long = "пароль" * 20  # bcrypt looks at 72 bytes
    check = PasswordCheck({"боб": bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode()})
    assert check.check(basic("боб", long)["Authorization"], "c") is Verdict.RIGHT
    assert check.check(basic("боб", long[:30])["Authorization"], "c") is Verdict.WRONG


class Counting:
    """bcrypt, with a count of what it was asked, and a gate that it waits at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[bytes] = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)
        self._real = bcrypt.checkpw
        monkeypatch.setattr(bcrypt, "checkpw", self._checkpw)

    def _checkpw(self, password: bytes, against: bytes) -> bool:
        self.asked.append(against)
        self.begun.release()
        assert self.gate.wait(10)
        return self._real(password, against)


def test_each_answer_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    check = PasswordCheck(USERS)
    for _ in range(3):
        assert check.check(basic("alice", PASSWORD)["Authorization"], "c") is Verdict.RIGHT
        assert check.check(basic("alice", "wrong")["Authorization"], "c") is Verdict.WRONG
    assert len(counting.asked) == 2


def test_an_unknown_user_costs_what_the_costliest_known_one_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting = Counting(monkeypatch)
    costly = bcrypt.hashpw(b"x", bcrypt.gensalt(5)).decode()
    check = PasswordCheck({"alice": USERS["alice"], "bob": costly})
    assert check.check(basic("mallory", "x")["Authorization"], "c") is Verdict.WRONG
    assert counting.asked == [costly.encode()]


def test_wrong_passwords_push_no_right_one_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    check = PasswordCheck(USERS)
    right = basic("alice", PASSWORD)["Authorization"]
    check.check(right, "c")
    for number in range(150):
        check.check(basic("alice", f"wrong {number}")["Authorization"], "c")
    before = len(counting.asked)
    assert check.check(right, "c") is Verdict.RIGHT
    assert len(counting.asked) == before


def test_a_flood_of_wrong_passwords_stalls_no_scrape(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(WebSettings(users=USERS))
    scraper = basic("alice", PASSWORD)
    assert get(server, headers=scraper)[0] == 200
    counting = Counting(monkeypatch)
    counting.gate.clear()
    statuses: list[int] = []
    ended = threading.Semaphore(0)

    def flood(number: int) -> None:
        statuses.append(get(server, headers=basic("alice", f"guess {number}"))[0])
        ended.release()

    clients = [threading.Thread(target=flood, args=(number,)) for number in range(20)]
    for client in clients:
        client.start()
    # bcrypt is at its first guess and stays there; three more may wait for it.
    for _ in range(16):
        assert ended.acquire(timeout=10)
    assert statuses == [429] * 16
    # The known password needs none of it.
    assert get(server, headers=scraper)[0] == 200
    counting.gate.set()
    for client in clients:
        client.join(10)
    assert statuses == [429] * 16 + [401] * 4


def test_one_client_does_not_hold_up_the_password_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting = Counting(monkeypatch)
    counting.gate.clear()
    check = PasswordCheck(USERS)
    verdicts: dict[str, Verdict] = {}

    def ask(name: str, client: str, password: str) -> None:
        verdicts[name] = check.check(basic("alice", password)["Authorization"], client)

    flood = [
        threading.Thread(target=ask, args=(f"guess {number}", "bad", f"guess {number}"))
        for number in range(4)
    ]
    for thread in flood:
        thread.start()
    assert counting.begun.acquire(timeout=10)
    good = threading.Thread(target=ask, args=("good", "good", PASSWORD))
    good.start()
    counting.gate.set()
    for thread in [*flood, good]:
        thread.join(10)
    assert verdicts["good"] is Verdict.RIGHT


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(tmp_path: Path, authority: trustme.CA) -> TlsServerSettings:
    write_certificate(tmp_path, authority)
    return TlsServerSettings(Pem(tmp_path / "server.crt"), Pem(tmp_path / "server.key"))


def write_certificate(folder: Path, authority: trustme.CA) -> None:
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "server.key")
    issued.cert_chain_pems[0].write_to_path(folder / "server.crt")


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def connect_encrypted(server: WebServer, authority: trustme.CA) -> ssl.SSLSocket:
    """A connection that takes an end without TLS' own for the error that it is."""
    plain = socket.create_connection(("127.0.0.1", server.address.port), timeout=10)
    return trusting(authority).wrap_socket(
        plain, server_hostname="localhost", suppress_ragged_eofs=False
    )


def get_encrypted(
    server: WebServer,
    authority: trustme.CA,
    client: trustme.LeafCert | None = None,
    version: ssl.TLSVersion | None = None,
) -> tuple[int, bytes, bytes]:
    """Status, body and certificate."""
    context = trusting(authority)
    if client is not None:
        client.configure_cert(context)
    if version is not None:
        context.maximum_version = version
    connection = HTTPSConnection("127.0.0.1", server.address.port, timeout=10, context=context)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        body = answer.read()
        # A second request on the same connection.
        connection.request("GET", "/metrics")
        assert connection.getresponse().read() == body
        certificate = connection.sock.getpeercert(binary_form=True) or b""
    finally:
        connection.close()
    return answer.status, body, certificate


def test_pages_are_served_over_tls(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    server = serve(WebSettings(tls=tls))
    assert server.url.startswith("https://127.0.0.1:")
    status, body, _ = get_encrypted(server, authority)
    assert (status, body) == (200, b"/metrics\n")


def test_a_body_of_many_pieces_and_megabytes_arrives_whole(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    pieces = tuple(os.urandom(size) for size in (1, 0, 70_000, 3_000_000, 17))
    server = serve(WebSettings(tls=tls), body=pieces)
    assert get_encrypted(server, authority)[1] == b"".join(pieces)


def test_plain_http_at_an_encrypted_address_gets_a_sentence(
    serve: Serve, tls: TlsServerSettings
) -> None:
    status, body, _ = get(serve(WebSettings(tls=tls)))
    assert status == 400
    assert "HTTPS" in body


def test_a_client_that_says_nothing_is_not_waited_for(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    server = serve(WebSettings(tls=tls))
    with socket.create_connection(("127.0.0.1", server.address.port), timeout=10) as silent:
        assert silent.recv(1) == b""
    with socket.create_connection(("127.0.0.1", server.address.port), timeout=10) as slow:
        slow.sendall(b"\x16\x03\x01")
        while slow.recv(1024):  # an alert, perhaps, and then the end
            pass
    assert get_encrypted(server, authority)[0] == 200


def test_versions_older_than_the_least_are_refused(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    server = serve(WebSettings(tls=TlsServerSettings(tls.cert, tls.key, min_version="TLS13")))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        get_encrypted(server, authority, version=ssl.TLSVersion.TLSv1_2)
    assert get_encrypted(server, authority)[0] == 200


def test_clients_need_a_certificate_of_the_authority_with_an_allowed_name(
    serve: Serve, tmp_path: Path, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    clients = trustme.CA()
    clients.cert_pem.write_to_path(tmp_path / "clients.crt")
    server = serve(
        WebSettings(
            tls=TlsServerSettings(
                tls.cert,
                tls.key,
                client_auth="RequireAndVerifyClientCert",
                client_ca=Pem(tmp_path / "clients.crt"),
                client_sans=("prometheus.example",),
            )
        )
    )
    assert get_encrypted(server, authority, clients.issue_cert("prometheus.example"))[0] == 200
    strangers = [
        None,
        clients.issue_cert("grafana.example"),
        trustme.CA().issue_cert("prometheus.example"),
    ]
    for stranger in strangers:
        with pytest.raises((OSError, AttributeError)):
            get_encrypted(server, authority, stranger)


# What may change


@pytest.fixture
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protection_module, "_LOOK_EVERY", 0.0)


def touch(file: Path) -> None:
    """Make a change visible whatever the clock's grain is."""
    later = time.time_ns() + 2_000_000_000
    os.utime(file, ns=(later, later))


@pytest.mark.usefixtures("looks_at_once")
def test_a_renewed_certificate_is_served_without_a_restart(
    serve: Serve, tmp_path: Path, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    files = (tmp_path / "server.crt", tmp_path / "server.key")
    server = serve(WebSettings(tls=tls, files=files))
    before = get_encrypted(server, authority)[2]
    write_certificate(tmp_path, authority)
    touch(files[0])
    assert get_encrypted(server, authority)[2] != before


@pytest.mark.usefixtures("looks_at_once")
def test_changed_users_count_at_once_and_wrong_files_change_nothing(
    serve: Serve, tmp_path: Path
) -> None:
    file = tmp_path / "web.yml"
    file.write_text("1")
    new = {"bob": hashed("new")}
    steps: list[WebSettings | Exception] = [
        WebSettings(users=USERS, files=(file,)),
        WebSettings(users=new, files=(file,)),
        ProtectionError("web.yml: broken"),
        WebSettings(files=(file,)),  # everybody may come in: not while it runs
    ]

    def read() -> WebSettings:
        step = steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    server = serve(read)
    assert get(server, headers=basic("alice", PASSWORD))[0] == 200
    for number in range(3):
        file.write_text("1" * (number + 2))
        assert get(server, headers=basic("bob", "new"))[0] == 200
        assert get(server, headers=basic("alice", PASSWORD))[0] == 401
        assert get(server)[0] == 401
    assert not steps


def test_headers_go_with_every_answer_and_stand_in_place_of_its_own(serve: Serve) -> None:
    server = serve(WebSettings(headers=(("X-Frame-Options", "deny"), ("Content-Type", "x/y"))))
    for path in ("/", "/none"):
        headers = get(server, path)[2]
        assert headers["X-Frame-Options"] == "deny"
        assert headers["Content-Type"] == "x/y"


def test_requests_beyond_the_rate_get_429_until_a_token_is_there() -> None:
    protection = Protection(lambda: WebSettings(rate_limit=RateLimit(interval=3600.0, burst=2)))
    answers = [protection.refuse(Request("GET", "/metrics"), "c") for _ in range(4)]
    assert [answer.status if answer else 200 for answer in answers] == [200, 200, 429, 429]


# What may change while it runs


@pytest.mark.usefixtures("looks_at_once")
@pytest.mark.parametrize(
    ("first", "then", "sentence"),
    [
        (True, False, "tls_server_config is gone; a restart serves without TLS"),
        (False, True, "tls_server_config is new; a restart begins to speak TLS"),
    ],
)
def test_tls_neither_begins_nor_ends_while_it_runs(
    tmp_path: Path, tls: TlsServerSettings, *, first: bool, then: bool, sentence: str
) -> None:
    file = tmp_path / "web.yml"
    file.write_text("1")
    steps = [WebSettings(tls=tls if wanted else None, files=(file,)) for wanted in (first, then)]
    protection = Protection(lambda: steps.pop(0))
    file.write_text("12")
    with capture_logs() as logs:
        assert (protection.tls() is not None) is first
    assert logs == [
        {
            "event": "web configuration not reloaded",
            "log_level": "error",
            "error": f"{file}: {sentence}",
        }
    ]
    assert protection.encrypted is first


@pytest.mark.usefixtures("looks_at_once")
def test_users_that_stay_the_same_keep_the_passwords_that_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "web.yml"
    file.write_text("1")
    protection = Protection(lambda: WebSettings(users=USERS, files=(file,)))
    header = basic("alice", PASSWORD)["Authorization"]
    request = Request("GET", "/metrics", "", {"authorization": header})
    assert protection.refuse(request, "client") is None
    monkeypatch.setattr(bcrypt, "checkpw", lambda *_: pytest.fail("computed again"))
    file.write_text("12")
    assert protection.refuse(request, "client") is None


@pytest.mark.usefixtures("looks_at_once")
def test_a_file_that_vanishes_is_a_change_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text("1")

    def read() -> WebSettings:
        if not file.exists():
            raise ProtectionError(f"{file}: cannot be read")
        return WebSettings(users=USERS, files=(file,))

    protection = Protection(read)
    file.unlink()
    request = Request("GET", "/metrics", "", {})
    with capture_logs() as logs:
        refused = [protection.refuse(request, "client") for _ in range(3)]
    assert [answer.status for answer in refused if answer] == [401] * 3
    assert [line["error"] for line in logs] == [f"{file}: cannot be read"]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"ciphers": ("NO_SUCH_CIPHER",)}, "cipher_suites: this OpenSSL has none of them"),
        ({"curve": "no-such-curve"}, "curve_preferences: this OpenSSL has no such curve"),
    ],
)
def test_what_this_openssl_cannot_do_is_refused_by_its_key(
    tls: TlsServerSettings, wrong: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ProtectionError) as caught:
        Protection(lambda: WebSettings(tls=replace(tls, **wrong)))
    assert str(caught.value) == f"tls_server_config.{sentence}"


def test_a_password_that_bcrypt_cannot_take_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def checkpw(_password: bytes, _hashed: bytes) -> bool:
        raise ValueError("password contains NULL bytes")  # as releases before 5 do

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    header = basic("alice", "a\0b")["Authorization"]
    assert PasswordCheck(USERS).check(header, "client") is Verdict.WRONG


def test_the_last_answer_of_a_connection_ends_as_tls_ends(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    with connect_encrypted(serve(WebSettings(tls=tls)), authority) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = b""
        # An end without TLS' own would be an SSLEOFError: anybody on the way could have cut it off.
        while piece := client.recv(65536):
            data += piece
    assert data.endswith(b"\r\n\r\n/metrics\n")


def test_an_encrypted_answer_that_took_all_of_its_time_to_make_is_not_sent(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    server = serve(WebSettings(tls=tls), write_timeout=0.0)
    with pytest.raises((ConnectionError, ssl.SSLError)):
        get_encrypted(server, authority)


def test_a_client_that_takes_no_encrypted_answer_is_given_up(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    server = serve(WebSettings(tls=tls), body=(bytes(1 << 20),) * 64, write_timeout=0.2)
    with connect_encrypted(server, authority) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        with server._changed:
            # The connection ends though not a byte was read.
            assert server._changed.wait_for(lambda: not server._connections, 10)


@pytest.mark.usefixtures("looks_at_once")
def test_who_comes_while_the_files_are_looked_at_is_judged_by_what_there_is(
    tmp_path: Path,
) -> None:
    file = tmp_path / "web.yml"
    file.write_text("1")
    protection = Protection(lambda: WebSettings(users=USERS, files=(file,)))
    with protection._lock:
        answer = protection.refuse(Request("GET", "/metrics", "", {}), "client")
    assert answer is not None
    assert answer.status == 401


@pytest.mark.usefixtures("looks_at_once")
def test_a_file_that_breaks_is_told_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{alice: {USERS['alice']}}}")
    protection = read_web_config(file)
    assert protection is not None
    file.write_text("basic_auth_users: 5\nnonsense: 6")
    with capture_logs() as logs:
        assert protection.refuse(Request("GET", "/metrics", "", {}), "client") is not None
    assert [line["event"] for line in logs] == ["web configuration not reloaded"] * 2
    assert [str(line["error"]).removeprefix(f"{file}: ").split(":")[0] for line in logs] == [
        "basic_auth_users",
        "nonsense",
    ]


def test_a_key_in_the_configuration_works_without_files_in_memory(
    serve: Serve, tls: TlsServerSettings, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tls.cert.file is not None
    assert tls.key.file is not None
    inline = replace(
        tls, cert=Pem(text=tls.cert.file.read_text()), key=Pem(text=tls.key.file.read_text())
    )
    assert get_encrypted(serve(WebSettings(tls=inline)), authority)[0] == 200
    monkeypatch.delattr(os, "memfd_create")
    assert get_encrypted(serve(WebSettings(tls=inline)), authority)[0] == 200
