"""Answers, byte for byte as Google's server code writes them.

Escapes and cuts are those of releases 2.7.0 and 2.13.1. [gwt] Java and Python may know different
releases of Unicode, so characters younger than either may be escaped by one and not by the other;
both forms read the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable
from decimal import Decimal
from functools import cache
from math import isfinite
from typing import Final, Literal, NamedTuple

from vats_exporter.gwt.response import (
    NEWEST_VERSION,
    OLDEST_VERSION,
    Response,
    Status,
    Token,
    encode_long,
)


class Style(NamedTuple):
    """What differs between releases of Google's server code, and its sizes."""

    quote: Literal["'", '"'] = "'"  # what encloses longs
    short_hexadecimal: bool = True  # whether characters below U+0100 are escaped by two digits
    array_part: int = 1 << 15  # elements after which an array is cut; later parts hold one more
    string_part: int = 0xFFFF - 5  # characters, as escaped, after which a string is cut


GWT_2_7: Final = Style()  # releases up to 2.7, as the cabinet has it [observed]
GWT_2_13: Final = Style(quote='"', short_hexadecimal=False)  # releases from 2.8 on

_SHORT: Final = str.maketrans('\b\t\n\f\r"\\', 'btnfr"\\')
_MARKED: Final = "'&<=>\u2011"
"""Against browsers that take an answer for HTML, and against a break after U+2011."""


@cache
def escaped(character: str, short_hexadecimal: bool) -> str:  # noqa: FBT001 - called for each
    """What stands for a character in a string's literal."""
    code = ord(character)
    if code in _SHORT:
        return "\\" + character.translate(_SHORT)
    if code > 0xFFFF:  # two surrogates, each escaped
        units = character.encode("utf-16-be").hex().upper()
        return f"\\u{units[:4]}\\u{units[4:]}"
    # Marks, separators, and "other": control, format, surrogate, private, unassigned.
    is_odd = character != " " and unicodedata.category(character)[0] in "MZC"
    if not is_odd and character not in _MARKED:
        return character
    return f"\\x{code:02X}" if code < 0x100 and short_hexadecimal else f"\\u{code:04X}"


_ESCAPED_UNIT: Final = re.compile(r"\\u....|\\x..|\\.|[^\\]")


def encode_response(response: Response, *, style: Style = GWT_2_7) -> str:
    """Write the body of an answer, to be sent as UTF-8.

    Version 8 is JSON; it becomes 7 where an array or a string has to be cut.
    """
    version = response.version
    if not OLDEST_VERSION <= version <= NEWEST_VERSION:
        raise ValueError(f"no such version: {version}")
    if version == NEWEST_VERSION and style.quote != '"':
        raise ValueError("an answer that is JSON has no single quotes")
    strings = [_literal(string, style) for string in response.string_table]
    elements = [_token(token, style) for token in response.tokens]
    elements.append(_array(strings, style.array_part))
    elements.append(str(response.flags))
    # The choice falls before the version itself is written: its own cut comes too late for it.
    is_cut = (
        len(elements) > style.array_part
        or len(strings) > style.array_part
        or any('"+"' in string for string in strings)  # inside of one it is escaped
    )
    elements.append(str(min(version, NEWEST_VERSION - is_cut)))
    return f"//{response.status}{_array(elements, style.array_part)}"


def _array(elements: list[str], part: int) -> str:
    if len(elements) <= part:
        return f"[{','.join(elements)}]"
    # Google's count of a part starts anew after, not with, the part's first element.
    parts = [elements[:part]]
    parts += [elements[at : at + part + 1] for at in range(part, len(elements), part + 1)]
    first, *others = (f"[{','.join(some)}]" for some in parts)
    return f"{first}.concat({','.join(others)})"


def _literal(string: str, style: Style) -> str:
    text = "".join([escaped(character, style.short_hexadecimal) for character in string])
    if len(text) <= style.string_part:
        return f'"{text}"'
    nodes: list[str] = []
    start = length = 0
    for unit in _ESCAPED_UNIT.finditer(text):
        # A part ends with the character that fills it, not before; the last one is never empty.
        if length >= style.string_part:
            nodes.append(text[start : unit.start()])
            start, length = unit.start(), 0
        length += unit.end() - unit.start()
    nodes.append(text[start:])
    return '"' + '"+"'.join(nodes) + '"'


def _token(token: Token, style: Style) -> str:
    if isinstance(token, str):
        return f"{style.quote}{token}{style.quote}"
    return _double(token) if isinstance(token, float) else str(token)


def _double(value: float) -> str:
    """Write a double as Java does: always with a point, exponents from 10^7 and below 10^-3."""
    if not isfinite(value):
        return repr(value).replace("nan", "NaN").replace("inf", "Infinity")
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)  # Python's exponents start further out on both sides
    digits, _, exponent = f"{Decimal(repr(value)).normalize():E}".partition("E")
    return f"{digits}{'' if '.' in digits else '.0'}E{int(exponent)}"


class ResponseWriter:
    """Takes values in the order in which a server writes them and makes an answer of them."""

    def __init__(self) -> None:
        self._tokens: list[Token] = []
        self._indices: dict[str, int] = {}
        self._objects = 0
        self._shared: dict[Hashable, int] = {}

    def write_object(self, signature: str, *, share: Hashable = None) -> bool:
        """Start an object, or refer to one that is written already; then it gives False.

        Args:
            signature: its class and hash, ``java.lang.Long/4227064769``.
            share: what it is known by, where the server would meet the same object again (enum
                constants; ``Boolean.TRUE``); ``None`` for an object that is met once.
        """
        if share in self._shared:
            self._tokens.append(-self._shared[share])
            return False
        # The object is counted before its content, so that its fields can refer to it.
        self._objects += 1
        if share is not None:
            self._shared[share] = self._objects
        self.write_string(signature)
        return True

    def write_string(self, value: str | None) -> None:
        """Write a string; equal strings share an entry of the table."""
        number = 0 if value is None else self._indices.setdefault(value, len(self._indices) + 1)
        self._tokens.append(number)

    def write_number(self, value: float) -> None:
        """Write a primitive other than a long, an enum's ordinal, a length, or 0 for null."""
        self._tokens.append(+value)  # a boolean as a number

    def write_long(self, value: int) -> None:
        """Write a primitive long; one of more than 64 bits is a ``LongError``."""
        self._tokens.append(encode_long(value))

    def finish(self, status: Status = "OK") -> Response:
        """Make an answer of all that was written; ``EX`` where it is an exception."""
        return Response(status, 7, 0, list(self._indices), self._tokens[::-1])
