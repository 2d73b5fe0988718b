"""200 accounts of 500 trunks in one process: what a scrape takes, and what memory.

A process of its own holds the accounts, with invented cabinets, behind the real server; another
scrapes it in both formats, plain and with gzip. Goal: memory at most 4 × the page and 60 MB, and a
scrape from bytes that are there: as fast as its bytes can be read from a socket.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.request import Request, urlopen

from benchmarks.bench_exposition import make_snapshot
from benchmarks.bench_serving import Invented
from vats_exporter import logs
from vats_exporter.address import ListenAddress
from vats_exporter.metrics.collector import Collector, MonitoredAccount
from vats_exporter.web.server import WebServer
from vats_exporter.web.site import Site

ACCOUNTS, TRUNKS = 200, 500
SCRAPES = 5

FORMATS = {
    "text": {},
    "text, gzip": {"Accept-Encoding": "gzip"},
    "OpenMetrics": {"Accept": "application/openmetrics-text; version=1.0.0"},
    "OpenMetrics, gzip": {
        "Accept": "application/openmetrics-text; version=1.0.0",
        "Accept-Encoding": "gzip",
    },
}


def serve() -> None:
    """Serve until killed, and print the port; the body of the server's process."""
    logs.configure(level="error")
    accounts = []
    for number in range(ACCOUNTS):
        trunks = make_snapshot(TRUNKS).trunks
        source = Invented(trunks)
        accounts.append(MonitoredAccount(f"account-{number:03}", source, ttl=3600, stale=7200))
    web = WebServer([ListenAddress("127.0.0.1", 0)], Site(Collector(accounts)).respond)
    web.start()
    print(web.addresses[0].port, flush=True)
    threading.Event().wait()


def resident(pid: int, line: str) -> float:
    """Return a process's memory in MB: ``VmRSS`` or its peak, ``VmHWM``."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{line}:")[2].split()[0]) / 1024


def main() -> None:
    """Print the figures."""
    command = [sys.executable, __file__, "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = f"http://127.0.0.1:{int(process.stdout.readline())}/metrics"
            empty = resident(process.pid, "VmRSS")
            print(f"{ACCOUNTS} accounts of {TRUNKS} trunks; before the first scrape {empty:.0f} MB")
            page = 0.0
            for name, headers in FORMATS.items():
                times = []
                for _ in range(SCRAPES):
                    began = time.perf_counter()
                    with urlopen(Request(url, headers=headers), timeout=120) as answer:
                        size = len(answer.read()) / 1e6
                    times.append(time.perf_counter() - began)
                page = max(page, size)
                print(
                    f"{name:18} {size:5.1f} MB  first {times[0]:.2f} s, then {min(times):.3f} s  "
                    f"{resident(process.pid, 'VmRSS'):.0f} MB of memory"
                )
            peak, goal = resident(process.pid, "VmHWM"), 4 * page + 60
            print(f"peak {peak:.0f} MB  (goal at most {goal:.0f} MB)")
        finally:
            process.kill()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        main()
