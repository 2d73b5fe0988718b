"""A cabinet is read by itself; what ends is renewed, bad answers are errors, closing signs out."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cabinet.replay import (
    ENTERPRISE,
    LIST,
    LOGIN,
    NOCACHE,
    PASSWORD,
    PERMUTATION,
    PERMUTATION_POLICY,
    SIGN_IN,
    SIGNATURES,
    Received,
    ReplayServer,
    Reply,
    capture,
    gwt,
    html,
    ids,
    redirect,
    renamed,
    rows,
    truth,
)
from tests.doubles import read_first_page
from vats_exporter.cabinet import client
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.errors import (
    CabinetError,
    DoubtfulError,
    GwtExceptionError,
    IncompleteError,
    LoginRefusedError,
    NotGwtError,
    RedeployedError,
    UnreachableError,
)
from vats_exporter.cabinet.settings import CabinetSettings, Timeouts
from vats_exporter.cabinet.sign_in import SignInPace
from vats_exporter.cabinet.transport import Answer as Answered
from vats_exporter.cabinet.transport import CallEnded, PageRead, Redeployed, SignIn, TraceEvent
from vats_exporter.demo import Answer, Deployment, Fault, Incoming, SimulatedCabinet, make_accounts
from vats_exporter.gwt import GWT_2_13
from vats_exporter.trunks import Flags

if TYPE_CHECKING:
    from contextlib import ExitStack

    from tests.cabinet.conftest import CabinetMaker
    from vats_exporter.trunks import Listing

Hides = Callable[[BaseException], None]
REDEPLOYED = "49826FB6F3AD24BF916A9026ED9BE186"

# -- the ordinary run


def test_a_page_of_a_capture_becomes_its_trunks(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    listing = cabinet.read_trunks()
    assert [trunk.ref for trunk in listing.trunks] == ids("list_page3")
    assert [trunk.phone for trunk in listing.trunks] == [
        "79161234570",
        "79161234620",
        "79161234650",
    ]
    assert [trunk.pattern for trunk in listing.trunks] == ["1100", "0011", "1000"]
    assert listing.pages == 2


def test_the_first_use_signs_in_discovers_and_lists_in_this_order(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    cabinet.read_trunks()
    assert server.calls() == [
        SIGN_IN,
        "/",
        ENTERPRISE,
        NOCACHE,
        f"/vpbxGwt/{PERMUTATION}.cache.js",
        LIST,
        LIST,
    ]


def test_session_discovery_and_connection_are_kept(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    for _ in range(3):
        cabinet.read_trunks()
    assert server.count(SIGN_IN) == 1
    assert server.count(NOCACHE) == 1
    assert server.count(LIST) == 6
    assert server.connections == 1


def test_nothing_is_asked_before_it_is_needed(cabinet: CabinetClient, server: ReplayServer) -> None:
    assert cabinet.discovery is None
    assert server.received == []


def test_three_hundred_trunks_take_four_list_requests(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    server.pages = [renamed(capture("list_page100"), page) for page in range(3)]
    listing = make_cabinet(server, page_size=100).read_trunks()
    assert len(listing.trunks) == 300
    assert [request.page for request in server.received if request.path == LIST] == [*"ABCD"]


def test_a_list_ends_with_its_short_page(server: ReplayServer, make_cabinet: CabinetMaker) -> None:
    page = capture("list_page100")
    server.pages = [page, renamed(page, 7), capture("list_last_short")]
    cabinet = make_cabinet(server, page_size=100, check_total=True)
    # The captures say a total of 237, which is known to be one after the first list.
    assert len(cabinet.read_trunks().trunks) == 237
    assert server.count(LIST) == 4
    assert len(cabinet.read_trunks().trunks) == 237
    assert server.count(LIST) == 4 + 3


def test_the_list_request_is_the_observed_one(cabinet: CabinetClient, server: ReplayServer) -> None:
    cabinet.read_trunks()
    request = next(request for request in server.received if request.path == LIST)
    signature = {text.partition("/")[0].rpartition(".")[2]: text for text in SIGNATURES}
    assert request.body.decode() == "|".join(
        [
            "7|0|8",
            f"{server.url}/vpbxGwt/",
            PERMUTATION_POLICY,
            "ru.cti.vpbx.shared.services.AbonentBrowserGwtService",
            "list",
            signature["AbonentBrowserRequestGWTModel"],
            signature["Boolean"],
            signature["MIGRATION_STATE_TYPE"],
            signature["Long"],
            "1|2|3|4|1|5|5|0|6|0|0|-2|7|0|8|CbwhyN|0|0|8|A|8|D|0|",
        ]
    )
    assert request.headers["x-gwt-permutation"] == PERMUTATION
    assert request.headers["x-gwt-module-base"] == f"{server.url}/vpbxGwt/"
    assert request.headers["content-type"] == "text/x-gwt-rpc; charset=utf-8"


def test_every_request_says_honestly_who_asks(cabinet: CabinetClient, server: ReplayServer) -> None:
    cabinet.read_trunks()
    assert all(
        request.headers["user-agent"].startswith("vats-exporter/") for request in server.received
    )


@pytest.mark.parametrize("name", ["list_page3_dq", "list_shared_boolean", "list_escapes"])
def test_other_captures_are_read_too(
    name: str, server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    server.pages = [capture(name)]
    listing = make_cabinet(server, page_size=len(rows(name))).read_trunks()
    assert [trunk.ref for trunk in listing.trunks] == ids(name)
    assert [trunk.id for trunk in listing.trunks] == [row["id"] for row in rows(name)]


def test_one_page_is_read_for_a_check(server: ReplayServer, make_cabinet: CabinetMaker) -> None:
    server.pages = [capture("list_page100")]
    listing = read_first_page(make_cabinet(server, page_size=100, check_total=True))
    assert len(listing.trunks) == 100
    assert server.count(LIST) == 1


def test_what_was_found_can_be_looked_at(cabinet: CabinetClient) -> None:
    read_first_page(cabinet)
    assert cabinet.discovery is not None
    assert cabinet.discovery.permutation == PERMUTATION
    assert cabinet.discovery.policies["AbonentBrowserGwtService"] == PERMUTATION_POLICY
    assert set(cabinet.discovery.signatures.values()) == SIGNATURES
    assert cabinet.enterprise == "2613189773"


def test_threads_take_turns(cabinet: CabinetClient, server: ReplayServer) -> None:
    listings = []
    threads = [
        threading.Thread(target=lambda: listings.append(cabinet.read_trunks())) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [len(listing.trunks) for listing in listings] == [3] * 5
    assert server.connections == 1
    assert server.count(SIGN_IN) == 1


def test_a_closed_cabinet_signs_in_anew(cabinet: CabinetClient, server: ReplayServer) -> None:
    cabinet.read_trunks()
    cabinet.close()
    cabinet.read_trunks()
    assert server.count(SIGN_IN) == 2


# -- what is set by hand


def test_what_is_set_by_hand_wins(server: ReplayServer, make_cabinet: CabinetMaker) -> None:
    server.redeploy()
    server.policy = "F" * 32
    long_signature = "java.lang.Long/1"
    cabinet = make_cabinet(
        server,
        permutation=REDEPLOYED,
        services={"AbonentBrowserGwtService": "F" * 32},
        signatures={"java.lang.Long": long_signature},
        enterprise="42",
    )
    read_first_page(cabinet)
    body = server.received[-1].body.decode()
    assert server.count(NOCACHE) == 0
    assert f"|{'F' * 32}|" in body
    assert f"|{long_signature}|" in body
    assert "|8|q|0|0|8|" in body  # 42 as GWT writes it
    assert server.received[-1].headers["x-gwt-permutation"] == REDEPLOYED


def test_one_script_is_enough_where_the_service_is_set_by_hand(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    first = truth("nocache_five")["permutations"][0]  # type: ignore[index]  # JSON
    server.answer(NOCACHE, Reply(body=capture("nocache_five")))
    server.answer(f"/vpbxGwt/{first}.cache.js", Reply(body=b"var a='java.lang.Long/2';"))
    cabinet = make_cabinet(server, services={"AbonentBrowserGwtService": PERMUTATION_POLICY})
    cabinet.read_trunks()
    assert cabinet.discovery is not None
    assert cabinet.discovery.permutation == first
    assert "|java.lang.Long/2|" in server.received[-1].body.decode()


def test_an_enterprise_can_be_given_as_a_reference(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    read_first_page(make_cabinet(server, enterprise="Cb$_yN"))
    assert "|8|Cb$_yN|0|0|8|" in server.received[-1].body.decode()


def test_the_older_tail_of_the_list_request_can_be_configured(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    tail = "|{filter}|7|0|0|8|{enterprise}|0|8|{page}|8|{page_size}|0|"
    read_first_page(make_cabinet(server, list_tail=tail, filter=0))
    assert server.received[-1].body.endswith(b"|5|5|0|6|0|0|0|7|0|0|8|CbwhyN|0|8|A|8|D|0|")


def test_a_list_that_changes_while_it_is_read_is_refused(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    server.pages = [capture("list_page3"), capture("list_page3")]
    with pytest.raises(IncompleteError, match="page 2 is page 1 again"):
        make_cabinet(server).read_trunks()


def test_a_number_that_was_never_the_total_is_a_remark(
    server: ReplayServer, make_cabinet: CabinetMaker
) -> None:
    listing = make_cabinet(server, check_total=True).read_trunks()
    assert len(listing.trunks) == 3
    assert any("(237) differs from that of its 3 rows" in warning for warning in listing.warnings)


def test_settings_do_not_show_the_password(cabinet: CabinetClient) -> None:
    assert PASSWORD not in repr(cabinet._settings)
    assert PASSWORD not in repr(vars(cabinet))


# -- a simulated cabinet

Reader = Callable[..., CabinetClient]


@pytest.fixture
def simulate(stack: ExitStack) -> Callable[..., SimulatedCabinet]:
    def start(trunks: int = 25, **options: Any) -> SimulatedCabinet:
        return stack.enter_context(SimulatedCabinet(make_accounts(trunks=trunks), **options))

    return start


@pytest.fixture
def sign_up(stack: ExitStack, events: list[TraceEvent]) -> Reader:
    def make(simulated: SimulatedCabinet, **changes: Any) -> CabinetClient:
        account = simulated.account("demo")
        settings: dict[str, Any] = {
            "address": simulated.url,
            "login": account.login,
            "password": account.password,
            "timeouts": Timeouts(connect=5, read=20, call=30),
        }
        return stack.enter_context(
            CabinetClient(CabinetSettings(**{**settings, **changes}), trace=events.append)
        )

    return make


def shown(listing: Listing) -> list[dict[str, Any]]:
    return [
        {
            "ref": trunk.ref,
            "id": trunk.id,
            "phone": trunk.phone,
            "name": trunk.name,
            "active": trunk.flags.active,
            "bound": trunk.flags.bound,
            "marked_for_deletion": trunk.flags.marked_for_deletion,
        }
        for trunk in listing.trunks
    ]


def true_rows(simulated: SimulatedCabinet) -> list[dict[str, Any]]:
    keys = ("ref", "id", "phone", "name", "active", "bound", "marked_for_deletion")
    return [{key: trunk[key] for key in keys} for trunk in simulated.trunks()]


@pytest.mark.parametrize(("trunks", "requests"), [(1, 2), (99, 2), (100, 2), (300, 4), (2600, 27)])
def test_every_trunk_is_read_on_one_connection(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader, trunks: int, requests: int
) -> None:
    simulated = simulate(trunks)
    assert shown(sign_up(simulated).read_trunks()) == true_rows(simulated)
    stats = simulated.stats()
    assert stats["requests"]["list"] == requests
    assert stats["sign_ins"] == 1
    assert stats["requests"]["nocache"] == 1
    assert stats["requests"]["permutation"] == 1
    assert stats["highest_concurrency"] == 1
    assert stats["connections"] == 1


def test_page_numbers_past_the_letters_are_written_as_longs(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader
) -> None:
    simulated = simulate(150)
    assert shown(sign_up(simulated, page_size=2).read_trunks()) == true_rows(simulated)
    assert simulated.stats()["requests"]["list"] == 76


def test_an_enterprise_without_trunks_gives_an_empty_list(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader
) -> None:
    assert sign_up(simulate(0)).read_trunks().trunks == ()


@pytest.mark.parametrize(
    "habits",
    [
        {"kind": "e"},
        {"style": GWT_2_13},
        {"before": ("weight", "email", "name"), "after": ("phone", "limit")},
        {"before": ("phone",), "after": ("name", "migration", "created")},
    ],
    ids=["shared Booleans", "later release", "more columns", "another order"],
)
def test_habits_of_a_server_make_no_difference(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader, habits: dict[str, Any]
) -> None:
    simulated = simulate(120, deployment=replace(Deployment.make(seed="habits"), **habits))
    assert shown(sign_up(simulated).read_trunks()) == true_rows(simulated)


@pytest.mark.parametrize("page", [0, 1, 3])
def test_a_redeployment_between_two_pages_costs_one_call(
    simulate: Callable[..., SimulatedCabinet],
    sign_up: Reader,
    events: list[TraceEvent],
    page: int,
) -> None:
    simulated = simulate(300)
    cabinet = sign_up(simulated)
    read_first_page(cabinet)
    old = simulated.deployment.permutations[0]

    def redeploy(request: Incoming) -> Fault | None:
        if request.call == "list" and request.page == page:
            simulated.faults = None
            simulated.redeploy()
        return None

    simulated.faults = redeploy
    assert shown(cabinet.read_trunks()) == true_rows(simulated)
    stats = simulated.stats()
    assert stats["requests"]["list"] == 1 + 5
    assert stats["requests"]["nocache"] == 2
    assert stats["sign_ins"] == 1
    assert Redeployed(old, simulated.deployment.permutations[0]) in events


@pytest.mark.parametrize("page", [0, 1, 3])
def test_a_session_that_ends_between_two_pages_costs_one_sign_in(
    simulate: Callable[..., SimulatedCabinet],
    sign_up: Reader,
    events: list[TraceEvent],
    page: int,
) -> None:
    simulated = simulate(300)
    cabinet = sign_up(simulated)
    read_first_page(cabinet)

    def end(request: Incoming) -> Fault | None:
        if request.call == "list" and request.page == page:
            simulated.faults = None
            simulated.end_sessions()
        return None

    simulated.faults = end
    assert shown(cabinet.read_trunks()) == true_rows(simulated)
    stats = simulated.stats()
    assert stats["sign_ins"] == 2
    assert stats["requests"]["nocache"] == 1
    assert [event.result for event in events if isinstance(event, SignIn)] == ["success"] * 2


def test_a_stale_policy_set_by_hand_is_an_error_that_names_it(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader
) -> None:
    cabinet = sign_up(simulate(), services={"AbonentBrowserGwtService": "0" * 32})
    with pytest.raises(CabinetError, match="IncompatibleRemoteServiceException") as caught:
        cabinet.read_trunks()
    assert caught.value.result == "gwt_exception"


def test_the_filter_that_googles_code_refuses_is_reported(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader
) -> None:
    with pytest.raises(CabinetError) as caught:
        sign_up(simulate(), filter=-1).read_trunks()
    assert caught.value.result == "gwt_exception"


def test_a_trunk_added_while_the_list_is_read_refuses_the_list(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader
) -> None:
    simulated = simulate(150)

    def add(request: Incoming) -> Fault | None:
        if request.page == 1:
            simulated.account("demo").enterprise.add()
        return None

    cabinet = sign_up(simulated)
    cabinet.read_trunks()
    simulated.faults = add
    with pytest.raises(IncompleteError, match="changed"):
        cabinet.read_trunks()


def test_a_changed_password_is_a_refused_login(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader
) -> None:
    simulated = simulate()
    cabinet = sign_up(simulated)
    cabinet.read_trunks()
    simulated.change_password("demo", "another")
    with pytest.raises(LoginRefusedError):
        cabinet.read_trunks()
    assert simulated.stats()["refused_sign_ins"] == 1


def test_a_restarted_cabinet_is_read_again(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader
) -> None:
    simulated = simulate()
    cabinet = sign_up(simulated)
    cabinet.read_trunks()
    simulated.stop()
    with pytest.raises(CabinetError) as caught:
        cabinet.read_trunks()
    assert caught.value.result == "unreachable"
    simulated.start()
    assert shown(cabinet.read_trunks()) == true_rows(simulated)


def test_closing_ends_a_reading_under_way(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader
) -> None:
    simulated = simulate()
    cabinet = sign_up(simulated)
    arrived, never = threading.Event(), threading.Event()

    def hold(request: Incoming) -> Fault | None:
        if request.call != "list":
            return None
        arrived.set()
        return Fault(wait=never)

    simulated.faults = hold
    results: list[str] = []

    def read() -> None:
        try:
            cabinet.read_trunks()
        except CabinetError as error:
            results.append(error.result)

    thread = threading.Thread(target=read)
    thread.start()
    assert arrived.wait(5)
    cabinet.close()
    thread.join(5)
    assert results == ["unreachable"]


# -- details and the selector


def test_details_are_those_of_the_trunk(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader
) -> None:
    simulated = simulate(40)
    cabinet = sign_up(simulated)
    for trunk in simulated.trunks():
        details = cabinet.read_details(trunk["ref"])
        assert details.phone in (trunk["phone"], "")
        assert details.enabled == trunk["sip_device_enabled"]


def test_the_selector_is_moved_and_read_back(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader
) -> None:
    simulated = simulate(40)
    cabinet = sign_up(simulated, selector_method="setEnabled")
    trunk = next(trunk for trunk in simulated.trunks() if trunk["sip_device_enabled"])
    cabinet.move_selector(trunk["ref"], enabled=False)
    assert cabinet.read_details(trunk["ref"]).enabled is False
    now = next(after for after in simulated.trunks() if after["ref"] == trunk["ref"])
    assert now["sip_device_enabled"] is False


def test_details_are_read_in_the_session_there_is_where_nothing_may_be_renewed(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader
) -> None:
    simulated = simulate()
    cabinet = sign_up(simulated)
    ref = simulated.trunks()[0]["ref"]
    with pytest.raises(CabinetError, match="not signed in"):
        cabinet.read_details(ref, renew=False)
    assert simulated.stats()["requests"] == {}
    cabinet.read_trunks()
    assert cabinet.read_details(ref, renew=False) == cabinet.read_details(ref)
    simulated.end_sessions()
    with pytest.raises(CabinetError):
        cabinet.read_details(ref, renew=False)
    assert simulated.stats()["sign_ins"] == 1
    assert simulated.stats()["connections"] == 1


def test_details_leave_a_redeployed_cabinet_to_the_next_listing(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader
) -> None:
    simulated = simulate()
    cabinet = sign_up(simulated)
    ref = cabinet.read_trunks().trunks[0].ref
    simulated.redeploy()
    with pytest.raises(RedeployedError):
        cabinet.read_details(ref, renew=False)
    assert simulated.stats()["requests"]["details"] == 1
    cabinet.read_trunks()
    assert cabinet.read_details(ref, renew=False) == cabinet.read_details(ref)


# -- a list is believed when it proves itself


def test_a_list_that_is_suddenly_empty_is_read_again_in_a_fresh_session(
    cabinet: CabinetClient, server: ReplayServer
) -> None:
    cabinet.read_trunks()
    server.answer(LIST, gwt(capture("list_empty")))
    assert len(cabinet.read_trunks().trunks) == 3
    assert server.count(SIGN_IN) == 2
    server.pages = []
    assert cabinet.read_trunks().trunks == ()  # both sessions say so
    assert server.count(SIGN_IN) == 3
    assert cabinet.read_trunks().trunks == ()
    assert server.count(SIGN_IN) == 3


def test_a_doubt_lasts_until_the_other_session_may_be_had(server: ReplayServer) -> None:
    now = [0.0]
    settings = CabinetSettings(
        address=server.url, login=LOGIN, password=PASSWORD, page_size=3, check_total=False
    )
    with CabinetClient(settings, pace=SignInPace(clock=lambda: now[0])) as cabinet:
        cabinet.read_trunks()
        server.pages = []
        now[0] += 20
        for left in (40, 30):
            with pytest.raises(IncompleteError, match="empty, and was not before") as caught:
                cabinet.read_trunks()
            assert caught.value.retry_after == left
            now[0] += 10
        now[0] += 30
        assert cabinet.read_trunks().trunks == ()
    assert server.count(SIGN_IN) == 2


def test_a_list_that_is_doubted_in_the_other_session_as_well_is_not_asked_for_again(
    cabinet: CabinetClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[None] = []

    def doubt(*_: object) -> Listing:
        asked.append(None)
        raise DoubtfulError(f"list: doubt {len(asked)}")

    monkeypatch.setattr(client, "read_all", doubt)
    with pytest.raises(DoubtfulError, match="doubt 2"):
        cabinet.read_trunks()
    assert len(asked) == 2


def test_another_enterprises_list_is_refused(cabinet: CabinetClient, server: ReplayServer) -> None:
    cabinet.read_trunks()
    server.pages = [capture("list_page3").replace(b"'CbwhyN'", b"'CbwhyO'")]
    with pytest.raises(IncompleteError, match="another enterprise's"):
        cabinet.read_trunks()
    server.pages = [capture("list_page3")]
    assert len(cabinet.read_trunks().trunks) == 3


def test_a_list_is_read_by_the_script_and_says_so(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader, events: list[TraceEvent]
) -> None:
    listing = sign_up(simulate(120)).read_trunks()
    assert listing.read_by == "script"
    assert [one.read_by for one in events if isinstance(one, PageRead)] == ["script"] * 3


def test_a_class_that_stands_in_a_fragment_is_found_there(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader
) -> None:
    deployment = replace(Deployment.make(seed="class"), list_fragment=2, fragments=4)
    simulated = simulate(deployment=deployment)
    # The service itself is set by hand, so that nothing is missing before the first answer.
    services = {"AbonentBrowserGwtService": deployment.policies["AbonentBrowserGwtService"]}
    signatures = {name: deployment.signature(name) for name in deployment.signatures}
    cabinet = sign_up(simulated, services=services, signatures=signatures)
    listing = cabinet.read_trunks()
    assert listing.read_by == "script"
    assert shown(listing) == true_rows(simulated)
    assert cabinet.discovery is not None
    assert cabinet.discovery.fragments == 2


def test_a_redeployment_that_the_server_does_not_notice_is_found_by_the_answer(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader, events: list[TraceEvent]
) -> None:
    simulated = simulate(25)
    cabinet = sign_up(simulated)
    cabinet.read_trunks()
    before = simulated.deployment
    after = before.redeployed("answer")
    only_the_answers = {
        name: number if "Request" in name or "enums" in name else after.signatures[name]
        for name, number in before.signatures.items()
    }
    simulated.deployment = replace(
        before, permutations=after.permutations, signatures=only_the_answers
    )
    assert cabinet.read_trunks().read_by == "script"
    assert Redeployed(before.permutations[0], after.permutations[0]) in events
    requests = simulated.stats()["requests"]["nocache"]
    assert cabinet.read_trunks().read_by == "script"
    assert simulated.stats()["requests"]["nocache"] == requests


def test_a_list_that_the_script_does_not_read_is_read_by_the_block_and_says_why(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader
) -> None:
    simulated = simulate(25)

    def hide_the_record(answer: Answer) -> Answer:
        assert isinstance(answer.body, bytes)
        return replace(answer, body=answer.body.replace(b"AbonentBrowserRecord", b"Another"))

    def fault(incoming: Incoming) -> Fault | None:
        return Fault(change=hide_the_record) if incoming.call == "permutation" else None

    simulated.faults = fault
    cabinet = sign_up(simulated)
    listing = cabinet.read_trunks()
    assert listing.read_by == "block"
    assert [trunk.flags for trunk in listing.trunks] == [
        Flags(row["active"], row["bound"], row["marked_for_deletion"]) for row in simulated.trunks()
    ]
    assert any("not by the cabinet's script: " in warning for warning in listing.warnings)
    before = simulated.stats()["requests"]
    cabinet.read_trunks()
    after = simulated.stats()["requests"]
    # It is not looked for again and again.
    assert (after["nocache"], after["permutation"]) == (before["nocache"], before["permutation"])


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
    monkeypatch.setattr(client, "_ENDS_WITHIN", PATIENCE)
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
    monkeypatch.setattr(client, "_SIGN_OUT_WITHIN", 0.1)
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
