"""The SQLite file: opened, loaded, written a batch at a time, pruned, moved aside if damaged.

Every failure is an exception; what to do about it is :mod:`vats_exporter.history.history`' affair.
Not thread-safe.

A batch is one transaction, and has a number that is written with it. So when an error leaves it
open whether a batch was committed, the file tells. The log is a WAL: readers never wait for the
writer, and a killed process loses nothing that was committed. A power cut may lose the last
batches, never a part of one; the next snapshot then shows the same differences again.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vats_exporter.history import schema
from vats_exporter.history.events import FLAGS, Change, HistoryError
from vats_exporter.history.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vats_exporter.history.events import Event

BUSY_TIMEOUT: Final = 0.25
"""Seconds to wait for another process' lock: a refresh waits for it."""

Row = tuple[Any, ...]


class CorruptError(HistoryError):
    """The file is damaged, or no database at all."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Which file this is, and how far it is written.

    Attributes:
        identity: made up when the file was begun.
        batch: the number of the latest batch that was committed.
    """

    identity: str
    batch: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction writes.

    Attributes:
        accounts: name, last seen.
        trunks: rows as the table has them.
        changes: likewise.
        events: without their numbers.
    """

    accounts: Sequence[Row]
    trunks: Sequence[Row]
    changes: Sequence[Row]
    events: Sequence[Event]

    @classmethod
    def of(cls, ledgers: Sequence[Ledger], events: Sequence[Event]) -> Batch:
        """Gather what the file does not have yet, as it is now.

        Args:
            ledgers: those that recorded something.
            events: theirs.
        """
        return cls(
            [(one.account, one.last_seen) for one in ledgers if one.last_seen is not None],
            [row for one in ledgers for row in _trunk_rows(one)],
            [row for one in ledgers for row in _change_rows(one)],
            events,
        )


class HistoryFile:
    """The file, open or not.

    Args:
        path: where it is; its folder exists.
        now: wall clock, for the name of a damaged file that is moved aside.
    """

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self.path = path
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the file that stands at the path is open: it may have been deleted meanwhile."""
        try:
            return self._connection is not None and self._inode == self._stat()
        except OSError:
            return False

    def open(self) -> Mark:
        """Open the file, or begin it, readable by its owner alone.

        Raises:
            CorruptError: it is damaged.
            HistoryError: it is of a newer version, or of another program.
            OSError: it cannot be made.
            sqlite3.Error: it cannot be opened, is locked, or cannot be written.
        """
        self.close()
        # SQLite would make it readable by everybody. An existing one is never opened here, since
        # closing it would drop the locks that SQLite holds on it.
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with _noticing_damage(self.path, (TypeError,)):
            self._connection = schema.connect(self.path, read_only=False, busy_timeout=BUSY_TIMEOUT)
            self._inode = self._stat()
            return self._prepare(self._connection)

    def close(self) -> None:
        """Close the file; what was written stays."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def load(self) -> dict[str, Ledger]:
        """Read every account's ledger.

        Raises:
            CorruptError: it is damaged.
            sqlite3.Error: it cannot be read.
        """
        connection = self._connected()
        with _noticing_damage(self.path, (ValueError, TypeError, LookupError)):
            ledgers = {
                str(name): Ledger(str(name), float(last_seen))
                for name, last_seen in connection.execute("SELECT name, last_seen FROM accounts")
            }
            for row in connection.execute("SELECT * FROM trunks"):
                _load_trunk(ledgers[row[0]], row)
            changes: dict[str, dict[tuple[str, str], Change]] = {name: {} for name in ledgers}
            for account, ref, flag, total, changed in connection.execute("SELECT * FROM changes"):
                changes[account][ref, flag] = Change(int(total), float(changed))
            for name, ledger in ledgers.items():
                ledger.changes = changes[name]
            return ledgers

    def write(self, batch: Batch, mark: Mark) -> None:
        """Write a batch, whole or not at all.

        Args:
            batch: what to write.
            mark: as the file has it before.

        Raises:
            CorruptError: the file is damaged.
            HistoryError: another process wrote to the file.
            sqlite3.Error: it cannot be written; whether it was all the same, only a look at the
                file's mark tells.
        """
        connection = self._connected()
        with _noticing_damage(self.path):
            connection.execute("BEGIN IMMEDIATE")
            written = connection.execute(
                "UPDATE file SET batch = ? WHERE id = ? AND batch = ?",
                (mark.batch + 1, mark.identity, mark.batch),
            )
            if written.rowcount != 1:
                raise HistoryError(
                    f"{self.path}: another process writes to it; give each exporter its own file"
                )
            connection.executemany("INSERT OR REPLACE INTO accounts VALUES (?, ?)", batch.accounts)
            connection.executemany(
                "INSERT OR REPLACE INTO trunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", batch.trunks
            )
            connection.executemany(
                "INSERT OR REPLACE INTO changes VALUES (?, ?, ?, ?, ?)", batch.changes
            )
            connection.executemany(
                "INSERT INTO events (time, account, ref, phone, name, kind, flag, before, after)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                map(_event_row, batch.events),
            )
            connection.execute("COMMIT")

    def prune(self, before: float, limit: int) -> bool:
        """Forget old events, some at a time.

        Args:
            before: those older than this, in seconds since the epoch.
            limit: how many at most.

        Returns:
            whether there may be more.

        Raises:
            CorruptError: the file is damaged.
            sqlite3.Error: it cannot be written.
        """
        with _noticing_damage(self.path):
            pruned = self._connected().execute(
                "DELETE FROM events WHERE id IN"
                " (SELECT id FROM events WHERE time < ? ORDER BY time LIMIT ?)",
                (before, limit),
            )
            return pruned.rowcount == limit

    def move_aside(self) -> Path:
        """Give a damaged file another name, with what SQLite keeps beside it.

        Returns:
            the new name.

        Raises:
            OSError: it cannot be renamed.
        """
        self.close()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._now()))
        aside = self.path.with_name(f"{self.path.name}.corrupt-{stamp}")
        number = 1
        while aside.exists():
            number += 1
            aside = self.path.with_name(f"{self.path.name}.corrupt-{stamp}-{number}")
        self.path.rename(aside)
        for suffix in ("-wal", "-shm"):
            # The new file must not inherit them.
            with suppress(FileNotFoundError):
                Path(f"{self.path}{suffix}").rename(f"{aside}{suffix}")
        return aside

    def _prepare(self, connection: sqlite3.Connection) -> Mark:
        empty = schema.is_empty(connection, self.path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if empty:
            connection.execute("BEGIN IMMEDIATE")
            schema.create(connection, secrets.token_hex(8))
            connection.execute("COMMIT")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise CorruptError(f"{self.path}: damaged: {' '.join(str(verdict).split())}")
        identity, batch = connection.execute("SELECT id, batch FROM file").fetchone()
        return Mark(str(identity), int(batch))

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:  # pragma: no cover - a mistake in this package
            raise HistoryError(f"{self.path}: not open")
        return self._connection

    def _stat(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_dev, found.st_ino


@contextmanager
def _noticing_damage(path: Path, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Tell damage from everything else that can go wrong with a file.

    SQLITE_CORRUPT and SQLITE_NOTADB are raised as the base class itself; locks, full disks and
    missing rights are OperationalErrors.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        if type(error) is sqlite3.DatabaseError:
            raise CorruptError(f"{path}: damaged: {error}") from error
        raise
    except also as error:
        raise CorruptError(f"{path}: damaged: {error}") from error


def _trunk_rows(ledger: Ledger) -> list[Row]:
    rows: list[Row] = []
    for ref in ledger.dirty:
        seen, last_seen = ledger.present.get(ref), None
        if seen is None and ref in ledger.away:
            seen, last_seen = ledger.away[ref]
        if seen is not None:  # pragma: no branch - a trunk is present or away
            _, phone, name, *flags = seen
            texts = (schema.to_column(phone), schema.to_column(name))
            times = (ledger.first_seen[ref], last_seen)
            rows.append((ledger.account, ref, *texts, *flags, ledger.devices.get(ref), *times))
    return rows


def _load_trunk(ledger: Ledger, row: Row) -> None:
    _, ref, phone, name, active, bound, marked, device, first_seen, last_seen = row
    texts = (str(ref), schema.from_column(phone), schema.from_column(name))
    seen = (*texts, bool(active), bool(bound), bool(marked))
    if last_seen is None:
        ledger.present[ref] = seen
    else:
        ledger.away[ref] = (seen, float(last_seen))
    ledger.first_seen[ref] = float(first_seen)
    if device is not None:
        ledger.devices[ref] = bool(device)


def _change_rows(ledger: Ledger) -> list[Row]:
    found = [(ref, flag, ledger.changes.get((ref, flag))) for ref in ledger.dirty for flag in FLAGS]
    return [
        (ledger.account, ref, flag, change.total, change.last_changed)
        for ref, flag, change in found
        if change is not None
    ]


def _event_row(event: Event) -> Row:
    texts = (event.phone, event.name, event.kind, event.flag, event.before, event.after)
    return (event.time, event.account, event.ref, *map(schema.to_column, texts))
