"""A YAML file → plain mappings, lists and texts, each with its line.

YAML reads ``+79161234567`` as a number, ``off`` as false and ``0123`` as 83, and takes the last
of two equal keys. Here every scalar keeps its text, and what it stands for is decided by the key
it is written under; a plain scalar is marked as such (:class:`Plain`), since only an unquoted
``true`` is a switch. Keys that come twice, tags and texts that are not UTF-8 are problems.

Messages quote nothing of the file: what stands where YAML breaks may be a password.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import yaml

from vats_exporter.config.problems import ConfigError, Problem, known_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic import BaseModel

    from vats_exporter.config.problems import Keys

Value = dict[str, "Value"] | list["Value"] | str | None
"""What a file holds."""

_MOST_VALUES: Final = 200_000
"""More values than a thousand accounts need; aliases of aliases reach it quickly."""

_TAG: Final = "tag:yaml.org,2002:"
_TAGS: Final = frozenset(
    _TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")
)
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})

_SYNTAX: Final = {
    "found undefined alias": 'no such anchor; put quotes around a text that starts with "*"',
    "but found another document": "a second document; the file must hold one",
    "mapping values are not allowed": (
        'a ": " where no key can stand; check the indentation, or quote it'
    ),
    "found duplicate anchor": "an anchor that is defined twice",
    "found unknown escape character": (
        "an unknown escape; put a text with backslashes in single quotes"
    ),
    "expected escape sequence": "a broken escape; put a text with backslashes in single quotes",
    "found unexpected end of stream": "quotes that are not closed",
    "could not find expected ':'": 'a key without ": " after it',
    "expected <block end>": "does not fit in here; check the indentation and the quotes",
    "expected ',' or": "brackets that are not closed, or a comma that is missing",
    "expected the node content": "a bracket or a comma out of place",
    "found undefined tag handle": 'a YAML tag; put quotes around a text that starts with "!"',
    "cannot start any token": "a character that cannot start a value; put quotes around the text",
}
"""What is said of PyYAML's errors, by a part of its own message."""


class Plain(str):
    """A scalar that was written without quotes."""

    __slots__ = ()


@dataclass(slots=True)
class Document:
    """What a file holds.

    Attributes:
        value: ``None`` for a file without content.
        problems: what leaves the rest readable. Of equal keys the first counts.
    """

    value: Value = None
    lines: dict[Keys, int] = field(default_factory=dict)
    problems: list[tuple[Keys, str, int]] = field(default_factory=list)

    def line_of(self, keys: Keys) -> int:
        """The line of a value, or of the mapping or list in which it is missing."""
        return next(
            self.lines[keys[:end]] for end in range(len(keys), -1, -1) if keys[:end] in self.lines
        )

    def problems_in(self, model: type[BaseModel]) -> list[Problem]:
        """The problems, with the keys that a model has."""
        return [
            Problem(known_path(keys, model)[0], message, line)
            for keys, message, line in self.problems
        ]

    def texts(self) -> Iterator[tuple[Keys, str]]:
        """All texts, and where they stand."""
        waiting: list[tuple[Keys, Value]] = [((), self.value)]
        while waiting:
            keys, value = waiting.pop()
            if isinstance(value, str):
                yield keys, value
            elif isinstance(value, dict):
                waiting += [((*keys, key), inner) for key, inner in value.items()]
            elif isinstance(value, list):
                waiting += [((*keys, index), inner) for index, inner in enumerate(value)]


def read_yaml(file: Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError: it is not there, not text, or not YAML.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        problem = Problem("", f"cannot read it: {error.strerror or error}")
        raise ConfigError([problem], file=file) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = Problem("", f"not UTF-8: byte 0x{data[error.start]:02x}", line)
        raise ConfigError([problem], file=file) from None
    document = Document(lines={(): 1})
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
        if node is not None:
            document.value = _Reader(document).value(node, ())
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_syntax_problem(error, text)], file=file) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = Problem("", f"a control character, U+{ord(text[error.position]):04X}", line)
        raise ConfigError([problem], file=file) from None
    except _UnreadableError as error:
        raise ConfigError([Problem("", str(error))], file=file) from None
    except RecursionError:
        raise ConfigError([Problem("", "nested too deeply")], file=file) from None
    return document


class _UnreadableError(Exception):
    """YAML that has no end."""


class _Reader:
    """Turns YAML's nodes into values."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: set[int] = set()

    def value(self, node: yaml.Node, keys: Keys) -> Value:
        lines = self._document.lines
        lines[keys] = node.start_mark.line + 1
        if len(lines) > _MOST_VALUES:
            raise _UnreadableError(f"holds more than {_MOST_VALUES} values")
        if id(node) in self._open:
            raise _UnreadableError(f"line {lines[keys]}: an alias inside what it stands for")
        if node.tag not in _TAGS:
            self._note(keys, node, 'a YAML tag; put quotes around a text that starts with "!"')
        if isinstance(node, yaml.ScalarNode):
            if node.style is not None:
                return str(node.value)
            return None if node.value in _NULLS else Plain(node.value)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*keys, index)) for index, item in enumerate(node.value)]
            return self._mapping(node, keys)
        finally:
            self._open.remove(id(node))

    def _mapping(self, node: yaml.Node, keys: Keys) -> dict[str, Value]:
        found: dict[str, Value] = {}
        merged: list[Value] = []
        lines = self._document.lines
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._note(keys, key_node, "a key that is not a word")
                continue
            key = str(key_node.value)
            if key == "<<" and key_node.style is None:
                value = self.value(value_node, keys)
                merged += value if isinstance(value, list) else [value]
            elif key in found:
                inner = (*keys, key)
                places = f"given twice, on lines {lines[inner]} and {key_node.start_mark.line + 1}"
                self._note(inner, key_node, places)
            else:
                inner = (*keys, key)
                found[key] = self.value(value_node, inner)
                lines[inner] = key_node.start_mark.line + 1
        lines[keys] = node.start_mark.line + 1
        for other in merged:
            if isinstance(other, dict):
                found = {**other, **found}
            else:
                self._note(keys, node, "<< must be followed by a mapping")
        return found

    def _note(self, keys: Keys, node: yaml.Node, message: str) -> None:
        self._document.problems.append((keys, message, node.start_mark.line + 1))


def _syntax_problem(error: yaml.MarkedYAMLError, text: str) -> Problem:
    """Say what broke without the snippet, the alias or the character that YAML's message quotes."""
    problem = error.problem or ""
    # Where the quotes were opened says more than where the file ends.
    mark = error.context_mark if "end of stream" in problem else error.problem_mark
    if mark is None:  # pragma: no cover - PyYAML marks all of its errors today
        return Problem("", "not YAML")
    said = f"{problem} {error.context or ''}"
    message = next(
        (sentence for part, sentence in _SYNTAX.items() if part in said),
        "not YAML; check the indentation and the quotes",
    )
    lines = text.splitlines()
    if "cannot start any token" in said and lines[mark.line][mark.column : mark.column + 1] == "\t":
        message = "a tab where only blanks can indent"
    return Problem("", message, mark.line + 1, mark.column + 1)
