"""Whatever is wrong with the file, recording goes on, and others read it meanwhile."""

from __future__ import annotations

import json
import os
import re
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.history.making import Clock, at, lock, lock_writes, saved, snapshot, trunk
from tests.process import capture_logs
from vats_exporter.history import file as file_module
from vats_exporter.history import kept
from vats_exporter.history.file import export, is_known_phone, read_events, read_phones
from vats_exporter.history.history import Change, Event, HistoryError
from vats_exporter.history.kept import RETRY_PAUSE, KeptHistory

FLIPS = ("110", "010", "110", "010", "110", "010", "110")
ROOT = Path(__file__).parents[2]


def flip(history: KeptHistory, minute: int) -> bool:
    """Record the minute's flags; whether the file has all of it."""
    return saved(history, "office", snapshot(minute, trunk("A", FLIPS[minute])))


def times(path: Path) -> list[float]:
    return [event.time for event in read_events(path)]


def damage_from_outside(path: Path) -> None:
    """Overwrite a file that is in use; closing it in this process would drop SQLite's locks."""
    script = "import sys; f = open(sys.argv[1], 'r+b'); f.write(b'\\xa5' * int(sys.argv[2]))"
    arguments = [sys.executable, "-c", script, str(path), str(path.stat().st_size)]
    subprocess.run(arguments, check=True, timeout=60)


def put_in_place(other: Path, path: Path) -> None:
    """Replace a file that is in use."""
    other.rename(path)


def test_a_file_locked_for_a_while_gets_what_it_missed_once(path: Path, clock: Clock) -> None:
    with KeptHistory(path, clock=clock) as history:
        assert [flip(history, minute) for minute in (0, 1)] == [True, True]
        with closing(lock_writes(path)):
            assert [flip(history, minute) for minute in (2, 3, 4)] == [False, False, False]
            assert history.changes("office") == {("A", "active"): Change(4, at(4))}
            assert history.problem == f"{path}: database is locked"
        clock.pass_()

        assert saved(history, "office", snapshot(5, trunk("A", FLIPS[4])))
        assert history.problem == ""
        assert history.errors_total == 1

    # Of three flips that could not be written, two undid each other.
    assert times(path) == [at(1), at(5)]
    with KeptHistory(path) as history:
        assert history.changes("office") == {("A", "active"): Change(4, at(4))}


def test_a_lock_is_waited_for_briefly_and_then_not_at_all_for_a_while(
    path: Path, clock: Clock
) -> None:
    with KeptHistory(path, clock=clock) as history:
        flip(history, 0)
        with closing(lock_writes(path)):
            begun = time.monotonic()
            flip(history, 1)
            flip(history, 2)
            assert time.monotonic() - begun < 5
            assert history.errors_total == 1
            clock.pass_(RETRY_PAUSE)
            flip(history, 3)
            assert history.errors_total == 2


def test_a_file_locked_at_the_start_is_continued_as_if_it_never_was(
    path: Path, clock: Clock
) -> None:
    with KeptHistory(path) as history:
        flip(history, 0)
        flip(history, 1)
        history.record("shop", snapshot(1, trunk("B", "110")))
    with closing(lock(path)):
        history = KeptHistory(path, clock=clock)
        assert history.problem == f"{path}: database is locked"
        # What is active here was not in the file: that is a change, though this is the first
        # snapshot of this process.
        assert not flip(history, 2)
        assert not saved(history, "office", snapshot(3, trunk("A", "010"), trunk("C", "110")))
        assert not saved(history, "office", snapshot(4, trunk("A", "010")))
    clock.pass_()
    with history:
        assert saved(history, "office", snapshot(5, trunk("A", "010")))
        # The file has 1. A jump up to 3 would count changes of before the start as new ones.
        assert history.changes("office") == {("A", "active"): Change(1, at(3))}
        history.record("shop", snapshot(5, trunk("B", "010")))

    assert [(one.time, one.account, one.kind, one.ref) for one in read_events(path)] == [
        (at(1), "office", "changed", "A"),
        (at(5), "shop", "changed", "B"),
    ]


def test_a_batch_whose_commit_seemed_to_fail_is_not_written_twice(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = file_module.HistoryFile.write

    def write_and_fail(self: file_module.HistoryFile, *arguments: Any) -> None:
        write(self, *arguments)
        raise sqlite3.OperationalError("disk I/O error")

    with KeptHistory(path, clock=clock) as history:
        flip(history, 0)
        with monkeypatch.context() as patch:
            patch.setattr(file_module.HistoryFile, "write", write_and_fail)
            assert not flip(history, 1)
        clock.pass_()
        assert flip(history, 2)

    assert times(path) == [at(1), at(2)]
    with KeptHistory(path) as history:
        assert history.changes("office") == {("A", "active"): Change(2, at(2))}


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: b"accounts:\n  - name: office\n" * 300, id="no database"),
        pytest.param(lambda data: data[: len(data) // 2], id="cut in half"),
        pytest.param(lambda data: data[:4096] + bytes(len(data) - 4096), id="zeros in the pages"),
        pytest.param(lambda data: b"\0" * len(data), id="nothing but zeros"),
    ],
)
def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(path: Path, damage: object) -> None:
    with KeptHistory(path) as history:
        flip(history, 0)
        flip(history, 1)
    assert callable(damage)
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)

    with capture_logs() as logs, KeptHistory(path) as history:
        assert flip(history, 2)
        assert flip(history, 3)
        assert history.problem == ""
        assert history.errors_total == 1

    (aside,) = path.parent.glob("history.db.corrupt-*")
    assert aside.read_bytes() == damaged
    assert times(path) == [at(3)]
    assert [line["moved_to"] for line in logs] == [str(aside)]


def test_a_file_damaged_while_it_is_in_use_is_begun_anew_with_what_is_known(
    path: Path, clock: Clock
) -> None:
    with KeptHistory(path, clock=clock) as history:
        flip(history, 0)
        flip(history, 1)
        damage_from_outside(path)

        for minute in (2, 3):
            clock.pass_()
            flip(history, minute)
        assert history.problem == ""

    assert len(list(path.parent.glob("history.db.corrupt-*Z"))) == 1
    assert times(path)[-1] == at(3)
    with KeptHistory(path) as history:
        assert history.changes("office") == {("A", "active"): Change(3, at(3))}


def test_a_file_that_gets_damaged_over_and_over_is_not_moved_aside_each_time(
    path: Path, clock: Clock
) -> None:
    with KeptHistory(path, clock=clock) as history:
        for minute in (0, 1, 2):
            path.unlink(missing_ok=True)
            path.write_bytes(b"no database" * 1000)
            clock.pass_()
            flip(history, minute)

        assert history.problem == f"{path}: damaged: file is not a database"
    assert len(list(path.parent.glob("history.db.corrupt-*Z"))) == 1


@pytest.mark.parametrize(
    "nonsense",
    [
        "DROP TABLE accounts",
        "ALTER TABLE accounts RENAME COLUMN state TO condition",
        "UPDATE accounts SET state = x'ff'",
        "UPDATE accounts SET state = ''",
        "UPDATE accounts SET state = '[]'",
        "UPDATE accounts SET state = json_set(state, '$.at', 'never')",
        "UPDATE accounts SET state = json_remove(state, '$.gone')",
        "UPDATE accounts SET state = json_set(state, '$.present.A', 5)",
        "UPDATE accounts SET state = json_set(state, '$.present.A[0]', 79160000001)",
        "UPDATE accounts SET state = json_set(state, '$.present.A[2]', 'yes')",
        "UPDATE accounts SET state = json_remove(state, '$.present.A[1]')",
        "UPDATE accounts SET state = json_set(state, '$.changes.A.active[0]', -1)",
        "UPDATE accounts SET state = json_set(state, '$.changes.A.active[0]', 'many')",
        "UPDATE accounts SET state = json_set(state, '$.changes.A.active[0]', 9223372036854775807)",
        "UPDATE accounts SET state = json_set(state, '$.changes.A.active[1]', 'yesterday')",
        "UPDATE accounts SET state = replace(state, ', 1795000060.0]', ', 9e999]')",
        "UPDATE accounts SET state = replace(state, ', 1795000060.0]', ', NaN]')",
    ],
)
def test_nonsense_in_a_column_is_damage_too(path: Path, nonsense: str) -> None:
    with KeptHistory(path) as history:
        flip(history, 0)
        flip(history, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(nonsense)
        connection.commit()

    with KeptHistory(path) as history:
        assert flip(history, 2)
        assert history.errors_total == 1
        assert history.problem == ""
    assert len(list(path.parent.glob("history.db.corrupt-*"))) == 1


def test_a_file_deleted_while_it_is_in_use_is_begun_anew_with_what_is_known(path: Path) -> None:
    with KeptHistory(path) as history:
        flip(history, 0)
        flip(history, 1)
        for one in path.parent.iterdir():
            one.unlink()
        with capture_logs() as logs:
            assert flip(history, 2)
        assert [line["event"] for line in logs] == ["history file was replaced"]
        assert (history.problem, history.errors_total) == ("", 1)

    assert times(path) == [at(2)]
    with KeptHistory(path) as history:
        assert history.changes("office") == {("A", "active"): Change(2, at(2))}


def test_a_file_put_in_the_place_of_another_gets_all_that_is_known(path: Path) -> None:
    other = path.with_name("other.db")
    with KeptHistory(other) as history:
        history.record("shop", snapshot(0, trunk("B")))
    with KeptHistory(path) as history:
        flip(history, 0)
        put_in_place(other, path)
        # Nothing changed since.
        assert flip(history, 2)

    with KeptHistory(path) as history:
        flip(history, 3)
        assert history.changes("office") == {("A", "active"): Change(1, at(3))}


def test_a_file_restored_from_a_copy_gets_all_that_is_known(path: Path) -> None:
    copy = path.with_name("copy.db")
    with KeptHistory(path) as history:
        flip(history, 0)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        flip(history, 1)
        put_in_place(copy, path)
        assert flip(history, 2)

    with KeptHistory(path) as history:
        assert history.changes("office") == {("A", "active"): Change(2, at(2))}


def test_a_damaged_index_is_noticed_at_the_start(path: Path) -> None:
    with KeptHistory(path) as history:
        flip(history, 0)
        flip(history, 1)
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'events_by_time'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as opened:
        opened.seek((page - 1) * size)
        opened.write(bytes(size))

    with KeptHistory(path) as history:
        assert history.errors_total == 1
        assert flip(history, 2)

    assert len(list(path.parent.glob("history.db.corrupt-*Z"))) == 1


def test_a_folder_that_is_made_later_is_used_from_then_on(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "later" / "history.db"
    with KeptHistory(path, clock=clock) as history:
        assert history.problem == f"{path}: No such file or directory"
        assert not flip(history, 0)
        assert not flip(history, 1)
        path.parent.mkdir()
        clock.pass_()
        assert flip(history, 2)
        assert history.changes("office") == {("A", "active"): Change(2, at(2))}

    assert times(path) == [at(2)]


def test_a_folder_in_place_of_the_file_is_a_problem_and_no_more(tmp_path: Path) -> None:
    with KeptHistory(tmp_path) as history:
        flip(history, 0)
        flip(history, 1)

        assert history.changes("office") == {("A", "active"): Change(1, at(1))}
        assert history.problem.startswith(f"{tmp_path}: ")
        assert history.errors_total == 1


def test_what_waits_is_written_when_the_history_is_closed(path: Path, clock: Clock) -> None:
    with KeptHistory(path, clock=clock) as history:
        flip(history, 0)
        with closing(lock_writes(path)):
            flip(history, 1)

    assert times(path) == [at(1)]


def test_a_newer_files_data_is_left_alone(path: Path) -> None:
    with KeptHistory(path) as history:
        flip(history, 0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 3")
    before = path.read_bytes()

    with KeptHistory(path) as history:
        flip(history, 1)

        assert history.problem == (
            f"{path}: written by another version of vats-exporter (format 3, this one has 2); "
            "it is left alone"
        )
    assert path.read_bytes() == before


def test_another_programs_database_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE dashboard (id INTEGER)")
    before = path.read_bytes()

    with KeptHistory(path) as history:
        flip(history, 0)

        assert history.problem == f"{path}: a database of another program; it is left alone"
    assert path.read_bytes() == before
    assert {one.name for one in path.parent.iterdir()} == {"history.db", "history.db.lock"}


def test_a_second_exporter_on_a_file_says_so_and_keeps_its_own_in_memory(
    path: Path, clock: Clock
) -> None:
    with KeptHistory(path, clock=clock) as one:
        flip(one, 0)
        with KeptHistory(path, clock=clock) as other:
            for minute in (1, 2, 3):
                clock.pass_()
                assert flip(one, minute)
                assert not flip(other, minute)
            assert other.problem == (
                f"{path}: another exporter writes to it; give each its own file"
            )
            assert other.changes("office") == {("A", "active"): Change(2, at(3))}
        assert one.problem == ""

    assert times(path) == [at(1), at(2), at(3)]


def test_of_exporters_that_start_together_one_writes(path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from vats_exporter.history.kept import KeptHistory\n"
        "with KeptHistory(Path(sys.argv[1])) as history:\n"
        "    print(history.problem, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with ExitStack() as running:
        exporters = [
            running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", script, str(path)],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(4)
        ]
        problems = [one.stdout.readline().strip() for one in exporters if one.stdout]
        for one in exporters:
            assert one.stdin is not None
            one.stdin.close()

    told = f"{path}: another exporter writes to it; give each its own file"
    assert sorted(problems) == ["", told, told, told]


def test_a_file_cut_short_while_it_is_in_use_is_noticed(path: Path, clock: Clock) -> None:
    with KeptHistory(path, clock=clock) as history:
        flip(history, 0)
        os.truncate(path, 0)
        with capture_logs() as logs:
            assert flip(history, 1)
        assert [line["event"] for line in logs] == ["history file was damaged"]
        assert history.errors_total == 1

    assert times(path) == [at(1)]


def test_a_copy_made_while_it_is_in_use_is_whole(path: Path) -> None:
    copy = path.with_name("copy.db")
    with KeptHistory(path) as history:
        flip(history, 0)
        flip(history, 1)
        copy.write_bytes(path.read_bytes())

    assert times(copy) == [at(1)]


def test_a_disk_that_hangs_stops_no_refresh(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "PATIENCE", 0.05)
    answers = threading.Event()
    write = file_module.HistoryFile.write

    def wait_and_write(self: file_module.HistoryFile, *arguments: Any) -> None:
        answers.wait(30)
        write(self, *arguments)

    monkeypatch.setattr(file_module.HistoryFile, "write", wait_and_write)
    history = KeptHistory(path)
    assert [flip(history, minute) for minute in (0, 1)] == [False, False]
    assert history.changes("office") == {("A", "active"): Change(1, at(1))}
    assert history.problem == f"{path}: the disk does not answer"
    answers.set()
    history.close(timeout=30)

    assert history.problem == ""
    with KeptHistory(path) as history:
        assert history.changes("office") == {("A", "active"): Change(1, at(1))}


FULL_DISK = """
import json, resource, sys
from pathlib import Path
from tests.history.making import Clock, saved as record, snapshot, trunk
from vats_exporter.history.kept import KeptHistory

path, clock = Path(sys.argv[1]), Clock()
name = "Очень длинное название " * 40
with KeptHistory(path, clock=clock) as history:
    def flip(number):
        clock.pass_()
        flags = ("110", "010")[number % 2]
        return record(history, "office", snapshot(number, trunk("A", flags, name=name)))

    saved = [flip(number) for number in range(20)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
    full, problem = [], ""
    for number in range(20, 200):
        full.append(flip(number))
        problem = history.problem or problem
    errors = history.errors_total
    counted = history.changes("office")["A", "active"].total
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    again = flip(200) and flip(201)
    after = history.problem
print(json.dumps([all(saved), full, problem, errors, counted, again, after]))
"""


def test_a_full_disk_stops_nothing_and_gets_the_rest_when_there_is_room(path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=True,
    )
    saved, full, problem, errors, counted, again, after = json.loads(ended.stdout)

    assert saved
    assert not all(full[-2:])
    assert errors > 0
    assert problem.startswith(f"{path}: ")
    assert counted == 199
    assert again
    assert after == ""
    assert times(path)[-1] == at(201)
    assert len(times(path)) < 200
    with KeptHistory(path) as history:
        assert history.changes("office")["A", "active"].total == 201


READ_ONLY = """
import json, os, sys
from pathlib import Path
from tests.history.making import saved, snapshot, trunk
from vats_exporter.history.kept import KeptHistory

if os.geteuid() == 0:
    os.seteuid(65534)
with KeptHistory(Path(sys.argv[1])) as history:
    for number in range(3):
        flags = ("110", "010")[number % 2]
        history.record("office", snapshot(number, trunk("A", flags)))
    print(json.dumps([history.problem, history.changes("office")["A", "active"].total]))
"""


@pytest.mark.parametrize("existing", [False, True])
def test_a_folder_that_cannot_be_written_is_a_problem_and_no_more(
    tmp_path: Path, *, existing: bool
) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir()
    path = folder / "history.db"
    if existing:
        with KeptHistory(path) as history:
            flip(history, 0)
        path.chmod(0o444)
    folder.chmod(0o555)
    # The folders that pytest makes are closed to the other user that root becomes.
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        os.chmod(parent, parent.stat().st_mode | 0o111)  # noqa: PTH101  # as it stands

    ended = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(path)],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=True,
    )
    problem, counted = json.loads(ended.stdout.splitlines()[-1])

    assert problem.startswith(f"{path}: ")
    assert "denied" in problem or "readonly" in problem
    assert counted == 2


# -- read by other processes


@pytest.fixture
def written(path: Path) -> Path:
    """Two accounts of two trunks: each minute one of them changes."""
    with KeptHistory(path) as history:
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
    with KeptHistory(path) as history:
        history.record("shop", snapshot(0, trunk("A"), trunk("B", phone="")))
        history.record("office", snapshot(0))

    assert read_phones(path) == {"office": [], "shop": ["79160000001"]}


def test_another_process_reads_each_event_as_soon_as_it_is_recorded(path: Path) -> None:
    script = """
import sys
from pathlib import Path
from vats_exporter.history.file import read_events
for _ in sys.stdin:
    print(len(read_events(Path(sys.argv[1]))), flush=True)
"""
    with (
        KeptHistory(path) as history,
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
    with KeptHistory(path) as history:
        for trunks in ([trunk("A")], [], []):
            history.record("office", snapshot(0, *trunks))

    assert path.exists()
    assert [event.kind for event in read_events(path)] == ["gone"]


def test_no_copy_is_left_of_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with pytest.raises(HistoryError, match="cannot read it: No such file"):
        export(tmp_path / "missing.db", copy)
    assert not copy.exists()


def test_an_export_is_a_file_of_its_own_that_is_never_written_over(written: Path) -> None:
    copy = written.with_name("copy.db")
    export(written, copy)

    assert read_events(copy) == read_events(written)
    assert copy.stat().st_mode & 0o777 == 0o600
    with pytest.raises(HistoryError, match=re.escape(f"{copy}: cannot make it: File exists")):
        export(written, copy)


def test_an_export_that_a_full_disk_breaks_off_names_the_copy_and_leaves_none(
    written: Path,
) -> None:
    copy = written.with_name("copy.db")
    usual, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, most))
    try:
        with pytest.raises(HistoryError, match=f"^{re.escape(str(copy))}: cannot make it: "):
            export(written, copy)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (usual, most))
    assert not copy.exists()


def test_a_file_of_another_user_is_told_as_such(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (written, os.R_OK))
    with pytest.raises(HistoryError, match="cannot read it: Permission denied"):
        read_events(written)


def test_a_pipe_in_place_of_the_file_is_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(HistoryError, match="not a file"):
        read_events(path)
