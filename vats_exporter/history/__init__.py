"""What changed about the trunks and when: counted in memory, kept in a SQLite file.

Knows :mod:`vats_exporter.trunks`, SQLite and a clock; nothing of Prometheus, nothing of the
cabinet. How it works::

    Snapshot ─▶ History.record ─▶ Ledger (one an account, memory) ─▶ Changes, for the metrics
                                     │ events, rows
                                     ▼
                                  HistoryFile (SQLite) ─▶ read_events, from any process

Memory is the truth while the process runs, and the file is only what survives it: **whatever
happens to the file, recording goes on**. What could not be written waits and is written once, as
soon as that is possible again.
"""

from vats_exporter.history.events import (
    FLAGS,
    Change,
    Event,
    EventKind,
    HistoryError,
)
from vats_exporter.history.history import DEFAULT_KEEP, History, Recorded
from vats_exporter.history.ledger import Changes
from vats_exporter.history.reading import is_known_phone, read_accounts, read_events

__all__ = [
    "DEFAULT_KEEP",
    "FLAGS",
    "Change",
    "Changes",
    "Event",
    "EventKind",
    "History",
    "HistoryError",
    "Recorded",
    "is_known_phone",
    "read_accounts",
    "read_events",
]
