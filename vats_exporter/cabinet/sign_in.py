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

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Final
from urllib.parse import urlencode

from vats_exporter.cabinet.contract import ENTERPRISE_PATH, HOME_PATH, SIGN_IN_PATH
from vats_exporter.cabinet.errors import (
    CabinetError,
    LoginRefusedError,
    NotACabinetError,
    NotGwtError,
    SignIn,
    Trace,
)
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.cabinet.transport import Transport

# Seconds between two sendings of a password: at least, and at most after refusals, or failures.
_PAUSE: Final = 60.0
_REFUSED_LIMIT: Final = 3600.0
_FAILED_LIMIT: Final = 300.0


class LostCookieError(NotACabinetError):
    """The sign-in ended at the login page, and no cookie, or not the session's, went back."""


@dataclass(slots=True)
class _Sent:
    """When a password was last sent, and with what result."""

    at: float
    pause: float
    failures: int = 0
    error: CabinetError | None = None


class SignInPace:
    """Holds sign-ins back until a password may be sent again. Thread-safe.

    ``pause`` seconds are between two sendings, at least; 0 holds nothing back. ``who`` is a number
    for address, login and password.
    """

    def __init__(
        self, *, pause: float = _PAUSE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pause = pause
        self._clock = clock
        self._lock = Lock()
        self._sent: dict[int, _Sent] = {}

    def left(self, who: int) -> float:
        """Seconds until a password may be sent; 0 for now."""
        sent = self._sent.get(who)
        return max(0.0, sent.at + sent.pause - self._clock()) if sent else 0.0

    def send(self, who: int) -> None:
        """Note that a password is sent now, or raise the last error if it may not be sent yet."""
        with self._lock:
            now, sent = self._clock(), self._sent.get(who)
            if sent and (left := self.left(who)):
                said = f"the password was sent {now - sent.at:.0f} s ago, and is not sent again"
                last = sent.error or NotGwtError("sign_in")
                held = type(last)(f"{last}{';' if sent.error else ':'} {said} for {left:.0f} s")
                held.retry_after = left
                raise held
            self._sent[who] = _Sent(now, self._pause, sent.failures if sent else 0)

    def ended(self, who: int, error: CabinetError | None) -> float:
        """Note how that went; return the seconds until the password may be sent again."""
        with self._lock:
            sent = self._sent[who]
            sent.error = error
            # After a success, or no answer, the network is back as suddenly as it went.
            limit = self._pause
            if isinstance(error, LoginRefusedError | LostCookieError):
                limit = _REFUSED_LIMIT
            elif isinstance(error, NotGwtError):
                limit = _FAILED_LIMIT
            sent.failures = sent.failures + 1 if limit > self._pause else 0
            # The exponent is bounded: 2.0 to the power of a month of failures is no float.
            sent.pause = min(self._pause * 2.0 ** min(max(sent.failures - 1, 0), 32), limit)
            return self.left(who)


PACE = SignInPace()
"""Of this process."""


def sign_in(
    transport: Transport, settings: CabinetSettings, trace: Trace, pace: SignInPace, who: int
) -> str:
    """Sign in, and find the enterprise's number; empty if the settings alone tell it.

    Raises:
        LoginRefusedError: the redirects end at the login page again.
        LostCookieError: they do, because of a cookie.
        NotACabinetError: they end anywhere else.
        NotGwtError: an HTTP error, or the password may not be sent yet, as ``pace`` says.
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
    transport.start_afresh()
    form = {"j_username": settings.login, "j_password": settings.current_password()}
    body = b""
    with suppress(UnicodeEncodeError):  # its message would quote what it could not encode
        body = urlencode(form).encode("ascii")
    if not body:
        raise LoginRefusedError("sign_in: login or password cannot be written as UTF-8")
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = transport.send("sign_in", SIGN_IN_PATH, body, headers)
    match = ENTERPRISE_PATH.search(answer.path)
    if match is None and answer.status < 400 and not answer.is_login_page:
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
        raise answer.error("sign_in")
    if answer.status == 401 or (match is None and answer.is_login_page):
        if answer.status != 401 and (lost := transport.lost_cookie):
            raise LostCookieError(f"sign_in: ended at the login page: {lost}")
        raise LoginRefusedError("sign_in: the cabinet refused login and password")
    if match is not None and int(match[1]) < 1 << 63:
        return match[1]
    if settings.enterprise is None:
        raise NotACabinetError(
            f"sign_in: ended at {answer.path[:100]}, neither an enterprise nor the login page; "
            "enterprise sets the enterprise by hand"
        )
    return ""
