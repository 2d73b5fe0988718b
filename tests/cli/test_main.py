"""The command line as a whole: help, version, wrong usage, and what is imported when."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import in_a_shell
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
        ("serv", "No such command 'serv'. Did you mean 'serve'?"),
        ("trunk", "No such command 'trunk'. Did you mean 'trunks'?"),
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

    monkeypatch.setattr("vats_exporter.tools.saved.decode", interrupt)
    ended = run("decode", __file__)
    assert (ended.status, ended.stdout, ended.stderr) == (130, "", "interrupted\n")


def test_a_bug_is_one_line_without_what_the_exception_quotes(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choke(_: bytes) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr("vats_exporter.tools.saved.decode", choke)
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

    monkeypatch.setattr("vats_exporter.tools.saved.decode", leave_one)
    ended = run("decode", __file__)
    assert re.fullmatch(
        r"vats-exporter: unexpected RuntimeError at test_main\.py:\d+, ignored\n.*: odd\n",
        ended.stderr,
    )


def test_garbage_is_looked_for_once_a_command_is_imported() -> None:
    code = (
        "import gc, sys, vats_exporter.cli as cli; gc.disable()\n"
        "try: cli.main(['decode', '--help'])\n"
        "except SystemExit: print(gc.isenabled(), gc.get_freeze_count() > 0)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.endswith("True True\n")


def test_without_a_command_the_help_is_shown(run: Run) -> None:
    ended = run()
    assert ended.status == 2
    assert ended.stderr.startswith("Usage: vats-exporter [OPTIONS] COMMAND")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_what_completes_commands(
    run: Run, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    monkeypatch.setenv("_VATS_EXPORTER_COMPLETE", f"{shell}_source")
    assert f"{shell}_complete" in run().stdout
    monkeypatch.setenv("_VATS_EXPORTER_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", "vats-exporter tru")
    monkeypatch.setenv("COMP_CWORD", "tru" if shell == "fish" else "1")
    assert "trunks" in run().stdout


def test_a_shell_that_completes_after_a_mistyped_command_gets_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_VATS_EXPORTER_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "vats-exporter trunk li")
    monkeypatch.setenv("COMP_CWORD", "2")
    ended = run()
    assert (ended.stdout.strip(), ended.stderr) == ("", "")


@pytest.mark.parametrize(
    ("variables", "russian"),
    [
        ({"LANG": "ru_RU.UTF-8"}, True),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "ru_RU.UTF-8"}, True),
        ({"LANG": "ru_RU.UTF-8", "LC_ALL": "C.UTF-8"}, False),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "ru:en"}, True),
        ({"LANG": "ru_RU.UTF-8", "LANGUAGE": "en:ru"}, False),
        # As in gettext: who asks for C gets it.
        ({"LC_ALL": "C", "LANG": "ru_RU.UTF-8", "LANGUAGE": "ru"}, False),
        ({"LANGUAGE": "ru"}, False),
        ({"LANG": "de_DE.UTF-8", "LANGUAGE": "de:ru"}, True),
        ({}, False),
    ],
)
def test_the_locale_chooses_the_language(
    run: Run, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], russian: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert run("--help").stdout.startswith("Вызов:" if russian else "Usage:")


@pytest.mark.parametrize("option", [["--lang", "ru"], ["--lang=ru"]])
def test_the_option_goes_before_the_locale(
    run: Run, monkeypatch: pytest.MonkeyPatch, option: list[str]
) -> None:
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    assert "Ошибка: Нет команды 'x'." in run(*option, "x").stderr
    monkeypatch.setenv("LANG", "ru_RU.UTF-8")
    assert "Error: No such command 'x'." in run("--lang", "en", "x").stderr
    assert "Ошибка: Неверное значение '--lang': 'de'" in run("--lang", "de", "check").stderr


@pytest.mark.parametrize("name", [*COMMANDS, "trunks list", "trunks show", "trunks enable"])
def test_help_in_russian_has_no_english_sentence_and_fits_80_columns(run: Run, name: str) -> None:
    text = run("--lang", "ru", *name.split(), "--help").stdout
    assert max(map(len, text.splitlines())) <= 80
    prose = text.partition("Примеры:")[0]
    assert not re.search(r"\b(the|is|of|and|with|Show|Usage|Options|default)\b", prose)
    # What is asked for again in English is not what was made in Russian.
    assert run(*name.split(), "--help").stdout.startswith("Usage: ")


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


ANSWER = Path(__file__).parents[1] / "wire" / "list_page3.txt"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("output", "reason"),
    [(">&-", b"Bad file descriptor"), ("> /dev/full", b"No space left on device")],
)
@pytest.mark.parametrize("command", [f"decode {ANSWER}", "--help", "trunks list --help"])
def test_an_output_that_takes_nothing_is_one_line(
    command: str, output: str, reason: bytes, unbuffered: str
) -> None:
    ended = in_a_shell(f"vats-exporter {command} {output}", PYTHONUNBUFFERED=unbuffered)
    assert (ended.returncode, ended.stderr) == (
        1,
        b"standard output: cannot write: " + reason + b"\n",
    )


def test_an_input_that_is_closed_is_one_line() -> None:
    ended = in_a_shell("vats-exporter decode - <&-")
    assert (ended.returncode, ended.stderr) == (
        1,
        b"standard input: cannot read it: Bad file descriptor\n",
    )


def test_a_closed_standard_error_is_told_nothing_and_changes_nothing() -> None:
    ended = in_a_shell(f"vats-exporter decode {ANSWER} 2>&-")
    assert (ended.returncode, ended.stdout) == (
        0,
        in_a_shell(f"vats-exporter decode {ANSWER}").stdout,
    )
    assert in_a_shell("vats-exporter decode not-there 2>&-").returncode == 1


def test_no_file_gets_the_number_of_a_stream_that_is_closed() -> None:
    program = "import os; from vats_exporter.cli import _set_up_streams; _set_up_streams()"
    ended = in_a_shell(f"""{sys.executable} -c '{program}; os._exit(os.dup(0))' <&- >&- 2>&-""")
    assert ended.returncode == 3


@pytest.mark.parametrize("encoding", ["latin-1", "koi8-r", "ascii"])
def test_what_is_told_in_russian_is_utf8_in_any_locale(encoding: str) -> None:
    ended = in_a_shell("vats-exporter --lang ru --help", PYTHONIOENCODING=encoding)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.decode().startswith("Вызов: vats-exporter ")


HEAVY = {"pydantic", "requests", "urllib3", "prometheus_client", "yaml"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["decode", "--help"]])
def test_what_a_command_does_not_need_is_not_imported(arguments: list[str]) -> None:
    imported = imported_by(*arguments)
    assert "click" in imported
    assert not HEAVY & imported
