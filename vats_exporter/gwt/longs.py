"""64-bit integers as GWT-RPC writes them: base 64, most significant digit first.

This is not the base 64 of e-mail: a digit is six bits of the number, the alphabet ends in ``$`` and
``_``, and nothing is padded. ``A`` is 0, ``Bk`` is 100, ``P__________`` is -1. [gwt]
"""

from __future__ import annotations

from typing import Final

from vats_exporter.gwt.errors import LongError

ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789$_"

_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}
_DIGITS_OF_64_BITS: Final = 11
_MASK: Final = (1 << 64) - 1


def encode_long(value: int) -> str:
    """Write an integer in the one form that Google's code writes: without leading zeros.

    Raises:
        LongError: the value does not fit in 64 bits.
    """
    if not -(1 << 63) <= value < 1 << 63:
        raise LongError("the number does not fit in 64 bits")
    rest = value & _MASK
    digits = [ALPHABET[rest & 63]]
    while rest := rest >> 6:
        digits.append(ALPHABET[rest & 63])
    return "".join(reversed(digits))


def decode_long(text: str) -> int:
    """Read an integer.

    Leading zeros (``A``) are read as Google's reader does, although no code writes them. What its
    reader makes up of foreign characters and of bits past the 64th is refused instead.

    Raises:
        LongError: empty, a foreign character (``where`` is its offset), or more than 64 bits.
    """
    if not text:
        raise LongError("a long has no digits", where=0)
    digits = text.lstrip("A")
    value = 0
    # The slice bounds the work: the numbers stay small however long the text is.
    for offset, character in enumerate(digits[: _DIGITS_OF_64_BITS + 1], len(text) - len(digits)):
        digit = _VALUES.get(character)
        if digit is None:
            raise LongError(f"a long has a foreign character at {offset}", where=offset)
        value = value << 6 | digit
    if value > _MASK:
        raise LongError("a long has more than 64 bits")
    return value - (1 << 64) if value >> 63 else value
