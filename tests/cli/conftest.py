"""Running commands in this process, as a shell would see them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import pytest

from tests.process import process_put_back
from vats_exporter.cli import main, speak
from vats_exporter.demo import SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[..., "Ended"]

WIRE = Path(__file__).parents[1] / "wire"


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit status and the two outputs."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Undo what commands set up for their process."""
    with process_put_back():
        yield


@pytest.fixture(autouse=True)
def _in_english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Speak English whatever the locale is, and again after a test that spoke Russian."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANGUAGE", "")
    yield
    speak("en")


@pytest.fixture
def wire() -> Path:
    """The folder of the captures."""
    return WIRE


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Runs a command line."""

    def run_command(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        captured = capfdbinary.readouterr()
        code = caught.value.code
        assert code is None or isinstance(code, int)
        return Ended(code or 0, captured.out.decode(), captured.err.decode())

    return run_command


def in_a_shell(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of a shell in which vats-exporter is this one."""
    command = line.replace("vats-exporter ", f"{sys.executable} -m vats_exporter ")
    return subprocess.run(
        ["/bin/sh", "-c", command],
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


class Running:
    """A command in a process of its own, which goes on until it is told to end."""

    def __init__(self, *arguments: str, **variables: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vats_exporter", *arguments],
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._log: list[str] = []

    def logged(self, message: str) -> dict[str, object]:
        """Wait for a line of the log, which has to be JSON; return its fields."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._log.append(line)
            fields: dict[str, object] = json.loads(line)
            if fields["msg"] == message:
                return fields
        raise AssertionError(f"ended without {message!r}: {self._log}")

    def end(self, number: int) -> Ended:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        stdout, stderr = self.process.communicate(timeout=20)
        return Ended(self.process.returncode, stdout, "".join(self._log) + stderr)

    def close(self) -> None:
        """End it for good, if it is still there."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=20)


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Starts command lines in processes of their own."""
    started: list[Running] = []

    def start_command(*arguments: str, **variables: str) -> Running:
        started.append(Running(*arguments, **variables))
        return started[-1]

    yield start_command
    for running in started:
        running.close()


def fetch(url: str, content: str | None = None) -> str:
    """Get a page, or post something to it."""
    request = Request(url, data=content.encode() if content is not None else None)
    with urlopen(request, timeout=20) as answer:
        text: str = answer.read().decode()
        return text


@pytest.fixture
def cabinet() -> Iterator[SimulatedCabinet]:
    with SimulatedCabinet(make_accounts(2, trunks=12)) as cabinet:
        yield cabinet


@pytest.fixture
def config(
    cabinet: SimulatedCabinet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str]:
    lines = ["accounts:"]
    for number, account in enumerate(cabinet.accounts):
        monkeypatch.setenv(f"PASSWORD_{number}", account.password)
        lines += [
            f"  - name: {account.name}",
            f"    login: '{account.login}'",
            f"    password_env: PASSWORD_{number}",
            f"    address: {cabinet.url}",
            "    selector_method: setEnabled",
        ]
    file = tmp_path / "vats-exporter.yml"
    file.write_text("\n".join(lines), encoding="utf-8")
    return ("--config.file", str(file))


def with_device(cabinet: SimulatedCabinet, account: str = "demo-1") -> list[str]:
    """Phones of trunks whose selector is on."""
    trunks = cabinet.account(account).enterprise.trunks()
    return [trunk.phone for trunk in trunks if trunk.device is not None and trunk.device.enabled]


def selectors(cabinet: SimulatedCabinet, account: str = "demo-1") -> dict[str, bool | None]:
    return {
        trunk.phone: trunk.device.enabled if trunk.device else None
        for trunk in cabinet.account(account).enterprise.trunks()
    }
