"""The SQLite file: written by one exporter at a time, and read by any process meanwhile.

Every failure is an exception; :mod:`vats_exporter.history.kept` decides what follows.

There is no write-ahead log: between two transactions the file is whole by itself, so that a plain
copy of it is a backup. The writer holds a lock on a file beside it. Each reader's call opens the
file anew and closes it, so that one that was moved or replaced meanwhile is noticed.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from stat import S_ISREG
from typing import Final
from urllib.parse import quote

from vats_exporter.history.history import Event, HistoryError, Ledger

BUSY_TIMEOUT: Final = 0.25  # seconds that the writer waits for a reader,
_READERS_TIMEOUT: Final = 2.0  # and a reader for the writer

VERSION: Final = 2
_APPLICATION: Final = 0x56415453  # "VATS": tells the exporter's files from other databases

# A state and an event are JSON in ASCII: names come from a Java server and may hold lone
# surrogates, which UTF-8 has no place for. AUTOINCREMENT: no number is used again.
_TABLES: Final = f"""
    CREATE TABLE accounts (name TEXT PRIMARY KEY, state TEXT) WITHOUT ROWID;
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL, account TEXT, phone TEXT, event TEXT);
    CREATE INDEX events_by_time ON events (time);
    PRAGMA application_id = {_APPLICATION};
    PRAGMA user_version = {VERSION}"""

_EVENTS: Final = """
    SELECT id, event FROM events
    WHERE (:accounts IS NULL OR account IN (SELECT value FROM json_each(:accounts)))
      AND (:phones IS NULL OR phone IN (SELECT value FROM json_each(:phones))
        OR json_extract(event, '$.before') IN (SELECT value FROM json_each(:phones)))
      AND (:since IS NULL OR time >= :since)
      AND id > :after
    ORDER BY id DESC LIMIT :limit"""

_KNOWN_PHONE: Final = """
    SELECT EXISTS (SELECT 1 FROM accounts, json_tree(state) WHERE atom = :phone AND key = 0)
      OR EXISTS (SELECT 1 FROM events WHERE :phone IN (phone, json_extract(event, '$.before')))"""

_PHONES: Final = """
    SELECT name, json_extract(value, '$[0]') AS phone
    FROM accounts LEFT JOIN json_each(state, '$.present') ORDER BY name, phone"""

# Numbers only grow within a file, so a file whose greatest is smaller is another one.
_GREATEST: Final = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'"


class CorruptError(HistoryError):
    """The file is damaged, or no database at all."""


class HistoryFile:
    """A file that this process alone writes to, by one thread; begun if there is none.

    Any use of it raises a ``CorruptError`` if it is damaged, and another ``HistoryError``, an
    ``OSError`` or ``sqlite3.Error`` if it cannot be used. ``saved`` is what it has of each account.
    """

    saved: dict[str, Ledger]

    def __init__(self, path: Path) -> None:
        self._path = path
        self._status: os.stat_result | None = None
        self._opened = ExitStack()

    @property
    def was_replaced(self) -> bool:
        """Whether it is open, and another file or none is in its place by now."""
        with suppress(OSError):
            return not (self._status is None or os.path.samestat(self._status, self._path.stat()))
        return True

    def open(self) -> None:
        """Open it, unless it is open."""
        if self._status is not None:
            return
        with ExitStack() as opened:
            lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            opened.callback(os.close, lock)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HistoryError(
                    f"{self._path}: another exporter writes to it; give each its own file"
                ) from None
            # SQLite would make it readable by every user.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = opened.enter_context(closing(_connect(self._path, BUSY_TIMEOUT)))
            status = self._path.stat()
            with self._transaction() as execute:
                if _is_empty(self._connection, self._path):
                    for statement in _TABLES.split(";"):
                        execute(statement)
                (verdict,) = execute("PRAGMA quick_check(1)").fetchone()
                if verdict != "ok":
                    raise ValueError(" ".join(str(verdict).split()))
                states = execute("SELECT name, state FROM accounts")
                self.saved = {name: Ledger.from_json(state) for name, state in states}
            self._opened, self._status = opened.pop_all(), status

    def close(self) -> None:
        """Close it, if it is open, and let go of its lock."""
        self._status = None
        with suppress(sqlite3.Error):
            self._opened.close()

    def move_aside(self) -> Path:
        """Close a damaged file and give it another name, which is returned."""
        self.close()
        aside = Path(f"{self._path}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        self._path.rename(aside)
        with suppress(FileNotFoundError):  # the new file must not inherit it
            Path(f"{self._path}-journal").rename(f"{aside}-journal")
        return aside

    def write(self, states: Mapping[str, Ledger], events: Iterable[Event], oldest: float) -> None:
        """Bring accounts to other states, and delete events older than a time, in one transaction.

        Whether that is done after a ``sqlite3.Error``, only the file opened anew can tell.
        """
        with self._transaction() as execute:
            for account, ledger in states.items():
                state = ledger.to_json()
                execute("INSERT OR REPLACE INTO accounts VALUES (?, ?)", (account, state))
            for event in events:
                row = (event.time, event.account, event.phone, json.dumps(event._asdict()))
                execute("INSERT INTO events VALUES (NULL, ?, ?, ?, ?)", row)
            execute("DELETE FROM events WHERE time < ?", (oldest,))
        self.saved.update(states)

    @contextmanager
    def _transaction(self) -> Iterator[Callable[..., sqlite3.Cursor]]:
        """Give what executes a statement in one transaction; tell damage from other failures."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:  # commits, or rolls back
                yield self._connection.execute
        except (sqlite3.DatabaseError, ValueError, TypeError, LookupError, AttributeError) as error:
            # Locks, full disks and missing rights are operational, but so are missing tables.
            if isinstance(error, sqlite3.OperationalError) and "no such " not in str(error):
                raise
            raise CorruptError(f"{self._path}: damaged: {error}") from error


def _connect(path: Path, busy_timeout: float) -> sqlite3.Connection:
    """Open an existing file, in autocommit, to write to it if its rights allow it."""
    mode = "rw" if os.access(path, os.W_OK) else "ro"
    uri = f"file:{quote(str(path))}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=busy_timeout, isolation_level=None)


def _is_empty(connection: sqlite3.Connection, path: Path) -> bool:
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


def read_events(
    path: Path,
    *,
    accounts: Collection[str] = (),
    phones: Collection[str] = (),
    since: float | None = None,
    after_id: int = 0,
    limit: int | None = None,
) -> list[Event]:
    """Read what happened, in the order in which it was seen; a ``HistoryError`` if it cannot be.

    Only of these accounts and phones, if any are given; a phone (eleven digits) may also be one
    that a trunk had before. ``since`` is in seconds since the epoch; of several, the latest
    ``limit``. ``after_id`` goes on after an earlier call: with greater numbers, or with all of a
    file that has taken the place of the one before and does not reach as far.
    """
    with _opened(path) as connection:
        (greatest,) = connection.execute(_GREATEST).fetchone()
        asked = {
            "accounts": json.dumps(list(accounts)) if accounts else None,
            "phones": json.dumps(list(phones)) if phones else None,
            "since": since,
            "after": after_id if after_id <= greatest else 0,
            "limit": -1 if limit is None else limit,
        }
        rows = connection.execute(_EVENTS, asked).fetchall()
        return [Event(**{**json.loads(text), "id": number}) for number, text in reversed(rows)]


def read_phones(path: Path) -> dict[str, list[str]]:
    """Return the phones of every account's trunks, in order; errors as of :func:`read_events`."""
    phones: dict[str, list[str]] = {}
    with _opened(path) as connection:
        for account, phone in connection.execute(_PHONES):
            phones.setdefault(account, []).extend([phone] if phone else [])
    return phones


def is_known_phone(path: Path, phone: str) -> bool:
    """Whether a trunk has, or had, a phone of eleven digits; errors as of :func:`read_events`."""
    with _opened(path) as connection:
        return bool(connection.execute(_KNOWN_PHONE, {"phone": phone}).fetchone()[0])


def export(path: Path, target: Path) -> None:
    """Copy the file as it is at one moment, also while the exporter writes to it.

    A ``HistoryError`` says why that cannot be done; nothing is overwritten.
    """
    with _opened(path) as connection:
        try:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            raise HistoryError(f"{target}: cannot make it: {error.strerror or error}") from None
        connection.execute("COMMIT")
        try:
            with closing(sqlite3.connect(target)) as copy:
                connection.backup(copy)
        except sqlite3.Error as error:
            target.unlink()
            raise HistoryError(f"{target}: cannot make it: {error}") from None


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """One view of the file for all that is asked."""
    try:
        # SQLite would only say that it is unable to open it, or wait for ever for a pipe's writer.
        if not S_ISREG(path.stat().st_mode):
            raise HistoryError(f"{path}: cannot read it: not a file")
        if not os.access(path, os.R_OK):
            raise HistoryError(f"{path}: cannot read it: Permission denied")
        with closing(_connect(path, _READERS_TIMEOUT)) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            if _is_empty(connection, path):
                raise HistoryError(f"{path}: nothing is recorded in it yet")
            yield connection
    except (OSError, sqlite3.Error, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise HistoryError(f"{path}: cannot read it: {reason}") from None
