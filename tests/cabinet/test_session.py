"""Signing in, and what ends is renewed; bad answers are errors; the session is ended in the end."""

from __future__ import annotations

import contextlib
import json
import re
import string
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cabinet.replay import (
    COOKIE,
    ENTERPRISE,
    LIST,
    LOGIN,
    NOCACHE,
    PASSWORD,
    PERMUTATION,
    SIGN_IN,
    Received,
    ReplayServer,
    Reply,
    capture,
    gwt,
    html,
    ids,
    redirect,
    renamed,
    truth,
)
from tests.doubles import Ticks, read_first_page
from vats_exporter.cabinet import session
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    GwtExceptionError,
    LoginRefusedError,
    NotACabinetError,
    NotGwtError,
    RedeployedError,
    UnreachableError,
)
from vats_exporter.cabinet.session import LostCookieError, SignInPace
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.cabinet.transport import Answer as Answered
from vats_exporter.cabinet.transport import CallEnded, Redeployed, SignIn, TraceEvent
from vats_exporter.demo import Answer, Fault, Incoming, SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from contextlib import ExitStack

    from tests.cabinet.conftest import CabinetMaker

Hides = Callable[[BaseException], None]
LOGIN_PAGE = html(capture("login_page").decode())
REDEPLOYED = "49826FB6F3AD24BF916A9026ED9BE186"

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


# -- the session ends


@pytest.mark.parametrize(
    "ended",
    [
        redirect("/login"),
        redirect("/login;jsessionid=123?error=1", status="303 See Other"),
        html(capture("login_page").decode()),
        html("\r\n" * 60 + capture("login_page").decode()),
        Reply(status="401 Unauthorized"),
        Reply(status="403 Forbidden", body=b"<html>Forbidden</html>"),
    ],
    ids=[
        "redirect",
        "redirect with a parameter",
        "login page",
        "page after empty lines",
        "401",
        "403",
    ],
)
def test_a_session_that_ends_between_two_pages_is_renewed_once(
    cabinet: CabinetClient, server: ReplayServer, events: list[TraceEvent], ended: Reply
) -> None:
    def end(request: object) -> Reply:
        server.end_sessions()
        return ended

    read_first_page(cabinet)
    server.answer(LIST, gwt(capture("list_page3")), end)
    server.pages = [b"", capture("list_empty")]
    listing = cabinet.read_trunks()
    assert [trunk.ref for trunk in listing.trunks] == ids("list_page3")
    # The page that failed is asked for again, and no other.
    assert [request.page for request in server.received if request.path == LIST] == [*"AABB"]
    assert server.count(SIGN_IN) == 2
    assert [event.result for event in events if isinstance(event, SignIn)] == ["success"] * 2
    assert server.count(NOCACHE) == 1


def test_a_session_that_ends_right_after_signing_in_is_not_renewed_forever(
    cabinet: CabinetClient, server: ReplayServer, hides: Hides
) -> None:
    server.always(LIST, redirect("/login"))
    with pytest.raises(NotGwtError, match="right after signing in") as caught:
        cabinet.read_trunks()
    hides(caught.value)
    assert server.count(SIGN_IN) == 1
    assert server.count(LIST) == 1
    # Nor does the next reading take the session for a good one.
    with pytest.raises(NotGwtError, match="right after signing in"):
        cabinet.read_trunks()
    assert server.count(SIGN_IN) == 2


def test_an_ended_session_whose_password_is_refused_now_is_a_refused_login(
    cabinet: CabinetClient, server: ReplayServer, hides: Hides
) -> None:
    cabinet.read_trunks()
    server.end_sessions()
    server.password = "changed"
    with pytest.raises(LoginRefusedError) as caught:
        cabinet.read_trunks()
    hides(caught.value)
    assert server.count(SIGN_IN) == 2


@pytest.mark.parametrize("ended", [redirect("/login"), html(capture("login_page").decode())])
def test_a_session_that_ends_before_discovery_is_renewed(
    cabinet: CabinetClient, server: ReplayServer, ended: Reply
) -> None:
    cabinet.read_trunks()
    server.answer(LIST, gwt(capture("ex_incompatible_policy")))
    server.answer(NOCACHE, ended)
    assert len(cabinet.read_trunks().trunks) == 3
    assert server.count(SIGN_IN) == 2
    assert server.count(NOCACHE) == 3


def test_a_session_ends_no_more_than_once_in_a_listing(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    cabinet.read_trunks()

    def serve_and_end(request: Received) -> Reply:
        reply = server._list(request)
        server.end_sessions()
        return reply

    server.pages = [renamed(capture("list_page3"), page) for page in range(8)]
    server.always(LIST, server._behind_login(serve_and_end))
    with pytest.raises(NotGwtError, match="again"):
        cabinet.read_trunks()
    # One at the beginning, one in the middle, and no more.
    assert server.count(SIGN_IN) == 2


NO_SESSION = {
    "HTML without a form": html("<html><script src='/static/login.js'></script></html>"),
    "HTTP 500": Reply(status="500 Internal Server Error"),
    "HTTP 404": Reply(status="404 Not Found"),
    "an empty answer": Reply(),
    "JSON": Reply(body=b'{"error":"unauthorized"}'),
    "an exception of the application's": gwt(capture("ex_application")),
}


@pytest.mark.parametrize("ended", NO_SESSION.values(), ids=NO_SESSION.keys())
def test_an_ended_session_that_shows_otherwise_is_renewed_by_the_next_listing(
    cabinet: CabinetClient, server: ReplayServer, ended: Reply
) -> None:
    cabinet.read_trunks()
    usual = server._behind_login(server._list)

    def only_with_a_session(request: Received) -> Reply:
        reply = usual(request)
        return ended if reply.status.startswith("302") else reply

    server.always(LIST, only_with_a_session)
    server.end_sessions()
    with pytest.raises(CabinetError):
        cabinet.read_trunks()
    assert len(cabinet.read_trunks().trunks) == 3
    assert server.count(SIGN_IN) == 2


def test_a_list_that_stays_broken_makes_sign_ins_rare(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    cabinet.read_trunks()
    server.always(LIST, Reply(status="500 Internal Server Error"))
    sign_ins = []
    for _ in range(20):
        with pytest.raises(NotGwtError):
            cabinet.read_trunks()
        sign_ins.append(server.count(SIGN_IN))
    # Before the listing after the first failure, the second, the fourth, the eighth, the sixteenth.
    assert sign_ins == [1, 2, 3, 3, 4, 4, 4, 4, *[5] * 8, *[6] * 4]
    server._scripted.clear()
    cabinet.read_trunks()
    server.answer(LIST, Reply(status="500 Internal Server Error"))
    with pytest.raises(NotGwtError):
        cabinet.read_trunks()
    cabinet.read_trunks()
    assert server.count(SIGN_IN) == 7  # a success starts the count anew


def test_what_speaks_no_http_does_not_make_the_next_listing_sign_in(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    cabinet.read_trunks()
    server.answer(LIST, Reply(raw=[b"SSH-2.0-OpenSSH_9.2\r\n"], then="close"))
    with pytest.raises(NotGwtError):
        cabinet.read_trunks()
    assert len(cabinet.read_trunks().trunks) == 3
    assert server.count(SIGN_IN) == 1


# -- the deployment ends


def test_a_redeployment_between_two_pages_is_discovered_and_the_call_repeated(
    cabinet: CabinetClient, server: ReplayServer, events: list[TraceEvent]
) -> None:
    def redeployed(request: object) -> Reply:
        server.redeploy(REDEPLOYED)
        return gwt(capture("ex_incompatible_policy"))

    read_first_page(cabinet)
    server.answer(LIST, gwt(capture("list_page3")), redeployed)
    server.pages = [b"", capture("list_empty")]
    assert len(cabinet.read_trunks().trunks) == 3
    assert [request.page for request in server.received if request.path == LIST] == [*"AABB"]
    assert server.received[-1].headers["x-gwt-permutation"] == REDEPLOYED
    assert server.count(SIGN_IN) == 1
    assert Redeployed(PERMUTATION, REDEPLOYED) in events


@pytest.mark.parametrize(
    "name",
    [
        "ex_incompatible_policy",
        "ex_incompatible_type",
        "ex_incompatible_method",
        "ex_incompatible_method_dq",
    ],
)
def test_every_incompatibility_means_to_discover_again_once(
    cabinet: CabinetClient, server: ReplayServer, hides: Hides, name: str
) -> None:
    cabinet.read_trunks()
    server.always(LIST, gwt(capture(name)))
    before = server.count(LIST)
    with pytest.raises(RedeployedError, match="IncompatibleRemoteServiceException") as caught:
        cabinet.read_trunks()
    assert str(truth(name)["message"])[:150] in str(caught.value)
    hides(caught.value)
    assert caught.value.result == "gwt_exception"
    assert server.count(LIST) == before + 2
    assert server.count(NOCACHE) == 2
    assert server.count(SIGN_IN) == 1


def test_names_that_are_refused_as_soon_as_they_were_found_are_not_looked_for_again_at_once(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    server.always(LIST, gwt(capture("ex_incompatible_type")))
    with pytest.raises(RedeployedError):
        cabinet.read_trunks()
    assert server.count(NOCACHE) == 1
    assert server.count(LIST) == 1


def test_the_same_permutation_found_again_is_no_redeployment(
    cabinet: CabinetClient, server: ReplayServer, events: list[TraceEvent]
) -> None:
    cabinet.read_trunks()
    server.answer(LIST, gwt(capture("ex_incompatible_type")))
    cabinet.read_trunks()
    assert server.count(NOCACHE) == 2
    assert not any(isinstance(event, Redeployed) for event in events)


def test_a_session_and_a_deployment_may_both_end_at_once(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    cabinet.read_trunks()
    server.end_sessions()
    server.redeploy(REDEPLOYED)
    assert len(cabinet.read_trunks().trunks) == 3
    assert server.count(SIGN_IN) == 2
    assert server.count(NOCACHE) == 2


# -- bad answers to the list


@pytest.mark.parametrize(
    ("reply", "result", "says"),
    [
        (Reply(body=b""), "not_gwt", "empty"),
        (html(), "not_gwt", "HTML"),
        (Reply(body=b'{"error": "geheim-cookie"}'), "not_gwt", "JSON"),
        (Reply(status="500 Internal Server Error", body=b"geheim-cookie"), "not_gwt", "500"),
        (Reply(status="503 Service Unavailable"), "not_gwt", "503"),
        (
            Reply(status="503 Service Unavailable", headers={"Retry-After": "120"}),
            "not_gwt",
            "503.* 120 s",
        ),
        (Reply(status="429 Too Many Requests", headers={"Retry-After": "9"}), "not_gwt", "429"),
        (Reply(status="404 Not Found"), "not_gwt", "404"),
        (Reply(status="204 No Content"), "not_gwt", "204|empty"),
        (gwt(capture("list_page3")[:-2]), "undecodable", r"^list: .+"),
        (gwt(capture("list_page3")[:300]), "undecodable", r"^list: .+"),
        (gwt(b"//OK"), "undecodable", r"^list: .+"),
        (gwt(b"//OK[1,2,[],0,9]"), "undecodable", "version 9"),
        (gwt(b"//OK[1,[],0,7]"), "undecodable", "list"),
        (gwt(capture("setenabled")), "undecodable", "list"),
        (gwt(b"\xff\xfe//OK"), "not_gwt", r"^list: .+"),
        (gwt(capture("list_page3").replace("Служба".encode(), b"\xff")), "undecodable", "UTF-8"),
        (gwt(capture("ex_application")), "gwt_exception", "VpbxGwtException"),
        (gwt(b"//EX[0,[],0,7]"), "gwt_exception", "exception"),
    ],
)
def test_a_bad_answer_is_an_error_that_says_what_came(
    cabinet: CabinetClient, server: ReplayServer, hides: Hides, reply: Reply, result: str, says: str
) -> None:
    server.answer(LIST, gwt(capture("list_page3")), reply)
    with pytest.raises(CabinetError, match=says) as caught:
        cabinet.read_trunks()
    assert caught.value.result == result
    assert str(caught.value).startswith("list: ")
    hides(caught.value)
    # The next reading starts afresh and finds everything.
    assert len(cabinet.read_trunks().trunks) == 3


def test_an_exception_of_the_server_is_named(cabinet: CabinetClient, server: ReplayServer) -> None:
    server.answer(LIST, gwt(capture("ex_application")))
    with pytest.raises(GwtExceptionError) as caught:
        cabinet.read_trunks()
    assert "ru.cti.vpbx.shared.exceptions.VpbxGwtException" in str(caught.value)
    assert not isinstance(caught.value, RedeployedError)


INCOMPATIBLE = "com.google.gwt.user.client.rpc.IncompatibleRemoteServiceException"


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (["geheim", "sip_9161234567_ab1c"], "list: the server answers an exception"),
        ([PASSWORD], "list: the server answers an exception"),
        ([f"{INCOMPATIBLE}/3936916533", "geheim"], "no reason given"),
        (
            [f"{INCOMPATIBLE}/3936916533", "Invalid type signature for ru.cti.Model"],
            "Invalid type signature for ru.cti.Model",
        ),
    ],
)
def test_only_names_of_classes_are_quoted_of_an_exception(
    cabinet: CabinetClient, server: ReplayServer, hides: Hides, table: list[str], says: str
) -> None:
    answer = gwt(f"//EX[{len(table)},1,{json.dumps(table)},0,7]".encode())
    server.answer(LIST, answer, answer)
    with pytest.raises(GwtExceptionError, match=re.escape(says)) as caught:
        cabinet.read_trunks()
    assert "geheim" not in str(caught.value)
    hides(caught.value)


def test_any_answer_gives_a_list_or_one_error_of_the_tree(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    read_first_page(cabinet)
    page = capture("list_page3")
    cuts = st.tuples(st.integers(0, len(page)), st.integers(0, len(page)), st.binary(max_size=9))
    bodies = st.binary(max_size=60) | cuts.map(lambda cut: page[: cut[0]] + cut[2] + page[cut[1] :])
    statuses = st.integers(200, 599).map(lambda code: f"{code} Whatever")

    @settings(max_examples=150, deadline=None)
    @given(bodies, st.just("200 OK") | statuses, st.sampled_from(["text/html", "", "gzip"]))
    def check(body: bytes, status: str, kind: str) -> None:
        reply = Reply(status, body, headers={"Content-Type": kind, "Connection": "close"})
        server.answer(LIST, reply)
        with contextlib.suppress(CabinetError):
            read_first_page(cabinet)
        server._scripted.clear()

    check()


# -- the session is ended

PATIENCE = 10.0
"""Seconds after which a test that waits for somebody else fails."""


def settings_of(cabinet: SimulatedCabinet) -> CabinetSettings:
    (account,) = cabinet.accounts
    return CabinetSettings(address=cabinet.url, login=account.login, password=account.password)


def sessions(cabinet: SimulatedCabinet) -> int:
    """How many there were; there are none afterwards."""
    return cabinet.end_sessions()


def test_closing_ends_the_session() -> None:
    with SimulatedCabinet() as simulated:
        with CabinetClient(settings_of(simulated)) as cabinet:
            cabinet.read_trunks()
        assert sessions(simulated) == 0
        assert simulated.stats()["requests"]["sign_out"] == 1


def test_a_cabinet_that_was_not_used_is_not_signed_out_of() -> None:
    with SimulatedCabinet() as simulated:
        with CabinetClient(settings_of(simulated)):
            pass
        assert simulated.stats()["requests"] == {}


def test_without_a_path_the_session_is_left_to_the_cabinet() -> None:
    with SimulatedCabinet() as simulated:
        settings = settings_of(simulated).model_copy(update={"sign_out_path": ""})
        with CabinetClient(settings) as cabinet:
            cabinet.read_trunks()
        assert sessions(simulated) == 1


@pytest.mark.parametrize("path", ["/no/such/page", "/-/gone"])
def test_a_path_that_is_not_there_is_told_by_the_trace_and_harms_nothing(path: str) -> None:
    seen: list[TraceEvent] = []
    with SimulatedCabinet() as simulated:
        settings = settings_of(simulated).model_copy(update={"sign_out_path": path})
        with CabinetClient(settings, trace=seen.append) as cabinet:
            cabinet.read_trunks()
    last = [one for one in seen if isinstance(one, CallEnded)][-1]
    assert isinstance(last.outcome, Answered)
    assert (last.call, last.outcome.status) == ("sign_out", 404)


class Holding:
    """Makes calls hang once they have been asked for, and tells when that is."""

    def __init__(self, simulated: SimulatedCabinet, *calls: str) -> None:
        self.asked = {call: threading.Event() for call in calls}
        self.go_on = threading.Event()
        simulated.faults = self._hold

    def _hold(self, incoming: Incoming) -> Fault | None:
        if incoming.call not in self.asked:
            return None
        self.asked[incoming.call].set()
        return Fault(wait=self.go_on)


class Failing(threading.Thread):
    """Makes a call, and keeps what it raised."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__()
        self._call = call
        self.error: CabinetError | None = None
        self.start()

    def run(self) -> None:
        try:
            self._call()
        except CabinetError as error:
            self.error = error


@pytest.mark.parametrize("call", ["list", "permutation", "nocache", "enterprise", "home"])
def test_a_call_that_hangs_is_broken_for_the_sign_out(call: str) -> None:
    with SimulatedCabinet() as simulated:
        holding = Holding(simulated, call)
        cabinet = CabinetClient(settings_of(simulated))
        reading = Failing(cabinet.read_trunks)
        assert holding.asked[call].wait(PATIENCE)
        cabinet.close()
        reading.join(PATIENCE)
        assert isinstance(reading.error, UnreachableError)
        assert sessions(simulated) == 0
        assert simulated.stats()["requests"]["sign_out"] == 1


class Yielding:
    """A cabinet's lock that is not given to who closes before others have had it.

    Args:
        others: set when they have.
    """

    def __init__(self, others: threading.Event) -> None:
        self._lock = threading.Lock()
        self._others = others
        self._until = time.monotonic() + PATIENCE
        self.release = self._lock.release

    def acquire(self, timeout: float = -1) -> bool:
        # The other call may have been broken before it asked for anything.
        if timeout >= 0 and not self._others.is_set() and time.monotonic() < self._until:
            self._others.wait(timeout)
            return False
        return self._lock.acquire(timeout=timeout)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *exception: object) -> None:
        self._lock.release()


def test_who_waits_behind_a_call_that_is_broken_is_broken_too() -> None:
    with SimulatedCabinet() as simulated:
        cabinet = CabinetClient(settings_of(simulated))
        ref = cabinet.read_trunks().trunks[0].ref
        holding = Holding(simulated, "list", "details")
        cabinet._lock = Yielding(holding.asked["details"])  # type: ignore[assignment]  # a double
        waiting = [Failing(cabinet.read_trunks)]
        assert holding.asked["list"].wait(PATIENCE)
        waiting.append(Failing(partial(cabinet.read_details, ref)))
        cabinet.close()
        for one in waiting:
            one.join(PATIENCE)
        assert [type(one.error) for one in waiting] == [UnreachableError] * 2
        assert sessions(simulated) == 0


def test_a_call_that_is_about_to_end_is_let_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_ENDS_WITHIN", PATIENCE)
    with SimulatedCabinet() as simulated:
        holding = Holding(simulated, "list")
        cabinet = CabinetClient(settings_of(simulated))
        reading = Failing(cabinet.read_trunks)
        assert holding.asked["list"].wait(PATIENCE)
        closing = threading.Thread(target=cabinet.close)
        closing.start()
        holding.go_on.set()
        closing.join(PATIENCE)
        reading.join(PATIENCE)
        assert reading.error is None
        assert sessions(simulated) == 0


def test_a_login_that_was_broken_before_there_was_a_session_is_not_signed_out_of() -> None:
    with SimulatedCabinet() as simulated:
        holding = Holding(simulated, "sign_in")
        cabinet = CabinetClient(settings_of(simulated))
        reading = Failing(cabinet.read_trunks)
        assert holding.asked["sign_in"].wait(PATIENCE)
        cabinet.close()
        reading.join(PATIENCE)
        assert "sign_out" not in simulated.stats()["requests"]


def test_a_cabinet_where_everything_hangs_is_closed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_SIGN_OUT_WITHIN", 0.1)
    with SimulatedCabinet() as simulated:
        holding = Holding(simulated, "list", "sign_out")
        cabinet = CabinetClient(settings_of(simulated))
        reading = Failing(cabinet.read_trunks)
        assert holding.asked["list"].wait(PATIENCE)
        closing = threading.Thread(target=cabinet.close)
        closing.start()
        assert holding.asked["sign_out"].wait(PATIENCE)
        closing.join(PATIENCE)
        assert not closing.is_alive()
        reading.join(PATIENCE)


class Once(Yielding):
    """A lock that somebody else has when it is first asked for."""

    asked = 0

    def acquire(self, timeout: float = -1) -> bool:
        self.asked += 1
        return self.asked > 1 and self._lock.acquire(timeout=timeout)


def test_a_cabinet_that_is_about_to_be_used_for_the_first_time_can_be_closed() -> None:
    with SimulatedCabinet() as simulated:
        cabinet = CabinetClient(settings_of(simulated))
        cabinet._lock = Once(threading.Event())  # type: ignore[assignment]  # a double
        cabinet.close()
        assert simulated.stats()["requests"] == {}


def test_a_cabinet_that_is_gone_does_not_keep_anybody() -> None:
    seen: list[TraceEvent] = []
    with SimulatedCabinet() as simulated:
        cabinet = CabinetClient(settings_of(simulated), trace=seen.append)
        cabinet.read_trunks()
    cabinet.close()
    assert isinstance(seen[-1], CallEnded)
    assert isinstance(seen[-1].outcome, CabinetError)
    assert seen[-1].outcome.result == "unreachable"
