"""The file's tables, how texts stand in them, and how a connection to them is opened.

Version 1. A file of a newer version, or of another program, is never touched.

Text is UTF-8. Names come from a Java server and may hold lone surrogates, which UTF-8 has no
place for: such a text is kept as a BLOB of what UTF-8 would make of it.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from vats_exporter.history.events import HistoryError

if TYPE_CHECKING:
    from pathlib import Path

VERSION: Final = 1

_APPLICATION: Final = 0x56415453
"""``VATS``: tells the exporter's files from other programs' databases."""

_TABLES: Final = (
    # Which file this is, and which batch was written last.
    "CREATE TABLE file (id TEXT NOT NULL, batch INTEGER NOT NULL)",
    "CREATE TABLE accounts (name TEXT PRIMARY KEY, last_seen REAL NOT NULL) WITHOUT ROWID",
    # last_seen only of those that are gone: the others were seen with their account.
    """CREATE TABLE trunks (
        account TEXT NOT NULL, ref TEXT NOT NULL, phone TEXT NOT NULL, name TEXT NOT NULL,
        active INTEGER NOT NULL, bound INTEGER NOT NULL, marked_for_deletion INTEGER NOT NULL,
        sip_device_enabled INTEGER, first_seen REAL NOT NULL, last_seen REAL,
        PRIMARY KEY (account, ref)) WITHOUT ROWID""",
    """CREATE TABLE changes (
        account TEXT NOT NULL, ref TEXT NOT NULL, flag TEXT NOT NULL,
        total INTEGER NOT NULL, last_changed REAL NOT NULL,
        PRIMARY KEY (account, ref, flag)) WITHOUT ROWID""",
    # AUTOINCREMENT: the number of an event that was pruned is never used again.
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, account TEXT NOT NULL,
        ref TEXT NOT NULL, phone TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,
        flag TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL)""",
    "CREATE INDEX events_by_time ON events (time)",
)


def connect(path: Path, *, read_only: bool, busy_timeout: float) -> sqlite3.Connection:
    """Open an existing file, in autocommit.

    Args:
        path: the file.
        read_only: never write to it.
        busy_timeout: seconds to wait for another process' lock.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    mode = "ro" if read_only else "rw"
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=busy_timeout,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.text_factory = _decode
    return connection


def is_empty(connection: sqlite3.Connection, path: Path) -> bool:
    """Tell a file that is to be filled from one that is the exporter's.

    Returns:
        whether there is nothing in the file.

    Raises:
        HistoryError: it is of a newer version, or of another program.
        sqlite3.Error: it cannot be read.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables and not application and not version:
        return True
    if application != _APPLICATION:
        raise HistoryError(f"{path}: a database of another program; it is left alone")
    if version > VERSION:
        raise HistoryError(
            f"{path}: written by a newer vats-exporter (format {version}, this one knows "
            f"{VERSION}); it is left alone"
        )
    return False


def create(connection: sqlite3.Connection, identity: str) -> None:
    """Lay the tables, in a transaction that the caller began."""
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO file VALUES (?, 0)", (identity,))
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def to_column(text: str) -> str | bytes:
    """What stands in a column for a text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def from_column(value: str | bytes) -> str:
    """The text that stands in a column."""
    return _decode(value) if isinstance(value, bytes) else value


def _decode(value: bytes) -> str:
    return value.decode("utf-8", "surrogatepass")
