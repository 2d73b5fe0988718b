"""Headers, the rate limit, and what of the protection may change while the exporter runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bcrypt
import pytest
from structlog.testing import capture_logs

from tests.web.conftest import (
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
from vats_exporter.web import Request
from vats_exporter.web.protection import Protection, ProtectionError
from vats_exporter.web.settings import RateLimit, TlsServerSettings, WebSettings

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    from tests.web.conftest import Serve


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
