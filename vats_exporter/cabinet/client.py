"""One account's cabinet: its trunks, their details and their selectors, with nothing to paste."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from vats_exporter import gwt
from vats_exporter.cabinet import contract, devices, session
from vats_exporter.cabinet.access import CLOSES_WITHIN, Access, Renewal
from vats_exporter.cabinet.discovery import permutations
from vats_exporter.cabinet.errors import (
    CabinetError,
    DoubtfulError,
    GwtExceptionError,
    IncompleteError,
    RedeployedError,
    TableError,
    UndecodableError,
)
from vats_exporter.cabinet.listing import Plausibility, listing_of, read_all
from vats_exporter.cabinet.reading import read_page, read_without_table
from vats_exporter.cabinet.trace import PageRead, no_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from typing_extensions import Self

    from vats_exporter.cabinet.access import Build
    from vats_exporter.cabinet.devices import TrunkDetails
    from vats_exporter.cabinet.discovery import Discovery
    from vats_exporter.cabinet.page import Page
    from vats_exporter.cabinet.settings import CabinetSettings
    from vats_exporter.cabinet.trace import Trace
    from vats_exporter.cabinet.transport import Answer
    from vats_exporter.trunks import Listing

__all__ = ["CLOSES_WITHIN", "CabinetClient"]


class CabinetClient:
    """One cabinet. Thread-safe: one call at a time, whoever makes it.

    Args:
        settings: how it is reached and read.
        trace: sees every HTTP call, sign-in and redeployment.
        observe: is shown every answer, body and all; see
            :class:`~vats_exporter.cabinet.transport.Transport`.
        pace: says when a password may be sent; the process's own unless a test brings another.
    """

    def __init__(
        self,
        settings: CabinetSettings,
        *,
        trace: Trace | None = None,
        observe: Callable[[str, Answer], None] | None = None,
        pace: session.SignInPace | None = None,
    ) -> None:
        self._settings = settings
        self._trace = trace or no_trace
        self._access = Access(settings, self._trace, observe, pace or session.PACE)
        self._known = Plausibility()
        self._misfit = ""  # of the list's tail

    def __enter__(self) -> Self:
        """Nothing is done before it is needed."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the connection."""
        self.close()

    @property
    def discovery(self) -> Discovery | None:
        """What the cabinet calls things, once discovered."""
        return self._access.discovery

    @property
    def enterprise(self) -> str:
        """The enterprise's number, once signed in; empty if only its reference is configured."""
        return self._access.enterprise

    @property
    def list_tail_misfit(self) -> str:
        """Why ``list_tail`` does not fit the class of the request; empty where it does."""
        return self._misfit

    def credentials_changed(self) -> bool:
        """Whether login and password are others than those that were last sent."""
        return self._access.credentials_changed()

    def read_trunks(self) -> Listing:
        """Read every trunk.

        Raises:
            CabinetError: and then none; see :mod:`vats_exporter.cabinet.errors`.
        """
        with self._access.alone():
            try:
                return self._read_list()
            except DoubtfulError:
                self._access.doubt_session()
            return self._read_list()

    def read_first_page(self) -> Listing:
        """Read one page, which may not hold all trunks, to see whether everything works.

        Raises:
            CabinetError: what does not work.
        """
        with self._access.alone():
            page = self._read_page(Renewal(), 0)
            return self._with_misfit(listing_of([page], self._settings))

    def read_details(self, ref: str, *, renew: bool = True) -> TrunkDetails:
        """Read one trunk's device form, or the other form where that one does not apply.

        Args:
            ref: the trunk's reference.
            renew: sign in, or discover, if that is what it takes. Otherwise the call fails, and
                leaves that to the next listing.

        Raises:
            CabinetError: neither form could be read.
        """
        call = self._access.call if renew else self._access.call_once
        with self._access.alone():
            try:
                response = call("details", contract.DETAILS, _form(ref, devices.DEVICE_FORM))
            except RedeployedError:
                raise
            except GwtExceptionError:
                form = _form(ref, devices.MOBILE_FORM)
                return devices.read_mobile_form(call("details", contract.DETAILS, form), ref)
            return devices.read_device_form(response, ref)

    def set_enabled(self, ref: str, *, enabled: bool) -> None:
        """Move one trunk's selector.

        Raises:
            CabinetError: it could not be moved, or it is not known whether it was.
        """
        with self._access.alone():
            build = self._selector(ref, enabled=enabled)
            self._access.call("selector", contract.SELECTOR, build)

    def selector_payload(self, ref: str, *, enabled: bool) -> str:
        """Build the request that :meth:`set_enabled` would send, and do not send it."""
        with self._access.alone():
            discovery = self._access.ready(contract.SELECTOR)
            return self._selector(ref, enabled=enabled)(discovery)

    def discover(self) -> Discovery:
        """Look up again what the cabinet calls things, after signing in if need be.

        A call whose parameters are all plain Java types also works with a stale policy [gwt], so
        whoever changes something discovers first.

        Raises:
            CabinetError: it could not be found.
        """
        with self._access.alone():
            self._access.discovery = None
            return self._access.ready()

    def close(self) -> None:
        """Sign out and close the connection; a call under way ends soon, or is broken."""
        self._access.close()

    def _read_list(self) -> Listing:
        read_page = partial(self._read_page, Renewal())
        try:
            return self._with_misfit(read_all(read_page, self._settings, self._known))
        except DoubtfulError:
            raise
        except CabinetError as error:
            if not self._known.doubt:
                raise
            # Another session has to wait, or does not work; the doubt stays.
            failed = IncompleteError(f"{self._known.doubt}; {error}")
            failed.retry_after = error.retry_after
            raise failed from None

    def _with_misfit(self, listing: Listing) -> Listing:
        if not self._misfit:
            return listing
        return replace(listing, warnings=(*listing.warnings, self._misfit))

    def _read_page(self, renewal: Renewal, number: int) -> Page:
        settings = self._settings

        def build(discovery: Discovery) -> str:
            return contract.list_request(
                discovery.strings(contract.LIST, "list"),
                tail=self._list_tail(discovery),
                row_filter=settings.filter,
                enterprise=self._reference(),
                page=number,
                page_size=settings.page_size,
            )

        page: Page | None = None
        while page is None:
            try:
                response = self._access.call("list", contract.LIST, build, renewal)
            except RedeployedError as error:
                if not self._misfit:
                    raise
                raise RedeployedError(
                    f"{error}; {self._misfit}", class_name=error.class_name
                ) from None
            self._known.session = self._access.sessions
            self._known.reference = self._reference()
            try:
                page = self._read(response)
            except UndecodableError as error:
                raise UndecodableError(f"list: page {number + 1}: {error}") from None
        self._trace(PageRead(page.read_by))
        return page

    def _read(self, response: gwt.Response) -> Page | None:
        """Read a page by the script, or by its rows alone where the script does not read it.

        Before that, what the script lacks is looked for in its fragments; and where it has read
        lists before, it is seen whether the cabinet was redeployed.

        Returns:
            the page; ``None`` if it was redeployed, and the page is to be asked for again.
        """
        access = self._access
        while True:
            discovery = access.ready()
            self._known.deployed(discovery.permutation)
            try:
                page = read_page(response, discovery.table)
            except TableError as error:
                if error.missing and discovery.look_for(access.transport, [error.missing]):
                    continue
                names: Container[str] = (discovery.permutation,)
                if discovery.fits:
                    discovery.fits = False
                    names = permutations(access.transport, self._settings)
                if discovery.permutation in names:
                    return read_without_table(response, error)
                access.discovery = None
                return None
            if page.records and discovery.fits is None:
                discovery.fits = True
            return page

    def _reference(self) -> str:
        """The enterprise as GWT writes it: configured as a number or a reference, or as found."""
        configured = self._settings.enterprise
        if configured and not configured.isdecimal():
            return configured
        return gwt.encode_long(int(configured or self._access.enterprise))

    def _list_tail(self, discovery: Discovery) -> str:
        settings = self._settings
        request = discovery.signatures.get(contract.LIST_REQUEST, "")
        fields = discovery.script.requests.get(request)
        tail, self._misfit = contract.choose_list_tail(settings.list_tail, settings.filter, fields)
        return tail

    def _selector(self, ref: str, *, enabled: bool) -> Build:
        def build(discovery: Discovery) -> str:
            methods, configured = discovery.script.methods, self._settings.selector_method
            return contract.selector_request(
                discovery.module_base,
                discovery.policy(contract.SELECTOR),
                contract.selector_method(methods, configured),
                trunk=ref,
                enabled=enabled,
            )

        return build


def _form(ref: str, form: int) -> Build:
    def build(discovery: Discovery) -> str:
        strings = discovery.strings(contract.DETAILS, "getForm")
        return contract.details_request(strings, trunk=ref, form=form)

    return build
