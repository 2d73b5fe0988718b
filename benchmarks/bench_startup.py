"""From exec to the first ``/metrics``, and memory at rest, beside a script that only imports.

The script imports ``requests``, ``prometheus_client`` and ``yaml`` and serves an empty registry:
the least that an exporter of these libraries can be. The exporter reads its configuration, signs in
to a simulated cabinet, discovers it and reads 25 trunks before its first page has them. Goals:
0.6 × the script's time, 35 MB.
"""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import urlopen

from vats_exporter.demo import SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator

TURNS = 9
REST = 3.0
"""Seconds after the first page at which memory is looked at."""

SCRIPT = """
import sys, threading
import prometheus_client, requests, yaml
prometheus_client.start_http_server(
    int(sys.argv[1]), "127.0.0.1", prometheus_client.CollectorRegistry()
)
threading.Event().wait()
"""


@contextmanager
def started(command: list[str], port: int) -> Iterator[tuple[float, int]]:
    """Start a program; give the seconds to its first page, and its process."""
    began = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            while True:
                try:
                    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                        answer.read()
                    break
                except (URLError, ConnectionError):
                    time.sleep(0.001)
            yield time.perf_counter() - began, process.pid
        finally:
            process.kill()


def resident(pid: int) -> float:
    """Return a process's resident memory in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    """Print the figures."""
    with (
        SimulatedCabinet(make_accounts(1, trunks=25)) as cabinet,
        tempfile.TemporaryDirectory() as f,
    ):
        (account,) = cabinet.accounts
        file = Path(f) / "vats-exporter.yml"
        file.write_text(
            f"accounts:\n  - name: demo\n    login: {account.login}\n"
            f"    password: {account.password}\n    address: '{cabinet.url}'\n"
        )

        def exporter(port: int) -> list[str]:
            arguments = ["--config.file", str(file), f"--web.listen-address=127.0.0.1:{port}"]
            return [sys.executable, "-m", "vats_exporter", "serve", *arguments]

        def script(port: int) -> list[str]:
            return [sys.executable, "-c", SCRIPT, str(port)]

        times: dict[str, list[float]] = {"exporter": [], "script": []}
        memory: dict[str, float] = {}
        for turn in range(TURNS):
            for name, command in (("exporter", exporter), ("script", script)):
                port = free_port()
                with started(command(port), port) as (seconds, pid):
                    times[name].append(seconds)
                    if turn == TURNS - 1:
                        threading.Event().wait(REST)
                        memory[name] = resident(pid)
    ratio = statistics.median(
        one / other for one, other in zip(times["exporter"], times["script"], strict=True)
    )
    for name, measured in times.items():
        print(f"{name:9} {statistics.median(measured):.3f} s  {memory[name]:.1f} MB at rest")
    print(f"ratio     {ratio:.2f} ×  (goal 0.6 ×; memory 35 MB)")


if __name__ == "__main__":
    main()
