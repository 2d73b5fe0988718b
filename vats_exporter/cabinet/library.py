"""The cabinet for programs: ``from vats_exporter import Cabinet``.

Trunks as objects, one call each, and everything that can go wrong as a tree of exceptions under
:class:`~vats_exporter.cabinet.errors.CabinetError`. Nothing is pasted from a browser::

    with Cabinet("vpbx.mts.ru", "+7-9161234567", password) as cabinet:
        for trunk in cabinet.trunks():
            print(trunk.phone, trunk.flags.active)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cabinet.selector import Switching, SwitchOutcome
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.trunks import Trunk, normalise_phone

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import Self


class UnknownTrunkError(CabinetError):
    """No trunk has this phone or reference, or several have the phone."""

    result = "incomplete"


class NotSwitchedError(CabinetError):
    """A selector is not where it was to be moved to, whatever the cabinet answered."""

    result = "incomplete"


class Cabinet:
    """One cabinet, signed in to and discovered when first needed. Thread-safe.

    Args:
        address: ``host``, ``https://host:port``, or ``http://…`` on this machine.
        login: looks like ``+7-9161234567``.
        password: kept out of ``repr``, logs and errors.
        **settings: any other of :class:`~vats_exporter.cabinet.settings.CabinetSettings`, such as
            ``page_size`` or ``selector_method``.

    Raises:
        ValueError: a setting is wrong, or there is none of this name.
    """

    def __init__(self, address: str, login: str, password: str, **settings: Any) -> None:
        self._client = CabinetClient(
            CabinetSettings(address=address, login=login, password=password, **settings)
        )

    def __enter__(self) -> Self:
        """Nothing is done before it is needed."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the connection."""
        self.close()

    def trunks(self) -> list[Trunk]:
        """Read every trunk, in the cabinet's order: its phone, its name and its flags.

        Raises:
            CabinetError: not all could be read; see :mod:`vats_exporter.cabinet.errors`.
        """
        return list(self._client.read_trunks().trunks)

    def trunk(self, key: str) -> Trunk:
        """Read one trunk, with its details: the SIP line and the selector.

        Args:
            key: its phone, in any way of writing it, or its reference.

        Raises:
            UnknownTrunkError: there is no such trunk, or not only one.
            CabinetError: it could not be read.
        """
        trunk = self._find(key)
        details = self._client.read_details(trunk.ref)
        return replace(
            trunk,
            phone=trunk.phone or details.phone,
            line=details.line,
            sip_device_enabled=details.device.enabled if details.device else None,
        )

    def set_enabled(self, trunk: Trunk | str, enabled: bool) -> None:  # noqa: FBT001 - reads as what it does
        """Move a trunk's selector, and see that it moved.

        Discovers the cabinet's names anew first, since a call of plain types also works with a
        stale policy. [gwt]

        Args:
            trunk: a trunk, its phone or its reference.
            enabled: whether it is to be on.

        Raises:
            UnknownTrunkError: there is no such trunk.
            NotSwitchedError: the selector is not seen there afterwards, or there is none.
            CabinetError: the cabinet could not be asked.
        """
        target = trunk if isinstance(trunk, Trunk) else self._find(trunk)
        self._client.discover()
        (change,) = Switching(self._client, [target], enabled=enabled)
        if change.outcome is SwitchOutcome.NO_DEVICE:
            raise NotSwitchedError(f"trunk {target.ref} has no SIP device")
        if not change.holds:
            raise NotSwitchedError(f"trunk {target.ref}: {change.error}")

    def close(self) -> None:
        """Close the connection and forget the session; a later call signs in again."""
        self._client.close()

    def _find(self, key: str) -> Trunk:
        wanted = key.strip()
        phone = normalise_phone(wanted)
        trunks = self._client.read_trunks().trunks
        found = [
            trunk for trunk in trunks if trunk.ref == wanted or (phone and trunk.phone == phone)
        ]
        if len(found) != 1:
            how_many = "no trunk" if not found else f"{len(found)} trunks"
            raise UnknownTrunkError(
                f"{how_many} of {len(trunks)} with the phone or reference asked for"
            )
        return found[0]
