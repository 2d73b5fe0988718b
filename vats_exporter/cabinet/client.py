"""One account's cabinet: signed in to, discovered and read, with nothing to paste by hand.

Signs in and discovers when first needed, and keeps both while they work. Two things end at any
time: the session, and the deployment. An answer tells: the login page where ``//OK`` was due, or
an ``IncompatibleRemoteServiceException``. Then the cabinet is signed in to, or discovered, again,
and the call repeated: each once in a listing, however many pages that has.

How the end of a session looks is a guess [assumed]. So a list that was answered with anything else
than ``//OK`` puts the session in doubt as well: the next listing signs in first. If that does not
mend it the session was not what was wrong, and it is doubted again after the second failure, the
fourth, the eighth, so that a cabinet that is broken for a day sees eleven sign-ins and not 1,440.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from vats_exporter import gwt
from vats_exporter.address import parse_address
from vats_exporter.cabinet import contract, devices, session
from vats_exporter.cabinet.discovery import discover
from vats_exporter.cabinet.errors import (
    CabinetError,
    GwtExceptionError,
    NotGwtError,
    RedeployedError,
    SessionEndedError,
    UndecodableError,
)
from vats_exporter.cabinet.rows import read_page, read_trunks
from vats_exporter.cabinet.rpc import exchange
from vats_exporter.cabinet.subscribers import read_all
from vats_exporter.cabinet.trace import Redeployed, no_trace
from vats_exporter.cabinet.transport import Transport
from vats_exporter.redaction import redact
from vats_exporter.trunks import Listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Self

    from vats_exporter.cabinet.contract import Service
    from vats_exporter.cabinet.devices import TrunkDetails
    from vats_exporter.cabinet.discovery import Discovery
    from vats_exporter.cabinet.rows import Page
    from vats_exporter.cabinet.settings import CabinetSettings
    from vats_exporter.cabinet.trace import Trace
    from vats_exporter.cabinet.transport import Answer

    Build = Callable[[Discovery], str]

_SIGN_OUT_WITHIN: Final = 1.5
"""Seconds for signing out; the cabinet ends the session by itself some time later."""

_ENDS_WITHIN: Final = 0.25
"""Seconds that a call under way may still take when the cabinet is to be closed."""

_BREAKS_EVERY: Final = 0.05
"""Seconds between two attempts to break calls that keep the cabinet from being closed."""

_WORTH_WAITING: Final = 2.0
"""Seconds that a sign-in waits rather than fail: listings come as often as passwords are sent."""

CLOSES_WITHIN: Final = _ENDS_WITHIN + _BREAKS_EVERY + _SIGN_OUT_WITHIN
"""Seconds that closing takes, unless a call hangs where it cannot be broken: in connecting."""


@dataclass(slots=True)
class _Renewal:
    """What was renewed in the course of a listing."""

    signed_in: bool = False
    discovered: bool = False


class CabinetClient:
    """One cabinet. Thread-safe: one call at a time, whoever makes it.

    Args:
        settings: how it is reached and read.
        trace: sees every HTTP call, sign-in and redeployment.
        observe: is shown every answer, body and all; see
            :class:`~vats_exporter.cabinet.transport.Transport`.
        pace: says when a password may be sent; the process' own unless a test brings another.

    Raises:
        ValueError: the address is not one.
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
        self._observe = observe
        self._pace = pace or session.PACE
        self._base_url = parse_address(settings.address, allow_plain_http=settings.allow_plain_http)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._transport: Transport | None = None
        self._signed_in = False
        self._signed_in_as: int | None = None
        self._unanswered = 0  # lists in a row that were answered with something else
        self._enterprise = ""
        self._discovery: Discovery | None = None
        self._permutation = ""
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
        return self._discovery

    @property
    def enterprise(self) -> str:
        """The enterprise's number, once signed in; empty if only its reference is configured."""
        return self._enterprise

    @property
    def list_tail_misfit(self) -> str:
        """Why ``list_tail`` does not fit the class of the request; empty where it does."""
        return self._misfit

    def credentials_changed(self) -> bool:
        """Whether login and password are others than those that were last sent."""
        return self._signed_in_as not in (None, self._credentials())

    def read_trunks(self) -> Listing:
        """Read every trunk.

        Raises:
            CabinetError: and then none; see :mod:`vats_exporter.cabinet.errors`.
        """
        with self._alone():
            return read_all(partial(self._read_page, _Renewal()), self._settings)

    def read_first_page(self) -> Listing:
        """Read one page, which may not hold all trunks, to see whether everything works.

        Raises:
            CabinetError: what does not work.
        """
        with self._alone():
            page = self._read_page(_Renewal(), 0)
            trunks, warnings = read_trunks([page], self._settings.flags)
            return Listing(trunks, warnings, 1)

    def read_details(self, ref: str, *, renew: bool = True) -> TrunkDetails:
        """Read one trunk's device form, or the other form where that one does not apply.

        Args:
            ref: the trunk's reference.
            renew: sign in, or discover, if that is what it takes. Otherwise the call fails, and
                leaves that to the next listing.

        Raises:
            CabinetError: neither form could be read.
        """
        call = self._call if renew else self._call_once
        with self._alone():
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
        with self._alone():
            self._call("selector", contract.SELECTOR, self._selector(ref, enabled=enabled))

    def selector_payload(self, ref: str, *, enabled: bool) -> str:
        """Build the request that :meth:`set_enabled` would send, and do not send it."""
        with self._alone():
            return self._selector(ref, enabled=enabled)(self._ready(contract.SELECTOR))

    def discover(self) -> Discovery:
        """Look up again what the cabinet calls things, after signing in if need be.

        A call whose parameters are all plain Java types also works with a stale policy [gwt], so
        whoever changes something discovers first.

        Raises:
            CabinetError: it could not be found.
        """
        with self._alone():
            self._discovery = None
            return self._ready()

    def close(self) -> None:
        """Sign out and close the connection; a call under way ends soon, or is broken."""
        self._closing.set()
        broken, patience = False, _ENDS_WITHIN
        while not self._lock.acquire(timeout=patience):
            # Again and again, since another call may have waited behind the one that was broken.
            broken, patience = True, _BREAKS_EVERY
            transport = self._transport
            if transport is not None:
                transport.close()
        try:
            self._sign_out(broken=broken)
            if self._transport is not None:
                self._transport.close()
            self._transport = None
            self._signed_in = False
            self._closing.clear()
        finally:
            self._lock.release()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Make calls while nobody else does; no error gets out with a secret in it."""
        with self._lock:
            try:
                yield
            except CabinetError as error:
                error.args = tuple(redact(str(argument)) for argument in error.args)
                if isinstance(error, GwtExceptionError):
                    error.class_name = redact(error.class_name)
                raise

    def _sign_out(self, *, broken: bool) -> None:
        """End the session, if that is quickly done; only the trace tells whether it worked.

        Args:
            broken: a call was, and it may have been the one that signs in: then a cookie tells
                that there may be a session.
        """
        path, transport = self._settings.sign_out_path, self._transport
        if transport is None or not path:
            return
        if not self._signed_in and not (broken and len(transport.cookies)):
            return
        with suppress(CabinetError):
            transport.get("sign_out", path, follow=False, within=_SIGN_OUT_WITHIN)

    def _read_page(self, renewal: _Renewal, number: int) -> Page:
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

        response = self._call("list", contract.LIST, build, renewal)
        try:
            return read_page(response)
        except UndecodableError as error:
            raise UndecodableError(f"list: page {number + 1}: {error}") from None

    def _reference(self) -> str:
        """The enterprise as GWT writes it: configured as a number or a reference, or as found."""
        configured = self._settings.enterprise
        if configured and not configured.isdecimal():
            return configured
        return gwt.encode_long(int(configured or self._enterprise))

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

    def _call(
        self, call: str, service: Service, build: Build, renewal: _Renewal | None = None
    ) -> gwt.Response:
        """Make a GWT-RPC call; sign in, or discover, again and repeat it if that is what it takes.

        Each at most once, the first time in a call included: what is refused in a session, or under
        names, that are as fresh as they can be is refused for another reason.

        Args:
            call: its name, for the trace and for errors.
            service: the service that is called.
            build: makes the request.
            renewal: what was renewed before, where several calls make up one thing.
        """
        renewal = renewal or _Renewal()
        signed_in_again = renewal.signed_in or not self._signed_in
        discovered_again = renewal.discovered or self._discovery is None
        while True:
            try:
                return self._exchange(call, service, build)
            except SessionEndedError as error:
                self._signed_in = False
                if signed_in_again:
                    raise NotGwtError(f"{error.seen} again, right after signing in") from None
                signed_in_again = renewal.signed_in = True
            except RedeployedError:
                self._discovery = None
                if discovered_again:
                    raise
                discovered_again = renewal.discovered = True

    def _call_once(self, call: str, service: Service, build: Build) -> gwt.Response:
        """Make a GWT-RPC call in the session there is, and under the names there are."""
        if self._discovery is None or not self._signed_in:
            raise SessionEndedError(f"{call}: not signed in")
        try:
            return self._exchange(call, service, build)
        except RedeployedError:
            # The list's own names may be as they were, so that it would not notice.
            self._discovery = None
            raise

    def _exchange(self, call: str, service: Service, build: Build) -> gwt.Response:
        discovery, transport = self._ready(service), self._connected()
        body, limit = build(discovery), self._settings.max_response
        try:
            response = exchange(transport, discovery, call, service, body, limit=limit)
        except SessionEndedError:
            raise
        except RedeployedError as error:
            names = ", ".join(sorted(name.rpartition(".")[2] for name in discovery.observed))
            hints = [str(error)]
            if names:
                hints.append(f"not in the script, so that what was once seen was used: {names}")
            if self._misfit and service is contract.LIST:
                hints.append(self._misfit)
            raise RedeployedError("; ".join(hints), class_name=error.class_name) from None
        except (NotGwtError, GwtExceptionError):
            if service is contract.LIST:
                self._doubt_session()
            raise
        if service is contract.LIST:
            self._unanswered = 0
        return response

    def _doubt_session(self) -> None:
        """Sign in before the next list after the first failure in a row, the second, the fourth."""
        self._unanswered += 1
        if self._unanswered & (self._unanswered - 1) == 0:
            self._signed_in = False

    def _connected(self) -> Transport:
        if self._transport is None:
            self._transport = Transport(
                self._base_url, self._settings, self._trace, observe=self._observe
            )
        return self._transport

    def _ready(self, service: Service | None = None) -> Discovery:
        """Sign in and discover, as far as it is not done; look for a service in the fragments."""
        transport = self._connected()
        if not self._signed_in:
            self._sign_in(transport)
        if self._discovery is None:
            self._discovery = discover(transport, self._settings)
            found = self._discovery.permutation
            if self._permutation and self._permutation != found:
                self._trace(Redeployed(self._permutation, found))
            self._permutation = found
        if service is not None:
            self._discovery.look_for(transport, [service.path])
        return self._discovery

    def _sign_in(self, transport: Transport) -> None:
        who = self._credentials()
        left = self._pace.left(who)
        if left <= _WORTH_WAITING:
            self._closing.wait(left)
        self._signed_in_as = who
        self._enterprise = session.sign_in(transport, self._settings, self._trace, self._pace, who)
        self._signed_in = True

    def _credentials(self) -> int:
        """What stands for address, login and password, where these may not be kept."""
        settings = self._settings
        return hash((self._base_url, settings.login, settings.current_password()))


def _form(ref: str, form: int) -> Build:
    def build(discovery: Discovery) -> str:
        strings = discovery.strings(contract.DETAILS, "getForm")
        return contract.details_request(strings, trunk=ref, form=form)

    return build
