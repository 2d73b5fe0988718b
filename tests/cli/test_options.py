"""What commands share: finding trunks, completing names, and wrong configurations in Russian."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from tests.history.making import snapshot, trunk
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cli import options
from vats_exporter.cli.options import Found, complete_account, complete_phone, find
from vats_exporter.cli.output import has_failed
from vats_exporter.config.models import AccountSettings
from vats_exporter.history.kept import KeptHistory

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from vats_exporter.demo import SimulatedCabinet

BROKEN = sorted((Path(__file__).parents[1] / "config" / "broken").glob("*.yml"))


def found(ref: str, phone: str, account: str = "office") -> Found:
    cabinet = CabinetClient(AccountSettings(name=account, login="a", password="b-b-b-b"))
    return Found(account, cabinet, trunk(ref, phone=phone))


def context(**given: object) -> click.Context:
    made = click.Context(click.Command("x"))
    made.params = given
    return made


TRUNKS = [
    found("CaAAAA", "79161234567"),
    found("CaBBBB", "79990004567"),
    found("CaCCCC", "79991234567"),
    found("CaDDDD", ""),
]


@pytest.mark.parametrize(
    ("typed", "ref"),
    [
        ("79161234567", "CaAAAA"),
        ("tel:+7-916-123-45-67", "CaAAAA"),
        ("007 916 123 45 67", "CaAAAA"),
        ("8\u00a0916\u00a0123\u201145\u201167", "CaAAAA"),
        ("000-45-67", "CaBBBB"),
        (" CaDDDD ", "CaDDDD"),
    ],
)
def test_a_trunk_is_found_as_people_name_it(typed: str, ref: str) -> None:
    with context():
        assert [one.trunk.ref for one in find(TRUNKS, [typed])] == [ref]


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        (
            "123-45-67",
            (
                "123-45-67: several trunks match: 79161234567 (office, CaAAAA), "
                "79991234567 (office, CaCCCC)"
            ),
        ),
        ("79160000000", "79160000000: no trunk has this phone"),
        ("000-00-00", "000-00-00: no trunk has this phone"),
        ("4567", "4567: neither a phone nor a trunk's reference"),
        ("", ": neither a phone nor a trunk's reference"),
    ],
)
def test_what_names_no_trunk_or_several_is_complained_of(
    typed: str, problem: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with context():
        assert find(TRUNKS, [typed]) == []
        assert has_failed()
    assert capfd.readouterr().err == f"{problem}\n"


def test_each_trunk_is_found_once() -> None:
    with context():
        chosen = find(TRUNKS, ["CaBBBB", "79161234567", "9161234567"])
    assert [one.trunk.ref for one in chosen] == ["CaBBBB", "CaAAAA"]


def configure(folder: Path) -> Path:
    file = folder / "vats-exporter.yml"
    file.write_text(
        "accounts:\n  - {name: office, login: a, password: b-b-b-b}\n"
        "  - {name: shop, login: b, password: b-b-b-b}\nhistory: {file: history.db}\n"
    )
    return file


def test_accounts_and_phones_are_completed_without_a_cabinet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "_EXPORTER", "http://127.0.0.1:1/metrics")
    file = configure(tmp_path)
    with KeptHistory(tmp_path / "history.db") as history:
        history.record("office", snapshot(0, trunk("A", phone="79160000001")))
        history.record("shop", snapshot(0, trunk("B", phone="79160000002")))
    parameter = click.Option(["--x"])
    given = context(config_file=file)
    assert complete_account(given, parameter, "o") == ["office"]
    assert complete_phone(given, parameter, "7916") == ["79160000001", "79160000002"]
    given = context(config_file=file, account=("shop",))
    assert complete_phone(given, parameter, "") == ["79160000002"]
    given = context(config_file=tmp_path / "none", history_file=tmp_path / "history.db")
    assert complete_account(given, parameter, "") == ["office", "shop"]


def test_phones_are_also_those_of_the_exporter_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "metrics"
    page.write_text('vats_trunk_active{account="depot",phone="79160000003",trunk="C"} 1.0\n')
    monkeypatch.setattr(options, "_EXPORTER", page.as_uri())
    monkeypatch.chdir(tmp_path)
    parameter = click.Option(["--x"])
    assert complete_account(context(), parameter, "") == ["depot"]
    assert complete_phone(context(), parameter, "79") == ["79160000003"]
    # There is no configuration, which is nothing to tell somebody who types.
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_what_is_wrong_with_a_configuration_is_said_in_russian(run: Run, file: Path) -> None:
    ended = run("--lang", "ru", "check", "--config.file", str(file))
    assert ended.status == 2
    for line in ended.stderr.splitlines():
        # The last part is the sentence; keys before it stay as they are.
        said = re.sub(r'"[^"]*"|`[^`]*`', "", line.removeprefix(f"{file}: ")).split("; ")[0]
        assert re.search("[а-яё]{2}", said), line
        assert not re.search(r"\b(the|is|must|not|of|line|unknown)\b", said), line


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        ("check --config.file", 2, "cannot read it: Is a directory"),
        ("events --history.file", 1, "cannot read it: not a file"),
        ("events --history.file {history} --export", 1, "cannot make it: File exists"),
        ("trunks enable --file", 1, "cannot read it: Is a directory"),
        ("import-har", 1, "cannot read it: Is a directory"),
        ("import-har {recording} --output", 1, "cannot be written: File exists"),
        ("decode", 1, "cannot read it: Is a directory"),
    ],
)
def test_a_folder_in_place_of_a_file_is_one_line(
    run: Run, tmp_path: Path, line: str, status: int, reason: str
) -> None:
    with KeptHistory(tmp_path / "history.db") as history:
        history.record("office", snapshot(0, trunk("A")))
    recording = Path(__file__).parents[1] / "tools" / "har" / "two_hosts.har"
    (tmp_path / "folder").mkdir()
    given = line.format(history=tmp_path / "history.db", recording=recording).split()
    ended = run(*given, str(tmp_path / "folder"))
    assert (ended.status, ended.stderr) == (status, f"{tmp_path}/folder: {reason}\n")


def test_a_file_without_rights_is_one_line_of_the_one_that_opens_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    assert run("check", "--config.file", str(configure(tmp_path))).status == 0


def test_ctrl_c_breaks_off_what_is_being_read(
    run: Run, config: tuple[str, str], cabinet: SimulatedCabinet, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[CabinetClient] = []
    close = CabinetClient.close

    def note(client: CabinetClient) -> None:
        closed.append(client)
        close(client)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(CabinetClient, "close", note)
    monkeypatch.setattr("vats_exporter.expected_off.ExpectedOff.mark", interrupt)
    ended = run("trunks", "list", *config)
    assert (ended.status, ended.stdout, ended.stderr) == (130, "", "interrupted\n")
    assert len(closed) == 2


def test_a_key_that_is_a_word_of_a_sentence_stays_as_it_is_in_russian(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "vats-exporter.yml"
    file.write_text("accounts: [{name: a, login: b, password: c}]\ndetails: often\n")
    ended = run("--lang", "ru", "check", "--config.file", str(file))
    assert ended.stderr.startswith(f"{file}: строка 2: details: должно быть ")
