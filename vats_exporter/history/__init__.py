"""What changed about the trunks and when: counted in memory, kept in a SQLite file.

Memory is the truth while the process runs; the file is what survives it. Knows
:mod:`vats_exporter.trunks`, SQLite and a clock; nothing of Prometheus, nothing of the cabinet.
"""

from vats_exporter.history.history import DEFAULT_KEEP, History
from vats_exporter.history.ledger import FLAGS, Change, Changes, Event, HistoryError
from vats_exporter.history.reading import (
    export,
    is_known_phone,
    read_accounts,
    read_events,
    read_phones,
)

__all__ = [
    "DEFAULT_KEEP",
    "FLAGS",
    "Change",
    "Changes",
    "Event",
    "History",
    "HistoryError",
    "export",
    "is_known_phone",
    "read_accounts",
    "read_events",
    "read_phones",
]
