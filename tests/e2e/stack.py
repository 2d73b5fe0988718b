"""Real programs around a simulated cabinet: the exporter, Prometheus, Alertmanager, a webhook.

They run with the files of ``deploy/``, after one substitution that makes a minute a second: every
duration in the rules and in both configurations is divided by 60, the receivers of Alertmanager's
example are sent to the webhook, each under its name. Nothing else is changed.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from vats_exporter.demo import SimulatedCabinet

DEPLOY = Path(__file__).parents[2] / "deploy"
PATIENCE = 90.0
"""Seconds that anything is waited for; everything comes much sooner."""

_SMALLER = {"s": None, "m": "s", "h": "m", "d": "h"}


def sixtieth(text: str) -> str:
    """Divide every duration of minutes, hours and days by 60, and 600 seconds as well."""
    shorter = re.sub(r"\b(\d+)([mhd])\b", lambda m: f"{m[1]}{_SMALLER[m[2]]}", text)
    return shorter.replace("> 600", "> 10")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Webhook:
    """What Alertmanager sent, the newest word on each alert."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._alerts: dict[tuple[str, str, str, str], dict[str, Any]] = {}
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                webhook.take(json.loads(body))

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, message: dict[str, Any]) -> None:
        with self._news:
            for alert in message["alerts"]:
                labels = alert["labels"]
                key = (
                    labels["alertname"],
                    labels.get("account", ""),
                    labels.get("trunk", ""),
                    labels.get("pattern", ""),
                )
                self._alerts[key] = {**alert, "receiver": message["receiver"]}
            self._news.notify_all()

    def until(self, what: str, seen: Callable[[], Any]) -> Any:
        """Wait until something is so, looked at again with each message and four times a second."""
        result: Any = None

        def look() -> bool:
            nonlocal result
            result = seen()
            return bool(result)

        with self._news:
            for _ in range(int(PATIENCE * 4)):
                if look():
                    return result
                self._news.wait(0.25)
        told = "\n".join(f"{key}: {alert['status']}" for key, alert in self._alerts.items())
        raise AssertionError(f"{what}: not within {PATIENCE:g} s; Alertmanager told\n{told}")

    def alert(self, name: str, account: str = "", trunk: str = "") -> dict[str, Any] | None:
        """The newest word on an alert; of any pattern."""
        found = [alert for key, alert in self._alerts.items() if key[:3] == (name, account, trunk)]
        return found[-1] if found else None

    def firing(self, name: str, account: str = "", trunk: str = "") -> dict[str, Any]:
        """Wait until an alert fires."""
        alert: dict[str, Any] = self.until(
            f"{name} {account} {trunk} fires",
            lambda: (one := self.alert(name, account, trunk)) and one["status"] == "firing" and one,
        )
        return alert

    def resolved(self, name: str, account: str = "", trunk: str = "") -> None:
        """Wait until an alert that fired is resolved."""
        self.until(
            f"{name} {account} {trunk} is resolved",
            lambda: (one := self.alert(name, account, trunk)) and one["status"] == "resolved",
        )

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Stack:
    """Everything, started; stops with its context."""

    def __init__(self, cabinet: SimulatedCabinet, folder: Path) -> None:
        self.cabinet = cabinet
        self.folder = folder
        self.exporter_port = free_port()
        self.prometheus_port = free_port()
        self.alertmanager_port = free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._programs = ExitStack()
        self.webhook = Webhook()
        self._programs.callback(self.webhook.close)

    def __enter__(self) -> Self:
        try:
            self.start_exporter()
            self._start_alertmanager()
            self._start_prometheus()
        except BaseException:
            self._programs.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._programs.close()

    def start_exporter(self) -> None:
        accounts = [
            {
                "name": account.name,
                "login": account.login,
                "password": account.password,
                "address": self.cabinet.url,
            }
            for account in self.cabinet.accounts
        ]
        configuration = {"accounts": accounts, "cache": {"ttl": "1s", "stale": "15s"}}
        file = self.folder / "vats-exporter.yml"
        file.write_text(yaml.safe_dump(configuration, allow_unicode=True), encoding="utf-8")
        self._start(
            "exporter",
            [
                sys.executable,
                *("-m", "vats_exporter", "serve", "--config.file", str(file)),
                f"--web.listen-address=127.0.0.1:{self.exporter_port}",
            ],
            f"http://127.0.0.1:{self.exporter_port}/-/ready",
        )

    def _start_prometheus(self) -> None:
        (self.folder / "rules").mkdir()
        for file in (DEPLOY / "prometheus" / "rules").glob("*.yml"):
            text = sixtieth(file.read_text(encoding="utf-8"))
            (self.folder / "rules" / file.name).write_text(text, encoding="utf-8")
        text = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
        configuration = yaml.safe_load(text)
        configuration["global"] = {
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "evaluation_interval": "1s",
        }
        for section, port in (
            (configuration["scrape_configs"][0], self.exporter_port),
            (configuration["alerting"]["alertmanagers"][0], self.alertmanager_port),
        ):
            section["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
        file = self.folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
        self._start(
            "prometheus",
            [
                "prometheus",
                f"--config.file={file}",
                f"--storage.tsdb.path={self.folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{self.prometheus_port}",
                "--alertmanager.notification-queue-capacity=1000",
                "--rules.alert.resend-delay=1s",
            ],
            f"http://127.0.0.1:{self.prometheus_port}/-/ready",
        )

    def _start_alertmanager(self) -> None:
        text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text()
        configuration = yaml.safe_load(sixtieth(text).replace("group_wait: 30s", "group_wait: 1s"))
        configuration["route"]["group_interval"] = "1s"
        configuration["receivers"] = [
            {
                "name": receiver["name"],
                "webhook_configs": [{"url": self.webhook.url, "send_resolved": True}],
            }
            for receiver in configuration["receivers"]
        ]
        del configuration["global"], configuration["templates"]
        file = self.folder / "alertmanager.yml"
        file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
        self._start(
            "alertmanager",
            [
                "prometheus-alertmanager",
                f"--config.file={file}",
                f"--storage.path={self.folder / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{self.alertmanager_port}",
                "--cluster.listen-address=",
            ],
            f"http://127.0.0.1:{self.alertmanager_port}/-/ready",
        )

    def _start(self, name: str, command: list[str], ready: str) -> None:
        program = shutil.which(command[0])
        if program is None:
            pytest.skip(f"{command[0]}, a package of Debian's, is not on PATH")
        log = self._programs.enter_context((self.folder / f"{name}.log").open("wb"))
        process = self._programs.enter_context(
            subprocess.Popen([program, *command[1:]], stdout=log, stderr=subprocess.STDOUT)
        )
        self._programs.callback(process.terminate)
        self.processes[name] = process

        def is_ready() -> bool:
            assert process.poll() is None, (self.folder / f"{name}.log").read_text()
            try:
                with urlopen(ready, timeout=1) as answer:
                    return bool(answer.status == 200)
            except (URLError, OSError):
                return False

        self.webhook.until(f"{name} is ready", is_ready)

    def metrics(self) -> str:
        with urlopen(f"http://127.0.0.1:{self.exporter_port}/metrics", timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    def suppressed(self) -> set[tuple[str, str]]:
        """Alerts that Alertmanager holds back, by name and account."""
        url = f"http://127.0.0.1:{self.alertmanager_port}/api/v2/alerts"
        with urlopen(url, timeout=10) as answer:
            alerts = json.load(answer)
        return {
            (alert["labels"]["alertname"], alert["labels"].get("account", ""))
            for alert in alerts
            if alert["status"]["inhibitedBy"]
        }

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Ask Prometheus for this moment."""
        return self._ask("query", query=expression)

    def query_range(
        self, expression: str, start: float, end: float, step: float
    ) -> list[dict[str, Any]]:
        """Ask Prometheus for every ``step`` seconds of a time."""
        return self._ask("query_range", query=expression, start=start, end=end, step=step)

    def _ask(self, kind: str, **asked: str | float) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:{self.prometheus_port}/api/v1/{kind}"
        with urlopen(url, urlencode(asked).encode(), timeout=10) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return result
