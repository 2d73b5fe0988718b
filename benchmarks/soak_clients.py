"""The clients of :mod:`benchmarks.soak`: those that scrape and judge, and those that send garbage.

A scraper speaks TLS, has a password, and says how long it waits, as Prometheus does; every other
one keeps its connection. A stranger does what a broken client, a port scanner or an attacker does:
heads that never end, floods of empty lines, bytes that mean nothing, plain HTTP, half a handshake,
answers that are not taken, guessed passwords, connections that do nothing.
"""

from __future__ import annotations

import base64
import gzip
import os
import random
import re
import socket
import ssl
import struct
import threading
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPSConnection, RemoteDisconnected
from typing import TYPE_CHECKING, Any, Final

import bcrypt
import trustme

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vats_exporter.demo import Account

DEADLINE: Final = 10.0
"""Seconds that a scraper waits; an answer that comes later is a bad scrape."""

PAUSE: Final = (2.0, 5.0)
"""Seconds between two scrapes of one client, from and to."""

STALE, DETAILS = 900.0, 300.0
READING: Final = 12.0
"""Seconds before a snapshot's time at which its reading had surely not begun."""

AFTER: Final = 0.5
"""Seconds by which the truth may be known late: a change takes its time to be written down."""

LATE: Final = 15.0
"""Seconds by which a page may be older than what it tells may be: it is waited for, and read."""

FLAGS: Final = ("active", "bound", "marked_for_deletion")
SELECTOR: Final = "sip_device_enabled"

_SAMPLE = re.compile(
    r'^vats_trunk_(active|bound|marked_for_deletion|sip_device_enabled)\{account="([^"]*)",phone="[^"]*",'
    r'trunk="([^"]*)"\} ([01])\.0$',
    re.MULTILINE,
)
_TAKEN = re.compile(r'^vats_refresh_timestamp_seconds\{account="([^"]*)"\} (\S+)$', re.MULTILINE)
_DETAILS = re.compile(r'^vats_details_timestamp_seconds\{account="([^"]*)"\} (\S+)$', re.MULTILINE)
_COUNT = re.compile(r'^vats_trunks\{account="([^"]*)"\} (\S+)$', re.MULTILINE)


class Truth:
    """What each flag was, and when."""

    def __init__(self, accounts: tuple[Account, ...]) -> None:
        self._lock = threading.Lock()
        self._times: dict[tuple[str, str, str], list[float]] = {}
        self._values: dict[tuple[str, str, str], list[bool]] = {}
        self._accounts = {account.name: account for account in accounts}
        self.references: dict[str, set[str]] = defaultdict(set)
        for account in accounts:
            for trunk in account.enterprise.trunks():
                self.references[account.name].add(trunk.ref)
                values = {flag: getattr(trunk.state, flag) for flag in FLAGS}
                if trunk.device is not None:
                    values[SELECTOR] = trunk.device.enabled
                for flag, value in values.items():
                    self._times[account.name, trunk.ref, flag] = [0.0]
                    self._values[account.name, trunk.ref, flag] = [value]

    def change(self, draw: random.Random) -> None:
        """Turn one flag of one trunk, or its selector, and write down when."""
        account, ref, flag = key = draw.choice(list(self._times))
        with self._lock:
            value = not self._values[key][-1]
            # Written down before it is so: from now on either may be seen.
            self._times[key].append(time.time())
            self._values[key].append(value)
        change: dict[str, Any] = {flag: value}
        self._accounts[account].enterprise.change(ref, **change)

    def may_be(self, key: tuple[str, str, str], *, value: bool, began: float, ended: float) -> bool:
        """Tell whether a flag had a value at some time between two."""
        times = self._times.get(key)
        if times is None:
            return False
        with self._lock:
            first = bisect_right(times, began) - 1
            last = bisect_right(times, ended)
            return value in self._values[key][first:last]


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
        """Keep what was wrong, with the time and how busy the machine was."""
        when = f"{time.strftime('%H:%M:%S')}, load {os.getloadavg()[0]:.1f}"
        with self.lock:
            self.wrong.append(f"{sentence} ({when})")


class WebSide:
    """The exporter's certificate and password, in its ``--web.config.file``, and what clients need.

    ``port`` is the exporter's, once it is known.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "web.yml"
        self.port = 0
        self.authorization = ""
        self._folder = folder
        self._authority = trustme.CA()
        self.context = ssl.create_default_context()
        self._authority.configure_trust(self.context)
        self.anybody = ssl.create_default_context()
        self.anybody.check_hostname, self.anybody.verify_mode = False, ssl.CERT_NONE
        self._users: list[tuple[str, str, str]] = []
        self.rotate_certificate()
        self.rotate_password(wait=0.0)

    def rotate_certificate(self) -> None:
        """Write another certificate and, a moment later, its key."""
        issued = self._authority.issue_cert("127.0.0.1")
        self._replace("server.crt", issued.cert_chain_pems[0].bytes())
        time.sleep(0.05)
        self._replace("server.key", issued.private_key_pem.bytes())

    def rotate_password(self, wait: float = 2.5) -> None:
        """Let another user in beside the last one; scrapers are that one some seconds later."""
        user, password = f"scraper-{len(self._users)}", os.urandom(9).hex()
        hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(8)).decode()
        self._users.append((user, password, hashed))
        lines = ["tls_server_config: {cert_file: server.crt, key_file: server.key}"]
        lines += ["basic_auth_users:", *(f"  {name}: {one}" for name, _, one in self._users[-2:])]
        self._replace("web.yml", "\n".join(lines).encode())
        time.sleep(wait)
        self.authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def _replace(self, name: str, content: bytes) -> None:
        new = self._folder / f"{name}.new"
        new.write_bytes(content)
        new.replace(self._folder / name)


def scrape(connection: HTTPSConnection, path: str, headers: dict[str, str]) -> tuple[float, str]:
    """Ask for a page; return the seconds and the page."""
    kept = connection.sock is not None
    began = time.perf_counter()
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
    except (RemoteDisconnected, ConnectionResetError, BrokenPipeError):
        # Go's client as well asks once more where a connection that it kept was closed meanwhile.
        connection.close()
        if not kept:
            raise
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise HTTPException(f"HTTP {answer.status}")
    took = time.perf_counter() - began
    if answer.getheader("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    return took, body.decode()


def judge(page: str, truth: Truth, found: Found) -> None:
    """Compare a page with the truth within its age."""
    now = time.time()
    if "vats_log_dropped_total" in page and "vats_log_dropped_total 0.0" not in page:
        found.complain("lines of the log were dropped")
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
        if len(seen[account]) != float(number) or seen[account] != truth.references[account]:
            found.complain(f"{account}: {len(seen[account])} of {number} trunks")
    for account, at in taken.items():
        found.ages.append(now - at)
        if now - at > STALE + LATE:
            found.complain(f"{account}: served {now - at:.0f} s old")
    for account, at in read.items():
        found.details.append(now - at)
        # As old as they may be in a snapshot, and that as old as it may be.
        if now - at > DETAILS + STALE + STALE + LATE:
            found.complain(f"{account}: details served {now - at:.0f} s old")


def client(seed: int, web: WebSide, truth: Truth, found: Found, stop: threading.Event) -> None:
    """Scrape until told to stop; the body of a scraper's thread."""
    draw = random.Random(seed)
    names = list(truth.references)
    connection = HTTPSConnection("127.0.0.1", web.port, timeout=DEADLINE, context=web.context)
    while not stop.wait(draw.uniform(*PAUSE)):
        path = f"/probe?account={draw.choice(names)}" if draw.random() < 0.3 else "/metrics"
        headers = {
            "X-Prometheus-Scrape-Timeout-Seconds": f"{DEADLINE:g}",
            "Authorization": web.authorization,
            "Accept-Encoding": draw.choice(("gzip", "identity")),
            "Accept": draw.choice(("text/plain", "application/openmetrics-text")),
        }
        try:
            took, page = scrape(connection, path, headers)
        except (OSError, HTTPException) as error:
            connection.close()
            found.count("bad scrapes")
            found.complain(f"scrape of {path}: {type(error).__name__}: {error}")
            continue
        found.count("scrapes")
        found.times.append(took)
        if took > DEADLINE:
            found.count("bad scrapes")
            found.complain(f"scrape of {path}: took {took:.1f} s")
        if seed % 2:
            connection.close()
        judge(page, truth, found)
    connection.close()


class Stranger:
    """Sends garbage, one kind after the other; ``run`` is the body of its thread."""

    def __init__(self, seed: int, web: WebSide, found: Found, stop: threading.Event) -> None:
        self._draw = random.Random(f"stranger {seed}")
        self._web, self._found, self._stop = web, found, stop
        self._kinds: list[Callable[[], None]] = [
            self._half_head, self._empty_lines, self._great_head, self._noise, self._half_hello,
            self._plain_http, self._leave, self._slow_reader, self._guess, self._idle, self._body,
            self._old_keep_alive,
        ]  # fmt: skip

    def run(self) -> None:
        """Send garbage until told to stop."""
        while not self._stop.wait(self._draw.uniform(0.2, 2.0)):
            kind = self._draw.choice(self._kinds)
            self._found.count(f"garbage: {kind.__name__.strip('_').replace('_', ' ')}")
            with suppress(OSError):  # the exporter ends the connection when it likes
                kind()

    def _plain(self) -> socket.socket:
        source = f"127.0.0.{self._draw.randint(2, 250)}"
        return socket.create_connection(
            ("127.0.0.1", self._web.port), timeout=15.0, source_address=(source, 0)
        )

    def _tls(self) -> socket.socket:
        return self._web.anybody.wrap_socket(self._plain())

    def _get(self, more: str = "", version: str = "1.1") -> bytes:
        head = f"GET /metrics HTTP/{version}\r\nHost: here\r\n{more}"
        return f"{head}Authorization: {self._web.authorization}\r\n\r\n".encode()

    def _expect(self, answer: bytes, *statuses: int) -> None:
        """Complain of an answer with another status; none at all is right as well."""
        if answer and not any(b" %d " % status in answer[:20] for status in statuses):
            self._found.complain(f"garbage was answered with {answer[:40]!r}")

    def _half_head(self) -> None:
        with self._tls() as stranger:
            stranger.sendall(b"GET /metrics HTTP/1.1\r\nHost: here\r\nX-Half: ")
            self._expect(stranger.recv(100))

    def _empty_lines(self) -> None:
        until = time.monotonic() + 5.0
        with self._draw.choice((self._tls, self._plain))() as stranger:
            while time.monotonic() < until:
                stranger.sendall(b"\r\n" * 1000)

    def _great_head(self) -> None:
        with self._tls() as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n" + b"X-Great: 1\r\n" * 5000)
            self._expect(stranger.recv(100), 431)

    def _noise(self) -> None:
        with self._draw.choice((self._tls, self._plain))() as stranger:
            stranger.sendall(self._draw.randbytes(self._draw.randint(1, 20_000)) + b"\r\n\r\n")
            self._expect(stranger.recv(100), 400, 401, 414, 431, 501, 505)

    def _half_hello(self) -> None:
        with self._plain() as stranger:
            stranger.sendall(b"\x16\x03\x01\x02\x00\x01")
            stranger.recv(100)

    def _plain_http(self) -> None:
        with self._plain() as stranger:
            stranger.sendall(self._get())
            self._expect(stranger.recv(100), 400)

    def _leave(self) -> None:
        for _ in range(20):
            with self._plain() as stranger:
                if self._draw.random() < 0.5:
                    now = struct.pack("ii", 1, 0)
                    stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)

    def _slow_reader(self) -> None:
        with self._tls() as stranger:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            stranger.sendall(self._get() * 5)
            self._expect(stranger.recv(100), 200)
            self._stop.wait(8.0)

    def _guess(self) -> None:
        for _ in range(5):
            guess = base64.b64encode(b"scraper-0:" + self._draw.randbytes(6)).decode()
            with self._tls() as stranger:
                head = f"GET / HTTP/1.1\r\nHost: here\r\nAuthorization: Basic {guess}\r\n\r\n"
                stranger.sendall(head.encode())
                self._expect(stranger.recv(100), 401, 429)

    def _idle(self) -> None:
        crowd = [self._plain() for _ in range(20)]
        self._stop.wait(8.0)
        for one in crowd:
            one.close()

    def _body(self) -> None:
        with self._tls() as stranger:
            stranger.sendall(
                b"POST /-/reload HTTP/1.1\r\nHost: here\r\nContent-Length: 9999\r\n\r\n"
            )
            self._expect(stranger.recv(100), 401)

    def _old_keep_alive(self) -> None:
        with self._tls() as stranger:
            for _ in range(3):
                stranger.sendall(self._get("Connection: keep-alive\r\n", "1.0"))
                head, _, rest = stranger.recv(65536).partition(b"\r\n\r\n")
                self._expect(head, 200)
                length = re.search(rb"Content-Length: (\d+)", head)
                left = int(length[1]) - len(rest) if length else 0
                while left > 0 and (received := stranger.recv(65536)):
                    left -= len(received)
