"""Starting and stopping the exporter as one thing."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from tests.process import process_put_back
from tests.web.clients import until
from vats_exporter import app, logs
from vats_exporter.address import ListenAddress
from vats_exporter.app import Exporter, Options
from vats_exporter.config.models import AccountSettings, Config
from vats_exporter.demo import SimulatedCabinet, make_accounts
from vats_exporter.web.server import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

ANYWHERE = ListenAddress("127.0.0.1", 0)


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    with process_put_back():
        logs.configure(stream=io.StringIO())
        yield


def config_of(*accounts: AccountSettings) -> Config:
    return Config(accounts=list(accounts)).with_origin(Path("vats-exporter.yml"))


def settings_for(cabinet: SimulatedCabinet, name: str) -> AccountSettings:
    account = cabinet.account(name)
    return AccountSettings(
        name=name,
        address=cabinet.url,
        login=account.login,
        password=account.password,
        page_size=10,
    )


def fetch(url: str) -> str:
    with urlopen(url, timeout=20) as answer:
        text: str = answer.read().decode()
        return text


def let_the_rest_end() -> None:
    """Wait for what a cabinet that hung has left behind, once its socket is gone."""
    for thread in threading.enumerate():
        if thread.name.startswith(("refresh office", "close office")):
            thread.join(10)


def test_starting_reads_each_cabinet_once_and_scrapes_add_nothing_while_that_is_fresh() -> None:
    with SimulatedCabinet(make_accounts(2, trunks=25)) as cabinet:
        accounts = [settings_for(cabinet, name) for name in ("demo-1", "demo-2")]
        with Exporter(config_of(*accounts), ANYWHERE) as exporter:
            page = fetch(f"{exporter.url}/metrics")
            assert fetch(f"{exporter.url}/metrics").count("\nvats_trunk_active{") == 50
        assert page.count("\nvats_trunk_active{") == 50
        # Three pages of ten each, and an empty one: no total is known before the first list.
        assert cabinet.stats()["requests"]["list"] == 8
        assert cabinet.stats()["sign_ins"] == 2


def test_the_configuration_in_use_is_shown_without_its_passwords() -> None:
    with SimulatedCabinet() as cabinet:
        settings = settings_for(cabinet, "demo")
        with Exporter(config_of(settings), ANYWHERE) as exporter:
            page = fetch(f"{exporter.url}/config")
    assert f"login: {settings.login}" in page.replace("'", "")
    assert "password: <secret>" in page
    assert settings.password not in page


def test_after_stopping_nobody_listens_and_every_connection_is_closed() -> None:
    with SimulatedCabinet() as cabinet:
        exporter = Exporter(config_of(settings_for(cabinet, "demo")), ANYWHERE)
        with exporter:
            fetch(f"{exporter.url}/metrics")
        with pytest.raises(URLError):
            fetch(f"{exporter.url}/-/healthy")


def test_an_address_in_use_is_an_error_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = ListenAddress("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            Exporter(config_of(AccountSettings(name="office", login="a", password="b")), address)


def test_a_cabinet_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "STOPPING", 0.2)
    # Connections are accepted by the kernel, and nobody ever answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = [
            AccountSettings(name=f"office {number}", address=url, login="a", password="b")
            for number in range(20)
        ]
        exporter = Exporter(config_of(*settings), ANYWHERE)
        exporter.start()
        began = time.monotonic()
        exporter.stop()
        assert time.monotonic() - began < 3
    let_the_rest_end()


def test_scrapes_that_wait_for_a_cabinet_that_hangs_keep_nobody_from_other_pages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "STOPPING", 0.2)
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = AccountSettings(name="office", address=url, login="a", password="b")
        options = Options(limits=Limits(max_connections=4))
        exporter = stack.enter_context(Exporter(config_of(settings), ANYWHERE, options=options))
        address = urlsplit(exporter.url)

        def scrape() -> socket.socket:
            client = socket.create_connection((address.hostname, address.port), timeout=20)
            stack.enter_context(client).sendall(
                b"GET /metrics HTTP/1.1\r\nHost: x\r\n"
                b"X-Prometheus-Scrape-Timeout-Seconds: 600\r\n\r\n"
            )
            return client

        waiting = [scrape() for _ in range(2)]
        assert until(lambda: len(exporter._site._waiting) == 2)
        for _ in range(8):
            assert scrape().recv(12) == b"HTTP/1.1 200"
        assert fetch(f"{exporter.url}/-/healthy") == "The exporter is healthy.\n"
        assert len(waiting) == 2
    let_the_rest_end()


def test_an_exporter_without_a_file_has_nothing_to_read_again() -> None:
    with Exporter(Config.model_construct(accounts=[]), ANYWHERE) as exporter:
        assert exporter.reload() == ()
