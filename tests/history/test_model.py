"""Any snapshots, any restarts, any failures of the file: counters and events stay right."""

from __future__ import annotations

import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.history.making import Clock, at, lock, lock_writes, saved, snapshot, trunk
from vats_exporter.history import History, read_events
from vats_exporter.history import file as file_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vats_exporter.history import Event
    from vats_exporter.trunks import Trunk

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


@pytest.fixture(autouse=True)
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
    history = History()
    events: list[Event] = []
    for minute, rows in enumerate(sequence):
        events += history.record("office", snapshot(minute, *trunks(rows)))

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
        events: list[Event] = []
        history = History(path)
        for minute, rows in enumerate(sequence):
            if minute in restarts:
                history.close()
                history = History(path)
            recorded = history.record("office", snapshot(minute, *trunks(rows)))
            assert not history.problem
            events += recorded
        history.close()

        assert totals(history) == naive_counts(sequence)
        assert [replace(event, id=None) for event in read_events(path)] == events


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
        with History(path) as before:
            record(before, 0, earlier)
        if begins_locked:
            with closing(lock(path)):
                history = History(path, clock=clock)
                assert history.problem
        else:
            history = History(path, clock=clock)
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
        with History(path) as again:
            assert totals(again) == totals(history)
            assert record(again, 100, sequence[-1])
        assert flips == Counter((one.ref, one.flag) for one in read_events(path) if one.flag)
