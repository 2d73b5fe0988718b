"""What can happen to a trunk, and what is counted of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final, Literal

from vats_exporter import trunks

FLAGS: Final = tuple(flag.key for flag in trunks.FLAGS)
"""The flags whose changes are counted, as the label ``flag`` names them."""

EventKind = Literal["changed", "appeared", "gone", "back", "renamed", "renumbered"]


class HistoryError(Exception):
    """The file cannot be used: says which and why."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one trunk, seen between two snapshots.

    Attributes:
        time: when the snapshot that showed it was taken, in seconds since the epoch.
        account: the account's name.
        ref: the trunk's reference.
        phone: its phone, after the change.
        name: its name, after the change.
        kind: what happened.
        flag: which flag changed; empty for other kinds.
        before: the flag (``0`` or ``1``), name or phone before; empty for other kinds.
        after: the same, after.
        id: its number in the file: ascending, never used again; ``None`` before it is written.
    """

    time: float
    account: str
    ref: str
    phone: str
    name: str
    kind: EventKind
    flag: str = ""
    before: str = ""
    after: str = ""
    id: int | None = None

    def to_json(self) -> str:
        """Return all but the number, in ASCII."""
        return json.dumps({**asdict(self), "id": None})


@dataclass(frozen=True, slots=True)
class Change:
    """How often one flag of one trunk was seen to change, and when last (since the epoch)."""

    total: int
    last_changed: float
