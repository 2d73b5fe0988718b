"""Reading a history file's events, from any process, while the exporter writes to it.

Each call opens the file anew and closes it, so that a file that was moved or replaced meanwhile is
noticed. Nothing is ever written.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, cast

from vats_exporter.history import schema
from vats_exporter.history.events import Event, HistoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path
    from typing import TypeVar

    from vats_exporter.history.events import EventKind

    Result = TypeVar("Result")

_BUSY_TIMEOUT: Final = 2.0

_EVENTS: Final = """
    SELECT time, account, ref, phone, name, kind, flag, before, after, id FROM events
    WHERE (:accounts IS NULL OR account IN (SELECT value FROM json_each(:accounts)))
      AND (:phones IS NULL OR phone IN (SELECT value FROM json_each(:phones))
        OR kind = 'renumbered' AND before IN (SELECT value FROM json_each(:phones)))
      AND (:since IS NULL OR time >= :since)
      AND id > :after
    ORDER BY id DESC LIMIT :limit"""

_KNOWN_PHONE: Final = """
    SELECT EXISTS (SELECT 1 FROM trunks WHERE phone = :phone)
      OR EXISTS (SELECT 1 FROM events
        WHERE phone = :phone OR kind = 'renumbered' AND before = :phone)"""

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
    """Read what happened.

    Args:
        path: the history file.
        accounts: of these accounts alone; empty for all.
        phones: of trunks that have, or in a renumbering had, one of these phones (eleven digits);
            empty for all.
        since: not before this time, in seconds since the epoch.
        after_id: with a greater number alone, to go on after an earlier call. Where the file has
            been replaced by one that does not reach as far, all of it is new.
        limit: the latest so many; ``None`` for all.

    Returns:
        the events in the order in which they were seen.

    Raises:
        HistoryError: the file cannot be read.
    """

    def query(connection: sqlite3.Connection) -> list[Event]:
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
        return [_event(row) for row in reversed(rows)]

    return _read(path, query)


def read_accounts(path: Path) -> list[str]:
    """Read the names of the accounts that the file knows, in order.

    Args:
        path: the history file.

    Raises:
        HistoryError: the file cannot be read.
    """
    return _read(
        path,
        lambda connection: [
            name for (name,) in connection.execute("SELECT name FROM accounts ORDER BY name")
        ],
    )


def is_known_phone(path: Path, phone: str) -> bool:
    """Tell whether the file knows a trunk that has, or had, a phone.

    Args:
        path: the history file.
        phone: eleven digits.

    Raises:
        HistoryError: the file cannot be read.
    """
    return _read(
        path,
        lambda connection: bool(connection.execute(_KNOWN_PHONE, {"phone": phone}).fetchone()[0]),
    )


def _event(row: tuple[Any, ...]) -> Event:
    at, account, ref, phone, name, kind, flag, before, after, number = row
    phone, name, before, after = map(schema.from_column, (phone, name, before, after))
    return Event(
        at, account, ref, phone, name, cast("EventKind", kind), flag, before, after, number
    )


def _read(path: Path, query: Callable[[sqlite3.Connection], Result]) -> Result:
    try:
        # Of a file that is not there SQLite would say that it is unable to open it. It must not be
        # opened here: closing it would drop the locks that an exporter in this process holds.
        path.stat()
        with closing(_open(path)) as connection:
            # One view of the file for all that is asked.
            connection.execute("BEGIN")
            if schema.is_empty(connection, path):
                raise HistoryError(f"{path}: nothing is recorded in it yet")
            return query(connection)
    except OSError as error:
        raise HistoryError(f"{path}: cannot read it: {error.strerror or error}") from None
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise HistoryError(f"{path}: cannot read it: {error}") from None


def _open(path: Path) -> sqlite3.Connection:
    return schema.connect(path, read_only=True, busy_timeout=_BUSY_TIMEOUT)
