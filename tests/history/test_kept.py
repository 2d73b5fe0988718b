"""The history goes on after a restart or a kill, stays right, and forgets what is too old."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.history.making import (
    START,
    Clock,
    Compared,
    at,
    lock,
    lock_writes,
    saved,
    snapshot,
    trunk,
)
from vats_exporter.history import file as file_module
from vats_exporter.history.file import read_events
from vats_exporter.history.history import Change, History
from vats_exporter.history.kept import HOUR, KeptHistory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vats_exporter.history.history import Event
    from vats_exporter.trunks import Trunk

DAY = 24 * 60.0
YEAR = 365 * DAY


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_what_is_recorded_after_the_end_is_in_memory_alone(path: Path) -> None:
    with KeptHistory(path) as history:
        history.record("office", snapshot(0, trunk("A", "110")))
    with KeptHistory(path) as after:
        history.record("office", snapshot(1, trunk("A", "010")))
        history.close()
        assert history.changes("office") == {("A", "active"): Change(1, at(1))}
        assert (history.problem, after.problem) == ("", "")
    assert read_events(path) == []


def test_counters_go_on_after_a_restart(path: Path) -> None:
    with KeptHistory(path) as history:
        history.record("office", snapshot(0, trunk("A", "110")))
        history.record("office", snapshot(1, trunk("A", "010")))

    with KeptHistory(path) as history:
        before = history.changes("office")
        history.record("office", snapshot(2, trunk("A", "110")))

        assert before == {("A", "active"): Change(1, at(1))}
        assert history.changes("office") == {("A", "active"): Change(2, at(2))}


def test_what_changed_while_the_exporter_was_off_is_seen_by_its_first_snapshot(
    path: Path,
) -> None:
    with KeptHistory(path) as history:
        history.record("office", snapshot(0, trunk("A", "110", selector=True), trunk("B")))

    with KeptHistory(path) as history:
        changed = trunk("A", "010", selector=False)
        history.record("office", snapshot(1, changed, trunk("C")))
        history.record("office", snapshot(2, changed, trunk("C")))

    assert [(event.time, event.kind, event.ref, event.flag) for event in read_events(path)] == [
        (at(1), "changed", "A", "active"),
        (at(1), "changed", "A", "sip_device_enabled"),
        (at(1), "appeared", "C", ""),
        (at(2), "gone", "B", ""),
    ]


def test_a_trunk_gone_before_a_restart_comes_back_after_it(path: Path) -> None:
    with KeptHistory(path) as history:
        history.record("office", snapshot(0, trunk("A", name="Иванов")))
        history.record("office", snapshot(1))
        history.record("office", snapshot(2))

    with KeptHistory(path) as history:
        history.record("office", snapshot(3, trunk("A", name="Петров")))

    assert [event.kind for event in read_events(path)] == ["gone", "back", "renamed"]


def test_a_clock_set_back_leaves_no_change_in_the_future(path: Path) -> None:
    with KeptHistory(path) as history:
        history.record("office", snapshot(100, trunk("A"), trunk("B", "110")))
        history.record("office", snapshot(101, trunk("A"), trunk("B", "010")))
        history.record("office", snapshot(50, trunk("B", "010")))

    with KeptHistory(path) as history:
        assert history.changes("office") == {("B", "active"): Change(1, at(50))}


def test_events_are_numbered_in_the_order_they_came_whatever_the_clock_said(path: Path) -> None:
    with KeptHistory(path) as history:
        for minute, flags in ((9, "110"), (10, "010"), (5, "110"), (7, "010")):
            history.record("office", snapshot(minute, trunk("A", flags)))

    events = read_events(path)
    assert [event.time for event in events] == [at(10), at(5), at(7)]
    assert [event.id for event in events] == [1, 2, 3]


def test_only_the_files_owner_may_read_it_and_what_stands_beside_it(path: Path) -> None:
    with KeptHistory(path) as history:
        history.record("office", snapshot(0, trunk("A")))

        beside = sorted(path.parent.iterdir())
        assert [one.name for one in beside] == ["history.db", "history.db.lock"]
        assert {one.stat().st_mode & 0o777 for one in beside} == {0o600}


def test_a_name_that_utf8_cannot_write_survives_a_restart(path: Path) -> None:
    name = "Ива\ud800нов\x00"
    with KeptHistory(path) as history:
        history.record("office", snapshot(0, trunk("A", name=name)))

    with KeptHistory(path) as history:
        history.record("office", snapshot(1, trunk("A", name=name)))
        assert read_events(path) == []
        history.record("office", snapshot(2, trunk("A", "010", name=name)))

    assert [event.name for event in read_events(path)] == [name]


def live(history: KeptHistory, clock: Clock, minute: float, *trunks: Trunk) -> None:
    """Record a snapshot of that minute, which both clocks show."""
    clock.seconds = 60 * minute
    history.record("office", snapshot(minute, *trunks))


def test_old_events_are_forgotten_and_counters_are_not(path: Path, clock: Clock) -> None:
    with KeptHistory(path, keep=90 * DAY * 60, clock=clock) as history:
        for day, flags in ((0, "110"), (1, "010"), (50, "110"), (92, "010")):
            live(history, clock, day * DAY, trunk("A", flags))

    assert [event.time for event in read_events(path)] == [at(50 * DAY), at(92 * DAY)]
    with KeptHistory(path) as history:
        assert history.changes("office") == {("A", "active"): Change(3, at(92 * DAY))}


def test_events_are_forgotten_as_soon_as_they_are_too_old(path: Path, clock: Clock) -> None:
    with KeptHistory(path, keep=60.0, clock=clock) as history:
        kept = []
        for minute, flags in ((0, "110"), (1, "010"), (60, "110"), (61, "010"), (120, "110")):
            live(history, clock, minute, trunk("A", flags))
            kept.append([event.time for event in read_events(path)])

    assert kept == [[], [at(1)], [at(60)], [at(60), at(61)], [at(120)]]


def test_numbers_of_forgotten_events_are_not_used_again(path: Path, clock: Clock) -> None:
    with KeptHistory(path, keep=60.0, clock=clock) as history:
        live(history, clock, 0, trunk("A", "110"))
        live(history, clock, 1, trunk("A", "010"))
        live(history, clock, 100, trunk("A", "010"))
        assert read_events(path) == []
    with KeptHistory(path, keep=60.0, clock=clock) as history:
        live(history, clock, 101, trunk("A", "110"))

    assert [event.id for event in read_events(path)] == [2]


def test_a_start_with_a_clock_that_is_a_year_ahead_forgets_nothing(
    path: Path, clock: Clock
) -> None:
    with KeptHistory(path, clock=clock) as history:
        live(history, clock, 0, trunk("A", "110"))
        live(history, clock, 1, trunk("A", "010"))
    clock.seconds = 0.0
    with KeptHistory(path, clock=clock) as history:
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
    with KeptHistory(path, clock=clock) as history:
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
    with KeptHistory(path, keep=60.0, clock=clock) as history:
        live(history, clock, 0, trunk("A", "110"))
        live(history, clock, 1, trunk("A", "010"))
        clock.seconds = 6000.0
        history.record("office", snapshot(100 + jump / 60, trunk("A", "110")))

    assert len(read_events(path)) == left


def test_after_a_long_time_off_what_is_too_old_stays_for_an_hour_more(
    path: Path, clock: Clock
) -> None:
    with KeptHistory(path, keep=90 * DAY * 60, clock=clock) as history:
        live(history, clock, 0, trunk("A", "110"))
        live(history, clock, 1, trunk("A", "010"))
    started = 100 * DAY
    with KeptHistory(path, keep=90 * DAY * 60, clock=clock) as history:
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
    with KeptHistory(path) as history:
        threads = [threading.Thread(target=work, args=(account,)) for account in accounts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert (history.problem, history.errors_total) == ("", 0)

    for account in accounts:
        times = [event.time for event in read_events(path, accounts=[account])]
        assert times == [START + 60 * number for number in range(1, rounds + 1)]
    with KeptHistory(path) as history:
        for account in accounts:
            assert history.changes(account) == {("A", "active"): Change(rounds, at(rounds))}


# -- a process that is killed at any moment

ROOT = Path(__file__).parents[2]
ROUNDS = 12
MOST_LINES = 60

WRITER = """
import sys
from pathlib import Path
from tests.history.making import snapshot, trunk
from vats_exporter.history.kept import KeptHistory
from vats_exporter.history.file import read_events

path, number = Path(sys.argv[1]), 0
with KeptHistory(path) as history:
    # Goes on where the file ends, as the cabinet goes on while the exporter is down.
    renamed = [event for event in read_events(path) if event.kind == "renamed"]
    if renamed:
        number = int(renamed[-1].after)
    while True:
        flags = ("110", "010")[number % 2]
        history.record("office", snapshot(number, trunk("A", flags, name=str(number))))
        if history.problem:
            sys.exit(history.problem)
        print(number, flush=True)
        number += 1
"""


def run_until_killed(path: Path, lines: int) -> int:
    """Let a writer report so many numbers, kill it, and give the last one it reported."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            reported = [process.stdout.readline() for _ in range(lines)]
        finally:
            process.kill()
        # What it reported between the last line that was waited for and the kill counts as well.
        reported += process.stdout.readlines()
        assert process.stderr.read() == ""
    # A report that the kill cut in half is none.
    return int(next(line for line in reversed(reported) if line.endswith("\n")))


def test_kills_at_any_moment_lose_and_double_nothing_that_was_saved(path: Path) -> None:
    moments = random.Random(5)
    for _ in range(ROUNDS):
        last = run_until_killed(path, moments.randint(1, MOST_LINES))

        events = read_events(path)
        numbers = [int(event.after) for event in events if event.kind == "renamed"]
        # The first number of all is the baseline. One more may be there, saved but not reported.
        assert numbers in (list(range(1, last + 1)), list(range(1, last + 2)))
        flips = Counter(event.flag for event in events if event.kind == "changed")
        assert flips == Counter(active=len(numbers))

    with KeptHistory(path) as history:
        assert history.problem == ""
        assert history.changes("office")["A", "active"].total == flips["active"]
        # A journal in which the kill left nothing stays until there is something to write.
        history.record("office", snapshot(last + 2, trunk("A", name="the last")))
    assert {one.name for one in path.parent.iterdir()} == {"history.db", "history.db.lock"}


# -- any snapshots, any restarts, any failures of the file

Rows = dict[str, tuple[str, str, bool | None]]
"""By reference: the flags' digits, the name, the selector as far as it is told."""

FLAGS: Final = ("active", "bound", "marked_for_deletion")
FOUR_REFS: Final = ("A", "B", "C", "D")
PRESENCE: Final = {"appeared", "gone", "back"}

ROWS = st.dictionaries(
    st.sampled_from(FOUR_REFS),
    st.tuples(
        st.sampled_from(["110", "010", "001"]),
        st.sampled_from(["", "Иванов", "Петров"]),
        st.sampled_from([None, True, False]),
    ),
)
SNAPSHOTS = st.lists(ROWS, min_size=1, max_size=8)


@pytest.fixture
def _locks_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module, "BUSY_TIMEOUT", 0.0)


def trunks(rows: Rows) -> Iterator[Trunk]:
    for ref, (flags, name, selector) in rows.items():
        yield trunk(ref, flags, name=name, selector=selector)


def record(history: History, minute: int, rows: Rows) -> bool:
    return saved(history, "office", snapshot(minute, *trunks(rows)))


def naive_counts(sequence: list[Rows]) -> dict[tuple[str, str], int]:
    """How often each flag differs from when its trunk was last seen with it told."""
    counts: dict[tuple[str, str], int] = {}
    for ref in FOUR_REFS:
        told = [rows[ref] for rows in sequence if ref in rows]
        for place, flag in enumerate(FLAGS):
            values = [flags[place] for flags, _, _ in told]
            counts[ref, flag] = sum(a != b for a, b in pairwise(values))
        selector = [on for _, _, on in told if on is not None]
        moves = sum(a != b for a, b in pairwise(selector))
        counts[ref, "sip_device_enabled"] = moves
    return {key: count for key, count in counts.items() if count}


def totals(history: History) -> dict[tuple[str, str], int]:
    return {key: change.total for key, change in history.changes("office").items()}


@settings(max_examples=60, deadline=None)
@given(SNAPSHOTS)
def test_counters_are_the_differences_between_sightings(sequence: list[Rows]) -> None:
    history = History()
    for minute, rows in enumerate(sequence):
        record(history, minute, rows)

    assert totals(history) == naive_counts(sequence)


@settings(max_examples=60, deadline=None)
@given(SNAPSHOTS)
def test_a_trunk_is_gone_after_two_lists_and_back_with_the_next_one(sequence: list[Rows]) -> None:
    account = Compared()
    events: list[Event] = []
    for minute, rows in enumerate(sequence):
        events += account.tell(minute, *trunks(rows))

    for ref in FOUR_REFS:
        there = [ref in rows for rows in sequence]
        first = there.index(True) if True in there else len(there)
        expected = [(first, "appeared")] if 0 < first < len(there) else []
        gone = False
        for minute in range(first + 2, len(there)):
            if not gone and not there[minute] and not there[minute - 1]:
                gone = True
                expected.append((minute, "gone"))
            elif gone and there[minute]:
                gone = False
                expected.append((minute, "back"))
        told = [(one.time, one.kind) for one in events if one.ref == ref and one.kind in PRESENCE]
        assert told == [(at(minute), kind) for minute, kind in expected]


@settings(max_examples=40, deadline=None)
@given(SNAPSHOTS, st.data())
def test_restarts_between_any_two_snapshots_lose_and_double_nothing(
    sequence: list[Rows], data: st.DataObject
) -> None:
    restarts = data.draw(st.sets(st.integers(0, len(sequence) - 1)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.db"
        account, events = Compared(), []
        history = KeptHistory(path)
        for minute, rows in enumerate(sequence):
            if minute in restarts:
                history.close()
                history = KeptHistory(path)
                known = account.history.known
                if "office" in known:  # which trunks the latest list missed is not in the file
                    known["office"] = replace(known["office"], missing=frozenset())
            assert record(history, minute, rows)
            events += account.tell(minute, *trunks(rows))
        history.close()

        assert totals(history) == naive_counts(sequence)
        assert [event._replace(id=None) for event in read_events(path)] == events


@pytest.mark.usefixtures("_locks_are_not_waited_for")
@settings(
    max_examples=60,
    deadline=None,
    # The fixture's change holds for all examples alike.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(SNAPSHOTS, st.data())
def test_locks_at_any_time_lose_only_what_was_undone_meanwhile(
    sequence: list[Rows], data: st.DataObject
) -> None:
    locked = data.draw(st.sets(st.integers(0, len(sequence) - 1)))
    begins_locked = data.draw(st.booleans())
    earlier = data.draw(ROWS)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.db"
        with KeptHistory(path) as before:
            record(before, 0, earlier)
        if begins_locked:
            with closing(lock(path)):
                history = KeptHistory(path, clock=clock)
                assert history.problem
        else:
            history = KeptHistory(path, clock=clock)
        written = [earlier]
        for number, rows in enumerate(sequence):
            clock.pass_()
            if number in locked:
                with closing(lock_writes(path)):
                    record(history, 1 + number, rows)
            else:
                assert record(history, 1 + number, rows)
                written.append(rows)
        history.close()
        if len(sequence) - 1 in locked:
            written.append(sequence[-1])

        assert history.problem == ""
        flips = Counter((one.ref, one.flag) for one in read_events(path) if one.flag)
        every = naive_counts([earlier, *sequence])
        assert flips == {key: count for key, count in flips.items() if count <= every[key]}
        if not begins_locked:
            assert totals(history) == every
        with KeptHistory(path) as again:
            assert totals(again) == totals(history)
            assert record(again, 100, sequence[-1])
        assert flips == Counter((one.ref, one.flag) for one in read_events(path) if one.flag)
