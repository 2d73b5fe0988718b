"""The command line as a whole: help, version, wrong usage, and what is imported when."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from vats_exporter import __version__
from vats_exporter.cli import COMMANDS
from vats_exporter.gwt import GwtError

if TYPE_CHECKING:
    from tests.cli.conftest import Run


def test_the_version_is_told(run: Run) -> None:
    ended = run("--version")
    assert (ended.status, ended.stdout) == (0, f"vats-exporter {__version__}\n")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_command(run: Run, option: str) -> None:
    ended = run(option)
    assert ended.status == 0
    for name, line in COMMANDS.items():
        assert f"  {name} " in ended.stdout
        assert line.split()[0] in ended.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_a_paragraph_and_examples(run: Run, name: str) -> None:
    ended = run(name, "--help")
    assert ended.status == 0
    assert ended.stdout.startswith(f"Usage: vats-exporter {name} ")
    # The line of the list of commands opens the command's own help.
    assert COMMANDS[name] in " ".join(ended.stdout.split())
    assert "Examples:\n    vats-exporter" in ended.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_a_terminal_of_80_columns(run: Run, name: str) -> None:
    text = run(name, "--help").stdout
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("serv", "No such command 'serv'; did you mean serve?"),
        ("trunk", "No such command 'trunk'; did you mean trunks?"),
        ("x", "No such command 'x'."),
    ],
)
def test_an_unknown_command_is_wrong_usage(run: Run, typed: str, says: str) -> None:
    ended = run(typed)
    assert ended.status == 2
    assert says in ended.stderr


def test_an_option_before_the_command_is_told_where_it_belongs(run: Run) -> None:
    ended = run("--config.file", "x")
    assert ended.status == 2
    assert "as in vats-exporter serve --config.file\n" in ended.stderr


def test_ctrl_c_ends_a_command_with_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vats_exporter.cli.decode.decode", interrupt)
    ended = run("decode", __file__)
    assert (ended.status, ended.stdout, ended.stderr) == (130, "", "interrupted\n")


def test_a_bug_is_one_line_without_what_the_exception_quotes(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choke(_: bytes) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr("vats_exporter.cli.decode.decode", choke)
    ended = run("decode", __file__)
    assert (ended.status, ended.stdout) == (1, "")
    assert re.fullmatch(
        r"vats-exporter: unexpected RuntimeError at test_main\.py:\d+; please report it\n",
        ended.stderr,
    )


def test_an_exception_that_nobody_can_catch_is_told_without_its_message(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dying:
        def __del__(self) -> None:
            raise RuntimeError("geheim")

    def leave_one(_: bytes) -> None:
        Dying()
        gc.collect()
        raise GwtError("odd")

    monkeypatch.setattr("vats_exporter.cli.decode.decode", leave_one)
    ended = run("decode", __file__)
    assert re.fullmatch(
        r"vats-exporter: unexpected RuntimeError at test_main\.py:\d+, ignored\n.*: odd\n",
        ended.stderr,
    )


def imported_by(*arguments: str) -> set[str]:
    """The top packages that a command line imports."""
    program = (
        "import sys\n"
        "from vats_exporter.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit:\n"
        "    pass\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=30, check=True, text=True
    )
    return set(ended.stderr.split())


HEAVY = {"pydantic", "requests", "urllib3", "prometheus_client", "yaml"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["decode", "--help"]])
def test_what_a_command_does_not_need_is_not_imported(arguments: list[str]) -> None:
    imported = imported_by(*arguments)
    assert "click" in imported
    assert not HEAVY & imported
