"""Signing in: what is sent, and how a success, a refusal and anything else are told apart."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import time_machine

from tests.cabinet.replay import (
    ENTERPRISE,
    SIGN_IN,
    ReplayServer,
    Reply,
    capture,
    html,
    redirect,
)
from vats_exporter.cabinet import (
    Cabinet,
    CabinetError,
    LoginRefusedError,
    NotACabinetError,
    SignIn,
    TraceEvent,
)
from vats_exporter.cabinet.session import http_error
from vats_exporter.cabinet.transport import Answer

if TYPE_CHECKING:
    from contextlib import ExitStack

    from tests.cabinet.conftest import CabinetMaker

Hides = Callable[[BaseException], None]
LOGIN_PAGE = html(capture("login_page").decode())


@pytest.mark.parametrize("login", ["+7-9161234567", "user name&x=1", "логин@пример.рф"])
@pytest.mark.parametrize(
    "password",
    [
        "".join(chr(code) for code in range(32, 127)),
        string.ascii_letters,
        "пароль Ёё №«»",
        " leading and trailing ",
        "%2B+%20&=;#?",
        "🔑\u00a0\u200b",
    ],
)
def test_login_and_password_arrive_as_they_are(
    server: ReplayServer, make_cabinet: CabinetMaker, login: str, password: str
) -> None:
    server.login, server.password = login, password
    make_cabinet(server, login=login, password=password).read_first_page()
    assert server.forms == [{"j_username": login, "j_password": password}]


def test_the_form_is_encoded_as_browsers_do(cabinet: Cabinet, server: ReplayServer) -> None:
    cabinet.read_first_page()
    request = server.received[0]
    assert request.method == "POST"
    assert request.path == SIGN_IN
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.body.startswith(b"j_username=%2B7-9161234567&j_password=geheim-%D0%9F")


def test_a_password_that_is_no_text_is_refused_without_being_shown(
    server: ReplayServer, make_cabinet: CabinetMaker, hides: Hides
) -> None:
    with pytest.raises(LoginRefusedError, match="UTF-8") as caught:
        make_cabinet(server, password="geheim-\udcff").read_first_page()
    assert "geheim" not in repr(caught.value.__context__)
    hides(caught.value)
    assert server.received == []


def test_a_wrong_password_is_a_refused_login(
    server: ReplayServer, make_cabinet: CabinetMaker, hides: Hides, events: list[TraceEvent]
) -> None:
    server.password = "another"
    with pytest.raises(LoginRefusedError, match=r"^sign_in: .*refused") as caught:
        make_cabinet(server).read_trunks()
    hides(caught.value)
    assert server.count(SIGN_IN) == 1
    assert [event.result for event in events if isinstance(event, SignIn)] == ["login_refused"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (redirect("/login?error"), LoginRefusedError),
        (redirect("/login;jsessionid=geheim-cookie?error"), LoginRefusedError),
        (redirect("/"), LoginRefusedError),
        (LOGIN_PAGE, LoginRefusedError),
        (html("<form><input name=x TYPE = 'Password'></form>"), LoginRefusedError),
        (redirect("/sign-in"), CabinetError),
        (Reply(status="401 Unauthorized"), LoginRefusedError),
        (Reply(status="403 Forbidden"), LoginRefusedError),
        (Reply(status="404 Not Found"), CabinetError),
        (Reply(status="500 Internal Server Error", body=LOGIN_PAGE.body), CabinetError),
        (Reply(status="503 Service Unavailable", headers={"Retry-After": "30"}), CabinetError),
        (Reply(status="429 Too Many Requests"), CabinetError),
        (redirect("/welcome"), CabinetError),
    ],
)
def test_what_is_no_success_is_told_from_a_refusal(
    cabinet: Cabinet,
    server: ReplayServer,
    hides: Hides,
    reply: Reply,
    error: type[CabinetError],
) -> None:
    server.answer(SIGN_IN, reply)
    with pytest.raises(error) as caught:
        cabinet.read_trunks()
    assert (caught.value.result == "login_refused") == (error is LoginRefusedError)
    assert str(caught.value).startswith(("sign_in: ", "home: "))
    hides(caught.value)


def test_401_and_403_are_told_apart(cabinet: Cabinet, server: ReplayServer) -> None:
    server.answer(SIGN_IN, Reply(status="401 Unauthorized"), Reply(status="403 Forbidden"))
    with pytest.raises(LoginRefusedError, match="login and password"):
        cabinet.read_trunks()
    with pytest.raises(LoginRefusedError, match="blocked"):
        cabinet.read_trunks()


@pytest.mark.parametrize("status", ["503 Service Unavailable", "429 Too Many Requests"])
def test_a_busy_cabinet_says_when_to_come_back(
    cabinet: Cabinet, server: ReplayServer, status: str
) -> None:
    server.answer(SIGN_IN, Reply(status=status, headers={"Retry-After": "30"}))
    with pytest.raises(CabinetError, match=rf"HTTP {status[:3]}.* 30 s") as caught:
        cabinet.read_trunks()
    assert caught.value.retry_after == 30.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Wed, 18 Nov 2026 11:09:40 GMT", 120.0),
        ("Wed, 18 Nov 2026 11:07:40 GMT", 0.0),  # is over
        ("120", 120.0),
        ("-120", 0.0),
        ("1e3", 0.0),
        ("soon", 0.0),
        ("Wed, 99 Nov 2026 11:09:40 GMT", 0.0),
        ("", 0.0),
    ],
)
@time_machine.travel("2026-11-18T11:07:40+00:00", tick=False)
def test_retry_after_is_a_number_of_seconds_or_a_date(header: str, seconds: float) -> None:
    answer = Answer(503, "/", b"", {"retry-after": header} if header else {})
    assert http_error("list", answer).retry_after == seconds


def test_a_site_that_is_no_cabinet_is_named_so(cabinet: Cabinet, server: ReplayServer) -> None:
    for path in (SIGN_IN, "/"):
        server.always(path, html("<html>Welcome to nginx!</html>"))
    with pytest.raises(NotACabinetError, match=r"ended at /,.*enterprise sets"):
        cabinet.read_trunks()


def test_a_session_identifier_in_a_path_is_not_shown(
    cabinet: Cabinet, server: ReplayServer, hides: Hides
) -> None:
    server.always("/", redirect("/start;jsessionid=geheim-cookie"))
    server.always("/start;jsessionid=geheim-cookie", html())
    with pytest.raises(NotACabinetError, match="ended at /start,") as caught:
        cabinet.read_trunks()
    hides(caught.value)


@pytest.mark.parametrize(
    "path",
    [ENTERPRISE, "/gwt/enterprise/2613189773", f"{ENTERPRISE};jsessionid=1", f"{ENTERPRISE}#x"],
)
def test_the_enterprise_is_read_from_where_the_redirects_end(
    cabinet: Cabinet, server: ReplayServer, path: str
) -> None:
    server.answer("/", redirect(path))
    server.answer(path.partition("#")[0], html("<html><input type=password></html>"))
    cabinet.read_first_page()
    assert cabinet.enterprise == "2613189773"


def test_an_enterprise_page_right_after_the_form_needs_no_other(
    cabinet: Cabinet, server: ReplayServer
) -> None:
    server.answer(
        SIGN_IN, redirect(ENTERPRISE, cookie="JSESSIONID=geheim-cookie-mine; Path=/; HttpOnly")
    )
    server.answer(ENTERPRISE, html())
    server._sessions.add("geheim-cookie-mine")
    cabinet.read_first_page()
    assert server.count("/") == 0


def test_an_enterprise_that_gwt_cannot_write_is_no_cabinets(
    cabinet: Cabinet, server: ReplayServer
) -> None:
    server.always("/", redirect("/gwt/enterprise/9999999999999999999/"))
    server.always("/gwt/enterprise/9999999999999999999/", html())
    with pytest.raises(NotACabinetError):
        cabinet.read_trunks()


def test_with_an_enterprise_set_by_hand_any_page_but_the_login_page_will_do(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    server.always("/", html("<html>start</html>"))
    assert len(make_cabinet(server, enterprise="2613189773").read_trunks().trunks) == 3


def test_with_an_enterprise_set_by_hand_the_login_page_is_still_a_refusal(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    server.password = "another"
    with pytest.raises(LoginRefusedError):
        make_cabinet(server, enterprise="2613189773").read_trunks()


def test_signing_in_again_begins_without_the_old_cookie(
    cabinet: Cabinet, server: ReplayServer
) -> None:
    cabinet.read_first_page()
    server.end_sessions()
    cabinet.read_first_page()
    forms = [request for request in server.received if request.path == SIGN_IN]
    assert len(forms) == 2
    assert all("cookie" not in request.headers for request in forms)


def test_a_redirect_of_the_form_to_another_host_sends_nothing_there(
    cabinet: Cabinet, server: ReplayServer, stack: ExitStack, hides: Hides
) -> None:
    other = stack.enter_context(ReplayServer())
    server.answer(SIGN_IN, redirect(f"{other.url}{SIGN_IN}", status="307 Temporary Redirect"))
    with pytest.raises(NotACabinetError, match="another host") as caught:
        cabinet.read_trunks()
    hides(caught.value)
    assert other.connections == 0


def test_a_circle_of_redirects_is_no_cabinet(
    cabinet: Cabinet, server: ReplayServer, hides: Hides
) -> None:
    server.always("/", redirect("/again"))
    server.always("/again", redirect("/"))
    with pytest.raises(NotACabinetError, match="circle") as caught:
        cabinet.read_trunks()
    hides(caught.value)


def test_a_refusal_is_forgotten_with_the_right_password(
    cabinet: Cabinet, server: ReplayServer, events: list[TraceEvent]
) -> None:
    server.answer(SIGN_IN, redirect("/login"))
    with pytest.raises(LoginRefusedError):
        cabinet.read_trunks()
    assert len(cabinet.read_trunks().trunks) == 3
    signed_in = [event for event in events if isinstance(event, SignIn)]
    assert [event.result for event in signed_in] == ["login_refused", "success"]
    assert all(event.duration >= 0 for event in signed_in)
