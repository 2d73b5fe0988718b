"""Every page of the tab "Абоненты", or none; and whether such a list is believed.

Pages are read until one is empty, or until one is short and a total that is known to be one says
that it is the last: a cabinet may give smaller pages than it was asked for. They must make up one
list, or it is refused as a whole: a snapshot without some trunks would be taken for the truth.

An answer can be well-formed and still not be the list (CONTRACT, sections 3 and 4):

* The number beside a list may be the total, or anything else. It is taken for the total once a list
  that ended by itself had exactly as many rows; from then on a difference refuses the list.
* Where answers show the enterprise's reference, as the request does, they must go on showing it: a
  list with another one in its place is another enterprise's.
* A list that was not empty and suddenly is, or that comes in an object of another class without a
  redeployment, is believed only if a fresh session says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final

from vats_exporter.cabinet.errors import DoubtfulError, IncompleteError
from vats_exporter.cabinet.page import Page, read_trunks
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.trunks import Listing, Trunk

MAX_ROWS: Final = 1_000_000  # more than any enterprise has: the cabinet repeats itself


def read_all(
    read_page: Callable[[int], Page], settings: CabinetSettings, known: Plausibility
) -> Listing:
    """Read all pages, by their number from 0; an ``IncompleteError`` if they make up no list."""
    pages: list[Page] = []
    page_of: dict[str, int] = {}
    while True:
        number = len(pages)
        page = read_page(number)
        known.check_page(page, number)
        pages.append(page)
        _check_page(pages, page_of, settings)
        short = len(page.records) < settings.page_size and settings.check_total
        if not page.records or (short and known.total_confirmed and page.total == len(page_of)):
            break
        if len(page_of) >= MAX_ROWS:
            raise IncompleteError(f"list: no end after {len(page_of)} rows on {len(pages)} pages")
    remark = known.check_total(pages, len(page_of)) if settings.check_total else ""
    known.believe(pages)
    return listing_of(pages, settings, remark)


def listing_of(pages: Sequence[Page], settings: CabinetSettings, remark: str = "") -> Listing:
    """The trunks of pages, and by what they were read: by the rows alone, if one page was."""
    trunks: list[Trunk] = []
    warnings: list[str] = [remark] if remark else []
    # Another reader, or a cabinet that was redeployed between two pages, has other columns.
    for _, group in groupby(pages, key=attrgetter("answer_class", "read_by")):
        read, told = read_trunks([*group], settings.flags)
        trunks += read
        warnings += told
    reason = next((page.not_by_script for page in pages if page.read_by == "block"), "")
    if reason:
        warnings.append(f"read by the block of each row, not by the cabinet's script: {reason}")
    read_by = "block" if reason else "script"
    return Listing(tuple(trunks), tuple(warnings), len(pages), read_by)


def _check_page(pages: Sequence[Page], page_of: dict[str, int], settings: CabinetSettings) -> None:
    """Refuse a page that shows what an earlier one has shown, or itself shows a row twice."""
    number = len(pages) - 1
    refs = [record.ref for record in pages[-1].records]
    first = page_of.get(refs[0], number) if refs else number
    if first < number and refs == [record.ref for record in pages[first].records]:
        raise IncompleteError(
            f"list: page {number + 1} is page {first + 1} again; "
            "list_tail may have {page} in the wrong place"
        )
    for ref in refs:
        if ref in page_of:
            raise IncompleteError(
                f"list: trunk {ref} comes twice, on pages {page_of[ref] + 1} and {number + 1}; "
                "the list changed while it was read"
            )
        page_of[ref] = number
    if len(refs) > settings.page_size:
        raise IncompleteError(
            f"list: page {number + 1} has {len(refs)} rows, {settings.page_size} were asked for; "
            "list_tail may have {page_size} in the wrong place"
        )


class Plausibility:
    """What is known of one account's lists."""

    def __init__(self) -> None:
        self.total_confirmed = False  # whether the number beside the list is its total
        self.reference = ""  # the enterprise's
        self.session = 0  # a number of the session that lists are read in
        self.doubt = ""  # why the latest list is not believed yet
        self._permutation = ""
        self._redeployed = False  # in the course of a list
        self._showing = ""  # the class of answers that show the reference
        # A list's kind is the classes of its answers, each once, and whether it is empty.
        self._believed: tuple[tuple[str, ...], bool] | None = None
        self._doubted: dict[tuple[tuple[str, ...], bool], int] = {}  # and the session it came in

    def deployed(self, permutation: str) -> None:
        """Note the current permutation; little is known of another one's answers."""
        if permutation != self._permutation:
            self._permutation = permutation
            self._redeployed = True
            self.total_confirmed = False
            self._showing = ""
            if self._believed is not None:
                self._believed = (), self._believed[1]

    def check_page(self, page: Page, number: int) -> None:
        """Refuse another enterprise's page."""
        if number == 0:
            self._redeployed = False
        shown = self.reference in page.references
        if page.answer_class == self._showing and page.references and not shown:
            raise IncompleteError(
                f"list: page {number + 1} does not show the enterprise's reference, as those "
                "before did: it may be another enterprise's"
            )
        if page.records and shown:
            self._showing = page.answer_class

    def check_total(self, pages: Sequence[Page], rows: int) -> str:
        """Compare the number beside a list with its rows; a difference may be but a remark."""
        totals = dict.fromkeys(page.total for page in pages if page.total is not None)
        if {*totals} <= {rows}:
            self.total_confirmed |= bool(totals)
            return ""
        shown = ", ".join(map(str, totals))
        if self.total_confirmed:
            raise IncompleteError(
                f"list: {rows} rows, but the cabinet says {shown}; the list changed while it was "
                "read, or that number is no total: then set check_total: false"
            )
        return (
            f"the number beside the list ({shown}) differs from that of its {rows} rows, and is "
            "ignored"
        )

    def believe(self, pages: Sequence[Page]) -> None:
        """Accept a whole list, or raise a ``DoubtfulError``: read it again in a fresh session."""
        last = len(pages) - 1 if self._redeployed else 0
        classes = tuple(dict.fromkeys(page.answer_class for page in pages[last:]))
        empty = not any(page.records for page in pages)
        expected, was_empty = self._believed or (classes[:1], True)
        doubt = ""
        if empty and not was_empty:
            doubt = "it is empty, and was not before"
        elif expected and classes != expected:
            doubt = f"its answers are {_names(classes)}, and not {_names(expected)} as expected"
        if doubt and self._doubted.get((classes, empty), self.session) == self.session:
            self._doubted = {(classes, empty): self.session}
            self.doubt = f"list: {doubt}; it is believed once another session has said the same"
            raise DoubtfulError(self.doubt)
        self._believed, self._doubted, self.doubt = (classes, empty), {}, ""


def _names(signatures: Sequence[str]) -> str:
    """The classes' own names, as much of them as may be shown."""
    names = (one.partition("/")[0].rpartition(".")[2][:100] for one in signatures)
    return ", ".join(name or "a bare value" for name in names)
