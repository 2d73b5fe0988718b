"""Reading a history file's events, from any process, while the exporter writes to it.

Each call opens the file anew and closes it, so that a file that was moved or replaced meanwhile is
noticed. Nothing is ever written.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from vats_exporter.history.file import connect, is_empty
from vats_exporter.history.ledger import Event, HistoryError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path


_BUSY_TIMEOUT: Final = 2.0

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

    Of these accounts and phones alone, unless there are none; a phone (eleven digits) may also be
    one that a trunk had before a renumbering. Since a time in seconds since the epoch. Of several,
    the latest ``limit``.

    ``after_id`` goes on after an earlier call: with greater numbers alone. Where the file has been
    replaced by one that does not reach as far, all of it is new.
    """
    with _opened(path) as connection:
        (greatest,) = connection.execute(_GREATEST).fetchone()
        rows = connection.execute(
            _EVENTS,
            {
                "accounts": json.dumps(list(accounts)) if accounts else None,
                "phones": json.dumps(list(phones)) if phones else None,
                "since": since,
                "after": after_id if after_id <= greatest else 0,
                "limit": -1 if limit is None else limit,
            },
        ).fetchall()
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

    Raises:
        HistoryError: it cannot be read, or the copy cannot be made; nothing is overwritten.
    """
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise HistoryError(f"{target}: cannot make it: {error.strerror or error}") from None
    with _opened(path) as connection, closing(sqlite3.connect(target)) as copy:
        connection.execute("COMMIT")
        connection.backup(copy)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """One view of the file for all that is asked."""
    try:
        # SQLite would only say that it is unable to open it, or wait for ever for a pipe's writer.
        if not stat.S_ISREG(path.stat().st_mode):
            raise HistoryError(f"{path}: cannot read it: not a file")
        with closing(connect(path, busy_timeout=_BUSY_TIMEOUT)) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            if is_empty(connection, path):
                raise HistoryError(f"{path}: nothing is recorded in it yet")
            yield connection
    except OSError as error:
        raise HistoryError(f"{path}: cannot read it: {error.strerror or error}") from None
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise HistoryError(f"{path}: cannot read it: {error}") from None
