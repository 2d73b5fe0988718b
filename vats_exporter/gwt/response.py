r"""Answers of a GWT-RPC server: from bytes to tokens and strings.

This module knows the frame of an answer: which end is which, what is a token and what a string. It
gives tokens no meaning; objects, rows and classes are the reader's business.

How it works. An answer is JavaScript, not JSON, yet nearly all of it *is* JSON, and the standard
``json`` reads it eleven times faster than Python code could. So an answer is taken apart where it
departs from JSON, with searches that run at C speed, and each piece is given to ``json``:

* The *head*, everything before the string table, holds numbers and longs. A long has no bracket in
  it, so the first ``[`` past the start is a seam (``].concat([`` or ``],[``) or opens the string
  table, and what stands before it tells which. A piece without backslashes and with one kind of
  quote becomes JSON by making its quotes double.
* The *table* is JSON as it stands, unless a string has ``\xNN`` in it, which becomes ``\u00NN``
  once escaped backslashes are out of the way.
* The *trailer* is short enough for a regular expression.

Whatever does not fit — joined strings, other escapes, mixed quotes, blanks in odd places, a fault —
makes the fast path step back without an opinion, and :mod:`vats_exporter.gwt.scanner` reads the
answer from the start. Where both give an answer, they give the same one.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from vats_exporter.gwt.errors import (
    MalformedError,
    NotAnAnswerError,
    TooLargeError,
    UnsupportedVersionError,
)
from vats_exporter.gwt.scanner import LONGEST_NUMBER, Token, scan

Status = Literal["OK", "EX"]

DEFAULT_LIMIT: Final = 64 * 1024 * 1024
"""Bytes past which an answer is refused unread."""

OLDEST_VERSION: Final = 5
NEWEST_VERSION: Final = 8

_STARTS: Final[dict[bytes | str, Status]] = {
    "//OK": "OK",
    b"//OK": "OK",
    "//EX": "EX",
    b"//EX": "EX",
}
_FIRST: Final = len("//OK[")
_SEAM: Final = b"].concat(["
_X: Final = ord("x")
_MOST_PARTS: Final = 2048
"""More than Google's writer makes of any answer within the limit; each costs a call of ``json``."""
_L_TO_E: Final = bytes.maketrans(b"l", b"e")
_ALL_BUT_ENDS: Final = bytes(set(range(256)) - set(b"el,'\""))
_DECODER: Final = json.JSONDecoder()
_INTEGER: Final = r"(-?(?:0|[1-9][0-9]{0,9}))"
_TRAILER: Final = {
    False: re.compile(
        rf",{_INTEGER},{_INTEGER}\]"
        rf"|,{_INTEGER}\]\.concat\(\[{_INTEGER}\]\)"
        rf"|\]\.concat\(\[{_INTEGER}(?:,|\],\[){_INTEGER}\]\)"
    ),
    True: re.compile(rf"(?:,|\],\[){_INTEGER}(?:,|\],\[){_INTEGER}\]\)"),
}

_INTEGERS_ARE_BOUNDED: Final = (
    0 < getattr(sys, "get_int_max_str_digits", lambda: 0)() <= LONGEST_NUMBER
)
"""Whether this interpreter refuses to convert long integers, as releases since 3.10.7 do."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, taken apart and not yet understood.

    Attributes:
        status: ``OK``, or ``EX`` where the answer carries an exception.
        version: of the format, 5 to 8.
        flags: 1 says that type names are obfuscated, 2 that a token is required; any integer.
        string_table: the strings; tokens refer to them from 1 on.
        tokens: in wire order, which is the reverse of the order of reading. Longs are their base 64
            as ``str`` (see :func:`vats_exporter.gwt.decode_long`), everything else is a number.
    """

    status: Status
    version: int
    flags: int
    string_table: list[str] = field(repr=False)
    tokens: list[Token] = field(repr=False)

    @property
    def exception_class(self) -> str:
        """The Java class of the exception that an ``EX`` carries, without its hash; ``""`` if none.

        An answer's object starts with the index of its class in the string table. [gwt]
        """
        if self.status != "EX" or not self.tokens:
            return ""
        index = self.tokens[-1]
        if not isinstance(index, int) or not 0 < index <= len(self.string_table):
            return ""
        return self.string_table[index - 1].partition("/")[0]


def decode(data: bytes | str, *, limit: int = DEFAULT_LIMIT) -> Response:
    """Take an answer apart.

    Args:
        data: the whole body of the answer, as bytes (UTF-8) or as text.
        limit: its greatest length, in bytes; for text, in characters.

    Returns:
        Its tokens and strings.

    Raises:
        TooLargeError: it is longer than ``limit``; nothing of it was read.
        NotAnAnswerError: it starts with neither ``//OK`` nor ``//EX``.
        MalformedError: it cannot be read; ``where`` says from where on.
        UnsupportedVersionError: its version is not 5 to 8.
    """
    if len(data) > limit:
        raise TooLargeError(f"the answer has {len(data)} bytes, more than {limit}", where=limit)
    status = _STARTS.get(data[:4])
    if status is None:
        raise NotAnAnswerError(f"not a GWT-RPC answer: {_kind(data)}", where=0)
    parts = read_quickly(data)
    tokens, table, flags, version = scan(_text(data)) if parts is None else parts
    if not OLDEST_VERSION <= version <= NEWEST_VERSION:
        message = f"version {version} is not {OLDEST_VERSION} to {NEWEST_VERSION}"
        raise UnsupportedVersionError(message)
    return Response(status, version, flags, table, tokens)


def read_quickly(data: bytes | str) -> tuple[list[Token], list[str], int, int] | None:
    """Read an answer with ``json``, or say nothing.

    Args:
        data: the whole answer, starting with ``//OK`` or ``//EX``, which are not looked at.

    Returns:
        Tokens in wire order, string table, flags, version; ``None`` where the answer is anything
        that ``json`` can't be trusted with, be it right or wrong.
    """
    try:
        # As bytes, because the head is ASCII and the table's letters would widen it.
        return _read(data if isinstance(data, bytes) else data.encode())
    except (ValueError, TypeError, RecursionError):
        # ValueError: not JSON, not UTF-8, too many digits, or a text with raw surrogates, which
        # json would leave apart. TypeError: something other than strings in the table.
        # RecursionError: a hill of brackets.
        return None


def _read(data: bytes) -> tuple[list[Token], list[str], int, int] | None:
    if not data.startswith(b"[", _FIRST - 1):
        return None
    tokens: list[Token] = []
    cut = False
    start = _FIRST
    for _ in range(_MOST_PARTS):
        bracket = data.find(b"[", start)
        if bracket < 0:
            return None
        if bracket == start:  # the table is the first element of its part
            break
        if data.startswith(b"],", bracket - 2) and cut:
            end = bracket - 2
        elif data.startswith(_SEAM, end := bracket + 1 - len(_SEAM)) and not cut:
            cut = True
        elif data.startswith(b",", bracket - 1):
            piece = _read_piece(data[start : bracket - 1])
            tokens = tokens + piece if tokens else piece
            break
        else:
            return None
        tokens += _read_piece(data[start:end])
        start = bracket + 1
    else:
        return None
    tail = data[bracket:]
    if b"\\x" in tail:
        tail = _without_short_escapes(tail)
    text = tail.decode()
    table, at = _read_table(text)
    trailer = _TRAILER[cut].fullmatch(text, at)
    if trailer is None:
        return None
    flags, version = (int(number) for number in trailer.groups() if number is not None)
    return tokens, table, flags, version


def _read_piece(piece: bytes) -> list[Token]:
    """Read the tokens between two brackets; a ``ValueError`` leaves them to the scanner."""
    if b"'" in piece and b'"' in piece:
        raise ValueError
    # What JSON allows, or reads otherwise, and an answer's head never holds: escapes, objects, and
    # the words true, false and null, each of which puts an "e" or an "l" right before a comma or
    # the end, where a number has a digit and a string its quote.
    if b"\\" in piece or b"{" in piece:
        raise ValueError
    ends = piece.translate(_L_TO_E, _ALL_BUT_ENDS)
    if b"e," in ends or ends.endswith(b"e"):
        raise ValueError
    if not _INTEGERS_ARE_BOUNDED and max(map(len, piece.split(b","))) > LONGEST_NUMBER:
        raise ValueError  # pragma: no cover - releases of Python before 3.10.7
    text = str(b"[" + piece + b"]", "ascii").replace("'", '"')
    tokens, end = _DECODER.raw_decode(text)
    if not tokens or end != len(text):
        raise ValueError
    return cast("list[Token]", tokens)


def _without_short_escapes(tail: bytes) -> bytes:
    r"""Write ``\xNN`` as ``\u00NN``, and leave an ``x`` after an escaped backslash alone."""
    pieces = tail.split(b"\\")
    if b"" not in pieces:  # no two backslashes meet: each starts an escape, and most texts are so
        return b"\\".join([b"u00" + piece[1:] if piece[0] == _X else piece for piece in pieces])
    pieces = tail.split(b"\\\\")
    return b"\\\\".join([piece.replace(b"\\x", b"\\u00") for piece in pieces])


def _read_table(text: str) -> tuple[list[str], int]:
    """Read the string table, cut or not, and say where it ends; a ``ValueError`` likewise."""
    table, at = _DECODER.raw_decode(text)
    if text.startswith(".concat([", at):
        at += len(".concat(")
        while True:
            part, at = _DECODER.raw_decode(text, at)
            if not part or not table:
                raise ValueError
            table += part
            if text.startswith(")", at):
                at += 1
                break
            if not text.startswith(",[", at):
                raise ValueError
            at += 1
    "".join(table)  # a TypeError unless all of them are strings
    return cast("list[str]", table), at


def _text(data: bytes | str) -> str:
    if isinstance(data, str):
        return data
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        message = f"not UTF-8 at byte {error.start}"
        raise MalformedError(message, where=error.start) from None


def _kind(data: bytes | str) -> str:
    """Name what came instead of an answer, without quoting it."""
    start = data[:64].lstrip()
    first = start[:1]
    if not data:
        return "empty"
    if first in ("<", b"<"):
        return "looks like HTML or XML"
    if first in ("{", "[", b"{", b"["):
        return "looks like JSON"
    return "starts with neither //OK nor //EX"
