"""Any snapshots, any restarts, any failures of the file: counters and events stay right."""

from __future__ import annotations

import tempfile
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.history.making import Clock, lock, lock_writes, snapshot, trunk
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
    for ref, (flags, name, _) in rows.items():
        yield trunk(ref, flags, name=name)


def record(history: History, minute: int, rows: Rows) -> bool:
    devices = {ref: on for ref, (_, _, on) in rows.items() if on is not None}
    return history.record("office", snapshot(minute, *trunks(rows)), devices).saved


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


def told(path: Path) -> list[tuple[float, str, str, str, str, str, str]]:
    return [_told(event) for event in read_events(path)]


def _told(one: Event) -> tuple[float, str, str, str, str, str, str]:
    return (one.time, one.ref, one.kind, one.flag, one.before, one.after, one.name)


@settings(max_examples=60, deadline=None)
@given(SNAPSHOTS)
def test_counters_are_the_differences_between_sightings(sequence: list[Rows]) -> None:
    history = History()
    for minute, rows in enumerate(sequence):
        record(history, minute, rows)

    assert totals(history) == naive_counts(sequence)


@settings(max_examples=40, deadline=None)
@given(SNAPSHOTS, st.data())
def test_restarts_between_any_two_snapshots_change_nothing(
    sequence: list[Rows], data: st.DataObject
) -> None:
    restarts = data.draw(st.sets(st.integers(0, len(sequence) - 1)))
    with tempfile.TemporaryDirectory() as folder:
        path, other = Path(folder) / "history.db", Path(folder) / "other.db"
        history = History(path)
        for minute, rows in enumerate(sequence):
            if minute in restarts:
                history.close()
                history = History(path)
            assert record(history, minute, rows)
        history.close()
        with History(other) as undisturbed:
            for minute, rows in enumerate(sequence):
                record(undisturbed, minute, rows)

        assert totals(history) == naive_counts(sequence)
        assert told(path) == told(other)


@settings(
    max_examples=60,
    deadline=None,
    # The fixture's change holds for all examples alike.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(SNAPSHOTS, st.data())
def test_locks_at_any_time_lose_and_double_no_event(
    sequence: list[Rows], data: st.DataObject
) -> None:
    locked = data.draw(st.sets(st.integers(0, len(sequence) - 1)))
    begins_locked = data.draw(st.booleans())
    earlier = data.draw(SNAPSHOTS)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        path, other = Path(folder) / "history.db", Path(folder) / "other.db"
        for file in (path, other):
            with History(file) as before:
                for minute, rows in enumerate(earlier):
                    record(before, minute, rows)
        if begins_locked:
            with closing(lock(path)):
                history = History(path, clock=clock)
                assert history.problem
        else:
            history = History(path, clock=clock)
        undisturbed = History(other)
        for number, rows in enumerate(sequence):
            clock.pass_()
            if number in locked:
                with closing(lock_writes(path)):
                    assert not record(history, 100 + number, rows)
            else:
                assert record(history, 100 + number, rows)
            record(undisturbed, 100 + number, rows)
        history.close()
        undisturbed.close()

        assert history.problem == ""
        assert told(path) == told(other)
