"""One account's session: signed in to and discovered when first needed, and again when it ends.

Both end at any time. An answer tells: the login page where ``//OK`` was due [assumed], or an
``IncompatibleRemoteServiceException``. Then the cabinet is signed in to, or discovered, again, and
the call repeated: each once in a listing, however many pages that has.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import urlencode

from vats_exporter import gwt
from vats_exporter.address import parse_address
from vats_exporter.cabinet import contract, errors
from vats_exporter.cabinet.contract import Service
from vats_exporter.cabinet.discovery import Discovery, discover
from vats_exporter.cabinet.listing import Plausibility
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.cabinet.transport import Redeployed, SignIn, Trace, Transport
from vats_exporter.redaction import redact

T = TypeVar("T")

# Seconds between two sendings of a password: at least, and at most after refusals, or failures.
_PAUSE: Final = 60.0
_REFUSED_LIMIT: Final = 3600.0
_FAILED_LIMIT: Final = 300.0
_WORTH_WAITING: Final = 2.0  # a sign-in waits so many rather than fail: lists are read as often

# Seconds of closing:
_SIGN_OUT_WITHIN: Final = 1.5  # the cabinet ends the session by itself some time later
_ENDS_WITHIN: Final = 0.25  # what a call under way still has when the session is to be closed
_BREAKS_EVERY: Final = 0.05  # between two attempts to break it, and those that wait behind it
CLOSES_WITHIN: Final = _ENDS_WITHIN + _BREAKS_EVERY + _SIGN_OUT_WITHIN
"""Seconds that closing takes, unless a call hangs where it cannot be broken: in connecting."""

_INCOMPATIBLE: Final = "com.google.gwt.user.client.rpc.IncompatibleRemoteServiceException"

# A class with its package: what an exception's answer names, and what no credential looks like.
_CLASS: Final = re.compile(r"[a-z]\w*(?:\.[\w$]+){2,}", re.ASCII)
_LONGEST: Final = 200  # characters of the server's own words that are told


class LostCookieError(errors.NotACabinetError):
    """The sign-in ended at the login page, and no cookie, or not the session's, went back."""


@dataclass(slots=True)
class _Sent:
    """When a password was last sent, and with what result; the pause after another failure."""

    at: float
    pause: float
    growing: float
    error: errors.CabinetError | None = None


class SignInPace:
    """Holds sign-ins back until a password may be sent again. Thread-safe.

    The seconds between two sendings double with failures: up to an hour where the password may be
    the reason, so that no account is locked, and up to five minutes where the cabinet answers
    something else, such as a maintenance page. ``who`` is a number for address, login and password,
    so that a changed password is tried at once.
    """

    def __init__(
        self, *, pause: float = _PAUSE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._sent: dict[int, _Sent] = {}

    def left(self, who: int) -> float:
        """Seconds until a password may be sent; 0 for now."""
        sent = self._sent.get(who)
        return max(0.0, sent.at + sent.pause - self._clock()) if sent else 0.0

    @contextmanager
    def sending(self, who: int) -> Iterator[None]:
        """Send a password within it; raises the last error where it may not be sent yet."""
        with self._lock:
            now, sent = self._clock(), self._sent.get(who)
            if sent and (left := self.left(who)):
                said = f"the password was sent {now - sent.at:.0f} s ago, and is not sent again"
                last = sent.error or errors.NotGwtError("sign_in")
                said = f"{last}{';' if sent.error else ':'} {said} for {left:.0f} s"
                raise type(last)(said, retry_after=left)
            growing = sent.growing if sent else self._pause
            self._sent[who] = sent = _Sent(now, self._pause, self._pause)
        try:
            yield
        except errors.CabinetError as error:
            sent.error = error
            # After no answer, the network is back as suddenly as it went.
            if isinstance(error, errors.NotGwtError | errors.LoginRefusedError):
                refused = isinstance(error, errors.LoginRefusedError | LostCookieError)
                sent.pause = min(growing, _REFUSED_LIMIT if refused else _FAILED_LIMIT)
                sent.growing = 2 * growing
            error.retry_after = max(error.retry_after, self.left(who))
            raise


PACE = SignInPace()
"""Of this process: a reload, which makes new clients, changes nothing."""


class Session:
    """The calls to one cabinet, one at a time. Thread-safe."""

    def __init__(
        self,
        settings: CabinetSettings,
        *,
        trace: Trace | None = None,
        pace: SignInPace | None = None,
    ) -> None:
        self.enterprise = ""  # its number, once signed in; empty where the cabinet does not tell
        self.discovery: Discovery | None = None
        self._settings = settings
        self._trace: Trace = trace or (lambda _: None)
        self._pace = pace or PACE  # another one in tests
        self._base_url = parse_address(settings.address, allow_plain_http=settings.allow_plain_http)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._transport = Transport(self._base_url, settings, self._trace)
        self._known = Plausibility()  # of its lists
        self._signed_in = False
        self._signed_in_as: int | None = None
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
                with suppress(errors.CabinetError):  # only the trace tells whether it worked
                    transport.send("sign_out", path, within=_SIGN_OUT_WITHIN)
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
            except errors.CabinetError as error:
                error.args = tuple(redact(str(argument)) for argument in error.args)
                raise

    def _sign_in(self) -> None:
        """Send the password, as soon as it may be, and trace what came of it."""
        self._renewed.add("session")
        who = self._credentials()
        left = self._pace.left(who)
        if left <= _WORTH_WAITING:
            self._closing.wait(left)
        self._signed_in_as = who
        with self._pace.sending(who):
            start, result = time.monotonic(), "success"
            try:
                self.enterprise = _send_form(self._transport, self._settings)
            except errors.CabinetError as error:
                result = error.result
                raise
            finally:
                self._trace(SignIn(result, time.monotonic() - start))
        self._signed_in = True
        self._known.session += 1
        # As GWT writes it: configured as a number or a reference, or as found.
        number = self._settings.enterprise or self.enterprise
        self._known.reference = gwt.encode_long(int(number)) if number.isdecimal() else number

    def _credentials(self) -> int:
        """A number for address, login and password, which themselves are not kept."""
        settings = self._settings
        return hash((self._base_url, settings.login, settings.current_password()))

    def _discover(self) -> Discovery:
        """Find the names of the deployment in force, and trace whether it is another one."""
        self.discovery = discover(self._transport, self._settings)
        found = self.discovery.permutation
        if self._permutation and self._permutation != found:
            self._trace(Redeployed(self._permutation, found))
        self._permutation = found
        self._known.deployed(found)
        return self.discovery

    def _call(
        self, service: Service, ask: Callable[..., T], *given: object, renew: bool = True
    ) -> T:
        """Ask by the names in force, and what else is given; sign in or discover if necessary.

        Unless ``renew``, the session and the names that there are have to do.
        """
        if not renew and not (self._signed_in and self.discovery):
            raise errors.SessionEndedError(f"{service.call}: not signed in")
        new_names = self.discovery is None
        while True:
            try:
                if not self._signed_in:
                    self._sign_in()
                names = self.discovery or self._discover()
                if service.path not in names.policies:
                    names.look_for(service.path)
                return ask(names, *given)
            except errors.SessionEndedError as error:
                if not renew:
                    raise
                self._signed_in = False
                if "session" in self._renewed:
                    again = f"{error.args[0]} again, right after signing in"
                    raise errors.NotGwtError(again) from None
            except errors.RedeployedError:
                # Also without renewing: the list's own names may be as they were, and not notice.
                self.discovery = None
                if not renew or new_names or "names" in self._renewed:
                    raise
                self._renewed.add("names")

    def _exchange(self, service: Service, names: Discovery, request: str) -> gwt.Response:
        """Send a request, and read the answer: the ``//OK``, or the error that it means."""
        headers = {
            "Content-Type": contract.CONTENT_TYPE,
            "X-GWT-Permutation": names.permutation,
            "X-GWT-Module-Base": names.module_base,
        }
        call, path = service.call, contract.MODULE_PATH + service.path
        answer = self._transport.send(call, path, request.encode("utf-8"), headers)
        answer.check(call)
        try:
            response = gwt.decode(answer.body, limit=self._settings.max_response)
        except gwt.NotAnAnswerError as error:
            raise errors.NotGwtError(f"{call}: {error}") from None
        except gwt.GwtError as error:
            raise errors.UndecodableError(f"{call}: {error}") from None
        if response.status != "OK":
            raise _refusal(service, response, names)
        return response


def _send_form(transport: Transport, settings: CabinetSettings) -> str:
    """Send the form; return the enterprise's number, empty where the settings alone tell it.

    Both a success and a refusal end in HTTP 200 and HTML, so what counts is where the redirects
    end: at the enterprise's address, or at the login page again. [observed] [assumed]
    """
    transport.start_afresh()
    form = {"j_username": settings.login, "j_password": settings.current_password()}
    body = b""
    with suppress(UnicodeEncodeError):  # its message would quote what it could not encode
        body = urlencode(form).encode("ascii")
    if not body:
        raise errors.LoginRefusedError("sign_in: login or password cannot be written as UTF-8")
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = transport.follow("sign_in", contract.SIGN_IN_PATH, body, headers)
    match = contract.ENTERPRISE_PATH.search(answer.path)
    if match is None and answer.status < 400 and not answer.is_login_page:
        # Signed in, it seems, but sent elsewhere: the root leads to the enterprise. [observed]
        answer = transport.follow("home", "/")
        match = contract.ENTERPRISE_PATH.search(answer.path)
    if answer.status == 403:
        # The password may well be right, but to ask again and again would make it worse.
        raise errors.LoginRefusedError(
            "sign_in: HTTP 403: the cabinet forbids it; the login may be blocked, or this address"
        )
    if answer.status >= 400 and answer.status != 401:
        raise answer.error("sign_in")
    if answer.status == 401 or (match is None and answer.is_login_page):
        if answer.status != 401 and (lost := transport.cookie_rules.why_lost(transport.base_url)):
            raise LostCookieError(f"sign_in: ended at the login page: {lost}")
        raise errors.LoginRefusedError("sign_in: the cabinet refused login and password")
    if match is None and settings.enterprise is None:
        raise errors.NotACabinetError(
            f"sign_in: ended at {answer.path[:100]}, neither an enterprise nor the login page; "
            "enterprise sets the enterprise by hand"
        )
    return match[1] if match else ""


def _refusal(
    service: Service, response: gwt.Response, names: Discovery
) -> errors.GwtExceptionError:
    """Make the error for an ``//EX``."""
    # A broken answer may have any string of its where the class should stand.
    found = response.exception_class if _CLASS.fullmatch(response.exception_class) else ""
    if found != _INCOMPATIBLE:
        said = f"the server answers {found or 'an exception'}"
        return errors.GwtExceptionError(f"{service.call}: {said}")
    # GWT's own message about what is out of date: names of classes and methods, no data.
    text = "".join(response.string_table[1:2])[:_LONGEST]
    said = "".join(letter if letter.isprintable() else " " for letter in text)
    reason = said if _CLASS.search(text) else "no reason given"
    reason = f"{found.rpartition('.')[2]}: {reason}{names.unsure(service)}"
    return errors.RedeployedError(
        f"{service.call}: the server reports that names are out of date ({reason})"
    )
