"""A YAML file → plain mappings, lists and texts, with nothing changed on the way.

YAML reads ``+79161234567`` as a number, ``off`` as false and ``0123`` as 83, and takes the last
of two equal keys. Here every scalar keeps its text, and what it stands for is decided by the key
it is written under; a plain scalar is marked as such (:class:`Plain`), since only an unquoted
``true`` is a switch. Keys that come twice, tags and texts that are not UTF-8 are problems.

Knows nothing of which keys there are. Messages quote nothing of the file but keys: what stands
where YAML breaks may be a password.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import yaml

from vats_exporter.config.problems import Problem, key_path

if TYPE_CHECKING:
    from pathlib import Path

Value = dict[str, "Value"] | list["Value"] | str | None
"""What a file holds."""

_MOST_VALUES: Final = 200_000
"""More values than a thousand accounts need; aliases of aliases reach it quickly."""

_TAG: Final = "tag:yaml.org,2002:"
_SCALARS: Final = frozenset(
    _TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value")
)


class Plain(str):
    """A scalar that was written without quotes."""

    __slots__ = ()


class YamlError(Exception):
    """A file that cannot be read as YAML at all.

    Attributes:
        problem: why, and where in the file.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def read_yaml(file: Path) -> tuple[Value, list[Problem]]:
    """Read a YAML file.

    Args:
        file: where it is.

    Returns:
        what it holds (``None`` for a file without content), and the problems that leave the rest
        readable, such as keys that come twice (the first one counts).

    Raises:
        YamlError: it is not there, not text, or not YAML.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise YamlError(Problem("", f"cannot read it: {error.strerror or error}")) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8: byte 0x{data[error.start]:02x}"
        raise YamlError(Problem(f"line {line}", message)) from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        reader = _Reader()
        value = reader.value(node, ()) if node is not None else None
    except yaml.MarkedYAMLError as error:
        raise YamlError(_marked(error, text)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"a control character, U+{ord(text[error.position]):04X}"
        raise YamlError(Problem(f"line {line}", message)) from None
    except RecursionError:
        raise YamlError(Problem("", "nested too deeply")) from None
    return value, reader.problems


class _Reader:
    """Turns YAML's nodes into values."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._count = 0
        self._open: set[int] = set()

    def value(self, node: yaml.Node, path: tuple[str | int, ...]) -> Value:
        self._count += 1
        if self._count > _MOST_VALUES:
            raise YamlError(Problem("", f"holds more than {_MOST_VALUES} values"))
        if id(node) in self._open:
            raise YamlError(Problem(_line(node), "an alias inside of what it stands for"))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                self._check_tag(node, {_TAG + "seq"}, path)
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            self._check_tag(node, {_TAG + "map"}, path)
            return self._mapping(node, path)
        finally:
            self._open.remove(id(node))

    def _scalar(self, node: yaml.ScalarNode, path: tuple[str | int, ...]) -> str | None:
        self._check_tag(node, _SCALARS, path)
        if node.style is not None:
            return str(node.value)
        return None if node.tag == _TAG + "null" else Plain(node.value)

    def _mapping(self, node: yaml.Node, path: tuple[str | int, ...]) -> dict[str, Value]:
        found: dict[str, Value] = {}
        lines: dict[str, int] = {}
        merged: list[Value] = []
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(
                    Problem(key_path(path) or _line(key_node), "a key that is not a word")
                )
                continue
            if key_node.tag == _TAG + "merge":
                merged.append(self.value(value_node, path))
                continue
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in lines:
                places = f"given twice, on lines {lines[key]} and {line}"
                self.problems.append(Problem(key_path((*path, key)), places))
                continue
            lines[key] = line
            found[key] = self.value(value_node, (*path, key))
        for other in merged:
            for mapping in other if isinstance(other, list) else [other]:
                if isinstance(mapping, dict):
                    found = {**mapping, **found}
                else:
                    self.problems.append(Problem(key_path((*path, "<<")), "must be a mapping"))
        return found

    def _check_tag(
        self, node: yaml.Node, allowed: set[str] | frozenset[str], path: tuple[str | int, ...]
    ) -> None:
        if node.tag not in allowed:
            message = 'a YAML tag; put quotes around a text that starts with "!"'
            self.problems.append(Problem(key_path(path) or _line(node), message))


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"


def _marked(error: yaml.MarkedYAMLError, text: str) -> Problem:
    """Say what broke without the snippet, the alias or the character that YAML's message quotes."""
    mark = error.problem_mark
    if "end of stream" in (error.problem or ""):
        # Where the quotes were opened says more than where the file ends.
        mark = error.context_mark
    if mark is None:  # pragma: no cover - PyYAML marks all of its errors today
        return Problem("", "not YAML")
    place = f"line {mark.line + 1}, column {mark.column + 1}"
    problem = error.problem or ""
    sentences = {
        "found undefined alias": 'no such anchor; put quotes around a text that starts with "*"',
        "but found another document": "a second document; the file must hold one",
        "mapping values are not allowed": (
            'a ": " where no key can stand; check the indentation, or quote it'
        ),
        "found duplicate anchor": "an anchor that is there twice",
        "found unknown escape character": (
            "an unknown escape; put a text with backslashes in single quotes"
        ),
        "expected escape sequence": (
            "a broken escape; put a text with backslashes in single quotes"
        ),
        "found unexpected end of stream": "quotes that are not closed",
        "could not find expected ':'": 'a key without ": " after it',
        "expected <block end>": "does not fit in here; check the indentation and the quotes",
        "expected ',' or": "brackets that are not closed, or a comma that is missing",
        "expected the node content": "a bracket or a comma out of place",
        "found undefined tag handle": 'a YAML tag; put quotes around a text that starts with "!"',
    }
    if "cannot start any token" in problem:
        if text.splitlines()[mark.line][mark.column : mark.column + 1] == "\t":
            return Problem(place, "a tab where only blanks can indent")
        return Problem(place, "a character that cannot start a value; put quotes around the text")
    for beginning, sentence in sentences.items():
        if beginning in problem or beginning in (error.context or ""):
            return Problem(place, sentence)
    return Problem(place, "not YAML; check the indentation and the quotes")
