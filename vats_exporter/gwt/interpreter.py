"""What a handler of a class takes from a stream or puts into it, field by field.

A handler is a small function: straight lines, calls of helpers, a loop for a collection. It is not
executed but *followed*: an expression has a value only as far as that matters (:data:`Value`).
Helpers are followed where they are called with the stream, whatever their names are.

Nothing is guessed. A field under a condition, a loop whose count is not the number right before it,
a stream that goes where it can't be followed, a helper that is missing: each ends it with
:class:`NotFollowedError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, TypeAlias

from vats_exporter.gwt.javascript import (
    NotFollowedError,
    Piece,
    Source,
    descendants,
    part,
    stripped,
)
from vats_exporter.gwt.objects import Kind

if TYPE_CHECKING:  # the parser is loaded when a script is first read
    from tree_sitter import Node

MOST_STEPS: Final = 20_000  # expressions and statements of a handler; real ones take up to 2,000
MOST_STEPS_IN_ALL: Final = 1_000_000  # of a script; real ones take about 100 for a class
_IN_ORDER: Final = {
    *("expression_statement", "else_clause", "empty_statement", "throw_statement"),
    *("array", "string", "string_fragment", "true", "false", "null", "undefined"),
}
"""Nodes whose parts run one after the other, and no more."""


class Known(Enum):
    """What an expression may be, besides a field."""

    STREAM = auto()
    PART = auto()  # of the stream that is written to: its text, its table of strings
    OBJECT = auto()
    LENGTH = auto()  # of the object, which is an array then
    ZERO = auto()


@dataclass(slots=True, eq=False)
class Token:
    """One field of the stream. What kind it is may show only when it is used."""

    kind: Kind = Kind.NUMBER


Found: TypeAlias = "list[Token | Found]"
"""A list within is a loop: its fields stand there as often as the number before them says."""
Value: TypeAlias = Known | Token | Kind | None
"""``None`` is anything else; a kind is that of the field that the value is written as."""


@dataclass(slots=True)
class Frame:
    """A call that is followed: the function, its variables, what it returns, whether it is left."""

    function: Piece
    variables: dict[str, Value]
    result: Value = None
    is_left: bool = False


class Follower:
    """Follows one handler. Subclasses say what a use of the stream means."""

    def __init__(self, source: Source, *, is_array: bool = False) -> None:
        self.source = source
        self.fields: Found = []
        self._frames: list[Frame] = []
        self._is_array = is_array
        self._steps = min(MOST_STEPS, MOST_STEPS_IN_ALL - source.steps)
        self._loops = self._conditions = 0

    def follow(self, function: Piece, values: list[Value]) -> Value:
        """Follow a call, and give what it returns."""
        frame = Frame(function, dict(zip(function.parameters, values, strict=False)))
        conditions = self._conditions
        self._frames.append(frame)
        self.visit(part(function.tree, "body"))
        self._frames.pop()
        certain, self._conditions = self._conditions == conditions, conditions
        return frame.result if certain else None

    def _spend(self, steps: int) -> None:
        self._steps -= steps
        self.source.steps += steps
        if self._steps < 0:
            raise NotFollowedError("too much code to be followed")

    def emit(self, kind: Kind = Kind.NUMBER) -> Token:
        """Note a field."""
        if self._conditions:
            raise NotFollowedError("a field under a condition")
        token = Token(kind)
        self.fields.append(token)
        return token

    def visit(self, node: Node) -> Value:
        """Follow a statement or an expression, and give its value."""
        self._spend(1)
        value: Value = getattr(self, f"_on_{node.type}", self._on_other)(node)
        return value

    def away(self, value: Value) -> None:
        """A value goes where it isn't followed, which the stream must not."""
        if value is Known.STREAM:
            raise NotFollowedError("the stream in a place where it can't be followed")

    @property
    def frame(self) -> Frame:
        """The call that is followed."""
        return self._frames[-1]

    def text(self, node: Node) -> str:
        """A node's text."""
        return self.frame.function.text(node)

    def uncertain(self, *nodes: Node | None) -> None:
        """Visit what may run or not: no field may be there, nor after it if it returns."""
        before = dict(self.frame.variables)
        self._spend(len(before))
        self._conditions += 1
        returns = False
        for node in filter(None, nodes):
            self.away(self.visit(node))
            returns |= self.frame.is_left
            self.frame.is_left = False
        self._conditions -= not returns
        self._forget(before)

    def _forget(self, before: dict[str, Value]) -> None:
        """What has been set since isn't known."""
        for name, value in self.frame.variables.items():
            if before.get(name) is not value:
                self.frame.variables[name] = None

    def _touches(self, node: Node) -> bool:
        """Whether the stream is somewhere within."""
        self._spend(len(self.text(node)) // 8)
        names = {self.text(each) for each in descendants(node) if each.type == "identifier"}
        names |= {"arguments", "this"}
        return any(self.frame.variables.get(name) is Known.STREAM for name in names)

    # Statements

    def _on_other(self, node: Node) -> Value:
        """Follow what has no meaning of its own: its parts, or nothing that has the stream."""
        if node.type in _IN_ORDER:
            for each in node.named_children:
                self.away(self.visit(each))
            return None
        if self._touches(node) or (self._loops and node.type.endswith("_statement")):
            raise NotFollowedError(f"the stream within {node.type}, or that within a loop")
        for each in descendants(node):
            if each.type == "return_statement":
                self._conditions += 1  # what follows runs or not
            elif self.frame.variables.get(self.text(each)) not in {None, Known.OBJECT}:
                self.frame.variables[self.text(each)] = None
        return None

    def _on_statement_block(self, node: Node) -> None:
        for statement in node.named_children:
            self.visit(statement)
            if self.frame.is_left:
                break

    def _on_variable_declaration(self, node: Node) -> None:
        for declarator in node.named_children:
            name = self.text(part(declarator, "name"))
            initial = declarator.child_by_field_name("value")
            self.frame.variables[name] = initial and self.visit(initial)

    def _on_return_statement(self, node: Node) -> None:
        for value in node.named_children:
            self.frame.result = self.visit(value)
        self.frame.is_left = True

    def _on_if_statement(self, node: Node) -> Value:
        self.truth(self.visit(part(node, "condition")))
        self.uncertain(part(node, "consequence"), node.child_by_field_name("alternative"))
        return None

    _on_ternary_expression = _on_if_statement

    def _on_for_statement(self, node: Node) -> None:
        if not self._touches(node):
            self._on_other(node)
            return
        self.visit(part(node, "initializer"))
        counter, outer, before = self.counter(node), self.fields, dict(self.frame.variables)
        conditions, self.fields = self._conditions, []
        self._loops += 1
        self.visit(part(node, "body"))
        self._loops -= 1
        if self.frame.is_left or self._conditions != conditions or not self.fields:
            raise NotFollowedError("a loop that is left or has no field")
        if counter and self.frame.variables[counter] is not Known.ZERO:
            raise NotFollowedError("a loop that changes its count")
        outer.append(self.fields)
        self.fields = outer
        self._forget({**before, counter: None})

    def counter(self, node: Node) -> str:
        """The variable that counts a loop in ones, from 0 to the number before it."""
        test, step = stripped(part(node, "condition")), stripped(part(node, "increment"))
        name, bound = self.text(part(step, "argument")), self.visit(part(test, "right"))
        if (
            (part(test, "operator").type, part(step, "operator").type) != ("<", "++")
            or self.text(stripped(part(test, "left"))) != name
            or self.frame.variables.get(name) is not Known.ZERO
            or bound is not (self.fields[-1] if self.fields else Known.LENGTH)
            or (isinstance(bound, Token) and bound.kind is not Kind.NUMBER)
        ):
            raise NotFollowedError("a loop whose count is not the number before it")
        return name

    # Expressions

    def _on_identifier(self, node: Node) -> Value:
        if self.text(node) == "arguments":
            raise NotFollowedError("arguments without names")
        return self.frame.variables.get(self.text(node))

    _on_this = _on_identifier

    def _on_number(self, node: Node) -> Value:
        return Known.ZERO if self.text(node) == "0" else None

    def _on_parenthesized_expression(self, node: Node) -> Value:
        return [self.visit(each) for each in node.named_children][-1]

    _on_sequence_expression = _on_parenthesized_expression

    def _on_assignment_expression(self, node: Node) -> Value:
        place = stripped(node.child_by_field_name("left") or part(node, "argument"))
        if place.type != "identifier":
            self.visit(place)
        right = node.child_by_field_name("right")
        value, name = right and self.visit(right), self.text(place)
        if node.type != "assignment_expression":
            self.away(value)
            self.away(self.frame.variables.get(name))
            value = None
        if name in self.frame.variables:
            self.frame.variables[name] = value
        else:
            self.away(value)
        return value

    _on_augmented_assignment_expression = _on_update_expression = _on_assignment_expression

    def _on_unary_expression(self, node: Node) -> Value:
        value = self.visit(part(node, "argument"))
        self.away(value)
        if part(node, "operator").type != "!":
            return None
        self.truth(value)
        return value

    def _on_binary_expression(self, node: Node) -> Value:
        self.away(self.visit(part(node, "left")))
        if part(node, "operator").type in {"&&", "||"}:
            self.uncertain(part(node, "right"))
        else:
            self.away(self.visit(part(node, "right")))
        return None

    def _on_member_expression(self, node: Node) -> Value:
        value = self.visit(part(node, "object"))
        # An array has no other part; up to GWT 1.4, it is of another name.
        length = self._is_array or self.text(part(node, "property")) == "length"
        return Known.LENGTH if value is Known.OBJECT and length else self.member(value)

    def _on_subscript_expression(self, node: Node) -> Value:
        self.member(self.visit(part(node, "object")))
        index = self.visit(part(node, "index"))
        self.away(index)
        self.mark(index, Kind.ENUM)
        return None

    def _on_call_expression(self, node: Node) -> Value:
        callee = node.child_by_field_name("function") or part(node, "constructor")
        given = node.child_by_field_name("arguments")
        arguments = [] if given is None else given.named_children
        if callee.type == "parenthesized_expression":
            self.away(self.visit(callee))
        callee = stripped(callee)
        if callee.type == "member_expression":
            receiver, name = stripped(part(callee, "object")), self.text(part(callee, "property"))
            if name == "call" and receiver.type == "identifier":
                callee, arguments = receiver, arguments[1:]
            else:
                value = self.visit(receiver)
                if name == "charCodeAt":
                    self.mark(value, Kind.LONG)
                # Up to GWT 1.4, a stream has methods.
                if value is Known.STREAM and (method := self.source.method(name)):
                    return self.call_with_stream(method, [value, *map(self.visit, arguments)])
                self.member(value)
        values = [self.visit(argument) for argument in arguments]
        name = self.text(callee) if callee.type == "identifier" else ""
        if Known.STREAM not in values and Known.PART not in values:
            return self.call(name, values)
        if not name or name in self.frame.variables:
            raise NotFollowedError("the stream given to a method")
        return self.call_with_stream(self.source.function(name), values)

    _on_new_expression = _on_call_expression

    # What comes of it

    def truth(self, value: Value) -> None:
        """A number that is asked whether it is true is a boolean."""
        if isinstance(value, Token) and value.kind is Kind.NUMBER:
            value.kind = Kind.BOOLEAN

    def mark(self, value: Value, kind: Kind) -> None:
        """A number turns out to be of that kind."""
        if isinstance(value, Token):
            if value.kind is not Kind.NUMBER:
                raise NotFollowedError(f"a {value.kind.value} that is used as {kind.value}")
            value.kind = kind

    def member(self, value: Value) -> Value:
        """A part of something is used."""
        self.away(value)
        return None

    def call(self, name: str, values: list[Value]) -> Value:
        """A function is called without the stream."""
        raise NotImplementedError

    def call_with_stream(self, function: Piece, values: list[Value]) -> Value:
        """A function is called with the stream."""
        raise NotImplementedError
