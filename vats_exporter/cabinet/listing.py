"""Every page of the tab "Абоненты", or none; whether such a list is believed, and its trunks.

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

Which texts are phones and names is told from how the values of a column look over all pages: a
phone by its digits, a name by being there, being different from row to row and being written as
names are. [assumed]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from vats_exporter.cabinet.by_block import KNOWN_PATTERNS
from vats_exporter.cabinet.errors import DoubtfulError, IncompleteError, UndecodableError
from vats_exporter.cabinet.reading import Column, Page
from vats_exporter.cabinet.texts import is_written_as_a_name
from vats_exporter.gwt import LongError, decode_long
from vats_exporter.trunks import FLAG_POSITIONS, Flags, Listing, Trunk, normalise_phone

if TYPE_CHECKING:  # a saved answer is decoded without pydantic
    from vats_exporter.cabinet.settings import CabinetSettings, FlagPositions

# Rows more than another column's, at least, in which a column of phones must show one.
_CLEARLY: Final = 3
MAX_ROWS: Final = 1_000_000  # more than any enterprise has: the cabinet repeats itself


def read_all(
    read_page: Callable[[int], Page], settings: CabinetSettings, plausibility: Plausibility
) -> Listing:
    """Read all pages, by their number from 0; an ``IncompleteError`` if they make up no list."""
    pages: list[Page] = []
    page_of: dict[str, int] = {}  # the number of a row's page, from 1, by its reference
    while True:
        page = read_page(len(pages))
        pages.append(page)
        plausibility.check_page(page, len(pages))
        _check_rows(pages, page_of, settings.page_size)
        if not page.records:
            break
        short = len(page.records) < settings.page_size and settings.check_total
        if short and plausibility.total_confirmed and page.total == len(page_of):
            break
        if len(page_of) >= MAX_ROWS:
            raise IncompleteError(f"list: no end after {len(page_of)} rows on {len(pages)} pages")
    remark = plausibility.check_total(pages, len(page_of)) if settings.check_total else ""
    plausibility.believe(pages)
    return _make_listing(pages, settings.flags, [remark] if remark else [])


def _make_listing(pages: Sequence[Page], positions: FlagPositions, warnings: list[str]) -> Listing:
    """Make the listing of all pages; the warnings are what is to be said of them already."""
    trunks: list[Trunk] = []
    # Another reader, or a cabinet that was redeployed between two pages, has other columns.
    for _, group in groupby(pages, key=attrgetter("answer_class", "read_by")):
        read, told = make_trunks([*group], positions)
        trunks += read
        warnings += told
    # The list was read by the rows alone if one of its pages was.
    reason = next((page.not_by_script for page in pages if page.read_by == "block"), "")
    if reason:
        warnings.append(f"read by the block of each row, not by the cabinet's script: {reason}")
    read_by = "block" if reason else "script"
    return Listing(tuple(trunks), tuple(warnings), len(pages), read_by)


def _check_rows(pages: Sequence[Page], page_of: dict[str, int], page_size: int) -> None:
    """Note the rows of the last page in ``page_of``; refuse too many, and those shown before."""
    number = len(pages)
    refs = [record.ref for record in pages[-1].records]
    first = page_of.get(refs[0], number) if refs else number
    if first < number and refs == [record.ref for record in pages[first - 1].records]:
        raise IncompleteError(
            f"list: page {number} is page {first} again; "
            "list_tail may have {page} in the wrong place"
        )
    for ref in refs:
        if ref in page_of:
            raise IncompleteError(
                f"list: trunk {ref} comes twice, on pages {page_of[ref]} and {number}; "
                "the list changed while it was read"
            )
        page_of[ref] = number
    if len(refs) > page_size:
        raise IncompleteError(
            f"list: page {number} has {len(refs)} rows, {page_size} were asked for; "
            "list_tail may have {page_size} in the wrong place"
        )


class Plausibility:
    """What is known of one account's lists, by which the next one is believed or not."""

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

    def signed_in(self, reference: str) -> None:
        """Note that lists are read in another session, and the enterprise's reference in it."""
        self.session += 1
        self.reference = reference

    def check_page(self, page: Page, number: int) -> None:
        """Refuse another enterprise's page; it is the ``number``-th of its list."""
        if number == 1:
            self._redeployed = False
        shown = self.reference in page.longs
        if page.answer_class == self._showing and page.longs and not shown:
            raise IncompleteError(
                f"list: page {number} does not show the enterprise's reference, as those before "
                "did: it may be another enterprise's"
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


def make_trunks(
    pages: Sequence[Page], positions: FlagPositions
) -> tuple[tuple[Trunk, ...], tuple[str, ...]]:
    """Turn the rows of all pages into trunks; also say what could not be told of them.

    An ``UndecodableError`` is for a reference that is no number GWT could have written.
    """
    records = [record for page in pages for record in page.records]
    columns: dict[Column, list[str | None]] = {
        column: [
            text for page in pages for text in page.texts.get(column, [None] * len(page.records))
        ]
        for column in dict.fromkeys(column for page in pages for column in page.texts)
    }
    nothing = [""] * len(records)
    column, phones = _find_phones(columns)
    columns.pop(column, None)
    names = columns.get(_name_column(columns), nothing)
    meant: dict[tuple[int | None, ...], tuple[Flags, str, bool]] = {}
    for record in records:
        if record.values not in meant:
            at = dict(zip(FLAG_POSITIONS, record.values, strict=True))
            flags = Flags(**{flag: bool(at[position]) for flag, position in positions})
            pattern = record.pattern
            meant[record.values] = flags, pattern, pattern in KNOWN_PATTERNS
    try:
        trunks = tuple(
            Trunk(ref, _number(ref), phone, name or "", *meant[values])
            for (ref, values), phone, name in zip(records, phones or nothing, names, strict=True)
        )
    except LongError as error:
        raise UndecodableError(f"a row's reference is not a number: {error}") from None
    return trunks, _warnings(trunks)


_number = lru_cache(maxsize=1 << 15)(decode_long)  # each refresh shows the same references again


def _find_phones(columns: Mapping[Column, Sequence[str | None]]) -> tuple[Column, list[str]]:
    """The trunks' own phones, and their column; nothing if there is none, or no single one.

    No two trunks have the same phone, so it is a column that shows each once, and of several the
    one that shows clearly more: to take one of two alike would be to guess a trunk's number. A few
    phones among other texts are notes.
    """
    ranked = []
    for column, texts in columns.items():
        phones = [normalise_phone(text) if text else "" for text in texts]
        shown = [*filter(None, phones)]
        if 2 * len(shown) > sum(map(bool, texts)):
            ranked.append((len({*shown}) == len(shown), len(shown), column, phones))
    if not ranked:
        return (), []
    (once, most, column, phones), *others = sorted(ranked, reverse=True)
    for also_once, fewer, _, other in others:
        clearly = once > also_once or most - fewer >= max(_CLEARLY, most // 10)
        if not clearly and other != phones:
            return (), []
    return column, phones


def _name_column(columns: Mapping[Column, Sequence[str | None]]) -> Column:
    """The column that looks most like the rows' names; ``()`` if none holds words at all.

    Names are there in every row, differ from row to row, and are written as two to four words
    with capitals. A department or a note fails in one of these.
    """
    scores: list[tuple[float, Column]] = []
    for column, texts in columns.items():
        there = [*filter(None, texts)]
        if any(character.isalpha() for text in there for character in text):
            named = sum(map(is_written_as_a_name, there))
            score = (len(there) + 2 * named) / len(texts) + len({*there}) / len(there)
            scores.append((score, column))
    return max(scores, default=(0, ()))[1]


def _warnings(trunks: Sequence[Trunk]) -> tuple[str, ...]:
    warnings = []
    missing = sum(not trunk.phone for trunk in trunks)
    if trunks and missing == len(trunks):
        warnings.append(f"no column of the list is certainly the phone: {missing} trunks have none")
    elif missing:
        warnings.append(f"{missing} of {len(trunks)} trunks show no phone")
    unknown = Counter(trunk.pattern for trunk in trunks if not trunk.known)
    if unknown:
        counts = ", ".join(f"{pattern} ({count})" for pattern, count in sorted(unknown.items()))
        warnings.append(f"unknown patterns: {counts}")
    return tuple(warnings)
