"""What a page of the list says, whichever reader read it."""

from __future__ import annotations

import pytest

from vats_exporter.cabinet.page import Record, guess_total

USUAL = dict.fromkeys((2, 3, 4, 6, 7, 8, 9, 10, 11, 12), 0)


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        ({4: 1, 6: 1}, "1100"),
        ({7: 1, 9: 1}, "0011"),
        ({4: None, 6: 1}, "-100"),
        ({4: 1, 8: 1, 12: 30}, "1000+8=1+12=30"),
        ({2: 1}, "0000+2=1"),
    ],
)
def test_a_pattern_shows_the_varying_positions_and_what_is_not_0(
    values: dict[int, int | None], pattern: str
) -> None:
    record = Record("CaLztv", tuple({**USUAL, **values}.values()))
    assert record.pattern == pattern
    assert {at: record.value(at) for at in values} == values


@pytest.mark.parametrize(
    ("numbers", "declared", "total"),
    [
        ([237], 100, 237),
        ([0, 237, 1], 100, 237),
        ([7, 237], 100, 237),  # there can't be fewer than on the page
        ([150, 237], 100, None),
        ([3], 100, None),
        ([], 0, None),
        ([0], 0, 0),
        ([1, 0, 1], 0, None),
        ([1], 1, 1),
    ],
)
def test_a_total_is_guessed_only_where_one_number_alone_may_be_it(
    numbers: list[int], declared: int, total: int | None
) -> None:
    assert guess_total(numbers, declared) == total
