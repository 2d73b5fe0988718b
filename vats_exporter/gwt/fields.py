"""What a compiled client reads of each class: its fields, in wire order.

Plain data, found by :mod:`vats_exporter.gwt.script` in a permutation.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class Kind(Enum):
    """How one field stands in an answer."""

    NUMBER = "number"
    """A byte, char, short, int, float or double: the client reads all of them alike."""
    BOOLEAN = "boolean"
    LONG = "long"
    """One token in GWT's base 64."""
    STRING = "string"
    """An index into the string table, 0 for null."""
    OBJECT = "object"
    """A class's index and the object's fields; a negative number for one met before; 0 for null."""
    ENUM = "enum"
    """The constant's ordinal. Read by an enum class itself; a field of one is an OBJECT."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Elements of a collection or an array.

    Their number is the NUMBER field right before, or an array's length (read by its *instantiate*)
    where this is the first field of *deserialize*.
    """

    fields: tuple[Field, ...]


Field: TypeAlias = Kind | Repeat


@dataclass(frozen=True, slots=True)
class ClassFields:
    """What the client reads of one class.

    Attributes:
        instantiate: what makes the object: the value of boxed types, strings, dates and enums; the
            length of arrays.
        deserialize: what fills it, in wire order: its own fields, then the superclass's.
        own: how many of ``deserialize`` come before the superclass's; all where there is none.
    """

    instantiate: tuple[Field, ...]
    deserialize: tuple[Field, ...]
    own: int


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """A class whose reader in the script could not be followed to the end, and why."""

    reason: str
