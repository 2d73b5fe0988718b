"""Details follow a slower schedule of their own and never cost the flags."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.doubles import SetClock, let_details_end, view
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.contract import TrunkDetails
from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    GwtExceptionError,
    IncompleteError,
    LoginRefusedError,
    NotGwtError,
    RedeployedError,
    SessionEndedError,
    UnreachableError,
)
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.demo import Answer, Fault, Incoming, SimulatedCabinet, make_accounts
from vats_exporter.demo.deployment import DETAILS_SERVICE
from vats_exporter.details import BUDGET, MIN_BATCH, PAUSE, DetailedSource, DetailsBook
from vats_exporter.refresh import REFUSED_LAST, Refresher
from vats_exporter.trunks import Flags, Listing, Trunk

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR, QUARTER = 3600.0, 900.0
STALE = 600.0
AT = 1_795_000_000.0
PATIENCE = 20.0
OTHER_FORM = b'//EX[2,1,["ru.cti.vpbx.shared.exceptions.VpbxGwtException/928778411","x"],0,7]'
"""The answer for a trunk to which the form does not apply: another form is asked for then."""


def stale() -> float:
    return STALE


def trunks(count: int) -> list[Trunk]:
    flags = Flags(active=True, bound=True, marked_for_deletion=False)
    return [
        Trunk(f"Ca{number:04}", number, f"7916000{number:04}", "", flags, "1100", known=True)
        for number in range(count)
    ]


def details(trunk: Trunk, *, enabled: bool = True, phone: str = "") -> TrunkDetails:
    line = f"mobsip_{trunk.phone[1:]}"
    return TrunkDetails(phone, "CaDEVI", enabled, line, "sip_x", "geheim")


def test_new_trunks_come_first_then_those_asked_longest_ago() -> None:
    book = DetailsBook(HOUR)
    old = trunks(3)
    for at, trunk in zip((30.0, 10.0, 20.0), old, strict=True):
        book.put(trunk.ref, details(trunk), at, AT)
    everyone = trunks(5)
    assert book.due(everyone, 2 * HOUR) == ["Ca0003", "Ca0004", "Ca0001", "Ca0002", "Ca0000"]


def test_a_trunk_is_not_asked_again_before_its_time() -> None:
    book = DetailsBook(HOUR)
    everyone = trunks(2)
    for trunk in everyone:
        book.put(trunk.ref, details(trunk), 0.0, AT)
    assert book.due(everyone, HOUR - 1) == []
    assert book.due(everyone, HOUR) == ["Ca0000", "Ca0001"]


def test_a_start_does_not_ask_for_all_at_once_and_is_done_in_a_quarter_of_the_ttl() -> None:
    book = DetailsBook(HOUR)
    everyone = trunks(1000)
    asked: list[str] = []
    runs = []
    for minute in range(16):
        batch = book.due(everyone, 60.0 * minute)
        runs.append(len(batch))
        for ref in batch:
            book.put(ref, details(everyone[0]), 60.0 * minute, AT)
        asked += batch
    assert runs[0] == MIN_BATCH
    assert max(runs) <= 67  # 1000 trunks in 15 minutes
    assert asked == [trunk.ref for trunk in everyone]


def test_what_is_known_is_added_and_the_lists_own_phone_wins() -> None:
    book = DetailsBook(HOUR)
    shown, silent = trunks(2)
    silent = Trunk(silent.ref, 1, "", "", silent.flags, "1100", known=True)
    book.put(shown.ref, details(shown, enabled=False, phone="79990000000"), 0.0, AT)
    book.put(silent.ref, details(shown, phone="79990000001"), 0.0, AT)
    first, second = book.apply([shown, silent], 0.0, STALE)
    assert (first.phone, first.line, first.sip_device_enabled) == (
        "79160000000",
        "mobsip_9160000000",
        False,
    )
    assert (second.phone, second.sip_device_enabled) == ("79990000001", True)
    assert first.flags == shown.flags


def test_a_trunk_whose_details_fail_keeps_what_it_had_and_waits_its_turn() -> None:
    book = DetailsBook(HOUR)
    (trunk,) = trunks(1)
    book.put(trunk.ref, details(trunk), 0.0, AT)
    book.failed(trunk.ref, HOUR, its_own=True)
    assert book.apply([trunk], 0.0, STALE)[0].line == "mobsip_9160000000"
    assert book.due([trunk], HOUR + QUARTER - 1) == []
    assert book.due([trunk], HOUR + QUARTER) == [trunk.ref]


def test_details_that_are_too_old_are_told_no_more_but_the_phone_stays() -> None:
    book = DetailsBook(HOUR)
    (trunk,) = (trunk._replace(phone="") for trunk in trunks(1))
    book.put(trunk.ref, TrunkDetails("79160000000", "CaD", True, "l"), 0.0, AT)
    book.failed(trunk.ref, HOUR, its_own=True)
    (young,) = book.apply([trunk], HOUR + STALE - 1, STALE)
    (old,) = book.apply([trunk], HOUR + STALE, STALE)
    assert (young.phone, young.line, young.sip_device_enabled) == ("79160000000", "l", True)
    assert young.details_at == AT
    assert old == trunk._replace(phone="79160000000")


def test_a_trunk_that_never_had_details_is_asked_no_more_often_for_failing() -> None:
    book = DetailsBook(HOUR)
    (trunk,) = trunks(1)
    book.failed(trunk.ref, 0.0, its_own=True)
    assert book.due([trunk], HOUR - 1) == []
    assert book.due([trunk], HOUR) == [trunk.ref]


def test_a_trunk_at_which_the_cabinet_broke_comes_sooner_but_after_the_rest() -> None:
    book = DetailsBook(HOUR)
    everyone = trunks(3)
    book.failed("Ca0000", 0.0, its_own=False)
    assert book.due(everyone, QUARTER - 1) == ["Ca0001", "Ca0002"]
    book.failed("Ca0001", 1.0, its_own=False)
    assert book.due(everyone, QUARTER + 1) == ["Ca0002", "Ca0000", "Ca0001"]


def test_a_run_that_was_given_up_makes_the_next_one_wait() -> None:
    book = DetailsBook(HOUR)
    everyone = trunks(3)
    book.put("Ca0000", details(everyone[0]), -HOUR, AT)
    book.give_up(0.0, 0.0)
    assert book.due(everyone, PAUSE - 1) == []
    assert len(book.due(everyone, PAUSE)) == 3


def test_runs_that_read_nothing_are_further_and_further_apart_up_to_a_quarter_of_the_ttl() -> None:
    book = DetailsBook(HOUR)
    everyone = trunks(3)
    pauses = []
    for _ in range(2000):  # 2.0 to the power of that many is no float
        book.give_up(0.0, 0.0)
        pauses.append(next(at for at in range(0, 1000, 30) if book.due(everyone, float(at))))
    assert pauses[:6] == [60, 120, 240, 480, 900, 900]
    assert set(pauses[6:]) == {QUARTER}
    book.put("Ca0000", details(everyone[0]), QUARTER, AT)
    book.give_up(QUARTER, 0.0)
    assert len(book.due(everyone, QUARTER + PAUSE)) == 2


def test_a_trunk_without_a_device_has_no_selector() -> None:
    book = DetailsBook(HOUR)
    (trunk,) = trunks(1)
    book.put(trunk.ref, TrunkDetails(), 0.0, AT)
    assert book.apply([trunk], 0.0, STALE)[0].sip_device_enabled is None


def test_a_trunk_that_is_gone_is_forgotten() -> None:
    book = DetailsBook(HOUR)
    everyone = trunks(2)
    for trunk in everyone:
        book.put(trunk.ref, details(trunk), 0.0, AT)
    book.due(everyone[:1], 1.0)
    assert book.due(everyone, 2.0) == ["Ca0001"]


@given(
    st.lists(st.tuples(st.floats(0, 900), st.booleans()), min_size=1, max_size=40),
    st.integers(0, 60),
)
def test_nobody_is_asked_twice_within_the_ttl(steps: list[tuple[float, bool]], count: int) -> None:
    book = DetailsBook(HOUR)
    everyone = trunks(count)
    asked: dict[str, float] = {}
    failed: set[str] = set()
    now = 0.0
    for wait, works in steps:
        now += wait
        for ref in book.due(everyone, now):
            assert ref not in asked or now - asked[ref] >= (QUARTER if ref in failed else HOUR)
            asked[ref] = now
            (failed.discard if works else failed.add)(ref)
            if works:
                book.put(ref, details(everyone[0]), now, AT)
            else:
                book.failed(ref, now, its_own=True)


class FakeCabinet:
    """A cabinet of three trunks whose details can fail or be held back."""

    def __init__(self) -> None:
        self.trunks = tuple(trunks(3))
        self.failing: dict[str, CabinetError] = {}
        self.asked: list[str] = []
        self.hold = threading.Event()
        self.hold.set()
        self.closed = 0
        self.broken = False

    def read_trunks(self) -> Listing:
        if self.broken:
            raise IncompleteError("list: odd")
        return Listing(self.trunks, ("1 of 3 trunks show no phone",), 1)

    def read_details(self, ref: str, *, renew: bool = True) -> TrunkDetails:
        assert not renew
        self.hold.wait(10)
        self.asked.append(ref)
        if ref in self.failing:
            raise self.failing[ref]
        return details(self.trunks[int(ref[2:])])

    def credentials_changed(self) -> bool:
        return False

    def close(self) -> None:
        self.closed += 1


def test_details_arrive_with_the_next_listing_and_never_delay_one() -> None:
    cabinet = FakeCabinet()
    cabinet.hold.clear()
    source = DetailedSource(cabinet, ttl=HOUR, stale=stale)
    assert [trunk.line for trunk in source.read_trunks().trunks] == ["", "", ""]
    cabinet.hold.set()
    let_details_end(source)
    listing = source.read_trunks()
    assert [trunk.sip_device_enabled for trunk in listing.trunks] == [True, True, True]
    assert listing.warnings == ()


def test_details_that_fail_for_long_are_gone_while_the_flags_are_not() -> None:
    cabinet, clock, limit = FakeCabinet(), SetClock(), [STALE]
    source = DetailedSource(cabinet, ttl=HOUR, stale=lambda: limit[0], clock=clock)
    source.read_trunks()
    let_details_end(source)
    read = clock.now()
    cabinet.failing = dict.fromkeys(("Ca0000", "Ca0001", "Ca0002"), GwtExceptionError("odd"))
    shown = []
    for seconds in (0.0, HOUR, STALE - 1, 1.0):
        clock.advance(seconds)
        shown.append([trunk.details_at for trunk in source.read_trunks().trunks])
        let_details_end(source)
    assert shown == [[read] * 3, [read] * 3, [read] * 3, [None] * 3]
    limit[0] += 1.0  # a reload
    assert source.read_trunks().trunks[0].sip_device_enabled is True
    cabinet.failing = {}
    clock.advance(QUARTER)
    source.read_trunks()
    let_details_end(source)
    assert [one.details_at for one in source.read_trunks().trunks] == [clock.now()] * 3


def test_a_machine_without_threads_costs_details_and_no_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    source = DetailedSource(FakeCabinet(), ttl=HOUR, stale=stale)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert len(source.read_trunks().trunks) == 3
    source.read_trunks()
    let_details_end(source)
    assert source.read_trunks().trunks[0].line


def test_a_failure_is_told_and_costs_no_flags() -> None:
    cabinet = FakeCabinet()
    cabinet.failing = {"Ca0001": GwtExceptionError("details: the server answers an exception")}
    told: list[tuple[str, str]] = []
    source = DetailedSource(
        cabinet, ttl=HOUR, stale=stale, on_details=lambda *how: told.append(how)
    )
    source.read_trunks()
    let_details_end(source)
    assert [trunk.line for trunk in source.read_trunks().trunks][1] == ""
    assert told == [
        ("success", ""),
        ("gwt_exception", "details: the server answers an exception"),
        ("success", ""),
    ]


@pytest.mark.parametrize(
    "error",
    [
        LoginRefusedError("details: odd"),
        UnreachableError("details: odd"),
        CabinetTimeoutError("details: odd"),
        NotGwtError("details: odd"),
        SessionEndedError("details: odd"),
        RedeployedError("details: odd"),
    ],
)
def test_a_failure_that_is_not_about_one_trunk_ends_the_run_and_the_rest_stays_due(
    error: CabinetError,
) -> None:
    cabinet, clock = FakeCabinet(), SetClock()
    cabinet.failing = {"Ca0001": error}
    told: list[tuple[str, str]] = []
    source = DetailedSource(
        cabinet,
        ttl=HOUR,
        stale=stale,
        on_details=lambda *how: told.append(how),
        clock=clock,
    )
    source.read_trunks()
    let_details_end(source)
    assert cabinet.asked == ["Ca0000", "Ca0001"]
    assert told == [("success", ""), (error.result, f"{error}; not asked for then: 1 more")]

    source.read_trunks()
    let_details_end(source)
    assert len(cabinet.asked) == 2  # the next run waits

    clock.advance(PAUSE)
    source.read_trunks()
    let_details_end(source)
    assert cabinet.asked[2:] == ["Ca0002"]


@pytest.mark.parametrize(("wish", "pause"), [(300.0, 300.0), (1.0, PAUSE), (1e6, REFUSED_LAST)])
def test_a_run_begins_no_sooner_than_the_cabinet_wishes_within_an_hour(
    wish: float, pause: float
) -> None:
    cabinet, clock = FakeCabinet(), SetClock()
    busy = NotGwtError("details: HTTP 503")
    busy.retry_after = wish
    cabinet.failing = {"Ca0001": busy}
    source = DetailedSource(cabinet, ttl=HOUR, stale=stale, clock=clock)
    for seconds, asked in ((0.0, 2), (pause - 1.0, 2), (1.0, 3)):
        clock.advance(seconds)
        source.read_trunks()
        let_details_end(source)
        assert len(set(cabinet.asked)) == asked


def test_a_run_ends_when_its_time_is_up_and_the_rest_stays_due() -> None:
    cabinet, clock = FakeCabinet(), SetClock()
    read = cabinet.read_details

    def slow(ref: str, *, renew: bool = True) -> TrunkDetails:
        clock.advance(BUDGET / 2 + 1)
        return read(ref, renew=renew)

    cabinet.read_details = slow  # type: ignore[method-assign]  # of this one
    source = DetailedSource(cabinet, ttl=HOUR, stale=stale, clock=clock)
    source.read_trunks()
    let_details_end(source)
    assert cabinet.asked == ["Ca0000", "Ca0001"]
    source.read_trunks()
    let_details_end(source)
    assert cabinet.asked[2:] == ["Ca0002"]


def test_a_bug_in_one_trunks_details_does_not_end_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cabinet = FakeCabinet()
    read = FakeCabinet.read_details

    def broken(self: FakeCabinet, ref: str, *, renew: bool = True) -> TrunkDetails:
        if ref == "Ca0001":
            raise KeyError("geheim")
        return read(self, ref, renew=renew)

    monkeypatch.setattr(FakeCabinet, "read_details", broken)
    told: list[tuple[str, str]] = []
    source = DetailedSource(
        cabinet, ttl=HOUR, stale=stale, on_details=lambda *how: told.append(how)
    )
    source.read_trunks()
    let_details_end(source)
    assert [result for result, _ in told] == ["success", "undecodable", "success"]
    assert told[1][1].startswith("unexpected KeyError at test_details.py:")
    assert "geheim" not in repr(told)


def test_a_warning_about_phones_stays_until_every_trunk_has_one() -> None:
    cabinet = FakeCabinet()
    cabinet.trunks = tuple(trunk._replace(phone="") for trunk in cabinet.trunks)
    source = DetailedSource(cabinet, ttl=HOUR, stale=stale)
    source.read_trunks()
    let_details_end(source)
    assert source.read_trunks().warnings == ("1 of 3 trunks show no phone",)


def test_a_listing_that_fails_asks_for_no_details() -> None:
    cabinet = FakeCabinet()
    cabinet.broken = True
    source = DetailedSource(cabinet, ttl=HOUR, stale=stale)
    with pytest.raises(IncompleteError):
        source.read_trunks()
    let_details_end(source)
    assert cabinet.asked == []


def test_closing_ends_the_details_under_way() -> None:
    cabinet = FakeCabinet()
    cabinet.hold.clear()
    source = DetailedSource(cabinet, ttl=HOUR, stale=stale)
    source.read_trunks()
    source.close()
    cabinet.hold.set()
    let_details_end(source)
    assert len(cabinet.asked) <= 1
    assert cabinet.closed == 1


@pytest.fixture
def simulated() -> Iterator[SimulatedCabinet]:
    with SimulatedCabinet(make_accounts(trunks=30)) as cabinet:
        yield cabinet


def test_a_real_cabinets_details_equal_its_truth(simulated: SimulatedCabinet) -> None:
    account = simulated.accounts[0]
    settings = CabinetSettings(
        address=simulated.url, login=account.login, password=account.password
    )
    source = DetailedSource(CabinetClient(settings), ttl=0.0, stale=stale)
    for _ in range(4):  # ten trunks a run, and one more listing to see the last of them
        source.read_trunks()
        let_details_end(source)
    shown = {trunk.ref: trunk for trunk in source.read_trunks().trunks}
    for trunk in account.enterprise.trunks():
        device = trunk.device
        assert shown[trunk.ref].sip_device_enabled == (device.enabled if device else None)
        assert shown[trunk.ref].line == (device.line if device else "")
    source.close()
    assert simulated.stats()["sign_ins"] == 1
    assert simulated.stats()["connections"] == 1


def test_a_session_that_ends_among_the_details_is_renewed_by_the_next_listing(
    simulated: SimulatedCabinet,
) -> None:
    account = simulated.accounts[0]
    settings = CabinetSettings(
        address=simulated.url, login=account.login, password=account.password
    )

    def end_sessions(incoming: Incoming) -> Fault | None:
        if incoming.call == "details" and incoming.number == 4:
            simulated.end_sessions()
        return None

    simulated.faults = end_sessions
    source = DetailedSource(CabinetClient(settings), ttl=HOUR, stale=stale)
    source.read_trunks()
    let_details_end(source)
    assert len(source.read_trunks().trunks) == 30
    let_details_end(source)
    source.close()
    assert simulated.stats()["refused_sign_ins"] == 0


def test_a_password_that_changes_among_the_details_costs_no_sign_in_but_the_listings(
    simulated: SimulatedCabinet,
) -> None:
    account = simulated.accounts[0]

    def change_the_password(incoming: Incoming) -> Fault | None:
        if incoming.call == "details" and incoming.number == 3:
            simulated.change_password(account.name, "another")
        return None

    clock, told = SetClock(), list[str]()
    settings = CabinetSettings(
        address=simulated.url, login=account.login, password=account.password
    )
    source = DetailedSource(
        CabinetClient(settings),
        ttl=HOUR,
        stale=stale,
        on_details=lambda _, sentence: told.append(sentence) if sentence else None,
        clock=clock,
    )
    refresher = Refresher("demo", source, ttl=60.0, clock=clock)
    simulated.faults = change_the_password
    assert view(refresher, PATIENCE).result == "success"
    let_details_end(source)
    assert simulated.stats()["refused_sign_ins"] == 0
    assert len(told) == 1
    asked = simulated.stats()["requests"]["details"]
    assert asked < 4
    # An hour of scrapes, each of which may set off a run: the listing alone is refused, and backs
    # off: after 1, 2, 4, 8, 16 and 32 minutes.
    for _ in range(60):
        clock.advance(60.0)
        assert view(refresher, PATIENCE).result == "login_refused"
        let_details_end(source)
    assert simulated.stats()["refused_sign_ins"] == 6
    assert simulated.stats()["requests"]["details"] == asked
    refresher.close()


def test_details_that_are_forbidden_cost_no_sign_in(simulated: SimulatedCabinet) -> None:
    account, clock = simulated.accounts[0], SetClock()
    settings = CabinetSettings(
        address=simulated.url, login=account.login, password=account.password
    )
    source = DetailedSource(CabinetClient(settings), ttl=HOUR, stale=stale, clock=clock)
    simulated.faults = lambda incoming: (
        Fault(instead=Answer(403)) if incoming.call == "details" else None
    )
    for _ in range(16):
        assert len(source.read_trunks().trunks) == 30
        let_details_end(source)
        clock.advance(60.0)
    source.close()
    assert simulated.stats()["sign_ins"] == 1
    assert simulated.stats()["requests"]["details"] == 5  # after 0, 1, 3, 7 and 15 minutes


def test_names_that_are_out_of_date_for_the_details_alone_are_discovered_by_the_next_listing(
    simulated: SimulatedCabinet,
) -> None:
    account, clock = simulated.accounts[0], SetClock()
    settings = CabinetSettings(
        address=simulated.url,
        login=account.login,
        password=account.password,
    )
    source = DetailedSource(CabinetClient(settings), ttl=HOUR, stale=stale, clock=clock)
    before = simulated.deployment
    after = before.redeployed("another")
    policies = {**before.policies, DETAILS_SERVICE: after.policies[DETAILS_SERVICE]}

    def redeploy(incoming: Incoming) -> Fault | None:
        if incoming.call == "list" and incoming.number == 1:
            simulated.deployment = replace(before, policies=policies)
        return None

    simulated.faults = redeploy
    source.read_trunks()
    let_details_end(source)
    assert not any(trunk.line for trunk in source.read_trunks().trunks)
    clock.advance(60.0)
    source.read_trunks()
    let_details_end(source)
    known = source.read_trunks().trunks
    assert any(trunk.line for trunk in known)
    assert simulated.stats()["requests"]["nocache"] == 2
    source.close()


@pytest.mark.parametrize("answer", [None, Answer(200, (), OTHER_FORM)], ids=["", "other form"])
def test_a_listing_waits_for_the_one_trunk_under_way_and_for_no_more(
    simulated: SimulatedCabinet, answer: Answer | None
) -> None:
    account = simulated.accounts[0]
    settings = CabinetSettings(
        address=simulated.url, login=account.login, password=account.password
    )
    asked: list[str] = []
    under_way, go_on, waits = threading.Event(), threading.Event(), threading.Event()

    def hold_the_third(incoming: Incoming) -> Fault | None:
        asked.append(incoming.call)
        if incoming.call == "details" and incoming.number == 3:
            under_way.set()
            return Fault(wait=go_on, instead=answer)
        return None

    class Told(CabinetClient):
        def read_trunks(self) -> Listing:
            waits.set()
            return super().read_trunks()

    source = DetailedSource(Told(settings), ttl=0.0, stale=stale)
    simulated.faults = hold_the_third
    source.read_trunks()
    assert under_way.wait(PATIENCE)
    waits.clear()
    listing = threading.Thread(target=source.read_trunks)
    listing.start()
    assert waits.wait(PATIENCE)  # the listing has come for the connection
    go_on.set()
    listing.join(PATIENCE)
    let_details_end(source)
    source.close()
    after = asked[asked.index("details") + 3 :]
    assert after[1 if answer else 0] == "list"
