"""Moving the selectors of many trunks, one at a time, and knowing at any moment what was done.

For each trunk: read its device, move the selector if it is not where it should be, read it back.
What the cabinet shows afterwards decides, not its answer to the call. A failure stops nothing but
its own trunk, unless it is the cabinet's: a refused login, which trying again for each trunk would
lock, or a cabinet that cannot be reached or does not answer. The rest is then left as it is.
Whoever runs it can stop between any two steps (Ctrl-C) as well. In the end every trunk is known to
be changed, or not to be, or is said to need a look.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from vats_exporter.cabinet.errors import (
    CabinetError,
    CabinetTimeoutError,
    LoginRefusedError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vats_exporter.cabinet.devices import TrunkDetails
    from vats_exporter.trunks import Trunk


_STOPPING: Final = (LoginRefusedError, UnreachableError, CabinetTimeoutError)
"""Failures after which no other trunk of the cabinet is tried."""


class Switchable(Protocol):
    """The part of a cabinet that moving selectors needs."""

    def read_details(self, ref: str) -> TrunkDetails:
        """Read one trunk's details."""

    def set_enabled(self, ref: str, *, enabled: bool) -> None:
        """Move one trunk's selector."""


class SwitchOutcome(enum.Enum):
    """What became of one trunk."""

    PENDING = "not done"
    STARTED = "interrupted: check it in the cabinet"
    UNCHANGED = "already so"
    CHANGED = "changed"
    NO_DEVICE = "no SIP device"
    FAILED = "failed"
    UNCLEAR = "to be checked in the cabinet"


@dataclass(slots=True)
class TrunkSwitch:
    """One trunk of a bulk change: where its selector was, and where it was read back to be.

    Both are ``None`` where that is not known; ``error`` says why, for what failed or is unclear.
    """

    trunk: Trunk
    before: bool | None = None
    after: bool | None = None
    outcome: SwitchOutcome = SwitchOutcome.PENDING
    error: str = ""

    @property
    def holds(self) -> bool:
        """Whether the selector was seen to be where it should."""
        return self.outcome in (SwitchOutcome.CHANGED, SwitchOutcome.UNCHANGED)


class Switching:
    """A bulk change: iterate over it to carry it out.

    Args:
        cabinet: already signed in and discovered, since a call of plain types also works with a
            stale policy and would not tell. [gwt]
        trunks: whose selectors to move.
        enabled: whether they are to be on.

    Attributes:
        changes: what became of each trunk so far.
        stopped: the failure after which the rest was left as it is; empty if none was.
    """

    def __init__(self, cabinet: Switchable, trunks: Sequence[Trunk], *, enabled: bool) -> None:
        self._cabinet = cabinet
        self._enabled = enabled
        self.changes = [TrunkSwitch(trunk) for trunk in trunks]
        self.stopped = ""

    def __iter__(self) -> Iterator[TrunkSwitch]:
        """Carry the change out, trunk by trunk; each that was tried is given once that is done."""
        for change in self.changes:
            try:
                self._carry_out(change)
            except CabinetError as error:
                started = change.outcome is SwitchOutcome.STARTED
                change.outcome = SwitchOutcome.UNCLEAR if started else SwitchOutcome.FAILED
                change.error = str(error)
                if isinstance(error, _STOPPING):
                    self.stopped = change.error
            yield change
            if self.stopped:
                return

    def _carry_out(self, change: TrunkSwitch) -> None:
        device = self._cabinet.read_details(change.trunk.ref).device
        if device is None:
            change.outcome = SwitchOutcome.NO_DEVICE
            return
        change.before = device.enabled
        if device.enabled is self._enabled:
            change.after = device.enabled
            change.outcome = SwitchOutcome.UNCHANGED
            return
        change.outcome = SwitchOutcome.STARTED
        try:
            self._cabinet.set_enabled(change.trunk.ref, enabled=self._enabled)
        except LoginRefusedError:
            # It was answered as for somebody who is not signed in, so nothing was moved.
            change.outcome = SwitchOutcome.PENDING
            raise
        device = self._cabinet.read_details(change.trunk.ref).device
        change.after = device.enabled if device else None
        if change.after is self._enabled:
            change.outcome = SwitchOutcome.CHANGED
        else:
            change.outcome = SwitchOutcome.FAILED
            change.error = "the cabinet took the change but shows the selector where it was"
