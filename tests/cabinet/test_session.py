"""What ends is renewed, each once; bad answers are errors; and the session is ended in the end."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cabinet.replay import (
    LIST,
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
from vats_exporter.cabinet import session
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.errors import (
    CabinetError,
    CallCompleted,
    CallFailed,
    GwtExceptionError,
    LoginRefusedError,
    NotGwtError,
    Redeployed,
    RedeployedError,
    SignIn,
    TraceEvent,
    UnreachableError,
)
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.demo import SimulatedCabinet
from vats_exporter.demo.http import Fault, Incoming

Hides = Callable[[BaseException], None]
REDEPLOYED = "49826FB6F3AD24BF916A9026ED9BE186"

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

    cabinet.read_first_page()
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


# -- the deployment ends


def test_a_redeployment_between_two_pages_is_discovered_and_the_call_repeated(
    cabinet: CabinetClient, server: ReplayServer, events: list[TraceEvent]
) -> None:
    def redeployed(request: object) -> Reply:
        server.redeploy(REDEPLOYED)
        return gwt(capture("ex_incompatible_policy"))

    cabinet.read_first_page()
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
    cabinet.read_first_page()
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
            cabinet.read_first_page()
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
    last = [one for one in seen if isinstance(one, CallCompleted)][-1]
    assert (last.call, last.status) == ("sign_out", 404)


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
    assert isinstance(seen[-1], CallFailed)
    assert seen[-1].error.result == "unreachable"
