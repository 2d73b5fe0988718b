"""Moving the selectors of many trunks, one at a time, and knowing at any moment what was done.

For each trunk: read its device, move the selector if it is not where it should be, read it back.
What the cabinet shows afterwards decides, not its answer to the call. A failure stops nothing but
its own trunk; whoever runs it can stop between any two steps (Ctrl-C) and still say of every
trunk whether it was changed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from vats_exporter.cabinet.errors import CabinetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vats_exporter.cabinet.devices import Details
    from vats_exporter.trunks import Trunk


class Switchable(Protocol):
    """The part of a cabinet that moving selectors needs."""

    def read_details(self, ref: str) -> Details:
        """Read one trunk's details."""

    def set_enabled(self, ref: str, *, enabled: bool) -> None:
        """Move one trunk's selector."""


class Outcome(enum.Enum):
    """What became of one trunk."""

    PENDING = "not done"
    STARTED = "interrupted: check it in the cabinet"
    UNCHANGED = "already so"
    CHANGED = "changed"
    NO_DEVICE = "no SIP device"
    FAILED = "failed"


@dataclass(slots=True)
class Change:
    """One trunk of a bulk change.

    Attributes:
        trunk: the trunk.
        before: where its selector was; ``None`` if not known, or without a SIP device.
        after: where it was read back to be; ``None`` if it was not read back.
        outcome: what became of it.
        error: why, for what failed; empty otherwise.
    """

    trunk: Trunk
    before: bool | None = None
    after: bool | None = None
    outcome: Outcome = Outcome.PENDING
    error: str = ""

    @property
    def holds(self) -> bool:
        """Whether the selector was seen to be where it should."""
        return self.outcome in (Outcome.CHANGED, Outcome.UNCHANGED)


class Switching:
    """A bulk change: iterate over it to carry it out.

    Args:
        cabinet: already signed in and discovered, since a call of plain types also works with a
            stale policy and would not tell. [gwt]
        trunks: whose selectors to move.
        enabled: where to.
    """

    def __init__(self, cabinet: Switchable, trunks: Sequence[Trunk], *, enabled: bool) -> None:
        self._cabinet = cabinet
        self._enabled = enabled
        self.changes = [Change(trunk) for trunk in trunks]

    def __iter__(self) -> Iterator[Change]:
        """Carry the change out, trunk by trunk; each is given once it is done with."""
        for change in self.changes:
            try:
                self._carry_out(change)
            except CabinetError as error:
                started = change.outcome is Outcome.STARTED
                change.outcome = Outcome.FAILED
                change.error = f"{error}; it may have been moved" if started else str(error)
            yield change

    def _carry_out(self, change: Change) -> None:
        device = self._cabinet.read_details(change.trunk.ref).device
        if device is None:
            change.outcome = Outcome.NO_DEVICE
            return
        change.before = device.enabled
        if device.enabled is self._enabled:
            change.after = device.enabled
            change.outcome = Outcome.UNCHANGED
            return
        change.outcome = Outcome.STARTED
        self._cabinet.set_enabled(change.trunk.ref, enabled=self._enabled)
        device = self._cabinet.read_details(change.trunk.ref).device
        change.after = device.enabled if device else None
        if change.after is self._enabled:
            change.outcome = Outcome.CHANGED
        else:
            change.outcome = Outcome.FAILED
            change.error = "the cabinet took the change but shows the selector where it was"
