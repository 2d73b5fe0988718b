"""A cabinet of many trunks, whose deployments and habits vary, is read as it truly is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.errors import (
    CabinetError,
    IncompleteError,
    LoginRefusedError,
    RedeployedError,
)
from vats_exporter.cabinet.settings import CabinetSettings, Timeouts
from vats_exporter.cabinet.trace import Redeployed, SignIn, TraceEvent
from vats_exporter.demo import (
    Deployment,
    Fault,
    Incoming,
    RowLayout,
    SimulatedCabinet,
    make_accounts,
)
from vats_exporter.gwt import GWT_2_13

if TYPE_CHECKING:
    from contextlib import ExitStack

    from vats_exporter.trunks import Listing

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


def truth(simulated: SimulatedCabinet) -> list[dict[str, Any]]:
    keys = ("ref", "id", "phone", "name", "active", "bound", "marked_for_deletion")
    return [{key: trunk[key] for key in keys} for trunk in simulated.trunks()]


@pytest.mark.parametrize(("trunks", "requests"), [(1, 1), (99, 1), (100, 2), (300, 4), (2600, 27)])
def test_every_trunk_is_read_on_one_connection(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader, trunks: int, requests: int
) -> None:
    simulated = simulate(trunks)
    assert shown(sign_up(simulated).read_trunks()) == truth(simulated)
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
    assert shown(sign_up(simulated, page_size=2).read_trunks()) == truth(simulated)
    assert simulated.stats()["requests"]["list"] == 76


def test_an_enterprise_without_trunks_gives_an_empty_list(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader
) -> None:
    assert sign_up(simulate(0)).read_trunks().trunks == ()


@pytest.mark.parametrize(
    "habits",
    [
        {"shared_booleans": True},
        {"style": GWT_2_13},
        {"layout": RowLayout(before=("weight", "email", "name"), after=("phone", "limit"))},
        {"layout": RowLayout(before=("phone",), after=("migration", "created", "name"))},
    ],
    ids=["shared Booleans", "later release", "more columns", "another order"],
)
def test_habits_of_a_server_make_no_difference(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader, habits: dict[str, Any]
) -> None:
    simulated = simulate(120, deployment=replace(Deployment.make(seed="habits"), **habits))
    assert shown(sign_up(simulated).read_trunks()) == truth(simulated)


@pytest.mark.parametrize("page", [0, 1, 3])
def test_a_redeployment_between_two_pages_costs_one_call(
    simulate: Callable[..., SimulatedCabinet],
    sign_up: Reader,
    events: list[TraceEvent],
    page: int,
) -> None:
    simulated = simulate(300)
    cabinet = sign_up(simulated)
    cabinet.read_first_page()
    old = simulated.deployment.permutations[0]

    def redeploy(request: Incoming) -> Fault | None:
        if request.call == "list" and request.page == page:
            simulated.faults = None
            simulated.redeploy()
        return None

    simulated.faults = redeploy
    assert shown(cabinet.read_trunks()) == truth(simulated)
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
    cabinet.read_first_page()

    def end(request: Incoming) -> Fault | None:
        if request.call == "list" and request.page == page:
            simulated.faults = None
            simulated.end_sessions()
        return None

    simulated.faults = end
    assert shown(cabinet.read_trunks()) == truth(simulated)
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

    simulated.faults = add
    with pytest.raises(IncompleteError, match="changed"):
        sign_up(simulated).read_trunks()


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
    assert shown(cabinet.read_trunks()) == truth(simulated)


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
        enabled = details.device.enabled if details.device else None
        assert enabled == trunk["sip_device_enabled"]


def test_the_selector_is_moved_and_read_back(
    simulate: Callable[..., SimulatedCabinet], sign_up: Reader
) -> None:
    simulated = simulate(40)
    cabinet = sign_up(simulated, selector_method="setEnabled")
    trunk = next(trunk for trunk in simulated.trunks() if trunk["sip_device_enabled"])
    cabinet.set_enabled(trunk["ref"], enabled=False)
    device = cabinet.read_details(trunk["ref"]).device
    assert device is not None
    assert not device.enabled
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
