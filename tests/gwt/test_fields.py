import dataclasses

import pytest

from vats_exporter.gwt.fields import ClassFields, Kind, Repeat


def test_the_fields_of_a_class_are_equal_by_value_and_can_be_a_key() -> None:
    one, other = (ClassFields((), (Kind.NUMBER, Repeat((Kind.OBJECT,))), own=2) for _ in range(2))
    assert {one: "plan"}[other] == "plan"


def test_the_fields_of_a_class_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ClassFields((), (), own=0).own = 1  # type: ignore[misc]
