"""The SQLite file: opened, loaded, written a refresh at a time, pruned, moved aside if damaged.

Every failure is an exception; :mod:`vats_exporter.history.history` decides what follows.

There is no write-ahead log: between two transactions the file is whole by itself, so that a plain
copy of it is a backup. One process at a time writes, by a lock on a file beside it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from vats_exporter.history.ledger import HistoryError, Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vats_exporter.history.ledger import Event

BUSY_TIMEOUT: Final = 0.25
"""Seconds that the writer waits for a reader."""

VERSION: Final = 2
_APPLICATION: Final = 0x56415453
"""``VATS``: tells the exporter's files from other programs' databases."""

# A state and an event are JSON in ASCII: names come from a Java server and may hold lone
# surrogates, which UTF-8 has no place for. AUTOINCREMENT: no number is used again.
_TABLES: Final = """
    CREATE TABLE file (id TEXT, batch INTEGER);
    CREATE TABLE accounts (name TEXT PRIMARY KEY, state TEXT) WITHOUT ROWID;
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL, account TEXT, phone TEXT, event TEXT);
    CREATE INDEX events_by_time ON events (time)"""


class CorruptError(HistoryError):
    """The file is damaged, or no database at all."""


def connect(path: Path, *, busy_timeout: float) -> sqlite3.Connection:
    """Open an existing file, in autocommit, to write to it if its rights allow it."""
    mode = "rw" if os.access(path, os.W_OK) else "ro"
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=busy_timeout,
        isolation_level=None,
        check_same_thread=False,
    )


def is_empty(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether nothing is in the file yet; a ``HistoryError`` if it is not the exporter's."""
    pragmas = ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    application, version, tables = (connection.execute(one).fetchone()[0] for one in pragmas)
    if not (application or version or tables):
        return True
    if application != _APPLICATION:
        raise HistoryError(f"{path}: a database of another program; it is left alone")
    if version != VERSION:
        raise HistoryError(
            f"{path}: written by another version of vats-exporter (format {version}, this one has "
            f"{VERSION}); it is left alone"
        )
    return False


class HistoryFile:
    """The file, open or not; readable by its owner alone.

    Attributes:
        identity: tells it from other files: made up when it was begun; empty before it is open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.identity = ""
        self._batch = 0  # number of its latest transaction
        self._connection: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._inode: tuple[int, int] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the file that stands at the path is open: it may have been replaced."""
        with suppress(OSError):
            return self._connection is not None and self._inode == self._stat()
        return False

    def open(self) -> dict[str, Ledger]:
        """Open the file, or begin it, and return every account's ledger.

        Raises:
            CorruptError: it is damaged, or holds what the exporter never writes.
            HistoryError, OSError, sqlite3.Error: it cannot be used.
        """
        self.close()
        self._lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HistoryError(
                f"{self.path}: another exporter writes to it; give each its own file"
            ) from None
        # SQLite would make it readable by every user.
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with self._noticing_damage():
            self._connection = connect(self.path, busy_timeout=BUSY_TIMEOUT)
            self._inode = self._stat()
            self._prepare(self._connection)
            states = self._connection.execute("SELECT name, state FROM accounts")
            return {name: Ledger.from_json(state) for name, state in states}

    def close(self) -> None:
        """Close the file, and let go of its lock."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def write(self, account: str, old: Ledger | None, new: Ledger, events: Sequence[Event]) -> None:
        """Bring an account from one state to another, in one transaction.

        Raises:
            CorruptError: the file is damaged.
            HistoryError: another process wrote to it.
            sqlite3.Error: it may not be written; only :meth:`open` tells.
        """
        if old == replace(new, at=old.at, missing=old.missing) if old else False:
            return
        with self._transaction() as connection:
            done = connection.execute(
                "UPDATE file SET batch = batch + 1 WHERE (id, batch) = (?, ?)",
                (self.identity, self._batch),
            )
            if done.rowcount != 1:
                raise HistoryError(f"{self.path}: another process wrote to it")
            self._batch += 1
            state = (account, new.to_json())
            connection.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?)", state)
            connection.executemany(
                "INSERT INTO events VALUES (NULL, ?, ?, ?, ?)",
                ((one.time, account, one.phone, one.to_json()) for one in events),
            )

    def prune(self, before: float, limit: int) -> bool:
        """Delete ``limit`` events older than ``before`` at most; whether more may be left."""
        with self._transaction() as connection:
            pruned = connection.execute(
                "DELETE FROM events WHERE id IN"
                " (SELECT id FROM events WHERE time < ? ORDER BY time LIMIT ?)",
                (before, limit),
            )
            return pruned.rowcount == limit

    def move_aside(self) -> Path:
        """Give a damaged file another name, and return that."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time()))
        ends = ("", *(f"-{number}" for number in range(2, 99)))
        names = (Path(f"{self.path}.corrupt-{stamp}{end}") for end in ends)
        aside = next(name for name in names if not name.exists())
        self.path.rename(aside)
        with suppress(FileNotFoundError):  # the new file must not inherit it
            Path(f"{self.path}-journal").rename(f"{aside}-journal")
        return aside

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if is_empty(connection, self.path):
            with self._transaction():
                for statement in _TABLES.split(";"):
                    connection.execute(statement)
                connection.execute("INSERT INTO file VALUES (?, 0)", (secrets.token_hex(8),))
                connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise CorruptError(f"{self.path}: damaged: {' '.join(str(verdict).split())}")
        identity, batch = connection.execute("SELECT id, batch FROM file").fetchone()
        if not isinstance(batch, int) or not 0 <= batch < 2**53:
            raise ValueError("batch is no number that can be counted on from")
        if identity == self.identity and batch > self._batch:
            raise HistoryError(f"{self.path}: another process wrote to it")
        self.identity, self._batch = str(identity), batch

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if self._connection is None:  # pragma: no cover - a mistake in this package
            raise HistoryError(f"{self.path}: not open")
        with self._noticing_damage():
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:  # commits, or rolls back
                yield self._connection

    @contextmanager
    def _noticing_damage(self) -> Iterator[None]:
        """Tell damage from everything else that can go wrong with a file.

        SQLITE_CORRUPT and SQLITE_NOTADB are raised as the base class itself; locks, full disks and
        missing rights are OperationalErrors, but so are missing tables.
        """
        try:
            yield
        except sqlite3.Error as error:
            if type(error) is sqlite3.DatabaseError or "no such " in str(error):
                raise CorruptError(f"{self.path}: damaged: {error}") from error
            raise
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise CorruptError(f"{self.path}: damaged: {error}") from error

    def _stat(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_dev, found.st_ino
