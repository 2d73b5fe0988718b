"""What a handler asks of a stream, known by its structure, which is the same from GWT 2.0 on.

=========  ==========================================  ===========================================
field      read                                        written
=========  ==========================================  ===========================================
number     ``a.x[--a.y]``                              a token with ``|`` after it
boolean    a number after ``!``, or asked whether true ``b?'1':'0'``
string     ``i>0?a.z[i-1]:null`` of a number           a token that the stream gives for a value
long       a number whose characters are looked at     a token made six bits at a time
enum       a number that is an index                   a number
object     ``-(i+1)`` of a number that is ``<0``       ``-(i+1)`` of a number that is ``>=0``
=========  ==========================================  ===========================================
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

from vats_exporter.gwt.interpreter import Follower, Known, Token, Value
from vats_exporter.gwt.javascript import Function, Node, NotFollowedError, core, descendants, part
from vats_exporter.gwt.objects import Kind

_DEEPEST_HELPER: Final = 3
_COMPARED: Final = re.compile(r"([\w$]+) ?(?:<|>=) ?0(?![\w.])")
_GIVEN_ON: Final = re.compile(r"[,(\[+] ?- ?\(([\w$]+) ?\+ ?1\) ?[)\]]")
_SIX_BITS: Final = re.compile(r"& ?63(?![\w.])")


def _refers_back(function: Function) -> bool:
    """Whether a function reads or writes a number that refers to an object met before."""
    given_on = set(_GIVEN_ON.findall(function.code))
    return bool(given_on) and not given_on.isdisjoint(_COMPARED.findall(function.code))


class Reader(Follower):
    """Follows *instantiate* and *deserialize*."""

    def _on_subscript_expression(self, node: Node) -> Value:
        """``a.x[--a.y]`` reads a token."""
        index = core(node, "index")
        if index.type != "update_expression":
            return super()._on_subscript_expression(node)
        if not self.text(index).startswith("--"):
            raise NotFollowedError("a token read in another order")
        self._property("tokens", core(node, "object"))
        self._property("place", core(index, "argument"))
        return self.emit()

    def _on_ternary_expression(self, node: Node) -> Value:
        """``i>0?a.z[i-1]:null`` is a string."""
        test, found = core(node, "condition"), core(node, "consequence")
        if test.type != "binary_expression" or part(test, "operator").type != ">":
            return super()._on_ternary_expression(node)
        token = self.visit(part(test, "left"))
        if not isinstance(token, Token):
            self.uncertain(part(test, "right"), found, part(node, "alternative"))
            return None
        index = core(found, "index")
        self._property("strings", core(found, "object"))
        if (
            self.text(part(test, "right")) != "0"
            or self.visit(part(index, "left")) is not token
            or part(index, "operator").type != "-"
            or self.text(part(index, "right")) != "1"
            or part(node, "alternative").type != "null"
        ):
            raise NotFollowedError("a string looked up in another way")
        return self.mark(token, Kind.STRING)

    def _property(self, role: str, node: Node) -> None:
        """See that the node is that property of the stream, the same each time."""
        value, name = self.visit(part(node, "object")), self.text(part(node, "property"))
        if value is not Known.STREAM or self.properties.setdefault(role, name) != name:
            raise NotFollowedError(f"{role} of something else")

    def call(self, name: str, values: list[Value]) -> Value:
        """What has its characters looked at is a long."""
        for place, value in enumerate(values):
            if isinstance(value, Token) and self._looks_at_characters(name, place):
                self.mark(value, Kind.LONG)
        return None

    def _looks_at_characters(self, name: str, place: int, depth: int = 0) -> bool:
        with suppress(NotFollowedError, IndexError):
            function = self.function.source.function(name)
            parameter = re.escape(function.parameters[place])
            if re.search(rf"(?<![\w$.]){parameter}\.charCodeAt\(", function.code):
                return True
            helpers = re.findall(rf"([\w$]+)\({parameter}[,)]", function.code)
            return depth < _DEEPEST_HELPER and any(
                self._looks_at_characters(helper, 0, depth + 1) for helper in helpers
            )
        return False

    def call_with_stream(self, function: Function, values: list[Value]) -> Value:
        """A function is called with the stream: it reads an object, or is followed."""
        if values == [Known.STREAM] and _refers_back(function):
            return self.emit(Kind.OBJECT)
        before = len(self.found)
        result = self.follow(function, values)
        took_nothing = before == len(self.found) and not isinstance(result, Token)
        if took_nothing and values != [Known.STREAM, Known.OBJECT]:
            raise NotFollowedError("a helper that takes the stream for nothing")
        return result


class Writer(Follower):
    """Follows *serialize*. An expression's value may be a kind, that of the field it makes."""

    def member(self, value: Value) -> Value:
        """Parts of the stream are written to as well."""
        return Known.PART if value in {Known.STREAM, Known.PART} else None

    def _on_binary_expression(self, node: Node) -> Value:
        """``''+x`` is as x is."""
        values = [self.visit(part(node, side)) for side in ("left", "right")]
        return next((value for value in values if isinstance(value, Kind)), None)

    def _on_ternary_expression(self, node: Node) -> Value:
        choices = [part(node, name) for name in ("consequence", "alternative")]
        if [self.function.string(choice) for choice in choices] == ["1", "0"]:
            return Kind.BOOLEAN
        return super()._on_ternary_expression(node)

    def counter(self, _: Node) -> str:
        """A loop may be over an iterator, whose count is the number before it."""
        last = self.found[-1] if self.found else None
        if not isinstance(last, Token) or last.kind is not Kind.NUMBER:
            raise NotFollowedError("a loop with no number before it")
        return ""

    def call(self, name: str, values: list[Value]) -> Value:
        """What takes six bits at a time makes a long."""
        with suppress(NotFollowedError):
            if len(values) == 1 and _SIX_BITS.search(self.function.source.function(name).code):
                return Kind.LONG
        return None

    def call_with_stream(self, function: Function, values: list[Value]) -> Value:
        """What ends with ``|`` is a token."""
        if any(function.string(node) == "|" for node in descendants(function.tree)):
            self.emit(next((value for value in values if isinstance(value, Kind)), Kind.NUMBER))
        elif Known.STREAM in values and _refers_back(function):
            self.emit(Kind.OBJECT)
        elif Known.STREAM in values:
            before = len(self.found)
            result = self.follow(function, values)
            return Kind.STRING if before == len(self.found) and len(values) == 2 else result
        return None
