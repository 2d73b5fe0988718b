"""One account's trunks as last seen, and what a new snapshot changes about them. No I/O.

The rules:

* The **first snapshot** of an account tells of no events: it is what later ones are compared with.
* A trunk that is missing is *gone*; it keeps its counters and what was known of it, and one that
  comes *back* is compared with what it was when it left.
* A flag is compared between any two sightings of a trunk, however long the exporter was off in
  between: a difference is one change, at the time of the later one.
* A phone or a name that the cabinet does not tell (empty) has not changed.
* **No time lies in the future** of the latest snapshot: when the clock is set back, the times
  known to the ledger are set back with it. Events keep the time they were given; their numbers
  tell their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Final

from vats_exporter.history.events import FLAGS, Change, Event

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from vats_exporter.history.events import EventKind
    from vats_exporter.trunks import Snapshot, Trunk

Seen = tuple[str, str, str, bool, bool, bool]
"""A trunk as the ledger compares it: reference, phone, name, and the first three of ``FLAGS``.

Tuples, made and compared by C code: ten thousand trunks that did not change cost a few
milliseconds."""

Changes = Mapping[tuple[str, str], Change]
"""By reference and flag; what never changed is not in it."""

DEVICE: Final = FLAGS[3]
_FIRST_FLAG: Final = 3

_see: Final[Callable[[Trunk], Seen]] = attrgetter(
    "ref", "phone", "name", "flags.active", "flags.bound", "flags.marked_for_deletion"
)
_ref: Final[Callable[[Seen], str]] = itemgetter(0)


@dataclass(frozen=True, slots=True)
class Delta:
    """How one snapshot differs from the one before.

    Attributes:
        at: when it was taken.
        seen: the trunks that are new or different.
        gone: the references that are no longer there.
        devices: the selectors that are new or different, by reference.
    """

    at: float
    seen: Sequence[Seen]
    gone: Collection[str] = ()
    devices: Mapping[str, bool] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How much there is to it."""
        return len(self.seen) + len(self.gone) + len(self.devices)


@dataclass(slots=True)
class Ledger:
    """What is known of one account.

    Attributes:
        account: its name.
        last_seen: when its latest snapshot was taken; ``None`` if it has none.
        present: the trunks of the latest snapshot, by reference.
        away: the trunks that are gone: as they were, and when they were last seen.
        first_seen: when each trunk was first seen.
        devices: each trunk's selector, as far as it is known.
        changes: of the flags; replaced, never altered.
        dirty: the references about which something changed that is not in the file.
    """

    account: str
    last_seen: float | None = None
    present: dict[str, Seen] = field(default_factory=dict)
    away: dict[str, tuple[Seen, float]] = field(default_factory=dict)
    first_seen: dict[str, float] = field(default_factory=dict)
    devices: dict[str, bool] = field(default_factory=dict)
    changes: Changes = field(default_factory=dict)
    dirty: set[str] = field(default_factory=set)

    def compare(self, snapshot: Snapshot, devices: Mapping[str, bool]) -> Delta:
        """Find what a complete snapshot changes; the ledger stays as it is.

        Args:
            snapshot: the trunks.
            devices: the selectors that are known, by reference.
        """
        known = self.present.get
        seen = list(map(_see, snapshot.trunks))
        candidates = [one for one in seen if known(one[0]) != one]
        different = []
        new = 0
        for one in candidates:
            old = known(one[0])
            if old is None:
                new += 1
                different.append(one)
            elif (filled := _fill(one, old)) != old:
                different.append(filled)
        gone: Collection[str] = ()
        if len(seen) - new != len(self.present):
            gone = sorted(self.present.keys() - map(_ref, seen))
        moved: dict[str, bool] = {}
        if devices != self.devices:
            before = self.devices.get
            moved = {ref: on for ref, on in devices.items() if before(ref) != on}
        return Delta(snapshot.taken_at, different, gone, moved)

    def apply(self, delta: Delta) -> list[Event]:
        """Take over a difference.

        Args:
            delta: as :meth:`compare` of this ledger gave it, or of one that :meth:`replay` follows.

        Returns:
            what it tells, in an order of its own: gone, then the snapshot's.
        """
        at = delta.at
        first = self.last_seen is None
        if self.last_seen is not None and at < self.last_seen:
            self._set_back(at)
        events = [self._leave(ref, at) for ref in delta.gone]
        changes = dict(self.changes) if delta.seen or delta.devices else {}
        for seen in delta.seen:
            events += self._meet(seen, at, changes)
        for ref, on in delta.devices.items():
            before = self.devices.get(ref)
            self.devices[ref] = on
            self.dirty.add(ref)
            seen_or_none = self._known(ref)
            if before is not None and before != on and seen_or_none is not None:
                events.append(self._changed(seen_or_none, at, DEVICE, changes, on=on))
        if delta.seen or delta.devices:
            self.changes = changes
        self.last_seen = at
        return [] if first else events

    def replay(self, deltas: Sequence[Delta]) -> list[Event]:
        """Follow what another ledger of the account, begun from nothing, went through.

        Args:
            deltas: all that it went through; the first is its first snapshot, whole.

        Returns:
            what this ledger makes of it: the events of both, had they been one from the start.
        """
        events: list[Event] = []
        for number, delta in enumerate(deltas):
            one = delta
            if number == 0:
                one = replace(one, gone=sorted(self.present.keys() - map(_ref, one.seen)))
            events += self.apply(one)
        return events

    def whole(self) -> Delta:
        """The present state as the first difference of a ledger begun from nothing."""
        return Delta(self.last_seen or 0.0, list(self.present.values()), (), dict(self.devices))

    def restart_counters(self) -> None:
        """Count from 0 again. When a flag last changed stays known."""
        self.changes = {key: Change(0, change.last_changed) for key, change in self.changes.items()}
        self.dirty.update(ref for ref, _ in self.changes)

    def soil(self) -> None:
        """Take everything for not written."""
        self.dirty.update(self.present, self.away)

    def _known(self, ref: str) -> Seen | None:
        seen = self.present.get(ref)
        return seen or (self.away[ref][0] if ref in self.away else None)

    def _leave(self, ref: str, at: float) -> Event:
        seen = self.present.pop(ref)
        last_seen = at if self.last_seen is None else min(self.last_seen, at)
        self.away[ref] = (seen, last_seen)
        self.dirty.add(ref)
        return self._event(seen, at, "gone")

    def _meet(self, seen: Seen, at: float, changes: dict[tuple[str, str], Change]) -> list[Event]:
        """Take over a trunk that is new or different."""
        ref = seen[0]
        events = []
        old = self.present.get(ref)
        if old is None and ref in self.away:
            old, _ = self.away.pop(ref)
            events.append(self._event(_fill(seen, old), at, "back"))
        self.dirty.add(ref)
        if old is None:
            self.present[ref] = seen
            self.first_seen[ref] = at
            return [self._event(seen, at, "appeared")]
        seen = _fill(seen, old)
        self.present[ref] = seen
        _, phone, name, *_ = old
        if phone and phone != seen[1]:
            events.append(self._event(seen, at, "renumbered", before=phone, after=seen[1]))
        if name and name != seen[2]:
            events.append(self._event(seen, at, "renamed", before=name, after=seen[2]))
        pairs = zip(FLAGS, old[_FIRST_FLAG:], seen[_FIRST_FLAG:], strict=False)
        events += [
            self._changed(seen, at, flag, changes, on=after)
            for flag, before, after in pairs
            if before != after
        ]
        return events

    def _changed(
        self, seen: Seen, at: float, flag: str, changes: dict[tuple[str, str], Change], *, on: bool
    ) -> Event:
        key = (seen[0], flag)
        before = changes.get(key)
        changes[key] = Change(before.total + 1 if before else 1, at)
        return self._event(seen, at, "changed", flag, before=str(1 - on), after=str(int(on)))

    def _event(
        self,
        seen: Seen,
        at: float,
        kind: EventKind,
        flag: str = "",
        before: str = "",
        after: str = "",
    ) -> Event:
        ref, phone, name, *_ = seen
        return Event(at, self.account, ref, phone, name, kind, flag, before, after)

    def _set_back(self, at: float) -> None:
        """Let nothing lie in the future of a clock that was set back."""
        late = {key: change for key, change in self.changes.items() if change.last_changed > at}
        self.changes = {
            **self.changes,
            **{key: Change(change.total, at) for key, change in late.items()},
        }
        self.dirty.update(ref for ref, _ in late)
        for ref, first_seen in self.first_seen.items():
            if first_seen > at:
                self.first_seen[ref] = at
                self.dirty.add(ref)
        for ref, (seen, last_seen) in self.away.items():
            if last_seen > at:
                self.away[ref] = (seen, at)
                self.dirty.add(ref)


def _fill(seen: Seen, old: Seen) -> Seen:
    """Fill in the phone and the name, where they are not told, with what they were."""
    if (seen[1] or not old[1]) and (seen[2] or not old[2]):
        return seen
    ref, phone, name, active, bound, marked = seen
    return (ref, phone or old[1], name or old[2], active, bound, marked)
