"""What is valid and most likely wrong is told, without a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vats_exporter.config.loading import load, readable_passwords

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, text: str) -> Path:
    file = folder / "vats-exporter.yml"
    file.write_text(text, "utf-8")
    return file


def warnings_of(folder: Path, text: str) -> list[str]:
    return [str(warning) for warning in load(write(folder, text)).warnings]


ACCOUNT = """\
accounts:
  - name: office
    login: +7-9161234567
    password: hunter2
"""


def test_nothing_is_said_of_what_is_written_as_it_is_meant(tmp_path: Path) -> None:
    assert warnings_of(tmp_path, ACCOUNT.replace("office", "«Ромашка»")) == []


@pytest.mark.parametrize(
    ("key", "line"),
    [("login: ${LOGIN}", 3), ("address: ${HOST}", 5), ("password: ${HUNTER2}", 4)],
)
def test_variables_that_stay_as_they_are_written(tmp_path: Path, key: str, line: int) -> None:
    name = key.partition(":")[0]
    lines = [one for one in ACCOUNT.splitlines() if not one.strip().startswith(f"{name}:")]
    text = "\n".join([*lines[: line - 1], f"    {key}", *lines[line - 1 :], ""])
    assert warnings_of(tmp_path, text) == [
        (
            f"line {line}: accounts[0].{name}: ${{…}} is not replaced by a variable's value; "
            "for a password, use password_env"
        )
    ]


@pytest.mark.parametrize("quotes", ["“”", "„“", "«»", "‘’"])
def test_typographic_quotes_around_a_login(tmp_path: Path, quotes: str) -> None:
    text = ACCOUNT.replace("+7-9161234567", f"{quotes[0]}+7-9161234567{quotes[1]}")
    assert warnings_of(tmp_path, text) == [
        (
            "line 3: accounts[0].login: the typographic quotes are part of the value; "
            "YAML's quotes are \" and '"
        )
    ]


def test_the_same_login_into_the_same_cabinet(tmp_path: Path) -> None:
    other = "  - {name: branch, login: +7-9161234567, password: hunter2, address: %s}\n"
    told = (
        "line 5: accounts[1].login: the same login as accounts[0]; two sessions may end each other"
    )
    assert warnings_of(tmp_path, ACCOUNT + other % "https://vpbx.mts.ru") == [told]
    assert warnings_of(tmp_path, ACCOUNT + other % "vats.example") == []


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666])
def test_passwords_that_everybody_can_read(tmp_path: Path, mode: int) -> None:
    def told(text: str) -> list[str]:
        file = write(tmp_path, text)
        file.chmod(mode)
        return [str(warning) for warning in readable_passwords(load(file))]

    sentence = f"every user of this machine can read it: the file's mode is {mode:04o}"
    assert told(ACCOUNT) == [f"accounts[0].password: {sentence}"]
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    secret.chmod(mode)
    text = ACCOUNT.replace("password: hunter2", "password_file: secret")
    assert told(text) == [f"accounts[0].password_file: {sentence}"]
    secret.chmod(0o640)
    assert told(text) == []


def test_a_password_in_the_environment_is_in_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VATS_PASSWORD", "hunter2")
    file = write(tmp_path, ACCOUNT.replace("password: hunter2", "password_env: VATS_PASSWORD"))
    file.chmod(0o644)
    assert list(readable_passwords(load(file))) == []


def test_lines_of_a_list_of_trunks_that_name_none(tmp_path: Path) -> None:
    (tmp_path / "off.txt").write_text("79161234567\nthe kiosk\n", "utf-8")
    assert warnings_of(tmp_path, ACCOUNT + "    expected_off_file: off.txt\n") == [
        "line 5: accounts[0].expected_off_file: neither a phone nor a reference: line 2"
    ]
