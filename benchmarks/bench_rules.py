"""What the rules cost Prometheus: the seconds of an evaluation of each group, and of all.

    python -m benchmarks.bench_rules                               10,000 trunks, 3,500 of them off
    python -m benchmarks.bench_rules --trunks 200 --off 70 --minute 0.5 --history 2   small

A real Prometheus, 2.42 or later and on PATH, scrapes invented trunks and evaluates all rules of
`deploy/`, with every duration made as much shorter as a minute is: so a window of an hour has as
many samples as it really has, in minutes. The trunks fail when there is as much history as the
longest window that the rules look back, and when all their alerts fire, Prometheus' own figures of
some evaluations are read. Goal: no group's evaluation takes more than 0.5 s.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import tempfile
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from benchmarks.bench_dashboard import running_prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES: Final = Path(__file__).parents[1] / "deploy" / "prometheus" / "rules"
SECONDS: Final = 0.5
PER_ACCOUNT: Final = 500
ROUNDS: Final = 8
"""Evaluations that are read, at least; so many minutes pass that each group has some."""


def shorten(text: str, minute: float) -> str:
    """Make every duration, and every count of seconds in a rule, as much shorter as a minute is."""
    minutes = {"s": 1 / 60, "m": 1, "h": 60, "d": 1440}

    def duration(match: re.Match[str]) -> str:
        return f"{round(int(match[1]) * minutes[match[2]] * minute * 1000)}ms"

    # A format as %.40s is no duration.
    text = re.sub(r"(?<!\.)\b(\d+)([smhd])\b", duration, text)
    text = re.sub(r"\* 60\b", f"* {minute:g}", text)
    return re.sub(r"\b86400\b", f"{1440 * minute:g}", text)


class Invented:
    """What is scraped: trunks of which some are off, with details and what changed."""

    def __init__(self, trunks: int, off: int) -> None:
        self.trunks, self.off = trunks, off
        self.failed_at: float | None = None
        self.scrapes = 0
        self._lines: dict[float | None, bytes] = {}

    def page(self) -> bytes:
        """Return the page of now."""
        failed_at = self.failed_at
        if failed_at not in self._lines:
            self._lines[failed_at] = self._of_trunks(failed_at)
        return self._lines[failed_at] + self._of_accounts()

    def _of_trunks(self, failed_at: float | None) -> bytes:
        lines = []
        every = max(1, self.trunks // max(1, self.off))
        for number in range(self.trunks):
            account = f"office-{number // PER_ACCOUNT + 1}"
            labels = f'account="{account}",trunk="C{number:05}",phone="7916{number:07}"'
            failed = failed_at and number % every == 0 and number // every < self.off
            state = int(not failed)
            lines += [
                f"vats_trunk_active{{{labels}}} {state}",
                f"vats_trunk_bound{{{labels}}} {state}",
                f"vats_trunk_marked_for_deletion{{{labels}}} 0",
                f"vats_trunk_sip_device_enabled{{{labels}}} 1",
                f'vats_trunk_info{{{labels},name="Касса {number}",line="s{number}"}} 1',
            ]
            for flag in ("active", "bound", "marked_for_deletion", "sip_device_enabled"):
                changes = int(bool(failed) and flag in {"active", "bound"})
                ours = f'{labels},flag="{flag}"'
                lines.append(f"vats_trunk_flag_changes_total{{{ours}}} {changes}")
                if changes:
                    name = "vats_trunk_flag_changed_timestamp_seconds"
                    lines.append(f"{name}{{{ours}}} {failed_at:.3f}")
        return ("\n".join(lines) + "\n").encode()

    def _of_accounts(self) -> bytes:
        self.scrapes += 1
        now, lines = time.time(), []
        accounts = -(-self.trunks // PER_ACCOUNT)
        for number in range(accounts):
            account = f'account="office-{number + 1}"'
            count = min(PER_ACCOUNT, self.trunks - number * PER_ACCOUNT)
            lines += [
                f"vats_up{{{account}}} 1",
                f"vats_trunks{{{account}}} {count}",
                f"vats_refresh_timestamp_seconds{{{account}}} {now:.3f}",
                f"vats_details_timestamp_seconds{{{account}}} {now:.3f}",
                f'vats_refreshes_total{{{account},result="success"}} {self.scrapes}',
                f'vats_details_total{{{account},result="success"}} {self.scrapes * 10}',
                f'vats_logins_total{{{account},result="success"}} 1',
                f"vats_redeployments_total{{{account}}} 0",
                f'vats_trunk_patterns{{{account},pattern="1100",known="true"}} {count}',
            ]
            for bound in ("0.1", "0.5", "1", "5", "30", "+Inf"):
                name = "vats_request_duration_seconds_bucket"
                lines.append(f'{name}{{{account},call="list",le="{bound}"}} {self.scrapes}')
        lines += [
            "vats_config_last_reload_successful 1",
            "vats_history_up 1",
            "vats_history_errors_total 0",
            "vats_log_dropped_total 0",
        ]
        return ("\n".join(lines) + "\n").encode()


@contextmanager
def served(invented: Invented) -> Iterator[int]:
    """Serve the page, and take what an Alertmanager is sent; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = invented.page()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


@contextmanager
def prometheus(port: int, minute: float, folder: Path) -> Iterator[str]:
    """Run Prometheus with all rules; yield its address."""
    (folder / "rules").mkdir()
    for file in RULES.glob("*.yml"):
        text = shorten(file.read_text(encoding="utf-8"), minute)
        (folder / "rules" / file.name).write_text(text, encoding="utf-8")
    short = f"{round(minute * 1000)}ms"
    target = [{"static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]
    intervals = ("scrape_interval", "scrape_timeout", "evaluation_interval")
    configuration = {
        "global": {
            **dict.fromkeys(intervals, short),
            "external_labels": {"dashboard_url": "https://grafana.example.com"},
        },
        "rule_files": ["rules/*.yml"],
        "scrape_configs": [{"job_name": "vats-exporter", **target[0]}],
        "alerting": {"alertmanagers": target},
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    options = (
        f"--storage.tsdb.path={folder / 'data'}",
        f"--query.lookback-delta={round(5 * minute * 1000)}ms",
        f"--rules.alert.resend-delay={round(25 * minute * 1000)}ms",
    )
    with running_prometheus(folder, *options) as (url, _pid):
        yield url


def ask(url: str, path: str, **asked: str) -> Any:
    """Ask Prometheus' API."""
    with urlopen(f"{url}/api/v1/{path}?{urlencode(asked)}", timeout=60) as answer:
        return json.load(answer)["data"]


def count(url: str, query: str) -> int:
    """Return a query's value, 0 where there is none."""
    result = ask(url, "query", query=query)["result"]
    return int(result[0]["value"][1]) if result else 0


class Evaluations:
    """The seconds of each evaluation that was seen, by group and by rule."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}
        self.groups: dict[str, list[float]] = {}
        self.rules: dict[tuple[str, int, str], list[float]] = {}

    def look(self, url: str) -> None:
        """Add what was evaluated since the last look."""
        for group in ask(url, "rules")["groups"]:
            name = group["name"]
            if self._seen.get(name) == group["lastEvaluation"]:
                continue
            self._seen[name] = group["lastEvaluation"]
            self.groups.setdefault(name, []).append(group["evaluationTime"])
            for number, rule in enumerate(group["rules"]):
                key = (name, number, rule["name"])
                self.rules.setdefault(key, []).append(rule["evaluationTime"])


def measure(url: str, minute: float, invented: Invented) -> None:
    """Print the figures."""
    seen = Evaluations()
    seen.look(url)
    seen.groups.clear()
    seen.rules.clear()
    end = time.monotonic() + ROUNDS * 2 * minute
    while time.monotonic() < end or min(map(len, seen.groups.values()), default=0) < 3:
        time.sleep(minute / 10)
        seen.look(url)
    firing = count(url, 'count(ALERTS{alertstate="firing"})')
    print(f"{invented.trunks} trunks, {invented.off} of them off; {firing} alerts fire")
    print("\nthe slowest rules; seconds of an evaluation, median")
    rules = {key: statistics.median(taken) for key, taken in seen.rules.items()}
    for key, seconds in sorted(rules.items(), key=lambda one: -one[1])[:20]:
        print(f"  {seconds:6.3f}  {key[0]} {key[1] + 1}: {key[2]}")
    print("\ngroups; seconds of an evaluation, median and most; of each minute")
    minutes = {
        group["name"]: max(1.0, group["interval"] / minute) for group in ask(url, "rules")["groups"]
    }
    share = {}
    for name, taken in sorted(seen.groups.items()):
        share[name] = statistics.median(taken) / minutes[name]
        middle, most = statistics.median(taken), max(taken)
        print(f"  {middle:6.3f} {most:6.3f} {share[name]:6.3f}  {name}")
    print(f"together: {sum(share.values()):.3f} s of each minute")
    at_once = sum(statistics.median(taken) for taken in seen.groups.values())
    print(f"all groups, when all are due: {at_once:.3f} s")
    slowest = max(statistics.median(taken) for taken in seen.groups.values())
    print(f"slowest group {slowest:.3f} s  (goal at most {SECONDS:g} s)")


def main() -> None:
    """Print the figures, beside the goal."""
    parser = argparse.ArgumentParser(description="What the rules cost Prometheus.")
    parser.add_argument("--trunks", type=int, default=10_000)
    parser.add_argument("--off", type=int, default=3_500)
    parser.add_argument("--minute", type=float, default=2.0, help="seconds that stand for one")
    parser.add_argument("--history", type=float, default=90, help="minutes before trunks fail")
    arguments = parser.parse_args()
    if shutil.which("prometheus") is None:
        print("prometheus is not on PATH: nothing is measured")
        return
    minute = arguments.minute
    invented = Invented(arguments.trunks, arguments.off)
    with (
        tempfile.TemporaryDirectory() as folder,
        served(invented) as port,
        prometheus(port, minute, Path(folder)) as url,
    ):
        time.sleep(arguments.history * minute)
        invented.failed_at = time.time()
        firing = 'count(ALERTS{alertname="VatsTrunkInactive", alertstate="firing"})'
        while count(url, firing) < arguments.off:
            time.sleep(minute)
        measure(url, minute, invented)


if __name__ == "__main__":
    main()
