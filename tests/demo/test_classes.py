"""The application's classes, and the layout of a row."""

from __future__ import annotations

import pytest

from vats_exporter.demo import RowLayout
from vats_exporter.demo.classes import (
    APPLICATION_CLASSES,
    COLUMNS,
    FIELDS,
    LASTING_SIGNATURES,
    LIST_RECORD,
    LIST_REQUEST,
    LIST_RESPONSE,
    READINGS,
    ROW_COLUMNS,
    Reading,
)
from vats_exporter.demo.population import Population


def test_a_layout_refuses_columns_that_nobody_can_write() -> None:
    with pytest.raises(ValueError, match="no such columns: colour, size"):
        RowLayout(after=("size", "note", "colour"))


def test_the_usual_layout_has_every_usual_column() -> None:
    assert {*RowLayout().before, *RowLayout().after} == set(ROW_COLUMNS)


@pytest.mark.parametrize("kind", READINGS)
def test_a_row_has_a_value_for_each_field_of_its_class(kind: Reading) -> None:
    layout = RowLayout(before=tuple(COLUMNS), after=(), kind=kind)
    assert len(layout.row(Population().make_one()).values) == len(layout.fields().deserialize)


def test_every_class_has_its_fields() -> None:
    chosen = {LIST_RECORD, LIST_REQUEST, LIST_RESPONSE}
    assert {*LASTING_SIGNATURES, *APPLICATION_CLASSES} - chosen == FIELDS.keys()
