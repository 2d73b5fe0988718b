"""What a back reference in a record means.

An object that occurs again (an enum, a shared Boolean) is written as a negative number: its place
among all objects read so far, counted from 1. [gwt] So the row's boxed flag may be a reference to
another row's flag, or to an object before the list. What a reference is said to mean is checked:
it must be an object of the class that its column holds.

How many objects come before the list is known as far as the header's tokens tell: a number may look
like a class. By as many places as such tokens allow, and no more, the count may be off. Where two
counts make sense and mean different things, none is taken: a wrong flag is worse than none.
"""

from __future__ import annotations

from typing import NamedTuple

from vats_exporter.cabinet.errors import UndecodableError

Token = int | float | str


class Cell(NamedTuple):
    """One field of one record.

    Attributes:
        class_name: of an object, without its hash; empty for primitives, strings and null.
        value: the token of a primitive or a string, or the first of an object's content; 0 for
            null, which is written like it. [gwt]
        is_object: whether an object stands here, written out or referred to.
    """

    class_name: str
    value: Token
    is_object: bool


class DecodedObject(NamedTuple):
    """An object as numbered for back references; ``value`` is its content's first token."""

    class_name: str
    value: Token


def may_refer(value: Token) -> bool:
    """Whether a token can be a back reference."""
    return isinstance(value, int) and value < 0


def resolve(rows: list[list[Cell]], objects: list[DecodedObject], shifts: range) -> None:
    """Replace the back references of all object columns by what they mean, in place.

    Args:
        rows: as read.
        objects: all objects in reading order.
        shifts: by how much the server's count may be greater than ours; 0 among them.

    Raises:
        UndecodableError: no count makes sense of all references, or several do and differ.
    """
    classes: dict[int, str] = {}
    references: list[tuple[int, int, int]] = []
    plain: set[int] = set()
    for row_number, row in enumerate(rows):
        for column, cell in enumerate(row):
            if cell.is_object:
                if classes.setdefault(column, cell.class_name) != cell.class_name:
                    classes[column] = "*"  # a field of a general type; any class will do
            elif may_refer(cell.value):
                references.append((row_number, column, -int(cell.value)))
            elif cell.value != 0:
                plain.add(column)
    references = [item for item in references if item[1] not in plain]
    if not references:
        return
    row_number, column, number = references[0]
    found = _targets(references, objects, classes, 0)
    if found is None:
        for shift in shifts:
            meant = _targets(references, objects, classes, shift)
            if meant is not None and found is not None and meant != found:
                raise UndecodableError(
                    f"row {row_number + 1}, column {column + 1}: -{number} may refer to two "
                    "objects; how many come before the list cannot be told"
                )
            found = found or meant
    if found is None:
        raise UndecodableError(
            f"row {row_number + 1}, column {column + 1}: -{number} refers to no object "
            "of the kind that stands in this column"
        )
    for (row_number, column, _), target in zip(references, found, strict=True):
        rows[row_number][column] = Cell(target.class_name, target.value, is_object=True)


def _targets(
    references: list[tuple[int, int, int]],
    objects: list[DecodedObject],
    classes: dict[int, str],
    shift: int,
) -> list[DecodedObject] | None:
    """What the references mean if the numbering is off by ``shift``; ``None`` if that can't be."""
    held = dict(classes)
    meant: list[DecodedObject] = []
    for _, column, number in references:
        index = number - 1 - shift
        if not 0 <= index < len(objects):
            return None
        target = objects[index]
        if held.setdefault(column, target.class_name) not in (target.class_name, "*"):
            return None
        meant.append(target)
    return meant
