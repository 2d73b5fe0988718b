"""Stopping the exporter while something is under way: scrapes are answered, sessions ended."""

from __future__ import annotations

import io
import threading
import time
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import pytest

from tests.configurations import changed, config_of
from tests.process import process_put_back
from vats_exporter import app, logs
from vats_exporter.address import ListenAddress
from vats_exporter.app import Exporter, Options
from vats_exporter.config.models import CacheSettings, Config, DetailsSettings
from vats_exporter.demo import SimulatedCabinet, make_accounts
from vats_exporter.demo.http import Fault, Incoming
from vats_exporter.history.file import read_events, read_phones
from vats_exporter.refresh import Refresher
from vats_exporter.trunks import Listing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 20.0
"""Seconds after which a test that waits for somebody else fails."""

PROMISED = 5.0
"""Seconds within which the exporter ends, whatever hangs."""


NONE = CacheSettings(ttl=0.0, stale=900.0)
"""The cabinet is read for every scrape."""


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    with process_put_back():
        logs.configure(stream=io.StringIO())
        yield


class Cabinet(SimulatedCabinet):
    """One whose answers can be held back, and which tells when they are."""

    def __init__(self) -> None:
        super().__init__(make_accounts(2, trunks=5))
        self.holding: set[str] = set()
        self.held = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.faults = self._hold

    def _hold(self, incoming: Incoming) -> Fault | None:
        if not self.holding & {incoming.call, "everything"}:
            return None
        self.held.release()
        return Fault(wait=self.go_on)


@pytest.fixture
def cabinet() -> Iterator[Cabinet]:
    with Cabinet() as simulated:
        yield simulated
        simulated.go_on.set()


class Scrape(threading.Thread):
    """A scrape with all the time in the world, and what it got."""

    def __init__(self, exporter: Exporter, path: str = "/metrics") -> None:
        super().__init__()
        self._request = Request(
            exporter.url + path, headers={"X-Prometheus-Scrape-Timeout-Seconds": "600"}
        )
        self.status = 0
        self.page = ""
        self.start()

    def run(self) -> None:
        with urlopen(self._request, timeout=PATIENCE) as answer:
            self.status, self.page = answer.status, answer.read().decode()


def started(config: Config) -> Exporter:
    """An exporter that has read everything once."""
    exporter = Exporter(config, ListenAddress("127.0.0.1", 0))
    exporter.start()
    first = Scrape(exporter)
    first.join(PATIENCE)
    assert first.page.count("\nvats_trunk_active{") == 10
    return exporter


@pytest.mark.parametrize("path", ["/metrics", "/probe?account=demo-1"])
def test_a_scrape_that_waits_for_a_cabinet_that_hangs_gets_what_there_is(
    cabinet: Cabinet, path: str
) -> None:
    exporter = started(config_of(cabinet, NONE))
    cabinet.holding.add("list")
    scrape = Scrape(exporter, path)
    assert cabinet.held.acquire(timeout=PATIENCE)
    began = time.monotonic()
    exporter.stop()
    assert time.monotonic() - began < PROMISED
    scrape.join(PATIENCE)
    assert scrape.status == 200
    assert scrape.page.count("\nvats_trunk_active{") == (10 if path == "/metrics" else 5)
    # The sessions are ended all the same.
    assert cabinet.stats()["requests"]["sign_out"] == 2
    assert cabinet.end_sessions() == 0


def test_a_refresh_that_ends_while_the_exporter_stops_is_remembered(
    cabinet: Cabinet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []
    close = Refresher.close

    def noting_close(refresher: Refresher, timeout: float) -> None:
        given.append(timeout)
        close(refresher, timeout)

    monkeypatch.setattr(Refresher, "close", noting_close)
    history = tmp_path / "history.sqlite"
    exporter = started(config_of(cabinet, NONE, history))
    enterprise = cabinet.account("demo-1").enterprise
    (trunk, *_) = (one for one in enterprise.trunks() if one.state.active)
    enterprise.change(trunk.phone, active=False)
    cabinet.holding.add("list")
    scrape = Scrape(exporter)
    for _ in cabinet.accounts:
        assert cabinet.held.acquire(timeout=PATIENCE)
    stopping = threading.Thread(target=exporter.stop)
    stopping.start()
    scrape.join(PATIENCE)  # it is answered before the refresh has ended
    assert scrape.status == 200
    cabinet.go_on.set()
    stopping.join(PATIENCE)
    assert min(given) > 1.0
    assert [(one.account, one.flag) for one in read_events(history)] == [("demo-1", "active")]
    assert cabinet.end_sessions() == 0


def test_sessions_are_ended_while_details_are_read(cabinet: Cabinet) -> None:
    cabinet.holding.add("details")
    details = DetailsSettings(enabled=True, ttl=60.0)
    cache = CacheSettings(ttl=60.0, stale=900.0)  # the list is read once, and then details alone
    exporter = started(changed(config_of(cabinet, NONE), cache=cache, details=details))
    for _ in cabinet.accounts:
        assert cabinet.held.acquire(timeout=PATIENCE)
    began = time.monotonic()
    exporter.stop()
    assert time.monotonic() - began < PROMISED
    assert cabinet.end_sessions() == 0


def test_where_everything_hangs_the_end_comes_in_time(cabinet: Cabinet) -> None:
    exporter = started(config_of(cabinet, NONE))
    cabinet.holding.add("everything")
    scrape = Scrape(exporter)
    assert cabinet.held.acquire(timeout=PATIENCE)
    began = time.monotonic()
    exporter.stop()
    assert time.monotonic() - began < PROMISED
    scrape.join(PATIENCE)
    assert scrape.status == 200


def test_accounts_that_were_just_taken_away_are_signed_out_of_as_well(cabinet: Cabinet) -> None:
    config = config_of(cabinet, NONE)
    left = [config.accounts[1:], ()]
    exporter = Exporter(
        config,
        ListenAddress("127.0.0.1", 0),
        load=lambda: changed(config, accounts=left.pop(0)),
    )
    exporter.start()
    Scrape(exporter).join(PATIENCE)
    cabinet.holding.add("sign_out")
    for _ in cabinet.accounts:
        exporter.reload()
        assert cabinet.held.acquire(timeout=PATIENCE)
    closing = exporter._closing
    assert [thread.name for thread in closing] == ["close demo-1", "close demo-2"]
    stopping = threading.Thread(target=exporter.stop)
    stopping.start()
    cabinet.go_on.set()
    stopping.join(PATIENCE)
    assert not any(thread.is_alive() for thread in closing)
    assert cabinet.end_sessions() == 0


class Unbreakable:
    """A source that hangs where nothing can end it, as in looking up a name."""

    def __init__(self, *_: object, **__: object) -> None:
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def read_trunks(self) -> Listing:
        self.asked.set()
        assert self.go_on.wait(PATIENCE)
        return Listing((), (), 1)

    def credentials_changed(self) -> bool:
        return False

    def close(self) -> None:
        pass


def test_a_refresh_that_outlasts_the_end_is_recorded_nowhere(
    cabinet: Cabinet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Unbreakable()
    monkeypatch.setattr(app, "STOPPING", 0.1)
    monkeypatch.setattr(app, "CabinetClient", lambda *_, **__: source)
    history = tmp_path / "history.sqlite"
    config = config_of(cabinet, NONE, history)
    exporter = Exporter(
        changed(config, accounts=config.accounts[:1]), ListenAddress("127.0.0.1", 0)
    )
    exporter.start()
    assert source.asked.wait(PATIENCE)
    exporter.stop()
    source.go_on.set()
    (account,) = exporter._collector.accounts
    account.refresher.close(PATIENCE)
    assert account.refresher.peek().up
    assert read_phones(history) == {}


def test_a_reload_that_hangs_neither_holds_up_the_end_nor_comes_after_it(
    cabinet: Cabinet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "ANSWERING", 0.1)
    config = config_of(cabinet, NONE)
    loading, go_on = threading.Event(), threading.Event()

    def load() -> Config:
        loading.set()
        assert go_on.wait(PATIENCE)
        return config

    exporter = Exporter(
        config, ListenAddress("127.0.0.1", 0), options=Options(lifecycle=True), load=load
    )
    exporter.start()
    problems: list[str] = []
    reloading = threading.Thread(target=lambda: problems.extend(exporter.reload()))
    reloading.start()
    assert loading.wait(PATIENCE)
    exporter.stop()
    go_on.set()
    reloading.join(PATIENCE)
    assert problems == ["the exporter is stopping"]
    assert cabinet.end_sessions() == 0
