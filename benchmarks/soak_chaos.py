"""What happens to the exporter in :mod:`benchmarks.soak`, but for its clients."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from benchmarks.soak_clients import DETAILS, STALE, Found, Truth, WebSide
from tests.faults.faults import changed, content_of
from vats_exporter.demo import Answer, Fault, Incoming, SimulatedCabinet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.soak import Exporter

TTL: Final = 5.0

FAULTY: Final = 0.03
"""Share of the cabinet's requests that go wrong."""

HTML: Final = (("Content-Type", "text/html"),)


class Chaos:
    """Everything that happens to the cabinet, to the configuration and to the log."""

    def __init__(self, cabinet: SimulatedCabinet, folder: Path, web: WebSide, found: Found) -> None:
        self.cabinet = cabinet
        self.truth = Truth(cabinet.accounts)
        self.passwords_changed: list[tuple[float, str]] = []
        self.sign_ins: dict[str, list[float]] = defaultdict(list)
        self.exporter: Exporter | None = None
        self._folder, self._web, self._found = folder, web, found
        self._draw = random.Random(1)
        self._page_sizes = {account.name: 50 for account in cabinet.accounts}
        self._every: dict[float, Callable[[], None]] = {
            6.0: self._end_session,
            240.0: self._purge_sessions,
            120.0: self._redeploy,
            110.0: self._change_password,
            40.0: self._change_page_size,
            100.0: self._reload_wrong,
            300.0: self._reload_often,
            60.0: web.rotate_certificate,
            200.0: web.rotate_password,
            150.0: self._stop_reading_the_log,
        }
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
        if incoming.call == "sign_in":
            self.sign_ins[incoming.account].append(time.time())
        if draw.random() >= FAULTY:
            return None
        self._found.count("faults")
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

    def happen(self, seconds: float) -> None:
        """Let happen what comes in so many seconds."""
        for _ in range(self._draw.randrange(4)):
            self.truth.change(self._draw)
            self._found.count("changes of flags")
        for every, event in self._every.items():
            if self._draw.random() < seconds / every:
                self._found.count(f"event: {event.__name__.strip('_').replace('_', ' ')}")
                event()

    def _end_session(self) -> None:
        account = self._draw.choice(self.cabinet.accounts)
        self._found.count("sessions ended", self.cabinet.end_sessions(account.name))

    def _purge_sessions(self) -> None:
        self._found.count("sessions ended", self.cabinet.end_sessions())

    def _redeploy(self) -> None:
        self.cabinet.redeploy()

    def _change_password(self) -> None:
        account = self._draw.choice(self.cabinet.accounts)
        self.passwords_changed.append((time.time(), account.name))
        self.cabinet.change_password(account.name, f"secret-{self._draw.randrange(10**9)}")
        self._reload()

    def _change_page_size(self) -> None:
        account = self._draw.choice(self.cabinet.accounts)
        self._page_sizes[account.name] = self._draw.choice((50, 100, 200))
        self._reload()

    def _reload_wrong(self) -> None:
        self._reload("colour: red")

    def _reload_often(self) -> None:
        for _ in range(20):
            self._reload()
            time.sleep(0.02)

    def _reload(self, extra: str = "") -> None:
        self.write_config(extra)
        if self.exporter is not None:
            self.exporter.process.send_signal(signal.SIGHUP)

    def _stop_reading_the_log(self) -> None:
        if self.exporter is not None:
            self.exporter.reads_from = time.monotonic() + self._draw.uniform(20.0, 90.0)


def _halved(answer: Answer) -> Answer:
    body = content_of(answer)
    return changed(answer, body[: len(body) // 2])


def _garbled(answer: Answer) -> Answer:
    return changed(answer, content_of(answer).replace(b",0,7]", b",0,]").replace(b"1,", b"2,", 1))
