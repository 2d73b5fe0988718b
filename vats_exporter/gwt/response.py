r"""Answers of a GWT-RPC server: from bytes to tokens and strings, which get no meaning here.

An answer is a JavaScript expression. Of JavaScript, this much is read::

    answer  = ("//OK" | "//EX") array              elements: token*, table, flags, version
    array   = "[" … "]" [".concat(" "[" … "]" ("," "[" … "]")* ")"]
    token   = string | number | "NaN" | "Infinity" | "-Infinity"
    table   = array of strings
    string  = literal ("+" literal)*               in either quotes, every escape of JavaScript
    number  = as in JSON

Blanks may stand between any two of these. Google's writer cuts an array past 32,768 elements with
``].concat([`` and then ``],[``, anywhere, and the table in the same way; no part is empty. [gwt]

Nearly all answers *are* JSON but for a few places, and ``json`` reads them eleven times faster than
Python code can. So :func:`read_quickly` mends those places where it is certain what they are, and
leaves the others (joined strings, rare escapes, mixed quotes, a cut table, faults) to :func:`scan`,
which says where they break the grammar. Where both read an answer, they read the same.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from json import JSONDecoder
from typing import Any, Final, Literal, TypeAlias

from vats_exporter.gwt.errors import LongError, MalformedError, NotAnAnswerError
from vats_exporter.gwt.javascript import ESCAPE, join_surrogates, unescaped

Status = Literal["OK", "EX"]
Token = int | float | str
"""A number, or the text of a string: longs are strings, see :func:`decode_long`."""

DEFAULT_LIMIT: Final = 64 * 1024 * 1024  # bytes, past which an answer is refused unread
_LAST_DIGITS: Final = b"$_"
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9$_]")
_JSON: Final = "looks like JSON"
# What comes instead of an answer, by how it begins; it is never quoted.
_OTHERS: Final = {"": "empty", "<": "looks like HTML or XML", "{": _JSON, "[": _JSON}
OLDEST_VERSION: Final = 5
NEWEST_VERSION: Final = 8


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, taken apart and not yet understood.

    Attributes:
        status: ``OK``, or ``EX`` where the answer carries an exception.
        version: of the format, 5 to 8.
        flags: 1 says that type names are obfuscated, 2 that a token is required; any integer.
        string_table: the strings; tokens refer to them from 1 on.
        tokens: in wire order, the reverse of that of reading; longs are their base 64.
    """

    status: Status
    version: int
    flags: int
    string_table: list[str] = field(repr=False)
    tokens: list[Token] = field(repr=False)

    @property
    def exception_class(self) -> str:
        """The Java class of the exception in an ``EX``, without its hash; ``""`` if none."""
        index = self.tokens[-1] if self.status == "EX" and self.tokens else 0
        if not isinstance(index, int) or not 0 < index <= len(self.string_table):
            return ""
        return self.string_table[index - 1].partition("/")[0]


def decode(data: bytes | str, *, limit: int = DEFAULT_LIMIT) -> Response:
    """Take an answer apart, given its whole body, of ``limit`` bytes at most.

    Raises:
        NotAnAnswerError: it starts with neither ``//OK`` nor ``//EX``.
        MalformedError: it cannot be read.
    """
    if len(data) > limit:
        raise MalformedError(f"the answer has {len(data)} bytes, more than {limit}")
    start = data[:64] if isinstance(data, str) else data[:64].decode("latin-1")
    if not start.startswith(("//OK", "//EX")):
        kind = _OTHERS.get(start.lstrip()[:1], "starts with neither //OK nor //EX")
        raise NotAnAnswerError(f"not a GWT-RPC answer: {kind}")
    try:
        found = read_quickly(data) or scan(data if isinstance(data, str) else data.decode())
    except UnicodeDecodeError as error:
        raise MalformedError(f"not UTF-8 at byte {error.start}") from None
    tokens, table, flags, version = found
    if not OLDEST_VERSION <= version <= NEWEST_VERSION:
        raise MalformedError(f"version {version} is not {OLDEST_VERSION} to {NEWEST_VERSION}")
    return Response("OK" if start.startswith("//OK") else "EX", version, flags, table, tokens)


def decode_long(text: str) -> int:
    """Read an integer of 64 bits in GWT's base 64: ``Bk`` is 100, ``P__________`` is -1.

    This is not the base 64 of e-mail: a digit is six bits of the number, the most significant one
    first, and nothing is padded. Zeros (``A``) may lead, though no code writes them. [gwt]
    """
    if not text:
        raise LongError("a long has no digits")
    if foreign := _FOREIGN.search(text):
        raise LongError(f"a long has a foreign character at {foreign.start()}")
    digits = text.lstrip("A").rjust(12, "A")  # of nine bytes, the first of which has to be 0
    unsigned = int.from_bytes(b64decode(digits[:12], _LAST_DIGITS), "big")
    if len(digits) > 12 or unsigned >= 1 << 64:
        raise LongError("a long has more than 64 bits")
    return unsigned - (1 << 64) if unsigned >> 63 else unsigned


def encode_long(value: int) -> str:
    """Write an integer as ``decode_long`` reads it; a ``LongError`` if it has more than 64 bits."""
    if not -(1 << 63) <= value < 1 << 63:
        raise LongError("the number does not fit in 64 bits")
    unsigned = value % (1 << 64)
    return b64encode(unsigned.to_bytes(9, "big"), _LAST_DIGITS).decode().lstrip("A") or "A"


_Parts: TypeAlias = tuple[list[Token], list[str], int, int]
"""Tokens in wire order, string table, flags, version."""

# The quick reader

_FIRST: Final = len("//OK[")
_L_TO_E: Final = bytes.maketrans(b"l", b"e")
_ALL_BUT_ENDS: Final = bytes(set(range(256)) - set(b"el,'\""))
_INTEGER: Final = r"(-?(?:0|[1-9][0-9]{0,9}))"
_UNCUT_END: Final = re.compile(rf",{_INTEGER},{_INTEGER}\]")
_CUT_END: Final = re.compile(rf"(?:,|\],\[){_INTEGER}(?:,|\],\[){_INTEGER}\]\)")
_read_json: Final = JSONDecoder().raw_decode


def read_quickly(data: bytes | str) -> _Parts | None:
    """Read an answer with ``json``; ``None`` where that cannot be trusted to be right."""
    pieces: list[bytes] = []
    start, seam = _FIRST, b"].concat(["
    try:
        data = data if isinstance(data, bytes) else data.encode()
        # No token has a bracket in it, so the next one ends a seam or opens the string table.
        while data.endswith(seam, start, (bracket := data.find(b"[", start)) + 1):
            pieces.append(data[start : bracket + 1 - len(seam)])
            start, seam = bracket + 1, b"],["
        # A line break is a blank between tokens, and not allowed within a string.
        head, tail = b",\n".join([*pieces, data[start:bracket]]), data[bracket:]
        # What JSON allows, or reads otherwise, and an answer's head never holds: quotes of both
        # kinds, escapes, objects, and the words true, false and null, each of which puts an "e" or
        # an "l" right before a comma, where a number has a digit and a string its quote.
        if (
            not data.startswith(b"[", _FIRST - 1)
            or (b"'" in head and b'"' in head)
            or b"\\" in head
            or b"{" in head
            or b"e," in head.translate(_L_TO_E, _ALL_BUT_ENDS)
        ):
            return None
        # A null in the table's place makes sure that a comma is right before it.
        text = f"[{str(head, 'ascii')}null]".replace("'", '"')
        tokens, end = _read_json(text)
        if end < len(text):
            return None
        tokens.pop()
        if b"\\x" in tail:
            if b"\0" in tail:
                return None
            # An escaped backslash makes way, so that no x after one is taken for an escape.
            tail = tail.replace(b"\\\\", b"\0").replace(b"\\x", b"\\u00").replace(b"\0", b"\\\\")
        text = tail.decode()
        table, end = _read_json(text)
        "".join(table)  # a TypeError unless all of them are strings
    except (ValueError, TypeError, RecursionError):
        # Not JSON, not UTF-8, raw surrogates; a table not of strings; many brackets.
        return None
    found = (_CUT_END if pieces else _UNCUT_END).fullmatch(text, end)
    return (tokens, table, int(found[1]), int(found[2])) if found else None


# The exact reader

_NO_BLANK: Final = re.compile(r"[^ \t\n\r]")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?|NaN|-?Infinity")
_PIECES: Final = {
    quote: re.compile(rf"(?P<plain>[^{quote}\\\n\r]+)|(?P<end>{quote})|{ESCAPE.pattern}")
    for quote in ("'", '"')
}
"""Of a string literal, by its quote."""


def scan(text: str) -> _Parts:
    """Read an answer in time linear in its length, or raise where it breaks the grammar."""
    return _Scanner(text).answer()


class _Scanner:
    """A place in a text that moves forward as elements are read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 4
        self._open: list[str] = []
        self._table: list[str] | None = None
        self._table_at = 0

    def answer(self) -> _Parts:
        self._expect("[")
        elements = self._array("answer", self._token)
        if self._next():
            raise self._unexpected()
        if self._table is None:
            raise MalformedError(f"no string table before {self._at}")
        if len(elements) < 3 or elements[-3] is not self._table:
            raise MalformedError(f"string table at {self._table_at} is not third from the end")
        *tokens, table, flags, version = elements
        if not isinstance(flags, int) or not isinstance(version, int):
            raise MalformedError(f"flags and version before {self._at} are not integers")
        return tokens, table, flags, version

    def _array(self, name: str, read: Callable[[list[Any]], None]) -> list[Any]:
        """Read an array, of which the first bracket is read, across its cuts."""
        self._open.append(f"{name} at {self._at - 1}")
        elements: list[Any] = []
        separator, goes_on = ".concat(", not self._passes("]")
        while goes_on:
            read(elements)
            while self._passes(","):
                read(elements)
            self._expect("]")
            goes_on = self._passes(separator)
            if goes_on:
                separator = ","
                self._expect("[")
        if separator == ",":
            self._expect(")")
        self._open.pop()
        return elements

    def _token(self, elements: list[Any]) -> None:
        """Read a token, or the string table."""
        character = self._next()
        if character in _PIECES:
            self._string(elements)
        elif character == "[" and self._table is None:
            self._table_at = self._at
            self._at += 1
            self._table = self._array("string table", self._string)
            elements.append(self._table)
        elif number := _NUMBER.match(self._text, self._at):
            is_double = number[1] or number[2] or number[0][-1] in "Ny"  # of NaN or Infinity
            try:
                elements.append(float(number[0]) if is_double else int(number[0]))
            except ValueError:  # Python converts no more than some thousand digits
                raise MalformedError(f"the number at {self._at} is too long") from None
            self._at = number.end()
        else:
            raise self._unexpected()

    def _string(self, elements: list[str]) -> None:
        """Read literals joined by ``+``."""
        parts: list[str] = []
        goes_on = True
        while goes_on:
            pieces = _PIECES.get(self._next())
            if pieces is None:
                raise self._unexpected()
            self._open.append(f"the string at {self._at}")
            self._at += 1
            while (piece := pieces.match(self._text, self._at)) and not piece["end"]:
                parts.append(piece["plain"] or unescaped(piece))
                self._at = piece.end()
            if piece is None:
                raise self._unexpected()
            self._at += 1
            self._open.pop()
            goes_on = self._passes("+")
        elements.append(join_surrogates("".join(parts)))

    def _next(self) -> str:
        """Skip blanks, and give the character that comes then; ``""`` at the end."""
        found = _NO_BLANK.search(self._text, self._at)
        self._at = found.start() if found else len(self._text)
        return found[0] if found else ""

    def _passes(self, what: str) -> bool:
        """Read that if it comes next."""
        passes = bool(self._next()) and self._text.startswith(what, self._at)
        self._at += len(what) * passes
        return passes

    def _expect(self, what: str) -> None:
        if not self._passes(what):
            raise self._unexpected()

    def _unexpected(self) -> MalformedError:
        """Say that what stands here should not, naming one character at most."""
        at, character = self._at, self._text[self._at : self._at + 1]
        if character == "\\":
            return MalformedError(f"bad escape at {at}")
        if character:
            shown = f'"{character}"' if " " < character < "\x7f" else f"U+{ord(character):04X}"
            return MalformedError(f"unexpected {shown} at {at}")
        if self._open:
            return MalformedError(f"{self._open[-1]} is not closed (ends at {at})")
        return MalformedError(f"unexpected end at {at}")
