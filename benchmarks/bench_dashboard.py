"""What the dashboards cost Prometheus: each query's time, and the CPU of a whole refresh.

    python benchmarks/bench_dashboard.py                         10,000 trunks, six hours, an outage
    python benchmarks/bench_dashboard.py --trunks 100 --hours 1  small
    python benchmarks/bench_dashboard.py --serve --scene quiet   leaves Prometheus up, to look at

It invents the samples that Prometheus would have, scraped and recorded once a minute, backfills a
real one with them (`promtool tsdb create-blocks-from openmetrics`) and asks it all that the
dashboards ask, first one query after the other, then a refresh as a browser does it. Goals: no
query over 1 s, a refresh under 5 s of CPU. What the rules cost, bench_rules.py measures.

Both programs are Prometheus', 2.42 or later, and have to be on PATH. 10,000 trunks take some
minutes to backfill, and 2 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from benchmarks.invented_samples import SCENES, STEP, Scene, write_window
from grafana.build import built
from grafana.queries import Query, View

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK: Final = 7200
ROUNDS: Final = 3
BROWSER: Final = 6
"""Requests that a browser has open at a time."""

SLOWEST, CPU = 1.0, 5.0


def backfill(scene: Scene, folder: Path) -> None:
    """Make Prometheus' blocks of a scene's samples, two hours at a time."""
    start = scene.start
    while start <= scene.end:
        end = min(scene.end + STEP, (start // BLOCK + 1) * BLOCK)
        text = folder.parent / "samples.txt"
        with text.open("w", encoding="utf-8") as file:
            write_window(scene, start, end, file)
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(folder)]
        subprocess.run(command, check=True, capture_output=True)
        text.unlink()
        start = end


@dataclass(frozen=True)
class Server:
    """A Prometheus that is up."""

    url: str
    pid: int
    start: float
    end: float

    def ask(self, query: Query) -> list[dict[str, Any]]:
        """Send a query as Grafana does, and return its result."""
        asked = {"query": query.expr}
        if query.step is None:
            path, asked["time"] = "query", str(self.end)
        else:
            path, asked["step"] = "query_range", str(query.step)
            asked["start"] = str(self.start // query.step * query.step)
            asked["end"] = str(self.end // query.step * query.step)
        with urlopen(f"{self.url}/api/v1/{path}", urlencode(asked).encode(), timeout=60) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return result

    def timed(self, query: Query) -> tuple[float, float]:
        """Return the seconds that a query takes, and those of CPU, the median of some rounds."""
        took, used = [], self.cpu()
        for _ in range(ROUNDS):
            began = time.perf_counter()
            self.ask(query)
            took.append(time.perf_counter() - began)
        return statistics.median(took), (self.cpu() - used) / ROUNDS

    def cpu(self) -> float:
        """Return the seconds of CPU that the process has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def prometheus(scene: Scene, folder: Path) -> Iterator[Server]:
    """Run Prometheus on the blocks in a folder."""
    (folder.parent / "prometheus.yml").write_text("global: {}\n")
    options = (f"--storage.tsdb.path={folder}", "--storage.tsdb.retention.time=30d")
    with running_prometheus(folder.parent, *options) as (url, pid):
        yield Server(url, pid, scene.start, scene.end)


@contextmanager
def running_prometheus(folder: Path, *options: str) -> Iterator[tuple[str, int]]:
    """Run Prometheus with the configuration in a folder; yield its address and its process's id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
        *options,
    ]
    url = f"http://127.0.0.1:{port}"
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        while not _ready(url):
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            time.sleep(0.1)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(30)


def _ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/-/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def measure(server: Server, scene: Scene) -> None:
    """Print the figures, beside the goals."""
    chosen = {"vats-trunk": {"account": scene.example.account, "trunk": scene.example.ref}}
    for uid in ("vats-trunks", "vats-trunk"):
        view = View(built()[uid], scene.start, scene.end, {"account": ".+", **chosen.get(uid, {})})
        queries = list(view.queries(server.ask))
        times = {query: server.timed(query) for query in queries}
        print(f"\n{uid}: {len(queries)} queries; seconds, and of CPU")
        for query in sorted(queries, key=lambda one: -times[one][0]):
            mark = " (in the collapsed row)" if query.inside else ""
            print("  {:6.3f} {:6.3f}".format(*times[query]), f" {query.where}{mark}")
        slowest = max(seconds for seconds, _ in times.values())
        print(f"slowest query {slowest:.3f} s  (goal at most {SLOWEST:g} s)")
        for name, some in (
            ("as it opens", [query for query in queries if not query.inside]),
            ("every row open", queries),
        ):
            before, began = server.cpu(), time.perf_counter()
            with ThreadPoolExecutor(BROWSER) as pool:
                list(pool.map(server.ask, some))
            took, used = time.perf_counter() - began, server.cpu() - before
            print(f"refresh, {name}: {used:.2f} s of CPU  (goal at most {CPU:g} s), {took:.2f} s")


def main() -> None:
    """Print the figures, beside the goals."""
    parser = argparse.ArgumentParser(description="What the dashboards cost Prometheus.")
    parser.add_argument("--trunks", type=int, default=10_000)
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--scene", choices=SCENES, default="outage")
    parser.add_argument("--serve", action="store_true", help="measure nothing, until Enter")
    arguments = parser.parse_args()
    for program in ("promtool", "prometheus"):
        if shutil.which(program) is None:
            print(f"{program} is not on PATH: nothing is measured")
            return
    scene = Scene(arguments.scene, arguments.trunks, arguments.hours, time.time())
    with tempfile.TemporaryDirectory() as folder:
        blocks = Path(folder) / "data"
        began = time.perf_counter()
        backfill(scene, blocks)
        took = time.perf_counter() - began
        print(f"{len(scene.trunks)} trunks, {arguments.hours:g} h, backfilled in {took:.0f} s")
        with prometheus(scene, blocks) as server:
            if arguments.serve:
                print(f"{server.url} from {server.start:.0f} to {server.end:.0f}", flush=True)
                sys.stdin.readline()
                return
            measure(server, scene)


if __name__ == "__main__":
    main()
