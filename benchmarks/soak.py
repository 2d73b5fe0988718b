"""The exporter against a cabinet that misbehaves, for minutes or hours: ``make soak SECONDS=600``.

20 accounts with 5,000 trunks on the simulated cabinet, ``serve`` in a process of its own, eight
clients that scrape it. Meanwhile trunks and their selectors change, requests fail in every way at
random, sessions end, the cabinet is redeployed, passwords change, and the configuration is
reloaded, right and wrong.

What must hold, and ends the run with status 1 if it does not:

* no wrong flag: every flag of every scrape is one that the trunk really had while the snapshot that
  it stands in was read;
* no wrong selector: it is one that the trunk really had between the time that the page tells of the
  oldest details and that of the snapshot, and the former is never older than ``details.ttl`` and
  ``cache.stale`` make it;
* every trunk of a snapshot is there, once, and a snapshot is never older than ``cache.stale``;
* memory, threads and open files do not grow after the first quarter. In less than five minutes
  they are not judged: a quarter is then one busy moment or another, and no warm-up;
* there are no more sign-ins than reasons for one;
* there are no more refused sign-ins than changed passwords explain, see :func:`refusals_allowed`;
* the exporter ends with 0.
"""

from __future__ import annotations

import gzip
import math
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vats_exporter.demo import Answer, Fault, Incoming, SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vats_exporter.demo import Account

ACCOUNTS, TRUNKS, CLIENTS = 20, 250, 8
TTL, STALE, DETAILS = 2.0, 30.0, 300.0
READING = 8.0
"""Seconds before a snapshot's time at which its reading had surely not begun."""

AFTER = 0.5
"""Seconds by which the truth may be known late: a change takes its time to be written down."""

FAULTY = 0.03
"""Share of the cabinet's requests that go wrong."""

WARM = 300.0
"""Seconds of a run from which on its second quarter is as good as any later one."""

FLAGS = {"active": "active", "bound": "bound", "marked_for_deletion": "marked"}
SELECTOR = "sip_device_enabled"
HTML = (("Content-Type", "text/html"),)

_SAMPLE = re.compile(
    r'^vats_trunk_(active|bound|marked_for_deletion|sip_device_enabled)\{account="([^"]*)",phone="[^"]*",'
    r'trunk="([^"]*)"\} ([01])\.0$',
    re.MULTILINE,
)
_BUG = re.compile(r"unexpected \w+ at \w+\.py|Traceback|thread ended|was not recorded")
_TAKEN = re.compile(r'^vats_refresh_timestamp_seconds\{account="([^"]*)"\} (\S+)$', re.MULTILINE)
_DETAILS = re.compile(r'^vats_details_timestamp_seconds\{account="([^"]*)"\} (\S+)$', re.MULTILINE)
_RELOADED = re.compile(r"^ts=(\S+)Z .*msg=\"configuration reloaded\"", re.MULTILINE)
_COUNT = re.compile(r'^vats_trunks\{account="([^"]*)"\} (\S+)$', re.MULTILINE)


class Truth:
    """What each flag was, and when."""

    def __init__(self, accounts: tuple[Account, ...]) -> None:
        self._lock = threading.Lock()
        self._times: dict[tuple[str, str, str], list[float]] = {}
        self._values: dict[tuple[str, str, str], list[bool]] = {}
        self._accounts = {account.name: account for account in accounts}
        for account in accounts:
            for trunk in account.enterprise.trunks():
                for flag, name in FLAGS.items():
                    key = (account.name, trunk.ref, flag)
                    self._times[key] = [0.0]
                    self._values[key] = [getattr(trunk.state, name)]
                if trunk.device is not None:
                    key = (account.name, trunk.ref, SELECTOR)
                    self._times[key] = [0.0]
                    self._values[key] = [trunk.device.enabled]

    def change(self, draw: random.Random) -> None:
        """Turn one flag of one trunk, or its selector, and write down when."""
        key = self._any(draw)
        account, ref, flag = key
        with self._lock:
            value = not self._values[key][-1]
            # Written down before it is so: from now on either may be seen.
            self._times[key].append(time.time())
            self._values[key].append(value)
        enterprise = self._accounts[account].enterprise
        change: dict[str, Any] = {"enabled" if flag == SELECTOR else FLAGS[flag]: value}
        enterprise.change(ref, **change)

    def _any(self, draw: random.Random) -> tuple[str, str, str]:
        name = draw.choice(list(self._accounts))
        trunk = draw.choice(self._accounts[name].enterprise.trunks())
        flags = [*FLAGS, SELECTOR] if trunk.device is not None else [*FLAGS]
        return (name, trunk.ref, draw.choice(flags))

    def may_be(self, key: tuple[str, str, str], *, value: bool, began: float, ended: float) -> bool:
        """Tell whether a flag had a value at some time between two."""
        times = self._times.get(key)
        if times is None:
            return False
        with self._lock:
            first = bisect_right(times, began) - 1
            last = bisect_right(times, ended)
            return value in self._values[key][first:last]

    def references(self, account: str) -> set[str]:
        """Return an account's trunks."""
        return {ref for name, ref, _ in self._times if name == account}


@dataclass
class Found:
    """What was counted, and what was wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    details: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str, number: int = 1) -> None:
        """Count something."""
        with self.lock:
            self.counts[what] += number

    def complain(self, sentence: str) -> None:
        """Keep what was wrong."""
        with self.lock:
            self.wrong.append(sentence)


class Chaos:
    """Everything that happens to the cabinet and to the configuration."""

    def __init__(self, cabinet: SimulatedCabinet, folder: Path, found: Found) -> None:
        self.cabinet = cabinet
        self.truth = Truth(cabinet.accounts)
        self.passwords_changed: list[float] = []
        self.process: subprocess.Popen[bytes] | None = None
        self._folder = folder
        self._found = found
        self._draw = random.Random(1)
        self._page_sizes = {account.name: 100 for account in cabinet.accounts}
        self.write_config()
        cabinet.faults = self._fault

    def write_config(self, extra: str = "") -> None:
        """Write the configuration as it should be now."""
        lines = ["accounts:"]
        for account in self.cabinet.accounts:
            lines += [
                f"  - name: {account.name}",
                f"    login: '{account.login}'",
                f"    password: {account.password}",
                f"    address: '{self.cabinet.url}'",
                f"    page_size: {self._page_sizes[account.name]}",
                "    timeouts: {connect: 1s, read: 1s, call: 2s}",
            ]
        lines += [
            f"cache: {{ttl: {TTL:.0f}s, stale: {STALE:.0f}s}}",
            "history: {file: history.db}",
            f"details: {{ttl: {DETAILS:.0f}s}}",
            extra,
        ]
        (self._folder / "config.yml").write_text("\n".join(lines), "utf-8")

    def _fault(self, incoming: Incoming) -> Fault | None:
        draw = self._draw
        if draw.random() >= FAULTY:
            return None
        self._found.count("faults")
        if incoming.call == "sign_in":
            self._found.count("faults at sign-in")
        return draw.choice(
            [
                Fault(drop=True),
                Fault(drop=True, reset=True),
                Fault(cut=draw.randrange(200)),
                Fault(cut=draw.randrange(200), reset=True),
                Fault(wait=threading.Event()),
                Fault(instead=Answer(500, HTML, b"<html>")),
                Fault(instead=Answer(503, (("Retry-After", "1"),), b"")),
                Fault(instead=Answer(429, HTML, b"")),
                Fault(instead=Answer(200, HTML, b"<html>captcha</html>")),
                Fault(instead=Answer(200, (), b"")),
                Fault(instead=Answer(302, (("Location", "/login"),), b"")),
                Fault(change=_halved),
                Fault(change=_garbled),
            ]
        )

    def happen(self) -> None:
        """Let one thing happen."""
        draw = self._draw
        for _ in range(draw.randrange(4)):
            self.truth.change(draw)
            self._found.count("changes of flags")
        dice = draw.random()
        if dice < 0.004:
            self.cabinet.redeploy()
            self._found.count("redeployments")
        elif dice < 0.02:
            account = draw.choice(self.cabinet.accounts)
            self._found.count("sessions ended", self.cabinet.end_sessions(account.name))
        elif dice < 0.022:
            account = draw.choice(self.cabinet.accounts)
            self.passwords_changed.append(time.time())
            self.cabinet.change_password(account.name, f"secret-{draw.randrange(10**9)}")
            self._found.count("passwords changed")
            self._reload()
        elif dice < 0.03:
            account = draw.choice(self.cabinet.accounts)
            self._page_sizes[account.name] = draw.choice((50, 100, 200))
            self._reload()
        elif dice < 0.034:
            self._reload("colour: red")

    def _reload(self, extra: str = "") -> None:
        self.write_config(extra)
        self._found.count("reloads" if not extra else "reloads of a wrong configuration")
        if self.process is not None:
            self.process.send_signal(signal.SIGHUP)


def _body(answer: Answer) -> bytes:
    content = answer.body if isinstance(answer.body, bytes) else b""
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def _plain(answer: Answer, body: bytes) -> Answer:
    headers = tuple(one for one in answer.headers if one[0] != "Content-Encoding")
    return Answer(answer.status, headers, body)


def _halved(answer: Answer) -> Answer:
    body = _body(answer)
    return _plain(answer, body[: len(body) // 2])


def _garbled(answer: Answer) -> Answer:
    return _plain(answer, _body(answer).replace(b",0,7]", b",0,]").replace(b"1,", b"2,", 1))


def scrape(port: int, path: str, *, compress: bool, openmetrics: bool) -> tuple[float, str]:
    """Ask for a page; return the seconds and the page."""
    headers = {"X-Prometheus-Scrape-Timeout-Seconds": "5"}
    if compress:
        headers["Accept-Encoding"] = "gzip"
    if openmetrics:
        headers["Accept"] = "application/openmetrics-text"
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    began = time.perf_counter()
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise HTTPException(f"{path}: HTTP {answer.status}")
    page = gzip.decompress(body) if compress else body
    return time.perf_counter() - began, page.decode()


def judge(page: str, truth: Truth, found: Found) -> None:
    """Compare a page with the truth within its age."""
    now = time.time()
    taken = {account: float(at) for account, at in _TAKEN.findall(page)}
    read = {account: float(at) for account, at in _DETAILS.findall(page)}
    seen: dict[str, set[str]] = defaultdict(set)
    for flag, account, ref, value in _SAMPLE.findall(page):
        at = taken.get(account)
        began = read.get(account) if flag == SELECTOR else at
        if at is None or began is None:
            found.complain(f"{account}: {flag} without a time")
            continue
        if flag == "active":
            if ref in seen[account]:
                found.complain(f"{account} {ref}: twice")
            seen[account].add(ref)
        key = (account, ref, flag)
        if not truth.may_be(key, value=value == "1", began=began - READING, ended=at + AFTER):
            found.complain(f"{key}: {value} at {at}, since {began}")
        found.counts["selectors compared" if flag == SELECTOR else "flags compared"] += 1
    for account, number in _COUNT.findall(page):
        if len(seen[account]) != float(number) or seen[account] != truth.references(account):
            found.complain(f"{account}: {len(seen[account])} of {number} trunks")
    for account, at in taken.items():
        found.ages.append(now - at)
        if now - at > STALE + 6.0:
            found.complain(f"{account}: served {now - at:.0f} s old")
    for account, at in read.items():
        found.details.append(now - at)
        # As old as they may be in a snapshot, and that as old as it may be.
        if now - at > DETAILS + STALE + STALE + 6.0:
            found.complain(f"{account}: details served {now - at:.0f} s old")


def client(port: int, seed: int, truth: Truth, found: Found, stop: threading.Event) -> None:
    """Scrape until told to stop; the body of a client's thread."""
    draw = random.Random(seed)
    while not stop.wait(draw.uniform(0.2, 1.2)):
        path = "/metrics"
        if draw.random() < 0.3:
            path = f"/probe?account=demo-{draw.randint(1, ACCOUNTS)}"
        try:
            took, page = scrape(
                port, path, compress=draw.random() < 0.5, openmetrics=draw.random() < 0.5
            )
        except (OSError, HTTPException) as error:
            found.complain(f"scrape of {path}: {type(error).__name__}: {error}")
            continue
        found.count("scrapes")
        found.times.append(took)
        judge(page, truth, found)


@dataclass(frozen=True)
class Sample:
    """What the exporter's process takes."""

    memory: float
    threads: int
    files: int


def sample(pid: int) -> Sample:
    """Look at a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    memory = int(status.partition("VmRSS:")[2].split()[0]) / 1024
    threads = int(status.partition("Threads:")[2].split()[0])
    return Sample(memory, threads, sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()))


def refusals_allowed(changed: Sequence[float], reloaded: Sequence[float], end: float) -> int:
    """Return how many sign-ins may be refused for passwords that changed.

    A changed password is in the configuration at once, and a reload is asked for. Until that is
    done, the account is refused when its next listing is due, and then backs off: in ``d`` seconds
    as often as the sum of ``TTL``, 2 ``TTL``, 4 ``TTL`` … fits in, and once more. The next reload
    that is told may have read the file just before, and begins the back-off anew; the one after it
    has read it for certain. A listing under way at that time may be refused once more. Details add
    nothing, as they never sign in.

    Args:
        changed: when passwords did.
        reloaded: when the exporter told of a reload that worked.
        end: of the run.
    """
    allowed = 0
    for at in changed:
        until = [*[one for one in reloaded if one > at][:2], end, end][1]
        allowed += 2 * (1 + math.floor(math.log2((until - at) / TTL + 1))) + 1
    return allowed


def compare_growth(found: Found, samples: list[Sample], seconds: float) -> None:
    """Print what the process took early and late, and complain of growth in a run long enough.

    Threads and files come and go: with a refresh, with a run of details every ``details.ttl``. What
    leaks stays, so it shows in the least of them. Memory goes up and down little.
    """
    quarter = max(1, len(samples) // 4)
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    for name in ("memory", "threads", "files"):
        figure, what = (statistics.median, name) if name == "memory" else (min, f"{name}, at least")
        before = figure([getattr(one, name) for one in early])
        after = figure([getattr(one, name) for one in late])
        print(f"{what:32} {before:.0f} in the second quarter, {after:.0f} in the last")
        if seconds >= WARM and after > before * 1.1 + (2 if name != "memory" else 0):
            found.complain(f"{name} grew from {before:.0f} to {after:.0f}")
    if seconds < WARM:
        print(f"{'':32} not judged: less than {WARM:.0f} s are all warm-up")


def report(found: Found, stats: dict[str, int], allowed: int) -> None:
    """Print the other figures, and complain of those that are not as they should be."""
    reasons = ACCOUNTS + sum(
        found.counts[what] for what in ("sessions ended", "passwords changed", "reloads", "faults")
    )
    attempts = stats["sign_ins"] + stats["refused_sign_ins"]
    refused = stats["refused_sign_ins"]
    print(f"{'sign-ins':32} {stats['sign_ins']}; reasons {reasons}")
    print(f"{'refused sign-ins':32} {refused}; changed passwords explain {allowed}")
    if attempts > reasons:
        found.complain(f"{attempts} sign-ins for {reasons} reasons")
    if refused > allowed:
        found.complain(f"{refused} refused sign-ins where changed passwords explain {allowed}")
    for what, number in sorted(found.counts.items()):
        print(f"{what:32} {number:,}")
    if found.times:
        times = sorted(found.times)
        print(
            f"{'a scrape takes':32} {statistics.median(times):.3f} s, 99 % at most "
            f"{times[int(len(times) * 0.99)]:.3f} s, the longest {times[-1]:.3f} s"
        )
    for what, ages in (("snapshots", found.ages), ("the oldest details", found.details)):
        if ages:
            middle, oldest = statistics.median(ages), max(ages)
            print(f"{f'age of {what}':32} {middle:.1f} s, at most {oldest:.1f} s")


def main(seconds: float) -> int:
    """Run for that many seconds; return the exit status."""
    found = Found()
    with (
        SimulatedCabinet(make_accounts(ACCOUNTS, trunks=TRUNKS)) as cabinet,
        tempfile.TemporaryDirectory() as name,
    ):
        folder = Path(name)
        chaos = Chaos(cabinet, folder, found)
        arguments = ["--config.file", str(folder / "config.yml")]
        arguments += ["--web.listen-address", "127.0.0.1:0"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "vats_exporter", "serve", *arguments], stderr=log
            )
        try:
            samples = run(process, chaos, found, folder / "log", seconds)
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            status = process.wait(30)
            print(f"{'ends':32} with {status}, after {time.monotonic() - began:.1f} s")
            if status != 0:
                found.complain(f"ended with {status}")
        finally:
            process.kill()
            process.wait()
        text = (folder / "log").read_text()
        reloaded = [
            datetime.fromisoformat(f"{ts}+00:00").timestamp() for ts in _RELOADED.findall(text)
        ]
        allowed = refusals_allowed(chaos.passwords_changed, reloaded, time.time())
        compare_growth(found, samples, seconds)
        report(found, cabinet.stats(), allowed)
        for line in text.splitlines():
            if _BUG.search(line):
                found.complain(f"the log says: {line}")
    for sentence in found.wrong[:20]:
        print(f"WRONG {sentence}")
    print(f"{len(found.wrong)} things were wrong")
    return 1 if found.wrong else 0


def run(
    process: subprocess.Popen[bytes], chaos: Chaos, found: Found, log: Path, seconds: float
) -> list[Sample]:
    """Let it all happen; return what the process took, second by second."""
    listening: Callable[[], re.Match[str] | None] = lambda: re.search(  # noqa: E731 - used below
        r"msg=listening address=[^ ]*:(\d+)", log.read_text()
    )
    while (match := listening()) is None:
        time.sleep(0.05)
    port = int(match[1])
    chaos.process = process
    stop = threading.Event()
    clients = [
        threading.Thread(target=client, args=(port, seed, chaos.truth, found, stop))
        for seed in range(CLIENTS)
    ]
    for one in clients:
        one.start()
    samples: list[Sample] = []
    began = looked = time.monotonic()
    while time.monotonic() - began < seconds and process.poll() is None:
        chaos.happen()
        time.sleep(0.1)
        if time.monotonic() - looked >= 1.0:
            looked = time.monotonic()
            samples.append(sample(process.pid))
    stop.set()
    for one in clients:
        one.join()
    print(f"{ACCOUNTS} accounts, {ACCOUNTS * TRUNKS} trunks, {CLIENTS} clients, {seconds:.0f} s")
    return samples


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 600.0))
