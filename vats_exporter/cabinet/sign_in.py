"""Signing in: the form, what its answer means, and when a password may be sent again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from vats_exporter.cabinet import contract, errors
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.cabinet.transport import Transport

# Seconds between two sendings of a password: at least, and at most after refusals, or failures.
_PAUSE: Final = 60.0
_REFUSED_LIMIT: Final = 3600.0
_FAILED_LIMIT: Final = 300.0


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
                last = sent.error or errors.NotGwtError("sign_in")
                raise type(last)(
                    f"{last}{';' if sent.error else ':'} the password was sent {now - sent.at:.0f} "
                    f"s ago, and is not sent again for {left:.0f} s",
                    retry_after=left,
                )
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


def send_form(transport: Transport, settings: CabinetSettings) -> str:
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
