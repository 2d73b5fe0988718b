"""Real programs around a simulated cabinet: exporters, Prometheus, Alertmanager, a webhook.

They run with the files of ``deploy/``, after one substitution that makes a minute as long as
:data:`MINUTE`: every duration in the rules and in both configurations, and every ``* 60`` and
``* 86400`` in an expression. The receivers of Alertmanager's example are sent to a webhook, each
under its name. Nothing else is changed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from benchmarks.bench_rules import shorten
from tests.e2e.receivers import PATIENCE, Receivers

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from vats_exporter.demo import SimulatedCabinet

__all__ = ["DEPLOY", "MINUTE", "PATIENCE", "Message", "Stack", "free_port"]

DEPLOY = Path(__file__).parents[2] / "deploy"
MINUTE = float(os.environ.get("E2E_MINUTE", "1"))
"""Seconds that stand for a minute. A slow or busy machine needs more."""

_SERVE = (
    "import sys; from vats_exporter import cli; from vats_exporter.cabinet import sign_in;"
    f"sign_in.PACE = sign_in.SignInPace(pause={MINUTE}); cli.main(sys.argv[1:])"
)
RESEND_DELAY, LOOKBACK = 25, 5
"""Minutes, as the rules' head says."""


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


# Each worker has ports of its own, below those that the system gives outgoing connections: one of
# these could be taken before a program listens on it.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 40
_PORTS = iter(range(10_000 + 500 * _WORKER, 10_500 + 500 * _WORKER))


def free_port() -> int:
    for port in _PORTS:
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    pytest.fail("no port is free")


class Message(NamedTuple):
    """One thing that people are told.

    Attributes:
        receiver: who is.
        alert: its name.
        account: its label; empty if it has none.
        status: ``firing`` or ``resolved``.
        of: the trunks' references or the instances; empty for an alert of the whole account.
    """

    receiver: str
    alert: str
    account: str
    status: str
    of: frozenset[str] = frozenset()


class Webhook(Receivers):
    """What Alertmanager sent: the newest word on each alert, and each message's news."""

    def alerts(self) -> list[dict[str, Any]]:
        with self.news:
            return [
                {**alert, "receiver": post["receiver"]}
                for post in self.posts
                for alert in post["alerts"]
            ]

    def alert(self, name: str, account: str = "", trunk: str = "") -> dict[str, Any] | None:
        """The newest word on an alert."""
        found = [
            alert
            for alert in self.alerts()
            if (name, account, trunk)
            == tuple(alert["labels"].get(label, "") for label in ("alertname", "account", "trunk"))
        ]
        return found[-1] if found else None

    def firing(self, name: str, account: str = "", trunk: str = "") -> dict[str, Any]:
        """Wait until an alert is told."""
        alert: dict[str, Any] = self.until(
            f"{name} {account} {trunk} fires",
            lambda: (one := self.alert(name, account, trunk)) and one["status"] == "firing" and one,
        )
        return alert

    def resolved(self, name: str, account: str = "", trunk: str = "") -> dict[str, Any]:
        """Wait until an alert that was told is resolved."""
        alert: dict[str, Any] = self.until(
            f"{name} {account} {trunk} is resolved",
            lambda: (
                (one := self.alert(name, account, trunk)) and one["status"] == "resolved" and one
            ),
        )
        return alert

    def told(self) -> list[Message]:
        """What each message said that the one before on the same alerts did not.

        A message without news is one that tells of nothing: a reminder, or a double.
        """
        firing: dict[tuple[str, str], frozenset[str]] = {}
        told = []
        with self.news:
            posts = list(self.posts)
        for post in posts:
            labels = post["commonLabels"]
            head = (post["receiver"], labels["alertname"], labels.get("account", ""))
            group = (post["receiver"], post["groupKey"])
            now, over = (
                frozenset(
                    alert["labels"].get("trunk") or alert["labels"].get("instance", "")
                    for alert in post["alerts"]
                    if alert["status"] == status
                )
                for status in ("firing", "resolved")
            )
            before = firing.get(group, frozenset())
            if now - before or not over:
                told.append(Message(*head, "firing", (now - before) - {""}))
            if over:
                told.append(Message(*head, "resolved", over - {""}))
            firing[group] = now
        return told


class Program:
    """A program that was started, and can be killed, stopped and started again."""

    def __init__(self, stack: Stack, name: str, command: list[str], ready: str) -> None:
        self._stack = stack
        self._name = name
        self._command = command
        self._ready = ready
        self._log = stack.folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which(self._command[0])
        if program is None:
            pytest.skip(f"{self._command[0]}, a package of Debian's, is not on PATH")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [program, *self._command[1:]], stdout=log, stderr=subprocess.STDOUT
            )
        process = self._process

        def is_ready() -> bool:
            assert process.poll() is None, self._log.read_text()
            try:
                with urlopen(self._ready, timeout=1) as answer:
                    return bool(answer.status == 200)
            except (URLError, OSError):
                return False

        self._stack.webhook.until(f"{self._name} is ready", is_ready)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    def kill(self) -> None:
        self.stop(signal.SIGKILL)


class Stack:
    """Everything, started; stops with its context.

    Args:
        cabinet: what the exporters read.
        folder: for all files.
        minute: seconds that stand for one.
        account: keys of the exporters' configuration that an account has besides.
        prometheus: Prometheus' configuration; that of ``deploy/`` unless given. The exporters are
            ``vats-exporter:9742`` in it, or ``vats-exporter-0:9742`` and so on.
        exporters: how many.
        options: of each exporter.
        details: whether the trunks' details are read.
    """

    def __init__(
        self,
        cabinet: SimulatedCabinet,
        folder: Path,
        *,
        minute: float = MINUTE,
        account: Callable[[str], dict[str, Any]] = lambda _: {},
        prometheus: str = "",
        exporters: int = 1,
        options: tuple[str, ...] = (),
        details: bool = False,
    ) -> None:
        self.cabinet = cabinet
        self.folder = folder
        self.minute = minute
        self._account = account
        self._configuration = prometheus or (DEPLOY / "prometheus" / "prometheus.yml").read_text()
        self._details = details
        self.ports = [free_port() for _ in range(exporters)]
        self._prometheus_port = free_port()
        self._alertmanager_port = free_port()
        self._closing = ExitStack()
        self.webhook = Webhook()
        self.webhook.patience = max(PATIENCE, 30 * minute)
        self._closing.callback(self.webhook.close)
        self.exporters = [
            Program(
                self,
                f"exporter-{port}",
                [
                    sys.executable,
                    # A minute between two passwords is as short as any other.
                    *("-c", _SERVE, "serve"),
                    *("--config.file", str(self.folder / "vats-exporter.yml")),
                    f"--web.listen-address=127.0.0.1:{port}",
                    *options,
                ],
                f"http://127.0.0.1:{port}/-/ready",
            )
            for port in self.ports
        ]
        self.alertmanager = Program(
            self,
            "alertmanager",
            [
                "prometheus-alertmanager",
                f"--config.file={folder / 'alertmanager.yml'}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{self._alertmanager_port}",
                "--cluster.listen-address=",
                f"--data.maintenance-interval={_duration(minute)}",
            ],
            f"http://127.0.0.1:{self._alertmanager_port}/-/ready",
        )
        self.prometheus = Program(
            self,
            "prometheus",
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{self._prometheus_port}",
                f"--query.lookback-delta={_duration(LOOKBACK * minute)}",
                f"--rules.alert.resend-delay={_duration(RESEND_DELAY * minute)}",
                f"--rules.alert.for-grace-period={_duration(10 * minute)}",
            ],
            f"http://127.0.0.1:{self._prometheus_port}/-/ready",
        )

    def __enter__(self) -> Self:
        try:
            self._write_exporter()
            self._write_alertmanager()
            self._write_prometheus()
            for program in (*self.exporters, self.alertmanager, self.prometheus):
                self._closing.callback(program.stop)
                program.start()
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _write(self, name: str, content: Any) -> None:
        text = yaml.safe_dump(content, allow_unicode=True)
        (self.folder / name).write_text(text, encoding="utf-8")

    def _write_exporter(self) -> None:
        accounts = [
            {
                "name": account.name,
                "login": account.login,
                "password": account.password,
                "address": self.cabinet.url,
                **self._account(account.name),
            }
            for account in self.cabinet.accounts
        ]
        cache = {"ttl": _duration(self.minute), "stale": _duration(15 * self.minute)}
        configuration = {"accounts": accounts, "cache": cache, "details": self._details}
        self._write("vats-exporter.yml", configuration)

    def _write_prometheus(self) -> None:
        rules = self.folder / "rules"
        rules.mkdir()
        for file in (DEPLOY / "prometheus" / "rules").glob("*.yml"):
            text = shorten(file.read_text(encoding="utf-8"), self.minute)
            (rules / file.name).write_text(text, encoding="utf-8")
        text = self._configuration
        for number, port in enumerate(self.ports):
            text = text.replace(f"vats-exporter-{number}:9742", f"127.0.0.1:{port}")
        text = text.replace("vats-exporter:9742", f"127.0.0.1:{self.ports[0]}")
        text = text.replace("alertmanager:9093", f"127.0.0.1:{self._alertmanager_port}")
        configuration = yaml.safe_load(text)
        second = _duration(self.minute)
        for key in ("scrape_interval", "scrape_timeout", "evaluation_interval"):
            configuration["global"][key] = second
        for job in configuration["scrape_configs"]:
            for discovery in job.get("http_sd_configs", ()):
                discovery["refresh_interval"] = second
        self._write("prometheus.yml", configuration)

    def _write_alertmanager(self) -> None:
        text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text()
        configuration = yaml.safe_load(shorten(text, self.minute))
        configuration["receivers"] = [
            {
                "name": receiver["name"],
                "webhook_configs": [{"url": self.webhook.url, "send_resolved": True}],
            }
            for receiver in configuration["receivers"]
        ]
        del configuration["global"], configuration["templates"]
        self._write("alertmanager.yml", configuration)

    def metrics(self) -> str:
        with urlopen(f"http://127.0.0.1:{self.ports[0]}/metrics", timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Ask Prometheus for this moment."""
        return self._ask("query", query=expression)

    def query_range(
        self, expression: str, start: float, end: float, step: float
    ) -> list[dict[str, Any]]:
        """Ask Prometheus for every ``step`` seconds of a time."""
        return self._ask("query_range", query=expression, start=start, end=end, step=step)

    def _ask(self, kind: str, **asked: str | float) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:{self._prometheus_port}/api/v1/{kind}"
        with urlopen(url, urlencode(asked).encode(), timeout=10) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return result

    def minutes(self, number: float) -> None:
        """Wait until so many of the stack's minutes have passed."""
        end = time.monotonic() + number * self.minute
        self.webhook.until(
            f"{number:g} minutes", lambda: time.monotonic() >= end, number * self.minute + PATIENCE
        )
