"""One account as the exporter has it, with its log and its page, on a simulated cabinet."""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from tests.doubles import SetClock, let_details_end
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.settings import CabinetSettings, Timeouts, TlsSettings
from vats_exporter.details import DetailedSource
from vats_exporter.metrics.collector import AccountCounters, Collector, MonitoredAccount
from vats_exporter.metrics.exposition import Format

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from typing_extensions import Self

    from vats_exporter.demo import SimulatedCabinet
    from vats_exporter.metrics.exposition import Exposition
    from vats_exporter.refresh import Source

TTL: Final = 60.0
STALE: Final = 2 * TTL - 0.5
"""So that a snapshot is stale between two looks at whether the cabinet is asked again."""

DETAILS_TTL: Final = 8 * TTL + 2.0
"""A quarter of it is over between two listings that come every ``TTL``."""

DETAILS_STALE: Final = 900.0

PATIENT: Final = Timeouts(connect=10.0, read=10.0, call=20.0)
"""While nothing is waited for, so that a slow machine does not make a fault of its own."""

SHORT: Final = Timeouts(connect=0.4, read=0.3, call=0.6)

BOUNDS: Final = {
    "at once": 0.0,
    "timeouts.connect": SHORT.connect,
    "timeouts.read": SHORT.read,
    "timeouts.call": SHORT.call,
}

MOMENT: Final = 1.5
"""Seconds that an end may come after its bound, on a machine that does something else as well: what
it takes to notice, and to tell. A timeout waited for in vain takes longer (`PATIENT`); which of the
short ones it was is said in the log's line."""

PATIENCE: Final = 20.0

_EARLY: Final = 0.1
"""Seconds that a request may have been on its way before it is seen to begin."""

_TICK: Final = 0.02


@dataclass(frozen=True, slots=True)
class Page:
    """What ``/metrics`` shows of the account."""

    text: str

    @property
    def trunks(self) -> list[str]:
        """The trunks' series, with their values."""
        return re.findall(r"^vats_trunk_.*$", self.text, re.MULTILINE)

    def value(self, name: str, labels: str = "") -> float | None:
        """The value of a metric's only sample that has these labels; ``None`` without one."""
        found = re.findall(rf"^{name}{{[^}}]*{labels}[^}}]*}} (.*)$", self.text, re.MULTILINE)
        assert len(found) <= 1
        return float(found[0]) if found else None


class Watched:
    """An account on a simulated cabinet, which is well until somebody sees to it.

    Args:
        simulated: the cabinet, which is running.
        settings: how it is reached.
        name: the account's, by which its lines in the log are found.
        log: what the log is written to.
        details: whether trunks' details are read.
    """

    def __init__(
        self,
        simulated: SimulatedCabinet,
        settings: CabinetSettings,
        name: str,
        log: io.StringIO,
        *,
        details: bool = False,
    ) -> None:
        self.simulated = simulated
        self.clock = SetClock()
        self._settings = settings
        self._began = 0.0
        self._log = log
        self._name = name
        self._source: DetailedSource | None = None
        self._has_details = details
        counters = AccountCounters(name)
        source = self._connect(counters)
        self._account = MonitoredAccount(
            name, source, counters, ttl=TTL, stale=STALE, clock=self.clock
        )
        self._collector = Collector([self._account])

    @property
    def refs(self) -> list[str]:
        """The trunks' references, in the order in which their details are asked for again."""
        return sorted(trunk.ref for trunk in self.simulated.accounts[0].enterprise.trunks())

    def scrape(self) -> Page:
        """Ask for the page as Prometheus does, and wait for what that sets off."""
        self._collector.refresh(PATIENCE)
        page = self._collector.page(Format.TEXT)
        assert self._account.refresher._running is None
        if self._source is not None:
            let_details_end(self._source, PATIENCE)
        return _read(page)

    def look(self) -> Page:
        """See the page as it is, asking nobody."""
        return _read(self._collector.page(Format.TEXT))

    def get_well(self) -> Page:
        """Forget what was, and take a snapshot, with all details; times count from here on."""
        self.clock.advance(10 * DETAILS_TTL)
        assert self.is_well(self.scrape())
        if self._has_details:  # which that refresh set off to read, and the next one shows
            self.clock.advance(TTL)
            assert self.is_well(self.scrape())
        self._began = self.clock.ticks
        self.told("")
        return self.look()

    def is_well(self, page: Page | None = None) -> bool:
        """Whether the latest refresh worked."""
        return (page or self.look()).value("vats_up") == 1

    def wait_until(self, seconds: float) -> None:
        """Let so much time be over since all was well."""
        assert self._began + seconds >= self.clock.ticks
        self.clock.advance(self._began + seconds - self.clock.ticks)

    def sign_ins(self) -> int:
        """How many sign-ins the cabinet has answered."""
        stats = self.simulated.stats()
        return int(stats["sign_ins"] + stats["refused_sign_ins"])

    def read_details(self) -> float:
        """How often a trunk's details were read."""
        return self.look().value("vats_details_total", 'result="success"') or 0.0

    def told(self, message: str) -> list[dict[str, str]]:
        """The fields of the log's lines with a message, since it was last asked for any."""
        lines = [_fields(line) for line in self._log.getvalue().splitlines()]
        self._log.seek(0)
        self._log.truncate()
        return [
            line for line in lines if (line["msg"], line.get("account")) == (message, self._name)
        ]

    def waiting(self, ends: str) -> AbstractContextManager[None]:
        """Wait shortly for the cabinet where something is waited for."""
        return nullcontext() if ends == "at once" else self._in_a_hurry()

    def close(self) -> None:
        self._account.refresher.close()

    @contextmanager
    def _in_a_hurry(self) -> Iterator[None]:
        # Timeouts are read for each call, and settings are frozen for all others.
        self._settings.__dict__["timeouts"] = SHORT
        try:
            yield
        finally:
            self._settings.__dict__["timeouts"] = PATIENT

    def _connect(self, counters: AccountCounters) -> Source:
        cabinet = CabinetClient(self._settings, trace=counters.trace)
        if not self._has_details:
            return cabinet
        self._source = DetailedSource(
            cabinet,
            ttl=DETAILS_TTL,
            stale=lambda: DETAILS_STALE,
            on_details=counters.detailed,
            clock=self.clock,
        )
        return self._source


class Ward:
    """Accounts that got well again, to be taken up by the next test.

    An exporter runs for years and goes through one trouble after the other: what one of them leaves
    behind must not show in the next. An account that did not get well is not taken up again.

    Args:
        simulated: their cabinet.
        ca_file: the authority of its certificate.
        log: what the log is written to.
    """

    def __init__(self, simulated: SimulatedCabinet, ca_file: Path, log: io.StringIO) -> None:
        self._simulated = simulated
        self._ca_file = ca_file
        self._log = log
        self._admitted: list[Watched] = []
        self._well: dict[bool, list[Watched]] = {False: [], True: []}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for watched in self._admitted:
            watched.close()

    def admit(self, *, details: bool) -> Watched:
        """Take up somebody new, who has not asked the cabinet for anything."""
        name = f"account-{len(self._admitted) + 1}"
        settings = settings_for(self._simulated, self._ca_file)
        watched = Watched(self._simulated, settings, name, self._log, details=details)
        self._admitted.append(watched)
        return watched

    @contextmanager
    def stay(self, *, details: bool) -> Iterator[Watched]:
        """Give somebody a place for a test."""
        well = self._well[details]
        watched = well.pop() if well else self.admit(details=details)
        yield watched
        if watched.is_well():
            well.append(watched)


def settings_for(simulated: SimulatedCabinet, ca_file: Path) -> CabinetSettings:
    """How a simulated cabinet is reached: its three trunks come on two pages."""
    (account,) = simulated.accounts
    return CabinetSettings(
        address=simulated.url,
        login=account.login,
        password=account.password,
        page_size=2,
        max_response=256 * 1024,
        selector_method="setEnabled",
        sign_out_path="",
        tls=TlsSettings(ca_file=ca_file, security_level=2),
        timeouts=PATIENT,
    )


def _read(page: Exposition) -> Page:
    return Page(b"".join(page.chunks).decode())


def _fields(line: str) -> dict[str, str]:
    """A line of logfmt."""
    pairs = re.findall(r'([\w.]+)=("(?:[^"\\]|\\.)*"|\S*)', line)
    return {name: json.loads(value) if value[:1] == '"' else value for name, value in pairs}


class Stopwatch:
    """Measures a time, and for how much of it the machine stood still.

    Others want the same few cores. A thread that wants to be woken every 20 ms tells by how late it
    is for how long nobody here ran.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._stalls: list[tuple[float, float]] = []
        self._ended = 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended = time.monotonic()
        self._stop.set()
        self._thread.join()

    def assert_ended(self, ends: str, began: float) -> None:
        """See that it ended at its bound.

        Args:
            ends: the bound's name.
            began: when what it bounds began, in monotonic seconds.
        """
        took = self._ended - began
        stood = sum(length for at, length in self._stalls if at > began)
        bound = BOUNDS[ends]
        assert took >= bound - _EARLY, f"{ends}: {took:.3f} s"
        assert took - stood <= bound + MOMENT, f"{ends}: {took:.3f} s, of which stood {stood:.3f}"

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._stop.wait(_TICK):
            now = time.monotonic()
            if now - before > 2 * _TICK:
                self._stalls.append((now, now - before - _TICK))
            before = now


class Trouble(Protocol):
    """Something that goes wrong at one step."""

    @property
    def met(self) -> int:
        """How many requests of the step came to it."""

    @property
    def began(self) -> float:
        """When it was first met, in monotonic seconds."""

    def start(self) -> None:
        """Let it go wrong from now on."""

    def stop(self) -> None:
        """Let all be well."""

    def attempts(self) -> int:
        """How often the cabinet was asked for anything, in whatever way that can be seen."""
