"""The exact reader of answers: slow, and right about everything.

:mod:`vats_exporter.gwt.response` reads common answers with the standard ``json`` and hands the
others to this module, which is the reference: it knows the whole grammar and says where an answer
breaks it. An answer is a JavaScript expression; of JavaScript this much is accepted::

    answer  = ("//OK" | "//EX") array              elements: token*, table, flags, version
    array   = "[" … "]" [".concat(" "[" … "]" ("," "[" … "]")* ")"]
    token   = string | number | "NaN" | "Infinity" | "-Infinity"
    table   = array of strings
    string  = literal ("+" literal)*                in either quotes, every escape of JavaScript
    number  = as in JSON

Blanks may stand between any two of these. Google's writer cuts an array past 32,768 elements with
``].concat([`` and then ``],[``, between any two elements of a row, before the table, the flags or
the version, and the table likewise. A cut leaves no part empty. [gwt]

Each character is looked at a bounded number of times, so that time is linear in the length of the
text; nothing recurses.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from vats_exporter.gwt.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable

Token = int | float | str
"""A number, or the text of a string; longs are strings."""

LONGEST_NUMBER: Final = 4300
"""Digits past which an integer is refused, as conversion is quadratic; Python's default limit."""

_Element = TypeVar("_Element")

_BLANKS: Final = re.compile(r"[ \t\n\r]*")
_NUMBER: Final = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?|NaN|-?Infinity")
# What nearly all tokens of an answer are, with the comma after it.
_PLAIN_TOKEN: Final = re.compile(
    r"(?:(-?(?:0|[1-9][0-9]{0,17}))|'([A-Za-z0-9$_]*)'|\"([A-Za-z0-9$_]*)\"),"
)
_PLAIN: Final = {'"': re.compile(r'[^"\\\n\r]*'), "'": re.compile(r"[^'\\\n\r]*")}
_JOIN: Final = re.compile(r"[ \t\n\r]*\+[ \t\n\r]*(?=[\"'])")
_CONCAT: Final = re.compile(r"[ \t\n\r]*\.concat\([ \t\n\r]*\[")
_NEXT_PART: Final = re.compile(r"[ \t\n\r]*,[ \t\n\r]*\[")
_PARENTHESIS: Final = re.compile(r"[ \t\n\r]*\)")
_ESCAPE: Final = re.compile(
    r"\\(?:x([0-9A-Fa-f]{2})"
    r"|u([0-9A-Fa-f]{4})"
    r"|u\{0*([0-9A-Fa-f]{1,6})\}"
    r"|([0-3][0-7]{0,2}|[4-7][0-7]?)"
    r"|(\r\n|[\n\r\u2028\u2029])"
    r"|([^xu]))"
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SHORT_ESCAPES: Final = {"b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}


def unexpected(text: str, where: int) -> MalformedError:
    """Say that what stands at an offset should not, naming one character at most."""
    if where >= len(text):
        return MalformedError(f"unexpected end at {where}", where=where)
    character = text[where]
    shown = f'"{character}"' if " " < character < "\x7f" else f"U+{ord(character):04X}"
    return MalformedError(f"unexpected {shown} at {where}", where=where)


def scan(text: str) -> tuple[list[Token], list[str], int, int]:
    """Read an answer.

    Args:
        text: the whole answer, starting with ``//OK`` or ``//EX``, which are not looked at.

    Returns:
        Tokens in wire order, string table, flags, version.

    Raises:
        MalformedError: with the place at which the text breaks the grammar.
    """
    return _Scanner(text).answer()


class _Scanner:
    """A place in a text that moves forward as elements are read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 4
        self._table: list[str] | None = None
        self._table_at = self._table_index = 0

    def answer(self) -> tuple[list[Token], list[str], int, int]:
        self._open()
        elements = self._array(self._element, "answer", self._plain_tokens)
        self._skip_blanks()
        if self._at != len(self._text):
            raise unexpected(self._text, self._at)
        if self._table is None:
            raise MalformedError(f"no string table before {self._at}", where=self._at)
        if len(elements) - self._table_index != 3:
            message = f"string table at {self._table_at} is not third from the end"
            raise MalformedError(message, where=self._table_at)
        version, flags = elements.pop(), elements.pop()
        elements.pop()
        if not isinstance(flags, int) or not isinstance(version, int):
            message = f"flags and version before {self._at} are not integers"
            raise MalformedError(message, where=self._at)
        return elements, self._table, flags, version

    def _array(
        self,
        element: Callable[[int], _Element],
        name: str,
        run: Callable[[list[_Element]], None] = lambda _: None,
    ) -> list[_Element]:
        """Read the elements of an array, of which the first bracket is read, across its cuts.

        Before each element, ``run`` may read any number of them along with their commas.
        """
        text = self._text
        start = self._at - 1
        elements: list[_Element] = []
        cut = False
        self._skip_blanks()
        if text.startswith("]", self._at):
            self._at += 1
            return elements
        while True:
            run(elements)
            self._skip_blanks()
            if self._at >= len(text):
                raise self._not_closed(name, start)
            elements.append(element(len(elements)))
            self._skip_blanks()
            if text.startswith(",", self._at):
                self._at += 1
                continue
            if self._at >= len(text):
                raise self._not_closed(name, start)
            if not text.startswith("]", self._at):
                raise unexpected(text, self._at)
            self._at += 1
            if not self._moved_past(_NEXT_PART if cut else _CONCAT):
                if cut and not self._moved_past(_PARENTHESIS):
                    raise unexpected(text, _end_of_blanks(text, self._at))
                return elements
            cut = True

    def _element(self, index: int) -> Token:
        """Read an element of the answer; the string table leaves a 0 in its place."""
        if self._text.startswith(("'", '"'), self._at):
            return self._string()
        if not self._text.startswith("[", self._at):
            return self._number()
        if self._table is not None:
            raise unexpected(self._text, self._at)
        self._table_at, self._table_index = self._at, index
        self._at += 1
        self._table = self._array(self._table_entry, "string table")
        return 0

    def _plain_tokens(self, elements: list[Token]) -> None:
        """Read plain tokens in a tight loop; whatever is not plain is left to ``_element``."""
        text, at = self._text, self._at
        while match := _PLAIN_TOKEN.match(text, at):
            integer, single, double = match.groups()
            if integer is not None:
                elements.append(int(integer))
            else:
                elements.append(double if single is None else single)
            at = match.end()
        self._at = at

    def _table_entry(self, _index: int) -> str:
        if not self._text.startswith(("'", '"'), self._at):
            raise unexpected(self._text, self._at)
        return self._string()

    def _number(self) -> int | float:
        start = self._at
        match = _NUMBER.match(self._text, start)
        if match is None:
            raise unexpected(self._text, start)
        self._at = match.end()
        integer, fraction, exponent = match.groups()
        if integer is None or fraction is not None or exponent is not None:
            return float(match.group())
        if len(integer) - integer.startswith("-") > LONGEST_NUMBER:
            raise MalformedError(f"the number at {start} is too long", where=start)
        try:
            return int(integer)
        except ValueError:  # an interpreter that was told a lower limit
            message = f"the number at {start} is too long"
            raise MalformedError(message, where=start) from None

    def _string(self) -> str:
        """Read literals joined by ``+``; surrogates that meet, across a join too, combine."""
        parts: list[str] = []
        self._literal(parts)
        while self._moved_past(_JOIN):
            self._literal(parts)
        value = "".join(parts)
        if _SURROGATE.search(value) is None:
            return value
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")

    def _literal(self, parts: list[str]) -> None:
        text, start = self._text, self._at
        quote = text[start]
        plain = _PLAIN[quote]
        at = start + 1
        while True:
            match = plain.match(text, at)
            assert match is not None  # it matches the empty string  # noqa: S101
            parts.append(match.group())
            at = match.end()
            if text.startswith(quote, at):
                self._at = at + 1
                return
            if at >= len(text):
                message = f"the string at {start} is not closed (ends at {at})"
                raise MalformedError(message, where=at)
            if text[at] != "\\":
                raise unexpected(text, at)
            escape = _ESCAPE.match(text, at)
            if escape is None:
                raise MalformedError(f"bad escape at {at}", where=at)
            parts.append(_unescape(escape))
            at = escape.end()

    def _open(self) -> None:
        self._skip_blanks()
        if not self._text.startswith("[", self._at):
            raise unexpected(self._text, self._at)
        self._at += 1

    def _skip_blanks(self) -> None:
        self._at = _end_of_blanks(self._text, self._at)

    def _moved_past(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
        return match is not None

    def _not_closed(self, name: str, start: int) -> MalformedError:
        end = len(self._text)
        message = f"{name} at {start} is not closed (ends at {end})"
        return MalformedError(message, where=end)


def _end_of_blanks(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return at if match is None else match.end()


def _unescape(escape: re.Match[str]) -> str:
    hexadecimal = escape[1] or escape[2] or escape[3]
    if hexadecimal is not None:
        code = int(hexadecimal, 16)
        if code > 0x10FFFF:
            raise MalformedError(f"bad escape at {escape.start()}", where=escape.start())
        return chr(code)
    if escape[4] is not None:
        return chr(int(escape[4], 8))
    if escape[5] is not None:  # a line continuation stands for nothing
        return ""
    return _SHORT_ESCAPES.get(escape[6], escape[6])
