"""JavaScript as GWT's compiler writes it: unwrapped, told from its strings, parsed on demand.

A permutation may have eleven megabytes, and is not parsed whole: tree-sitter takes up to a kilobyte
of memory for a byte of hostile text, and the square of the time for some. Instead the text is
*masked*: in a copy of the same length, the contents of string literals, comments and regular
expressions are blank. What searches of linear time find there is code; a function that is asked for
is cut out of it by its braces, and parsed.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeAlias

from vats_exporter.gwt.errors import MalformedError

if TYPE_CHECKING:  # the parser is loaded when a script is first read
    import tree_sitter

Node: TypeAlias = "tree_sitter.Node"

LONGEST_FUNCTION: Final = 64 * 1024  # characters; the longest handler seen has 9,000
MOST_WORK: Final = 8 << 20  # as much as parsing so many characters; real classes take up to 2,500
_LEAST_PARSED: Final = 128  # characters that parsing a few counts as
_BROKEN: Final = 16  # times that broken code counts, which may take long
_SEARCHED: Final = 8  # characters searched that count as one parsed
_MOST_KEPT: Final = 64  # functions: helpers are used often, handlers once
_MOST_SIBLINGS: Final = 8  # functions right before a place, of which one is around it
_LONGEST_NAME: Final = 256

_WRAPPER: Final = re.compile(
    r"\s*(?:[\w$]+\s*\.\s*){0,8}(?:onScriptDownloaded|runAsyncCallback[0-9]+)\s*\(\s*\[?\s*(?=[\"'])"
)
_SEPARATOR: Final = re.compile(r"\s*,\s*(?=[\"'])")
_ELEMENT: Final = re.compile("<script[^>]{0,200}>", re.IGNORECASE | re.ASCII)
_ELEMENT_END: Final = re.compile("</script", re.IGNORECASE | re.ASCII)
_ESCAPED: Final = re.compile(r"\\[^\n]")
ESCAPE: Final = re.compile(
    r"\\(?:x(?P<x>[0-9A-Fa-f]{2})|u(?P<u>[0-9A-Fa-f]{4})"
    r"|u\{0*(?P<point>10[0-9A-Fa-f]{4}|[0-9A-Fa-f]{1,5})\}"
    r"|(?P<octal>[0-3][0-7]{0,2}|[4-7][0-7]?)"
    r"|\r\n|[\n\r\u2028\u2029]|(?P<itself>[^xu]))"
)
"""An escape in a string literal; a line's end stands for nothing."""
_SHORT: Final = {"b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}
_PUNCTUATION: Final = r"[(,=:\[!&|?{};+\-*%^~<>"
# What has no end on its line, where it must have one, hides the rest of the line. A slash starts a
# regular expression where an operand is due, otherwise it divides.
_HIDDEN: Final = re.compile(
    r"'(?:[^'\n]*'|[^\n]*)"
    r'|"(?:[^"\n]*"|[^\n]*)'
    r"|`[^`]*(?:`|\Z)"
    r"|//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)"
    rf"|/(?:(?<={_PUNCTUATION}\n]/)|(?<={_PUNCTUATION}] /)|(?<=return /)|(?<=return/))"
    r"(?:[^/\[\n]*(?:\[[^\]\n]*\][^/\[\n]*){0,1000}/[a-z]*|[^\n]*)"
)
_FUNCTION: Final = re.compile(r"function(?<![\w$]function)\b\s*([\w$]*)\s*\(")
_BRACE: Final = re.compile(r"[{}]")
_ASSIGNED: Final = re.compile(r"['\"](?:(?<==['\"])|(?<== ['\"]))")
_NAME_BACKWARDS: Final = re.compile(rf" ?= ?([\w$]{{0,{_LONGEST_NAME}}}[A-Za-z_$])(?![\w$.])")


class NotFollowedError(Exception):
    """A place of the script that is not as GWT's compiler writes it. Never leaves the package."""


def unwrap(text: str) -> str:
    """The JavaScript of a ``.cache.js``, a ``.cache.html`` or a deferred fragment."""
    text = text.removeprefix("\ufeff")
    if text.lstrip()[:1] == "<":
        elements = (_ELEMENT.split(some, maxsplit=1)[1:] for some in _ELEMENT_END.split(text))
        codes = (code.strip() for code in chain.from_iterable(elements))
        return "\n".join(code.removeprefix("<!--").removesuffix("-->") for code in codes)
    wrapper = _WRAPPER.match(text)
    if wrapper is None:
        return text
    plain = _ESCAPED.sub("\0\0", text)
    pieces, start = [], wrapper.end()
    while True:
        end = plain.find(plain[start], start + 1)
        if end < 0:
            raise MalformedError(f"script: the literal at {start} that wraps it has no end")
        pieces.append(unescape(text[start + 1 : end]))
        separator = _SEPARATOR.match(plain, end + 1)
        if separator is None:
            return "".join(pieces)
        start = separator.end()


def unescape(literal: str) -> str:
    """The value of a string literal, given what stands between its quotes."""
    return join_surrogates(ESCAPE.sub(unescaped, literal)) if "\\" in literal else literal


def unescaped(escape: re.Match[str]) -> str:
    """What a match of :data:`ESCAPE` stands for."""
    if code := escape["x"] or escape["u"] or escape["point"]:
        return chr(int(code, 16))
    if escape["octal"]:
        return chr(int(escape["octal"], 8))
    return _SHORT.get(escape["itself"], escape["itself"] or "")


def join_surrogates(text: str) -> str:
    """Make one character of each two halves of one that meet."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def mask(code: str) -> str:
    """Blank what string literals, comments and regular expressions hold; one letter a letter."""
    plain = _ESCAPED.sub("\0\0", code)
    masked = bytearray(plain, "ascii", "replace")
    for match in _HIDDEN.finditer(plain):
        start, end = match.span()
        if plain[start] in "'\"`" and end - start > 1 and plain[start] == plain[end - 1]:
            start, end = start + 1, end - 1
        elif re.match(r"/[^/*]", plain[start : start + 2]) and "/" in plain[start + 2 : end]:
            masked[start] = ord("0")  # a regular expression is an operand, as a number is
            start += 1
        masked[start:end] = b" " * (end - start)
    return masked.decode("ascii")


def part(node: Node, name: str) -> Node:
    """The part of a node that the grammar calls so."""
    found = node.child_by_field_name(name)
    if found is None:
        raise NotFollowedError(f"{node.type} without {name}")
    return found


def core(node: Node, name: str = "") -> Node:
    """A part of a node, or the node: what stands within parentheses, and last in a sequence."""
    node = part(node, name) if name else node
    while node.type in {"parenthesized_expression", "sequence_expression"}:
        node = node.named_children[-1]
    return node


def descendants(node: Node) -> Iterator[Node]:
    """The node and all within it, in the order of the text."""
    todo = [node]
    while todo:
        node = todo.pop()
        yield node
        todo += reversed(node.named_children)


class Function:
    """A function in the masked text, parsed when its tree is asked for."""

    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source, self.start, self.end = source, start, end
        self.code = source.masked[start:end]

    @cached_property
    def tree(self) -> Node:
        """The function, parsed."""
        return self.source.parse(self.code)

    @property
    def parameters(self) -> list[str]:
        """The parameters' names."""
        return self.code.partition("(")[2].partition(")")[0].replace(" ", "").split(",")

    def text(self, node: Node) -> str:
        """A node's text, strings blanked."""
        return self.code[node.start_byte : node.end_byte]

    def string(self, node: Node) -> str | None:
        """The value of a string literal or of an interned one; ``None`` for other nodes."""
        if node.type == "string":
            return self.source.literal(self.start + node.start_byte)
        return self.source.constants.get(self.text(node)) if node.type == "identifier" else None


class Source:
    """The code of one permutation, of its main script and its fragments together.

    What is asked for and not there, or not as GWT's compiler writes it, is a ``NotFollowedError``.
    """

    def __init__(self, *texts: str) -> None:
        # Only a discovery needs the parser; starting the exporter does not pay for it.
        import tree_sitter_javascript  # noqa: PLC0415
        from tree_sitter import Language, Parser  # noqa: PLC0415

        self.code: Final = "\n".join(map(unwrap, texts))
        self.masked: Final = mask(self.code)
        self._function = lru_cache(_MOST_KEPT)(self._find_function)
        self._parser = Parser(Language(tree_sitter_javascript.language()))
        self._work = MOST_WORK

    def spend(self, work: int) -> None:
        """Count work, in characters parsed: a hostile script would take any amount of it."""
        self._work -= work
        if self._work < 0:
            raise NotFollowedError("more code than a script of GWT has")

    def literal(self, start: int) -> str:
        """The value of the string literal whose quote stands at ``start``."""
        return unescape(self.code[start + 1 : self.masked.find(self.masked[start], start + 1)])

    def literals(self, pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
        """Place and value of each string literal that the pattern, quotes included, matches."""
        for match in pattern.finditer(self.code):
            start, end = match.span()
            if self.masked[start:end] == match[0][0] + " " * (end - start - 2) + match[0][-1]:
                yield start, unescape(match[0][1:-1])

    @cached_property
    def constants(self) -> dict[str, str]:
        """Strings that the compiler interned, by variable; none that is assigned two values."""
        found: dict[str, set[str]] = defaultdict(set)
        for match in _ASSIGNED.finditer(self.masked):
            start = match.start()
            before = self.masked[max(0, start - _LONGEST_NAME - 4) : start]
            if name := _NAME_BACKWARDS.match(before[::-1]):
                found[name[1][::-1]].add(self.literal(start))
        return {name: values.pop() for name, values in found.items() if len(values) == 1}

    @cached_property
    def _starts(self) -> dict[str, list[int]]:
        """Where functions start, by name; ``""`` for those without."""
        found = defaultdict(list)
        for match in _FUNCTION.finditer(self.masked):
            found[match[1]].append(match.start())
        return found

    def function(self, name: str) -> Function:
        """The one function of that name: there may be several that are alike."""
        found = self._function(name)
        self.spend(len(found.code) // _SEARCHED)  # whoever asks looks for something in it
        return found

    def _find_function(self, name: str) -> Function:
        functions = [self._function_at(start) for start in self._starts.get(name, ()) if name]
        if len({self.code[each.start : each.end] for each in functions}) != 1:
            raise NotFollowedError(f"{len(functions) or 'no'} functions of one name")
        return functions[0]

    def functions_around(self, places: Iterable[int]) -> Iterator[Function]:
        """The innermost functions around the places, each once."""
        starts, seen = sorted(chain.from_iterable(self._starts.values())), set()
        for place in places:
            nearest = bisect_right(starts, place)
            for start in reversed(starts[max(0, nearest - _MOST_SIBLINGS) : nearest]):
                try:
                    function = self._function_at(start)
                except NotFollowedError:
                    continue
                if function.end > place:
                    if start not in seen:
                        yield function
                    seen.add(start)
                    break

    def _function_at(self, start: int) -> Function:
        depth, farthest = 0, start + LONGEST_FUNCTION
        self.spend(_SEARCHED)
        for brace in _BRACE.finditer(self.masked, start, farthest):
            depth += 1 if brace[0] == "{" else -1
            if depth <= 0:
                self.spend((brace.end() - start) // _SEARCHED)
                return Function(self, start, brace.end())
        self.spend(LONGEST_FUNCTION // _SEARCHED)
        raise NotFollowedError("a function that has no end, or none near")

    def parse(self, code: str) -> Node:
        """The tree of the one statement that a text is."""
        self.spend(max(len(code), _LEAST_PARSED))
        root = self._parser.parse(code.encode()).root_node
        if root.has_error or root.child_count != 1:
            self.spend(_BROKEN * len(code))
            raise NotFollowedError("code that is no JavaScript")
        return root.children[0]
