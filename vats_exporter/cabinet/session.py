"""Signing in: the form, the redirects, how to tell where they ended, and when to try again.

Both a success and a refusal end in HTTP 200 and HTML, so what counts is where the redirects end:
at the enterprise's address, or at the login page again. [observed] [assumed]

A password is sent at most once a minute, whatever ended the session: :data:`PACE` holds a sign-in
back until then. It is one for the process, by address, login and password, so that a reload of the
configuration, which makes new clients, changes nothing, and a changed password is tried at once.
After a failure the pause doubles: up to an hour where the password may be the reason, so that no
account is locked, and up to five minutes where the cabinet answers something else, such as a
maintenance page.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from vats_exporter.cabinet.contract import ENTERPRISE_PATH, HOME_PATH, SIGN_IN_PATH
from vats_exporter.cabinet.errors import (
    CabinetError,
    LoginRefusedError,
    NotACabinetError,
    NotGwtError,
    SessionEndedError,
)
from vats_exporter.cabinet.trace import SignIn

if TYPE_CHECKING:
    from collections.abc import Callable

    from vats_exporter.cabinet.settings import CabinetSettings
    from vats_exporter.cabinet.trace import Trace
    from vats_exporter.cabinet.transport import Answer, Transport

PAUSE: Final = 60.0
"""Seconds between two sendings of a password, at least."""

_REFUSED_LIMIT: Final = 3600.0
_FAILED_LIMIT: Final = 300.0
_FORGOTTEN_AFTER: Final = 2 * _REFUSED_LIMIT

_SESSION_ENDED: Final = frozenset({301, 302, 303, 307, 308, 401, 403})
"""Statuses with which a call is sent to the login page. [assumed]"""

_LOGIN_FORM: Final = re.compile(
    r"j_spring_security_check|j_password|type\s{0,4}=\s{0,4}[\"']?password", re.IGNORECASE
)
_LOGIN_PATH: Final = re.compile(r"/(?:login|signin|sign-in|auth)\b", re.IGNORECASE)
_LOOKED_AT: Final = 256 * 1024


class LostCookieError(NotACabinetError):
    """The sign-in ended at the login page, and a cookie of the cabinet's did not come back."""


@dataclass(slots=True)
class _Sent:
    """When a password was last sent, and what came of it."""

    at: float
    pause: float
    failures: int = 0
    error: CabinetError | None = None


class SignInPace:
    """Holds sign-ins back until a password may be sent again. Thread-safe.

    ``pause`` seconds are between two sendings, at least; 0 holds nothing back.
    """

    def __init__(
        self, *, pause: float = PAUSE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause = pause
        self._clock = clock
        self._lock = Lock()
        self._sent: dict[int, _Sent] = {}

    def left(self, credentials: int) -> float:
        """Seconds until a password may be sent; 0 for now."""
        sent = self._sent.get(credentials)
        return max(0.0, sent.at + sent.pause - self._clock()) if sent else 0.0

    def send(self, credentials: int) -> None:
        """Note that a password is sent now, or raise what the last sign-in did: it may not yet."""
        with self._lock:
            now = self._clock()
            if left := self.left(credentials):
                raise _held(self._sent[credentials], now, left)
            for old in [key for key, one in self._sent.items() if now - one.at > _FORGOTTEN_AFTER]:
                del self._sent[old]
            failures = self._sent[credentials].failures if credentials in self._sent else 0
            self._sent[credentials] = _Sent(now, self._pause, failures)

    def ended(self, credentials: int, error: CabinetError | None) -> float:
        """Note how that went; return the seconds until the password may be sent again."""
        with self._lock:
            sent = self._sent[credentials]
            sent.error = error
            if isinstance(error, LoginRefusedError | LostCookieError):
                limit = _REFUSED_LIMIT
            elif isinstance(error, NotGwtError):
                limit = _FAILED_LIMIT
            else:
                # A success, or no answer: the network is back as suddenly as it went.
                limit = self._pause
            sent.failures = sent.failures + 1 if limit > self._pause else 0
            # The exponent is bounded: 2.0 to the power of a month of failures is no float.
            sent.pause = min(self._pause * 2.0 ** min(max(sent.failures - 1, 0), 32), limit)
            return self.left(credentials)


PACE = SignInPace()
"""Of this process."""


def _held(sent: _Sent, now: float, left: float) -> CabinetError:
    ago = f"the password was sent {now - sent.at:.0f} s ago, and is not sent again for {left:.0f} s"
    last = sent.error
    held = type(last)(f"{last}; {ago}") if last else NotGwtError(f"sign_in: {ago}")
    held.retry_after = left
    return held


def is_login_page(answer: Answer) -> bool:
    """Whether an answer is the login page: by its form's fields, or by its address."""
    text = answer.body[:_LOOKED_AT].decode("utf-8", "replace")
    return bool(_LOGIN_FORM.search(text)) or bool(_LOGIN_PATH.search(answer.path))


def check_status(call: str, answer: Answer, *, where: str = "") -> None:
    """See that a call was answered with HTTP 200, its redirects not followed.

    Raises:
        SessionEndedError: it was sent to the login page, or forbidden. [assumed]
        NotGwtError: any other status.
    """
    if answer.status in _SESSION_ENDED:
        status = f"HTTP {answer.status}"
        raise SessionEndedError(
            f"{call}: {status if answer.status >= 400 else f'a redirect ({status})'}"
        )
    if answer.status != 200:
        raise http_error(where or call, answer)


def http_error(where: str, answer: Answer) -> NotGwtError:
    """Make the error for an HTTP status that is no answer, with when to ask again.

    ``Retry-After`` counts in seconds or names a date. [RFC 9110, 10.2.3]
    """
    retry_after = _retry_after(answer.headers.get("retry-after", ""))
    later = f", to be tried again after {retry_after:.0f} s" if retry_after else ""
    error = NotGwtError(f"{where}: HTTP {answer.status}{later}")
    error.retry_after = retry_after
    return error


def _retry_after(header: str) -> float:
    if re.fullmatch("[0-9]{1,9}", header):
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    return max(0.0, math.ceil(date.timestamp() - time.time()))


def sign_in(
    transport: Transport, settings: CabinetSettings, trace: Trace, pace: SignInPace, who: int
) -> str:
    """Sign in, and find the enterprise's number; empty if the settings alone tell it.

    ``who`` stands for the credentials, of which ``pace`` says whether they may be sent.

    Raises:
        LoginRefusedError: the redirects end at the login page again.
        LostCookieError: they do, because of a cookie.
        NotACabinetError: they end anywhere else.
        NotGwtError: the cabinet answers with an HTTP error, or the password may not be sent yet.
        CabinetError: of the transport.
    """
    pace.send(who)
    start = time.monotonic()
    failed: CabinetError | None = None
    try:
        return _sign_in(transport, settings)
    except CabinetError as error:
        failed = error
        raise
    finally:
        again = pace.ended(who, failed)
        if failed:
            failed.retry_after = max(failed.retry_after, again)
        trace(SignIn(failed.result if failed else "success", time.monotonic() - start))


def _sign_in(transport: Transport, settings: CabinetSettings) -> str:
    transport.cookies.forget()
    form = {"j_username": settings.login, "j_password": settings.current_password()}
    try:
        body = urlencode(form)
    except UnicodeEncodeError:
        # Its message would quote what it could not encode.
        body = ""
    if not body:
        raise LoginRefusedError("sign_in: login or password cannot be written as UTF-8")
    answer = transport.send(
        "sign_in",
        SIGN_IN_PATH,
        body.encode("ascii"),
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    match = ENTERPRISE_PATH.search(answer.path)
    if match is None and answer.status < 400 and not is_login_page(answer):
        # Signed in, it seems, but sent elsewhere: the root leads to the enterprise. [observed]
        answer = transport.send("home", HOME_PATH)
        match = ENTERPRISE_PATH.search(answer.path)
    if answer.status == 403:
        # Told apart, because the password may well be right; but as with a refused one, to ask
        # again and again would make it worse.
        raise LoginRefusedError(
            "sign_in: HTTP 403: the cabinet forbids it; the login may be blocked, or this address"
        )
    if answer.status >= 400 and answer.status != 401:
        raise http_error("sign_in", answer)
    if answer.status == 401 or (match is None and is_login_page(answer)):
        lost = transport.cookies.lost(transport.base_url + HOME_PATH)
        if lost and answer.status != 401:
            raise LostCookieError(f"sign_in: ended at the login page: {lost}")
        raise LoginRefusedError("sign_in: the cabinet refused login and password")
    if match is not None and int(match[1]) < 1 << 63:
        return match[1]
    if settings.enterprise is not None:
        return ""
    raise NotACabinetError(
        f"sign_in: ended at {answer.path[:100]}, neither an enterprise nor the login page; "
        "enterprise sets the enterprise by hand"
    )
