"""Objects from an answer's tokens, as the client that the cabinet serves reads them.

A class's index in the string table, then the object's fields in the order that the client's script
gives, object within object, until every token is used. Nothing is inferred. A token that does not
fit its field, a class that the tables lack or have wrong, and a token that is left over each end
the reading with one error that says where.

Each class is compiled once, into steps: runs of fields of one token each, objects, and repetitions.
Each token gets a letter for what it can be, so that a whole run is checked at once, and copied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from itertools import groupby
from typing import Any, Final, NamedTuple, TypeAlias

from vats_exporter.gwt.errors import ObjectsError
from vats_exporter.gwt.response import Response


class Kind(Enum):
    """How one field stands in an answer."""

    NUMBER = "number"  # a byte, char, short, int, float or double, which are read alike
    BOOLEAN = "boolean"
    LONG = "long"  # one token in GWT's base 64
    STRING = "string"  # an index into the string table, 0 for null
    OBJECT = "object"  # its class's index and its fields; negative: one met before; 0: null
    ENUM = "enum"  # the constant's ordinal, in an enum's own class; a field of one is an OBJECT


@dataclass(frozen=True, slots=True)
class Repeat:
    """Elements of a collection or an array: as many as the NUMBER field right before says."""

    fields: Fields


Field: TypeAlias = Kind | Repeat
Fields: TypeAlias = "tuple[Field, ...]"
"""What the client reads of a class, in wire order: its own fields, then the superclass's."""


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """A class whose reader in the script could not be followed to the end, and why."""

    reason: str


Classes: TypeAlias = "Mapping[str, Fields | NotUnderstood | None]"
"""By type signature; ``None`` where the client never reads the class."""

Value: TypeAlias = Any
"""What a field's kind allows: a :class:`GwtObject`, an ``int`` (booleans are 0 or 1), a ``float``,
a ``str`` (also for a long, as base 64), ``None``, or a ``list`` of a collection's elements."""

_NAME: Final = r"[\w$]{1,200}"
SIGNATURE: Final = re.compile(
    rf"(?:\[{{1,8}}(?:[ZBCDFIJS]|L(?:{_NAME}\.){{0,40}}{_NAME};)|(?:{_NAME}\.){{1,40}}{_NAME})"
    r"/[0-9]{1,10}",
    re.ASCII,
)
"""The type signature of a class or an array: its name and a hash."""

_FITS: Final[dict[Field, str]] = {
    Kind.NUMBER: "01inf-",
    Kind.BOOLEAN: "01",
    Kind.LONG: "s",
    Kind.STRING: "01i",
    Kind.ENUM: "01in",
}
"""Which of the letters of :func:`letters_of` a token of each kind may have."""
_MOST_KNOWN: Final = 1000

_JAVA: Final = {
    "java.lang.String": Kind.STRING,
    "java.lang.Boolean": Kind.BOOLEAN,
    "java.lang.Long": Kind.LONG,
    "java.util.Date": Kind.LONG,
    **dict.fromkeys(
        (f"java.lang.{name}" for name in ("Byte", "Short", "Character", "Integer", "Double")),
        Kind.NUMBER,
    ),
}
"""Classes whose content is one token, and its kind. [gwt]"""


class _Run(NamedTuple):
    """Fields of one token each: how many, which are strings, which letters fit."""

    length: int
    strings: tuple[int, ...]
    fits: Callable[[str], object]


_Step: TypeAlias = "_Run | tuple[_Step, ...] | None"
"""A run, a repetition of steps, or an object (``None``)."""


@dataclass(frozen=True, slots=True, eq=False)
class ObjectType:
    """A class, ready to be read; ``name`` is the signature without the hash."""

    signature: str
    name: str
    fields: Fields
    steps: tuple[_Step, ...]
    one: str  # what its token may be, if it is a single one and no string's index


@dataclass(slots=True, eq=False)
class GwtObject:
    """An object of an answer: its class, and the value of each field in the field's place."""

    type: ObjectType
    values: list[Value]


class ObjectReader:
    """Reads the answers of one deployment, by the classes in its script."""

    def __init__(self, classes: Classes) -> None:
        self._classes = classes
        self._types: dict[str, ObjectType] = {}  # those that answers had so far, by signature

    def read(self, response: Response, letters: str = "") -> Value:
        """Read all of an ``//OK`` answer; what it refers to twice is the same object.

        ``letters`` are the :func:`letters_of` of its tokens, if they are known.
        """
        letters = letters or letters_of(response.tokens, len(response.string_table))
        strings, known = [None, *response.string_table], self._types
        reading = _Reading(
            tokens=[*response.tokens[::-1], None],
            letters=letters[::-1] + " ",
            strings=strings,
            types={number: known[text] for number, text in enumerate(strings) if text in known},
            compile=self._compile,
        )
        root: list[Value] = []
        try:
            reading.read_fields("the answer", (None,), root)
        except RecursionError:
            raise ObjectsError("objects within objects too deep", where=reading.at) from None
        if left := len(response.tokens) - reading.at:
            raise ObjectsError(f"{left} tokens are left over", where=reading.at)
        return root[0]

    def _compile(self, signature: str) -> ObjectType:
        fields = self._classes.get(signature)
        if fields is None:
            kept = "is not read by" if signature in self._classes else "is not in"
            raise ObjectsError(f"{signature} {kept} the script", missing=signature)
        if isinstance(fields, NotUnderstood):
            message = f"{signature} is not understood: {fields.reason}"
            raise ObjectsError(message, missing=signature)
        name = signature.partition("/")[0]
        if name in _JAVA and fields != (_JAVA[name],):
            raise ObjectsError(f"the script reads {name} as it can't be read")
        is_one = len(fields) == 1 and fields[0] is not Kind.STRING
        one = _FITS.get(fields[0], "") if is_one else ""
        found = ObjectType(signature, name, fields, _steps(fields), one)
        return self._types.setdefault(signature, found)  # another thread may have been first


def letters_of(tokens: Sequence[Any], strings: int) -> str:
    """One letter for each token, of what it can be with that many strings in the table.

    ``s`` for a token in quotes, ``f`` for one with a point, ``-`` for a negative number, ``0`` and
    ``1`` for themselves, ``i`` for another index of a string, ``n`` for a greater number.
    """
    return "".join(
        [
            ("s" if token.__class__ is str else "f")
            if token.__class__ is not int
            else "0"
            if token == 0
            else "1"
            if token == 1
            else "-"
            if token < 0
            else "i"
            if token <= strings
            else "n"
            for token in tokens
        ]
    )


def _steps(fields: Fields) -> tuple[_Step, ...]:
    steps: list[_Step] = []
    for is_run, group in groupby(fields, lambda field: field in _FITS):
        some = tuple(group)
        if is_run:
            strings = tuple(at for at, kind in enumerate(some) if kind is Kind.STRING)
            fitting = re.compile("".join(f"[{_FITS[kind]}]" for kind in some))
            steps.append(_Run(len(some), strings, lru_cache(_MOST_KNOWN)(fitting.fullmatch)))
        else:
            steps += [_steps(one.fields) if isinstance(one, Repeat) else None for one in some]
    return tuple(steps)


@dataclass(slots=True, eq=False)
class _Reading:
    """One answer, read so far: all before ``at``, in the order of reading.

    Behind its tokens and letters stands one more, which fits nothing.
    """

    tokens: list[Any]
    letters: str
    strings: list[str | None]
    types: dict[int, ObjectType]  # of the classes known so far, by their strings' numbers
    compile: Callable[[str], ObjectType]
    objects: list[GwtObject] = field(default_factory=list)
    at: int = 0

    def read_fields(self, of: str, steps: tuple[_Step, ...], values: list[Value]) -> None:
        """Read an object's fields, or elements; ``of`` what is said where they do not fit."""
        tokens, letters, types, at = self.tokens, self.letters, self.types, self.at
        for step in steps:
            if step is None:
                token = tokens[at]
                if token.__class__ is not int:
                    due = "an object was due, not a long or a fraction"
                    ends = "the answer ends within an object"
                    raise ObjectsError(due if token is not None else ends, where=at)
                at += 1
                if token <= 0:
                    if -token > len(self.objects):
                        raise ObjectsError(f"{token} refers to no object", where=at - 1)
                    values.append(self.objects[-token - 1] if token else None)
                    continue
                found = types.get(token) or self._class(token, at - 1)
                inner: list[Value] = []
                read = GwtObject(found, inner)
                values.append(read)
                # Counted before its fields, which may refer to it by its place.
                self.objects.append(read)
                if letters[at] in found.one:
                    inner.append(tokens[at])
                    at += 1
                else:
                    self.at = at
                    self.read_fields(found.signature, found.steps, inner)
                    at = self.at
            elif isinstance(step, _Run):
                end = at + step.length
                if not step.fits(letters[at:end]):
                    raise ObjectsError(f"the fields of {of} do not fit", where=at)
                run = tokens[at:end]
                for offset in step.strings:
                    run[offset] = self.strings[run[offset]]
                values += run
                at = end
            else:
                count = values[-1] if values else None
                # Each element takes a token at least, which bounds what a wrong count can cost.
                if not isinstance(count, int) or not 0 <= count < len(tokens) - at:
                    raise ObjectsError(f"{of} has no count", where=at)
                elements: list[Value] = []
                self.at = at
                self.read_fields(of, step * count, elements)
                at = self.at
                values.append(elements)
        self.at = at

    def _class(self, token: int, where: int) -> ObjectType:
        """The class that a string names, where no answer had it before."""
        signature = self.strings[token] if token < len(self.strings) else None
        # Any other string may be a secret, and reaches no message.
        if signature is None or not SIGNATURE.fullmatch(signature):
            raise ObjectsError(f"string {token} is no class", where=where)
        try:
            found = self.types[token] = self.compile(signature)
        except ObjectsError as error:
            error.where = where
            raise
        return found
