"""``inspect``: what is found and how it is read; and what is saved tells nothing of anybody."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from vats_exporter.cabinet.discovery import Discovery
from vats_exporter.cabinet.errors import DifferError, UndecodableError
from vats_exporter.cabinet.listing import make_trunks
from vats_exporter.cabinet.reading import read_page
from vats_exporter.cabinet.settings import CabinetSettings, FlagPositions
from vats_exporter.demo import Answer, Fault, Incoming, SimulatedCabinet, make_accounts
from vats_exporter.gwt import GwtError, decode, encode_long
from vats_exporter.tools.inspection import Inspection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    Run = Callable[..., Any]


@pytest.fixture
def cabinet() -> Iterator[SimulatedCabinet]:
    with SimulatedCabinet(make_accounts(2, trunks=120)) as cabinet:
        yield cabinet


@pytest.fixture
def config(cabinet: SimulatedCabinet, tmp_path: Path) -> tuple[str, str]:
    lines = ["accounts:"]
    for account in cabinet.accounts:
        lines += [
            f"  - name: {account.name}",
            f"    login: {json.dumps(account.login)}",
            f"    password: {json.dumps(account.password)}",
            f"    address: {cabinet.url}",
        ]
    file = tmp_path / "vats-exporter.yml"
    file.write_text("\n".join(lines), encoding="utf-8")
    return ("--config.file", str(file))


def test_what_was_found_and_every_pattern_with_an_example_are_shown(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    ended = run("inspect", *config, "--account", "demo-1")
    assert ended.status == 0
    number = cabinet.account("demo-1").enterprise.number
    assert f"{number} ({encode_long(number)})" in ended.stdout
    assert cabinet.deployment.policies["AbonentBrowserGwtService"] in ended.stdout
    assert "3 (100, 20, 0 rows)" in ended.stdout
    assert "120; the cabinet's total: 120" in ended.stdout
    truth: dict[str, set[str]] = {}
    for trunk in cabinet.trunks("demo-1"):
        truth.setdefault(trunk["pattern"], set()).add(trunk["phone"])
    shown = {
        line.split()[0]: line.split()[1:3]
        for line in ended.stdout.splitlines()
        if re.match(r"[01]{4} ", line)
    }
    assert set(shown) == set(truth)
    for pattern, (count, example) in shown.items():
        assert int(count) == len(truth[pattern])
        assert example in truth[pattern]
    known = [line for line in ended.stdout.splitlines() if line.startswith("1100")]
    assert "yes         yes        no          activated, not marked for deletion" in known[0]
    unknown = [line for line in ended.stdout.splitlines() if line.startswith("1000")]
    assert unknown[0].endswith("unknown")


def test_both_readings_of_rows_are_shown_where_they_differ(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_script, by_block = [f"Ca{n:03} 1100" for n in range(30)], ["Ca000 1100", "CaX 0011"]
    settings = CabinetSettings(login="+7", password="-")
    found = Inspection(settings)
    found.discovery = Discovery(found._transport, settings, "B" * 32, "", "")
    found.error = DifferError(by_script, by_block)
    monkeypatch.setattr("vats_exporter.cli.inspect.inspect", lambda *_, **__: found)
    ended = run("inspect", *config, "--account", "demo-1")
    assert ended.status == 1
    assert ended.stderr == "demo-1: " + str(found.error) + "\n"
    lines = [line.split() for line in ended.stdout.splitlines()]
    start = lines.index(["Page", "Row", "By", "the", "script", "By", "its", "block"])
    assert lines[start + 1 : start + 3] == [
        ["1", "2", "Ca001", "1100", "CaX", "0011"],
        ["1", "3", "Ca002", "1100", "-"],
    ]
    assert lines[start + 29] == ["1", "30", "Ca029", "1100", "-"]


def test_with_several_accounts_one_must_be_named(run: Run, config: tuple[str, str]) -> None:
    ended = run("inspect", *config)
    assert (ended.status, ended.stdout) == (1, "")
    assert ended.stderr == "which account? there are demo-1, demo-2; say --account NAME\n"


def test_a_cabinet_that_cannot_be_read_gets_one_line(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    cabinet.change_password("demo-1", "another")
    ended = run("inspect", *config, "--account", "demo-1")
    assert ended.status == 1
    assert ended.stderr == "demo-1: sign_in: the cabinet refused login and password\n"


def test_what_is_saved_has_the_same_rows_and_tells_nothing_of_anybody(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet, tmp_path: Path
) -> None:
    folder = tmp_path / "report"
    ended = run("inspect", *config, "--account", "demo-1", "--save", str(folder))
    assert ended.status == 0
    names = sorted(file.name for file in folder.iterdir())
    assert {"list-1.txt", "list-2.txt", "permutation.cache.js", "vpbxGwt.nocache.js"} <= set(names)
    assert any(name.startswith("details-") for name in names)
    pages = [read_page(decode((folder / f"list-{n}.txt").read_bytes())) for n in (1, 2)]
    trunks, _ = make_trunks(pages, FlagPositions())
    truth = cabinet.trunks("demo-1")
    assert [trunk.pattern for trunk in trunks] == [trunk["pattern"] for trunk in truth]
    assert len({trunk.phone for trunk in trunks} - {""}) == len(truth)
    account = cabinet.account("demo-1")
    secrets = {account.login, account.password, account.login.lstrip("+")}
    secrets |= {str(account.enterprise.number), encode_long(account.enterprise.number)}
    for trunk in account.enterprise.trunks():
        secrets |= {trunk.ref, trunk.phone, trunk.phone[1:], trunk.name}
        if trunk.device is not None:
            secrets |= {trunk.device.sip_login, trunk.device.sip_password, trunk.device.line}
    saved = b"\n".join(file.read_bytes() for file in folder.iterdir())
    for secret in secrets:
        for form in (
            secret.encode(),
            quote(secret).encode(),
            base64.b64encode(secret.encode()).rstrip(b"="),
            json.dumps(secret)[1:-1].encode(),
        ):
            assert form not in saved


def test_what_cannot_be_read_is_saved_all_the_same(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet, tmp_path: Path
) -> None:
    # Exactly then the answers are wanted: here one of a list whose rows look otherwise, and a page.
    exception = b'//EX[0,["ru.example.SomeException/12"],0,7]'
    answers = iter([Answer(200, (), exception), Answer(200, (), b"<html>79161234567</html>")])

    def fault(incoming: Incoming) -> Fault | None:
        return Fault(instead=next(answers)) if incoming.call == "list" else None

    cabinet.faults = fault
    folder = tmp_path / "report"
    ended = run("inspect", *config, "--account", "demo-1", "--save", str(folder))
    assert ended.status == 1
    assert "demo-1: list: the server answers" in ended.stderr
    assert cabinet.deployment.policies["AbonentBrowserGwtService"] in ended.stdout
    assert (folder / "list-1.txt").read_bytes() == exception
    ended = run("inspect", *config, "--account", "demo-1", "--save", str(folder))
    assert ended.status == 1
    assert "1 left out, since what is personal in them cannot be told" in ended.stderr
    assert "79161234567" not in "".join(file.read_text() for file in folder.iterdir())


def test_a_folder_that_cannot_be_made_is_one_line(
    run: Run, config: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "report").write_text("a file")
    folder = tmp_path / "report" / "office"
    ended = run("inspect", *config, "--account", "demo-1", "--save", str(folder))
    assert ended.status == 1
    assert ended.stderr == f"{folder}: cannot be written: Not a directory\n"


def test_a_file_that_cannot_be_written_is_one_line_with_its_name(
    run: Run, config: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "list-1.txt").mkdir()
    ended = run("inspect", *config, "--account", "demo-1", "--save", str(tmp_path))
    assert ended.status == 1
    assert ended.stderr == f"{tmp_path}/list-1.txt: cannot be written: Is a directory\n"


def test_a_session_that_ended_meanwhile_is_not_taken_for_a_page(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet, tmp_path: Path
) -> None:
    def end_sessions(incoming: Incoming) -> Fault | None:
        if incoming.call == "list" and incoming.number == 2:
            cabinet.end_sessions()
        return None

    cabinet.faults = end_sessions
    folder = tmp_path / "report"
    ended = run("inspect", *config, "--account", "demo-1", "--save", str(folder))
    # The password that was just sent is not sent again, so the list is not read to its end.
    assert "again, right after signing in" in ended.stderr
    assert "1 (100 rows)" in ended.stdout
    pages = []
    for file in sorted(folder.glob("list-*.txt")):
        with contextlib.suppress(GwtError, UndecodableError):
            pages.append(read_page(decode(file.read_bytes())))
    assert sum(len(page.records) for page in pages) == 100
