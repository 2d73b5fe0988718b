"""Moving a trunk's selector: where the cabinet shows it afterwards decides what came of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from vats_exporter.cabinet import errors
from vats_exporter.cabinet.client import CabinetClient

# Failures of the whole cabinet: trying again for each trunk would lock a login that is refused.
_STOPPING: Final = (errors.LoginRefusedError, errors.UnreachableError, errors.CabinetTimeoutError)


class SwitchOutcome(enum.Enum):
    """What came of moving one trunk's selector."""

    PENDING = "not done"
    STARTED = "interrupted: check it in the cabinet"
    UNCHANGED = "already so"
    CHANGED = "changed"
    NO_DEVICE = "no SIP device"
    FAILED = "failed"
    UNCLEAR = "to be checked in the cabinet"


@dataclass(slots=True)
class TrunkSwitch:
    """Moving one trunk's selector, and what has come of it so far."""

    before: bool | None = None  # where the selector was, if that is known
    after: bool | None = None  # where it was read back to be
    outcome: SwitchOutcome = SwitchOutcome.PENDING
    error: str = ""  # why it failed or is unclear
    stops: bool = False  # whether no other selector of the cabinet is to be moved

    def carry_out(self, cabinet: CabinetClient, ref: str, *, enabled: bool) -> None:
        """Read the selector, move it if it is not where it should be, and read it back.

        What the cabinet shows afterwards decides, not its answer to the call.
        """
        answered = False
        try:
            self.before = cabinet.read_details(ref).enabled
            if self.before is None:
                self.outcome = SwitchOutcome.NO_DEVICE
            elif self.before is enabled:
                self.after, self.outcome = enabled, SwitchOutcome.UNCHANGED
            else:
                self.outcome = SwitchOutcome.STARTED
                cabinet.move_selector(ref, enabled=enabled)
                answered = True
                self.after = cabinet.read_details(ref).enabled
                self.outcome = SwitchOutcome.CHANGED
                if self.after is not enabled:
                    self.outcome = SwitchOutcome.FAILED
                    self.error = "the cabinet took the change but shows the selector where it was"
        except errors.CabinetError as error:
            # A call that was answered as without a session has moved nothing.
            unmoved = isinstance(error, errors.LoginRefusedError) and not answered
            begun = self.outcome is SwitchOutcome.STARTED and not unmoved
            self.outcome = SwitchOutcome.UNCLEAR if begun else SwitchOutcome.FAILED
            self.error, self.stops = str(error), isinstance(error, _STOPPING)
