"""What a cabinet shows, looked at as a whole: for calibration, and for a bug report."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vats_exporter.cabinet import contract
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cabinet.page import KNOWN_PATTERNS
from vats_exporter.cabinet.reading import read_page
from vats_exporter.gwt import GwtError, decode, encode_long
from vats_exporter.redaction import redact
from vats_exporter.tools.anonymous import Anonymiser
from vats_exporter.trunks import Listing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vats_exporter.cabinet.settings import CabinetSettings
    from vats_exporter.cabinet.transport import Answer
    from vats_exporter.trunks import Flags, Trunk

_SCRIPTS = {
    "nocache": "vpbxGwt.nocache.js",
    "permutation": "permutation.cache.js",
    "fragment": "fragment-{}.cache.js",
}


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern of rows, and how it is read.

    Attributes:
        pattern: the values of the varying positions.
        count: trunks that show it.
        example: one of them, with a phone if any has one.
        flags: what the configured positions make of it.
        meaning: of a known pattern; empty for an unknown one.
    """

    pattern: str
    count: int
    example: Trunk
    flags: Flags
    meaning: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of the list.

    Attributes:
        rows: in it.
        declared: the number the list gives itself.
        total: the number of all rows as the answer seems to give it; ``None`` if it can't be told.
    """

    rows: int
    declared: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found.

    Attributes:
        enterprise: the enterprise's number; empty if only a reference is configured.
        reference: as GWT writes it.
        permutation: the strong name in use.
        policies: policy hash by service, of all services that the script names.
        signatures: those that the requests use, by class.
        observed: classes that the script does not name, so that what was once seen is used.
        fragments: how many deferred fragments of the script were read.
        pages: the list's.
        patterns: the most frequent first.
        trunks: all of them.
        warnings: what could not be told.
        read_by: ``script`` or ``block``, by which the list was read.
        not_by_script: why the script did not read it.
        answers: file name and body of every answer worth keeping, as the server sent it.
        error: why the trunks could not be read, in one sentence; empty if they could.
    """

    enterprise: str
    reference: str
    permutation: str
    policies: Mapping[str, str]
    signatures: Mapping[str, str]
    observed: Sequence[str]
    fragments: int
    pages: Sequence[Listed]
    patterns: Sequence[Pattern]
    trunks: Sequence[Trunk]
    warnings: Sequence[str]
    read_by: str
    not_by_script: str
    answers: Sequence[tuple[str, bytes]]
    error: str = ""


def inspect(settings: CabinetSettings, *, details: bool = False) -> Inspection:
    """Read a whole cabinet, and keep what it sent: most of all where that cannot be read.

    Args:
        settings: how it is reached and read.
        details: also read the device form of one trunk.

    Returns:
        what was found until everything was read, or something could not be.
    """
    answers: list[tuple[str, bytes]] = []

    def keep(call: str, answer: Answer) -> None:
        if call in _SCRIPTS and answer.status == 200:
            fragments = sum(name.startswith("fragment") for name, _ in answers)
            answers.append((_SCRIPTS[call].format(fragments + 1), answer.body))
        elif call in ("list", "details"):
            number = sum(name.startswith(call) for name, _ in answers) + 1
            answers.append((f"{call}-{number}.txt", answer.body))

    with CabinetClient(settings, observe=keep) as cabinet:
        listing, error = Listing((), (), 0), ""
        try:
            listing = cabinet.read_trunks()
        except CabinetError as failed:
            error = str(failed)
        if details and listing.trunks:
            # For the answer alone: what it says is shown by `trunks show`.
            with contextlib.suppress(CabinetError):
                cabinet.read_details(listing.trunks[0].ref)
        discovery = cabinet.discovery
        enterprise = cabinet.enterprise or settings.enterprise or ""
    used = {*contract.LIST.classes, *contract.DETAILS.classes}
    found = discovery.signatures if discovery else {}
    return Inspection(
        enterprise=enterprise if enterprise.isdecimal() else "",
        reference=encode_long(int(enterprise)) if enterprise.isdecimal() else enterprise,
        permutation=discovery.permutation if discovery else "",
        policies=discovery.policies if discovery else {},
        signatures={name: found.get(name, contract.OBSERVED_SIGNATURES[name]) for name in used},
        observed=sorted(used - found.keys()) if discovery else (),
        fragments=discovery.fragments if discovery else 0,
        pages=_pages(answers),
        patterns=_patterns(listing.trunks),
        trunks=listing.trunks,
        warnings=listing.warnings,
        read_by=listing.read_by,
        not_by_script=listing.not_by_script,
        answers=answers,
        error=error,
    )


def anonymous_answers(found: Inspection) -> list[tuple[str, bytes]]:
    """Replace everything personal and secret in the answers.

    Args:
        found: an inspection.

    Returns:
        file names and bodies. The scripts name classes and services, and lose known secrets alone;
        an answer that is no GWT-RPC is left out.
    """
    anonymiser = Anonymiser()
    kept = []
    for name, body in found.answers:
        if name.endswith(".js"):
            kept.append((name, redact(body.decode("utf-8", "replace")).encode()))
            continue
        try:
            kept.append((name, anonymiser.answer(body)))
        except GwtError:
            continue
    return kept


def _pages(answers: Sequence[tuple[str, bytes]]) -> list[Listed]:
    pages = []
    for name, body in answers:
        if not name.startswith("list"):
            continue
        try:
            page = read_page(decode(body))
        except (GwtError, CabinetError):
            continue  # an answer that was repeated after signing in, or discovering, again
        pages.append(Listed(len(page.records), page.declared, page.total))
    return pages


def _patterns(trunks: Sequence[Trunk]) -> list[Pattern]:
    by_pattern: dict[str, list[Trunk]] = {}
    for trunk in trunks:
        by_pattern.setdefault(trunk.pattern, []).append(trunk)
    patterns = [
        Pattern(
            pattern,
            len(group),
            next((trunk for trunk in group if trunk.phone), group[0]),
            group[0].flags,
            KNOWN_PATTERNS.get(pattern, ""),
        )
        for pattern, group in by_pattern.items()
    ]
    return sorted(patterns, key=lambda one: (-one.count, one.pattern))
