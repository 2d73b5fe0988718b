"""One account's trunks as last seen, and what a new snapshot changes about them. No I/O.

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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple

from vats_exporter import trunks
from vats_exporter.trunks import Flags, Snapshot, Trunk

FLAGS: Final = tuple(flag.key for flag in trunks.FLAGS)
"""The flags whose changes are counted, as the label ``flag`` names them."""

EventKind = Literal["changed", "appeared", "gone", "back", "renamed", "renumbered"]


class HistoryError(Exception):
    """The file cannot be used: says which and why."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one trunk, seen between two snapshots.

    Attributes:
        time: when the later one was taken, in seconds since the epoch.
        phone: as it is after the change, like *name*.
        flag: which one changed; empty for other kinds.
        before: the flag (``0`` or ``1``), name or phone before; empty for other kinds.
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


class Change(NamedTuple):
    """How often one flag of one trunk was seen to change, and when last (since the epoch)."""

    total: int
    last_changed: float


Seen = tuple[Any, ...]
"""A trunk as it is compared: phone, name, then the ``FLAGS``; ``None`` for what is not told.

Tuples, made and compared by C code: ten thousand trunks that did not change cost a few
milliseconds."""

Changes = Mapping[tuple[str, str], Change]
"""By reference and flag; what never changed is not in it."""

_COLUMNS: Final = ("phone", "name", *FLAGS)
_FIRST_FLAG: Final = 2
_see: Final[Callable[[Trunk], Seen]] = attrgetter(
    "ref", "phone", "name", *(f"flags.{key}" if key in Flags.__slots__ else key for key in FLAGS)
)


def see(snapshot: Snapshot) -> dict[str, Seen]:
    """Return a snapshot's trunks by reference, ready to be compared."""
    return {ref: (*seen,) for ref, *seen in map(_see, snapshot.trunks)}


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is known of one account at one moment, by its trunks' references.

    Two are equal if there is nothing between them to write down.

    Attributes:
        at: when its latest snapshot was taken.
        gone: the trunks that left, as they were.
        missing: the present trunks that the latest snapshot did not show.
    """

    at: float = field(compare=False)
    present: Mapping[str, Seen]
    gone: Mapping[str, Seen] = field(default_factory=dict)
    changes: Changes = field(default_factory=dict)
    missing: frozenset[str] = field(default=frozenset(), compare=False)

    def follow(self, seen: Mapping[str, Seen], at: float) -> Ledger:
        """Return the ledger after another snapshot: its trunks, of :func:`see`, and its time."""
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
            present[ref] = _fill(one, old)
            for flag, _, _ in _changed(old, present[ref]):
                count = changes.get((ref, flag), Change(0, at)).total
                changes[ref, flag] = Change(count + 1, at)
        return replace(after, present=present, gone=gone, changes=changes)

    def continued(self, later: Ledger) -> Ledger:
        """Return this ledger, read from a file, continued by one that was begun without the file.

        The later one's counters have been shown already. They go on, as after a reset: a jump up
        to the file's would count as changes.
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
        columns = state["columns"]
        present, gone = (
            {ref: _seen(dict(zip(columns, row, strict=True))) for ref, row in state[key].items()}
            for key in ("present", "gone")
        )
        changes = {
            (ref, flag): Change(_number(total, int), _number(last_changed, float))
            for ref, flags in state["changes"].items()
            for flag, (total, last_changed) in flags.items()
        }
        return cls(_number(state["at"], float), present, gone, changes)


def _seen(trunk: Mapping[str, Any]) -> Seen:
    seen = tuple(map(trunk.get, _COLUMNS))
    texts, flags = seen[:_FIRST_FLAG], seen[_FIRST_FLAG:]
    if not all(isinstance(one, str) for one in texts) or not {*flags} <= {True, False, None}:
        raise ValueError("not a trunk")
    return seen


def _number(value: Any, kind: type[int | float]) -> Any:  # a JSON value
    """A number that the exporter can have written, and can count on from."""
    if type(value) is not kind or not 0 <= value < 2**53:
        raise ValueError("a number out of range")
    return value


def events_between(account: str, old: Ledger, new: Ledger) -> tuple[Event, ...]:
    """Return what happened between two states of an account, at the time of the second one."""

    def event(ref: str, seen: Seen, **what: Any) -> Event:  # Event's own
        return Event(new.at, account, ref, seen[0], seen[1], **what)

    left = sorted(new.gone.keys() & old.present.keys())
    events = [event(ref, new.gone[ref], kind="gone") for ref in left]
    for ref, seen in new.present.items():
        before = old.present.get(ref)
        if before is seen or before == seen:
            continue
        if before is None:
            before = old.gone.get(ref)
            events.append(event(ref, seen, kind="appeared" if before is None else "back"))
        if before is not None:
            for place, kind in enumerate(("renumbered", "renamed")):
                if before[place] and before[place] != seen[place]:
                    texts = {"before": before[place], "after": seen[place]}
                    events.append(event(ref, seen, kind=kind, **texts))
            for flag, one, other in _changed(before, seen):
                texts = {"before": str(int(one)), "after": str(int(other))}
                events.append(event(ref, seen, kind="changed", flag=flag, **texts))
    return tuple(events)


def _changed(old: Seen, new: Seen) -> Iterator[tuple[str, bool, bool]]:
    """The flags that are known to differ, with both values."""
    for flag, before, after in zip(FLAGS, old[_FIRST_FLAG:], new[_FIRST_FLAG:], strict=True):
        if before != after and None not in (before, after):
            yield flag, before, after


def _fill(seen: Seen, old: Seen) -> Seen:
    """Fill in unknown values with the previous ones."""
    return tuple(was if one in (None, "") else one for one, was in zip(seen, old, strict=True))
