"""Where a string can be used first, and what else tokens tell of themselves."""

from __future__ import annotations

import pytest

from vats_exporter.gwt import MalformedError, Response, letters_of
from vats_exporter.gwt.tokens import Tokens

TABLE = [
    "ru.example.Response/1",
    "java.util.ArrayList/2",
    "text",
    "[Lru.example.Row;/3",
    "java.lang.Long/4",
]


def stream(tokens: list[int | float | str], table: list[str] = TABLE) -> Tokens:
    response = Response("OK", 7, 0, table, tokens[::-1])
    return Tokens(response, letters_of(response.tokens[::-1], len(table)))


def test_a_string_is_first_used_between_its_neighbours() -> None:
    found = stream([1, 3, 2, 2, 3, 3, 4, 5])
    assert found.earliest[1:] == [0, 2, 4, 6, 7]
    assert found.latest[1:] == [0, 3, 5, 6, 7]
    assert found.certain == {0, 6, 7}


def test_a_number_before_a_classes_first_use_is_no_class() -> None:
    found = stream([1, 2, 5, 3, 4, 5])
    assert [found.class_at(place) for place in range(6)] == [
        "ru.example.Response",
        "java.util.ArrayList",
        "",
        "",
        "[Lru.example.Row;",
        "java.lang.Long",
    ]


def test_a_number_with_a_point_is_no_string() -> None:
    found = stream([1, 2.0, 2, 3, 4, 5])
    assert found.earliest[2] == 2
    assert found.all == [1, None, 2, 3, 4, 5]


def test_lists_sets_and_arrays_of_objects_are_collections() -> None:
    assert stream([1, 2, 3, 4, 5]).collections == {2, 4}


def test_a_table_whose_strings_are_not_in_the_order_of_their_use_is_refused() -> None:
    with pytest.raises(MalformedError, match="not numbered by their first use"):
        stream([2, 1, 3, 4, 5])


def test_a_string_may_be_used_wherever_its_number_stands_from_the_first_place_on() -> None:
    assert [*stream([1, 3, 2, 2, 3, 3, 4, 5]).uses(3)] == [4, 5]
