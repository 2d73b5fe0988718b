"""What must not leave the process: passwords, cookies, SIP credentials.

Two nets. Values under a telling name (``password``, ``cookie``, …) are replaced whatever they are.
Registered secrets are replaced wherever they turn up, also as other layers write them: URL- and
form-encoded, base64, JSON- and GWT-escaped. Knows nothing of logs; the log's pipeline ends here.
"""

from __future__ import annotations

import base64
import html
import json
import re
from threading import Lock
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator

MASK: Final = "***"
"""What stands where a secret stood."""

_TELLING: Final = re.compile(
    "passw|pwd|secret|cookie|credential|authorization|jsessionid|sip_?(login|user|auth)",
    re.IGNORECASE,
)
_ASSIGNED: Final = re.compile(
    r"((?:j_password|jsessionid)=|cookie: *|authorization: *(?:basic|bearer) +)[^\s;&\"']+",
    re.IGNORECASE,
)
_SIP: Final = re.compile(r"\bsip_[0-9]{10,11}_[0-9A-Za-z]+")

_SHORT: Final = 4
"""Secrets of fewer characters are replaced only where they stand alone: most texts hold them."""


class _Secrets:
    """The registered secrets, in every form in which they may turn up."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._forms: tuple[str, ...] = ()
        self._short: tuple[re.Pattern[str], ...] = ()

    def add(self, value: str) -> None:
        with self._lock:
            forms = {form for form in _forms(value) if len(form) >= _SHORT}
            # The longest first, so that no part of one form is left when another starts like it.
            self._forms = tuple(sorted(forms.union(self._forms), key=len, reverse=True))
            if 0 < len(value) < _SHORT:
                alone = re.compile(rf"(?<!\w){re.escape(value)}(?!\w)")
                self._short = (*self._short, alone)

    def mask(self, text: str) -> str:
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        for alone in self._short:
            text = alone.sub(MASK, text)
        return text


_secrets: Final = _Secrets()


def register_secret(value: str) -> None:
    """Keep a value out of everything that goes through :func:`redact` from now on.

    Args:
        value: such as a password; an empty one is ignored.
    """
    if value:
        _secrets.add(value)


def redact(text: str) -> str:
    """Replace registered secrets, in any form, and what is a secret by its looks.

    Args:
        text: any text.

    Returns:
        the text with ``***`` in their places.
    """
    return _SIP.sub(MASK, _ASSIGNED.sub(rf"\g<1>{MASK}", _secrets.mask(text)))


def is_telling(name: str) -> bool:
    """Whether values of this name are secrets whatever they are.

    Args:
        name: of a log field, a header or a form field.
    """
    return _TELLING.search(name.replace("-", "_")) is not None


def _forms(value: str) -> Iterator[str]:
    """A secret as it is, and as the layers between here and the cabinet may write it."""
    yield value
    data = value.encode("utf-8", "surrogatepass")
    for safe in ("", "/"):
        for encoded in (quote(data, safe=safe), quote_plus(data, safe=safe)):
            yield encoded
            yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), encoded)
    for ascii_only in (True, False):
        yield json.dumps(value, ensure_ascii=ascii_only)[1:-1]
    yield repr(value)[1:-1]
    yield html.escape(value)
    # GWT's escapes in a request's strings.
    yield value.replace("\\", "\\\\").replace("|", "\\!").replace("\0", "\\0")
    yield from _base64_forms(data)


def _base64_forms(data: bytes) -> Iterator[str]:
    """What a secret looks like inside base64, at each of the three places it may start at.

    The first and the last characters also depend on what stands around it, and are left out.
    """
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + data).decode("ascii")
        first = (0, 2, 3)[shift]
        last = (shift + len(data)) * 8 // 6
        if last - first >= 6:
            yield encoded[first:last]
            yield encoded[first:last].replace("+", "-").replace("/", "_")
