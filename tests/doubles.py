"""Doubles that many tests share: a clock set by hand, a cabinet that gives what the test says."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vats_exporter.cabinet.contract import LIST
from vats_exporter.cabinet.listing import make_trunks
from vats_exporter.cabinet.transport import Answer, CallEnded
from vats_exporter.refresh import Clock
from vats_exporter.trunks import Flags, Listing, Trunk

if TYPE_CHECKING:
    from collections.abc import Callable

    from vats_exporter.cabinet.client import CabinetClient
    from vats_exporter.details import DetailedSource
    from vats_exporter.refresh import Refresher
    from vats_exporter.trunks import AccountState

PATIENCE = 10.0
"""Seconds after which a test that waits for another thread fails."""


@dataclass
class SetClock(Clock):
    wall: float = 1_750_000_000.0
    ticks: float = 100.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.ticks

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.ticks += seconds


def answered(call: str, status: int, duration: float, size: int) -> CallEnded:
    """The trace's event for an answer of so many bytes."""
    return CallEnded(call, Answer(status, "/", bytes(size)), duration)


@dataclass
class ScriptedCabinet:
    """Gives a listing, or raises, as the test says; counts and, if told, blocks."""

    answer: Listing | Exception
    before: Callable[[], object] = lambda: None
    reads: int = 0
    at_once: int = 0
    highest: int = 0
    closed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read_trunks(self) -> Listing:
        with self.lock:
            self.reads += 1
            self.at_once += 1
            self.highest = max(self.highest, self.at_once)
        try:
            self.before()
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer
        finally:
            with self.lock:
                self.at_once -= 1

    def credentials_changed(self) -> bool:
        return False

    def close(self) -> None:
        self.closed += 1


def trunk(number: int = 0) -> Trunk:
    ref = f"CaAAA{chr(ord('A') + number)}"
    return Trunk(ref, number, f"7916000000{number}", "", Flags(True, True, False), "1100", True)


def listing(count: int = 2, *warnings: str) -> Listing:
    return Listing(tuple(trunk(number) for number in range(count)), warnings, 1)


class Block:
    """Holds a reading until the test lets it go on, and tells that it has begun."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.go_on.wait(PATIENCE)


def view(refresher: Refresher, timeout: float = PATIENCE) -> AccountState:
    """Return the account's state, refreshed if that is due and can be done in time."""
    refresher.wait(refresher.start(), timeout)
    return refresher.peek()


def make_due(refresher: Refresher) -> None:
    """Let the next scrape refresh the account, however fresh it is."""
    with refresher._lock:
        refresher._next = -math.inf


def let_end(refresher: Refresher, timeout: float = 60.0) -> None:
    """Wait until no refresh is under way, whatever the refresher itself would wait for."""
    thread = refresher._thread
    assert thread is not None
    thread.join(timeout)
    assert refresher._running is None


def let_details_end(source: DetailedSource, timeout: float = PATIENCE) -> None:
    """Wait until the details that a listing set off to read are read."""
    if source._run is not None:
        source._run.join(timeout)


class Ticks:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def read_first_page(cabinet: CabinetClient) -> Listing:
    """The first page of the list alone, for scripted servers that answer one list request."""
    with cabinet._alone():
        page = cabinet._call(LIST, cabinet._read_page, 0)
        return Listing(*make_trunks([page], cabinet._settings.flags))
