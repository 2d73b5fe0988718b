"""Requests of a GWT-RPC client, ``version|flags|n|``, then ``n`` strings, then the tokens.

They are read as strictly as Google's server does, and refused with the exception that that would
throw, so that a simulated server can answer as the real one. [gwt]
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from vats_exporter.gwt.errors import RequestError
from vats_exporter.gwt.javascript import join_surrogates

OLDEST_VERSION: Final = 5
NEWEST_VERSION: Final = 7
KNOWN_FLAGS: Final = 0b11

INCOMPATIBLE: Final = "com.google.gwt.user.client.rpc.IncompatibleRemoteServiceException"
"""The Java class that a server answers with to almost every request that it can't read."""

_ESCAPES: Final = str.maketrans({"\\": "\\\\", "|": "\\!", "\0": "\\0"})
_UNESCAPED: Final = {"0": "\0", "!": "|", "\\": "\\"}
_BAD_ESCAPES: Final = {"": "Unmatched backslash: ", "u": "Invalid Unicode escape sequence in "}
_ESCAPE: Final = re.compile(r"\\(u[0-9A-Fa-f]{4}|.?)", re.DOTALL)
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,4000}")


class Request(NamedTuple):
    """A request, taken apart. Its tokens refer to its strings from 1 on; longs are base 64.

    Of its flags, 1 says that type names are obfuscated, 2 that a token comes first.
    """

    version: int
    flags: int
    strings: tuple[str, ...]
    tokens: tuple[str, ...]


def build_request(
    strings: Sequence[str], tokens: Sequence[str | int], *, version: int = 7, flags: int = 0
) -> str:
    """Write a request; the strings are escaped here, longs among the tokens are base 64."""
    written = [str(token) for token in tokens]
    if any(not token or "|" in token for token in written):
        raise ValueError("a token is empty or holds a separator")
    escaped = (string.translate(_ESCAPES) for string in strings)
    return "|".join([str(version), str(flags), str(len(strings)), *escaped, *written, ""])


def parse_request(text: str) -> Request:
    """Take a request apart. What stands after the last ``|`` is not a token and not looked at."""
    if not text:
        name = "java.lang.IllegalArgumentException"
        raise RequestError("encodedRequest cannot be empty", class_name=name)
    tokens = text.split("|")[:-1]
    expected = f"xpecting version between {OLDEST_VERSION} and {NEWEST_VERSION}"
    if not tokens:
        old = re.match(r"[0-9]+", text)
        raise out_of_date(
            f"E{expected} from client, got {old[0]}."
            if old
            else f"Malformed or old RPC message received - e{expected}"
        )
    version, flags = read_int(tokens, 0), read_int(tokens, 1)
    if not OLDEST_VERSION <= version <= NEWEST_VERSION:
        raise out_of_date(f"E{expected} from client, got {version}.")
    if flags & ~KNOWN_FLAGS:
        raise out_of_date(f"Got an unknown flag from client: {flags}")
    end = 3 + max(read_int(tokens, 2), 0)
    if end > len(tokens):
        raise incompatible("Too few tokens in RPC request")
    strings = tuple(_unescape(token) if "\\" in token else token for token in tokens[3:end])
    return Request(version, flags, strings, tuple(tokens[end:]))


def incompatible(message: str) -> RequestError:
    """The error that a fault in the serialized data becomes."""
    return RequestError(message, class_name=INCOMPATIBLE)


def out_of_date(message: str) -> RequestError:
    """The error of a client that fits the server no more; its message has a preface."""
    preface = "This application is out of date, please click the refresh button on your browser."
    return incompatible(f"{preface} ( {message} )")


def read_int(tokens: Sequence[str], index: int) -> int:
    """Read a 32-bit integer as Java does, or raise the exception that Java does."""
    if index >= len(tokens):
        raise incompatible("Too few tokens in RPC request")
    token = tokens[index]
    value = int(token) if _INTEGER.fullmatch(token) else None
    if value is None or not -(1 << 31) <= value < 1 << 31:
        name = "java.lang.NumberFormatException"
        raise RequestError(f"Expected type 'int' but received {token}", class_name=name)
    return value


def _unescape(token: str) -> str:
    def replace(escape: re.Match[str]) -> str:
        name = escape[1]
        if len(name) == 5:
            return chr(int(name[1:], 16))
        if name in _UNESCAPED:
            return _UNESCAPED[name]
        unexpected = f"Unexpected escape character {name} after backslash: "
        raise incompatible(f'{_BAD_ESCAPES.get(name, unexpected)}"{token}"')

    return join_surrogates(_ESCAPE.sub(replace, token))
