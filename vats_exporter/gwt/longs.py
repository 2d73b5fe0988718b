"""64-bit integers as GWT-RPC writes them: base 64, most significant digit first.

This is not the base 64 of e-mail: a digit is six bits of the number, the alphabet ends in ``$`` and
``_``, and nothing is padded. ``A`` is 0, ``Bk`` is 100, ``P__________`` is -1. [gwt]
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Final

from vats_exporter.gwt.errors import LongError

_LAST_DIGITS: Final = b"$_"
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9$_]")
_MOST_DIGITS: Final = 12
"""Of nine bytes, of which the first is 0 in a number of 64 bits."""


def encode_long(value: int) -> str:
    """Write an integer, without leading zeros; a ``LongError`` where it has more than 64 bits."""
    if not -(1 << 63) <= value < 1 << 63:
        raise LongError("the number does not fit in 64 bits")
    unsigned = value % (1 << 64)
    return b64encode(unsigned.to_bytes(9, "big"), _LAST_DIGITS).decode().lstrip("A") or "A"


def decode_long(text: str) -> int:
    """Read an integer; leading zeros too, which Google's reader allows and no code writes.

    Raises:
        LongError: empty, a foreign character, or more than 64 bits; Google's reader makes up
            something.
    """
    if not text:
        raise LongError("a long has no digits")
    if foreign := _FOREIGN.search(text):
        raise LongError(f"a long has a foreign character at {foreign.start()}")
    digits = text.lstrip("A").rjust(_MOST_DIGITS, "A")
    unsigned = int.from_bytes(b64decode(digits[:_MOST_DIGITS], _LAST_DIGITS), "big")
    if len(digits) > _MOST_DIGITS or unsigned >= 1 << 64:
        raise LongError("a long has more than 64 bits")
    return unsigned - (1 << 64) if unsigned >> 63 else unsigned
