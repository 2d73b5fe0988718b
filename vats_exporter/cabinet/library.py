"""The cabinet as programs use it, with nothing to paste.

It stands on the exporter's own :class:`~vats_exporter.cabinet.client.CabinetClient`::

    with Cabinet("vpbx.mts.ru", "+7-9161234567", password) as cabinet:
        for trunk in cabinet.trunks():
            print(trunk.phone, trunk.flags.active)
"""

from __future__ import annotations

from typing import Any

from vats_exporter.cabinet import errors
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.selector import TrunkSwitch
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.trunks import Trunk, read_phone


class UnknownTrunkError(errors.CabinetError):
    """No trunk has this phone or reference, or several have the phone."""

    result = "incomplete"


class NotSwitchedError(errors.CabinetError):
    """A selector did not move where it should, whatever the cabinet answered."""

    result = "incomplete"


class Cabinet(CabinetClient):
    """One cabinet, signed in to and discovered when first needed. Thread-safe.

    The address is ``host``, ``https://host:port``, or ``http://…`` on this machine; the login looks
    like ``+7-9161234567``; other settings are those of ``CabinetSettings``. A ``ValueError`` says
    what is wrong with one.
    """

    def __init__(self, address: str, login: str, password: str, **settings: Any) -> None:
        super().__init__(
            CabinetSettings(address=address, login=login, password=password, **settings)
        )

    def trunks(self) -> list[Trunk]:
        """Read every trunk, in the cabinet's order: its phone, its name and its flags."""
        return list(self.read_trunks().trunks)

    def trunk(self, key: str) -> Trunk:
        """Read one trunk, by phone or reference, with its details: SIP line and selector."""
        trunk = self._find(key)
        details = self.read_details(trunk.ref)
        phone, line = trunk.phone or details.phone, details.line
        return trunk._replace(phone=phone, line=line, sip_device_enabled=details.enabled)

    def set_enabled(self, trunk: Trunk | str, enabled: bool) -> None:  # noqa: FBT001 - reads as what it does
        """Move the selector of a trunk, given itself or by phone or reference; see that it moved.

        A ``NotSwitchedError`` if it is not seen there afterwards, or there is none.
        """
        target = trunk if isinstance(trunk, Trunk) else self._find(trunk)
        self.discover()
        switch = TrunkSwitch()
        switch.carry_out(self, target.ref, enabled=enabled)
        if switch.after is not enabled:
            raise NotSwitchedError(f"trunk {target.ref}: {switch.error or switch.outcome.value}")

    def _find(self, key: str) -> Trunk:
        wanted = key.strip()
        phone = read_phone(wanted)
        trunks = self.read_trunks().trunks
        found = [one for one in trunks if one.ref == wanted or (phone and one.phone == phone)]
        if len(found) != 1:
            how_many = f"{len(found)} trunks have" if found else "no trunk has"
            raise UnknownTrunkError(f"{how_many} this phone or reference, of {len(trunks)} read")
        return found[0]
