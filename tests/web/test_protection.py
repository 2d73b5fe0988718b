"""Passwords, headers, the rate limit, and what of the protection may change while it runs."""

from __future__ import annotations

import base64
import errno
import itertools
import os
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest

from tests.process import capture_logs
from tests.web.clients import (
    PASSWORD,
    USERS,
    basic,
    get,
    get_encrypted,
    hashed,
    until,
    write_certificate,
)
from vats_exporter.cli.options import read_web_config
from vats_exporter.config.problems import ConfigError, Problem
from vats_exporter.web import Request
from vats_exporter.web import protection as protection_module
from vats_exporter.web.protection import PasswordCheck, Protection
from vats_exporter.web.settings import HttpServerSettings, RateLimit, TlsServerSettings, WebSettings

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    from tests.web.conftest import Serve


@pytest.mark.usefixtures("looks_at_once")
def test_a_renewed_certificate_is_served_without_a_restart(
    serve: Serve, tmp_path: Path, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    as_it_stands(tmp_path)
    server = serve(protected=read_web_config(tmp_path / "web.yml"))
    before = get_encrypted(server, authority)[2]
    write_certificate(tmp_path, authority)
    assert get_encrypted(server, authority)[2] != before


@pytest.mark.usefixtures("looks_at_once")
def test_changed_users_count_at_once_and_wrong_files_change_nothing(
    serve: Serve, tmp_path: Path
) -> None:
    file = tmp_path / "web.yml"
    file.write_text("1")
    new = {"bob": hashed("new")}
    steps: list[WebSettings | Exception] = [
        WebSettings(basic_auth_users=USERS),
        WebSettings(basic_auth_users=new),
        ConfigError([Problem("", "broken")], file=file),
        WebSettings(),  # everybody may come in: not while it runs
    ]

    def read() -> WebSettings:
        step = steps[len(file.read_text()) - 1]
        if isinstance(step, Exception):
            raise step
        return step

    server = serve(protected=Protection(read, file))
    assert get(server, headers=basic("alice", PASSWORD))[0] == 200
    for number in range(3):
        file.write_text("1" * (number + 2))
        assert get(server, headers=basic("bob", "new"))[0] == 200
        assert get(server, headers=basic("alice", PASSWORD))[0] == 401
        assert get(server)[0] == 401


def test_headers_go_with_every_answer(serve: Serve) -> None:
    options = HttpServerSettings(headers={"X-Frame-Options": "deny"})
    server = serve(protected=WebSettings(http_server_config=options))
    for path in ("/", "/none"):
        headers = get(server, path)[2]
        assert headers["X-Frame-Options"] == "deny"


def test_requests_beyond_the_rate_get_429_until_a_token_is_there() -> None:
    protection = Protection(lambda: WebSettings(rate_limit=RateLimit(interval=3600.0, burst=2)))
    answers = [protection.refuse(Request("GET", "/metrics"), "c") for _ in range(4)]
    assert [answer.status if answer else 200 for answer in answers] == [200, 200, 429, 429]


@pytest.mark.usefixtures("looks_at_once")
@pytest.mark.parametrize(
    ("first", "then", "sentence"),
    [
        (True, False, "tls_server_config is gone; to serve without TLS, restart"),
        (False, True, "tls_server_config is new; to serve with TLS, restart"),
    ],
)
def test_tls_neither_begins_nor_ends_while_it_runs(
    tmp_path: Path, tls: TlsServerSettings, *, first: bool, then: bool, sentence: str
) -> None:
    file = tmp_path / "web.yml"
    file.write_text("1")
    steps = [WebSettings(tls_server_config=tls if wanted else None) for wanted in (first, then)]
    protection = Protection(lambda: steps[len(file.read_text()) - 1], file)
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
    assert (protection.tls() is not None) is first


@pytest.mark.usefixtures("looks_at_once")
def test_users_that_stay_the_same_keep_the_passwords_that_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "web.yml"
    file.write_text("1")
    protection = Protection(lambda: WebSettings(basic_auth_users=USERS), file)
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
            raise ConfigError([Problem("", "cannot be read")], file=file)
        return WebSettings(basic_auth_users=USERS)

    protection = Protection(read, file)
    request = Request("GET", "/metrics", "", {})
    for _ in range(2):
        file.rename(tmp_path / "elsewhere")
        with capture_logs() as logs:
            refused = [protection.refuse(request, "client") for _ in range(3)]
        assert [answer.status for answer in refused if answer] == [401] * 3
        assert [line["error"] for line in logs] == [f"{file}: cannot be read"]
        (tmp_path / "elsewhere").rename(file)
        assert protection.refuse(request, "client") is not None


@pytest.mark.usefixtures("looks_at_once")
def test_who_comes_while_the_files_are_looked_at_is_judged_by_what_there_is(
    tmp_path: Path,
) -> None:
    file = tmp_path / "web.yml"
    file.write_text("1")
    protection = Protection(lambda: WebSettings(basic_auth_users=USERS), file)
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
    assert [str(line["error"]).removeprefix(f"{file}: ").split(";")[0] for line in logs] == [
        "line 1: basic_auth_users: must be a mapping of keys",
        "line 2: unknown key",
    ]


def as_it_stands(folder: Path) -> str:
    """Write a web configuration as a person does, and return it."""
    text = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
    (folder / "web.yml").write_text(text)
    return text


@pytest.mark.usefixtures("looks_at_once", "tls")
def test_a_certificate_may_come_after_the_file_that_names_it(
    serve: Serve, tmp_path: Path, authority: trustme.CA
) -> None:
    text = as_it_stands(tmp_path)
    server = serve(protected=read_web_config(tmp_path / "web.yml"))
    before = get_encrypted(server, authority)[2]
    (tmp_path / "new").mkdir()
    (tmp_path / "web.yml").write_text(text.replace("server.", "new/server."))
    with capture_logs() as logs:
        for _ in range(3):
            assert get_encrypted(server, authority)[2] == before
    told = [str(line["error"]) for line in logs if line["log_level"] != "debug"]
    assert len(told) == 2  # once, though tried thrice
    assert "cert_file: cannot read" in told[0]
    assert "key_file: cannot read" in told[1]
    with capture_logs() as logs:
        (tmp_path / "new" / "server.crt").write_text("-----BEGIN")  # half of it is there
        (tmp_path / "new" / "server.key").touch()
        get_encrypted(server, authority)
    (line,) = [line for line in logs if line["log_level"] != "debug"]
    assert "cert_file: holds no certificate" in str(line["error"])
    with capture_logs() as logs:
        write_certificate(tmp_path / "new", authority)
        assert get_encrypted(server, authority)[2] != before
    assert [line["event"] for line in logs if line["log_level"] != "debug"] == [
        "web configuration reloaded"
    ]
    get_encrypted(server, authority)


@pytest.mark.usefixtures("looks_at_once")
def test_a_key_that_no_descriptor_is_left_for_changes_nothing(
    serve: Serve,
    tmp_path: Path,
    tls: TlsServerSettings,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    as_it_stands(tmp_path)
    server = serve(protected=read_web_config(tmp_path / "web.yml"))

    def memfd_create(_name: str) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "memfd_create", memfd_create)
    with capture_logs() as logs:
        assert get_encrypted(server, authority)[0] == 200
    (line,) = [line for line in logs if line["log_level"] != "debug"]
    assert "key_file: cannot be read: Too many open files" in str(line["error"])


@pytest.mark.usefixtures("looks_at_once")
@pytest.mark.parametrize("named", ["server.", "new/server."])
def test_a_certificate_that_is_renewed_while_it_is_read_is_read_again(
    serve: Serve,
    tmp_path: Path,
    tls: TlsServerSettings,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    named: str,
) -> None:
    text = as_it_stands(tmp_path)
    server = serve(protected=read_web_config(tmp_path / "web.yml"))
    make_context = TlsServerSettings.context
    latest = tmp_path / f"{named}crt"
    read: list[str] = []

    def be_overtaken(settings: TlsServerSettings) -> ssl.SSLContext:
        context = make_context(settings)
        if not read:
            write_certificate(latest.parent, authority)
        read.append(settings.cert_file)
        return context

    monkeypatch.setattr(TlsServerSettings, "context", be_overtaken)
    (tmp_path / "new").mkdir()
    write_certificate(latest.parent, authority)
    (tmp_path / "web.yml").write_text(text.replace("server.", named) + "# another\n")
    get_encrypted(server, authority)
    assert read[0] != latest.read_text()
    served = get_encrypted(server, authority)[2]
    assert served == ssl.PEM_cert_to_DER_cert(latest.read_text())


@pytest.mark.usefixtures("looks_at_once")
def test_a_file_that_is_replaced_while_the_exporter_starts_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text("1")
    users = [USERS, {"bob": hashed("new")}]

    def read() -> WebSettings:
        text = file.read_text()
        settings = WebSettings(basic_auth_users=users[len(text) - 1])
        file.write_text((text + "2")[: len(users)])
        return settings

    protection = Protection(read, file)
    request = Request("GET", "/", "", {"authorization": basic("bob", "new")["Authorization"]})
    assert protection.refuse(request, "client") is None


DEMANDING: dict[str, Any] = {
    "client_auth_type": "RequireAndVerifyClientCert",
    "client_allowed_sans": ["prometheus.example", "grafana.example"],
}


@pytest.mark.usefixtures("looks_at_once")
@pytest.mark.parametrize(
    ("then", "taken"),
    [
        ({}, False),
        ({"client_auth_type": "VerifyClientCertIfGiven"}, False),
        ({**DEMANDING, "client_allowed_sans": []}, False),
        ({**DEMANDING, "client_allowed_sans": ["prometheus.example"]}, True),
        ({**DEMANDING, "client_allowed_sans": ["alertmanager.example"]}, True),
    ],
)
def test_a_file_that_was_cut_short_takes_no_demand_on_clients_away(
    tmp_path: Path,
    tls: TlsServerSettings,
    authority: trustme.CA,
    then: dict[str, Any],
    *,
    taken: bool,
) -> None:
    file = tmp_path / "web.yml"
    file.write_text("1")
    authorities = tls.model_copy(update={"client_ca": authority.cert_pem.bytes().decode()})
    steps = [
        authorities.model_copy(update=DEMANDING),
        (authorities if then else tls).model_copy(update=then),
    ]
    protection = Protection(
        lambda: WebSettings(tls_server_config=steps[len(file.read_text()) - 1]), file
    )
    file.write_text("12")
    with capture_logs() as logs:
        found = protection.tls()
    assert found is not None
    if taken:
        assert found[1] == then["client_allowed_sans"]
        assert [line["event"] for line in logs] == ["web configuration reloaded"]
    else:
        assert found[1] == DEMANDING["client_allowed_sans"]
        assert found[0].verify_mode is ssl.CERT_REQUIRED
        told = "tls_server_config demands less of clients; to allow that, restart"
        assert [line["error"] for line in logs] == [f"{file}: {told}"]


@pytest.mark.usefixtures("looks_at_once")
def test_asking_for_a_certificate_that_nobody_looks_at_is_no_demand(
    tmp_path: Path, tls: TlsServerSettings
) -> None:
    file = tmp_path / "web.yml"
    file.write_text("1")
    steps = [tls.model_copy(update={"client_auth_type": "RequestClientCert"}), tls]
    protection = Protection(
        lambda: WebSettings(tls_server_config=steps[len(file.read_text()) - 1]), file
    )
    file.write_text("12")
    with capture_logs() as logs:
        protection.tls()
    assert [line["event"] for line in logs] == ["web configuration reloaded"]


# -- passwords: which are right, what each costs, and who waits for whom


def test_the_right_password_opens_and_everything_else_gets_401(serve: Serve) -> None:
    server = serve(protected=WebSettings(basic_auth_users=USERS))
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
    closed = serve(protected=WebSettings(basic_auth_users=USERS))
    assert get(closed, "/-/healthy")[0] == 401
    opened = serve(
        protected=WebSettings(basic_auth_users=USERS, auth_excluded_paths=["/-/healthy"])
    )
    assert get(opened, "/-/healthy")[0] == 200
    assert get(opened, "/-/ready")[0] == 401
    assert get(opened, "/-/healthy/../metrics")[0] == 401


def test_a_password_of_any_length_and_alphabet_is_judged() -> None:
    long = "пароль" * 20  # bcrypt looks at 72 bytes
    check = PasswordCheck({"боб": bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode()})
    assert check.check(basic("боб", long)["Authorization"], "c") is True
    assert check.check(basic("боб", long[:30])["Authorization"], "c") is False


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


def test_a_right_password_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    check = PasswordCheck(USERS)
    for _ in range(3):
        assert check.check(basic("alice", PASSWORD)["Authorization"], "c") is True
    assert len(counting.asked) == 1


@pytest.mark.parametrize("user", ["mallory", ""])
def test_an_unknown_users_password_costs_what_the_costliest_user_does(
    monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    counting = Counting(monkeypatch)
    costly = hashed("right", cost=6)
    check = PasswordCheck({"alice": USERS["alice"], "bob": costly})
    # Not even with the password of the user whose hash it is computed against.
    assert check.check(basic(user, "right")["Authorization"], "c") is False
    assert counting.asked == [costly.encode()]


def test_a_known_users_password_costs_its_own_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    check = PasswordCheck({"alice": USERS["alice"], "bob": hashed("x", cost=6)})
    assert check.check(basic("alice", PASSWORD)["Authorization"], "c") is True
    assert counting.asked == [USERS["alice"].encode()]


def test_wrong_passwords_push_no_right_one_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    check = PasswordCheck(USERS)
    right = basic("alice", PASSWORD)["Authorization"]
    check.check(right, "c")
    for number in range(150):
        check.check(basic("alice", f"wrong {number}")["Authorization"], "c")
    before = len(counting.asked)
    assert check.check(right, "c") is True
    assert len(counting.asked) == before


def test_a_flood_of_wrong_passwords_stalls_no_scrape(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(protected=WebSettings(basic_auth_users=USERS))
    scraper = basic("alice", PASSWORD)
    assert get(server, headers=scraper)[0] == 200
    counting = Counting(monkeypatch)
    counting.gate.clear()
    statuses: list[int] = []
    ended = threading.Semaphore(0)

    def guess(number: int) -> None:
        statuses.append(get(server, headers=basic("alice", f"guess {number}"))[0])
        ended.release()

    clients = [threading.Thread(target=guess, args=(number,)) for number in range(12)]
    for client in clients:
        client.start()
    # bcrypt is at its first guess and stays there; seven more may wait for it.
    for _ in range(4):
        assert ended.acquire(timeout=10)
    assert statuses == [429] * 4
    # The known password needs none of it.
    assert get(server, headers=scraper)[0] == 200
    counting.gate.set()
    for client in clients:
        client.join(10)
    assert statuses == [429] * 4 + [401] * 8


def test_a_new_password_gets_through_beside_eight_guessing_addresses(serve: Serve) -> None:
    users = {"alice": hashed(PASSWORD, cost=8)}
    server = serve(protected=WebSettings(basic_auth_users=users))
    ended, guessed = threading.Event(), threading.Semaphore(0)

    def guess(source: str, first: int) -> None:
        for number in itertools.count(first):
            if ended.is_set():
                return
            get(server, headers=basic("alice", f"guess {number}"), source=source)
            guessed.release()

    guessing = [
        threading.Thread(target=guess, args=(f"127.0.0.{address}", 10**6 * (8 * address + client)))
        for address in range(2, 10)
        for client in range(4)
    ]
    for thread in guessing:
        thread.start()
    for _ in guessing:
        assert guessed.acquire(timeout=30)
    began = time.monotonic()
    status = get(server, headers=basic("alice", PASSWORD))[0]
    took = time.monotonic() - began
    ended.set()
    for thread in guessing:
        thread.join(30)
    assert status == 200
    assert took < 9.5  # a scrape's usual deadline


def test_clients_beyond_a_crowd_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protection_module, "_WAITING", 3)
    counting = Counting(monkeypatch)
    counting.gate.clear()
    check = PasswordCheck(USERS)
    verdicts: list[bool | None] = []

    def ask(client: str) -> None:
        header = basic("alice", f"guess of {client}")["Authorization"]
        verdicts.append(check.check(header, client))

    threads = [threading.Thread(target=ask, args=(f"10.0.0.{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    assert until(lambda: len(check._waiting) == 3)
    ask("10.0.0.9")
    assert verdicts == [None]
    counting.gate.set()
    for thread in threads:
        thread.join(10)
    assert verdicts == [None] + [False] * 3
    assert check._waiting == []


def test_a_password_that_two_connections_wait_for_is_computed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting = Counting(monkeypatch)
    counting.gate.clear()
    check = PasswordCheck(USERS)
    header = basic("alice", PASSWORD)["Authorization"]
    threads = [threading.Thread(target=check.check, args=(header, "client")) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert until(lambda: len(check._waiting) == 2)
    counting.gate.set()
    for thread in threads:
        thread.join(10)
    assert len(counting.asked) == 1


def test_a_password_that_bcrypt_cannot_take_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def checkpw(_password: bytes, _hashed: bytes) -> bool:
        raise ValueError("password contains NULL bytes")  # as releases before 5 do

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    header = basic("alice", "a\0b")["Authorization"]
    assert PasswordCheck(USERS).check(header, "client") is False
