"""Signing in: the form, the redirects, and how to tell where they ended.

Both a success and a refusal end in HTTP 200 and HTML, so what counts is where the redirects end:
at the enterprise's address, or at the login page again. [observed] [assumed]
"""

from __future__ import annotations

import math
import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from vats_exporter.cabinet.contract import ENTERPRISE_PATH, HOME_PATH, SIGN_IN_PATH
from vats_exporter.cabinet.errors import (
    CabinetError,
    LoginRefusedError,
    NotACabinetError,
    NotGwtError,
)
from vats_exporter.cabinet.trace import SignIn

if TYPE_CHECKING:
    from vats_exporter.cabinet.settings import CabinetSettings
    from vats_exporter.cabinet.trace import Trace
    from vats_exporter.cabinet.transport import Answer, Transport

_LOGIN_FORM: Final = re.compile(
    r"j_spring_security_check|j_password|type\s{0,4}=\s{0,4}[\"']?password", re.IGNORECASE
)
_LOGIN_PATH: Final = re.compile(r"/(?:login|signin|sign-in|auth)\b", re.IGNORECASE)
_LOOKED_AT: Final = 256 * 1024


def is_login_page(answer: Answer) -> bool:
    """Whether an answer is the login page: by its form's fields, or by its address.

    Args:
        answer: any answer of the cabinet.
    """
    text = answer.body[:_LOOKED_AT].decode("utf-8", "replace")
    return bool(_LOGIN_FORM.search(text)) or bool(_LOGIN_PATH.search(answer.path))


def http_error(where: str, answer: Answer) -> NotGwtError:
    """Make the error for an HTTP status that is no answer, with when to ask again.

    Args:
        where: which call, and what it asked for if that is not clear from the call.
        answer: as it came. ``Retry-After`` counts in seconds or names a date. [RFC 9110, 10.2.3]
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


def sign_in(transport: Transport, settings: CabinetSettings, trace: Trace) -> str:
    """Sign in, and find the enterprise.

    Args:
        transport: to the cabinet; keeps the cookie.
        settings: login and password.
        trace: sees how it ended.

    Returns:
        the enterprise's number; empty if the cabinet did not tell and the settings do.

    Raises:
        LoginRefusedError: the redirects end at the login page again.
        NotACabinetError: they end anywhere else.
        NotGwtError: the cabinet answers with an HTTP error.
        CabinetError: of the transport.
    """
    start = time.monotonic()
    result = "success"
    try:
        return _sign_in(transport, settings)
    except CabinetError as error:
        result = error.result
        raise
    finally:
        trace(SignIn(result, time.monotonic() - start))


def _sign_in(transport: Transport, settings: CabinetSettings) -> str:
    transport.forget_cookies()
    try:
        form = urlencode({"j_username": settings.login, "j_password": settings.password})
    except UnicodeEncodeError:
        # Its message would quote what it could not encode.
        form = ""
    if not form:
        raise LoginRefusedError("sign_in: login or password cannot be written as UTF-8")
    answer = transport.post(
        "sign_in",
        SIGN_IN_PATH,
        form.encode("ascii"),
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    match = ENTERPRISE_PATH.search(answer.path)
    if match is None and answer.status < 400 and not is_login_page(answer):
        # Signed in, it seems, but sent elsewhere: the root leads to the enterprise. [observed]
        answer = transport.get("home", HOME_PATH)
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
        raise LoginRefusedError("sign_in: the cabinet refused login and password")
    if match is not None and int(match[1]) < 1 << 63:
        return match[1]
    if settings.enterprise is not None:
        return ""
    raise NotACabinetError(
        f"sign_in: ended at {answer.path[:100]}, neither an enterprise nor the login page; "
        "enterprise sets the enterprise by hand"
    )
