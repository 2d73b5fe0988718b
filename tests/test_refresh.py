"""When the cabinet is asked, and what is served meanwhile. Clocks are set by hand."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.doubles import (
    PATIENCE,
    Block,
    ScriptedCabinet,
    SetClock,
    let_end,
    listing,
    make_due,
    view,
)
from tests.process import capture_logs
from vats_exporter.cabinet.errors import (
    RESULTS,
    CabinetError,
    CabinetTimeoutError,
    GwtExceptionError,
    IncompleteError,
    LoginRefusedError,
    NotGwtError,
    UndecodableError,
    UnreachableError,
)
from vats_exporter.refresh import Clock, Outcome, Refresher

if TYPE_CHECKING:
    from vats_exporter.trunks import AccountState, Snapshot


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


def test_the_first_view_reads_the_cabinet(clock: SetClock) -> None:
    refresher = Refresher("acme", ScriptedCabinet(listing(3)), clock=clock)
    state = view(refresher, PATIENCE)
    assert state.up
    assert state.snapshot is not None
    assert [one.ref for one in state.snapshot.trunks] == ["CaAAAA", "CaAAAB", "CaAAAC"]
    assert state.snapshot.taken_at == 1_750_000_000.0


def test_nothing_is_known_before_the_first_refresh_ends(clock: SetClock) -> None:
    state = Refresher("acme", ScriptedCabinet(listing()), clock=clock).peek()
    assert (state.up, state.result, state.snapshot, state.duration) == (False, None, None, None)


def test_peeking_asks_nobody(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(listing())
    Refresher("acme", cabinet, clock=clock).peek()
    assert cabinet.reads == 0


def test_a_fresh_snapshot_is_served_without_asking(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(listing())
    refresher = Refresher("acme", cabinet, ttl=60, clock=clock)
    first = view(refresher, PATIENCE)
    clock.advance(58.9)
    assert view(refresher, PATIENCE) is first
    assert cabinet.reads == 1


def test_a_snapshot_older_than_the_ttl_is_taken_anew(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(listing(1))
    refresher = Refresher("acme", cabinet, ttl=60, clock=clock)
    view(refresher, PATIENCE)
    cabinet.answer = listing(2)
    clock.advance(60)
    snapshot = view(refresher, PATIENCE).snapshot
    assert snapshot is not None
    assert len(snapshot.trunks) == 2
    assert snapshot.taken_at == 1_750_000_060.0


def test_the_ttl_counts_from_when_the_reading_began(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(listing(), before=lambda: clock.advance(5))
    refresher = Refresher("acme", cabinet, ttl=60, clock=clock)
    view(refresher, PATIENCE)
    clock.advance(55)
    view(refresher, PATIENCE)
    assert cabinet.reads == 2


def test_a_ttl_of_zero_reads_for_every_view(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(listing())
    refresher = Refresher("acme", cabinet, ttl=0, clock=clock)
    for _ in range(3):
        view(refresher, PATIENCE)
    assert cabinet.reads == 3


def test_the_duration_is_how_long_the_reading_took(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(listing(), before=lambda: clock.advance(2.5))
    state = view(Refresher("acme", cabinet, clock=clock), PATIENCE)
    assert state.duration == 2.5
    assert state.snapshot is not None
    assert state.snapshot.taken_at == 1_750_000_002.5


def test_twenty_views_at_once_make_one_refresh(clock: SetClock) -> None:
    block = Block()
    cabinet = ScriptedCabinet(listing(), before=block)
    refresher = Refresher("acme", cabinet, ttl=60, clock=clock)
    everybody = threading.Barrier(21)
    states: list[AccountState] = []

    def scrape() -> None:
        everybody.wait(PATIENCE)
        states.append(view(refresher, PATIENCE))

    scrapes = [threading.Thread(target=scrape) for _ in range(20)]
    for one in scrapes:
        one.start()
    everybody.wait(PATIENCE)
    assert block.begun.wait(PATIENCE)
    block.go_on.set()
    for one in scrapes:
        one.join(PATIENCE)
    assert (cabinet.reads, cabinet.highest) == (1, 1)
    assert len(states) == 20
    assert all(state is states[0] and state.up for state in states)


def test_a_view_waits_no_longer_than_its_timeout_and_the_refresh_goes_on(clock: SetClock) -> None:
    block = Block()
    cabinet = ScriptedCabinet(listing(), before=block)
    refresher = Refresher("acme", cabinet, clock=clock)
    began = time.monotonic()
    state = view(refresher, 0.05)
    assert time.monotonic() - began < PATIENCE / 2
    assert (state.snapshot, refresher._running is None) == (None, False)
    block.go_on.set()
    let_end(refresher)
    assert view(refresher, PATIENCE).snapshot is not None
    assert cabinet.reads == 1


def test_a_view_during_a_slow_refresh_gets_the_snapshot_there_is(clock: SetClock) -> None:
    block = Block()
    cabinet = ScriptedCabinet(listing(1))
    refresher = Refresher("acme", cabinet, ttl=60, clock=clock)
    first = view(refresher, PATIENCE)
    clock.advance(61)
    cabinet.before = block
    assert view(refresher, 0.01) is first
    block.go_on.set()
    let_end(refresher)
    assert view(refresher, PATIENCE) is not first


def test_accounts_are_refreshed_at_the_same_time(clock: SetClock) -> None:
    meeting = threading.Barrier(3)
    cabinets = [ScriptedCabinet(listing(), before=lambda: meeting.wait(PATIENCE)) for _ in range(3)]
    refreshers = [Refresher(str(at), one, clock=clock) for at, one in enumerate(cabinets)]
    refreshes = [refresher.start() for refresher in refreshers]
    # Were they one after the other, the first would wait for the others at the barrier in vain.
    assert all(refresh is not None and refresh.wait(PATIENCE) for refresh in refreshes)
    assert all(refresher.peek().up for refresher in refreshers)


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (LoginRefusedError("no"), "login_refused"),
        (UnreachableError("no"), "unreachable"),
        (CabinetTimeoutError("no"), "timeout"),
        (NotGwtError("no"), "not_gwt"),
        (GwtExceptionError("no"), "gwt_exception"),
        (UndecodableError("no"), "undecodable"),
        (IncompleteError("no"), "incomplete"),
        (RecursionError("deep"), "undecodable"),
    ],
)
def test_a_failure_keeps_the_last_good_snapshot_with_its_time(
    clock: SetClock, error: Exception, result: str
) -> None:
    assert result in RESULTS
    cabinet = ScriptedCabinet(listing())
    refresher = Refresher("acme", cabinet, ttl=60, stale=900, clock=clock)
    good = view(refresher, PATIENCE).snapshot
    cabinet.answer = error
    clock.advance(60)
    state = view(refresher, PATIENCE)
    assert (state.up, state.result) == (False, result)
    assert state.snapshot is good
    assert good is not None
    assert good.taken_at == 1_750_000_000.0


def test_a_snapshot_goes_when_it_is_stale(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(listing())
    refresher = Refresher("acme", cabinet, ttl=60, stale=900, clock=clock)
    view(refresher, PATIENCE)
    cabinet.answer = UnreachableError("no route")
    clock.advance(899.9)
    assert view(refresher, PATIENCE).snapshot is not None
    clock.advance(0.1)
    assert refresher.peek().snapshot is None
    assert refresher.peek().result == "unreachable"


def test_a_wall_clock_set_back_does_not_keep_a_snapshot(clock: SetClock) -> None:
    refresher = Refresher("acme", ScriptedCabinet(listing()), ttl=60, stale=900, clock=clock)
    view(refresher, PATIENCE)
    clock.advance(901)
    clock.wall -= 3600
    assert refresher.peek().snapshot is None


def test_after_a_failure_the_next_success_is_served(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(UnreachableError("no route"))
    refresher = Refresher("acme", cabinet, ttl=60, clock=clock)
    assert view(refresher, PATIENCE).error == "no route"
    cabinet.answer = listing()
    clock.advance(60)
    state = view(refresher, PATIENCE)
    assert (state.up, state.error) == (True, "")


def test_a_failure_holds_for_the_ttl(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(UnreachableError("no route"), before=lambda: clock.advance(10))
    refresher = Refresher("acme", cabinet, ttl=60, clock=clock)
    view(refresher, PATIENCE)
    clock.advance(59.9)
    view(refresher, PATIENCE)
    assert cabinet.reads == 1
    clock.advance(0.1)
    view(refresher, PATIENCE)
    assert cabinet.reads == 2


@pytest.mark.parametrize(
    ("wish", "pause"), [(0.0, 60.0), (30.0, 60.0), (600.0, 600.0), (86_400.0, 3600.0)]
)
def test_a_cabinet_that_says_when_is_asked_no_sooner(
    clock: SetClock, wish: float, pause: float
) -> None:
    error = NotGwtError("list: HTTP 503")
    error.retry_after = wish
    cabinet = ScriptedCabinet(error)
    refresher = Refresher("acme", cabinet, ttl=60, stale=90_000, clock=clock)
    view(refresher, PATIENCE)
    clock.advance(pause - 0.5)
    view(refresher, PATIENCE)
    assert cabinet.reads == 1
    clock.advance(0.5)
    view(refresher, PATIENCE)
    assert cabinet.reads == 2


@pytest.mark.parametrize(
    ("ttl", "delays"),
    [
        (60.0, [60, 120, 240, 480, 960, 1920, 3600, 3600]),
        (0.0, [60, 120, 240, 480, 960, 1920, 3600, 3600]),
        (900.0, [900, 1800, 3600, 3600]),
        (7200.0, [7200, 7200]),
    ],
)
def test_a_refused_login_backs_off_up_to_an_hour(
    clock: SetClock, ttl: float, delays: list[float]
) -> None:
    cabinet = ScriptedCabinet(LoginRefusedError("refused"))
    refresher = Refresher("acme", cabinet, ttl=ttl, stale=90_000, clock=clock)
    for attempts, delay in enumerate(delays, start=1):
        state = view(refresher, PATIENCE)
        assert cabinet.reads == attempts
        assert state.login_retry_at == clock.wall + delay
        clock.advance(delay - 0.5)
        view(refresher, PATIENCE)
        assert cabinet.reads == attempts
        clock.advance(0.5)


def test_a_year_of_refusals_still_waits_an_hour(clock: SetClock) -> None:
    refresher = Refresher("acme", ScriptedCabinet(LoginRefusedError("no")), clock=clock)
    refresher._refusals = 100_000
    assert view(refresher, PATIENCE).login_retry_at == clock.wall + 3600


def test_a_dead_network_between_refusals_does_not_shorten_the_back_off(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(LoginRefusedError("refused"))
    refresher = Refresher("acme", cabinet, ttl=60, clock=clock)
    view(refresher, PATIENCE)
    clock.advance(60)
    cabinet.answer = UnreachableError("no route")
    assert view(refresher, PATIENCE).login_retry_at is None
    clock.advance(60)
    cabinet.answer = LoginRefusedError("refused")
    assert view(refresher, PATIENCE).login_retry_at == clock.wall + 120


def test_a_success_ends_the_back_off(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(LoginRefusedError("refused"))
    refresher = Refresher("acme", cabinet, ttl=60, clock=clock)
    view(refresher, PATIENCE)
    clock.advance(60)
    cabinet.answer = listing()
    assert view(refresher, PATIENCE).login_retry_at is None
    clock.advance(60)
    cabinet.answer = LoginRefusedError("refused")
    assert view(refresher, PATIENCE).login_retry_at == clock.wall + 60


@pytest.mark.parametrize("ttl", [0.0, 1.0, 59.0])
def test_a_refused_login_waits_a_minute_whatever_the_ttl(clock: SetClock, ttl: float) -> None:
    cabinet = ScriptedCabinet(LoginRefusedError("refused"))
    refresher = Refresher("acme", cabinet, ttl=ttl, clock=clock)
    for _ in range(3600):
        view(refresher)
        clock.advance(1)
    # After 60, 120, 240, 480, 960 and 1920 seconds, the last of which ends after the hour.
    assert cabinet.reads == 6


@dataclass
class WatchedPassword(ScriptedCabinet):
    changed: bool = False

    def credentials_changed(self) -> bool:
        return self.changed


def test_a_changed_password_is_tried_at_once(clock: SetClock) -> None:
    cabinet = WatchedPassword(LoginRefusedError("refused"))
    refresher = Refresher("acme", cabinet, clock=clock)
    view(refresher)
    clock.advance(1)
    assert view(refresher).result == "login_refused"
    assert cabinet.reads == 1
    cabinet.changed, cabinet.answer = True, listing()
    assert view(refresher).result == "success"
    clock.advance(1)
    view(refresher)
    assert cabinet.reads == 2


@pytest.mark.parametrize("same_login", [True, False])
def test_only_other_credentials_end_the_back_off_of_the_account_before(
    clock: SetClock, *, same_login: bool
) -> None:
    before = Refresher("acme", ScriptedCabinet(LoginRefusedError("refused")), clock=clock)
    view(before)
    clock.advance(60)
    assert view(before).login_retry_at == clock.wall + 120
    cabinet = ScriptedCabinet(LoginRefusedError("refused"))
    after = Refresher("acme", cabinet, clock=clock)
    after.adopt(before, same_login=same_login)
    assert view(after).login_retry_at == clock.wall + (120 if same_login else 60)
    assert cabinet.reads == (0 if same_login else 1)
    clock.advance(120)
    assert view(after).login_retry_at == clock.wall + (240 if same_login else 120)


def test_an_account_that_hangs_is_waited_for_once(clock: SetClock) -> None:
    block = Block()
    cabinet = ScriptedCabinet(CabinetTimeoutError("list: no answer"), before=block)
    refresher = Refresher("acme", cabinet, clock=clock)
    assert not refresher.wait(refresher.start(), 0.01)
    began = time.monotonic()
    assert not refresher.wait(refresher.start(), PATIENCE)
    block.go_on.set()
    let_end(refresher)
    # It has not answered: neither is its next refresh waited for.
    block.go_on.clear()
    clock.advance(61)
    assert not refresher.wait(refresher.start(), PATIENCE)
    assert time.monotonic() - began < PATIENCE / 2
    block.go_on.set()
    let_end(refresher)
    cabinet.answer, cabinet.before = listing(), lambda: None
    clock.advance(61)
    refresher.start()
    let_end(refresher)
    # Now it has.
    clock.advance(61)
    assert refresher.wait(refresher.start(), PATIENCE)


def test_a_reset_forgets_freshness_and_keeps_the_snapshot(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(listing())
    refresher = Refresher("acme", cabinet, clock=clock)
    first = view(refresher, PATIENCE)
    make_due(refresher)
    assert refresher.peek().snapshot is first.snapshot
    view(refresher, PATIENCE)
    assert cabinet.reads == 2


def test_a_bug_is_told_by_its_class_and_place_and_never_by_its_message(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(ValueError("j_password=hunter2"))
    refresher = Refresher("acme", cabinet, clock=clock)
    with capture_logs() as logs:
        state = view(refresher, PATIENCE)
    assert state.error.startswith("unexpected ValueError at doubles.py:")
    assert "hunter2" not in repr(logs) + repr(state)
    assert logs[0]["log_level"] == "warning"


def fail(_: object) -> None:
    raise KeyError("secret")


def test_a_listener_with_a_bug_does_not_end_the_account(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(listing())
    refresher = Refresher("acme", cabinet, ttl=0, clock=clock, on_result=fail)
    with capture_logs() as logs:
        assert view(refresher, PATIENCE).up
        assert view(refresher, PATIENCE).up
    assert logs[1] == logs[3]
    assert logs[1].pop("error").startswith("unexpected KeyError at test_refresh.py:")
    assert logs[1] == {"event": "refresh was not recorded", "log_level": "error", "account": "acme"}
    assert "secret" not in repr(logs)


def test_a_snapshot_that_could_not_be_recorded_is_served_and_told_of(clock: SetClock) -> None:
    refresher = Refresher("acme", ScriptedCabinet(listing()), clock=clock, on_snapshot=fail)
    with capture_logs() as logs:
        assert view(refresher, PATIENCE).snapshot is not None
    assert logs[0].pop("error").startswith("unexpected KeyError at test_refresh.py:")
    assert logs[0] == {
        "event": "snapshot was not recorded",
        "log_level": "error",
        "account": "acme",
    }
    assert logs[1]["event"] == "refreshed"
    assert "secret" not in repr(logs)


def test_a_snapshot_is_heard_of_before_anyone_sees_it(clock: SetClock) -> None:
    heard: list[tuple[Snapshot, Snapshot | None]] = []
    refresher = Refresher(
        "acme",
        cabinet := ScriptedCabinet(listing()),
        ttl=0,
        clock=clock,
        on_snapshot=lambda snapshot: heard.append((snapshot, refresher.peek().snapshot)),
    )
    first = view(refresher, PATIENCE).snapshot
    assert heard == [(first, None)]
    cabinet.answer = UnreachableError("no route")
    view(refresher, PATIENCE)
    assert heard == [(first, None)]


def test_another_refreshers_snapshot_is_served_until_it_is_stale(clock: SetClock) -> None:
    before = Refresher("acme", ScriptedCabinet(listing(3)), stale=900, clock=clock)
    snapshot = view(before, PATIENCE).snapshot
    clock.advance(100)
    cabinet = ScriptedCabinet(UnreachableError("no route"))
    after = Refresher("acme", cabinet, stale=900, clock=clock)
    after.adopt(before, same_login=True)
    assert (after.peek().account, after.peek().snapshot) == ("acme", snapshot)
    state = view(after, PATIENCE)
    assert (cabinet.reads, state.result, state.snapshot) == (1, "unreachable", snapshot)
    clock.advance(799)
    assert after.peek().snapshot is snapshot
    clock.advance(1)
    assert after.peek().snapshot is None


def test_a_refresher_has_a_name_and_a_clock_and_is_fresh_for_a_minute() -> None:
    refresher = Refresher("acme", ScriptedCabinet(listing()))
    assert (refresher.ttl, refresher.stale) == (60.0, 900.0)
    assert (refresher.peek().account, refresher.peek().snapshot) == ("acme", None)
    before = time.time()
    snapshot = view(refresher, PATIENCE).snapshot
    assert snapshot is not None
    assert before <= snapshot.taken_at <= time.time()


def test_a_refresh_runs_in_a_thread_that_tells_whose_it_is_and_holds_up_no_exit(
    clock: SetClock,
) -> None:
    threads: list[threading.Thread] = []
    cabinet = ScriptedCabinet(listing(), before=lambda: threads.append(threading.current_thread()))
    view(Refresher("acme", cabinet, clock=clock), PATIENCE)
    assert [(thread.name, thread.daemon) for thread in threads] == [("refresh acme", True)]


def test_listeners_hear_of_a_refresh_before_those_who_wait_go_on(clock: SetClock) -> None:
    heard: list[Outcome] = []
    refresher = Refresher("acme", ScriptedCabinet(listing()), clock=clock, on_result=heard.append)
    snapshot = view(refresher, PATIENCE).snapshot
    assert [(one.result, one.snapshot) for one in heard] == [("success", snapshot)]
    assert refresher.peek().account == "acme"


def test_a_refresh_is_one_line_of_the_log(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(listing(2), before=lambda: clock.advance(1.25))
    with capture_logs() as logs:
        view(Refresher("acme", cabinet, clock=clock), PATIENCE)
    assert logs == [
        {
            "event": "refreshed",
            "log_level": "info",
            "account": "acme",
            "result": "success",
            "trunks": 2,
            "pages": 1,
            "duration": 1.25,
        }
    ]


def test_a_failure_is_one_warning_with_its_sentence(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(
        UnreachableError("vpbx.mts.ru:443: connection refused"),
        before=lambda: clock.advance(0.12345),
    )
    with capture_logs() as logs:
        view(Refresher("acme", cabinet, clock=clock), PATIENCE)
    assert logs == [
        {
            "event": "refresh failed",
            "log_level": "warning",
            "account": "acme",
            "result": "unreachable",
            "error": "vpbx.mts.ru:443: connection refused",
            "duration": 0.123,
        }
    ]


def test_a_bug_is_told_with_the_time_it_took(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(KeyError("secret"), before=lambda: clock.advance(2.5))
    state = view(Refresher("acme", cabinet, clock=clock), PATIENCE)
    assert (state.result, state.duration) == ("undecodable", 2.5)


def test_a_flaw_is_told_when_it_appears_and_not_again_until_it_was_gone(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(listing(1, "no phones"))
    refresher = Refresher("acme", cabinet, ttl=0, clock=clock)

    def flaws() -> list[str]:
        with capture_logs() as logs:
            view(refresher, PATIENCE)
        told = [line for line in logs if "warning" in line]
        assert all(line["event"] == "snapshot has a flaw" for line in told)
        assert all((line["log_level"], line["account"]) == ("warning", "acme") for line in told)
        return [line["warning"] for line in told]

    assert flaws() == ["no phones"]
    assert flaws() == []
    cabinet.answer = listing(1, "no phones", "no names")
    assert flaws() == ["no names"]
    cabinet.answer = listing(1)
    assert flaws() == []
    cabinet.answer = listing(1, "no phones")
    assert flaws() == ["no phones"]


def test_a_machine_out_of_threads_is_told_and_tried_again(
    clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    refresher = Refresher("acme", ScriptedCabinet(listing()), clock=clock)
    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(threading.Thread, "start", start)
        assert view(refresher, PATIENCE).result is None
    assert logs == [
        {
            "event": "refresh was not started",
            "log_level": "error",
            "account": "acme",
            "error": "can't start new thread",
        }
    ]
    assert view(refresher, PATIENCE).up


@pytest.mark.parametrize(("before", "after"), [(900.0, 10.0), (10.0, 900.0), (60.0, 0.0)])
def test_another_ttl_holds_for_what_was_read_before_it(
    clock: SetClock, before: float, after: float
) -> None:
    cabinet = ScriptedCabinet(listing())
    refresher = Refresher("acme", cabinet, ttl=before, clock=clock)
    view(refresher, PATIENCE)
    clock.advance(5)
    refresher.retime(after, 900.0)
    due_at = after - min(1.0, after / 20)
    clock.advance(max(0.0, due_at - 5 - 1 / 64))
    if after:
        assert refresher.start() is None
    clock.advance(1 / 64)
    view(refresher, PATIENCE)
    assert cabinet.reads == 2


def test_another_ttl_holds_for_a_failure_too(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(UnreachableError("no route"))
    refresher = Refresher("acme", cabinet, ttl=900.0, clock=clock)
    view(refresher, PATIENCE)
    refresher.retime(10.0, 900.0)
    clock.advance(10 - 1 / 64)
    assert refresher.start() is None
    clock.advance(1 / 64)
    view(refresher, PATIENCE)
    assert cabinet.reads == 2


def test_another_ttl_neither_hurries_nor_delays_a_refused_login(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(LoginRefusedError("refused"))
    refresher = Refresher("acme", cabinet, ttl=60.0, clock=clock)
    view(refresher, PATIENCE)
    refresher.retime(10.0, 900.0)
    clock.advance(59)
    assert refresher.start() is None
    clock.advance(1)
    view(refresher, PATIENCE)
    assert cabinet.reads == 2


def test_another_time_to_go_stale_holds_for_the_snapshot_there_is(clock: SetClock) -> None:
    refresher = Refresher("acme", ScriptedCabinet(listing()), ttl=60, stale=900, clock=clock)
    refresher.retime(60.0, 100.0)  # before anything was read
    view(refresher, PATIENCE)
    refresher.retime(60.0, 30.0)
    clock.advance(29)
    assert refresher.peek().snapshot is not None
    clock.advance(1)
    assert refresher.peek().snapshot is None


def test_closing_closes_the_source_and_asks_it_no_more(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(listing())
    refresher = Refresher("acme", cabinet, ttl=0, clock=clock)
    good = view(refresher, PATIENCE)
    refresher.close()
    assert view(refresher, PATIENCE) is good
    assert (cabinet.reads, cabinet.closed) == (1, 1)


def test_closing_waits_for_the_refresh_but_not_forever(clock: SetClock) -> None:
    block = Block()
    cabinet = ScriptedCabinet(listing(), before=block)
    refresher = Refresher("acme", cabinet, clock=clock)
    refresher.start()
    refresher.close(0.01)
    assert refresher._running
    assert cabinet.closed == 1
    block.go_on.set()
    assert refresher._thread is not None
    refresher._thread.join(PATIENCE)
    assert refresher._running is None


def test_in_a_hurry_who_waits_gets_what_there_is_and_the_refresh_goes_on(clock: SetClock) -> None:
    block = Block()
    cabinet = ScriptedCabinet(listing(1))
    refresher = Refresher("acme", cabinet, ttl=60, clock=clock)
    first = view(refresher, PATIENCE)
    clock.advance(61)
    cabinet.before = block
    seen: list[AccountState] = []
    ended: list[bool] = []
    waiting = [
        threading.Thread(target=lambda: seen.append(view(refresher, 2 * PATIENCE))),
        threading.Thread(
            target=lambda: ended.append(refresher.wait(refresher.start(), 2 * PATIENCE))
        ),
    ]
    for thread in waiting:
        thread.start()
    assert block.begun.wait(PATIENCE)
    refresher.release()
    for thread in waiting:
        thread.join(PATIENCE)
    assert (seen, ended, refresher._running is None) == ([first], [False], False)
    block.go_on.set()
    refresher.close(PATIENCE)
    assert refresher.peek() is not first
    assert refresher.peek().up
    # Nothing is begun any more.
    clock.advance(61)
    assert refresher.wait(refresher.start(), 0)
    assert (cabinet.reads, cabinet.closed) == (2, 1)


def test_a_sign_out_that_fails_is_told_and_goes_no_further(clock: SetClock) -> None:
    class Unwilling(ScriptedCabinet):
        def close(self) -> None:
            raise UnreachableError("no route")

    with capture_logs() as logs:
        Refresher("acme", Unwilling(listing()), clock=clock).close()
    assert logs == [
        {
            "event": "sign-out failed",
            "log_level": "warning",
            "account": "acme",
            "error": "no route",
        }
    ]


def test_closing_lets_a_refresh_end_that_is_about_to(clock: SetClock) -> None:
    class Closed(ScriptedCabinet):
        def close(self) -> None:
            self.closed += 1
            assert self.at_once == 0

    block = Block()
    refresher = Refresher("acme", cabinet := Closed(listing(), before=block), clock=clock)
    refresher.start()
    assert block.begun.wait(PATIENCE)
    closing = threading.Thread(target=refresher.close, args=(PATIENCE,))
    closing.start()
    block.go_on.set()
    closing.join(PATIENCE)
    assert cabinet.closed == 1
    assert refresher.peek().up


@pytest.mark.parametrize(("ttl", "early"), [(10.0, 0.5), (60.0, 1.0), (5.0, 0.25)])
def test_a_refresh_is_due_a_twentieth_of_the_ttl_early_but_no_more_than_a_second(
    clock: SetClock, ttl: float, early: float
) -> None:
    cabinet = ScriptedCabinet(listing())
    refresher = Refresher("acme", cabinet, ttl=ttl, clock=clock)
    view(refresher, PATIENCE)
    clock.advance(ttl - early - 1 / 64)
    assert refresher.start() is None
    clock.advance(1 / 64)
    view(refresher, PATIENCE)
    assert cabinet.reads == 2


def test_every_error_of_the_cabinet_has_a_result_of_the_closed_list() -> None:
    def below(kind: type[CabinetError]) -> set[type[CabinetError]]:
        return {kind}.union(*(below(one) for one in kind.__subclasses__()))

    words = {kind.result for kind in below(CabinetError) - {CabinetError}}
    assert words | {"success"} == set(RESULTS)


def test_a_scrape_that_comes_every_ttl_and_a_little_early_refreshes_each_time(
    clock: SetClock,
) -> None:
    cabinet = ScriptedCabinet(listing())
    refresher = Refresher("acme", cabinet, ttl=60.0, clock=clock)
    for _ in range(3):
        view(refresher, PATIENCE)
        clock.advance(59.98)
    assert cabinet.reads == 3


def test_a_snapshot_of_before_a_nights_sleep_is_not_served_after_it(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(listing())
    refresher = Refresher("acme", cabinet, clock=clock)
    view(refresher, PATIENCE)
    cabinet.answer = UnreachableError("list: no route to host")
    clock.advance(8 * 3600)
    state = view(refresher, PATIENCE)
    assert state.snapshot is None
    assert state.result == "unreachable"


@pytest.mark.parametrize("jump", [-86400.0, 86400.0])
def test_a_corrected_wall_clock_neither_hurries_nor_delays_a_refresh(
    clock: SetClock, jump: float
) -> None:
    cabinet = ScriptedCabinet(listing())
    refresher = Refresher("acme", cabinet, clock=clock)
    view(refresher, PATIENCE)
    clock.wall += jump
    view(refresher, PATIENCE)
    assert cabinet.reads == 1
    clock.advance(60)
    assert view(refresher, PATIENCE).snapshot is not None
    assert cabinet.reads == 2


def test_the_time_is_the_systems() -> None:
    before = time.time()
    shown = Clock().now()
    assert before <= shown <= time.time()


def test_the_machines_clock_goes_on_while_the_machine_is_suspended() -> None:
    uptime = Path("/proc/uptime")
    if not uptime.exists():
        pytest.skip("/proc/uptime, which counts the time of suspension, is Linux's")
    before = float(uptime.read_text().split()[0])
    shown = Clock().monotonic()
    after = float(uptime.read_text().split()[0])
    assert before - 0.02 <= shown <= after + 0.02
