"""The events are read by other processes while the exporter writes them."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.history.making import at, snapshot, trunk
from vats_exporter.history.history import History
from vats_exporter.history.ledger import Event, HistoryError
from vats_exporter.history.reading import export, is_known_phone, read_events, read_phones

ROOT = Path(__file__).parents[2]


@pytest.fixture
def written(path: Path) -> Path:
    """Two accounts of two trunks: each minute one of them changes."""
    with History(path) as history:
        for account, digit in (("office", "1"), ("shop", "2")):
            a = trunk("A", phone=f"7916000000{digit}")
            history.record(account, snapshot(0, a, trunk("B", phone=f"7916000001{digit}")))
        history.record(
            "office",
            snapshot(1, trunk("A", "010", phone="79160000001"), trunk("B", phone="79160000011")),
        )
        for minute in (1, 2):
            history.record("shop", snapshot(minute, trunk("A", phone="79160000002")))
        history.record(
            "office",
            snapshot(3, trunk("A", "010", phone="79169999999"), trunk("B", phone="79160000011")),
        )
    return path


def numbers(events: list[Event]) -> list[int | None]:
    return [event.id for event in events]


def test_events_are_read_in_the_order_they_came_with_all_that_is_known(written: Path) -> None:
    assert read_events(written) == [
        Event(at(1), "office", "A", "79160000001", "Иванов", "changed", "active", "1", "0", id=1),
        Event(at(2), "shop", "B", "79160000012", "Иванов", "gone", id=2),
        Event(
            at(3),
            "office",
            "A",
            "79169999999",
            "Иванов",
            "renumbered",
            before="79160000001",
            after="79169999999",
            id=3,
        ),
    ]


def test_events_are_chosen_by_account_phone_time_and_number(written: Path) -> None:
    assert numbers(read_events(written, accounts=["shop"])) == [2]
    assert numbers(read_events(written, phones=["79160000012"])) == [2]
    assert numbers(read_events(written, accounts=["shop", "office"])) == [1, 2, 3]
    assert numbers(read_events(written, phones=["79160000012", "79169999999"])) == [2, 3]
    assert numbers(read_events(written, since=at(2))) == [2, 3]
    assert numbers(read_events(written, after_id=2)) == [3]
    assert numbers(read_events(written, accounts=["office"], since=at(2))) == [3]
    assert read_events(written, accounts=["office"], phones=["79160000012"]) == []


def test_the_latest_are_read_if_not_all_are_asked_for(written: Path) -> None:
    assert numbers(read_events(written, limit=2)) == [2, 3]
    assert numbers(read_events(written, limit=9)) == [1, 2, 3]


def test_a_trunk_is_found_by_the_phone_it_had_and_the_one_it_got(written: Path) -> None:
    assert numbers(read_events(written, phones=["79160000001"])) == [1, 3]
    assert numbers(read_events(written, phones=["79169999999"])) == [3]


def test_a_phone_is_known_that_a_trunk_has_or_had(written: Path) -> None:
    known = ["79160000001", "79169999999", "79160000011", "79160000012"]
    assert all(is_known_phone(written, phone) for phone in known)
    assert not is_known_phone(written, "79160000099")


def test_a_file_that_was_begun_anew_is_read_from_its_start(written: Path) -> None:
    assert numbers(read_events(written, after_id=3)) == []
    assert numbers(read_events(written, after_id=4)) == [1, 2, 3]


def test_accounts_are_read_even_if_nothing_happened_in_them(path: Path) -> None:
    with History(path) as history:
        history.record("shop", snapshot(0, trunk("A"), trunk("B", phone="")))
        history.record("office", snapshot(0))

    assert read_phones(path) == {"office": [], "shop": ["79160000001"]}


def test_another_process_reads_each_event_as_soon_as_it_is_recorded(path: Path) -> None:
    script = """
import sys
from pathlib import Path
from vats_exporter.history.reading import read_events
for _ in sys.stdin:
    print(len(read_events(Path(sys.argv[1]))), flush=True)
"""
    with (
        History(path) as history,
        subprocess.Popen(
            [sys.executable, "-c", script, str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as reader,
    ):
        assert reader.stdin is not None
        assert reader.stdout is not None
        for number in range(20):
            history.record("office", snapshot(number, trunk("A", ("110", "010")[number % 2])))
            assert not history.problem
            reader.stdin.write("\n")
            reader.stdin.flush()
            assert reader.stdout.readline() == f"{number}\n"
        reader.stdin.close()


def test_reading_makes_no_file_and_says_that_there_is_none(path: Path) -> None:
    with pytest.raises(HistoryError) as caught:
        read_events(path)

    assert str(caught.value) == f"{path}: cannot read it: No such file or directory"
    assert not path.exists()


def test_what_is_no_history_is_refused(path: Path, tmp_path: Path) -> None:
    path.write_bytes(b"accounts:\n" * 500)
    with pytest.raises(HistoryError, match="cannot read it: file is not a database"):
        read_events(path)

    path.write_bytes(b"")
    with pytest.raises(HistoryError, match="nothing is recorded in it yet"):
        read_events(path)

    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE dashboard (id INTEGER)")
    with pytest.raises(HistoryError, match="a database of another program"):
        read_events(other)


def test_a_name_of_the_file_that_means_something_in_an_address_is_only_a_name(
    tmp_path: Path,
) -> None:
    path = tmp_path / "50% off?mode=memory#1.db"
    with History(path) as history:
        for trunks in ([trunk("A")], [], []):
            history.record("office", snapshot(0, *trunks))

    assert path.exists()
    assert [event.kind for event in read_events(path)] == ["gone"]


def test_an_export_is_a_file_of_its_own_that_is_never_written_over(written: Path) -> None:
    copy = written.with_name("copy.db")
    export(written, copy)

    assert read_events(copy) == read_events(written)
    assert copy.stat().st_mode & 0o777 == 0o600
    with pytest.raises(HistoryError, match=re.escape(f"{copy}: cannot make it: File exists")):
        export(written, copy)


def test_a_pipe_in_place_of_the_file_is_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(HistoryError, match="not a file"):
        read_events(path)
