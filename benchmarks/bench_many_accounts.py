"""500 accounts started at once: connections that are opened at a time, and the first ``/metrics``.

The exporter is a process of its own, with the command line's ``serve``, and reads a simulated
cabinet over TLS. It is asked for a page as soon as it listens, with Prometheus' usual timeout of
10 s. Goals: at most 32 connections are being opened at a time, and the page is there in time.
"""

from __future__ import annotations

import http.client
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.error import URLError
from urllib.request import Request, urlopen

import trustme

from benchmarks.bench_startup import free_port
from vats_exporter.cli import main as run
from vats_exporter.demo import SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Callable

ACCOUNTS: Final = 500
TIMEOUT: Final = 10.0


class Counted:
    """How many threads are inside a function at a time; the most are kept in a file."""

    def __init__(self, function: Callable[..., None], file: Path) -> None:
        self._function, self._file = function, file
        self._lock = threading.Lock()
        self._inside = self._most = 0

    def __get__(self, instance: object, _: type) -> Callable[[], None]:
        return lambda: self._call(instance)

    def _call(self, instance: object) -> None:
        with self._lock:
            self._inside += 1
            if self._inside > self._most:
                self._most = self._inside
                self._file.write_text(str(self._most))
        try:
            self._function(instance)
        finally:
            with self._lock:
                self._inside -= 1


def serve(folder: Path, port: str) -> None:
    """Serve until killed; the body of the exporter's process."""
    connection = http.client.HTTPSConnection
    connection.connect = Counted(connection.connect, folder / "most")  # type: ignore[method-assign,assignment]  # wrapped
    file = str(folder / "vats-exporter.yml")
    run(["serve", "--config.file", file, f"--web.listen-address=127.0.0.1:{port}"])


def scrape(port: int) -> tuple[float, str]:
    """Return the seconds that a page takes, and the page."""
    headers = {"X-Prometheus-Scrape-Timeout-Seconds": str(TIMEOUT)}
    request = Request(f"http://127.0.0.1:{port}/metrics", headers=headers)
    began = time.perf_counter()
    with urlopen(request, timeout=60) as answer:
        page = answer.read().decode()
    return time.perf_counter() - began, page


def up(page: str) -> int:
    """Return how many accounts are up."""
    return len(re.findall(r"(?m)^vats_up\{.*\} 1\.0$", page))


def first(port: int) -> tuple[float, str]:
    """Ask until somebody listens."""
    while True:
        try:
            return scrape(port)
        except (URLError, ConnectionError):
            time.sleep(0.01)


def main() -> None:
    """Print the figures."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    cabinet = SimulatedCabinet(make_accounts(ACCOUNTS, trunks=2), tls=context)
    with cabinet, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority.cert_pem.write_to_path(folder / "ca.crt")
        text = f"defaults:\n  address: '{cabinet.url}'\n  tls: {{ca_file: ca.crt}}\naccounts:\n"
        for one in cabinet.accounts:
            text += f"  - {{name: {one.name}, login: '{one.login}', password: {one.password}}}\n"
        (folder / "vats-exporter.yml").write_text(text)
        port = free_port()
        command = [sys.executable, __file__, str(folder), str(port)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                began = time.perf_counter()
                took, page = first(port)
                print(f"first page in {took:.2f} s of {TIMEOUT:g} s, with {up(page)} accounts up")
                while up(page) < ACCOUNTS:
                    _, page = scrape(port)
                print(f"all are up after {time.perf_counter() - began:.1f} s")
                print(f"opened at a time: {(folder / 'most').read_text()} (goal at most 32)")
            finally:
                process.kill()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        serve(Path(sys.argv[1]), sys.argv[2])
    else:
        main()
