"""`/probe` and `/sd`: one account at a time, for Prometheus to spread as it likes."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.doubles import answered, let_end, make_due
from vats_exporter.cabinet.errors import LoginRefusedError, UnreachableError
from vats_exporter.cabinet.transport import CallEnded, CallStarted, Redeployed
from vats_exporter.metrics.collector import Collector, MonitoredAccount
from vats_exporter.redaction import register_secrets
from vats_exporter.trunks import Flags, Listing, Trunk
from vats_exporter.web import Request, Response
from vats_exporter.web.site import Site

if TYPE_CHECKING:
    from vats_exporter.metrics.collector import AccountCounters

PATIENCE = 10.0


@dataclass
class Office:
    """A cabinet with one trunk, which can break and hang."""

    ref: str = "CaLztv"
    error: Exception | None = None
    gate: threading.Event | None = None
    reads: int = 0
    counters: AccountCounters | None = field(default=None)

    def read_trunks(self) -> Listing:
        self.reads += 1
        assert self.counters is not None
        self.counters.trace(CallStarted("list"))
        if self.gate is not None:
            assert self.gate.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        self.counters.trace(answered("list", 200, 0.25, 12345))
        return Listing(
            (Trunk(self.ref, 1, "79161234567", "", Flags(True, True, False), "1100", True),)
        )

    def credentials_changed(self) -> bool:
        return False

    def close(self) -> None:
        pass


def monitored(name: str, office: Office) -> MonitoredAccount:
    account = MonitoredAccount(name, office, ttl=60)
    office.counters = account.counters
    return account


def site_of(**offices: Office) -> Site:
    return Site(Collector([monitored(name, one) for name, one in offices.items()]))


def get(site: Site, path: str, query: str = "", **headers: str) -> tuple[int, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response: Response = site.respond(Request("GET", path, query, named))
    return response.status, b"".join(response.chunks).decode()


def samples(page: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_a_probe_reads_and_shows_its_account_and_no_other() -> None:
    north, south = Office("CaLztv"), Office("CaLztw")
    site = site_of(north=north, south=south)
    status, page = get(site, "/probe", "account=south")
    assert status == 200
    found = samples(page)
    assert found["vats_probe_success"] == [({}, 1.0)]
    assert [labels["trunk"] for labels, _ in found["vats_trunk_active"]] == ["CaLztw"]
    everyone = {labels["account"] for each in found.values() for labels, _ in each if labels}
    assert everyone == {"south"}
    assert not any(name.startswith("process_") for name in found)
    assert (north.reads, south.reads) == (0, 1)


def test_probe_and_metrics_share_a_snapshot() -> None:
    north = Office()
    site = site_of(north=north)
    for _ in range(2):
        get(site, "/probe", "account=north")
        get(site, "/metrics")
    assert north.reads == 1


def test_a_probe_comes_as_openmetrics_where_that_is_liked_better() -> None:
    site = site_of(north=Office())
    _, page = get(site, "/probe", "account=north", accept="application/openmetrics-text")
    families = openmetrics(page)  # type: ignore[no-untyped-call]  # the library's own
    assert {family.name for family in families} >= {"vats_probe_success", "vats_up"}


@pytest.mark.parametrize(
    "error", [UnreachableError("list: refused"), LoginRefusedError("sign_in: refused")]
)
def test_a_probe_that_fails_says_so_and_is_a_page_all_the_same(error: Exception) -> None:
    status, page = get(site_of(north=Office(error=error)), "/probe", "account=north")
    assert status == 200
    assert samples(page)["vats_probe_success"] == [({}, 0.0)]
    assert samples(page)["vats_up"] == [({"account": "north"}, 0.0)]


def test_a_hanging_cabinet_holds_no_probe_past_its_deadline_and_the_next_has_it() -> None:
    gate = threading.Event()
    north = Office(gate=gate)
    site = site_of(north=north)
    timeout = {"x_prometheus_scrape_timeout_seconds": "0.2"}
    assert samples(get(site, "/probe", "account=north", **timeout)[1])["vats_probe_success"] == [
        ({}, 0.0)
    ]
    text = get(site, "/probe", "account=north&debug=true", **timeout)[1]
    assert "not in time, so no success; the refresh continues" in text
    assert "list: asked" in text
    gate.set()
    let_end(site._collector.accounts[0].refresher)
    found = samples(get(site, "/probe", "account=north")[1])
    assert found["vats_probe_success"] == [({}, 1.0)]
    assert north.reads == 1


def test_a_probe_whose_refresh_is_late_has_not_succeeded_whatever_the_one_before_brought() -> None:
    north = Office()
    site = site_of(north=north)
    assert samples(get(site, "/probe", "account=north")[1])["vats_probe_success"] == [({}, 1.0)]
    make_due(site._collector.accounts[0].refresher)
    north.gate = threading.Event()
    timeout = {"x_prometheus_scrape_timeout_seconds": "0.2"}
    page = get(site, "/probe", "account=north", **timeout)[1]
    assert samples(page)["vats_probe_success"] == [({}, 0.0)]
    # What there is is served all the same, and says itself how the refresh that brought it went.
    assert samples(page)["vats_up"] == [({"account": "north"}, 1.0)]
    assert "vats_trunk_active" in samples(page)
    text = get(site, "/probe", "account=north&debug=true", **timeout)[1]
    assert "not in time, so no success" in text
    assert "\nvats_probe_success 0.0\n" in text
    north.gate.set()
    let_end(site._collector.accounts[0].refresher)
    assert samples(get(site, "/probe", "account=north")[1])["vats_probe_success"] == [({}, 1.0)]


def test_what_is_missing_or_unknown_is_told_in_a_sentence() -> None:
    site = site_of(north=Office())
    for query in ("", "target=north", "account="):
        status, sentence = get(site, "/probe", query)
        assert status == 400
        assert "/probe?account=NAME" in sentence
    status, sentence = get(site, "/probe", "account=east")
    assert status == 404
    assert "no account of this name" in sentence


def test_names_of_any_alphabet_are_found() -> None:
    site = site_of(**{"Офис №1 & склад": Office()})
    status, _ = get(
        site,
        "/probe",
        "account=%D0%9E%D1%84%D0%B8%D1%81+%E2%84%961%20%26%20%D1%81%D0%BA%D0%BB%D0%B0%D0%B4",
    )
    assert status == 200


def test_debug_shows_the_steps_with_their_times_and_no_secret() -> None:
    register_secrets("hunter2-hunter2")
    north = Office()
    site = site_of(north=north)
    status, text = get(site, "/probe", "account=north&debug=true")
    assert status == 200
    assert "list: HTTP 200, 12345 bytes, after 0.250 s" in text
    assert "1 trunks" in text
    assert 'vats_trunk_active{account="north"' in text
    assert north.counters is not None
    north.counters.trace(CallEnded("list", UnreachableError("list: hunter2-hunter2"), 0.1))
    assert "hunter2" not in get(site, "/probe", "account=north&debug=true")[1]


def test_readers_of_the_debug_page_share_the_trunks_lines() -> None:
    site = site_of(north=Office("CaLztv"))
    request = Request("GET", "/probe", "account=north&debug=true")
    first, second = (list(site.respond(request).chunks) for _ in range(2))
    shared = {id(piece) for piece in first} & {id(piece) for piece in second}
    trunks = [piece for piece in first if piece.startswith(b"vats_trunk_")]
    assert trunks
    assert {id(piece) for piece in trunks} <= shared


def test_debug_says_where_nothing_was_asked_and_what_a_redeployed_cabinet_became() -> None:
    class Silent(Office):
        def read_trunks(self) -> Listing:
            return Listing(())

    silent = Silent()
    site = site_of(silent=silent)
    assert "\n  none yet\n" in get(site, "/probe", "account=silent&debug=true")[1]
    assert silent.counters is not None
    silent.counters.trace(Redeployed("A" * 32, "B" * 32))
    text = get(site, "/probe", "account=silent&debug=true")[1]
    assert f"the cabinet was redeployed: {'A' * 32} became {'B' * 32}" in text


def test_the_latest_refreshes_are_told_with_their_steps_newest_first() -> None:
    register_secrets("hunter2-hunter2")
    north = Office()
    site = site_of(north=north)
    get(site, "/probe", "account=north")
    north.error = UnreachableError("list: hunter2-hunter2 is not there")
    make_due(site._collector.accounts[0].refresher)
    get(site, "/probe", "account=north")
    status, text = get(site, "/refreshes", "account=north")
    assert status == 200
    _, failed, succeeded = text.split("\n\n")
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  unreachable after 0\.\d+ s: list: ", failed)
    assert "  success after 0." in succeeded
    assert "s: 1 trunks on 1 pages\n" in succeeded
    assert "list: HTTP 200, 12345 bytes, after 0.250 s" in succeeded
    assert "hunter2" not in text


def test_refreshes_are_of_an_account_that_there_is() -> None:
    site = site_of(north=Office())
    assert get(site, "/refreshes", "account=north")[1].endswith("\n\nnone yet\n")
    assert get(site, "/refreshes")[0] == 400
    assert get(site, "/refreshes", "account=south")[0] == 404


def test_discovery_gives_a_target_an_account_that_needs_no_relabelling() -> None:
    site = site_of(north=Office(), south=Office())
    site._collector.accounts[1].labels = {"city": "Казань"}
    response = site.respond(Request("GET", "/sd", "", {"host": "exporter.example:9742"}))
    assert response.content_type.startswith("application/json")
    common = {"__scheme__": "http", "__metrics_path__": "/probe"}
    assert json.loads(b"".join(response.chunks)) == [
        {
            "targets": ["exporter.example:9742"],
            "labels": {**common, "__param_account": "north", "instance": "north"},
        },
        {
            "targets": ["exporter.example:9742"],
            "labels": {
                **common,
                "__param_account": "south",
                "instance": "south",
                "city": "Казань",
            },
        },
    ]


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("exporter.example", "exporter.example:80"),
        ("[2001:db8::1]", "[2001:db8::1]:80"),
        ("[2001:db8::1]:9742", "[2001:db8::1]:9742"),
        ("", "127.0.0.1:9742"),
    ],
)
def test_targets_have_a_port_and_the_address_that_was_asked(host: str, target: str) -> None:
    site = site_of(north=Office())
    site.url = "http://127.0.0.1:9742"
    response = site.respond(Request("GET", "/sd", "", {"host": host} if host else {}))
    assert json.loads(b"".join(response.chunks))[0]["targets"] == [target]


def test_an_exporter_of_probes_alone_reads_nobody_for_metrics() -> None:
    north = Office()
    collector = Collector([monitored("north", north)], probe_only=True)
    site = Site(collector)
    _, page = get(site, "/metrics")
    assert "account=" not in page
    assert "vats_exporter_build_info" in page
    collector.refresh(0)
    assert north.reads == 0
    assert get(site, "/probe", "account=north")[0] == 200
    assert north.reads == 1
