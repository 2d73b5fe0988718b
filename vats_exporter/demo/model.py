"""What a simulated enterprise consists of: trunks, their states, their SIP devices.

Plain immutable values, so that an answer written from them is never half changed. Where they come
from is :mod:`vats_exporter.demo.population`, how they change :mod:`vats_exporter.demo.enterprise`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from vats_exporter.gwt import encode_long


class State(NamedTuple):
    """The four of a row's twelve values that vary.

    That just these vary is [observed], which of them is which is [assumed].

    Attributes:
        active: value 4, the trunk is activated.
        bound: value 6, it has a working binding.
        marked: value 7, it is marked for deletion.
        off: value 9, whose meaning is not known; set where the trunk is switched off.
    """

    active: bool
    bound: bool
    marked: bool
    off: bool

    @property
    def pattern(self) -> str:
        """The digits as they stand in a row, ``1100`` for a working trunk."""
        return "".join(str(int(value)) for value in self)


WORKING: Final = State(active=True, bound=True, marked=False, off=False)
"""Activated, not marked, bound: the first of the known rows. [user]"""

SWITCHED_OFF: Final = State(active=False, bound=False, marked=True, off=True)
"""Switched off and marked for deletion: the second of the known rows. [user]"""

UNBOUND: Final = State(active=True, bound=False, marked=False, off=False)
SUSPENDED: Final = State(active=False, bound=True, marked=False, off=True)
LEAVING: Final = State(active=True, bound=True, marked=True, off=False)
"""Besides the two above, states whose patterns are unknown. [assumed]"""


@dataclass(frozen=True, slots=True)
class Device:
    """A trunk's SIP device, as the details form shows it.

    Attributes:
        id: the device's number.
        enabled: the selector.
        line: the trunk's SIP line, ``mobsip_9161234567``.
        sip_login: ``sip_9161234567_ab1c``; a credential, kept out of ``repr``.
        sip_password: another one, invented though it is.
    """

    id: int
    enabled: bool
    line: str
    sip_login: str = field(repr=False)
    sip_password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SimulatedTrunk:
    """One row of the tab "Абоненты", and what its details form holds.

    Attributes:
        id: the trunk's number; its reference is the same number as GWT writes it.
        phone: eleven digits, unique within a cabinet.
        name: of the person or the place; may be any text.
        department: likewise.
        inner_number: the short number inside of the enterprise.
        state: the flags.
        note: a remark, ``None`` for most.
        migration: ordinal of the row's ``MIGRATION_STATE_TYPE``.
        created: milliseconds since the epoch.
        balance: the last number of the row, of unknown meaning.
        device: its SIP device; ``None`` where it has none.
        mobile: a plain mobile subscriber: form 32 shows it, form 31 does not apply.
        changed_at: when its state or its selector last changed, in seconds since the epoch.
    """

    id: int
    phone: str
    name: str
    department: str
    inner_number: str
    state: State = WORKING
    note: str | None = None
    migration: int = 0
    created: int = 0
    balance: int = 0
    device: Device | None = None
    mobile: bool = False
    changed_at: float = 0.0

    @property
    def ref(self) -> str:
        """The reference, ``CaLztv``."""
        return encode_long(self.id)
