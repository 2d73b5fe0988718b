"""Trunks and snapshots in a few words, and a clock that is moved by hand."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vats_exporter.history.history import Event, History, events_between
from vats_exporter.trunks import Flags, Snapshot, Trunk

if TYPE_CHECKING:
    from pathlib import Path


START = 1_795_000_000.0


@dataclass
class Clock:
    """Monotonic seconds."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def pass_(self, seconds: float = 60.0) -> None:
        self.seconds += seconds


def trunk(
    ref: str = "CaAAAA",
    flags: str = "110",
    *,
    phone: str = "79160000001",
    name: str = "Иванов",
    selector: bool | None = None,
) -> Trunk:
    """A trunk; its flags are active, bound, marked for deletion."""
    active, bound, marked = (digit == "1" for digit in flags)
    return Trunk(
        ref=ref,
        id=1,
        phone=phone,
        name=name,
        flags=Flags(active=active, bound=bound, marked_for_deletion=marked),
        pattern="1100",
        known=True,
        sip_device_enabled=selector,
    )


def snapshot(minute: float, *trunks: Trunk) -> Snapshot:
    """A snapshot taken so many minutes after the start."""
    return Snapshot(trunks=trunks, taken_at=START + 60 * minute)


def at(minute: float) -> float:
    """The time a snapshot of that minute was taken."""
    return START + 60 * minute


def saved(history: History, account: str, taken: Snapshot) -> bool:
    """Record a snapshot; whether the file has all of it."""
    history.record(account, taken)
    return not history.problem


class Compared:
    """An account whose snapshots are compared one after the other."""

    def __init__(self) -> None:
        self.history = History()

    def tell(self, minute: float, *trunks: Trunk) -> list[Event]:
        """Compare a snapshot of that minute with what is known, and return what it changes."""
        before = self.history.known.get("office")
        self.history.record("office", snapshot(minute, *trunks))
        after = self.history.known["office"]
        return events_between("office", before or after, after)


def lock_writes(path: Path) -> sqlite3.Connection:
    """Hold the lock that a writer needs, until it is closed."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    connection.execute("BEGIN IMMEDIATE")
    return connection


def lock(path: Path) -> sqlite3.Connection:
    """Hold a file that nobody has open, so that nobody can, until it is closed."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    return connection
