"""What a cabinet shows, looked at as a whole: for calibration, and for a bug report.

For a report, its answers are copied without the people in them. The shape stays, so that what is
wrong with an answer can still be seen in it: every string keeps its length, its kinds of characters
and whether it equals another; every long its length; names of classes and numbers stay. Phones,
names, notes, ids, dates, SIP logins and passwords are replaced at random, each the same everywhere.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from random import SystemRandom
from typing import Final

from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.discovery import Discovery
from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cabinet.reading import Page
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.cabinet.transport import Answer, CallEnded, TraceEvent
from vats_exporter.gwt import GWT_2_7, GWT_2_13, SIGNATURE, GwtError, decode, encode_response
from vats_exporter.redaction import redact
from vats_exporter.trunks import Listing

# Names for the answers that are worth keeping, by call.
_FILES: Final = {
    "nocache": "vpbxGwt.nocache.js",
    "permutation": "permutation.cache.js",
    "fragment": "fragment-{}.cache.js",
    "list": "list-{}.txt",
    "details": "details-{}.txt",
}

_PHONE: Final = re.compile(r"(?<!\d)([78]?9)(\d{9})(?!\d)", re.ASCII)
_LONG: Final = string.ascii_uppercase + string.ascii_lowercase + string.digits
_KINDS: Final = (
    string.digits,
    string.ascii_lowercase,
    string.ascii_uppercase,
    "абвгдежзиклмнопрстуфхцчшщыэюя",
    "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЭЮЯ",
)
_random: Final = SystemRandom()


class Inspection(CabinetClient):
    """A cabinet of which everything is kept, most of all what cannot be read."""

    def __init__(self, settings: CabinetSettings) -> None:
        super().__init__(settings, trace=self._keep)
        self.listing = Listing((), (), 0)  # without trunks if they could not be read
        self.pages: list[Page] = []  # of the list, as far as they could be read
        self.answers: list[tuple[str, bytes]] = []  # file names and bodies, as the server sent them
        self.error: CabinetError | None = None  # why the trunks could not be read
        self._counts: Counter[str] = Counter()

    def _keep(self, event: TraceEvent) -> None:
        match event:
            case CallEnded(call, Answer(status=200, body=body)) if call in _FILES:
                self._counts[call] += 1
                self.answers.append((_FILES[call].format(self._counts[call]), body))

    def _read_page(self, names: Discovery, number: int) -> Page:
        page = super()._read_page(names, number)
        self.pages[number:] = [page]  # a list that is not believed at once is read twice
        return page


def inspect(settings: CabinetSettings, *, details: bool = False) -> Inspection:
    """Read a whole cabinet; with *details*, the device form of one trunk as well."""
    with Inspection(settings) as found:
        try:
            found.listing = found.read_trunks()
        except CabinetError as error:
            found.error = error
        if details and found.listing.trunks:
            # For the answer alone: what it says is shown by `trunks show`.
            with suppress(CabinetError):
                found.read_details(found.listing.trunks[0].ref)
    return found


def anonymous(answers: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Replace everything personal and secret in answers, each given with its file's name.

    Scripts lose known secrets alone; an answer that is no GWT-RPC is left out.
    """
    anonymiser = Anonymiser()
    kept = []
    for name, body in answers:
        with suppress(GwtError):
            if name.endswith(".js"):
                kept.append((name, redact(body.decode("utf-8", "replace")).encode()))
            else:
                kept.append((name, anonymiser.answer(body)))
    return kept


class Anonymiser:
    """Replaces what answers say by something of the same shape, consistently."""

    def __init__(self) -> None:
        # Another text of the same kinds of characters; the same each time.
        self._letters = cache(lambda text: "".join(map(_another, text)))
        self._longs: dict[str, str] = {}
        self._taken: set[str] = set()

    def answer(self, body: bytes) -> bytes:
        """Make a GWT-RPC answer anonymous, in the style of the release that wrote it."""
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
        kept = 2 if len(text) > 5 else 1
        while len(text) > 2 and text not in self._longs:
            other = text[:kept] + "".join(_random.choices(_LONG, k=len(text) - kept))
            if other not in self._taken:  # pragma: no branch - two draws out of millions meet
                self._taken.add(other)
                self._longs[text] = other
        return self._longs.get(text, text)


def _another(character: str) -> str:
    """One of the same kind; what is no letter and no digit stays."""
    for kind in _KINDS:
        if character in kind:
            return _random.choice(kind)
    if character.isalpha():
        return "Ж" if character.isupper() else "ж"
    return "0" if character.isdigit() else character
