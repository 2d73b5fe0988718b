"""How much memory others can make the exporter take: clients, the cabinet, who reads the log.

Each case starts ``serve`` with a simulated cabinet, does its worst, and compares the process's
peak with its bound. Ends with status 1 if one is exceeded. ``bench_bounds.py WORD…`` runs the cases
that have one of the words in their names.
"""

from __future__ import annotations

import gzip
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias
from urllib.request import Request, urlopen

import trustme

from vats_exporter.demo import Answer, Fault, Incoming, SimulatedCabinet, make_accounts

HOLD = 3.0
"""Seconds for which clients hold what they have taken."""

PIECE = 60_000
"""Bytes of a header's line: Python takes 65,536."""


@dataclass
class Serving:
    """An exporter under attack."""

    process: subprocess.Popen[bytes]
    cabinet: SimulatedCabinet
    port: int
    folder: Path

    @property
    def url(self) -> str:
        """Where it is, without TLS."""
        return f"http://127.0.0.1:{self.port}"

    def memory(self, line: str = "VmHWM") -> float:
        """Return its memory in MB: the peak, or ``VmRSS``, what it takes now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition(f"{line}:")[2].split()[0]) / 1024

    def connect(self) -> socket.socket:
        """Return a connection that takes as little at a time as can be."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(30.0)
        client.connect(("127.0.0.1", self.port))
        return client

    def scrape(self, accept: str = "text/plain", encoding: str = "identity") -> bytes:
        """Read the whole page."""
        headers = {"Accept": accept, "Accept-Encoding": encoding}
        with urlopen(Request(f"{self.url}/metrics", headers=headers), timeout=300) as answer:
            return bytes(answer.read())


Attack: TypeAlias = Callable[[Serving], None]
Change: TypeAlias = Callable[[Incoming, Answer], Answer]


@dataclass(frozen=True)
class Case:
    """Something that others do, and the most megabytes that it may come to."""

    name: str
    bound: float
    attack: Attack
    accounts: int = 1
    trunks: int = 25
    options: tuple[str, ...] = ()
    tls: bool = False
    ttl: str = "1s"
    log: int = subprocess.DEVNULL
    change: Change | None = None


def read_slowly(path: str, serving: Serving) -> None:
    """Ask for a page 60 times, and take next to nothing of the answers."""
    with ExitStack() as stack:
        clients = [stack.enter_context(serving.connect()) for _ in range(60)]
        for client in clients:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        for client in clients:
            client.recv(1)
        time.sleep(HOLD)


def begin_requests(serving: Serving) -> None:
    """Send 512 heads that do not end."""
    with ExitStack() as stack:
        for _ in range(512):
            client = stack.enter_context(serving.connect())
            client.sendall(b"GET / HTTP/1.1\r\n" + b"X-Long: " + b"x" * 15_000)
        time.sleep(HOLD)


def shake_hands(serving: Serving) -> None:
    """Open 512 connections with TLS, and do nothing."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with ExitStack() as stack:
        for _ in range(512):
            stack.enter_context(context.wrap_socket(serving.connect()))
        time.sleep(HOLD)


def ask_for_long_paths(serving: Serving) -> None:
    """Ask 6,000 times for a path of 15 KB, which is a line of the log that nobody reads."""
    path = "x" * 15_000
    for _ in range(60):
        with serving.connect() as client:
            for number in range(100):
                client.sendall(f"GET /{number}{path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
                head, _, rest = client.recv(4096).partition(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                left = int(length[1]) - len(rest) if length else 0
                while left > 0:
                    left -= len(client.recv(4096))


def scrape_in_every_form(serving: Serving) -> None:
    """Scrape as scrapers do."""
    for accept in ("text/plain", "application/openmetrics-text"):
        for encoding in ("identity", "gzip"):
            serving.scrape(accept, encoding)


def answer_so(change: Change) -> Attack:
    """Let the cabinet answer otherwise for ten refreshes, from another deployment on."""

    def attack(serving: Serving) -> None:
        serving.cabinet.faults = lambda incoming: Fault(change=partial(change, incoming))
        serving.cabinet.redeploy()
        for _ in range(10):
            time.sleep(1.1)
            serving.scrape()

    return attack


def with_headers(name: str, value: str, _: Incoming, answer: Answer) -> Answer:
    """Give an answer 90 more headers."""
    more = tuple((name, f"c{number}{value}" + "x" * PIECE) for number in range(90))
    return replace(answer, headers=(*answer.headers, *more))


def with_body(call: str, body: Callable[[], bytes], incoming: Incoming, answer: Answer) -> Answer:
    """Give the answers to one call another body."""
    if incoming.call != call:
        return answer
    headers = tuple(one for one in answer.headers if one[0] != "Content-Encoding")
    return replace(answer, headers=headers, body=body())


def megabytes(number: int, piece: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    """Repeat a piece until it is so long."""
    return before + piece * (number * 1024**2 // len(piece)) + after


def list_of(piece: bytes) -> Attack:
    """Answer the list with 60 MB of something."""
    body = partial(megabytes, 60, piece, b"//OK[", b"0,0,7]")
    return answer_so(partial(with_body, "list", body))


def script_of(piece: bytes) -> Attack:
    """Answer the permutation's script with 30 MB of something."""
    return answer_so(partial(with_body, "permutation", partial(megabytes, 30, piece)))


def lengthen(incoming: Incoming, answer: Answer) -> Answer:
    """Make the permutation's script as long as the longest one seen."""
    if incoming.call != "permutation" or not isinstance(answer.body, bytes):
        return answer
    packed = answer.body[:2] == b"\x1f\x8b"
    script = gzip.decompress(answer.body) if packed else answer.body
    script += megabytes(11, b"var unused='of the rest of a script';\n")
    headers = tuple(one for one in answer.headers if one[0] != "Content-Encoding")
    return replace(answer, headers=headers, body=script)


LARGE = 50_000
SIXTY = "60 slow readers, 50,000 trunks: "
CASES = [
    Case(f"{SIXTY}{path}", 160, partial(read_slowly, path), trunks=LARGE, ttl="1h")
    for path in ("/probe?account=demo&debug=true", "/metrics", "/", "/refreshes?account=demo")
]
CASES += [
    Case("512 heads without an end", 100, begin_requests),
    Case("512 idle connections with TLS", 120, shake_hands, tls=True),
    Case(
        "6,000 long lines for a log that nobody reads",
        130,
        ask_for_long_paths,
        options=("--log.level", "debug"),
        log=subprocess.PIPE,
    ),
    Case("200 accounts of 20 trunks", 260, scrape_in_every_form, accounts=200, trunks=20),
    Case(
        "100 accounts with a script of 11 MB",
        560,
        scrape_in_every_form,
        accounts=100,
        change=lengthen,
    ),
    Case("90 cookies of 60 KB an answer", 180, answer_so(partial(with_headers, "Set-Cookie", "="))),
    Case("90 headers of 60 KB an answer", 150, answer_so(partial(with_headers, "X", "="))),
    Case("a list of 60 MB of numbers", 620, list_of(b"1,")),
    Case("a list of 60 MB of strings", 450, list_of(b'"a",')),
    Case("a list of 60 MB of brackets", 300, list_of(b"[],")),
    Case("a script of 30 MB of names", 400, script_of(b"a=b;")),
    Case("a script of 30 MB of functions", 400, script_of(b"function a(){}")),
]


@contextmanager
def serving(case: Case) -> Iterator[Serving]:
    """Start the exporter of a case, and have its accounts read once."""
    with (
        tempfile.TemporaryDirectory() as name,
        SimulatedCabinet(make_accounts(case.accounts, trunks=case.trunks)) as cabinet,
    ):
        if (change := case.change) is not None:
            cabinet.faults = lambda incoming: Fault(change=partial(change, incoming))
        folder = Path(name)
        lines = ["accounts:"]
        for account in cabinet.accounts:
            lines += [
                f"  - name: {account.name}",
                f"    login: '{account.login}'",
                f"    password: {account.password}",
                f"    address: '{cabinet.url}'",
                "    page_size: 1000",
            ]
        lines += [f"cache: {{ttl: {case.ttl}, stale: 1h}}"]
        (folder / "config.yml").write_text("\n".join(lines))
        command = [sys.executable, "-m", "vats_exporter", "serve", "--config.file", "config.yml"]
        command += ["--web.listen-address", f"127.0.0.1:{_free_port()}", *case.options]
        if case.tls:
            issued = trustme.CA().issue_cert("127.0.0.1")
            issued.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
            web = "tls_server_config: {cert_file: both.pem, key_file: both.pem}"
            (folder / "web.yml").write_text(web)
            command += ["--web.config.file", "web.yml"]
        port = int(command[command.index("--web.listen-address") + 1].rpartition(":")[2])
        process = subprocess.Popen(command, cwd=folder, stderr=case.log)
        try:
            yield _ready(Serving(process, cabinet, port, folder), case)
        finally:
            process.kill()
            process.wait()


def _all_up(page: bytes, accounts: int) -> bool:
    return len(re.findall(rb"^vats_up\{.*\} 1", page, re.MULTILINE)) == accounts


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _ready(serving: Serving, case: Case) -> Serving:
    """Wait until every account was read, or at least begun to be, where a page cannot tell."""
    while True:
        if serving.process.poll() is not None:
            raise SystemExit(f"serve ended with {serving.process.returncode}")
        if sum(serving.cabinet.stats()["requests"].values()) < 4 * case.accounts:
            time.sleep(0.1)
        elif case.tls or _all_up(serving.scrape(), case.accounts):
            return serving


def main(words: list[str]) -> int:
    """Print the figures; return the exit status."""
    status = 0
    print(f"{'':60} {'before':>8} {'peak':>8} {'bound':>8}")
    for case in CASES:
        if words and not any(word in case.name for word in words):
            continue
        with serving(case) as one:
            before = one.memory("VmRSS")
            if case.change is None:  # a new peak, where the attack is yet to come
                Path(f"/proc/{one.process.pid}/clear_refs").write_text("5")
            ended = threading.Timer(600.0, one.process.kill)
            ended.start()
            case.attack(one)
            ended.cancel()
            peak = one.memory()
        told = "" if peak <= case.bound else "  TOO MUCH"
        status |= bool(told)
        print(f"{case.name:60} {before:5.0f} MB {peak:5.0f} MB {case.bound:5.0f} MB{told}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
