"""Loading the configuration again, while everything runs."""

from __future__ import annotations

import io
import re
import threading
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import pytest

from tests.configurations import FILE, changed, config_of
from tests.doubles import make_due, view
from tests.process import process_put_back
from vats_exporter import app, logs
from vats_exporter.address import ListenAddress
from vats_exporter.app import Exporter, Options
from vats_exporter.config.models import CacheSettings, Config, DetailsSettings, HistorySettings
from vats_exporter.config.problems import ConfigError, Problem
from vats_exporter.demo import SimulatedCabinet, make_accounts
from vats_exporter.demo.http import Fault, Incoming
from vats_exporter.details import DetailedSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vats_exporter.details import Detailable

LONG = CacheSettings(ttl=3600.0, stale=7200.0)


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    with process_put_back():
        logs.configure(stream=stream)
        yield stream


class Reloadable:
    """An exporter, and the configuration that it would load next."""

    def __init__(self, cabinet: SimulatedCabinet, history: Path | None = None) -> None:
        self.next: Config | Exception = config_of(cabinet, LONG, history)
        assert isinstance(self.next, Config)
        self.exporter = Exporter(
            self.next,
            ListenAddress("127.0.0.1", 0),
            options=Options(lifecycle=True),
            load=self._load,
        )

    @property
    def config(self) -> Config:
        assert isinstance(self.next, Config)
        return self.next

    def _load(self) -> Config:
        if isinstance(self.next, Exception):
            raise self.next
        return self.next

    def page(self) -> str:
        with urlopen(f"{self.exporter.url}/metrics", timeout=20) as answer:
            text: str = answer.read().decode()
            return text


@pytest.fixture
def cabinet() -> Iterator[SimulatedCabinet]:
    with SimulatedCabinet(make_accounts(3, trunks=5)) as simulated:
        yield simulated


@pytest.fixture
def running(cabinet: SimulatedCabinet, tmp_path: Path) -> Iterator[Reloadable]:
    reloadable = Reloadable(cabinet, tmp_path / "history.db")
    with reloadable.exporter:
        reloadable.page()
        yield reloadable


def value(page: str, series: str) -> float:
    (line,) = [one for one in page.splitlines() if one.startswith(f"{series} ")]
    return float(line.rpartition(" ")[2])


def test_unchanged_accounts_keep_session_and_snapshot(
    running: Reloadable, cabinet: SimulatedCabinet
) -> None:
    before = cabinet.stats()
    assert running.exporter.reload() == ()
    page = running.page()
    assert page.count("\nvats_trunk_active{") == 15
    assert cabinet.stats()["sign_ins"] == before["sign_ins"] == 3
    assert cabinet.stats()["requests"]["list"] == before["requests"]["list"]
    assert value(page, "vats_config_last_reload_successful") == 1
    assert value(page, "vats_history_up") == 1


def test_accounts_come_and_go(running: Reloadable, cabinet: SimulatedCabinet) -> None:
    first, *others = running.config.accounts
    running.next = changed(running.config, accounts=others)
    running.exporter.reload()
    page = running.page()
    assert 'account="demo-1"' not in page
    assert page.count("\nvats_trunk_active{") == 10
    running.next = changed(running.config, accounts=[*others, first])
    running.exporter.reload()
    assert running.page().count("\nvats_trunk_active{") == 15
    # It signed in anew; the other two did not.
    assert cabinet.stats()["sign_ins"] == 4


def test_details_learn_how_long_they_are_told_from_the_configuration_in_use(
    cabinet: SimulatedCabinet, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Callable[[], float]] = []

    class Watched(DetailedSource):
        def __init__(self, cabinet: Detailable, *, stale: Callable[[], float], **more: Any) -> None:
            told.append(stale)
            super().__init__(cabinet, stale=stale, **more)

    monkeypatch.setattr(app, "DetailedSource", Watched)
    running = Reloadable(cabinet)
    running.next = changed(running.config, details=DetailsSettings(enabled=True, ttl=3600.0))
    with running.exporter:
        running.exporter.reload()
        assert {stale() for stale in told} == {7200.0}
        kept = changed(running.config.cache, stale=9000.0)
        running.next = changed(running.config, cache=kept)
        running.exporter.reload()
    assert [stale() for stale in told] == [9000.0] * 3


def test_a_changed_account_signs_in_anew_and_its_counts_go_on(
    running: Reloadable, cabinet: SimulatedCabinet
) -> None:
    first, *others = running.config.accounts
    other = changed(first, page_size=2)
    running.next = changed(running.config, accounts=[other, *others])
    running.exporter.reload()
    page = running.page()
    assert value(page, 'vats_refreshes_total{account="demo-1",result="success"}') == 2
    assert value(page, 'vats_refreshes_total{account="demo-2",result="success"}') == 1
    assert cabinet.stats()["sign_ins"] == 4


def test_a_reading_from_before_the_reload_counts_no_change_again(
    running: Reloadable, cabinet: SimulatedCabinet
) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def hold(incoming: Incoming) -> Fault | None:
        if incoming.call != "list" or asked.is_set():
            return None
        asked.set()
        return Fault(wait=go_on)  # the answer is made now, and given later

    old = running.exporter._collector.account("demo-1")
    assert old is not None
    cabinet.faults = hold
    make_due(old.refresher)
    old.refresher.start()
    assert asked.wait(10)
    enterprise = cabinet.account("demo-1").enterprise
    (trunk, *_) = (one for one in enterprise.trunks() if one.state.active)
    enterprise.change(trunk.phone, active=False)
    first, *others = running.config.accounts
    other = changed(first, page_size=20)
    running.next = changed(running.config, accounts=[other, *others])
    running.exporter.reload()
    new = running.exporter._collector.account("demo-1")
    assert new is not None
    view(new.refresher, 10)
    go_on.set()
    while old.refresher._running:
        pass
    make_due(new.refresher)
    page = running.page()
    (line,) = [
        one
        for one in page.splitlines()
        if one.startswith("vats_trunk_flag_changes_total{")
        and 'flag="active"' in one
        and trunk.phone in one
    ]
    assert line.endswith(" 1.0")
    # Of the old account's, the first one alone.
    assert value(page, 'vats_refreshes_total{account="demo-1",result="success"}') == 3


def test_a_wrong_new_password_serves_the_last_good_snapshot(running: Reloadable) -> None:
    first, *others = running.config.accounts
    wrong = changed(first, password="not-the-password")
    running.next = changed(running.config, accounts=[wrong, *others])
    running.exporter.reload()
    page = running.page()
    assert value(page, 'vats_up{account="demo-1"}') == 0
    assert page.count("\nvats_trunk_active{") == 15
    # The right one again, and at once: no back-off of the refused one stays.
    running.next = changed(running.config, accounts=[first, *others])
    running.exporter.reload()
    assert value(running.page(), 'vats_up{account="demo-1"}') == 1


def test_another_ttl_holds_for_what_was_read_before_the_reload(
    running: Reloadable, cabinet: SimulatedCabinet
) -> None:
    lists = cabinet.stats()["requests"]["list"]
    running.next = changed(running.config, cache=CacheSettings(ttl=0.0, stale=7200.0))
    running.exporter.reload()
    running.page()
    assert cabinet.stats()["requests"]["list"] > lists
    assert cabinet.stats()["sign_ins"] == 3


def test_reloads_of_an_unchanged_file_send_no_password_and_a_changed_one_is_tried(
    cabinet: SimulatedCabinet,
) -> None:
    running = Reloadable(cabinet)
    cabinet.change_password("demo-1", "another-password")
    with running.exporter:
        assert value(running.page(), 'vats_up{account="demo-1"}') == 0
        for _ in range(100):
            running.exporter.reload()
        assert cabinet.stats()["refused_sign_ins"] == 1
        first, *others = running.config.accounts
        other = changed(first, password="another-password")
        running.next = changed(running.config, accounts=[other, *others])
        running.exporter.reload()
        assert value(running.page(), 'vats_up{account="demo-1"}') == 1


def test_a_bad_configuration_changes_nothing_and_says_why(
    running: Reloadable, quiet_log: io.StringIO
) -> None:
    before = value(running.page(), "vats_config_last_reload_success_timestamp_seconds")
    running.next = ConfigError([Problem("accounts[0].login", "missing")], file=FILE)
    assert running.exporter.reload() == ("vats-exporter.yml: accounts[0].login: missing",)
    page = running.page()
    assert value(page, "vats_config_last_reload_successful") == 0
    assert value(page, "vats_config_last_reload_success_timestamp_seconds") == before
    assert page.count("\nvats_trunk_active{") == 15
    (line,) = [one for one in quiet_log.getvalue().splitlines() if "not reloaded" in one]
    assert "accounts[0].login: missing" in line


def post(url: str) -> tuple[int, str]:
    try:
        with urlopen(HttpRequest(url, method="POST"), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_a_bug_while_loading_changes_nothing_and_is_told_without_its_message(
    running: Reloadable, quiet_log: io.StringIO
) -> None:
    good = running.config
    running.next = RuntimeError("hunter2")
    (problem,) = running.exporter.reload()
    assert re.fullmatch(r"unexpected RuntimeError at test_reload\.py:\d+", problem)
    assert problem in quiet_log.getvalue()
    page = running.page()
    assert value(page, "vats_config_last_reload_successful") == 0
    assert page.count("\nvats_trunk_active{") == 15
    running.next = good
    assert running.exporter.reload() == ()


def test_a_post_reloads_and_tells_what_is_wrong(running: Reloadable) -> None:
    url = f"{running.exporter.url}/-/reload"
    assert post(url) == (200, "The configuration was loaded again.\n")
    running.next = ConfigError([Problem("accounts[0].login", "missing")], file=FILE)
    status, text = post(url)
    assert status == 500
    assert "vats-exporter.yml: accounts[0].login: missing" in text
    with pytest.raises(HTTPError, match="405"):
        urlopen(url, timeout=20)


def test_reloading_over_http_has_to_be_allowed(cabinet: SimulatedCabinet) -> None:
    config = config_of(cabinet, LONG)
    with Exporter(config, ListenAddress("127.0.0.1", 0), load=lambda: config) as exporter:
        status, sentence = post(f"{exporter.url}/-/reload")
    assert status == 403
    assert "--web.enable-lifecycle" in sentence


def test_the_history_moves_to_another_file(
    running: Reloadable, cabinet: SimulatedCabinet, tmp_path: Path
) -> None:
    other = tmp_path / "other.sqlite"
    running.next = changed(running.config, history=HistorySettings(file=other))
    running.exporter.reload()
    assert other.exists()
    page = running.page()
    assert value(page, "vats_history_up") == 1
    assert page.count("\nvats_trunk_flag_changes_total{") == 45


def test_labels_of_discovery_change_without_a_new_sign_in(
    running: Reloadable, cabinet: SimulatedCabinet
) -> None:
    first, *others = running.config.accounts
    running.next = changed(
        running.config, accounts=[changed(first, labels={"city": "Omsk"}), *others]
    )
    running.exporter.reload()
    with urlopen(f"{running.exporter.url}/sd", timeout=20) as answer:
        assert b'"city": "Omsk"' in answer.read()
    assert cabinet.stats()["sign_ins"] == 3


def test_trunks_are_expected_to_be_off_from_the_next_refresh_on_without_a_new_sign_in(
    running: Reloadable, cabinet: SimulatedCabinet
) -> None:
    first, *others = running.config.accounts
    phone = cabinet.account("demo-1").enterprise.trunks()[0].phone
    expected = changed(first, expected_off=[phone])
    running.next = changed(
        running.config, accounts=[expected, *others], cache=CacheSettings(ttl=0.0, stale=60.0)
    )
    running.exporter.reload()
    page = running.page()
    assert page.count("\nvats_trunk_expected_off{") == 1
    assert f'phone="{phone}"' in page.partition("\nvats_trunk_expected_off{")[2].partition("}")[0]
    running.next = changed(running.next, accounts=[first, *others])
    running.exporter.reload()
    assert "\nvats_trunk_expected_off{" not in running.page()
    assert cabinet.stats()["sign_ins"] == 3


@pytest.mark.parametrize("by_another", [False, True])
def test_what_a_file_said_that_is_not_named_any_more_does_not_come_back(
    running: Reloadable, cabinet: SimulatedCabinet, tmp_path: Path, by_another: bool
) -> None:
    first, *others = running.config.accounts
    file = tmp_path / "off.txt"
    file.write_text(cabinet.account("demo-1").enterprise.trunks()[0].phone)
    unreadable = tmp_path / "other.txt"
    unreadable.write_bytes(b"\xff")
    expected, other = (changed(first, expected_off_file=one) for one in (file, unreadable))
    cache = CacheSettings(ttl=0.0, stale=60.0)
    between = other if by_another else first
    for account, count in ((expected, 1), (between, 0), (expected, 0)):
        running.next = changed(running.config, accounts=[account, *others], cache=cache)
        running.exporter.reload()
        page = running.page()
        assert page.count("\nvats_trunk_expected_off{") == count
        file.write_bytes(b"\xff")
    assert 'vats_up{account="demo-1"} 1.0' in page


@pytest.mark.parametrize("enabled", [False, True])
def test_how_details_are_read_matters_where_they_are_read(
    running: Reloadable, cabinet: SimulatedCabinet, enabled: bool
) -> None:
    running.next = changed(running.config, details=DetailsSettings(enabled=enabled, ttl=60.0))
    running.exporter.reload()
    running.page()
    assert cabinet.stats()["sign_ins"] == (6 if enabled else 3)


def test_many_reloads_at_once_leave_one_of_each_account(
    running: Reloadable, cabinet: SimulatedCabinet
) -> None:
    threads = [threading.Thread(target=running.exporter.reload) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert running.page().count("\nvats_trunk_active{") == 15
    assert cabinet.stats()["sign_ins"] == 3
