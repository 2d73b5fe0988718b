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

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from vats_exporter import gwt
from vats_exporter.address import parse_address
from vats_exporter.cabinet import contract
from vats_exporter.cabinet.errors import (
    CabinetError,
    GwtExceptionError,
    NotGwtError,
    RedeployedError,
    SessionEndedError,
    UndecodableError,
)
from vats_exporter.cabinet.lane import Lane, read_forms
from vats_exporter.cabinet.rows import read_page, read_trunks
from vats_exporter.cabinet.rpc import exchange, session_ended
from vats_exporter.cabinet.scripts import discover
from vats_exporter.cabinet.session import sign_in
from vats_exporter.cabinet.subscribers import Listing, read_all
from vats_exporter.cabinet.trace import Redeployed, no_trace
from vats_exporter.cabinet.transport import Transport
from vats_exporter.cabinet.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Self

    from vats_exporter.cabinet.contract import Service
    from vats_exporter.cabinet.devices import Details
    from vats_exporter.cabinet.discovery import Deployment
    from vats_exporter.cabinet.rows import Page
    from vats_exporter.cabinet.settings import CabinetSettings
    from vats_exporter.cabinet.trace import Trace
    from vats_exporter.cabinet.transport import Answer

_SIGN_OUT_WITHIN: Final = 1.5
"""Seconds for saying good-bye; the cabinet ends the session by itself some time later."""

_ENDS_WITHIN: Final = 0.25
"""Seconds that a call under way may still take when the cabinet is to be closed."""

_BREAKS_EVERY: Final = 0.05
"""Seconds between two attempts to break calls that keep the cabinet from being closed."""

CLOSES_WITHIN: Final = _ENDS_WITHIN + _BREAKS_EVERY + _SIGN_OUT_WITHIN
"""Seconds that closing takes, unless a call hangs where it cannot be broken: in connecting."""


@dataclass(slots=True)
class _Renewal:
    """What was renewed in the course of a listing."""

    signed_in: bool = False
    discovered: bool = False


class Cabinet:
    """One cabinet. Thread-safe: one call at a time, whoever makes it.

    Args:
        settings: how it is reached and read.
        trace: sees every HTTP call, sign-in and redeployment.
        observe: is shown every answer, body and all; see
            :class:`~vats_exporter.cabinet.transport.Transport`.

    Raises:
        ValueError: the address is not one.
    """

    def __init__(
        self,
        settings: CabinetSettings,
        *,
        trace: Trace | None = None,
        observe: Callable[[str, Answer], None] | None = None,
    ) -> None:
        self._settings = settings
        self._trace = trace or no_trace
        self._observe = observe
        self._base_url = parse_address(settings.address, allow_plain_http=settings.allow_plain_http)
        self._lock = Turns()
        self._transport: Transport | None = None
        self._signed_in = False
        self._unanswered = 0  # lists in a row that were answered with something else
        self._enterprise = ""
        self._deployment: Deployment | None = None
        self._permutation = ""

    def __enter__(self) -> Self:
        """Nothing is done before it is needed."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the connection."""
        self.close()

    @property
    def deployment(self) -> Deployment | None:
        """What the cabinet calls things, once discovered."""
        return self._deployment

    @property
    def enterprise(self) -> str:
        """The enterprise's number, once signed in; empty if only its reference is configured."""
        return self._enterprise

    def read_trunks(self) -> Listing:
        """Read every trunk.

        Returns:
            all of them.

        Raises:
            CabinetError: and then none; see :mod:`vats_exporter.cabinet.errors`.
        """
        with self._lock:
            return read_all(partial(self._read_page, _Renewal()), self._settings)

    def read_first_page(self) -> Listing:
        """Read one page, to see whether everything works.

        Returns:
            the trunks of the first page, which may not be all.

        Raises:
            CabinetError: what does not work.
        """
        with self._lock:
            page = self._read_page(_Renewal(), 0)
            trunks, warnings = read_trunks([page], self._settings.flags)
            return Listing(trunks, warnings, 1)

    def read_details(self, ref: str) -> Details:
        """Read one trunk's device form, or the other form where that one does not apply.

        Args:
            ref: the trunk's reference.

        Raises:
            CabinetError: neither form could be read.
        """
        with self._lock:
            return read_forms(partial(self._rpc, "details", contract.DETAILS), ref)

    def lane(self, *, shared: bool = False) -> Lane:
        """Make a way into this cabinet's session, to read details beside the list.

        Args:
            shared: on the list's own connection, whenever nobody else wants it; otherwise on
                another one.
        """
        return Lane(self, shared=shared)

    @contextmanager
    def lend(self) -> Iterator[tuple[Transport, Deployment]]:
        """Lend this connection for one call, before which everybody else has theirs.

        For :class:`Lane`, as the two below.

        Yields:
            the transport, signed in, and the deployment.

        Raises:
            SessionEndedError: the cabinet is not signed in to; a lane never does that itself.
        """
        with self._lock.last():
            yield self._in_session()

    def branch(self, transport: Transport | None) -> tuple[Transport, Deployment]:
        """Let another connection into the session.

        Args:
            transport: the lane's; ``None`` makes one.

        Returns:
            the transport with this session's cookies, and the deployment.

        Raises:
            SessionEndedError: as :meth:`lend`.
        """
        with self._lock:
            own, deployment = self._in_session()
            lane = transport or Transport(own.base_url, self._settings, self._trace)
            lane.adopt_cookies(own)
            return lane, deployment

    def outdated(self, deployment: Deployment) -> None:
        """Take note that a deployment's names are out of date: the next listing discovers.

        The list's own names may be as they were, so that it would not notice.

        Args:
            deployment: nothing happens if there is another one by now.
        """
        with self._lock:
            if self._deployment is deployment:
                self._deployment = None

    def _in_session(self) -> tuple[Transport, Deployment]:
        if self._transport is None or self._deployment is None or not self._signed_in:
            session_ended("details", "not signed in")
        return self._transport, self._deployment

    @property
    def max_response(self) -> int:
        """Bytes of an answer past which it is refused."""
        return self._settings.max_response

    def set_enabled(self, ref: str, *, enabled: bool) -> None:
        """Move one trunk's selector.

        Args:
            ref: the trunk's reference.
            enabled: on or off.

        Raises:
            CabinetError: it could not be moved, or it is not known whether it was.
        """
        with self._lock:
            self._rpc("selector", contract.SELECTOR, self._selector(ref, enabled=enabled))

    def selector_payload(self, ref: str, *, enabled: bool) -> str:
        """Build the request that :meth:`set_enabled` would send, and send nothing of it.

        Args:
            ref: the trunk's reference.
            enabled: on or off.
        """
        with self._lock:
            return self._selector(ref, enabled=enabled)(self._ready())

    def discover(self) -> Deployment:
        """Look up again what the cabinet calls things, after signing in if need be.

        A call whose parameters are all plain Java types also works with a stale policy [gwt], so
        whoever changes something discovers first.

        Raises:
            CabinetError: it could not be found.
        """
        with self._lock:
            self._deployment = None
            return self._ready()

    def close(self) -> None:
        """Sign out and close the connection; a call under way ends soon, or is broken."""
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
        finally:
            self._lock.release()

    def _sign_out(self, *, broken: bool) -> None:
        """End the session, if that is quickly done; only the trace tells whether it worked.

        Args:
            broken: a call was, and it may have been the one that signs in: then a cookie tells
                that there may be a session.
        """
        path, transport = self._settings.sign_out_path, self._transport
        if transport is None or not path:
            return
        if not self._signed_in and not (broken and transport.has_cookies):
            return
        with suppress(CabinetError):
            transport.get("sign_out", path, follow=False, within=_SIGN_OUT_WITHIN)

    def _read_page(self, renewal: _Renewal, number: int) -> Page:
        settings = self._settings

        def build(deployment: Deployment) -> str:
            return contract.list_request(
                deployment,
                tail=settings.list_tail,
                row_filter=settings.filter,
                enterprise=self._reference(),
                page=number,
                page_size=settings.page_size,
            )

        response = self._rpc("list", contract.LIST, build, renewal)
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

    def _selector(self, ref: str, *, enabled: bool) -> Callable[[Deployment], str]:
        method = self._settings.selector_method
        if not method:
            raise UndecodableError(
                "selector: the name of its method is not known; selector_method sets it, and "
                "`vats-exporter import-har` finds it in a browser's recording"
            )

        def build(deployment: Deployment) -> str:
            return contract.selector_request(deployment, method=method, trunk=ref, enabled=enabled)

        return build

    def _rpc(
        self,
        call: str,
        service: Service,
        build: Callable[[Deployment], str],
        renewal: _Renewal | None = None,
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
        discovered_again = renewal.discovered or self._deployment is None
        while True:
            try:
                return self._exchange(call, service, build)
            except SessionEndedError as error:
                self._signed_in = False
                if signed_in_again:
                    raise NotGwtError(f"{error.seen} again, right after signing in") from None
                signed_in_again = renewal.signed_in = True
            except RedeployedError:
                self._deployment = None
                if discovered_again:
                    raise
                discovered_again = renewal.discovered = True

    def _exchange(
        self, call: str, service: Service, build: Callable[[Deployment], str]
    ) -> gwt.Response:
        deployment, transport = self._ready(), self._connected()
        body, limit = build(deployment), self._settings.max_response
        try:
            response = exchange(transport, deployment, call, service, body, limit=limit)
        except (SessionEndedError, RedeployedError):
            raise
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
            self._transport = Transport(self._base_url, self._settings, self._trace)
            self._transport.observe = self._observe
        return self._transport

    def _ready(self) -> Deployment:
        """Sign in and discover, as far as it is not done."""
        transport = self._connected()
        if not self._signed_in:
            self._enterprise = sign_in(transport, self._settings, self._trace)
            self._signed_in = True
        if self._deployment is None:
            self._deployment = discover(transport, self._settings)
            found = self._deployment.permutation
            if self._permutation and self._permutation != found:
                self._trace(Redeployed(self._permutation, found))
            self._permutation = found
        return self._deployment
