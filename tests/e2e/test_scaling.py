"""Accounts spread over exporters by a real Prometheus, over TLS and with a password."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import bcrypt
import pytest
import trustme
import yaml

from tests.e2e.stack import DEPLOY, PATIENCE, free_port
from vats_exporter.demo import SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typing_extensions import Self

PASSWORD = "scrape me"


class Fleet:
    """Exporters with one configuration and one Prometheus that asks them."""

    def __init__(self, cabinet: SimulatedCabinet, folder: Path) -> None:
        self.folder = folder
        self.ports = [free_port(), free_port()]
        self._prometheus = free_port()
        self._programs = ExitStack()
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(folder / "ca.pem")
        self._trust = ssl.create_default_context()
        self._authority.configure_trust(self._trust)
        self._write("vats-exporter.yml", self._configuration(cabinet))

    @staticmethod
    def _configuration(cabinet: SimulatedCabinet) -> dict[str, Any]:
        accounts = [
            {
                "name": one.name,
                "login": one.login,
                "password": one.password,
                "address": cabinet.url,
                "labels": {"city": f"City {one.name}"},
            }
            for one in cabinet.accounts
        ]
        return {"accounts": accounts, "cache": {"ttl": "1s", "stale": "60s"}}

    def _write(self, name: str, content: Any) -> Path:
        file = self.folder / name
        file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        return file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._programs.close()

    def start_exporters(self, *arguments: str, protected: bool) -> None:
        if protected:
            issued = self._authority.issue_cert("127.0.0.1")
            issued.private_key_pem.write_to_path(self.folder / "server.key")
            issued.cert_chain_pems[0].write_to_path(self.folder / "server.pem")
            hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(8)).decode()
            web = self._write(
                "web.yml",
                {
                    "tls_server_config": {"cert_file": "server.pem", "key_file": "server.key"},
                    "basic_auth_users": {"prometheus": hashed},
                    "auth_excluded_paths": ["/-/ready"],
                },
            )
            arguments = (*arguments, "--web.config.file", str(web))
        for port in self.ports:
            self._start(
                f"exporter {port}",
                [
                    sys.executable,
                    *("-m", "vats_exporter", "serve"),
                    *("--config.file", str(self.folder / "vats-exporter.yml")),
                    f"--web.listen-address=127.0.0.1:{port}",
                    *arguments,
                ],
                f"http{'s' if protected else ''}://127.0.0.1:{port}/-/ready",
            )

    def start_prometheus(self, configuration: dict[str, Any]) -> None:
        file = self._write("prometheus.yml", configuration)
        self._start(
            "prometheus",
            [
                "prometheus",
                f"--config.file={file}",
                f"--storage.tsdb.path={self.folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{self._prometheus}",
            ],
            f"http://127.0.0.1:{self._prometheus}/-/ready",
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

        def is_ready() -> bool:
            assert process.poll() is None, self.log(name)
            try:
                with urlopen(ready, timeout=1, context=self._trust) as answer:
                    return bool(answer.status == 200)
            except (URLError, OSError):
                return False

        until(f"{name} is ready", is_ready)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def ask(self, path: str) -> Any:
        with urlopen(f"http://127.0.0.1:{self._prometheus}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def targets(self) -> list[dict[str, Any]]:
        """What Prometheus scrapes; a target's health is ``unknown`` until it was scraped once."""
        active: list[dict[str, Any]] = self.ask("targets?state=active")["activeTargets"]
        return active

    def query(self, expression: str) -> dict[str, float]:
        """A query's values by account."""
        result = self.ask(f"query?query={quote(expression)}")["result"]
        return {one["metric"].get("account", ""): float(one["value"][1]) for one in result}


def until(what: str, seen: Callable[[], bool]) -> None:
    """Look a few times a second until it is so."""
    pause = threading.Event()
    deadline = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        pause.wait(0.1)


def fast(configuration: dict[str, Any]) -> dict[str, Any]:
    """Prometheus' configuration, a second where it has a minute, and without rules."""
    configuration["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    configuration.pop("rule_files", None)
    return configuration


@pytest.fixture
def cabinet() -> Iterator[SimulatedCabinet]:
    with SimulatedCabinet(make_accounts(8, trunks=5)) as simulated:
        yield simulated


def test_accounts_are_split_so_that_each_is_read_exactly_once(
    cabinet: SimulatedCabinet, tmp_path: Path
) -> None:
    with Fleet(cabinet, tmp_path) as fleet:
        fleet.start_exporters("--collector.probe-only", protected=True)
        text = (DEPLOY / "prometheus" / "scaling.yml").read_text()
        for number, port in enumerate(fleet.ports):
            text = text.replace(f"http://vats-exporter-{number}:9742", f"https://127.0.0.1:{port}")
            text = text.replace(f"vats-exporter-{number}:9742", f"127.0.0.1:{port}")
        configuration = fast(yaml.safe_load(text))
        client = {
            "basic_auth": {"username": "prometheus", "password": PASSWORD},
            "tls_config": {"ca_file": str(tmp_path / "ca.pem")},
        }
        accounts, exporters = configuration["scrape_configs"]
        accounts.update(client)
        for discovery in accounts["http_sd_configs"]:
            discovery.update(client, refresh_interval="1s")
        exporters.update(client, scheme="https")
        fleet.start_prometheus(configuration)

        everyone = {one.name for one in cabinet.accounts}
        up = "sum by (account) (vats_up)"
        until("every account is up", lambda: fleet.query(up) == dict.fromkeys(everyone, 1.0))
        trunks = "count by (account) (vats_trunk_active)"
        assert fleet.query(trunks) == dict.fromkeys(everyone, 5.0)
        probes = fleet.ask("query?query=" + quote("vats_probe_success"))["result"]
        assert {one["metric"]["instance"] for one in probes} == everyone
        assert all(one["metric"]["city"] for one in probes)
        assert "exported_instance" not in str(probes)

        # The accounts may all be there before an exporter's own turn has come for the first time.
        until(
            "every target was scraped",
            lambda: all(one["health"] != "unknown" for one in fleet.targets()),
        )
        targets = fleet.targets()
        unwell = [one["scrapeUrl"] + one["lastError"] for one in targets if one["health"] != "up"]
        assert unwell == []
        of_accounts = [one for one in targets if one["scrapePool"] == "vats-accounts"]
        assert (len(of_accounts), len(targets)) == (8, 10)
        used = {one["scrapeUrl"].partition("/probe")[0] for one in of_accounts}
        assert used == {f"https://127.0.0.1:{port}" for port in fleet.ports}
        # Prometheus asks for OpenMetrics first, and takes it.
        assert "level=warn" not in fleet.log("prometheus")

        # One exporter signed in to each account, once.
        assert cabinet.stats()["sign_ins"] == 8


def test_two_replicas_of_an_account_sign_in_once_each(
    cabinet: SimulatedCabinet, tmp_path: Path
) -> None:
    with Fleet(cabinet, tmp_path) as fleet:
        fleet.start_exporters(protected=False)
        job = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
        (section,) = job["scrape_configs"]
        targets = [f"127.0.0.1:{port}" for port in fleet.ports]
        section["static_configs"] = [{"targets": targets}]
        fleet.start_prometheus(fast({"scrape_configs": [section]}))
        twice = {one.name: 2.0 for one in cabinet.accounts}
        reads = "count by (account) (vats_refreshes_total{result='success'} >= 3)"
        until(
            "each replica has read each account three times",
            lambda: fleet.query(reads) == twice,
        )
        assert fleet.query("count by (account) (vats_up == 1)") == twice
        # The sessions of one do not end those of the other.
        assert cabinet.stats()["sign_ins"] == 16
