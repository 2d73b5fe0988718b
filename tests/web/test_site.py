"""Which path answers what."""

from __future__ import annotations

import gzip
import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from tests.web.clients import until
from vats_exporter.address import ListenAddress
from vats_exporter.metrics.collector import Collector, MonitoredAccount
from vats_exporter.trunks import Flags, Listing, Trunk
from vats_exporter.web import Request
from vats_exporter.web.server import WebServer
from vats_exporter.web.site import (
    Site,
    Urls,
    parse_metrics_path,
    scrape_timeout,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from vats_exporter.web import Response

PATIENCE = 10.0
TRUNK = Trunk("CaLztv", 1, "79161234567", "Иванов", Flags(True, True, False), "1100", True)


@dataclass
class OneTrunk:
    before: Callable[[], object] = lambda: None
    reads: int = 0

    def read_trunks(self) -> Listing:
        self.reads += 1
        self.before()
        return Listing((TRUNK,))

    def credentials_changed(self) -> bool:
        return False

    def close(self) -> None:
        pass


def site_of(cabinet: OneTrunk, urls: Urls | None = None) -> Site:
    return Site(Collector([MonitoredAccount("acme", cabinet)]), urls=urls)


def text(response: Response) -> str:
    return b"".join(response.chunks).decode()


def header(response: Response, name: str) -> str | None:
    return dict(response.headers).get(name)


def test_metrics_refreshes_and_answers() -> None:
    response = site_of(OneTrunk()).respond(Request("GET", "/metrics"))
    assert (response.status, response.content_type) == (
        200,
        "text/plain; version=0.0.4; charset=utf-8",
    )
    assert 'vats_trunk_active{account="acme",phone="79161234567",trunk="CaLztv"} 1.0' in text(
        response
    )
    assert response.length == len(text(response).encode())


def test_metrics_come_in_the_format_and_encoding_asked_for() -> None:
    accept = {"accept": "application/openmetrics-text; version=1.0.0", "accept-encoding": "gzip"}
    response = site_of(OneTrunk()).respond(Request("GET", "/metrics", headers=accept))
    page = gzip.decompress(b"".join(response.chunks)).decode()
    assert page.endswith("# EOF\n")
    assert response.content_type.startswith("application/openmetrics-text; version=1.0.0;")
    assert header(response, "Content-Encoding") == "gzip"
    assert header(response, "Vary") == "Accept, Accept-Encoding"


def test_asking_for_the_head_of_metrics_reads_no_cabinet() -> None:
    cabinet = OneTrunk()
    response = site_of(cabinet).respond(Request("HEAD", "/metrics"))
    assert (response.status, cabinet.reads) == (200, 0)


def test_a_hanging_cabinet_does_not_keep_a_scrape_past_its_deadline() -> None:
    go_on = threading.Event()
    site = site_of(OneTrunk(before=lambda: go_on.wait(PATIENCE)))
    began = time.monotonic()
    headers = {"x-prometheus-scrape-timeout-seconds": "0.2"}
    page = text(site.respond(Request("GET", "/metrics", headers=headers)))
    assert 0.1 <= time.monotonic() - began < PATIENCE / 2
    assert 'vats_up{account="acme"} 0.0' in page
    go_on.set()
    # An account that hung is not waited for: a later scrape finds what the refresh brought.
    ask = Request("GET", "/metrics")
    assert until(lambda: 'vats_up{account="acme"} 1.0' in text(site.respond(ask)))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("10", 9.5),
        ("30.5", 30.0),
        ("1.2", 0.7),
        ("1", 0.5),
        ("0.4", 0.2),
        ("1e300", 600.0),
        ("", 9.5),
        ("ten", 9.5),
        ("0", 9.5),
        ("-3", 9.5),
        ("nan", 9.5),
        ("inf", 9.5),
        ("10, 20", 9.5),
    ],
)
def test_the_deadline_is_what_the_scraper_allows_less_an_offset(value: str, seconds: float) -> None:
    assert scrape_timeout(value) == pytest.approx(seconds)


def test_the_landing_page_is_html_that_may_load_nothing() -> None:
    cabinet = OneTrunk()
    response = site_of(cabinet).respond(Request("GET", "/"))
    assert (response.status, response.content_type) == (200, "text/html; charset=utf-8")
    assert text(response).startswith("<!DOCTYPE html>")
    assert "default-src 'none'" in str(header(response, "Content-Security-Policy"))
    assert cabinet.reads == 0


def test_health_is_told_without_a_scrape() -> None:
    cabinet = OneTrunk()
    site = site_of(cabinet)
    for path, sentence in (("/-/healthy", "is healthy"), ("/-/ready", "is ready")):
        response = site.respond(Request("GET", path))
        assert response.status == 200
        assert sentence in text(response)
    assert cabinet.reads == 0


def test_an_exporter_that_stops_is_healthy_and_not_ready() -> None:
    site = site_of(OneTrunk())
    site.stopping = True
    assert site.respond(Request("GET", "/-/healthy")).status == 200
    assert site.respond(Request("GET", "/-/ready")).status == 503


def test_a_prefix_precedes_every_path_and_the_way_there_is_shown() -> None:
    site = site_of(OneTrunk(), Urls(metrics="/m", prefix="/a/b"))
    for path in ("/a/b/", "/a/b/m", "/a/b/sd", "/a/b/-/healthy"):
        assert site.respond(Request("GET", path)).status == 200
    for path in ("/m", "/metrics", "/a/b/metrics", "/-/healthy", "/a", "/a/bm", "/a/b//m"):
        response = site.respond(Request("GET", path))
        assert response.status == 404
        assert "/a/b/m" in text(response)
    for path, relative in (("/", "a/b/"), ("/a/b", "b/")):
        response = site.respond(Request("GET", path))
        assert (response.status, header(response, "Location")) == (302, relative)


@pytest.mark.parametrize(
    ("urls", "address", "scheme", "path"),
    [
        (Urls(), "exporter:9742", "http", "/probe"),
        (Urls(prefix="/vats"), "exporter:9742", "http", "/vats/probe"),
        (Urls(external="https://example.org"), "example.org:443", "https", "/probe"),
        (Urls(prefix="/x", external="https://a.b/vats"), "a.b:443", "https", "/vats/probe"),
    ],
)
def test_targets_are_where_clients_find_them(
    urls: Urls, address: str, scheme: str, path: str
) -> None:
    request = Request("GET", f"{urls.prefix}/sd", headers={"host": "exporter:9742"})
    (target,) = json.loads(text(site_of(OneTrunk(), urls).respond(request)))
    labels = target["labels"]
    assert target["targets"] == [address]
    assert (labels["__scheme__"], labels["__metrics_path__"]) == (scheme, path)


def targets_at(base: str, **accounts: dict[str, str]) -> list[dict[str, Any]]:
    monitored = [MonitoredAccount(name, OneTrunk()) for name in accounts]
    for account in monitored:
        account.labels = accounts[account.name]
    site = Site(Collector(monitored), urls=Urls(external=base))
    found: list[dict[str, Any]] = json.loads(text(site.respond(Request("GET", "/sd"))))
    return found


def test_a_target_leads_to_its_accounts_probe_without_relabelling() -> None:
    north, south = targets_at("http://exporter:9742", north={}, south={"city": "Казань"})
    assert north == {
        "targets": ["exporter:9742"],
        "labels": {
            "__scheme__": "http",
            "__metrics_path__": "/probe",
            "__param_account": "north",
            "instance": "north",
        },
    }
    assert south["labels"]["city"] == "Казань"


@pytest.mark.parametrize(
    ("base", "address", "scheme", "path"),
    [
        ("http://exporter", "exporter:80", "http", "/probe"),
        ("https://exporter/vats", "exporter:443", "https", "/vats/probe"),
        ("https://[2001:db8::1]", "[2001:db8::1]:443", "https", "/probe"),
        ("https://[2001:db8::1]:9742/a/b", "[2001:db8::1]:9742", "https", "/a/b/probe"),
    ],
)
def test_a_target_has_the_scheme_port_and_path_of_the_url(
    base: str, address: str, scheme: str, path: str
) -> None:
    (target,) = targets_at(base, a={})
    labels = target["labels"]
    assert target["targets"] == [address]
    assert (labels["__scheme__"], labels["__metrics_path__"]) == (scheme, path)


def test_a_path_that_is_not_found_is_told_what_is_on_alone() -> None:
    collector = Collector([MonitoredAccount("acme", OneTrunk())])
    assert "/-/reload" not in text(Site(collector).respond(Request("GET", "/nope")))
    lively = Site(collector, reload=lambda: ())
    assert "/-/reload" in text(lively.respond(Request("GET", "/nope")))


@pytest.mark.parametrize("path", ["/nope", "/metrics/", "/-/", "", "*", "/../metrics"])
def test_another_path_is_not_found_and_is_told_what_is(path: str) -> None:
    response = site_of(OneTrunk()).respond(Request("GET", path))
    assert response.status == 404
    assert "/metrics" in text(response)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get"])
@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready"])
def test_pages_are_only_read(method: str, path: str) -> None:
    cabinet = OneTrunk()
    response = site_of(cabinet).respond(Request(method, path))
    assert (response.status, header(response, "Allow")) == (405, "GET, HEAD")
    assert text(response) == "This page answers GET and HEAD.\n"
    assert cabinet.reads == 0


def test_twenty_scrapes_at_once_over_http_read_the_cabinet_once() -> None:
    go_on = threading.Event()
    cabinet = OneTrunk(before=lambda: go_on.wait(PATIENCE))
    arrived = threading.Semaphore(0)
    site = site_of(cabinet)

    def respond(request: Request) -> Response:
        arrived.release()
        return site.respond(request)

    server = WebServer([ListenAddress("127.0.0.1", 0)], respond)
    server.start()
    pages: list[str] = []

    def scrape() -> None:
        with urlopen(f"{server.url}/metrics", timeout=PATIENCE) as answer:
            pages.append(answer.read().decode())

    scrapes = [threading.Thread(target=scrape) for _ in range(20)]
    for one in scrapes:
        one.start()
    for _ in scrapes:
        assert arrived.acquire(timeout=PATIENCE)
    go_on.set()
    for one in scrapes:
        one.join(PATIENCE)
    server.stop()
    assert cabinet.reads == 1
    assert len(pages) == 20
    assert all('vats_up{account="acme"} 1.0' in page for page in pages)


def test_where_as_many_wait_as_may_the_others_get_what_there_is_at_once() -> None:
    go_on = threading.Event()
    reading = threading.Event()

    def hang() -> None:
        reading.set()
        assert go_on.wait(PATIENCE)

    site = Site(Collector([MonitoredAccount("acme", OneTrunk(before=hang))]), max_waiting=2)
    patient = {"x-prometheus-scrape-timeout-seconds": "600"}
    pages: list[str] = []

    def scrape() -> None:
        pages.append(text(site.respond(Request("GET", "/metrics", headers=patient))))

    waiting = [threading.Thread(target=scrape) for _ in range(2)]
    for one in waiting:
        one.start()
    assert reading.wait(PATIENCE)
    assert until(lambda: len(site._waiting) == 2)
    for query, wanted in (("", 'vats_up{account="acme"} 0.0'), ("debug=true", "too many wait")):
        path = "/probe" if query else "/metrics"
        request = Request("GET", path, f"account=acme&{query}", headers=patient)
        assert wanted in text(site.respond(request))
    go_on.set()
    for one in waiting:
        one.join(PATIENCE)
    assert ['vats_up{account="acme"} 1.0' in page for page in pages] == [True] * 2
    assert site._waiting == []


def test_who_is_served_what_is_fresh_need_not_wait_for_others() -> None:
    site = Site(Collector([MonitoredAccount("acme", OneTrunk())]), max_waiting=1)
    site.respond(Request("GET", "/metrics"))

    def ask(_: float) -> tuple[str, str]:
        requests = Request("GET", "/metrics"), Request("GET", "/probe", "account=acme")
        metrics, probe = (text(site.respond(one)) for one in requests)
        return metrics, probe

    metrics, probe = site._wait(Request("GET", "/metrics"), ask)  # both while this one waits
    assert 'vats_up{account="acme"} 1.0' in metrics
    assert "vats_probe_success 1.0" in probe


def test_each_page_has_its_own_path_and_the_metrics_can_have_none_of_them() -> None:
    for path in site_of(OneTrunk())._pages.keys() - {"/metrics"}:
        with pytest.raises(ValueError, match=r"must be a path|path of another page"):
            parse_metrics_path(path)


# -- where the metrics are, as it is given on the command line


@pytest.mark.parametrize("text", ["/a//b", "/a?b", "/a b", "/а", "/a/#"])
def test_metrics_are_not_served_at_what_is_no_path(text: str) -> None:
    with pytest.raises(ValueError, match="must be a path such as"):
        parse_metrics_path(text)


def test_the_metrics_may_be_anywhere_but_where_another_page_is() -> None:
    assert parse_metrics_path("/internal/metrics") == "/internal/metrics"
    for taken in ("/", "/probe", "/-/healthy"):
        with pytest.raises(ValueError, match=r"must be a path|path of another page"):
            parse_metrics_path(taken)
