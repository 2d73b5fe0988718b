"""The exporter against a cabinet, clients and people that misbehave: ``make soak SECONDS=600``.

20 accounts with 5,000 trunks on the simulated cabinet; ``serve`` in a process of its own, with TLS
and passwords; eight clients that scrape it, as Prometheus would, and four that send it garbage
(:mod:`benchmarks.soak_clients`). Meanwhile trunks and their selectors change, requests fail in
every way at random, sessions end, one at a time and all at once, the cabinet is redeployed,
passwords change, the configuration is reloaded, right and wrong and twenty times at once, the
certificate and the web password are replaced, and whoever reads the log stops for a while.

What must hold, and ends the run with status 1 if it does not:

* no bad scrape: every one is answered with a page, within what the client waits;
* no wrong flag: every flag of every scrape is one that the trunk really had while the snapshot that
  it stands in was read;
* no wrong selector: it is one that the trunk really had between the time that the page tells of the
  oldest details and that of the snapshot, and the former is never older than ``details.ttl`` and
  ``cache.stale`` make it;
* every trunk of a snapshot is there, once, and a snapshot is never older than ``cache.stale``;
* garbage is refused, or not answered at all;
* memory, threads and open files do not grow after the first quarter. In less than five minutes
  they are not judged: a quarter is then one busy moment or another, and no warm-up;
* no password is sent twice within a minute, and there are no more sign-ins than reasons for one;
* there are no more refused sign-ins than changed passwords explain, see :func:`refusals_allowed`;
* the log tells of no bug, and no line of it is lost;
* the exporter ends with 0.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.soak_chaos import Chaos
from benchmarks.soak_clients import Found, Stranger, WebSide, client
from vats_exporter.demo import SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ACCOUNTS, TRUNKS, CLIENTS, STRANGERS = 20, 250, 8, 4

PASSWORD_PAUSE: Final = 60.0
"""Seconds between two sendings of the same password, at least."""

WARM: Final = 300.0
"""Seconds of a run from which on its second quarter is as good as any later one."""

_BUG = re.compile(r"unexpected \w+ at \w+\.py|Traceback|thread ended|was not recorded")
_RELOADED = re.compile(r"^ts=(\S+)Z .*msg=\"configuration reloaded\"")
_LISTENING = re.compile(r"msg=listening address=[^ ]*:(\d+)")


class Exporter:
    """``serve``, and whoever reads its log through a small pipe, from ``reads_from`` on."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self.reads_from = 0.0
        arguments = ["--config.file", "config.yml", "--web.config.file", "web.yml"]
        arguments += ["--web.listen-address", "127.0.0.1:0", "--web.max-connections", "128"]
        command = [sys.executable, "-m", "vats_exporter", "serve", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=folder)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        pipe = self.process.stderr
        assert pipe is not None
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
        for line in pipe:
            self.lines.append(line.decode())
            while time.monotonic() < self.reads_from:
                time.sleep(0.1)

    def port(self) -> int:
        """Wait until it listens; return where."""
        while True:
            for line in self.lines:
                if match := _LISTENING.search(line):
                    return int(match[1])
            if self.process.poll() is not None:
                raise SystemExit(f"serve ended with {self.process.returncode}: {self.lines}")
            time.sleep(0.05)

    def end(self, found: Found) -> None:
        """Ask it to end, while the log is read again."""
        self.reads_from = 0.0
        self.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        status = self.process.wait(30)
        print(f"{'ends':32} with {status}, after {time.monotonic() - began:.1f} s")
        if status != 0:
            found.complain(f"ended with {status}")
        self._reader.join(10)


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


def processor_seconds(pid: int) -> float:
    """Return how long a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def refusals_allowed(changed: Iterable[float], reloaded: Sequence[float], end: float) -> int:
    """Return how many sign-ins may be refused for passwords that changed.

    A changed password is in the configuration at once, and a reload is asked for. Until that is
    done the account may send the old one, once a minute. The next reload that is told may have read
    the file just before; the one after it has read it for certain. A sign-in under way at that time
    may be refused once more.

    Args:
        changed: when passwords did.
        reloaded: when the exporter told of a reload that worked.
        end: of the run.
    """
    allowed = 0
    for at in changed:
        until = [*[one for one in reloaded if one > at][:2], end, end][1]
        allowed += 2 + int((until - at) / PASSWORD_PAUSE)
    return allowed


def too_soon(sign_ins: Sequence[float], changed: Sequence[float]) -> int:
    """Return how often a password was sent within a minute of the time before.

    Another password may be sent at once: pairs between which it changed, or just before which,
    since the exporter may have learnt of that later, count nothing.
    """
    pairs = itertools.pairwise(sign_ins)
    return sum(
        after - before < PASSWORD_PAUSE - 0.5
        and not any(before - PASSWORD_PAUSE < at < after for at in changed)
        for before, after in pairs
    )


def compare_growth(found: Found, samples: list[Sample], seconds: float) -> None:
    """Print what the process took early and late, and complain of growth in a run long enough.

    Threads and files come and go: with a refresh, with a client, with a run of details every
    ``details.ttl``. What leaks stays, so it shows in the least of them. Memory goes up and down
    little.
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


def report_sign_ins(found: Found, chaos: Chaos, lines: Iterable[str]) -> None:
    """Print how often passwords were sent, and complain of too many."""
    stats = chaos.cabinet.stats()
    told = [match[1] for line in lines if (match := _RELOADED.search(line))]
    reloaded = [datetime.fromisoformat(f"{ts}+00:00").timestamp() for ts in told]
    changed = [at for at, _ in chaos.passwords_changed]
    allowed = refusals_allowed(changed, reloaded, time.time())
    sent = {name: len(times) for name, times in chaos.sign_ins.items()}
    soon = sum(
        too_soon(times, [at for at, whose in chaos.passwords_changed if whose == name])
        for name, times in chaos.sign_ins.items()
    )
    reasons = ACCOUNTS + len(reloaded) + len(changed)
    reasons += sum(found.counts[what] for what in ("sessions ended", "faults"))
    total, refused = sum(sent.values()), stats["refused_sign_ins"]
    print(f"{'passwords sent':32} {total}; reasons {reasons}")
    print(f"{'passwords sent, of one account':32} {max(sent.values(), default=0)} at most")
    print(f"{'sent again within a minute':32} {soon}")
    print(f"{'refused sign-ins':32} {refused}; changed passwords explain {allowed}")
    if total > reasons:
        found.complain(f"{total} sign-ins for {reasons} reasons")
    if soon:
        found.complain(f"{soon} passwords were sent again within a minute")
    if refused > allowed:
        found.complain(f"{refused} refused sign-ins where changed passwords explain {allowed}")


def report(found: Found) -> None:
    """Print the other figures."""
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


def run(exporter: Exporter, chaos: Chaos, web: WebSide, found: Found, seconds: float) -> None:
    """Let it all happen, and print what the process took."""
    web.port = exporter.port()
    chaos.exporter = exporter
    stop = threading.Event()
    threads = [
        threading.Thread(target=client, args=(seed, web, chaos.truth, found, stop))
        for seed in range(CLIENTS)
    ]
    strangers = [Stranger(seed, web, found, stop) for seed in range(STRANGERS)]
    threads += [threading.Thread(target=stranger.run) for stranger in strangers]
    for one in threads:
        one.start()
    pid, samples = exporter.process.pid, list[Sample]()
    began = looked = happened = time.monotonic()
    while (now := time.monotonic()) - began < seconds and exporter.process.poll() is None:
        chaos.happen(now - happened)
        happened = now
        time.sleep(0.1)
        if now - looked >= 1.0:
            looked = now
            samples.append(sample(pid))
    if exporter.process.poll() is None:
        share = processor_seconds(pid) / seconds
        print(f"{'processor':32} {share:.0%} of one, for the exporter")
    stop.set()
    for one in threads:
        one.join()
    compare_growth(found, samples, seconds)


def main(seconds: float) -> int:
    """Run for that many seconds; return the exit status."""
    print(f"{ACCOUNTS} accounts, {ACCOUNTS * TRUNKS} trunks, {CLIENTS} clients, {seconds:.0f} s")
    found = Found()
    with (
        SimulatedCabinet(make_accounts(ACCOUNTS, trunks=TRUNKS)) as cabinet,
        tempfile.TemporaryDirectory() as name,
    ):
        folder = Path(name)
        web = WebSide(folder)
        chaos = Chaos(cabinet, folder, web, found)
        exporter = Exporter(folder)
        try:
            run(exporter, chaos, web, found, seconds)
            exporter.end(found)
        finally:
            exporter.process.kill()
            exporter.process.wait()
        report_sign_ins(found, chaos, exporter.lines)
        report(found)
        for line in exporter.lines:
            if _BUG.search(line):
                found.complain(f"the log says: {line}")
    for sentence in found.wrong[:50]:
        print(f"WRONG {sentence}")
    print(f"{len(found.wrong)} things were wrong")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 600.0))
