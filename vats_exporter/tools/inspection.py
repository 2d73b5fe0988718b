"""What a cabinet shows, looked at as a whole: for calibration, and for a bug report.

For a report, its answers are copied without the people in them. The shape stays, so that what is
wrong with an answer can still be seen in it: every string keeps its length, its kinds of characters
and whether it equals another; every long its length. What they say does not: phones, names, notes,
ids, dates, SIP logins and passwords are replaced, each the same way wherever it stands. Names of
classes and numbers stay. What replaces them is drawn with a key that is made anew each time and
kept nowhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import string
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final

from vats_exporter.cabinet.answers import CallCompleted, TraceEvent
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.discovery import Discovery
from vats_exporter.cabinet.errors import CabinetError, DifferError
from vats_exporter.cabinet.page import Page
from vats_exporter.cabinet.reading import read_page_anyhow
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.gwt import GWT_2_7, GWT_2_13, SIGNATURE, GwtError, decode, encode_response
from vats_exporter.redaction import redact
from vats_exporter.trunks import Listing, Trunk

_FILES: Final = {
    "nocache": "vpbxGwt.nocache.js",
    "permutation": "permutation.cache.js",
    "fragment": "fragment-{}.cache.js",
    "list": "list-{}.txt",
    "details": "details-{}.txt",
}
"""Names for the answers that are worth keeping, by call."""

_PHONE: Final = re.compile(r"(?<!\d)([78]?9)(\d{9})(?!\d)", re.ASCII)
_LONG: Final = string.ascii_uppercase + string.ascii_lowercase + string.digits
_KINDS: Final = (
    string.digits,
    string.ascii_lowercase,
    string.ascii_uppercase,
    "абвгдежзиклмнопрстуфхцчшщыэюя",
    "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЭЮЯ",
)


@dataclass(slots=True)
class Inspection:
    """What was found until everything was read, or something could not be.

    Attributes:
        enterprise: its number or its reference, as found or configured.
        discovery: what the cabinet calls things; ``None`` if that was not found.
        listing: the trunks; none if they could not be read.
        pages: the list's, by their number, those refused because both readings differ included.
        answers: file name and body of every answer that was kept, as the server sent it.
        error: why the trunks could not be read, in one sentence; empty if they could.
    """

    enterprise: str = ""
    discovery: Discovery | None = None
    listing: Listing = field(default_factory=lambda: Listing((), (), 0))
    pages: list[Page | DifferError] = field(default_factory=list)
    answers: list[tuple[str, bytes]] = field(default_factory=list)
    error: str = ""

    @property
    def patterns(self) -> list[tuple[str, list[Trunk]]]:
        """The trunks that show each pattern, the most frequent first."""
        found: dict[str, list[Trunk]] = {}
        for trunk in self.listing.trunks:
            found.setdefault(trunk.pattern, []).append(trunk)
        return sorted(found.items(), key=lambda one: (-len(one[1]), one[0]))


def inspect(settings: CabinetSettings, *, details: bool = False) -> Inspection:
    """Read a whole cabinet, and keep what it sent, most of all where that cannot be read.

    With *details*, the device form of one trunk is read as well.
    """
    found = Inspection()
    counts: Counter[str] = Counter()
    lists: list[tuple[bytes, Discovery | None]] = []

    def keep(event: TraceEvent) -> None:
        if not isinstance(event, CallCompleted):
            return
        call, answer = event.call, event.answer
        if answer.status == 200 and call in _FILES:
            counts[call] += 1
            found.answers.append((_FILES[call].format(counts[call]), answer.body))
        if call == "list":
            lists.append((answer.body, cabinet.discovery))

    with CabinetClient(settings, trace=keep) as cabinet:
        try:
            found.listing = cabinet.read_trunks()
        except CabinetError as error:
            found.error = str(error)
        if details and found.listing.trunks:
            # For the answer alone: what it says is shown by `trunks show`.
            with contextlib.suppress(CabinetError):
                cabinet.read_details(found.listing.trunks[0].ref)
        found.discovery = cabinet.discovery
        found.enterprise = cabinet.enterprise or settings.enterprise or ""
    for body, discovery in lists:
        try:
            table = discovery.table if discovery else None
            found.pages.append(read_page_anyhow(decode(body), table))
        except DifferError as error:
            found.pages.append(error)
        except (GwtError, CabinetError):
            pass  # it was repeated after signing in, or discovering, again
    # A list that is not believed at once is read twice.
    found.pages = found.pages[-found.listing.pages :]
    return found


def anonymous_answers(found: Inspection) -> list[tuple[str, bytes]]:
    """Replace everything personal and secret in the answers.

    Returns:
        file names and bodies. The scripts name classes and services, and lose known secrets alone;
        an answer that is no GWT-RPC is left out.
    """
    anonymiser = Anonymiser()
    kept = []
    for name, body in found.answers:
        with contextlib.suppress(GwtError):
            if name.endswith(".js"):
                kept.append((name, redact(body.decode("utf-8", "replace")).encode()))
            else:
                kept.append((name, anonymiser.answer(body)))
    return kept


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
