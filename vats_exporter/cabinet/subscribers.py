"""Every page of the tab "Абоненты", or none.

Pages are read in order until one is short and the answer's total says that it is the last, or until
one is empty. What they give must make up one list: no page twice, no row twice, and as many rows as
the total says, where it says so. Otherwise the list is refused as a whole, because a snapshot
without some trunks would be taken for the truth. So a short page alone is no end: a cabinet may
give smaller pages than it was asked for.
"""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from vats_exporter.cabinet.columns import read_trunks
from vats_exporter.cabinet.errors import IncompleteError
from vats_exporter.trunks import Listing

if TYPE_CHECKING:
    from collections.abc import Callable

    from vats_exporter.cabinet.page import Page
    from vats_exporter.cabinet.settings import CabinetSettings
    from vats_exporter.trunks import Trunk

MAX_ROWS: Final = 1_000_000
"""More subscribers than any enterprise has: past it the cabinet is taken to repeat itself."""


def read_all(read_page: Callable[[int], Page], settings: CabinetSettings) -> Listing:
    """Read all pages.

    Args:
        read_page: reads one page by its number, counted from 0.
        settings: page size, flag positions, whether the total is checked.

    Returns:
        all trunks.

    Raises:
        IncompleteError: the pages do not make up one list.
        CabinetError: of ``read_page``.
    """
    pages: list[Page] = []
    page_of: dict[str, int] = {}
    while True:
        number = len(pages)
        page = read_page(number)
        _check_page(page, number, page_of, pages, settings)
        pages.append(page)
        page_of.update((record.ref, number) for record in page.records)
        if not page.records or _is_last(page, settings):
            break
        if len(page_of) >= MAX_ROWS:
            raise IncompleteError(f"list: no end after {len(page_of)} rows on {len(pages)} pages")
    if settings.check_total:
        _check_total(pages, len(page_of))
    return listing_of(pages, settings)


def listing_of(pages: list[Page], settings: CabinetSettings) -> Listing:
    """Return the trunks of pages, and by what they were read: by the rows alone, if one was."""
    trunks: list[Trunk] = []
    warnings: list[str] = []
    # A cabinet that is redeployed between two pages may have its columns in another order.
    for _, group in groupby(pages, key=attrgetter("answer_class")):
        read, told = read_trunks([*group], settings.flags)
        trunks += read
        warnings += told
    reason = next((page.not_by_script for page in pages if page.read_by == "block"), "")
    if reason:
        sentence = f"read by the block of each row, not by the cabinet's script: {reason}"
        warnings.append(sentence)
    read_by = "block" if reason else "script"
    return Listing(tuple(trunks), tuple(warnings), len(pages), read_by, reason)


def _is_last(page: Page, settings: CabinetSettings) -> bool:
    """Whether no page need be asked for after one: it is short, and a total tells the rest.

    A total that tells of more rows is told so at once, rather than after more pages.
    """
    short = len(page.records) < settings.page_size
    return short and settings.check_total and page.total is not None


def _check_page(
    page: Page, number: int, page_of: dict[str, int], pages: list[Page], settings: CabinetSettings
) -> None:
    """Refuse a page that shows what an earlier one has shown, or itself shows a row twice."""
    refs = [record.ref for record in page.records]
    if page.declared != len(refs):
        raise IncompleteError(
            f"list: page {number + 1} has {len(refs)} rows, but says it has {page.declared}"
        )
    first = page_of.get(refs[0]) if refs else None
    if first is not None and refs == [record.ref for record in pages[first].records]:
        raise IncompleteError(
            f"list: page {number + 1} is page {first + 1} again; "
            "list_tail may have {page} in the wrong place"
        )
    on_page: set[str] = set()
    for ref in refs:
        if ref in page_of or ref in on_page:
            seen = page_of.get(ref, number)
            raise IncompleteError(
                f"list: trunk {ref} comes twice, on pages {seen + 1} and {number + 1}; "
                "the list changed while it was read"
            )
        on_page.add(ref)
    if len(refs) > settings.page_size:
        raise IncompleteError(
            f"list: page {number + 1} has {len(refs)} rows, {settings.page_size} were asked for; "
            "list_tail may have {page_size} in the wrong place"
        )


def _check_total(pages: list[Page], rows: int) -> None:
    """Compare the number of rows with the total that the answers seem to give."""
    totals = {page.total for page in pages if page.total is not None}
    if len(totals) > 1:
        shown = ", ".join(str(page.total) for page in pages if page.total is not None)
        raise IncompleteError(
            f"list: the total changed from page to page ({shown}); the list changed while it was "
            "read, or that number is no total: then set check_total: false"
        )
    if totals and rows not in totals:
        raise IncompleteError(
            f"list: {rows} rows on {len(pages)} pages, but the cabinet says {totals.pop()}; it may "
            "give smaller pages than asked for (page_size), or that number is no total: then set "
            "check_total: false"
        )
