"""Scrapes a second, beside nginx with a file, ``start_http_server`` and node-exporter.

Each server is a process of its own; all but the last serve the same trunks, nginx the very same
bytes. All are asked in many short turns, each time in another order, so that whatever else the
machine does hits all. A figure is the median of the turns' ratios, with the quartiles beside it:
where they are far apart, the machine was not quiet enough for a measurement.

A virtual machine may take longer to wake an idle core than the exporter to answer. One client and
its server take turns, and whether they do so on one core would be chance: all are kept on one. With
eight clients the exporter's threads, which wait for each other, wake cores more often than nginx
does, and its ratio on idle cores is half of that on busy ones.

Goals: at 50 KB 0.4 × nginx with one client, 0.2 × with eight, and 40 × ``start_http_server``; at
1 MB 0.8 × nginx. node-exporter, in Go, serves its own page, which is of another size and made anew
for each scrape; it stands for what operators are used to. What is not on PATH is left out.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, start_http_server

from benchmarks.bench_exposition import CHANGES, ClientLibrary, make_snapshot
from vats_exporter import logs
from vats_exporter.address import ListenAddress
from vats_exporter.history.history import Changes, History
from vats_exporter.metrics.collector import Collector, MonitoredAccount
from vats_exporter.trunks import Listing
from vats_exporter.web.server import WebServer
from vats_exporter.web.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vats_exporter.trunks import Trunk

SIZES = {"50 KB": 72, "1 MB": 1500}
"""Trunks that make a page of about that size."""

TURNS = 13
SECONDS = 0.25
WORKERS = 2
"""Processes that the clients are spread over, so that they are not what is measured."""

REQUEST = (
    b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Prometheus/2.42.0\r\n"
    b"Accept: text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n"
    b"X-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n"
)


@dataclass
class Invented:
    """A cabinet without a cabinet."""

    trunks: tuple[Trunk, ...]

    def read_trunks(self) -> Listing:
        """Give the trunks."""
        return Listing(self.trunks)

    def credentials_changed(self) -> bool:
        """They never are."""
        return False

    def close(self) -> None:
        """Nothing is open."""


class Remembering(History):
    """A history of the changes that the baseline tells."""

    def changes(self, _account: str) -> Changes:
        """Give them."""
        return CHANGES


def serve(server: str, trunks: int) -> None:
    """Serve until killed, and print the port; the body of a server's process."""
    snapshot = make_snapshot(trunks)
    if server == "vats-exporter":
        logs.configure()
        # Its data stays as it is, as the baselines' does: one refresh for the whole run.
        account = MonitoredAccount(
            "acme", Invented(snapshot.trunks), ttl=3600, stale=7200, history=Remembering()
        )
        web = WebServer([ListenAddress("127.0.0.1", 0)], Site(Collector([account])).respond)
        web.start()
        print(web.addresses[0].port, flush=True)
    else:
        registry = CollectorRegistry()
        registry.register(ClientLibrary(snapshot))
        http, _ = start_http_server(0, "127.0.0.1", registry)
        print(http.server_port, flush=True)
    threading.Event().wait()


@contextmanager
def python_server(server: str, trunks: int) -> Iterator[int]:
    """Run a server's process; give its port."""
    command = [sys.executable, __file__, server, str(trunks)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def nginx_server(nginx: str, body: bytes) -> Iterator[int]:
    """Run nginx on a file; give its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "metrics").write_bytes(body)
        paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{path}_temp_path {root}/{path};" for path in paths)
        (root / "nginx.conf").write_text(
            f"daemon off; worker_processes auto; pid {root}/pid; error_log stderr crit;"
            "events {} http { access_log off; sendfile on; tcp_nopush on; open_file_cache max=9;"
            f"keepalive_requests 100000000; {temporary}"
            f"server {{ listen 127.0.0.1:{port}; root {root}; }} }}"
        )
        command = [nginx, "-c", str(root / "nginx.conf"), "-p", name]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                wait_for(port)
                yield port
            finally:
                process.terminate()


@contextmanager
def node_exporter(program: str) -> Iterator[int]:
    """Run Debian's node-exporter; give its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [program, f"--web.listen-address=127.0.0.1:{port}", "--web.max-requests=0"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(port)
            yield port
        finally:
            process.terminate()


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


class Client:
    """Asks for the page again and again, as cheaply as Python can."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._buffer = bytearray(1 << 21)
        self._socket: socket.socket | None = None

    def fetch(self) -> bytes:
        """Read one page whole."""
        length, start = self._receive()
        return bytes(self._buffer[start : start + length])

    def rate(self) -> float:
        """Return pages a second, of a turn: whole ones, in the time that they took."""
        began = now = time.perf_counter()
        pages = 0
        while now < began + SECONDS:
            self._receive()
            pages += 1
            now = time.perf_counter()
        return pages / (now - began)

    def _receive(self) -> tuple[int, int]:
        """Read a page into the buffer; return its length and where it starts."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        self._socket.sendall(REQUEST)
        view = memoryview(self._buffer)
        got = 0
        while (end := self._buffer.find(b"\r\n\r\n", 0, got)) < 0:
            got += self._socket.recv_into(view[got:])
        head = bytes(self._buffer[:end]).lower()
        if b"transfer-encoding: chunked" in head:
            # node-exporter does not tell the length; its last chunk is empty.
            while not self._buffer[:got].endswith(b"\r\n0\r\n\r\n"):
                got += self._socket.recv_into(view[got:])
            return got - end - 4, end + 4
        length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
        while got < end + 4 + length:
            got += self._socket.recv_into(view[got:])
        if head.startswith(b"http/1.0") or b"connection: close" in head:
            self._socket.close()  # start_http_server speaks HTTP/1.0
            self._socket = None
        return length, end + 4


def rate_in_threads(port: int, clients: int) -> float:
    """Return pages a second that some clients of one process read together."""
    rates: list[float] = []
    threads = [
        threading.Thread(target=lambda: rates.append(Client(port).rate())) for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(rates)


def rate(pool: multiprocessing.pool.Pool, port: int, clients: int) -> float:
    """Return pages a second."""
    if clients == 1:
        return Client(port).rate()
    return sum(pool.starmap(rate_in_threads, [(port, clients // WORKERS)] * WORKERS))


def measure(
    pool: multiprocessing.pool.Pool, size: str, trunks: int, clients: int, nginx: str | None
) -> None:
    """Print the figures for pages of one size and so many clients."""
    with ExitStack() as stack:
        ports = {
            name: stack.enter_context(python_server(name, trunks))
            for name in ("vats-exporter", "start_http_server")
        }
        page = Client(ports["vats-exporter"]).fetch()
        theirs = Client(ports["start_http_server"]).fetch()
        assert page.startswith(theirs), "the servers serve different trunks"
        if nginx is not None:
            ports["nginx"] = stack.enter_context(nginx_server(nginx, page))
        node = shutil.which("prometheus-node-exporter")
        if node is not None:
            ports["node-exporter"] = stack.enter_context(node_exporter(node))
            print(f"node-exporter's page: {len(Client(ports['node-exporter']).fetch())} bytes")
        turns: list[dict[str, float]] = []
        for _ in range(TURNS + 1):
            order = random.sample(list(ports), len(ports))
            turns.append({name: rate(pool, ports[name], clients) for name in order})
        del turns[0]  # all are warm now
        figures = [f"{size:6} ({len(page)} bytes) c={clients}:"]
        for name in ports:
            median = statistics.median(turn[name] for turn in turns)
            figures.append(f"{name} {median:.0f}/s")
            if name != "vats-exporter":
                ratios = [turn["vats-exporter"] / turn[name] for turn in turns]
                low, middle, high = statistics.quantiles(ratios, n=4)
                figures[-1] += f" ({middle:.2f} ×, {low:.2f} to {high:.2f})"
        print("  ".join(figures), flush=True)


def main() -> None:
    """Print the figures."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if nginx is None:
        print("nginx is not installed: not measured")
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        cores = os.sched_getaffinity(0)
        for (size, trunks), clients in itertools.product(SIZES.items(), (1, 8)):
            os.sched_setaffinity(0, {min(cores)} if clients == 1 else cores)  # servers inherit it
            measure(pool, size, trunks, clients, nginx)
    print("goals: 50 KB 0.4 × nginx at c=1, 0.2 × at c=8, 40 × start_http_server; 1 MB 0.8 × nginx")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        serve(sys.argv[1], int(sys.argv[2]))
    else:
        main()
