"""The domain: a trunk, its flags, and a snapshot of all of an account's trunks.

This module knows what the rest of the program talks about and nothing of where it comes from or
goes to. It imports nothing of the project.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Flags:
    """What the cabinet shows of a trunk's state.

    Attributes:
        active: the trunk is activated.
        bound: it has a working binding.
        marked_for_deletion: it is marked for deletion.
    """

    active: bool
    bound: bool
    marked_for_deletion: bool


@dataclass(frozen=True, slots=True)
class Trunk:
    """One SIM card or SIP line of an enterprise: a row of the cabinet's tab "Абоненты".

    Attributes:
        ref: its id as GWT writes a long, e.g. ``CaLztv``; stable, and the ``trunk`` label.
        id: the same id as a number.
        phone: eleven digits, e.g. ``79161234567``; empty where the cabinet does not tell.
        name: the person's or the place's name; empty where the cabinet does not tell.
        flags: its flags, read by the configured positions.
        pattern: the values of the row's varying positions, e.g. ``1100``.
        known: whether this pattern is one of the known ones.
        line: the SIP line, ``mobsip_9161234567``; empty where details are off or not known yet.
        sip_device_enabled: the selector; ``None`` without a SIP device, or likewise.
        details_at: when these two were read, in seconds since the epoch; ``None`` likewise.
    """

    ref: str
    id: int
    phone: str
    name: str
    flags: Flags
    pattern: str
    known: bool
    line: str = ""
    sip_device_enabled: bool | None = None
    details_at: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every trunk of one account, as read at one time. There are no partial snapshots.

    Attributes:
        trunks: in the cabinet's order; each reference occurs once.
        taken_at: when reading it ended, in seconds since the epoch.
        duration: how long reading it took, in seconds.
        warnings: sentences about what could not be told, without personal data.
        patterns: how many trunks there are of each pattern, and whether it is a known one.
        details_at: when the oldest of the trunks' details were read; ``None`` without any.
    """

    trunks: tuple[Trunk, ...]
    taken_at: float
    duration: float
    warnings: tuple[str, ...] = ()
    patterns: Mapping[tuple[str, bool], int] = field(init=False)
    details_at: float | None = field(init=False)

    def __post_init__(self) -> None:
        """Count the trunks by pattern, and look for the oldest details, once."""
        counts = Counter((trunk.pattern, trunk.known) for trunk in self.trunks)
        object.__setattr__(self, "patterns", dict(counts))
        read = [trunk.details_at for trunk in self.trunks if trunk.details_at is not None]
        object.__setattr__(self, "details_at", min(read, default=None))
