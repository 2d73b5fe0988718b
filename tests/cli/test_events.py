"""`events` shows what a history file holds, and goes on showing it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.history.making import START, snapshot, trunk
from vats_exporter.cli.events import follow_events
from vats_exporter.history.file import read_events
from vats_exporter.history.history import HistoryError
from vats_exporter.history.kept import KeptHistory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Ended
    from vats_exporter.history.history import Event

    Run = Callable[..., Ended]

ROOT = Path(__file__).parents[2]

# The snapshots begin at 2026-11-18 11:06:40 UTC (`date -u -d @1795000000`); Moscow is at +3.
TABLE = """\
Time                 Account  Phone        Name    Event
2026-11-18 14:07:40  office   79160000001  Иванов  active: on → off
2026-11-18 14:08:40  office   79160000001  Петров  renamed: Иванов → Петров
2026-11-18 14:09:40  shop     79160000003          gone
"""


@pytest.fixture(autouse=True)
def _in_moscow() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Europe/Moscow")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "history.db"
    with KeptHistory(path) as history:
        history.record("office", snapshot(0, trunk("A", "110"), trunk("B", phone="79160000002")))
        history.record("shop", snapshot(0, trunk("C", phone="79160000003", name="")))
        b = trunk("B", phone="79160000002")
        history.record("office", snapshot(1, trunk("A", "010"), b))
        history.record("office", snapshot(2, trunk("A", "010", name="Петров"), b))
        for minute in (2, 3):
            history.record("shop", snapshot(minute))
    return path


def test_events_are_a_table_in_local_time(run: Run, file: Path) -> None:
    ended = run("events", "--history.file", str(file))

    assert (ended.status, ended.stdout, ended.stderr) == (0, TABLE, "3 events\n")


def test_events_are_told_in_russian(run: Run, file: Path) -> None:
    ended = run("--lang", "ru", "events", "--history.file", str(file))

    assert ended.stdout.splitlines() == [
        "Время                Договор  Телефон      Имя     Событие",
        "2026-11-18 14:07:40  office   79160000001  Иванов  включён: да → нет",
        "2026-11-18 14:08:40  office   79160000001  Петров  переименован: Иванов → Петров",
        "2026-11-18 14:09:40  shop     79160000003          пропал",
    ]
    assert ended.stderr == "3 события\n"


def test_json_is_an_object_a_line_in_utc(run: Run, file: Path) -> None:
    ended = run("events", "--history.file", str(file), "--format", "json")

    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert lines[0] == {
        "id": 1,
        "time": "2026-11-18T11:07:40.000Z",
        "account": "office",
        "trunk": "A",
        "phone": "79160000001",
        "name": "Иванов",
        "event": "changed",
        "flag": "active",
        "before": True,
        "after": False,
    }
    assert [(one["event"], one["flag"], one["before"], one["after"]) for one in lines[1:]] == [
        ("renamed", None, "Иванов", "Петров"),
        ("gone", None, None, None),
    ]
    assert (ended.status, ended.stderr) == (0, "")


def shown(ended: Ended) -> list[int]:
    assert ended.status == 0, ended.stderr
    return [json.loads(line)["id"] for line in ended.stdout.splitlines()]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (["--account", "shop"], [3]),
        (["--account", "shop", "--account", "office"], [1, 2, 3]),
        (["--phone", "79160000003"], [3]),
        (["--phone", "+7 (916) 000-00-01"], [1, 2]),
        (["--phone", "79160000002"], []),
        (["--account", "shop", "--phone", "79160000001"], []),
        (["--since", "2026-11-18T14:08:40"], [2, 3]),
        (["--since", "2026-11-18T11:08:40+00:00"], [2, 3]),
        (["--since", "2026-11-18T11:08:40.000Z"], [2, 3]),
        (["--since", "2026-11-19"], []),
        (["--since", "2026-11-18"], [1, 2, 3]),
    ],
)
def test_events_are_chosen(run: Run, file: Path, chosen: list[str], expected: list[int]) -> None:
    ended = run("events", "--history.file", str(file), "--format", "json", *chosen)

    assert shown(ended) == expected


def test_a_duration_counts_back_from_now(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: START + 180 + 3600)

    ended = run("events", "--history.file", str(file), "--since", "1h", "--format", "json")

    assert shown(ended) == [3]


def test_the_file_is_the_one_that_the_configuration_names(run: Run, file: Path) -> None:
    configuration = file.with_name("vats-exporter.yml")
    text = "accounts:\n  - {name: office, login: +7-9161234567, password: hunter2}\n"
    configuration.write_text(text)
    without = run("events", "--config.file", str(configuration))
    configuration.write_text(text + "history: {file: history.db}\n")

    ended = run("events", "--config.file", str(configuration), "--account", "shop")

    assert (without.status, without.stdout) == (1, "")
    assert without.stderr == (
        f"{configuration}: history.file is not set: history is in memory alone\n"
    )
    assert ended.stdout.splitlines()[1:] == [
        "2026-11-18 14:09:40  shop     79160000003        gone"
    ]


@pytest.mark.parametrize(
    ("chosen", "status", "message"),
    [
        (["--account", "ofice"], 1, "no account 'ofice' in {file}; did you mean office?\n"),
        (["--account", "x"], 1, "no account 'x' in {file}; there are office, shop\n"),
        (["--phone", "79160000009"], 1, "79160000009: no trunk in {file} has or had this phone\n"),
        (["--phone", "12"], 2, "Invalid value for '--phone': '12'; write 79161234567"),
        (["--since", "yesterday"], 2, "Invalid value for '--since': 'yesterday'; write 2h, 7d,"),
    ],
)
def test_what_is_not_there_is_told(
    run: Run, file: Path, chosen: list[str], status: int, message: str
) -> None:
    ended = run("events", "--history.file", str(file), *chosen)

    assert (ended.status, ended.stdout) == (status, "")
    assert message.format(file=file) in " ".join(ended.stderr.split(" "))


def test_a_file_that_is_not_there_is_told_and_not_made(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "history.db"

    ended = run("events", "--history.file", str(path))

    assert (ended.status, ended.stdout) == (1, "")
    assert ended.stderr == f"{path}: cannot read it: No such file or directory\n"
    assert not path.exists()


def test_a_name_cannot_act_upon_the_terminal_nor_break_the_json(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    name = "\x1b]0;owned\x07\ud800\n"
    with KeptHistory(path) as history:
        history.record("office", snapshot(0, trunk("A", name=name)))
        for minute in (0, 1):
            history.record("office", snapshot(minute))

    table = run("events", "--history.file", str(path))
    lines = run("events", "--history.file", str(path), "--format", "json")

    assert r"\x1b]0;owned\x07\ud800\n" in table.stdout
    assert json.loads(lines.stdout)["name"] == name


def test_following_shows_each_event_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.db"
    batches: list[list[int | None]] = []
    waits = 0
    with KeptHistory(path) as history:
        history.record("office", snapshot(0, trunk("A", "110")))

        def wait(_seconds: float) -> None:
            nonlocal waits
            waits += 1
            if waits == 6:
                raise KeyboardInterrupt
            if waits % 2 == 0:
                flags = ("110", "010")[waits // 2 % 2]
                history.record("office", snapshot(waits, trunk("A", flags)))

        def as_text(events: list[Event]) -> str:
            batches.append([event.id for event in events])
            return ""

        monkeypatch.setattr(time, "sleep", wait)
        with pytest.raises(KeyboardInterrupt):
            follow_events(partial(read_events, path), as_text, last=0)

    assert batches == [[1], [2]]


def test_a_file_that_cannot_be_read_for_a_while_is_told_once_and_read_again(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([HistoryError("gone"), HistoryError("gone"), [], HistoryError("gone")])

    def read(*, after_id: int) -> list[Event]:
        assert after_id == 0
        answer = next(answers, None)
        if answer is None:
            raise KeyboardInterrupt
        if isinstance(answer, HistoryError):
            raise answer
        return []

    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    with pytest.raises(KeyboardInterrupt):
        follow_events(read, str, last=0)

    assert capfd.readouterr().err == "gone\ngone\n"


@pytest.fixture
def _as_in_a_terminal() -> Iterator[None]:
    """Undo what a shell does for its background, which is to ignore SIGINT in all of it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_as_in_a_terminal")
def test_following_in_a_terminal_shows_what_comes_until_ctrl_c(file: Path) -> None:
    command = [sys.executable, "-m", "vats_exporter", "events", "--follow", "--format", "json"]
    with subprocess.Popen(
        [*command, "--history.file", str(file)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            ids = [json.loads(process.stdout.readline())["id"] for _ in range(3)]
            with KeptHistory(file) as history:
                history.record("shop", snapshot(4, trunk("D")))
            event = json.loads(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read(), process.stderr.read()
        finally:
            process.kill()

    assert ids == [1, 2, 3]
    assert (event["id"], event["event"], event["trunk"]) == (4, "appeared", "D")
    assert rest == ("", "")
    assert process.returncode == 130


def test_an_export_is_a_copy_that_can_be_read(run: Run, file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    ended = run("events", "--history.file", str(file), "--export", str(copy))

    assert (ended.status, ended.stdout, ended.stderr) == (0, "", f"copied to {copy}\n")
    assert read_events(copy) == read_events(file)
    again = run("events", "--history.file", str(file), "--export", str(copy))
    assert (again.status, again.stderr) == (1, f"{copy}: cannot make it: File exists\n")
