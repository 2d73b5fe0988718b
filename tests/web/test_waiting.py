"""Who may wait for a cabinet that hangs, and who need not: over real connections."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import pytest

from tests.web.conftest import PATIENCE, connect
from vats_exporter.metrics.collector import Account, Collector
from vats_exporter.web import ListenAddress, Site, WebServer
from vats_exporter.web.places import Places

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from vats_exporter.metrics.counts import Tally


class Read:
    trunks = ()
    warnings = ()
    pages = 1


class Hanging:
    """A cabinet that answers when the test lets it."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def connect(self, _: Tally) -> Hanging:
        return self

    def read_trunks(self) -> Read:
        assert self.go_on.wait(PATIENCE)
        return Read()

    def close(self) -> None:
        pass


@pytest.fixture
def cabinet() -> Hanging:
    return Hanging()


class Watched(Places):
    """Places that tell who comes and goes."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.came = threading.Semaphore(0)
        self.went = threading.Semaphore(0)

    @contextlib.contextmanager
    def wait(self, seconds: float) -> Iterator[float]:
        with super().wait(seconds) as given:
            self.came.release()
            yield given
        self.went.release()


@pytest.fixture
def places() -> Watched:
    return Watched(2)


@pytest.fixture
def server(cabinet: Hanging, places: Watched) -> Iterator[WebServer]:
    site = Site(Collector([Account("acme", cabinet.connect)]))
    site._places = places
    running = WebServer(ListenAddress("127.0.0.1", 0), site.respond, max_connections=4)
    running.start()
    yield running
    running.stop(1.0)


def ask(server: WebServer, target: str) -> socket.socket:
    client = connect(server)
    head = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    client.sendall(f"{head}X-Prometheus-Scrape-Timeout-Seconds: 600\r\n\r\n".encode())
    return client


def page(client: socket.socket) -> str:
    with client:
        data = b""
        while piece := client.recv(65536):
            data += piece
    return data.decode()


def test_where_as_many_wait_as_may_the_others_get_what_there_is_at_once(
    server: WebServer, places: Watched, cabinet: Hanging
) -> None:
    with contextlib.ExitStack() as stack:
        targets = ("/metrics", "/probe?account=acme")
        waiting = [stack.enter_context(ask(server, target)) for target in targets]
        assert all(places.came.acquire(timeout=PATIENCE) for _ in waiting)
        for _ in range(5):
            assert 'vats_up{account="acme"} 0.0' in page(ask(server, "/metrics"))
            assert "vats_probe_success 0.0" in page(ask(server, "/probe?account=acme"))
            debug = page(ask(server, "/probe?account=acme&debug=true"))
            assert "result    not in time" in debug
            assert "s, since too many wait already\n" in debug
            assert " 200 OK\r\n" in page(ask(server, "/-/healthy"))
        cabinet.go_on.set()
        assert ['vats_up{account="acme"} 1.0' in page(client) for client in waiting] == [True] * 2
    assert all(places.went.acquire(timeout=PATIENCE) for _ in range(17))
    with places.wait(1.0) as first, places.wait(1.0) as second, places.wait(1.0) as third:
        assert (first, second, third) == (1.0, 1.0, 0.0)


def test_who_is_served_what_is_fresh_takes_no_place(
    server: WebServer, places: Watched, cabinet: Hanging
) -> None:
    cabinet.go_on.set()
    assert 'vats_up{account="acme"} 1.0' in page(ask(server, "/metrics"))
    with places.wait(1.0), places.wait(1.0):
        assert 'vats_up{account="acme"} 1.0' in page(ask(server, "/metrics"))
        assert "vats_probe_success 1.0" in page(ask(server, "/probe?account=acme"))
