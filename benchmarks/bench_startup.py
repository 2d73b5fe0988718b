"""From exec to the first ``/metrics``, and memory at rest, beside a script that only imports.

The script imports ``requests``, ``prometheus_client`` and ``yaml`` and serves an empty registry:
the least that an exporter of these libraries can be. The exporter reads its configuration, signs in
to a simulated cabinet, discovers it and reads 25 trunks before its first page has them. Both run
compiled, as what pip installs does, whatever the environment says of writing bytecode. Goals: 2 ×
the script's time, 45 MB.

Click and pydantic come on top of the script's own imports, and then the cabinet's answers. The
parts are printed, as they are while garbage is looked for, which the program does not do meanwhile.
"""

from __future__ import annotations

import os
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

TURNS = 15
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


PARTS = ("click", "pydantic.main", "requests", "prometheus_client", "yaml")
"""What the exporter imports of others, in this order, and what is its own after that."""

IMPORTING = """
import importlib, sys, time
from pathlib import Path
def resident():
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) / 1024
for name in sys.argv[1:]:
    began, before = time.process_time(), resident()
    importlib.import_module(name)
    print(name, (time.process_time() - began) * 1000, resident() - before)
"""


def compiled(folder: Path) -> dict[str, str]:
    """Return an environment in which bytecode is kept, in a folder."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder)}


def print_parts(environment: dict[str, str]) -> None:
    """Print what each import takes, the shortest of some runs."""
    runs = []
    for _ in range(TURNS):
        command = [sys.executable, "-c", IMPORTING, *PARTS, "vats_exporter.cli.serve"]
        told = subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        ).stdout
        runs.append([line.split() for line in told.splitlines()])
    for lines in zip(*runs, strict=True):
        seconds = min(float(line[1]) for line in lines)
        memory = min(float(line[2]) for line in lines)
        print(f"  import {lines[0][0]:24} {seconds:5.0f} ms  {memory:5.1f} MB")


@contextmanager
def started(
    command: list[str], port: int, environment: dict[str, str]
) -> Iterator[tuple[float, int]]:
    """Start a program; give the seconds to its first page, and its process."""
    began = time.perf_counter()
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
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
        environment = compiled(Path(f) / "bytecode")
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
        for turn in range(-1, TURNS):  # the first one compiles, and is not counted
            for name, command in (("exporter", exporter), ("script", script)):
                port = free_port()
                with started(command(port), port, environment) as (seconds, pid):
                    if turn >= 0:
                        times[name].append(seconds)
                    if turn == TURNS - 1:
                        threading.Event().wait(REST)
                        memory[name] = resident(pid)
        print_parts(environment)
    ratio = statistics.median(
        one / other for one, other in zip(times["exporter"], times["script"], strict=True)
    )
    for name, measured in times.items():
        print(f"{name:9} {statistics.median(measured):.3f} s  {memory[name]:.1f} MB at rest")
    print(f"ratio     {ratio:.2f} ×  (goal 2 ×; memory 45 MB)")


if __name__ == "__main__":
    main()
