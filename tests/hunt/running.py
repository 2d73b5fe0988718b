"""The exporter and its commands, as processes of their own, and everything that they say."""

from __future__ import annotations

import base64
import json
import os
import re
import select
import ssl
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import bcrypt
import trustme

from tests.hunt import provoked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vats_exporter.demo import SimulatedCabinet

PATIENCE: Final = 30.0
VARIABLE: Final = "OFFICE_PASSWORD"


class Way(NamedTuple):
    """One way to run it.

    Attributes:
        log_format: as the option takes it.
        password_key: which of the configuration's keys for a password.
    """

    log_format: str
    password_key: str

    def __str__(self) -> str:
        return f"{self.log_format}, {self.password_key}"


class Place:
    """A folder with all that is needed to run the program, and what was found out about it.

    Args:
        folder: for its files.
        cabinet: what the configuration leads to.
        password: of the cabinet's only account.
        way: how to run it.

    Attributes:
        started: what was seen to be started by what was run.
    """

    def __init__(self, folder: Path, cabinet: SimulatedCabinet, password: str, way: Way) -> None:
        self.folder = folder
        self.way = way
        self.started: list[str] = []
        self._cabinet = cabinet
        self._bugs = folder / "bugs"
        self._bugs.mkdir()
        self._commands: subprocess.Popen[bytes] | None = None
        self._password = folder / "password"
        self.environment = dict(os.environ)
        if way.password_key == "password_env":
            self.environment[VARIABLE] = password
        # To trust one authority alone saves each command reading all of the system's.
        trustme.CA().cert_pem.write_to_path(folder / "ca.pem")
        self.set_password(password)
        self.write_config()
        self.provoke("", "")

    @property
    def config(self) -> tuple[str, str]:
        """The option that names the configuration."""
        return "--config.file", str(self.folder / "config.yml")

    def set_password(self, password: str) -> None:
        self._password.write_text(password, "utf-8")

    def write_config(
        self, extra: str = "", names: Sequence[str] = ("office",), login: str = ""
    ) -> None:
        """Write the configuration.

        Args:
            extra: lines for each account.
            names: of accounts, which all have the same login.
            login: of theirs; the cabinet's only one if empty.
        """
        (account,) = self._cabinet.accounts
        password = {"password_file": "password", "password_env": VARIABLE}[self.way.password_key]
        accounts = "".join(
            f"  - name: {name}\n    login: '{login or account.login}'\n"
            f"    {self.way.password_key}: {password}\n    address: '{self._cabinet.url}'\n"
            f"    selector_method: setEnabled\n    tls: {{ca_file: ca.pem}}\n"
            # Python fills all memory that it is given in development mode, read or not.
            f"    max_response: 1MB\n{extra}"
            for name in names
        )
        (self.folder / "config.yml").write_text(
            f"accounts:\n{accounts}"
            "cache: {ttl: 0s, stale: 1h}\ndetails: {ttl: 1ms}\nhistory: {file: history.db}\n",
            "utf-8",
        )

    def provoke(self, place: str, secrets: str) -> None:
        """Let an exception be raised at a place from now on; at none, if that is empty."""
        (self._bugs / "secrets").write_text(secrets, "utf-8")
        (self._bugs / "bug").write_text(place, "utf-8")

    def provoked(self) -> set[str]:
        """The places at which one was raised."""
        file = self._bugs / "provoked"
        return set(file.read_text("utf-8").splitlines()) if file.exists() else set()

    def command(self, *arguments: str) -> list[str]:
        """What runs the program, with bugs to be provoked in it."""
        return [sys.executable, provoked.__file__, str(self._bugs), *arguments]

    def look_for_children(self, pid: int) -> None:
        """Note whatever descends from a process now: its arguments and its environment."""
        for child in _children(pid):
            with suppress(OSError):
                told = (child / "cmdline").read_bytes() + (child / "environ").read_bytes()
                self.started.append(told.decode(errors="replace"))
            self.look_for_children(int(child.name))

    def all_started(self) -> list[str]:
        """What was seen to be started, by the kernel's list and by the programs themselves."""
        file = self._bugs / "started"
        return self.started + (file.read_text("utf-8").splitlines() if file.exists() else [])

    def run(self, *arguments: str, bug: str = "") -> tuple[int, bytes]:
        """Run a command to its end, with an exception provoked somewhere.

        Returns:
            its status, and all that it said.
        """
        if self._commands is None:
            self._commands = subprocess.Popen(
                self.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment
            )
        commands = self._commands
        assert commands.stdin is not None
        assert commands.stdout is not None
        commands.stdin.write(json.dumps([bug, *arguments]).encode() + b"\n")
        commands.stdin.flush()
        deadline = time.monotonic() + PATIENCE
        while not select.select([commands.stdout], [], [], 0.05)[0]:
            assert time.monotonic() < deadline, arguments
            for command in _children(commands.pid):
                self.look_for_children(int(command.name))
        return int(commands.stdout.readline()), (self._bugs / "said").read_bytes()

    def close(self) -> None:
        """Run no more commands."""
        if self._commands is not None:
            self._commands.kill()
            self._commands.communicate()


def _children(pid: int) -> list[Path]:
    """The processes that one has started, by the kernel's list; none where there is no such."""
    found: list[Path] = []
    # Each thread has its own children.
    for listed in Path("/proc", str(pid), "task").glob("*/children"):
        with suppress(OSError):
            found += (Path("/proc", child) for child in listed.read_text().split())
    return found


class Exporter:
    """``serve`` at log level debug, with TLS and passwords of its own; and what it said.

    Args:
        place: where it runs.
        visitor: the name and the password of who may ask for pages.

    Attributes:
        pages: heads and bodies of all answers, by what was asked for.
        key: the TLS key.
        hashed: the password's hash.
    """

    def __init__(self, place: Place, visitor: tuple[str, str]) -> None:
        self.place = place
        folder = place.folder
        self._visitor = visitor
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        self.key = issued.private_key_pem.bytes().decode()
        (folder / "server.key").write_text(self.key)
        issued.cert_chain_pems[0].write_to_path(folder / "server.crt")
        self.hashed = bcrypt.hashpw(visitor[1].encode(), bcrypt.gensalt(4)).decode()
        (folder / "web.yml").write_text(
            "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
            f"basic_auth_users: {{{visitor[0]}: '{self.hashed}'}}\n"
        )
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                place.command(
                    *("serve", *place.config),
                    *("--web.config.file", str(folder / "web.yml")),
                    *("--web.listen-address", "127.0.0.1:0", "--web.enable-lifecycle"),
                    *("--log.level", "debug", "--log.format", place.way.log_format),
                ),
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**place.environment, "PYTHONDEVMODE": "1"},
            )
        self._trust = ssl.create_default_context()
        authority.configure_trust(self._trust)
        self._port = int(self.logged(rb"listening.*127\.0\.0\.1:(\d+)")[1])
        self.pages: dict[str, bytes] = {}

    @property
    def log(self) -> bytes:
        """All that it wrote, of whatever kind."""
        return self._log.read_bytes()

    def logged(self, pattern: bytes, past: int = 0) -> re.Match[bytes]:
        """Wait for the log to hold something, in what comes after so many bytes."""
        deadline = time.monotonic() + PATIENCE
        while True:
            match = re.search(pattern, self.log[past:])
            if match is not None:
                return match
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)

    def ask(self, path: str, method: str = "GET", password: str = "", **headers: str) -> int:
        """Ask for a page, and keep its head and body; 0 where there is none."""
        token = base64.b64encode(f"{self._visitor[0]}:{password or self._visitor[1]}".encode())
        sent = {"Authorization": f"Basic {token.decode()}", **headers}
        connection = HTTPSConnection("127.0.0.1", self._port, timeout=PATIENCE, context=self._trust)
        try:
            connection.request(method, path, headers=sent)
            answer = connection.getresponse()
            body = answer.read()
        except (HTTPException, OSError):
            return 0
        finally:
            connection.close()
        name = f"{method} {path} {headers or ''} {len(self.pages)}"
        self.pages[name] = str(answer.getheaders()).encode() + body
        return answer.status

    def ask_for_everything(self) -> None:
        """Ask for each page that tells of accounts."""
        for path in ("/metrics", "/", "/probe?account=office&debug=true"):
            self.ask(path)
        self.place.look_for_children(self.process.pid)

    def asides(self) -> Mapping[str, bytes]:
        """What the system shows of it to others: arguments, and the environment if not secret."""
        shown = ["cmdline"]
        if self.place.way.password_key != "password_env":
            shown.append("environ")
        proc = Path("/proc", str(self.process.pid))
        return {name: (proc / name).read_bytes() for name in shown if (proc / name).exists()}
