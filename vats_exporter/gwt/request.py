"""Requests of a GWT-RPC client: from strings and tokens to text, and back.

A request is ``version|flags|n|`` then ``n`` strings and then the tokens, each ended by ``|``. The
way back reads as strictly as Google's server does, and refuses with the exception that it would
throw, so that a simulated server can answer as the real one. What the tokens mean is read by
:mod:`vats_exporter.gwt.reader`. [gwt]
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vats_exporter.gwt.errors import RequestError
from vats_exporter.gwt.javascript import join_surrogates

if TYPE_CHECKING:
    from collections.abc import Sequence

OLDEST_VERSION: Final = 5
NEWEST_VERSION: Final = 7
LAST_VERSION_WITHOUT_LONGS: Final = 5
"""In it, a long is the sum of two doubles, its lower 32 bits and the rest, here and in answers."""
KNOWN_FLAGS: Final = 0b11

INCOMPATIBLE: Final = "com.google.gwt.user.client.rpc.IncompatibleRemoteServiceException"
"""The Java class that a server answers with to almost every request that it can't read."""

_OUT_OF_DATE: Final = (
    "This application is out of date, please click the refresh button on your browser."
)
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "|": "\\!", "\0": "\\0"})
_UNESCAPED: Final = {"0": "\0", "!": "|", "\\": "\\"}
_ESCAPE: Final = re.compile(r"\\(u[0-9A-Fa-f]{4}|.?)", re.DOTALL)
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,4000}")


@dataclass(frozen=True, slots=True)
class Request:
    """A request, taken apart.

    Attributes:
        version: of the format, 5 to 7.
        flags: 1 says that type names are obfuscated, 2 that a token comes first.
        strings: the string table; tokens refer to them from 1 on.
        tokens: numbers and longs as they stand in the text, in the order of reading.
    """

    version: int
    flags: int
    strings: tuple[str, ...]
    tokens: tuple[str, ...]


def build_request(
    strings: Sequence[str], tokens: Sequence[str | int], *, version: int = 7, flags: int = 0
) -> str:
    """Write a request.

    Args:
        strings: the string table, as it should be read: escapes are added here.
        tokens: numbers, and longs in base 64.
        version: of the format.
        flags: see :class:`Request`.

    Returns:
        The body of the request. It may hold raw lone surrogates where ``strings`` do.

    Raises:
        ValueError: a token is empty or holds ``|`` and so would be read as something else.
    """
    parts = [str(version), str(flags), str(len(strings))]
    parts += [string.translate(_ESCAPES) for string in strings]
    for token in map(str, tokens):
        if not token or "|" in token:
            raise ValueError("a token is empty or holds a separator")
        parts.append(token)
    parts.append("")
    return "|".join(parts)


def parse_request(text: str) -> Request:
    """Take a request apart, as strictly as Google's server.

    What stands after the last ``|`` is not a token and is not looked at.

    Args:
        text: the body of the request.

    Returns:
        Its strings, unescaped, and its tokens.

    Raises:
        RequestError: with the class and the message of the exception that the server throws.
    """
    if not text:
        message = "encodedRequest cannot be empty"
        raise RequestError(message, class_name="java.lang.IllegalArgumentException", where=0)
    tokens = text.split("|")[:-1]
    if not tokens:
        raise _refuse_old(text)
    version = read_int(tokens, 0)
    flags = read_int(tokens, 1)
    if not OLDEST_VERSION <= version <= NEWEST_VERSION:
        raise out_of_date(
            f"Expecting version between {OLDEST_VERSION} and {NEWEST_VERSION} from client,"
            f" got {version}."
        )
    if flags & ~KNOWN_FLAGS:
        raise out_of_date(f"Got an unknown flag from client: {flags}")
    count = max(read_int(tokens, 2), 0)
    end = 3 + count
    if end > len(tokens):
        raise incompatible("Too few tokens in RPC request", where=len(text))
    strings = tuple(_unescape(token) if "\\" in token else token for token in tokens[3:end])
    return Request(version, flags, strings, tuple(tokens[end:]))


def incompatible(message: str, *, where: int | None = None) -> RequestError:
    """Make the error that a fault in the serialized data becomes on its way out of the server."""
    return RequestError(message, class_name=INCOMPATIBLE, where=where)


def out_of_date(message: str) -> RequestError:
    """Make the error of a client that fits the server no more; its message has a preface."""
    return incompatible(f"{_OUT_OF_DATE} ( {message} )")


def read_int(tokens: Sequence[str], index: int) -> int:
    """Read a 32-bit integer as Java does.

    Args:
        tokens: of a request.
        index: of the one to read.

    Raises:
        RequestError: there is no such token, or it is not a 32-bit integer.
    """
    if index >= len(tokens):
        raise incompatible("Too few tokens in RPC request")
    token = tokens[index]
    value = int(token) if _INTEGER.fullmatch(token) else None
    if value is None or not -(1 << 31) <= value < 1 << 31:
        kind = _kind_of_number(token)
        raise RequestError(
            f"Expected type 'int' but received {kind}: {token}",
            class_name="java.lang.NumberFormatException",
        )
    return value


def _kind_of_number(token: str) -> str:
    try:
        value = float(token)
    except ValueError:
        return "a non-numerical value"
    if value < -(1 << 31) or value > (1 << 31) - 1:
        return "an out-of-range value"
    return "a fractional value" if value % 1 != 0 else "a non-numerical value"


def _refuse_old(text: str) -> RequestError:
    """Refuse a text without a separator: perhaps a release of long ago."""
    expected = f"xpecting version between {OLDEST_VERSION} and {NEWEST_VERSION}"
    digits = re.match(r"[0-9]+", text)
    if digits is None:
        return out_of_date(f"Malformed or old RPC message received - e{expected}")
    return out_of_date(f"E{expected} from client, got {digits.group()}.")


def _unescape(token: str) -> str:
    def replace(escape: re.Match[str]) -> str:
        name = escape[1]
        if len(name) == 5:
            return chr(int(name[1:], 16))
        if not name:
            raise incompatible(f'Unmatched backslash: "{token}"')
        if name == "u":
            raise incompatible(f'Invalid Unicode escape sequence in "{token}"')
        if name not in _UNESCAPED:
            raise incompatible(f'Unexpected escape character {name} after backslash: "{token}"')
        return _UNESCAPED[name]

    return join_surrogates(_ESCAPE.sub(replace, token))
