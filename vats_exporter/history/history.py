"""Each account's trunks as last seen, and what a new snapshot changes about them, in memory.

* The first snapshot of an account makes no events: later ones are compared with it.
* A trunk that is missing in two snapshots in a row is *gone*. One may miss it: a trunk is removed
  between two pages, and another falls between them. A trunk that comes *back* is compared with
  what it was when it left, and keeps its counters.
* A phone, a name or a flag that the cabinet does not tell has not changed.
* No time lies in the future of the latest snapshot: when the clock is set back, so are the times
  of the latest changes. Events keep the time they were given.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple

from vats_exporter.trunks import FLAGS, Snapshot

EventKind = Literal["changed", "appeared", "gone", "back", "renamed", "renumbered"]


class HistoryError(Exception):
    """The file cannot be used: says which and why."""


class Event(NamedTuple):
    """One thing that happened to one trunk, seen between two snapshots."""

    time: float  # when the later one was taken, in seconds since the epoch
    account: str
    ref: str
    phone: str  # as it is after the change, like the name
    name: str
    kind: EventKind
    flag: str = ""  # which one changed; empty for other kinds
    before: str = ""  # the flag (0 or 1), name or phone; empty for other kinds
    after: str = ""
    id: int | None = None  # its number in the file: ascending, never used again


class Change(NamedTuple):
    """How often one flag of one trunk was seen to change, and when last (since the epoch)."""

    total: int
    last_changed: float


Changes = Mapping[tuple[str, str], Change]
"""By reference and flag; what never changed is not in it."""

Seen = tuple[Any, ...]
"""A trunk as it is compared: phone, name, flags; ``None`` for a flag that is not told.

Tuples, made and compared by C code: ten thousand trunks that did not change cost a few
milliseconds."""

_COLUMNS: Final = ("phone", "name", *(flag.key for flag in FLAGS))
_KINDS: Final[Mapping[str, EventKind]] = {"phone": "renumbered", "name": "renamed"}
"""How their changes are called; a flag's is just a change, and counted."""
_NOT_TOLD: Final = (None, "")
_see: Final = attrgetter("ref", "phone", "name", *(flag.path for flag in FLAGS))


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is known of one account at one moment, by its trunks' references.

    Two are equal if there is nothing between them to write down.
    """

    at: float = field(compare=False)  # when its latest snapshot was taken
    present: Mapping[str, Seen]
    gone: Mapping[str, Seen] = field(default_factory=dict)  # the trunks that left, as they were
    changes: Changes = field(default_factory=dict)
    # The present trunks that the latest snapshot did not show.
    missing: frozenset[str] = field(default=frozenset(), compare=False)

    def follow(self, seen: Mapping[str, Seen], at: float) -> Ledger:
        """Return the ledger after another snapshot: its trunks by reference, and its time."""
        missing = frozenset(self.present.keys() - seen.keys())
        left = missing & self.missing
        new = {ref: one for ref, one in seen.items() if self.present.get(ref) != one}
        changes = self.changes
        if at < self.at:
            changes = {key: Change(c.total, min(c.last_changed, at)) for key, c in changes.items()}
        after = replace(self, at=at, changes=changes, missing=missing - left)
        if not new and not left:
            return after
        present, gone, changes = dict(self.present), dict(self.gone), dict(changes)
        for ref in left:
            gone[ref] = present.pop(ref)
        for ref, one in new.items():
            old = present.get(ref) or gone.pop(ref, one)
            pairs = zip(one, old, strict=True)
            present[ref] = tuple(was if now in _NOT_TOLD else now for now, was in pairs)
            for column, *_ in _differences(old, present[ref]):
                if column not in _KINDS:
                    count = changes.get((ref, column), Change(0, at)).total
                    changes[ref, column] = Change(count + 1, at)
        return replace(after, present=present, gone=gone, changes=changes)

    def continued(self, later: Ledger) -> Ledger:
        """Return this ledger, read from a file, continued by one that was begun without the file.

        The later one's counters were shown, and go on: a jump to the file's would count as changes.
        """
        shown = {ref: one for ref, one in later.present.items() if ref not in later.missing}
        whole = self.follow(shown, later.at)
        changes = {key: Change(0, one.last_changed) for key, one in whole.changes.items()}
        return replace(whole, changes={**changes, **later.changes})

    def to_json(self) -> str:
        """Return the ledger but for what is missing, in ASCII."""
        changes: dict[str, dict[str, Change]] = {}
        for (ref, flag), change in self.changes.items():
            changes.setdefault(ref, {})[flag] = change
        trunks = {"columns": _COLUMNS, "present": self.present, "gone": self.gone}
        return json.dumps({"at": self.at, **trunks, "changes": changes})

    @classmethod
    def from_json(cls, text: str) -> Ledger:
        """Return the ledger of :meth:`to_json`; what was not written there is an exception."""
        state = json.loads(text)
        present, gone = (
            {ref: _seen(state["columns"], row) for ref, row in state[key].items()}
            for key in ("present", "gone")
        )
        changes = {
            (ref, flag): Change(_number(total, int), _number(last_changed, float))
            for ref, flags in state["changes"].items()
            for flag, (total, last_changed) in flags.items()
        }
        return cls(_number(state["at"], float), present, gone, changes)


def _seen(columns: Iterable[str], row: Iterable[Any]) -> Seen:
    trunk = dict(zip(columns, row, strict=True))
    phone, name, *flags = map(trunk.get, _COLUMNS)
    if not isinstance(phone, str) or not isinstance(name, str) or {*flags} - {True, False, None}:
        raise ValueError("not a trunk")
    return (phone, name, *flags)


def _number(value: Any, kind: type[int | float]) -> Any:  # a JSON value
    """A number that the exporter can have written, and can count on from."""
    if type(value) is not kind or not 0 <= value < 2**53:
        raise ValueError("a number out of range")
    return value


def events_between(account: str, old: Ledger, new: Ledger) -> list[Event]:
    """Return what happened between two states of an account, at the time of the second one."""
    events: list[Event] = []

    def add(kind: EventKind, ref: str, seen: Seen, flag: str = "", *values: str) -> None:
        before, after = values or ("", "")
        events.append(Event(new.at, account, ref, seen[0], seen[1], kind, flag, before, after))

    for ref in sorted(new.gone.keys() & old.present.keys()):
        add("gone", ref, new.gone[ref])
    for ref, seen in new.present.items():
        before = old.present.get(ref)
        if before is None:
            before = old.gone.get(ref)
            add("back" if before else "appeared", ref, seen)
        if before and before != seen:
            for column, *values in _differences(before, seen):
                if column in _KINDS:
                    add(_KINDS[column], ref, seen, "", *values)
                else:
                    add("changed", ref, seen, column, *(str(int(value)) for value in values))
    return events


def _differences(old: Seen, new: Seen) -> Iterator[tuple[str, Any, Any]]:
    """The columns that are known to differ, with both values."""
    for column, before, after in zip(_COLUMNS, old, new, strict=True):
        if before != after and before not in _NOT_TOLD and after not in _NOT_TOLD:
            yield column, before, after


class History:
    """Remembers what every account's trunks did, for as long as the process runs. Thread-safe."""

    def __init__(self) -> None:
        self.problem = ""  # what keeps it from being written, if anything does
        self.errors_total = 0  # how often its file could not be read or written
        self.known: dict[str, Ledger] = {}  # of each account what its latest record left
        self._lock = threading.RLock()

    def record(self, account: str, snapshot: Snapshot) -> None:
        """Take note of an account's next, complete snapshot."""
        at, seen = snapshot.taken_at, {ref: (*one,) for ref, *one in map(_see, snapshot.trunks)}
        with self._lock:
            self.known[account] = self.known.get(account, Ledger(at, seen)).follow(seen, at)

    def changes(self, account: str) -> Changes:
        """Return how often, and when last, the flags of an account's trunks changed."""
        return self.known[account].changes if account in self.known else {}

    def close(self) -> None:
        """Record nothing more in a file, of which there is none here."""
