"""``trunks list`` and ``trunks show`` as a person at a terminal uses them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.cli.conftest import with_device
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cli import output
from vats_exporter.demo import Fault, Incoming, SimulatedCabinet

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.cli.conftest import Run


def test_the_list_shows_every_trunk_of_every_account(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    ended = run("trunks", "list", *config, "--format", "json")
    assert ended.status == 0
    keys = ("account", "phone", "name", "active", "bound", "marked_for_deletion", "id")
    shown = [(*(row[key] for key in keys), row["trunk"]) for row in json.loads(ended.stdout)]
    assert shown == sorted(
        (*(trunk[key] for key in keys), trunk["ref"]) for trunk in cabinet.trunks()
    )


def test_the_table_has_a_line_a_trunk_and_says_how_many(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    ended = run("trunks", "list", *config, "--only", "active", "--only", "bound")
    expected = [t for t in cabinet.trunks() if t["active"] and t["bound"]]
    assert len(ended.stdout.splitlines()) == len(expected) + 1
    assert ended.stderr.splitlines() == [
        f"{len(expected)} of 24 trunks",
        "Pattern: a row's values at positions 4, 6, 7, 9.",
    ]


def test_a_pattern_that_is_not_known_is_marked_and_explained(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    ended = run("trunks", "list", *config, "--only", "unknown")
    rows = ended.stdout.splitlines()[1:]
    assert rows
    assert all(row.split()[-2] == "?" for row in rows)
    assert ended.stderr.endswith(
        "?: a pattern that is not known; vats-exporter inspect shows examples.\n"
    )


def test_trunks_that_are_off_on_purpose_are_shown_as_such(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet, tmp_path: Path
) -> None:
    first, second, *_ = (one["phone"] for one in cabinet.trunks() if one["account"] == "demo-1")
    (tmp_path / "off.txt").write_text(f"{second} # closed\n", "utf-8")
    file = tmp_path / "vats-exporter.yml"
    text = file.read_text("utf-8").replace(
        "- name: demo-1\n",
        f"- name: demo-1\n    expected_off: ['{first}', 79169999999]\n"
        "    expected_off_file: off.txt\n",
    )
    file.write_text(text, "utf-8")
    ended = run("trunks", "list", *config, "--only", "expected-off", "--format", "json")
    assert [row["phone"] for row in json.loads(ended.stdout)] == sorted([first, second])
    assert ended.stderr == "demo-1: expected_off: no such trunk: entry 2\n"
    rows = run("trunks", "list", *config).stdout.splitlines()
    assert rows[0].endswith("Expected")
    assert sorted(row.split()[1] for row in rows if row.endswith("off")) == sorted([first, second])


def test_excel_can_open_the_csv_with_cyrillic_and_without_formulas(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    phone = cabinet.account("demo-1").enterprise.trunks()[0].phone
    cabinet.account("demo-1").enterprise.change(phone, name="=1+1;Щёлочь")
    ended = run("trunks", "list", *config, "--format", "csv")
    assert ended.stdout.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(ended.stdout[1:]), delimiter=";"))
    assert len(rows) == 24
    assert next(row["name"] for row in rows if row["phone"] == phone) == "'=1+1;Щёлочь"


def test_an_unknown_account_is_refused_with_a_hint(run: Run, config: tuple[str, str]) -> None:
    ended = run("trunks", "list", *config, "--account", "demo1")
    assert (ended.status, ended.stdout) == (1, "")
    assert "no account 'demo1'" in ended.stderr
    assert "did you mean demo-1?" in ended.stderr


def test_an_account_that_fails_does_not_hide_the_others(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    cabinet.change_password("demo-2", "another")
    ended = run("trunks", "list", *config, "--format", "json")
    assert ended.status == 1
    assert {row["account"] for row in json.loads(ended.stdout)} == {"demo-1"}
    assert ended.stderr == "demo-2: sign_in: the cabinet refused login and password\n"


def test_show_tells_credentials_only_when_asked_by_name(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    trunk = next(t for t in cabinet.account("demo-1").enterprise.trunks() if t.device)
    assert trunk.device is not None
    plain = run("trunks", "show", *config, trunk.phone)
    assert plain.status == 0
    assert trunk.name in plain.stdout
    assert trunk.device.line in plain.stdout
    assert trunk.device.sip_password not in plain.stdout + plain.stderr
    secret = run("trunks", "show", *config, trunk.ref, "--show-secrets")
    assert trunk.device.sip_password in secret.stdout
    assert trunk.device.sip_password not in secret.stderr


def test_show_takes_a_phone_as_people_write_it_and_says_what_it_does_not_know(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    phone = with_device(cabinet)[0]
    written = f"+7 ({phone[1:4]}) {phone[4:7]}-{phone[7:9]}-{phone[9:]}"
    ended = run("trunks", "show", *config, written, "79999999999", "700")
    assert ended.status == 1
    assert phone in ended.stdout
    assert ended.stderr.splitlines() == [
        "79999999999: no trunk has this phone",
        "700: neither a phone nor a trunk's reference",
    ]


def test_a_phone_that_two_trunks_have_is_not_guessed(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    trunk = cabinet.account("demo-1").enterprise.trunks()[0]
    cabinet.account("demo-2").enterprise.add(trunk)
    ended = run("trunks", "show", *config, trunk.phone)
    assert ended.status == 1
    assert ended.stderr == (
        f"{trunk.phone}: several trunks have this phone: "
        f"{trunk.ref} in demo-1, {trunk.ref} in demo-2\n"
    )


def test_a_trunk_without_a_device_is_shown_without_a_selector(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    enterprise = cabinet.account("demo-1").enterprise
    first = enterprise.trunks()[0]
    trunk = enterprise.add(replace(first, id=first.id + 1, phone="79990001122", device=None))
    ended = run("trunks", "show", *config, trunk.phone)
    assert ended.status == 0
    assert "none" in next(line for line in ended.stdout.splitlines() if "SIP device" in line)
    assert "selector" not in ended.stdout


def test_details_that_cannot_be_read_do_not_hide_the_other_trunks(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    first, second = with_device(cabinet)[:2]

    def fail_once(incoming: Incoming) -> Fault | None:
        return Fault(drop=True) if incoming.call == "details" and incoming.number < 3 else None

    cabinet.faults = fail_once
    ended = run("trunks", "show", *config, first, second)
    assert ended.status == 1
    assert ended.stderr.startswith(f"{first}: details: ")
    assert second in ended.stdout


def test_a_phone_with_blanks_that_the_shell_took_apart_belongs_in_quotes(
    run: Run, config: tuple[str, str]
) -> None:
    ended = run("trunks", "show", *config, "+7", "916", "123-45-67")
    assert ended.status == 1
    assert ended.stderr == "+7 916 123-45-67: put a phone with blanks in quotes\n"


def test_a_bug_in_reading_one_account_does_not_hide_the_others(
    run: Run, config: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(cabinet: CabinetClient) -> None:
        raise KeyError("geheim")

    monkeypatch.setattr(CabinetClient, "read_trunks", broken)
    ended = run("trunks", "list", *config)
    assert ended.status == 1
    lines = ended.stderr.splitlines()[:2]
    assert sorted(line.partition(" at ")[0] for line in lines) == [
        "demo-1: unexpected KeyError",
        "demo-2: unexpected KeyError",
    ]
    assert "geheim" not in ended.stderr


def test_a_person_who_waits_sees_how_far_it_is(
    run: Run,
    config: tuple[str, str],
    cabinet: SimulatedCabinet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(output, "_PATIENCE", -1.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    ended = run("trunks", "show", *config, *with_device(cabinet)[:2])
    assert ended.status == 0
    assert "reading the details" in ended.stderr


def test_a_log_file_gets_no_progress(
    run: Run,
    config: tuple[str, str],
    cabinet: SimulatedCabinet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(output, "_PATIENCE", -1.0)
    ended = run("trunks", "show", *config, *with_device(cabinet)[:2])
    assert (ended.status, ended.stderr) == (0, "")


def test_in_russian_the_table_is_russian_and_json_and_csv_are_as_ever(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    table = run("--lang", "ru", "trunks", "list", *config)
    assert table.stdout.split("\n")[0].split() == (
        ["Договор", "Телефон", "Имя", "Включён", "Привязан", "Помечен", "Комб.", "Транк"]
    )
    assert {row.split()[-1] for row in table.stdout.splitlines()[1:]} == {
        trunk["ref"] for trunk in cabinet.trunks()
    }
    assert table.stderr.startswith("24 транка\nКомб. — комбинация")
    for form in ("json", "csv"):
        russian = run("--lang", "ru", "trunks", "list", *config, "--format", form)
        assert russian == run("trunks", "list", *config, "--format", form)
