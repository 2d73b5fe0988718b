"""One account's cabinet: its trunks, their details and their selectors, with nothing to paste.

The exporter uses :class:`CabinetClient`; programs use :class:`Cabinet`, which stands on it::

    with Cabinet("vpbx.mts.ru", "+7-9161234567", password) as cabinet:
        for trunk in cabinet.trunks():
            print(trunk.phone, trunk.flags.active)
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from typing_extensions import Self

from vats_exporter import gwt
from vats_exporter.cabinet import contract, errors
from vats_exporter.cabinet.contract import DETAILS, LIST, SELECTOR, TrunkDetails
from vats_exporter.cabinet.discovery import Discovery
from vats_exporter.cabinet.listing import read_all
from vats_exporter.cabinet.page import Page
from vats_exporter.cabinet.session import Session
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.cabinet.transport import PageRead
from vats_exporter.trunks import Listing, Trunk, read_phone

# Failures of the whole cabinet: trying again for each trunk would lock a login that is refused.
_STOPPING: Final = (errors.LoginRefusedError, errors.UnreachableError, errors.CabinetTimeoutError)

# Failures of a list request that leave nothing to guess: the session, or the names, are over; or
# what answers speaks no HTTP.
_NO_GUESS: Final = (errors.SessionEndedError, errors.RedeployedError, errors.NotACabinetError)


class UnknownTrunkError(errors.CabinetError):
    """No trunk has this phone or reference, or several have the phone."""

    result = "incomplete"


class NotSwitchedError(errors.CabinetError):
    """A selector did not move where it should, whatever the cabinet answered."""

    result = "incomplete"


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


class CabinetClient(Session):
    """One cabinet. Thread-safe: one call at a time."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def read_trunks(self) -> Listing:
        """Read every trunk, or none; a doubtful list again, in another session."""
        with self._alone():
            read_page = partial(self._call, LIST, self._read_page)
            doubted = False
            while True:
                try:
                    listing = read_all(read_page, self._settings, self._known)
                    break
                except errors.DoubtfulError:
                    if doubted:
                        raise
                    doubted, self._signed_in = True, False
                except errors.CabinetError as error:
                    if not self._known.doubt:
                        raise
                    # Another session has to wait, or does not work; the doubt stays.
                    both = f"{self._known.doubt}; {error}"
                    raise errors.IncompleteError(both, retry_after=error.retry_after) from None
            misfit = self.discovery.misfit if self.discovery else ""
        return listing._replace(warnings=(*listing.warnings, misfit)) if misfit else listing

    def _read_page(self, names: Discovery, number: int) -> Page:
        request = names.list_request.replace("{enterprise}", self._known.reference)
        request = request.replace("{page}", gwt.encode_long(number))
        try:
            response = self._exchange(LIST, names, request)
        except (errors.NotGwtError, errors.GwtExceptionError) as error:
            # How the end of a session looks is a guess. So the next listing signs in first: after
            # the first failure in a row, the second, the fourth, the eighth.
            if not isinstance(error, _NO_GUESS):
                self._unanswered += 1
                if self._unanswered & (self._unanswered - 1) == 0:
                    self._signed_in = False
            raise
        self._unanswered = 0
        try:
            page = names.read_page(response)
        except errors.UndecodableError as error:
            error.args = (f"list: page {number + 1}: {error}",)
            raise
        self._trace(PageRead(page.read_by))
        return page

    def read_details(self, ref: str, *, renew: bool = True) -> TrunkDetails:
        """Read one trunk's device form, or the other form where that one does not apply.

        Unless ``renew``, signing in and discovering are left to the next listing.
        """

        def ask(
            names: Discovery, form: int, read: Callable[[gwt.Response], TrunkDetails]
        ) -> TrunkDetails:
            request = contract.details_request(names.strings(DETAILS), trunk=ref, form=form)
            return read(self._exchange(DETAILS, names, request))

        call = partial(self._call, DETAILS, ask, renew=renew)
        with self._alone():
            try:
                return call(contract.DEVICE_FORM, partial(contract.read_device_form, trunk=ref))
            except errors.RedeployedError:
                raise
            except errors.GwtExceptionError:
                return call(contract.MOBILE_FORM, contract.read_mobile_form)

    def move_selector(self, ref: str, *, enabled: bool) -> None:
        """Move one trunk's selector, without reading it back."""

        def ask(names: Discovery) -> None:
            request = names.selector_request(ref, enabled=enabled)
            self._exchange(SELECTOR, names, request)

        with self._alone():
            self._call(SELECTOR, ask)

    def selector_payload(self, ref: str, *, enabled: bool) -> str:
        """Build the request that :meth:`move_selector` would send, and do not send it."""
        with self._alone():
            return self._call(
                SELECTOR, partial(Discovery.selector_request, trunk=ref, enabled=enabled)
            )

    def discover(self) -> Discovery:
        """Discover the cabinet's names again, which is needed before a change.

        A call whose parameters are all plain Java types also works with a stale policy. [gwt]
        """
        with self._alone():
            self.discovery = None
            if not self._signed_in:
                self._sign_in()
            return self._discover()


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
        return replace(trunk, phone=phone, line=line, sip_device_enabled=details.enabled)

    def set_enabled(self, trunk: Trunk | str, enabled: bool) -> None:  # noqa: FBT001 - reads as what it does
        """Move the selector of a trunk, given itself or by phone or reference; see that it moved.

        A ``NotSwitchedError`` if it is not seen there afterwards, or there is none.
        """
        target = trunk if isinstance(trunk, Trunk) else self._find(trunk)
        self.discover()
        change = TrunkSwitch()
        change.carry_out(self, target.ref, enabled=enabled)
        if change.after is not enabled:
            raise NotSwitchedError(f"trunk {target.ref}: {change.error or change.outcome.value}")

    def _find(self, key: str) -> Trunk:
        wanted = key.strip()
        phone = read_phone(wanted)
        trunks = self.read_trunks().trunks
        found = [one for one in trunks if one.ref == wanted or (phone and one.phone == phone)]
        if len(found) != 1:
            how_many = f"{len(found)} trunks have" if found else "no trunk has"
            raise UnknownTrunkError(f"{how_many} this phone or reference, of {len(trunks)} read")
        return found[0]
