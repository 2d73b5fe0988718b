"""A cabinet is read by itself: captures of Google's server, and a simulated one of any kind."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import vats_exporter
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
    ReplayServer,
    Reply,
    capture,
    gwt,
    ids,
    renamed,
    rows,
    truth,
)
from tests.doubles import read_first_page
from vats_exporter import (
    Cabinet,
    NotSwitchedError,
    UnknownTrunkError,
)
from vats_exporter.cabinet.client import CabinetClient, SwitchOutcome, TrunkSwitch
from vats_exporter.cabinet.contract import TrunkDetails
from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    IncompleteError,
    LoginRefusedError,
    NotGwtError,
    RedeployedError,
    UnreachableError,
)
from vats_exporter.cabinet.session import SignInPace
from vats_exporter.cabinet.settings import CabinetSettings, Timeouts
from vats_exporter.cabinet.transport import PageRead, Redeployed, SignIn, TraceEvent
from vats_exporter.demo import (
    Answer,
    Deployment,
    Fault,
    Incoming,
    SimulatedCabinet,
    make_accounts,
)
from vats_exporter.gwt import GWT_2_13
from vats_exporter.trunks import Flags

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from tests.cabinet.conftest import CabinetMaker
    from vats_exporter.demo import SimulatedTrunk
    from vats_exporter.trunks import Listing

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


# -- what a program does with it


@pytest.fixture
def simulated() -> Iterator[SimulatedCabinet]:
    with SimulatedCabinet(make_accounts(trunks=60)) as own:
        yield own


@pytest.fixture
def own(simulated: SimulatedCabinet) -> Iterator[Cabinet]:
    account = simulated.accounts[0]
    with Cabinet(
        simulated.url, account.login, account.password, selector_method="setEnabled"
    ) as own:
        yield own


def some(simulated: SimulatedCabinet, *, device: bool) -> SimulatedTrunk:
    trunks = simulated.accounts[0].enterprise.trunks()
    return next(trunk for trunk in trunks if (trunk.device is not None) is device)


def test_every_trunk_is_read(own: Cabinet, simulated: SimulatedCabinet) -> None:
    assert [(t.ref, t.phone, t.name, t.flags.active) for t in own.trunks()] == [
        (t["ref"], t["phone"], t["name"], t["active"]) for t in simulated.trunks()
    ]


@pytest.mark.parametrize("by", ["phone", "ref", "written phone"])
def test_one_trunk_is_found_and_tells_its_line_and_selector(
    own: Cabinet, simulated: SimulatedCabinet, by: str
) -> None:
    expected = some(simulated, device=True)
    assert expected.device is not None
    written = f"+7 ({expected.phone[1:4]}) {expected.phone[4:]}"
    key = {"phone": expected.phone, "ref": expected.ref, "written phone": written}[by]
    trunk = own.trunk(key)
    assert (trunk.ref, trunk.line, trunk.sip_device_enabled) == (
        expected.ref,
        expected.device.line,
        expected.device.enabled,
    )


def test_a_trunk_that_is_not_there_is_an_error_of_the_tree(own: Cabinet) -> None:
    with pytest.raises(UnknownTrunkError, match="no trunk has this phone or reference, of 60"):
        own.trunk("79999999999")
    assert issubclass(UnknownTrunkError, CabinetError)


def test_a_selector_is_moved_and_seen_to_move(own: Cabinet, simulated: SimulatedCabinet) -> None:
    trunk = some(simulated, device=True)
    for enabled in (False, True, True):
        own.set_enabled(trunk.phone, enabled)
        assert own.trunk(trunk.ref).sip_device_enabled is enabled
    with pytest.raises(NotSwitchedError, match="no SIP device"):
        own.set_enabled(some(simulated, device=False).ref, enabled=True)


def test_a_selector_that_stays_where_it_was_is_an_error(
    own: Cabinet, simulated: SimulatedCabinet
) -> None:
    right = Answer(200, body=b'//OK[1,1,["java.lang.Boolean/476441737"],0,7]')

    def ignored(incoming: Incoming) -> Fault | None:
        return Fault(instead=right) if incoming.call == "selector" else None

    trunk = some(simulated, device=True)
    assert trunk.device is not None
    simulated.faults = ignored
    with pytest.raises(NotSwitchedError, match="shows the selector where it was"):
        own.set_enabled(trunk.ref, not trunk.device.enabled)


def test_a_refused_login_is_told_apart(simulated: SimulatedCabinet) -> None:
    with (
        Cabinet(simulated.url, simulated.accounts[0].login, "geheim") as own,
        pytest.raises(LoginRefusedError) as caught,
    ):
        own.trunks()
    assert "geheim" not in str(caught.value)


def test_an_address_or_a_setting_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="login and password do not belong"):
        Cabinet("https://a:b@vpbx.mts.ru", "", "")
    with pytest.raises(ValueError, match="pagesize"):
        Cabinet("vpbx.mts.ru", "a", "b", pagesize=10)


def test_everything_that_is_offered_is_there_and_nothing_else() -> None:
    for name in vats_exporter.__all__:
        assert getattr(vats_exporter, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Trunks'"):
        vats_exporter.Trunks  # noqa: B018 - the access is what is tested


def test_importing_the_package_alone_costs_no_http_client() -> None:
    script = "import sys, vats_exporter; print('requests' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "False\n"


def test_a_users_program_is_type_checked_as_written(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from vats_exporter import Cabinet, CabinetError, Trunk\n"
        "def inactive(password: str) -> list[str]:\n"
        "    try:\n"
        "        with Cabinet('vpbx.mts.ru', '+7-9161234567', password, page_size=50) as cabinet:\n"
        "            trunks: list[Trunk] = cabinet.trunks()\n"
        "            return [trunk.phone for trunk in trunks if not trunk.flags.active]\n"
        "    except CabinetError as error:\n"
        "        raise SystemExit(error.result) from error\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(program)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout


# -- moving selectors


class Selectors:
    """Selectors by trunk; ``None`` is a trunk without a device."""

    def __init__(self, **selectors: bool | None) -> None:
        self.selectors = selectors
        self.moved: list[str] = []
        self.stuck: set[str] = set()
        self.failing: dict[str, BaseException] = {}
        self.unreadable: dict[str, list[CabinetError | None]] = {}

    def read_details(self, ref: str) -> TrunkDetails:
        error = self.unreadable[ref].pop(0) if self.unreadable.get(ref) else None
        if error is not None:
            raise error
        if ref not in self.selectors:
            raise IncompleteError(f"{ref} is gone")
        enabled = self.selectors[ref]
        return TrunkDetails(device="" if enabled is None else "CaDEVI", enabled=enabled)

    def move_selector(self, ref: str, *, enabled: bool) -> None:
        if ref in self.failing:
            raise self.failing[ref]
        self.moved.append(ref)
        if ref not in self.stuck:
            self.selectors[ref] = enabled


def run(cabinet: Any, ref: str, *, enabled: bool) -> TrunkSwitch:
    switch = TrunkSwitch()
    switch.carry_out(cabinet, ref, enabled=enabled)
    return switch


def test_only_a_selector_that_is_elsewhere_is_moved_and_read_back() -> None:
    cabinet = Selectors(a=True, b=False)
    assert run(cabinet, "a", enabled=True) == TrunkSwitch(True, True, SwitchOutcome.UNCHANGED)
    assert run(cabinet, "b", enabled=True) == TrunkSwitch(False, True, SwitchOutcome.CHANGED)
    assert cabinet.moved == ["b"]


def test_a_selector_that_does_not_move_is_a_failure_whatever_the_cabinet_answered() -> None:
    cabinet = Selectors(a=True)
    cabinet.stuck.add("a")
    switch = run(cabinet, "a", enabled=False)
    assert (switch.before, switch.after, switch.outcome) == (True, True, SwitchOutcome.FAILED)


@pytest.mark.parametrize(
    ("error", "outcome", "stops"),
    [
        (NotGwtError("HTTP 500"), SwitchOutcome.UNCLEAR, False),
        (IncompleteError("odd"), SwitchOutcome.UNCLEAR, False),
        (LoginRefusedError("refused"), SwitchOutcome.FAILED, True),
        (UnreachableError("reset"), SwitchOutcome.UNCLEAR, True),
        (CabinetTimeoutError("too late"), SwitchOutcome.UNCLEAR, True),
    ],
)
def test_only_a_failure_of_the_whole_cabinet_stops_the_other_selectors(
    error: CabinetError, outcome: SwitchOutcome, stops: bool
) -> None:
    cabinet = Selectors(a=True)
    cabinet.failing["a"] = error
    switch = run(cabinet, "a", enabled=False)
    assert switch == TrunkSwitch(True, None, outcome, str(error), stops)


def test_a_trunk_before_whose_change_the_cabinet_fails_was_not_moved() -> None:
    cabinet = Selectors(a=True)
    cabinet.unreadable["a"] = [UnreachableError("reset")]
    switch = run(cabinet, "a", enabled=False)
    assert (switch.outcome, switch.error) == (SwitchOutcome.FAILED, "reset")


@pytest.mark.parametrize("error", [LoginRefusedError("refused"), UnreachableError("reset")])
def test_a_trunk_that_cannot_be_read_back_is_to_be_checked(error: CabinetError) -> None:
    cabinet = Selectors(a=True)
    cabinet.unreadable["a"] = [None, error]
    switch = run(cabinet, "a", enabled=False)
    assert switch == TrunkSwitch(True, None, SwitchOutcome.UNCLEAR, str(error), stops=True)


def test_a_trunk_without_a_device_and_one_that_is_gone_are_said_to_be() -> None:
    cabinet = Selectors(a=None)
    assert run(cabinet, "a", enabled=True).outcome is SwitchOutcome.NO_DEVICE
    assert run(cabinet, "gone", enabled=True).outcome is SwitchOutcome.FAILED
    assert cabinet.moved == []


def test_an_interrupt_leaves_word_of_what_was_begun() -> None:
    cabinet: Any = Selectors(a=True)
    cabinet.failing["a"] = KeyboardInterrupt()
    switch = TrunkSwitch()
    with pytest.raises(KeyboardInterrupt):
        switch.carry_out(cabinet, "a", enabled=False)
    assert switch == TrunkSwitch(True, None, SwitchOutcome.STARTED)
