"""One account's session: signed in to and discovered when first needed, and again when it ends.

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from vats_exporter import gwt
from vats_exporter.address import parse_address
from vats_exporter.cabinet import contract, sign_in
from vats_exporter.cabinet.answers import Answer, Observe
from vats_exporter.cabinet.contract import Service
from vats_exporter.cabinet.discovery import Discovery, discover
from vats_exporter.cabinet.errors import (
    CabinetError,
    GwtExceptionError,
    NotGwtError,
    Redeployed,
    RedeployedError,
    SessionEndedError,
    Trace,
    UndecodableError,
)
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.cabinet.transport import Transport
from vats_exporter.redaction import redact

Build = Callable[[Discovery], str]

# In seconds:
_WORTH_WAITING: Final = 2.0  # a sign-in waits rather than fail: lists are read as often
_SIGN_OUT_WITHIN: Final = 1.5  # the cabinet ends the session by itself some time later
_ENDS_WITHIN: Final = 0.25  # what a call under way still has when the session is to be closed
_BREAKS_EVERY: Final = 0.05  # between two attempts to break it, and those that wait behind it
CLOSES_WITHIN: Final = _ENDS_WITHIN + _BREAKS_EVERY + _SIGN_OUT_WITHIN
"""Seconds that closing takes, unless a call hangs where it cannot be broken: in connecting."""

_INCOMPATIBLE: Final = "com.google.gwt.user.client.rpc.IncompatibleRemoteServiceException"

# A class with its package: what an exception's answer names, and what no credential looks like.
_CLASS: Final = re.compile(r"[a-z]\w*(?:\.[\w$]+){2,}", re.ASCII)
_LONGEST: Final = 200  # characters of the server's own words that are told


class Session:
    """The calls to one cabinet, one at a time. Thread-safe.

    Args:
        settings: how it is reached and read.
        trace: sees every HTTP call, sign-in and redeployment.
        observe: is shown every answer by its call's name, body and all.
        pace: says when a password may be sent; the process's own except in tests.

    Attributes:
        enterprise: the enterprise's number, once signed in; empty where the cabinet does not tell.
        discovery: what the cabinet calls things, once discovered.
    """

    def __init__(
        self,
        settings: CabinetSettings,
        *,
        trace: Trace | None = None,
        observe: Observe | None = None,
        pace: sign_in.SignInPace | None = None,
    ) -> None:
        self.enterprise = ""
        self.discovery: Discovery | None = None
        self._settings = settings
        self._trace: Trace = trace or (lambda _: None)
        self._pace = pace or sign_in.PACE
        self._base_url = parse_address(settings.address, allow_plain_http=settings.allow_plain_http)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._transport = Transport(self._base_url, settings, self._trace, observe)
        self._signed_in = False
        self._signed_in_as: int | None = None
        self._sessions = 0
        self._renewed: set[str] = set()  # what was, in the listing under way
        self._unanswered = 0  # lists in a row that were answered with something else
        self._permutation = ""

    def credentials_changed(self) -> bool:
        """Whether login and password are others than those that were last sent."""
        return self._signed_in_as not in (None, self._credentials())

    def close(self) -> None:
        """Sign out and close the connection; a call under way ends soon, or is broken."""
        self._closing.set()
        patience = _ENDS_WITHIN
        while not self._lock.acquire(timeout=patience):
            patience = _BREAKS_EVERY
            self._transport.close()
        try:
            path, transport = self._settings.sign_out_path, self._transport
            # Where there is a cookie there may be a session, also after a call that was broken.
            if path and len(transport.cookies):
                with suppress(CabinetError):  # only the trace tells whether it worked
                    transport.send("sign_out", path, follow=False, within=_SIGN_OUT_WITHIN)
            transport.start_afresh()
            self._signed_in = False
            self._closing.clear()
        finally:
            self._lock.release()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Make calls exclusively; no error gets out with a secret in it."""
        with self._lock:
            self._renewed.clear()
            try:
                yield
            except CabinetError as error:
                error.args = tuple(redact(str(argument)) for argument in error.args)
                raise

    def _ready(self, service: Service | None = None) -> Discovery:
        """Sign in and discover if necessary; look for a service in the fragments."""
        if not self._signed_in:
            self._sign_in()
        if self.discovery is None:
            self.discovery = discover(self._transport, self._settings)
            found = self.discovery.permutation
            if self._permutation and self._permutation != found:
                self._trace(Redeployed(self._permutation, found))
            self._permutation = found
        if service is not None:
            self.discovery.look_for(self._transport, [service.path])
        return self.discovery

    def _sign_in(self) -> None:
        self._renewed.add("session")
        who = self._credentials()
        left = self._pace.left(who)
        if left <= _WORTH_WAITING:
            self._closing.wait(left)
        self._signed_in_as = who
        self.enterprise = sign_in.sign_in(
            self._transport, self._settings, self._trace, self._pace, who
        )
        self._signed_in = True
        self._sessions += 1

    def _credentials(self) -> int:
        """What stands for address, login and password, where these may not be kept."""
        settings = self._settings
        return hash((self._base_url, settings.login, settings.current_password()))

    def _call(
        self, name: str, service: Service, build: Build, *, renew: bool = True
    ) -> gwt.Response:
        """Make a GWT-RPC call; sign in or discover again and repeat it if necessary.

        What is refused in a session, or under names, that are as fresh as they can be is refused
        for another reason. Unless ``renew``, the call is made in the session there is, and under
        the names there are, or fails.

        Raises:
            CabinetError: there is no ``//OK`` answer.
        """
        if not renew and not (self._signed_in and self.discovery):
            raise SessionEndedError(f"{name}: not signed in")
        new_names = self.discovery is None
        while True:
            try:
                return self._exchange(name, service, build)
            except SessionEndedError as error:
                if not renew:
                    raise
                self._signed_in = False
                if "session" in self._renewed:
                    again = f"{error.args[0]} again, right after signing in"
                    raise NotGwtError(again) from None
            except RedeployedError:
                # Also without renewing: the list's own names may be as they were, and not notice.
                self.discovery = None
                if not renew or new_names or "names" in self._renewed:
                    raise
                self._renewed.add("names")

    def _exchange(self, name: str, service: Service, build: Build) -> gwt.Response:
        discovery = self._ready(service)
        body = build(discovery).encode("utf-8")
        headers = {
            "Content-Type": contract.CONTENT_TYPE,
            "X-GWT-Permutation": discovery.permutation,
            "X-GWT-Module-Base": discovery.module_base,
        }
        path = contract.MODULE_PATH + service.path
        answer = self._transport.send(name, path, body, headers, follow=False)
        try:
            response = _read(name, answer, self._settings.max_response, discovery.unsure(service))
        except (NotGwtError, GwtExceptionError) as error:
            ended = isinstance(error, SessionEndedError | RedeployedError)
            if service is contract.LIST and not ended:
                # After the first failure in a row, the second, the fourth.
                self._unanswered += 1
                if self._unanswered & (self._unanswered - 1) == 0:
                    self._signed_in = False
            raise
        if service is contract.LIST:
            self._unanswered = 0
        return response


def _read(name: str, answer: Answer, limit: int, unsure: str) -> gwt.Response:
    """Read the answer to a call: the ``//OK``, or the error of the tree that it means."""
    answer.check(name)
    try:
        response = gwt.decode(answer.body, limit=limit)
    except gwt.NotAnAnswerError as error:
        raise NotGwtError(f"{name}: {error}") from None
    except gwt.GwtError as error:
        raise UndecodableError(f"{name}: {error}") from None
    if response.status == "OK":
        return response
    # A broken answer may have any string of its where the class should stand.
    found = response.exception_class if _CLASS.fullmatch(response.exception_class) else ""
    if found != _INCOMPATIBLE:
        raise GwtExceptionError(f"{name}: the server answers {found or 'an exception'}")
    # GWT's own message about what is out of date: names of classes and methods, no data.
    text = "".join(response.string_table[1:2])[:_LONGEST]
    said = "".join(letter if letter.isprintable() else " " for letter in text)
    if not _CLASS.search(text):
        said = "no reason given"
    reason = f"{found.rpartition('.')[2]}: {said}{unsure}"
    raise RedeployedError(f"{name}: the server reports that names are out of date ({reason})")
