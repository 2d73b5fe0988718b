"""`check`, offline on files and online against a simulated cabinet."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import pytest

from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.demo import SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Run

ACCOUNT = "accounts:\n  - {name: office, login: +7-9161234567, password: hunter2}\n"


def write(folder: Path, text: str = ACCOUNT) -> Path:
    """Write a configuration that only its owner can read."""
    file = folder / "vats-exporter.yml"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return file


def test_a_right_configuration_is_ok(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path)
    ended = run("check", "--config.file", str(file))
    assert (ended.status, ended.stdout, ended.stderr) == (0, f"{file}: ok, 1 account\n", "")


def test_the_example_configuration_is_right_once_its_password_file_is_there(
    run: Run, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    example = (pytestconfig.rootpath / "vats-exporter.example.yml").read_text(encoding="utf-8")
    (tmp_path / "office.password").write_text("hunter2\n")
    file = tmp_path / "vats-exporter.yml"
    file.write_text(example.replace("/etc/vats-exporter/office", "office"), encoding="utf-8")
    assert run("check", "--config.file", str(file)).status == 0


def test_a_wrong_configuration_is_one_line_a_defect_and_status_2(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path, ACCOUNT.replace("password: hunter2", "pasword: hunter2") + "cach: {}\n")
    ended = run("check", "--config.file", str(file))
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.stderr.splitlines() == [
        f"{file}: line 2: accounts[0].pasword: unknown key; did you mean password?",
        f"{file}: line 3: cach: unknown key; did you mean cache?",
    ]


def test_what_is_most_likely_wrong_is_a_warning_and_no_failure(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path, ACCOUNT + "  - {name: b, login: '${LOGIN}', password: hunter2}\n")
    ended = run("check", "--config.file", str(file))
    assert (ended.status, ended.stdout) == (0, f"{file}: ok, 2 accounts\n")
    assert ended.stderr.startswith(f"{file}: warning: line 3: accounts[1].login: ${{…}} is not")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("none/history.db", "No such file or directory"),
        (".", "Is a directory"),
        ("/proc/history.db", "No such file or directory"),
    ],
)
def test_a_history_that_cannot_be_written_is_told(
    run: Run, tmp_path: Path, path: str, problem: str
) -> None:
    file = write(tmp_path, ACCOUNT + f"history: {{file: {path}}}\n")
    ended = run("check", "--config.file", str(file))
    assert (ended.status, ended.stderr) == (2, f"{file}: history.file: {problem}\n")
    write(tmp_path, ACCOUNT + "history: {file: history.db}\n")
    assert run("check", "--config.file", str(file)).status == 0


def test_without_a_name_the_file_of_the_working_folder_is_taken(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    assert run("check").stdout == "vats-exporter.yml: ok, 1 account\n"


def test_without_any_file_both_places_are_told(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = run("check")
    assert ended.status == 2
    assert ended.stderr == (
        "no configuration: no vats-exporter.yml, no /etc/vats-exporter/vats-exporter.yml; "
        "name one with --config.file\n"
    )


@pytest.fixture
def cabinet() -> Iterator[SimulatedCabinet]:
    with SimulatedCabinet(make_accounts(2, trunks=7)) as simulated:
        yield simulated


def configure(folder: Path, cabinet: SimulatedCabinet, *more: str, page_size: int = 100) -> str:
    lines = [
        f"  - {{name: {one.name}, login: {one.login}, password: {one.password}}}\n"
        for one in cabinet.accounts
    ]
    defaults = f"defaults: {{address: '{cabinet.url}', page_size: {page_size}}}\n"
    return str(write(folder, "accounts:\n" + "".join([*lines, *more]) + defaults))


def rows(stdout: str) -> dict[str, list[str]]:
    """The table's rows by account, split where columns are apart."""
    table = stdout.split("\n\n")[1].splitlines()
    assert table[0].split() == ["Account", "Result", "Trunks", "Enterprise", "Permutation"]
    return {line.split()[0]: line.split()[1:] for line in table[1:]}


def test_online_shows_what_was_found_of_each_account(
    run: Run, tmp_path: Path, cabinet: SimulatedCabinet
) -> None:
    ended = run("check", "--config.file", configure(tmp_path, cabinet), "--online")
    assert (ended.status, ended.stderr) == (0, "")
    found = rows(ended.stdout)
    for account in cabinet.accounts:
        result, trunks, enterprise, permutation = found[account.name]
        assert (result, trunks, enterprise) == ("ok", "7", str(account.enterprise.number))
        assert permutation in cabinet.deployment.permutations


def test_online_reads_all_pages_and_signs_in_once_per_account(
    run: Run, tmp_path: Path, cabinet: SimulatedCabinet
) -> None:
    ended = run("check", "--config.file", configure(tmp_path, cabinet, page_size=5), "--online")
    assert rows(ended.stdout)["demo-1"][1] == "7"
    requests = cabinet.stats()["requests"]
    assert (requests["sign_in"], requests["list"]) == (2, 6)  # and an empty page


def test_online_compares_the_trunks_that_are_expected_to_be_off_with_the_whole_list(
    run: Run, tmp_path: Path, cabinet: SimulatedCabinet
) -> None:
    last = cabinet.accounts[0].enterprise.trunks()[-1].phone
    file = configure(tmp_path, cabinet, page_size=3)
    text = pathlib.Path(file).read_text("utf-8")
    write(
        tmp_path, text.replace("{name: demo-1,", f"{{name: demo-1, expected_off: [{last}, CaAAAA],")
    )
    ended = run("check", "--config.file", file, "--online")
    assert (ended.status, rows(ended.stdout)["demo-1"][1]) == (0, "7")
    assert ended.stdout.count("no such trunk") == 1
    assert "demo-1: expected_off: no such trunk: entry 2\n" in ended.stdout


def test_online_tells_apart_what_does_not_work_and_hides_the_password(
    run: Run, tmp_path: Path, cabinet: SimulatedCabinet
) -> None:
    login = cabinet.accounts[0].login
    file = configure(
        tmp_path,
        cabinet,
        f"  - {{name: changed, login: {login}, password: wrong-hunter2}}\n",
        f"  - {{name: silent, login: {login}, password: wrong-hunter2, "
        "address: 'http://127.0.0.1:0001'}\n",
    )
    ended = run("check", "--config.file", file, "--online")
    assert ended.status == 1
    found = rows(ended.stdout)
    assert found["demo-1"][0] == "ok"
    assert found["changed"] == ["login_refused", "-", "-", "-"]
    assert found["silent"][0] == "unreachable"
    assert "\nchanged: sign_in: the cabinet refused login and password\n" in ended.stdout
    assert "hunter2" not in ended.stdout + ended.stderr


def test_a_pipe_gets_the_table_whole_however_long_its_names(
    run: Run, tmp_path: Path, cabinet: SimulatedCabinet
) -> None:
    cabinet.accounts[0].name = "n" * 150
    ended = run("check", "--config.file", configure(tmp_path, cabinet), "--online")
    assert rows(ended.stdout)["n" * 150][0] == "ok"


def test_a_bug_in_one_account_does_not_hide_the_others(
    run: Run, tmp_path: Path, cabinet: SimulatedCabinet, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = CabinetClient.read_trunks
    calls: list[CabinetClient] = []

    def broken(self: CabinetClient) -> object:
        calls.append(self)
        if len(calls) == 1:
            raise KeyError("geheim")
        return read(self)

    monkeypatch.setattr(CabinetClient, "read_trunks", broken)
    ended = run("check", "--config.file", configure(tmp_path, cabinet), "--online")
    assert ended.status == 1
    assert sorted(row[0] for row in rows(ended.stdout).values()) == ["ok", "undecodable"]
    assert "unexpected KeyError at test_check.py:" in ended.stdout
    assert "geheim" not in ended.stdout + ended.stderr


def test_a_web_configuration_without_a_name_is_none(run: Run, tmp_path: Path) -> None:
    file = write(tmp_path)
    # As with --web.config.file=$WEB_CONFIG in a unit where that is not set.
    ended = run("check", "--config.file", str(file), "--web.config.file=")
    assert (ended.status, ended.stdout, ended.stderr) == (0, f"{file}: ok, 1 account\n", "")
    ended = run("check", "--config.file", str(file), "--web.config.file=.")
    assert (ended.status, ended.stderr) == (2, ".: cannot read it: Is a directory\n")


def test_a_wrong_web_configuration_is_one_line_and_status_2(run: Run, tmp_path: Path) -> None:
    file, web = write(tmp_path), tmp_path / "web.yml"
    web.write_text("basic_auth_users: {prometheus: hunter2}\n")
    ended = run("check", "--config.file", str(file), "--web.config.file", str(web))
    assert ended.status == 2
    assert ended.stderr.startswith(f"{web}: line 1: basic_auth_users: not a bcrypt hash")
    assert len(ended.stderr.splitlines()) == 1
    assert "hunter2" not in ended.stderr


def test_a_list_tail_that_does_not_fit_the_cabinets_class_is_told(run: Run, tmp_path: Path) -> None:
    with SimulatedCabinet(make_accounts(trunks=3)) as cabinet:
        (account,) = cabinet.accounts
        file = write(
            tmp_path,
            f"accounts:\n  - name: a\n    login: '{account.login}'\n"
            f"    password: {account.password}\n    address: {cabinet.url}\n"
            "    list_tail: '{filter}|7|0|8|{page}|8|{page_size}|'\n",
        )
        ended = run("check", "--online", "--config.file", str(file))
    assert ended.status == 1
    assert "AbonentBrowserRequestGWTModel: the client writes 11 values (string, obj" in ended.stdout
