"""``trunks``: lists, single trunks, and what is said before and after moving selectors."""

from __future__ import annotations

import csv
import io
import json
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import in_a_shell, selectors, with_device
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cli import output, trunks
from vats_exporter.cli.output import Table
from vats_exporter.demo import Answer, Fault, Incoming, SimulatedCabinet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from tests.cli.conftest import Run


def last_column(table: str) -> list[str]:
    return [line.split("  ")[-1].strip() for line in table.splitlines()[1:]]


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
    assert all(row.split()[-2].endswith("?") for row in rows)
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


def test_what_is_not_found_may_be_of_an_account_that_could_not_be_read(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    theirs = cabinet.account("demo-2").enterprise.trunks()[0]
    cabinet.change_password("demo-2", "another")
    wanted = with_device(cabinet)[0], theirs.phone, theirs.ref, theirs.phone[-7:], "700"
    ended = run("trunks", "show", *config, *wanted)
    assert ended.status == 1
    assert wanted[0] in ended.stdout
    assert ended.stderr.splitlines() == [
        "demo-2: sign_in: the cabinet refused login and password",
        *(
            f"{one}: not found; it may be of an account that could not be read"
            for one in wanted[1:4]
        ),
        "700: neither a phone nor a trunk's reference",
    ]
    ended = run("trunks", "show", *config, theirs.phone, "--account", "demo-1")
    assert ended.stderr == f"{theirs.phone}: no trunk has this phone\n"


def test_a_table_says_that_accounts_are_missing_in_it(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    cabinet.change_password("demo-2", "another")
    ended = run("trunks", "list", *config, "--sort", "phone")
    assert ended.status == 1
    assert ended.stderr.splitlines()[:3] == [
        "demo-2: sign_in: the cabinet refused login and password",
        "accounts that could not be read are missing here",
        "12 of 12 trunks",
    ]


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
        f"{trunk.phone}: several trunks match: "
        f"{trunk.phone} (demo-1, {trunk.ref}), {trunk.phone} (demo-2, {trunk.ref})\n"
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
    assert table.stderr.startswith("24 из 24 транков\nКомб. — комбинация")
    for form in ("json", "csv"):
        russian = run("--lang", "ru", "trunks", "list", *config, "--format", form)
        assert russian == run("trunks", "list", *config, "--format", form)


def test_disable_moves_reads_back_and_shows_before_and_after(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    first, second = with_device(cabinet)[:2]
    before = selectors(cabinet)
    ended = run("trunks", "disable", *config, first, second, "--yes")
    assert ended.status == 0
    assert selectors(cabinet) == {**before, first: False, second: False}
    assert [line.split()[-3:] for line in ended.stdout.splitlines()[1:]] == [
        ["on", "off", "changed"]
    ] * 2
    assert ended.stderr == "trunks off: 2 of 2\n"
    again = run("trunks", "disable", *config, first, "--yes")
    assert again.status == 0
    assert again.stdout.splitlines()[1].endswith("off     off    already so")


@pytest.mark.parametrize(
    ("typed", "end"), [("n\n", "nothing was changed\n"), ("", "[y/N]: \nnothing was changed\n")]
)
def test_without_agreement_nothing_is_changed(
    run: Run,
    config: tuple[str, str],
    cabinet: SimulatedCabinet,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    end: str,
) -> None:
    phone = with_device(cabinet)[0]
    before = selectors(cabinet)
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    ended = run("trunks", "disable", *config, phone)
    assert ended.status == 1
    assert "to be switched off" in ended.stdout
    assert ended.stderr.endswith(end)
    assert selectors(cabinet) == before


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    trunk = next(t for t in cabinet.account("demo-1").enterprise.trunks() if t.device)
    before = selectors(cabinet)
    ended = run("trunks", "disable", *config, trunk.phone, "--dry-run")
    assert ended.status == 0
    assert ended.stdout.splitlines()[1].endswith("to be switched off")
    assert ended.stderr == "trunks to be switched off: 1; nothing was sent\n"
    assert selectors(cabinet) == before
    assert "selector" not in cabinet.stats()["requests"]
    already = run("trunks", "enable", *config, trunk.phone, "--dry-run")
    assert already.stdout.splitlines()[1].endswith("already on")
    assert already.stderr == "trunks to be switched on: 0; nothing was sent\n"


def test_a_dry_run_at_level_debug_logs_the_exact_request(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    trunk = next(t for t in cabinet.account("demo-1").enterprise.trunks() if t.device)
    ended = run("trunks", "disable", *config, trunk.phone, "--dry-run", "--log.level", "debug")
    (line,) = (line for line in ended.stderr.splitlines() if "request to send" in line)
    assert "body=7|0|6|" in line
    assert line.endswith(f"|5|{trunk.ref}|6|0|")


def test_a_trunk_without_a_device_is_told_before_anything_is_sent(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet, monkeypatch: pytest.MonkeyPatch
) -> None:
    enterprise = cabinet.account("demo-1").enterprise
    first = enterprise.trunks()[0]
    trunk = enterprise.add(replace(first, id=first.id + 1, phone="79990001122", device=None))
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    ended = run("trunks", "disable", *config, trunk.phone, with_device(cabinet)[0])
    assert ended.status == 1
    assert ended.stdout.splitlines()[1].endswith("no SIP device")
    assert ended.stderr == ("trunks to be switched off: 1; go on? [y/N]: nothing was changed\n")
    assert "selector" not in cabinet.stats()["requests"]


def test_one_wrong_phone_changes_nothing_at_all(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    before = selectors(cabinet)
    ended = run("trunks", "disable", *config, with_device(cabinet)[0], "79999999999", "--yes")
    assert ended.status == 1
    assert ended.stderr == "79999999999: no trunk has this phone\nnothing was changed\n"
    assert selectors(cabinet) == before


def test_phones_come_from_a_file_with_comments(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet, tmp_path: Path
) -> None:
    first, second = with_device(cabinet)[:2]
    file = tmp_path / "phones.txt"
    file.write_text(f"\ufeff{first}  # касса\n\n# все остальные\n{second}\n", encoding="utf-8")
    ended = run("trunks", "disable", *config, "--file", str(file), "--yes")
    assert ended.status == 0
    assert [selectors(cabinet)[phone] for phone in (first, second)] == [False, False]


@pytest.mark.parametrize("arguments", [(), ("79161234567", "--all")])
def test_which_trunks_are_meant_must_be_said_in_one_way(
    run: Run, config: tuple[str, str], arguments: tuple[str, ...]
) -> None:
    ended = run("trunks", "enable", *config, *arguments)
    assert ended.status == 2
    assert "give phones, or --file, or --all: one of them" in ended.stderr


def test_an_interrupt_says_what_was_done_and_what_was_not(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet, monkeypatch: pytest.MonkeyPatch
) -> None:
    phones = with_device(cabinet)[:3]

    def interrupted(steps: Iterator[Any], message: str) -> Iterator[Any]:
        for step in steps:
            yield step
            if message.startswith("switching"):
                raise KeyboardInterrupt

    monkeypatch.setattr(trunks, "track", interrupted)
    ended = run("trunks", "disable", *config, *phones, "--yes")
    assert ended.status == 130
    assert [selectors(cabinet)[phone] for phone in phones] == [False, True, True]
    outcomes = last_column(ended.stdout)
    assert outcomes == ["changed", "not done", "not done"]
    assert "trunks off: 1 of 3" in ended.stderr


def test_a_session_that_ends_half_way_does_not_stop_the_change(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    phones = with_device(cabinet)[:3]

    def end_sessions(incoming: Incoming) -> Fault | None:
        if incoming.call == "selector" and incoming.number == 2:
            cabinet.end_sessions()
        return None

    cabinet.faults = end_sessions
    ended = run("trunks", "disable", *config, *phones, "--yes")
    assert ended.status == 0
    assert [selectors(cabinet)[phone] for phone in phones] == [False] * 3


def test_a_password_that_changes_half_way_is_refused_once_and_the_rest_is_left_as_it_was(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    before = selectors(cabinet)
    phones = with_device(cabinet)

    def change_the_password(incoming: Incoming) -> Fault | None:
        if incoming.call == "selector" and incoming.number == 2:
            cabinet.change_password("demo-1", "another")
        return None

    cabinet.faults = change_the_password
    ended = run("trunks", "disable", *config, *phones, "--yes")
    assert ended.status == 130
    assert cabinet.stats()["refused_sign_ins"] == 1
    outcomes = last_column(ended.stdout)
    assert outcomes == [
        "changed",
        "failed: sign_in: the cabinet refused login and password",
        *["not done"] * (len(phones) - 2),
    ]
    assert [phone for phone in phones if selectors(cabinet)[phone] != before[phone]] == phones[:1]
    assert ended.stderr.splitlines()[-3:] == [
        f"trunks off: 1 of {len(phones)}",
        "demo-1: stopped: sign_in: the cabinet refused login and password",
        "what is not done is left as it was",
    ]


def test_a_cabinet_that_is_gone_stops_its_own_account_alone(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    ours, theirs = with_device(cabinet)[:3], with_device(cabinet, "demo-2")[:2]

    def break_off(incoming: Incoming) -> Fault | None:
        ours_is_moved = incoming.call == "selector" and incoming.account == "demo-1"
        return Fault(drop=True) if ours_is_moved else None

    cabinet.faults = break_off
    ended = run("trunks", "disable", *config, *ours, *theirs, "--yes")
    assert ended.status == 130
    outcomes = last_column(ended.stdout)
    assert outcomes[0].startswith("to be checked in the cabinet: selector: ")
    assert outcomes[1:] == ["not done", "not done", "changed", "changed"]
    assert "trunks off: 2 of 5\ndemo-1: stopped: selector: " in ended.stderr


def test_a_cabinet_that_fails_at_the_last_trunk_leaves_none_undone(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    phones = with_device(cabinet)[:2]

    def break_off(incoming: Incoming) -> Fault | None:
        return Fault(drop=True) if incoming.call == "selector" and incoming.number > 1 else None

    cabinet.faults = break_off
    ended = run("trunks", "disable", *config, *phones, "--yes")
    assert ended.status == 1
    assert ended.stderr.splitlines()[-1] == "trunks off: 1 of 2"


def test_a_trunk_removed_meanwhile_fails_alone(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    phones = with_device(cabinet)[:3]

    def remove(incoming: Incoming) -> Fault | None:
        if incoming.call == "selector" and incoming.number == 1:
            cabinet.account("demo-1").enterprise.remove(phones[1])
        return None

    cabinet.faults = remove
    ended = run("trunks", "disable", *config, *phones, "--yes")
    assert ended.status == 1
    outcomes = last_column(ended.stdout)
    assert outcomes[0] == outcomes[2] == "changed"
    assert outcomes[1].startswith("failed: details: ")


def without_the_selector(tmp_path: Path) -> None:
    file = tmp_path / "vats-exporter.yml"
    text = "\n".join(line for line in file.read_text().splitlines() if "selector" not in line)
    file.write_text(text)


def test_the_methods_name_need_not_be_configured(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet, tmp_path: Path
) -> None:
    without_the_selector(tmp_path)
    ended = run("trunks", "disable", *config, with_device(cabinet)[0], "--yes")
    assert (ended.status, ended.stderr) == (0, "trunks off: 1 of 1\n")


def test_where_the_script_does_not_tell_the_methods_name_it_says_how_to_find_it(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet, tmp_path: Path
) -> None:
    def without(answer: Answer) -> Answer:
        assert isinstance(answer.body, bytes)
        return replace(answer, body=answer.body.replace(b"setEnabled", b"no method"))

    def hide(incoming: Incoming) -> Fault | None:
        return Fault(change=without) if incoming.call == "permutation" else None

    without_the_selector(tmp_path)
    cabinet.faults = hide
    ended = run("trunks", "disable", *config, with_device(cabinet)[0], "--yes")
    assert ended.status == 1
    assert "selector_method sets it" in ended.stderr


def test_a_ctrl_c_while_the_table_is_printed_does_not_cut_it_off(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Table.text

    def text(table: Table, *arguments: Any) -> str:
        signal.raise_signal(signal.SIGINT)
        return real(table, *arguments)

    monkeypatch.setattr(Table, "text", text)
    ended = run("trunks", "disable", *config, with_device(cabinet)[0], "--yes")
    assert ended.status == 0
    assert ended.stdout.splitlines()[1].endswith("changed")


@pytest.mark.parametrize("answer", ["<&-", "< {file}"])
def test_an_answer_that_cannot_be_read_is_a_no(
    config: tuple[str, str], cabinet: SimulatedCabinet, tmp_path: Path, answer: str
) -> None:
    before = selectors(cabinet)
    (tmp_path / "answer").write_bytes(b"\xe4\n")
    line = f"vats-exporter trunks disable {' '.join(config)} {with_device(cabinet)[0]} "
    ended = in_a_shell(line + answer.format(file=tmp_path / "answer"))
    assert ended.returncode == 1
    assert ended.stderr.endswith(b"nothing was changed\n")
    assert selectors(cabinet) == before


def test_what_was_done_is_told_where_standard_output_takes_nothing(
    config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    phone = with_device(cabinet)[0]
    ended = in_a_shell(f"vats-exporter trunks disable {' '.join(config)} {phone} --yes >&-")
    assert ended.returncode == 1
    assert ended.stderr == (
        b"trunks off: 1 of 1\nstandard output: cannot write: Bad file descriptor\n"
    )
    assert selectors(cabinet)[phone] is False


def test_a_file_of_phones_that_cannot_be_read_is_one_line(
    run: Run, config: tuple[str, str], tmp_path: Path
) -> None:
    ended = run("trunks", "disable", *config, "--file", str(tmp_path / "none"), "--yes")
    assert (ended.status, ended.stderr) == (
        1,
        f"{tmp_path}/none: cannot read it: No such file or directory\n",
    )
    ended_in_shell = in_a_shell(
        f"vats-exporter trunks disable {' '.join(config)} --file - --yes <&-"
    )
    assert ended_in_shell.stderr == b"standard input: cannot read it: Bad file descriptor\n"


def test_an_empty_file_of_phones_is_told(run: Run, config: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "phones.txt"
    file.write_text("# none yet\n", encoding="utf-8")
    ended = run("trunks", "disable", *config, "--file", str(file), "--yes")
    assert (ended.status, ended.stdout) == (1, "")
    assert ended.stderr == f"{file}: no phones in it\n"


def test_a_file_of_phones_in_another_encoding_is_told(
    run: Run, config: tuple[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "phones.txt"
    file.write_bytes("79161234567  # касса\n".encode("cp1251"))
    ended = run("trunks", "disable", *config, "--file", str(file), "--yes")
    assert (ended.status, ended.stdout) == (1, "")
    assert ended.stderr == f"{file}: not UTF-8 at byte 15\n"
    ended = run("--lang", "ru", "trunks", "disable", *config, "--file", str(file), "--yes")
    assert ended.stderr == f"{file}: не UTF-8, начиная с байта 15\n"


def test_nothing_is_changed_while_an_account_cannot_be_read(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    before = selectors(cabinet)
    cabinet.change_password("demo-2", "another")
    ended = run("trunks", "disable", *config, with_device(cabinet)[0], "--yes")
    assert ended.status == 1
    assert ended.stderr == (
        "demo-2: sign_in: the cabinet refused login and password\n"
        "nothing was changed: an account could not be read; --account NAME leaves it out\n"
    )
    assert selectors(cabinet) == before


def test_all_means_every_trunk_of_the_named_accounts(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    other = selectors(cabinet, "demo-2")
    ended = run("trunks", "disable", *config, "--all", "--account", "demo-1", "--yes")
    trunks = cabinet.account("demo-1").enterprise.trunks()
    assert len(ended.stdout.splitlines()) == len(trunks) + 1
    assert set(selectors(cabinet).values()) <= {False, None}
    assert selectors(cabinet, "demo-2") == other


def test_names_that_cannot_be_looked_up_change_nothing(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet
) -> None:
    before = selectors(cabinet)

    def hide_the_script(incoming: Incoming) -> Fault | None:
        return Fault(drop=True) if incoming.call == "nocache" and incoming.number > 1 else None

    cabinet.faults = hide_the_script
    ended = run("trunks", "disable", *config, with_device(cabinet)[0], "--account", "demo-1")
    assert ended.status == 1
    assert ended.stderr.startswith("nothing was changed: nocache: ")
    assert selectors(cabinet) == before


def test_who_agrees_gets_what_was_shown(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = with_device(cabinet)[0]
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert run("trunks", "disable", *config, phone).status == 0
    assert selectors(cabinet)[phone] is False


def test_in_russian_it_asks_and_takes_a_russian_answer(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = with_device(cabinet)[0]
    monkeypatch.setattr("sys.stdin", io.StringIO("Да\n"))
    ended = run("--lang", "ru", "trunks", "disable", *config, phone)
    assert ended.status == 0
    assert "будет выключен" in ended.stdout
    assert ended.stdout.endswith("включён  выключен  переключён\n")
    assert ended.stderr == (
        "«ползунок» будет выключен у транков: 1; продолжить? [д/Н]: "
        "«ползунок» выключен у транков: 1 из 1\n"
    )
    assert selectors(cabinet)[phone] is False
