"""The SQLite file: opened, loaded, written a refresh at a time, pruned, moved aside if damaged.

Every failure is an exception; :mod:`vats_exporter.history.history` decides what follows.

There is no write-ahead log: between two transactions the file is whole by itself, so that a plain
copy of it is a backup. Of a process that is killed, the file has what was committed. One process
at a time writes to it, by a lock on a file beside it.
"""

from __future__ import annotations

import fcntl
import math
import os
import secrets
import sqlite3
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from vats_exporter.history.events import FLAGS, Change, HistoryError
from vats_exporter.history.ledger import Ledger, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vats_exporter.history.events import Event

BUSY_TIMEOUT: Final = 0.25
"""Seconds to wait for a reader's lock."""

VERSION: Final = 2
Row = tuple[Any, ...]

_APPLICATION: Final = 0x56415453
"""``VATS``: tells the exporter's files from other programs' databases."""

_TABLES: Final = """
    CREATE TABLE file (id TEXT NOT NULL, batch INTEGER NOT NULL);
    CREATE TABLE accounts (name TEXT PRIMARY KEY, last_seen REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE trunks (
        account TEXT NOT NULL, ref TEXT NOT NULL, phone TEXT NOT NULL, name TEXT NOT NULL,
        gone INTEGER NOT NULL, PRIMARY KEY (account, ref)) WITHOUT ROWID;
    CREATE TABLE flags (
        account TEXT NOT NULL, ref TEXT NOT NULL, flag TEXT NOT NULL, value INTEGER,
        total INTEGER NOT NULL, last_changed REAL,
        PRIMARY KEY (account, ref, flag)) WITHOUT ROWID;
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, account TEXT NOT NULL,
        ref TEXT NOT NULL, phone TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
        flag TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL);
    CREATE INDEX events_by_time ON events (time)"""
# AUTOINCREMENT: the number of an event that was pruned is never used again.


class CorruptError(HistoryError):
    """The file is damaged, or no database at all."""


def connect(path: Path, *, busy_timeout: float) -> sqlite3.Connection:
    """Open an existing file, in autocommit.

    Text is UTF-8, but for names with lone surrogates: they come from a Java server, UTF-8 has no
    place for them, and they are kept as a BLOB.
    """
    mode = "rw" if os.access(path, os.W_OK) else "ro"
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=busy_timeout,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.text_factory = lambda value: value.decode("utf-8", "surrogatepass")
    return connection


def read_text(value: str | bytes) -> str:
    """Return the text that stands in a column."""
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def _column(text: str) -> str | bytes:
    data = text.encode("utf-8", "surrogatepass")
    return data if any("\ud800" <= letter <= "\udfff" for letter in text) else text


def is_empty(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether nothing is in the file yet.

    Raises:
        HistoryError: it is of another version, or of another program.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables and not application and not version:
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
    """The file, open or not; readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._inode: tuple[int, int] | None = None
        self._mark = ("", 0)  # the file's identity, and the number of its latest transaction

    @property
    def is_open(self) -> bool:
        """Whether the file that stands at the path is open: it may have been replaced."""
        with suppress(OSError):
            return self._connection is not None and self._inode == self._stat()
        return False

    @property
    def identity(self) -> str:
        """What tells the file from others: made up when it was begun, empty before it is open."""
        return self._mark[0]

    def open(self) -> dict[str, Ledger]:
        """Open the file, or begin it, and return every account's ledger.

        Raises:
            CorruptError: it is damaged, or holds what the exporter never writes.
            HistoryError: it cannot be used, by another exporter's lock for example.
            OSError, sqlite3.Error: it cannot be made, opened or written.
        """
        self.close()
        self._lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HistoryError(
                f"{self.path}: another exporter writes to it; give each its own file"
            ) from None
        # SQLite would make it readable by everybody.
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with self._noticing_damage():
            self._connection = connection = connect(self.path, busy_timeout=BUSY_TIMEOUT)
            self._inode = self._stat()
            self._prepare(connection)
            return _load(connection)

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
            sqlite3.Error: it cannot be written. Whether it was all the same, only :meth:`open`
                tells.
        """
        refs = _touched(old, new)
        if old is not None and not refs and not events:
            return
        rows = [_rows(account, new, ref) for ref in refs]
        identity, batch = self._mark
        with self._noticing_damage(), self._transaction() as connection:
            update = "UPDATE file SET batch = ? WHERE id = ? AND batch = ?"
            if connection.execute(update, (batch + 1, identity, batch)).rowcount != 1:
                raise HistoryError(f"{self.path}: another process wrote to it")
            self._mark = (identity, batch + 1)
            connection.execute("INSERT OR REPLACE INTO accounts VALUES (?, ?)", (account, new.at))
            connection.executemany(
                "INSERT OR REPLACE INTO trunks VALUES (?, ?, ?, ?, ?)", [trunk for trunk, _ in rows]
            )
            connection.executemany(
                "INSERT OR REPLACE INTO flags VALUES (?, ?, ?, ?, ?, ?)",
                [flag for _, flags in rows for flag in flags],
            )
            connection.executemany(
                "INSERT INTO events (time, account, ref, phone, name, kind, flag, before, after)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                map(_event_row, events),
            )

    def prune(self, before: float, limit: int) -> bool:
        """Delete ``limit`` events older than ``before`` at most; whether more may be left."""
        with self._noticing_damage(), self._transaction() as connection:
            pruned = connection.execute(
                "DELETE FROM events WHERE id IN"
                " (SELECT id FROM events WHERE time < ? ORDER BY time LIMIT ?)",
                (before, limit),
            )
            return pruned.rowcount == limit

    def move_aside(self) -> Path:
        """Give a damaged file another name, and return that."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time()))
        names = [
            f"{self.path}.corrupt-{stamp}{end}" for end in ("", *map("-{}".format, range(2, 99)))
        ]
        aside = next(name for name in map(Path, names) if not name.exists())
        self.path.rename(aside)
        for suffix in ("-journal", "-wal", "-shm"):
            with suppress(FileNotFoundError):  # the new file must not inherit them
                Path(f"{self.path}{suffix}").rename(f"{aside}{suffix}")
        return aside

    def _prepare(self, connection: sqlite3.Connection) -> None:
        empty = is_empty(connection, self.path)
        connection.execute("PRAGMA journal_mode = DELETE")
        if empty:
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
        if identity == self.identity and int(batch) > self._mark[1]:
            raise HistoryError(f"{self.path}: another process wrote to it")
        self._mark = (str(identity), _number(batch))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        if self._connection is None:  # pragma: no cover - a mistake in this package
            raise HistoryError(f"{self.path}: not open")
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _noticing_damage(self) -> Iterator[None]:
        """Tell damage from everything else that can go wrong with a file.

        SQLITE_CORRUPT and SQLITE_NOTADB are raised as the base class itself; locks, full disks and
        missing rights are OperationalErrors.
        """
        try:
            yield
        except sqlite3.Error as error:
            if type(error) is sqlite3.DatabaseError or "no such " in str(error):
                raise CorruptError(f"{self.path}: damaged: {error}") from error
            raise
        except (ValueError, TypeError, LookupError, OverflowError) as error:
            raise CorruptError(f"{self.path}: damaged: {error}") from error

    def _stat(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_dev, found.st_ino


def _load(connection: sqlite3.Connection) -> dict[str, Ledger]:
    trunks: dict[tuple[str, str], tuple[str, str, bool]] = {}
    values: dict[tuple[str, str], dict[str, bool | None]] = {}
    found = {
        str(name): Ledger(_number(at, float), {}, {}, {})
        for name, at in connection.execute("SELECT name, last_seen FROM accounts")
    }
    for account, ref, phone, name, gone in connection.execute("SELECT * FROM trunks"):
        trunks[account, ref] = (read_text(phone), read_text(name), bool(gone))
        values[account, ref] = {}
    changes: dict[str, dict[tuple[str, str], Change]] = {account: {} for account in found}
    for account, ref, flag, value, total, changed in connection.execute("SELECT * FROM flags"):
        values[account, ref][flag] = None if value is None else bool(value)
        if total:
            changes[account][ref, flag] = Change(_number(total), _number(changed, float))
    present: dict[str, dict[str, Seen]] = {account: {} for account in found}
    left: dict[str, dict[str, Seen]] = {account: {} for account in found}
    for (account, ref), (phone, name, gone) in trunks.items():
        seen = (phone, name, *map(values[account, ref].get, FLAGS))
        (left if gone else present)[account][ref] = seen
    return {
        account: Ledger(ledger.at, present[account], left[account], changes[account])
        for account, ledger in found.items()
    }


def _number(value: Any, kind: type = int) -> Any:  # whatever stands in a column
    """A number that the exporter can have written, and can count on from."""
    number = kind(value)
    if not (math.isfinite(number) and 0 <= number < 2**53):
        raise ValueError("a number out of range")
    return number


def _touched(old: Ledger | None, new: Ledger) -> list[str]:
    """The references of what differs, in any respect that the file has."""
    if old is None:
        return [*new.present, *new.gone]
    refs = {
        ref
        for before, after in ((old.present, new.present), (old.gone, new.gone))
        if before is not after
        for ref in before.keys() | after.keys()
        if before.get(ref) != after.get(ref)
    }
    if old.changes is not new.changes:
        refs |= {ref for ref, _ in dict(new.changes.items() - old.changes.items())}
    return sorted(refs & (new.present.keys() | new.gone.keys()))


def _rows(account: str, new: Ledger, ref: str) -> tuple[Row, list[Row]]:
    """A trunk's row, and those of its flags."""
    gone = ref in new.gone
    phone, name, *values = (new.gone if gone else new.present)[ref]
    flags: list[Row] = []
    for flag, value in zip(FLAGS, values, strict=True):
        change = new.changes.get((ref, flag))
        counted = (change.total, change.last_changed) if change else (0, None)
        flags.append((account, ref, flag, value, *counted))
    return (account, ref, _column(phone), _column(name), gone), flags


def _event_row(event: Event) -> Row:
    texts = (event.phone, event.name, event.kind, event.flag, event.before, event.after)
    return (event.time, event.account, event.ref, *map(_column, texts))
