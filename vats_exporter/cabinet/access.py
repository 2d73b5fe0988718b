"""A way into one cabinet: signed in to and discovered when first needed, and again when that ends.

Two things end at any time: the session, and the deployment. An answer tells: the login page where
``//OK`` was due, or an ``IncompatibleRemoteServiceException``. Then the cabinet is signed in to, or
discovered, again, and the call repeated: each once in a listing, however many pages that has.

How the end of a session looks is a guess [assumed]. So a list that was answered with anything else
than ``//OK`` puts the session in doubt as well: the next listing signs in first. If that does not
mend it the session was not what was wrong, and it is doubted again after the second failure, the
fourth, the eighth, so that a cabinet that is broken for a day sees eleven sign-ins and not 1,440.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vats_exporter import gwt
from vats_exporter.address import parse_address
from vats_exporter.cabinet import contract, session
from vats_exporter.cabinet.discovery import discover
from vats_exporter.cabinet.errors import (
    CabinetError,
    GwtExceptionError,
    NotGwtError,
    RedeployedError,
    SessionEndedError,
    UndecodableError,
)
from vats_exporter.cabinet.session import check_status, is_login_page
from vats_exporter.cabinet.trace import Redeployed
from vats_exporter.cabinet.transport import Transport
from vats_exporter.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from vats_exporter.cabinet.contract import Service
    from vats_exporter.cabinet.discovery import Discovery
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

_INCOMPATIBLE: Final = "com.google.gwt.user.client.rpc.IncompatibleRemoteServiceException"

_CLASS: Final = re.compile(r"[a-z]\w*(?:\.[\w$]+){2,}", re.ASCII)
"""A class with its package: what an exception's answer names, and what no credential looks like."""

_LONGEST: Final = 200
"""Characters of the server's own words that are told."""

CLOSES_WITHIN: Final = _ENDS_WITHIN + _BREAKS_EVERY + _SIGN_OUT_WITHIN
"""Seconds that closing takes, unless a call hangs where it cannot be broken: in connecting."""


@dataclass(slots=True)
class Renewal:
    """What was renewed in the course of several calls that make up one thing."""

    signed_in: bool = False
    discovered: bool = False


class Access:
    """One cabinet's transport, session and names. Used within :meth:`alone`.

    Attributes:
        enterprise: the enterprise's number, once signed in; empty where the cabinet does not tell.
        discovery: what the cabinet calls things, once discovered.
        sessions: how many there were.
    """

    def __init__(
        self,
        settings: CabinetSettings,
        trace: Trace,
        observe: Callable[[str, Answer], None] | None,
        pace: session.SignInPace,
    ) -> None:
        self.enterprise = ""
        self.discovery: Discovery | None = None
        self.sessions = 0
        self._settings = settings
        self._trace = trace
        self._observe = observe
        self._pace = pace
        self._base_url = parse_address(settings.address, allow_plain_http=settings.allow_plain_http)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._transport: Transport | None = None
        self._signed_in = False
        self._signed_in_as: int | None = None
        self._unanswered = 0  # lists in a row that were answered with something else
        self._permutation = ""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Make calls while nobody else does; no error gets out with a secret in it."""
        with self._lock:
            try:
                yield
            except CabinetError as error:
                error.args = tuple(redact(str(argument)) for argument in error.args)
                if isinstance(error, GwtExceptionError):
                    error.class_name = redact(error.class_name)
                raise

    @property
    def transport(self) -> Transport:
        """The transport, whether signed in or not."""
        if self._transport is None:
            self._transport = Transport(
                self._base_url, self._settings, self._trace, observe=self._observe
            )
        return self._transport

    def credentials_changed(self) -> bool:
        """Whether login and password are others than those that were last sent."""
        return self._signed_in_as not in (None, self._credentials())

    def doubt_session(self) -> None:
        """Let the next call sign in."""
        self._signed_in = False

    def ready(self, service: Service | None = None) -> Discovery:
        """Sign in and discover, as far as it is not done; look for a service in the fragments.

        Raises:
            CabinetError: it cannot be done.
        """
        if not self._signed_in:
            self._sign_in()
        if self.discovery is None:
            self.discovery = discover(self.transport, self._settings)
            found = self.discovery.permutation
            if self._permutation and self._permutation != found:
                self._trace(Redeployed(self._permutation, found))
            self._permutation = found
        if service is not None:
            self.discovery.look_for(self.transport, [service.path])
        return self.discovery

    def call(
        self, name: str, service: Service, build: Build, renewal: Renewal | None = None
    ) -> gwt.Response:
        """Make a GWT-RPC call; sign in, or discover, again and repeat it if that is what it takes.

        Each at most once, the first time in a call included: what is refused in a session, or under
        names, that are as fresh as they can be is refused for another reason.

        Args:
            name: the call's, for the trace and for errors.
            service: the service that is called.
            build: makes the request.
            renewal: what was renewed before, where several calls make up one thing.

        Raises:
            CabinetError: there is no ``//OK`` answer.
        """
        renewal = renewal or Renewal()
        signed_in_again = renewal.signed_in or not self._signed_in
        discovered_again = renewal.discovered or self.discovery is None
        while True:
            try:
                return self._exchange(name, service, build)
            except SessionEndedError as error:
                self._signed_in = False
                if signed_in_again:
                    raise NotGwtError(f"{error.seen} again, right after signing in") from None
                signed_in_again = renewal.signed_in = True
            except RedeployedError:
                self.discovery = None
                if discovered_again:
                    raise
                discovered_again = renewal.discovered = True

    def call_once(self, name: str, service: Service, build: Build) -> gwt.Response:
        """Make a GWT-RPC call in the session there is, and under the names there are."""
        if self.discovery is None or not self._signed_in:
            raise SessionEndedError(f"{name}: not signed in")
        try:
            return self._exchange(name, service, build)
        except RedeployedError:
            # The list's own names may be as they were, so that it would not notice.
            self.discovery = None
            raise

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

    def _sign_out(self, *, broken: bool) -> None:
        """End the session, if that is quickly done; only the trace tells whether it worked.

        A call that was broken may have been the one that signs in: then a cookie tells that there
        may be a session.
        """
        path, transport = self._settings.sign_out_path, self._transport
        if transport is None or not path:
            return
        if not self._signed_in and not (broken and len(transport.cookies)):
            return
        with suppress(CabinetError):
            transport.send("sign_out", path, follow=False, within=_SIGN_OUT_WITHIN)

    def _exchange(self, name: str, service: Service, build: Build) -> gwt.Response:
        discovery = self.ready(service)
        body = build(discovery).encode("utf-8")
        headers = {
            "Content-Type": contract.CONTENT_TYPE,
            "X-GWT-Permutation": discovery.permutation,
            "X-GWT-Module-Base": discovery.module_base,
        }
        path = contract.MODULE_PATH + service.path
        answer = self.transport.send(name, path, body, headers, follow=False)
        try:
            check_status(name, answer)
            response = _decode(name, answer, self._settings.max_response, discovery.observed)
        except (SessionEndedError, RedeployedError):
            raise
        except (NotGwtError, GwtExceptionError):
            if service is contract.LIST:
                # After the first failure in a row, the second, the fourth.
                self._unanswered += 1
                if self._unanswered & (self._unanswered - 1) == 0:
                    self._signed_in = False
            raise
        if service is contract.LIST:
            self._unanswered = 0
        return response

    def _sign_in(self) -> None:
        who = self._credentials()
        left = self._pace.left(who)
        if left <= _WORTH_WAITING:
            self._closing.wait(left)
        self._signed_in_as = who
        self.enterprise = session.sign_in(
            self.transport, self._settings, self._trace, self._pace, who
        )
        self._signed_in = True
        self.sessions += 1

    def _credentials(self) -> int:
        """What stands for address, login and password, where these may not be kept."""
        settings = self._settings
        return hash((self._base_url, settings.login, settings.current_password()))


def _decode(name: str, answer: Answer, limit: int, observed: Iterable[str]) -> gwt.Response:
    """Read an answer: the ``//OK``, or the error of the tree that it means."""
    try:
        response = gwt.decode(answer.body, limit=limit)
    except gwt.NotAnAnswerError as error:
        if is_login_page(answer):
            raise SessionEndedError(f"{name}: the login page") from None
        raise NotGwtError(f"{name}: {error}") from None
    except gwt.GwtError as error:
        raise UndecodableError(f"{name}: {error}") from None
    if response.status == "OK":
        return response
    # A broken answer may have any string of its where the class should stand.
    found = response.exception_class if _CLASS.fullmatch(response.exception_class) else ""
    if found != _INCOMPATIBLE:
        raise GwtExceptionError(
            f"{name}: the server answers {found or 'an exception'}", class_name=found
        )
    reason = f"{found.rpartition('.')[2]}: {_message(response)}"
    if observed:
        names = ", ".join(sorted(one.rpartition(".")[2] for one in observed))
        reason += f"; not in the script, so that what was once seen was used: {names}"
    raise RedeployedError(
        f"{name}: the server finds our names out of date ({reason})", class_name=found
    )


def _message(response: gwt.Response) -> str:
    """What GWT's own code says is out of date: names of classes and methods, no data."""
    text = "".join(response.string_table[1:2])[:_LONGEST]
    if not _CLASS.search(text):
        return "no reason given"
    return "".join(letter if letter.isprintable() else " " for letter in text)
