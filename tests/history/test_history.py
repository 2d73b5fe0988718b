"""The history goes on after a restart, and forgets what is too old."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.history.making import START, Clock, at, snapshot, trunk
from vats_exporter.history import Change, History, read_events
from vats_exporter.history.history import HOUR, PRUNE_LIMIT

if TYPE_CHECKING:
    from pathlib import Path

    from vats_exporter.trunks import Trunk

DAY = 24 * 60.0
YEAR = 365 * DAY


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_counters_go_on_after_a_restart(path: Path) -> None:
    with History(path) as history:
        history.record("office", snapshot(0, trunk("A", "110")))
        history.record("office", snapshot(1, trunk("A", "010")))

    with History(path) as history:
        before = history.changes("office")
        history.record("office", snapshot(2, trunk("A", "110")))

        assert before == {("A", "active"): Change(1, at(1))}
        assert history.changes("office") == {("A", "active"): Change(2, at(2))}


def test_what_changed_while_the_exporter_was_off_is_seen_by_its_first_snapshot(
    path: Path,
) -> None:
    with History(path) as history:
        history.record("office", snapshot(0, trunk("A", "110", selector=True), trunk("B")))

    with History(path) as history:
        changed = trunk("A", "010", selector=False)
        first = history.record("office", snapshot(1, changed, trunk("C")))
        second = history.record("office", snapshot(2, changed, trunk("C")))

    assert [(event.kind, event.ref, event.flag) for event in first] == [
        ("changed", "A", "active"),
        ("changed", "A", "sip_device_enabled"),
        ("appeared", "C", ""),
    ]
    assert [(event.kind, event.ref) for event in second] == [("gone", "B")]


def test_a_trunk_gone_before_a_restart_comes_back_after_it(path: Path) -> None:
    with History(path) as history:
        history.record("office", snapshot(0, trunk("A", name="Иванов")))
        history.record("office", snapshot(1))
        history.record("office", snapshot(2))

    with History(path) as history:
        told = history.record("office", snapshot(3, trunk("A", name="Петров")))

    assert [event.kind for event in told] == ["back", "renamed"]


def test_a_clock_set_back_leaves_no_change_in_the_future(path: Path) -> None:
    with History(path) as history:
        history.record("office", snapshot(100, trunk("A"), trunk("B", "110")))
        history.record("office", snapshot(101, trunk("A"), trunk("B", "010")))
        history.record("office", snapshot(50, trunk("B", "010")))

    with History(path) as history:
        assert history.changes("office") == {("B", "active"): Change(1, at(50))}


def test_events_are_numbered_in_the_order_they_came_whatever_the_clock_said(path: Path) -> None:
    with History(path) as history:
        for minute, flags in ((9, "110"), (10, "010"), (5, "110"), (7, "010")):
            history.record("office", snapshot(minute, trunk("A", flags)))

    events = read_events(path)
    assert [event.time for event in events] == [at(10), at(5), at(7)]
    assert [event.id for event in events] == [1, 2, 3]


def test_only_the_files_owner_may_read_it_and_what_stands_beside_it(path: Path) -> None:
    with History(path) as history:
        history.record("office", snapshot(0, trunk("A")))

        beside = sorted(path.parent.iterdir())
        assert [one.name for one in beside] == ["history.db", "history.db.lock"]
        assert {one.stat().st_mode & 0o777 for one in beside} == {0o600}


def test_a_name_that_utf8_cannot_write_survives_a_restart(path: Path) -> None:
    name = "Ива\ud800нов\x00"
    with History(path) as history:
        history.record("office", snapshot(0, trunk("A", name=name)))

    with History(path) as history:
        assert history.record("office", snapshot(1, trunk("A", name=name))) == ()
        history.record("office", snapshot(2, trunk("A", "010", name=name)))

    assert [event.name for event in read_events(path)] == [name]


def live(history: History, clock: Clock, minute: float, *trunks: Trunk) -> None:
    """Record a snapshot of that minute, which both clocks show."""
    clock.seconds = 60 * minute
    history.record("office", snapshot(minute, *trunks))


def test_old_events_are_forgotten_and_counters_are_not(path: Path, clock: Clock) -> None:
    with History(path, keep=90 * DAY * 60, clock=clock) as history:
        for day, flags in ((0, "110"), (1, "010"), (50, "110"), (92, "010")):
            live(history, clock, day * DAY, trunk("A", flags))

    assert [event.time for event in read_events(path)] == [at(50 * DAY), at(92 * DAY)]
    with History(path) as history:
        assert history.changes("office") == {("A", "active"): Change(3, at(92 * DAY))}


def test_events_are_forgotten_once_an_hour_at_most(path: Path, clock: Clock) -> None:
    with History(path, keep=60.0, clock=clock) as history:
        kept = []
        for minute, flags in ((0, "110"), (1, "010"), (60, "110"), (61, "010"), (120, "110")):
            live(history, clock, minute, trunk("A", flags))
            kept.append([event.time for event in read_events(path)])

    assert kept == [[], [at(1)], [at(60)], [at(60), at(61)], [at(120)]]


def test_numbers_of_forgotten_events_are_not_used_again(path: Path, clock: Clock) -> None:
    with History(path, keep=60.0, clock=clock) as history:
        live(history, clock, 0, trunk("A", "110"))
        live(history, clock, 1, trunk("A", "010"))
        live(history, clock, 100, trunk("A", "010"))
        assert read_events(path) == []
    with History(path, keep=60.0, clock=clock) as history:
        live(history, clock, 101, trunk("A", "110"))

    assert [event.id for event in read_events(path)] == [2]


def test_very_many_old_events_are_forgotten_a_part_at_a_time(path: Path, clock: Clock) -> None:
    many = [trunk(f"T{number}", "110") for number in range(PRUNE_LIMIT + 5)]
    off = [trunk(one.ref, "010") for one in many]
    with History(path, keep=60.0, clock=clock) as history:
        live(history, clock, 0, *many)
        live(history, clock, 1, *off)
        live(history, clock, 100, *off)
        first = len(read_events(path))
        live(history, clock, 101, *off)

        assert (first, len(read_events(path))) == (5, 0)


def test_a_start_with_a_clock_that_is_a_year_ahead_forgets_nothing(
    path: Path, clock: Clock
) -> None:
    with History(path, clock=clock) as history:
        live(history, clock, 0, trunk("A", "110"))
        live(history, clock, 1, trunk("A", "010"))
    clock.seconds = 0.0
    with History(path, clock=clock) as history:
        history.record("office", snapshot(YEAR, trunk("A", "110")))
        clock.pass_(HOUR - 60)
        history.record("office", snapshot(YEAR + 59, trunk("A", "010")))
        clock.pass_(60)  # the network has told the time
        history.record("office", snapshot(62, trunk("A", "110")))
        clock.pass_(HOUR)
        history.record("office", snapshot(122, trunk("A", "110")))

    assert [event.time for event in read_events(path)] == [
        at(1),
        at(YEAR),
        at(YEAR + 59),
        at(62),
    ]


def test_a_clock_that_is_set_forward_and_back_while_it_runs_forgets_nothing(
    path: Path, clock: Clock
) -> None:
    with History(path, clock=clock) as history:
        live(history, clock, 0, trunk("A", "110"))
        live(history, clock, 200, trunk("A", "010"))
        clock.pass_(HOUR)
        history.record("office", snapshot(YEAR, trunk("A", "110")))
        live(history, clock, 261, trunk("A", "010"))
        live(history, clock, 500, trunk("A", "010"))

    assert len(read_events(path)) == 3


@pytest.mark.parametrize(("jump", "left"), [(60.0, 1), (61.0, 2)])
def test_a_clock_that_is_set_by_a_minute_at_most_is_a_clock_that_goes_right(
    path: Path, clock: Clock, jump: float, left: int
) -> None:
    with History(path, keep=60.0, clock=clock) as history:
        live(history, clock, 0, trunk("A", "110"))
        live(history, clock, 1, trunk("A", "010"))
        clock.seconds = 6000.0
        history.record("office", snapshot(100 + jump / 60, trunk("A", "110")))

    assert len(read_events(path)) == left


def test_after_a_long_time_off_what_is_too_old_stays_for_an_hour_more(
    path: Path, clock: Clock
) -> None:
    with History(path, keep=90 * DAY * 60, clock=clock) as history:
        live(history, clock, 0, trunk("A", "110"))
        live(history, clock, 1, trunk("A", "010"))
    started = 100 * DAY
    with History(path, keep=90 * DAY * 60, clock=clock) as history:
        for minute, left in ((0, 1), (59, 1), (60, 0)):
            live(history, clock, started + minute, trunk("A", "010"))
            assert len(read_events(path)) == left


def test_accounts_that_record_at_once_lose_nothing(path: Path) -> None:
    rounds = 30

    def work(account: str) -> None:
        for number in range(rounds + 1):
            flags = "110" if number % 2 == 0 else "010"
            history.record(account, snapshot(number, trunk("A", flags)))

    accounts = [f"account {number}" for number in range(4)]
    with History(path) as history:
        threads = [threading.Thread(target=work, args=(account,)) for account in accounts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert (history.problem, history.errors_total) == ("", 0)

    for account in accounts:
        times = [event.time for event in read_events(path, accounts=[account])]
        assert times == [START + 60 * number for number in range(1, rounds + 1)]
    with History(path) as history:
        for account in accounts:
            assert history.changes(account) == {("A", "active"): Change(rounds, at(rounds))}
