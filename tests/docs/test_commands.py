"""Every command that the documentation shows is run, as it stands, against the simulated cabinet.

An exporter serves the account that the documentation talks of, ``office`` with the trunk
+7 916 123-45-67. Of the machine, only the port and the folders differ from what a page says. A
command of the program's alone runs in this process, and what needs a shell in one.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.request import urlopen

import pytest
import yaml

from tests.hunt.visit import record_visit
from tests.process import process_put_back
from vats_exporter.cli import main
from vats_exporter.demo import Account, Enterprise, Population, SimulatedCabinet
from vats_exporter.demo.rpc import list_page
from vats_exporter.demo.script import scripts
from vats_exporter.gwt import decode_long

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted(
    [*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]
)
PROGRAMS: Final = ("vats-exporter", "venv/bin/vats-exporter", "curl")

ELSEWHERE: Final = {
    r"vats-exporter (serve|demo)\b": "goes on until it is ended; tests/cli",
    r"--follow": "goes on until it is ended; tests/cli",
    r"_VATS_EXPORTER_COMPLETE": "a shell reads what it says; tests/cli/test_main.py",
    r"web\.yml": "tests/e2e/test_web_example.py",
    r"localhost:9090|:9093": "asks Prometheus or Alertmanager; tests/e2e",
}
"""Which of the program's own commands are run by other tests."""

OTHERS: Final = {
    **dict.fromkeys(("docker", "helm", "kubectl", "systemctl", "journalctl"), "has no daemon here"),
    **dict.fromkeys(("git", "pip", "python3", "apt", "make"), "gets things from elsewhere"),
    **dict.fromkeys(("sudo", "install", "ln", "df", "ls", "(umask", "(IFS="), "the machine's"),
    **dict.fromkeys(("promtool", "amtool"), "tests/deploy"),
    **dict.fromkeys(("openssl", "cat", "chmod", "htpasswd"), "tests/e2e/test_web_example.py"),
}
"""Commands that are not the program's, by their first word, and why they are not run here."""


def blocks(page: Path) -> Iterator[str]:
    text = page.read_text("utf-8")
    yield from re.findall(r"^```(?:sh|bash)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    yield from re.findall(r"^ {4}(vats-exporter .*)", text, re.MULTILINE)


def commands() -> Iterator[str]:
    """Each line of shell, with those that it goes on with; without comments and files' texts."""
    for block in {block for page in PAGES for block in blocks(page)}:
        text = re.sub(r"(<<'?END'?\n).*?^END$", "", block, flags=re.DOTALL | re.MULTILINE)
        joined = re.sub(r"(\\|\|)\n\s*", lambda match: match[1].strip("\\"), text)
        for line in joined.splitlines():
            if command := re.sub(r"(^|\s+)# .*", "", line).strip():
                yield re.sub(r" {2,}", " ", command)


COMMANDS: Final = sorted(set(commands()))
OWN: Final = [
    command
    for command in COMMANDS
    if command.startswith(PROGRAMS) and not any(re.search(one, command) for one in ELSEWHERE)
]
ALONE: Final = re.compile(r"vats-exporter [^|&;<>$`(\\*?\[~#]*$")
"""A command of the program's and nothing else for a shell to do."""


def test_commands_are_found() -> None:
    assert len(OWN) > 40
    assert {bool(ALONE.match(one)) for one in OWN if "vats-exporter" in one} == {True, False}
    assert any(command.startswith("curl") for command in OWN)


def test_it_is_known_of_every_other_command_why_it_is_not_run_here() -> None:
    known = re.compile(
        "|".join([*ELSEWHERE, *(rf"^(\S*/)?{re.escape(one)}(?!\w)" for one in OTHERS)])
    )
    assert [one for one in COMMANDS if one not in OWN and not known.search(one)] == []


@dataclass
class Machine:
    """A folder with all that the documentation has, and the exporter's port."""

    folder: Path
    port: int

    def here(self, command: str, folder: Path) -> str:
        """Return a command with this machine's port and folders."""
        command = command.replace("localhost:9742", f"127.0.0.1:{self.port}")
        command = re.sub(r"/(etc|var/lib)/vats-exporter", str(folder), command)
        return command.replace("/backup/", f"{folder}/backup/")


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """An exporter in a process of its own, and its port."""
    command = [
        sys.executable,
        "-m",
        "vats_exporter",
        "serve",
        "--web.listen-address",
        "127.0.0.1:0",
    ]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            port = next(
                int(match[1])
                for line in process.stderr
                if (match := re.search(r"msg=listening address=127.0.0.1:(\d+)", line))
            )
            yield port
        finally:
            process.terminate()
            process.communicate()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("documentation")
    trunks = Population().make(4)
    mine = next(trunk for trunk in trunks if trunk.device is not None)
    trunks[trunks.index(mine)] = replace(mine, id=decode_long("CaLztv"), phone="79161234567")
    enterprise = Enterprise(2613189773, trunks)
    account = Account("office", "+7-9161234567", "secret", enterprise)
    with SimulatedCabinet([account]) as cabinet:
        settings = {"name": "office", "login": account.login, "password": account.password}
        document = {
            "accounts": [{**settings, "address": cabinet.url}],
            "details": {"enabled": True},
            "history": {"file": str(folder / "history.db")},
        }
        deployment = cabinet.deployment
        pages = [
            deployment.write(list_page(deployment, enterprise.number, some, 4))
            for some in (trunks[:3], trunks[3:])
        ]
        files = {
            "vats-exporter.yml": yaml.safe_dump(document),
            **dict.fromkeys(("visit.har", "vpbx.mts.ru.har"), json.dumps(record_visit(cabinet))),
            "phones.txt": "79161234567\n",
            "answer.txt": pages[0],
            "list-1.txt": pages[0],
            "list-2.txt": pages[1],
            "permutation.cache.js": scripts(deployment)[f"{deployment.permutations[0]}.cache.js"],
        }
        for name, text in files.items():
            (folder / name).write_text(text, "utf-8")
        with served(folder) as port:
            # A scrape waits for the first refresh, after which the history has the account.
            urlopen(f"http://127.0.0.1:{port}/metrics").close()
            yield Machine(folder, port)


@pytest.fixture
def folder(machine: Machine, tmp_path: Path) -> Path:
    """A copy of the machine's folder."""
    folder = tmp_path / "here"
    shutil.copytree(machine.folder, folder)
    (folder / "backup").mkdir()
    return folder


@pytest.mark.parametrize("command", [one for one in OWN if ALONE.match(one)])
def test_a_command_works_as_it_stands(
    machine: Machine,
    folder: Path,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if "import-har" in command:
        (folder / "vats-exporter.yml").unlink()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with process_put_back(), pytest.raises(SystemExit) as ended:
        main(shlex.split(machine.here(command, folder))[1:])
    said = capfd.readouterr().err
    assert not ended.value.code, said
    assert "Traceback" not in said


@pytest.mark.parametrize("command", [one for one in OWN if not ALONE.match(one)])
def test_a_line_of_shell_works_as_it_stands(machine: Machine, folder: Path, command: str) -> None:
    for program in ("curl", "jq"):
        if re.search(rf"\b{program}\b", command) and shutil.which(program) is None:
            pytest.skip(f"{program}, of a package of Debian's, is not on PATH")
    (folder / "venv" / "bin").mkdir(parents=True)
    for place in (folder / "vats-exporter", folder / "venv" / "bin" / "vats-exporter"):
        place.write_text(f'#!/bin/sh\nexec {sys.executable} -m vats_exporter "$@"\n', "utf-8")
        place.chmod(0o755)
    script = f"set -o pipefail\nPATH={folder}:$PATH\n{machine.here(command, folder)}"
    ended = subprocess.run(
        ["bash", "-c", script], check=False, cwd=folder, input="y\n", capture_output=True, text=True
    )
    # A metric may be missing where all is well, and then grep finds nothing.
    nothing_found = ended.returncode == 1 and "grep" in command and not ended.stderr
    assert ended.returncode == 0 or nothing_found, ended.stderr
    assert "Traceback" not in ended.stderr
