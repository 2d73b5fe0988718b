"""What a cabinet shows, looked at as a whole: for calibration, and for a bug report."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.errors import CabinetError, DifferError
from vats_exporter.cabinet.reading import read_page_anyhow
from vats_exporter.gwt import GwtError, decode
from vats_exporter.redaction import redact
from vats_exporter.tools.anonymous import Anonymiser
from vats_exporter.trunks import Listing

if TYPE_CHECKING:
    from vats_exporter.cabinet.answers import Answer
    from vats_exporter.cabinet.discovery import Discovery
    from vats_exporter.cabinet.page import Page
    from vats_exporter.cabinet.settings import CabinetSettings
    from vats_exporter.trunks import Trunk

_FILES: Final = {
    "nocache": "vpbxGwt.nocache.js",
    "permutation": "permutation.cache.js",
    "fragment": "fragment-{}.cache.js",
    "list": "list-{}.txt",
    "details": "details-{}.txt",
}
"""Names for the answers that are worth keeping, by call."""

_NO_LISTING: Final = Listing((), (), 0)


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
    listing: Listing = _NO_LISTING
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
    """Read a whole cabinet, and keep what it sent: most of all where that cannot be read.

    Args:
        settings: how it is reached and read.
        details: also read the device form of one trunk.
    """
    found = Inspection()
    counts: Counter[str] = Counter()
    lists: list[tuple[bytes, Discovery | None]] = []

    def keep(call: str, answer: Answer) -> None:
        if answer.status == 200 and call in _FILES:
            counts[call] += 1
            found.answers.append((_FILES[call].format(counts[call]), answer.body))
        if call == "list":
            lists.append((answer.body, cabinet.discovery))

    with CabinetClient(settings, observe=keep) as cabinet:
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
