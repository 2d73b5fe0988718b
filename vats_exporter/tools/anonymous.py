"""Answers of the cabinet without the people in them, for a bug report.

The shape stays, so that what is wrong with an answer can still be seen in it: every string keeps
its length, its kinds of characters and whether it equals another; every long its length. What they
say does not: phones, names, notes, ids, dates, SIP logins and passwords are replaced, each the
same way wherever it stands. Names of classes and numbers stay.

What replaces what is drawn with a key that is made anew each time and kept nowhere.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from dataclasses import replace
from typing import Final

from vats_exporter.gwt import GWT_2_7, GWT_2_13, SIGNATURE, decode, encode_response

_PHONE: Final = re.compile(r"(?<!\d)([78]?9)(\d{9})(?!\d)", re.ASCII)
_LONG: Final = string.ascii_uppercase + string.ascii_lowercase + string.digits
_KINDS: Final = (
    string.digits,
    string.ascii_lowercase,
    string.ascii_uppercase,
    "абвгдежзиклмнопрстуфхцчшщыэюя",
    "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЭЮЯ",
)


class Anonymiser:
    """Replaces what answers say by something of the same shape, consistently."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._longs: dict[str, str] = {}
        self._taken: set[str] = set()

    def answer(self, body: bytes) -> bytes:
        """Make a GWT-RPC answer anonymous, in the style of the release that wrote it.

        Raises:
            GwtError: it is no GWT-RPC answer.
        """
        response = decode(body)
        quote = body.find(b"'"), body.find(b'"')
        style = GWT_2_7 if 0 <= quote[0] < quote[1] else GWT_2_13
        strings = [
            text if SIGNATURE.fullmatch(text) else self.text(text) for text in response.string_table
        ]
        tokens = [self.long(each) if isinstance(each, str) else each for each in response.tokens]
        other = replace(response, string_table=strings, tokens=tokens)
        return encode_response(other, style=style).encode()

    def text(self, text: str) -> str:
        """Replace a string: a phone by a phone, any other letter and digit by its like."""
        line = next(filter(text.startswith, ("mobsip_", "sip_")), "")
        # Of three pieces, the second is 79, 89 or 9. The nine digits after it are the same phone
        # after each of them, also in its SIP line.
        pieces = enumerate(_PHONE.split(text.removeprefix(line)))
        return line + "".join(one if at % 3 == 1 else self._letters(one) for at, one in pieces)

    def long(self, text: str) -> str:
        """Replace a long's base 64 by another of the same length; no two by the same."""
        if len(text) < 3:
            return text
        kept, seed = 2 if len(text) > 5 else 1, text
        while text not in self._longs:
            seed = f"long {seed}"
            drawn = self._draw(seed, len(text) - kept)
            other = text[:kept] + "".join(_LONG[number % 62] for number in drawn)
            if other not in self._taken:  # pragma: no branch - two draws out of millions meet
                self._taken.add(other)
                self._longs[text] = other
        return self._longs[text]

    def _letters(self, text: str) -> str:
        return "".join(map(_like, text, self._draw(text, len(text))))

    def _draw(self, text: str, count: int) -> bytes:
        """Numbers up to 255 that depend on the text and the key, and on nothing else."""
        seed = self._key + text.encode("utf-8", "surrogatepass")
        return hashlib.shake_256(seed).digest(count)


def _like(character: str, number: int) -> str:
    """A character of the same kind; what is no letter and no digit stays."""
    for kind in _KINDS:
        if character in kind:
            return kind[number % len(kind)]
    if character.isalpha():
        return "Ж" if character.isupper() else "ж"
    return "0" if character.isdigit() else character
