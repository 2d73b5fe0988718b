"""Headers, the rate limit, and what of the protection may change while the exporter runs."""

from __future__ import annotations

import ssl
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
    touch,
    write_certificate,
)
from vats_exporter.cli.options import read_web_config
from vats_exporter.config.problems import ConfigError, Problem
from vats_exporter.web import Request
from vats_exporter.web.protection import Protection
from vats_exporter.web.settings import HttpServerSettings, RateLimit, TlsServerSettings, WebSettings

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    from tests.web.conftest import Serve


@pytest.mark.usefixtures("looks_at_once")
def test_a_renewed_certificate_is_served_without_a_restart(
    serve: Serve, tmp_path: Path, tls: TlsServerSettings, authority: trustme.CA
) -> None:
    files = (tmp_path / "server.crt", tmp_path / "server.key")
    server = serve(protected=WebSettings(tls_server_config=tls))
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
    assert "cert_file: the file holds no certificate" in str(line["error"])
    with capture_logs() as logs:
        write_certificate(tmp_path / "new", authority)
        assert get_encrypted(server, authority)[2] != before
    assert [line["event"] for line in logs if line["log_level"] != "debug"] == [
        "web configuration reloaded"
    ]
    get_encrypted(server, authority)


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
    latest: list[Path] = []

    def be_overtaken(settings: TlsServerSettings) -> ssl.SSLContext:
        context = make_context(settings)
        if not latest:
            assert settings.cert_file is not None
            latest.append(settings.cert_file)
            write_certificate(settings.cert_file.parent, authority)
        return context

    monkeypatch.setattr(TlsServerSettings, "context", be_overtaken)
    (tmp_path / "new").mkdir()
    write_certificate((tmp_path / f"{named}crt").parent, authority)
    (tmp_path / "web.yml").write_text(text.replace("server.", named) + "# another\n")
    get_encrypted(server, authority)
    assert latest == [tmp_path / f"{named}crt"]
    served = get_encrypted(server, authority)[2]
    assert served == ssl.PEM_cert_to_DER_cert(latest[0].read_text())


@pytest.mark.usefixtures("looks_at_once")
def test_a_file_that_is_replaced_while_the_exporter_starts_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text("1")
    users = [USERS, USERS, {"bob": hashed("new")}]

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
    ("then", "sentence"),
    [
        ({}, "client_auth_type demands less of clients; to allow that, restart"),
        (
            {"client_auth_type": "VerifyClientCertIfGiven"},
            "client_auth_type demands less of clients; to allow that, restart",
        ),
        (
            {**DEMANDING, "client_allowed_sans": []},
            "client_allowed_sans is gone; to let in every client that has a certificate, restart",
        ),
        ({**DEMANDING, "client_allowed_sans": ["prometheus.example"]}, ""),
        ({**DEMANDING, "client_allowed_sans": ["alertmanager.example"]}, ""),
    ],
)
def test_a_file_that_was_cut_short_takes_no_demand_on_clients_away(
    tmp_path: Path,
    tls: TlsServerSettings,
    authority: trustme.CA,
    then: dict[str, Any],
    sentence: str,
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
    if sentence:
        assert found[1] == DEMANDING["client_allowed_sans"]
        assert found[0].verify_mode is ssl.CERT_REQUIRED
        assert [line["error"] for line in logs] == [f"{file}: tls_server_config.{sentence}"]
    else:
        assert found[1] == then["client_allowed_sans"]
        assert [line["event"] for line in logs] == ["web configuration reloaded"]


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
