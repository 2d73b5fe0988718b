"""A YAML file → plain mappings, lists and texts, each with its line.

YAML reads ``+79161234567`` as a number, ``off`` as false and ``0123`` as 83, and takes the last
of two equal keys. Here every scalar keeps its text, and what it stands for is decided by the key
it is written under; a plain scalar is marked as such (:class:`Plain`), since only an unquoted
``true`` is a switch. Keys that come twice, tags and texts that are not UTF-8 are problems.

Messages quote nothing of the file: what stands where YAML breaks may be a password.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel

from vats_exporter.config.problems import ConfigError, Keys, Problem, known_path

Value = dict[str, "Value"] | list["Value"] | str | None
"""What a file holds."""

_MOST_VALUES: Final = 200_000
"""More values than a thousand accounts need; aliases of aliases reach it quickly."""

_KINDS: Final = ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")
_TAGS: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in _KINDS)
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


class Document:
    """What a YAML file holds, and where; of equal keys the first one counts.

    Problems leave the rest readable, and name the keys that a model has. A :class:`ConfigError`
    says that the file is not there, not text, or not YAML.
    """

    def __init__(self, file: Path, model: type[BaseModel]) -> None:
        self.value: Value = None
        self.lines: dict[Keys, int] = {(): 1}
        self.texts: list[tuple[Keys, str]] = []
        self.problems: list[Problem] = []
        self._file, self._model = file, model
        text = ""
        try:
            text = file.read_bytes().decode("utf-8-sig")
            node = yaml.compose(text, Loader=yaml.BaseLoader)
            if node is not None:
                self.value = self._value(node, ())
        except (OSError, ValueError, OverflowError, RecursionError, yaml.YAMLError) as error:
            raise ConfigError([_unreadable(error, text)], file=file) from None

    def line_of(self, keys: Keys) -> int:
        """The line of a value, or of the mapping or list in which it is missing."""
        return next(
            self.lines[keys[:end]] for end in range(len(keys), -1, -1) if keys[:end] in self.lines
        )

    def problem(self, keys: Keys, message: str, line: int = 0) -> Problem:
        """Say what is wrong with a value, on its own line unless another one is given."""
        return Problem(known_path(keys, self._model)[0], message, line or self.line_of(keys))

    def _value(self, node: yaml.Node, keys: Keys, *outer: yaml.Node) -> Value:
        line = self.lines[keys] = node.start_mark.line + 1
        if len(self.lines) > _MOST_VALUES:
            problem = Problem("", f"holds more than {_MOST_VALUES} values")
            raise ConfigError([problem], file=self._file)
        if node in outer:
            problem = Problem("", "an alias inside what it stands for", line)
            raise ConfigError([problem], file=self._file)
        if node.tag not in _TAGS:
            message = 'a YAML tag; put quotes around a text that starts with "!"'
            self.problems.append(self.problem(keys, message))
        if isinstance(node, yaml.ScalarNode):
            if node.style is None and node.value in _NULLS:
                return None
            self.texts.append((keys, node.value))
            return Plain(node.value) if node.style is None else str(node.value)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, keys, *outer, node)
        items = enumerate(node.value)
        return [self._value(item, (*keys, index), *outer, node) for index, item in items]

    def _mapping(self, node: yaml.Node, keys: Keys, *outer: yaml.Node) -> dict[str, Value]:
        found: dict[str, Value] = {}
        merged: list[Value] = []
        for key_node, value_node in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            inner = (*keys, key)
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(self.problem(keys, "a key that is not a word", line))
            elif key == "<<" and key_node.style is None:
                value = self._value(value_node, keys, *outer)
                merged += value if isinstance(value, list) else [value]
            elif key in found:
                message = f"given twice, on lines {self.lines[inner]} and {line}"
                self.problems.append(self.problem(inner, message, line))
            else:
                found[key] = self._value(value_node, inner, *outer)
                self.lines[inner] = line
        self.lines[keys] = node.start_mark.line + 1
        for other in merged:
            if isinstance(other, dict):
                found = {**other, **found}
            else:
                self.problems.append(self.problem(keys, "<< must be followed by a mapping"))
        return found


def _unreadable(error: Exception, text: str) -> Problem:
    """Say what broke without the snippet, the alias or the character that YAML's message quotes."""
    match error:
        case OSError():
            return Problem("", f"cannot read it: {error.strerror or error}")
        case UnicodeDecodeError():
            line = error.object.count(b"\n", 0, error.start) + 1
            return Problem("", f"not UTF-8: byte 0x{error.object[error.start]:02x}", line)
        case yaml.reader.ReaderError():
            line = text.count("\n", 0, error.position) + 1
            return Problem("", f"a control character, U+{ord(text[error.position]):04X}", line)
        case RecursionError():
            return Problem("", "nested too deeply")
    problem = getattr(error, "problem", None) or ""
    # Where the quotes were opened says more than where the file ends.
    which = "context_mark" if "end of stream" in problem else "problem_mark"
    mark = getattr(error, which, None)
    said = f"{problem} {getattr(error, 'context', None) or ''}"
    message = next(
        (sentence for part, sentence in _SYNTAX.items() if part in said),
        "not YAML; check the indentation and the quotes",
    )
    if mark is None:  # an escape that stands for no character, say
        return Problem("", message)
    if "cannot start any token" in said and mark.buffer[mark.pointer] == "\t":
        message = "a tab where only blanks can indent"
    return Problem("", message, mark.line + 1, mark.column + 1)
