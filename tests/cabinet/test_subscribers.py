"""All pages make up one list, or there is no list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vats_exporter.cabinet import subscribers
from vats_exporter.cabinet.errors import IncompleteError, UnreachableError
from vats_exporter.cabinet.page import Page, Record
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.cabinet.subscribers import read_all
from vats_exporter.gwt import encode_long
from vats_exporter.trunks import FLAG_POSITIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

VALUES = tuple(int(position in (4, 6)) for position in FLAG_POSITIONS)


def page(refs: Sequence[int], total: int | None = None) -> Page:
    records = tuple(Record(encode_long(2_600_000_000 + ref), VALUES) for ref in refs)
    return Page(records, len(records), total, told=(("", ""),) * len(records))


def cabinet(rows: int, page_size: int, total: int | None = None) -> Callable[[int], Page]:
    def read(number: int) -> Page:
        start = number * page_size
        return page(range(start, min(start + page_size, rows)), total)

    return read


class Counted:
    """Reads pages and remembers which."""

    def __init__(self, read: Callable[[int], Page]) -> None:
        self.read = read
        self.asked: list[int] = []

    def __call__(self, number: int) -> Page:
        self.asked.append(number)
        return self.read(number)


@pytest.mark.parametrize(
    ("rows", "requests"), [(0, 1), (1, 1), (99, 1), (100, 2), (101, 2), (300, 4), (2600, 27)]
)
def test_pages_are_read_in_order_until_one_is_short(rows: int, requests: int) -> None:
    read = Counted(cabinet(rows, 100, total=rows))
    listing = read_all(read, CabinetSettings())
    assert read.asked == list(range(requests))
    assert listing.pages == requests
    assert [trunk.id for trunk in listing.trunks] == [2_600_000_000 + row for row in range(rows)]


@given(rows=st.integers(0, 60), page_size=st.integers(1, 20))
def test_every_row_is_there_whatever_the_page_size(rows: int, page_size: int) -> None:
    listing = read_all(cabinet(rows, page_size, rows), CabinetSettings(page_size=page_size))
    assert len(listing.trunks) == rows
    assert listing.pages == rows // page_size + 1


def test_a_cabinet_that_ignores_the_page_is_noticed() -> None:
    read = Counted(lambda number: page(range(100)))
    with pytest.raises(IncompleteError, match=r"page 2 is page 1 again.*\{page\}"):
        read_all(read, CabinetSettings())
    assert read.asked == [0, 1]


def test_a_page_that_comes_again_later_is_noticed() -> None:
    pages = [range(100), range(100, 200), range(100)]
    with pytest.raises(IncompleteError, match="page 3 is page 1 again"):
        read_all(lambda number: page(pages[number]), CabinetSettings())


def test_a_row_that_moved_to_the_next_page_is_noticed() -> None:
    pages = [range(100), range(99, 150)]
    with pytest.raises(IncompleteError, match="twice, on pages 1 and 2"):
        read_all(lambda number: page(pages[number]), CabinetSettings())


def test_a_row_that_comes_twice_on_one_page_is_noticed() -> None:
    with pytest.raises(IncompleteError, match="twice, on pages 1 and 1"):
        read_all(lambda number: page([1, 2, 1]), CabinetSettings())


def test_a_page_with_more_rows_than_asked_for_is_noticed() -> None:
    with pytest.raises(IncompleteError, match=r"150 rows, 100 were asked for.*page_size"):
        read_all(lambda number: page(range(150)), CabinetSettings())


def test_smaller_pages_than_asked_for_do_not_pass_as_the_whole_list() -> None:
    with pytest.raises(IncompleteError, match=r"50 rows.*the cabinet says 300.*page_size"):
        read_all(cabinet(300, 50, total=300), CabinetSettings(page_size=100))


def test_a_list_that_is_longer_than_its_total_is_refused() -> None:
    with pytest.raises(IncompleteError, match=r"150 rows.*the cabinet says 140"):
        read_all(cabinet(150, 100, total=140), CabinetSettings())


def test_a_total_that_changes_between_pages_is_noticed() -> None:
    pages = [page(range(100), total=150), page(range(100, 151), total=151)]
    with pytest.raises(IncompleteError, match=r"total changed from page to page \(150, 151\)"):
        read_all(pages.__getitem__, CabinetSettings())


def test_a_number_that_is_no_total_can_be_ignored() -> None:
    settings = CabinetSettings(check_total=False)
    assert len(read_all(cabinet(150, 100, total=7), settings).trunks) == 150


@pytest.mark.parametrize(("check_total", "told"), [(True, None), (False, None), (False, 7)])
def test_without_a_total_that_counts_pages_are_read_until_one_is_empty(
    check_total: bool, told: int | None
) -> None:
    settings = CabinetSettings(check_total=check_total)
    # A cabinet that gives pages of 10, whatever it is asked for.
    read = Counted(cabinet(35, 10, told))
    assert len(read_all(read, settings).trunks) == 35
    assert read.asked == [0, 1, 2, 3, 4]


def test_a_cabinet_that_ignores_the_page_is_noticed_though_its_only_page_is_short() -> None:
    with pytest.raises(IncompleteError, match=r"page 2 is page 1 again.*\{page\}"):
        read_all(lambda number: page(range(35)), CabinetSettings())


def test_a_declared_length_that_does_not_hold_is_noticed() -> None:
    cut = Page(page(range(5)).records, 6)
    with pytest.raises(IncompleteError, match=r"5 rows.*6"):
        read_all(lambda number: cut, CabinetSettings())


def test_a_cabinet_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscribers, "MAX_ROWS", 5_000)
    read = Counted(cabinet(1_000_000, 1_000))
    with pytest.raises(IncompleteError, match="no end after 5000 rows"):
        read_all(read, CabinetSettings(page_size=1_000))
    assert read.asked == [0, 1, 2, 3, 4]


def test_a_page_that_fails_fails_the_list() -> None:
    def read(number: int) -> Page:
        if number == 1:
            raise UnreachableError("list: vpbx.mts.ru: connection reset")
        return page(range(100))

    with pytest.raises(UnreachableError):
        read_all(read, CabinetSettings())
