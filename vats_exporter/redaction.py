"""What must not leave the process: passwords, cookies, SIP credentials; if asked, personal data.

Values under a telling name are replaced whatever they are, and registered secrets wherever they
stand, also as other layers write them: URL- and form-encoded, base64, JSON- and GWT-escaped.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote, quote_plus

from vats_exporter.trunks import Trunk

MASK: Final = "***"
_TELLING: Final = re.compile(
    "passw|pwd|secret|cookie|credential|authorization|jsessionid|sip[-_]?(login|user|auth)",
    re.IGNORECASE,
)
_LOOKS_SECRET: Final = re.compile(
    r"((?:j_password|jsessionid)=|cookie: *|authorization: *(?:basic|bearer) +)[^\s;&\"']+"
    r"|\bsip_[0-9]{10,11}_[0-9A-Za-z]+",
    re.IGNORECASE,
)
SHOWN_DIGITS: Final = 4  # at a number's end: enough to know one's own by, too few to call it
# Seven digits or more, as people write phones in a name: with dashes, dots, brackets and spaces
# between them, in any script. What is masked and was a date is the smaller harm.
_NUMBER: Final = re.compile(r"\+?\d(?:[\W_]{0,5}\d){6,}")
_LONGEST: Final = 10_000
_DEEPEST: Final = 5

_forms: dict[str, tuple[str, ...]] = {}


def register_secrets(*values: str, owner: str = "") -> None:
    """Keep values out of everything that goes through :func:`redact`; empty ones are ignored.

    With an owner they take the place of those registered before for it, as a session's cookies do;
    without one they stay.
    """
    forms = {form for value in values if value for form in _forms_of(value)}
    _forms[owner] = tuple(sorted(forms.union(() if owner else _forms.get("", ())), key=len)[::-1])


def redact(text: str) -> str:
    """Replace registered secrets, in any form, and what looks like a secret."""
    for forms in tuple(_forms.values()):
        for form in forms:
            if form in text:
                # A short one stands in most texts, and is one only where it stands alone.
                alone = rf"(?<!\w){re.escape(form)}(?!\w)"
                text = re.sub(alone, MASK, text) if len(form) < 4 else text.replace(form, MASK)
    return _LOOKS_SECRET.sub(lambda match: f"{match[1] or ''}{MASK}", text)


def describe_unexpected(error: BaseException) -> str:
    """Return an exception's class and place, as ``unexpected KeyError at rows.py:210``.

    Its message is left out: it may quote what the code choked on, such as a password.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"unexpected {type(error).__name__}{place}"


class Redaction(logging.Filter):
    """Leaves of a record its message and fields, with nothing secret in them. Never raises."""

    def __init__(self, *, with_traceback: bool) -> None:
        super().__init__()
        self._with_traceback = with_traceback

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record in place; exceptions become the fields *error* and *traceback*."""
        try:
            fields = dict(getattr(record, "fields", {"logger": record.name}))
            error = record.exc_info[1] if record.exc_info else None
            if error is not None:
                fields["error"] = f"{type(error).__name__}: {_text(error)}"
                if self._with_traceback:
                    fields["traceback"] = "".join(traceback.format_exception(error))
            try:
                message = record.getMessage()
            except Exception:  # noqa: BLE001  # arguments that do not fit, or cannot be shown
                message = record.msg
            record.msg, record.fields = _clean("", _text(message)), _clean("", fields)
        except Exception as error:  # noqa: BLE001  # what is logged may break in any way when read
            record.msg, record.fields = "cannot log", {"error": type(error).__name__}
        record.args, record.exc_info = None, None
        return True


def _clean(name: str, value: object, depth: int = 0) -> object:
    """A value that can be written as JSON and holds no secret."""
    if _TELLING.search(name) or depth > _DEEPEST:
        return MASK
    if isinstance(value, Mapping):
        items = ((_text(key), item) for key, item in value.items())
        return {redact(key): _clean(key, item, depth + 1) for key, item in items}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean("", item, depth + 1) for item in value]
    text = redact(_text(value))
    if value is None or (isinstance(value, (int, float)) and abs(value) < 1e18):
        # A secret of digits is a whole number, not a part of one.
        return MASK if text == MASK else value
    # Cut after redaction: half a secret would not be found.
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def _text(value: object) -> str:
    try:
        return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
    except Exception:  # noqa: BLE001  # a __str__ may raise anything
        return f"<unprintable {type(value).__name__}>"


def _forms_of(value: str) -> Iterator[str]:
    """A secret as it is, and as the layers between here and the cabinet may write it."""
    data = value.encode("utf-8", "surrogatepass")
    yield from (value, repr(value)[1:-1], html.escape(value))
    yield from (json.dumps(value, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    for encoded in (quote(data, safe=""), quote(data), quote_plus(data), quote_plus(data, "/")):
        yield from (encoded, re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), encoded))
    # GWT's escapes in a request's strings.
    yield value.replace("\\", "\\\\").replace("|", "\\!").replace("\0", "\\0")
    # In base64, at each of the three places it may start at. The first and the last characters
    # also depend on what stands around it.
    for shift, first in enumerate((0, 2, 3)):
        encoded = base64.b64encode(bytes(shift) + data).decode()
        last = (shift + len(data)) * 8 // 6
        if last - first >= 6:
            yield from (encoded[first:last], encoded[first:last].translate({43: 45, 47: 95}))


class Privacy(NamedTuple):
    """What is held back where others may read it: phones wherever they stand, and names.

    A trunk's reference, the cabinet's number of it, tells nothing of a person; it stays, so that
    series, changes and alerts stay those of the same trunk.
    """

    mask_phones: bool = False
    no_names: bool = False

    def trunk(self, trunk: Trunk) -> Trunk:
        """Return a trunk as it may be shown; its line is made of its phone."""
        phone = _masked(trunk.phone) if self.mask_phones else trunk.phone
        name = "" if self.no_names else self.text(trunk.name)
        return trunk._replace(phone=phone, name=name, line=self.text(trunk.line))

    def text(self, text: str) -> str:
        """Return a text as it may be shown."""
        return _NUMBER.sub(lambda match: _masked(match[0]), text) if self.mask_phones else text


def _masked(number: str) -> str:
    digits = [char for char in number if char.isdigit()]
    if len(digits) <= SHOWN_DIGITS:
        return number
    return "*" * (len(digits) - SHOWN_DIGITS) + "".join(digits[-SHOWN_DIGITS:])
