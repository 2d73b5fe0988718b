"""A password arrives as it is, at the cabinet alone, and not often; a refusal is told apart."""

from __future__ import annotations

import contextlib
import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import time_machine

from tests.cabinet.replay import (
    COOKIE,
    ENTERPRISE,
    LIST,
    LOGIN,
    PASSWORD,
    SIGN_IN,
    ReplayServer,
    Reply,
    capture,
    html,
    redirect,
)
from tests.doubles import Ticks, read_first_page
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    LoginRefusedError,
    NotACabinetError,
    NotGwtError,
    UnreachableError,
)
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.cabinet.sign_in import LostCookieError, SignInPace
from vats_exporter.cabinet.transport import Answer as Answered
from vats_exporter.cabinet.transport import SignIn, TraceEvent
from vats_exporter.demo import Answer, Fault, Incoming, SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from contextlib import ExitStack

    from tests.cabinet.conftest import CabinetMaker

Hides = Callable[[BaseException], None]
LOGIN_PAGE = html(capture("login_page").decode())

# -- signing in


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
    read_first_page(make_cabinet(server, login=login, password=password))
    assert server.forms == [{"j_username": login, "j_password": password}]


def test_the_form_is_encoded_as_browsers_do(cabinet: CabinetClient, server: ReplayServer) -> None:
    read_first_page(cabinet)
    request = server.received[0]
    assert request.method == "POST"
    assert request.path == SIGN_IN
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.body.startswith(b"j_username=%2B7-9161234567&j_password=geheim-%D0%9F")


def test_a_password_that_is_no_text_is_refused_without_being_shown(
    server: ReplayServer, make_cabinet: CabinetMaker, hides: Hides
) -> None:
    with pytest.raises(LoginRefusedError, match="UTF-8") as caught:
        read_first_page(make_cabinet(server, password="geheim-\udcff"))
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
    cabinet: CabinetClient,
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


def test_401_and_403_are_told_apart(cabinet: CabinetClient, server: ReplayServer) -> None:
    server.answer(SIGN_IN, Reply(status="401 Unauthorized"), Reply(status="403 Forbidden"))
    with pytest.raises(LoginRefusedError, match="login and password"):
        cabinet.read_trunks()
    with pytest.raises(LoginRefusedError, match="blocked"):
        cabinet.read_trunks()


@pytest.mark.parametrize("status", ["503 Service Unavailable", "429 Too Many Requests"])
def test_a_busy_cabinet_says_when_to_come_back(
    cabinet: CabinetClient, server: ReplayServer, status: str
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
    answer = Answered(503, "/", b"", retry_after=header)
    assert answer.error("list").retry_after == seconds


def test_a_site_that_is_no_cabinet_is_named_so(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    for path in (SIGN_IN, "/"):
        server.always(path, html("<html>Welcome to nginx!</html>"))
    with pytest.raises(NotACabinetError, match=r"ended at /,.*enterprise sets"):
        cabinet.read_trunks()


def test_a_session_identifier_in_a_path_is_not_shown(
    cabinet: CabinetClient, server: ReplayServer, hides: Hides
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
    cabinet: CabinetClient, server: ReplayServer, path: str
) -> None:
    server.answer("/", redirect(path))
    server.answer(path.partition("#")[0], html("<html><input type=password></html>"))
    read_first_page(cabinet)
    assert cabinet.enterprise == "2613189773"


def test_an_enterprise_page_right_after_the_form_needs_no_other(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    server.answer(
        SIGN_IN, redirect(ENTERPRISE, cookie="JSESSIONID=geheim-cookie-mine; Path=/; HttpOnly")
    )
    server.answer(ENTERPRISE, html())
    server._sessions.add("geheim-cookie-mine")
    read_first_page(cabinet)
    assert server.count("/") == 0


def test_an_enterprise_that_gwt_cannot_write_is_no_cabinets(
    cabinet: CabinetClient, server: ReplayServer
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
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    read_first_page(cabinet)
    server.end_sessions()
    read_first_page(cabinet)
    forms = [request for request in server.received if request.path == SIGN_IN]
    assert len(forms) == 2
    assert all("cookie" not in request.headers for request in forms)


def test_a_redirect_of_the_form_to_another_host_sends_nothing_there(
    cabinet: CabinetClient, server: ReplayServer, stack: ExitStack, hides: Hides
) -> None:
    other = stack.enter_context(ReplayServer())
    server.answer(SIGN_IN, redirect(f"{other.url}{SIGN_IN}", status="307 Temporary Redirect"))
    with pytest.raises(NotACabinetError, match="another host") as caught:
        cabinet.read_trunks()
    hides(caught.value)
    assert other.connections == 0


def test_a_password_is_not_sent_again_where_a_kept_connection_breaks(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    cabinet.read_trunks()
    server.answer(LIST, redirect("/login"))
    server.answer(SIGN_IN, Reply(raw=[], then="close"))
    with pytest.raises(UnreachableError):
        cabinet.read_trunks()
    assert server.count(SIGN_IN) == 2


def test_a_password_goes_on_with_one_redirect_and_no_more(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    for number in range(9):
        target = redirect(f"/{number}", status="307 Temporary Redirect")
        server.always(SIGN_IN if number == 0 else f"/{number - 1}", target)
    with pytest.raises(NotACabinetError, match="redirects the form twice"):
        cabinet.read_trunks()
    assert sum(b"j_password" in request.body for request in server.received) == 2


def test_a_password_is_not_sent_again_where_it_was_sent_on_and_the_connection_breaks(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    server.answer(SIGN_IN, redirect("/on", status="307 Temporary Redirect"))
    server.always("/on", Reply(raw=[], then="close"))
    with pytest.raises(UnreachableError):
        cabinet.read_trunks()
    assert sum(b"j_password" in request.body for request in server.received) == 2


@pytest.mark.parametrize(
    ("cookies", "kind"),
    [
        (["JSESSIONID=geheim-cookie; Secure", "ROUTE=node1"], LostCookieError),
        (["ROUTE=node1; Secure"], LostCookieError),
        (["JSESSIONID=geheim-cookie", "ROUTE=node1; Secure"], LoginRefusedError),
        (["JSESSIONID=geheim-cookie", "JSESSIONID=geheim-cookie2; Path=/part"], LoginRefusedError),
    ],
)
def test_a_sessions_cookie_that_is_lost_is_told_whatever_others_go_back(
    cabinet: CabinetClient, server: ReplayServer, cookies: list[str], kind: type[CabinetError]
) -> None:
    head = "".join(f"Set-Cookie: {cookie}\r\n" for cookie in cookies)
    raw = f"HTTP/1.1 302 Found\r\nLocation: /login\r\n{head}Content-Length: 0\r\n\r\n".encode()
    server.answer(SIGN_IN, Reply(raw=[raw]))
    with pytest.raises(CabinetError) as caught:
        cabinet.read_trunks()
    assert type(caught.value) is kind


def test_a_circle_of_redirects_is_no_cabinet(
    cabinet: CabinetClient, server: ReplayServer, hides: Hides
) -> None:
    server.always("/", redirect("/again"))
    server.always("/again", redirect("/"))
    with pytest.raises(NotACabinetError, match="circle") as caught:
        cabinet.read_trunks()
    hides(caught.value)


def test_a_refusal_is_forgotten_with_the_right_password(
    cabinet: CabinetClient, server: ReplayServer, events: list[TraceEvent]
) -> None:
    server.answer(SIGN_IN, redirect("/login"))
    with pytest.raises(LoginRefusedError):
        cabinet.read_trunks()
    assert len(cabinet.read_trunks().trunks) == 3
    signed_in = [event for event in events if isinstance(event, SignIn)]
    assert [event.result for event in signed_in] == ["login_refused", "success"]
    assert all(event.duration >= 0 for event in signed_in)


# -- how often a password is sent


def send(pace: SignInPace, error: CabinetError | None) -> None:
    """Sign in, which ends like this."""
    with contextlib.suppress(CabinetError), pace.sending(1):
        if error:
            raise error


def pauses(error: CabinetError | None, times: int) -> list[float]:
    """How long a password waits after each of so many sign-ins that end like this."""
    ticks = Ticks()
    pace = SignInPace(clock=ticks)
    waits = []
    for _ in range(times):
        send(pace, error)
        waits.append(pace.left(1))
        ticks.now += waits[-1]
    return waits


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, [60.0] * 4),
        (LoginRefusedError("no"), [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0]),
        (LostCookieError("no"), [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0]),
        (NotACabinetError("no"), [60.0, 120.0, 240.0, 300.0, 300.0]),
        (NotGwtError("no"), [60.0, 120.0, 240.0, 300.0, 300.0]),
        (UnreachableError("no"), [60.0] * 4),
        (CabinetTimeoutError("no"), [60.0] * 4),
    ],
)
def test_the_pause_grows_where_trying_again_would_not_help(
    error: CabinetError | None, expected: list[float]
) -> None:
    assert pauses(error, len(expected)) == expected


def test_a_month_of_refusals_is_counted() -> None:
    assert pauses(LoginRefusedError("no"), 2000)[-1] == 3600.0


def test_a_password_that_may_not_be_sent_yet_fails_as_the_last_sign_in_did() -> None:
    ticks = Ticks()
    pace = SignInPace(clock=ticks)
    with contextlib.suppress(LoginRefusedError), pace.sending(1):
        with (
            pytest.raises(NotGwtError, match=r"sent 0 s ago, and is not sent again for 60 s"),
            pace.sending(1),
        ):
            pytest.fail("it was sent")
        raise LoginRefusedError("sign_in: refused")
    ticks.now += 20
    says = r"^sign_in: refused; .* 20 s ago.* 40 s"
    with pytest.raises(LoginRefusedError, match=says) as caught, pace.sending(1):
        pytest.fail("it was sent")
    assert caught.value.retry_after == 40.0
    for who in (2, 1):  # another login, or another password; and this one when it may be
        with pace.sending(who):
            ticks.now += 40


def test_a_success_ends_a_row_of_failures() -> None:
    ticks = Ticks()
    pace = SignInPace(clock=ticks)
    waits = []
    for error in (LoginRefusedError("no"), LoginRefusedError("no"), None, LoginRefusedError("no")):
        send(pace, error)
        waits.append(pace.left(1))
        ticks.now += waits[-1]
    assert waits == [60.0, 120.0, 60.0, 60.0]


def test_a_new_client_waits_like_the_one_before_it(server: ReplayServer) -> None:
    ticks = Ticks()
    pace = SignInPace(clock=ticks)
    settings = CabinetSettings(address=server.url, login=LOGIN, password=PASSWORD, page_size=3)
    with CabinetClient(settings, pace=pace) as cabinet:
        read_first_page(cabinet)
    ticks.now += 30
    for _ in range(100):  # a reload makes new clients
        with CabinetClient(settings, pace=pace) as cabinet, pytest.raises(NotGwtError) as caught:
            read_first_page(cabinet)
        assert caught.value.retry_after == 30.0
    assert server.count(SIGN_IN) == 1
    ticks.now += 30
    with CabinetClient(settings, pace=pace) as cabinet:
        read_first_page(cabinet)
    assert server.count(SIGN_IN) == 2


def test_a_sign_in_that_is_nearly_due_is_waited_for(server: ReplayServer) -> None:
    pace = SignInPace(pause=0.2)
    settings = CabinetSettings(address=server.url, login=LOGIN, password=PASSWORD, page_size=3)
    with CabinetClient(settings, pace=pace) as cabinet:
        read_first_page(cabinet)
        server.end_sessions()
        read_first_page(cabinet)
    assert server.count(SIGN_IN) == 2


def test_a_password_file_is_read_again_before_each_sign_in(
    server: ReplayServer, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("old\n")
    settings = CabinetSettings(address=server.url, login=LOGIN, password_file=file, page_size=3)
    with CabinetClient(settings, pace=SignInPace(clock=Ticks())) as cabinet:
        assert not cabinet.credentials_changed()
        with pytest.raises(LoginRefusedError):
            read_first_page(cabinet)
        assert not cabinet.credentials_changed()
        file.write_text(PASSWORD)
        assert cabinet.credentials_changed()
        read_first_page(cabinet)
        assert not cabinet.credentials_changed()


def test_a_cookie_that_does_not_come_back_is_no_refused_password(
    cabinet: CabinetClient, server: ReplayServer, hides: Hides
) -> None:
    for attributes, says in (
        ("; Secure", "marked Secure"),
        ("; Domain=example.org", "another host"),
        ("; Path=/elsewhere", "another path"),
    ):
        server.answer(SIGN_IN, redirect("/", cookie=f"JSESSIONID={COOKIE}{attributes}"))
        with pytest.raises(NotACabinetError, match=says) as caught:
            read_first_page(cabinet)
        hides(caught.value)
    server.answer(SIGN_IN, redirect("/", cookie='JSESSIONID=x; Version=1; Path="/"'))
    server._sessions.add("x")
    assert len(read_first_page(cabinet).trunks) == 3


def test_a_path_does_not_show_the_cookie_that_stands_in_it(
    cabinet: CabinetClient, server: ReplayServer, hides: Hides
) -> None:
    server.always(SIGN_IN, redirect(f"/{COOKIE}-1/", cookie=f"JSESSIONID={COOKIE}-1; Path=/"))
    server.always("/", redirect(f"/welcome/{COOKIE}-1"))
    server.always(f"/welcome/{COOKIE}-1", html())
    server.always(f"/{COOKIE}-1/", html())
    with pytest.raises(NotACabinetError, match=r"ended at /welcome/\*\*\*") as caught:
        read_first_page(cabinet)
    hides(caught.value)


MAINTENANCE = b"<html><body>We are working for you</body></html>"


def _at(call: str, answer: Answer) -> Callable[[Incoming], Fault | None]:
    return lambda incoming: Fault(instead=answer) if incoming.call == call else None


def _sent_in_an_hour(simulated: SimulatedCabinet, settings: CabinetSettings, every: float) -> int:
    """Read the list again and again for an hour by the clock; count the passwords sent."""
    ticks = Ticks()
    with CabinetClient(settings, pace=SignInPace(clock=ticks)) as cabinet:
        while ticks.now < 1000.0 + 3600.0:
            with contextlib.suppress(CabinetError):
                cabinet.read_trunks()
            ticks.now += every
    sent: int = simulated.stats()["requests"]["sign_in"]
    return sent


def _documented() -> dict[str, int]:
    """The table of docs/faults.md: kinds of trouble, and passwords sent in an hour at most."""
    text = (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")
    section = text.partition("## How often a password is sent")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \| (\d+) \|", section, re.MULTILINE)
    return {kind: int(number) for kind, number in rows}


TROUBLE: dict[str, Callable[[Incoming], Fault | None]] = {
    "the password is refused": lambda incoming: None,
    "a maintenance page at every address": lambda _: Fault(instead=Answer(200, (), MAINTENANCE)),
    "HTTP 500 at every address": lambda _: Fault(instead=Answer(500)),
    "HTTP 502 at every address": lambda _: Fault(instead=Answer(502)),
    "HTTP 403 at every address": lambda _: Fault(instead=Answer(403)),
    "the cabinet closes every connection": lambda _: Fault(drop=True),
    "the list is answered with HTTP 500": _at("list", Answer(500)),
    "the list is answered with a page": _at("list", Answer(200, (), MAINTENANCE)),
    "every session ends at once": _at("list", Answer(403)),
}


@pytest.mark.parametrize("kind", TROUBLE)
def test_as_many_passwords_are_sent_in_an_hour_as_documented(kind: str) -> None:
    sent = []
    for every in (10.0, 60.0):
        with SimulatedCabinet(make_accounts(trunks=2)) as simulated:
            (account,) = simulated.accounts
            refused = kind == "the password is refused"
            settings = CabinetSettings(
                address=simulated.url,
                login=account.login,
                password="wrong" if refused else account.password,
            )
            simulated.faults = TROUBLE[kind]
            sent.append(_sent_in_an_hour(simulated, settings, every))
    assert max(sent) == _documented()[kind]
