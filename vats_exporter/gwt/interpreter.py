"""What a handler of a class takes from a stream or puts into it, field by field.

A handler is a small function: straight lines, calls of helpers, a loop for a collection. It is not
executed but *followed*: an expression has a value only as far as that matters (:data:`Value`).
Helpers are followed where they are called with the stream, whatever their names are.

Nothing is guessed. A field under a condition, a loop whose count is not the number right before it,
a stream that goes where it can't be followed, a helper that is missing: each ends it with
:class:`NotFollowedError`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final, TypeAlias

from vats_exporter.gwt.javascript import Function, Node, NotFollowedError, core, descendants, part
from vats_exporter.gwt.objects import Fields, Kind, Repeat

_STEP: Final = 6  # characters parsed that following an expression counts as
_IN_ORDER: Final = {
    *("expression_statement", "else_clause", "empty_statement", "throw_statement"),
    *("variable_declaration", "array", "string", "string_fragment"),
    *("true", "false", "null", "undefined"),
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


@dataclass(eq=False)
class Follower:
    """Follows one call, or a branch or a loop in it. Subclasses know what is done with a stream."""

    function: Function
    variables: dict[str, Value] = field(default_factory=dict)
    found: Found = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)  # of the stream, by their role
    is_certain: bool = True  # that it runs at all
    is_loop: bool = False
    is_left: bool = False
    may_be_left: bool = False
    result: Value = None

    def fields(self) -> Fields:
        """The fields of a handler, which is the function."""
        self.follow(self.function, [Known.STREAM, Known.OBJECT])
        return _plain(self.found)

    def follow(self, function: Function, values: list[Value]) -> Value:
        """Follow a call, and give what it returns."""
        call = replace(
            self,
            function=function,
            variables=dict(zip(function.parameters, values, strict=False)),
            is_certain=self.is_certain and not self.may_be_left,
            may_be_left=False,
            result=None,
        )
        call.visit(part(function.tree, "body"))
        return None if call.may_be_left else call.result

    def emit(self, kind: Kind = Kind.NUMBER) -> Token:
        """Note a field."""
        if self.may_be_left or not self.is_certain:
            raise NotFollowedError("a field under a condition")
        token = Token(kind)
        self.found.append(token)
        return token

    def visit(self, node: Node) -> Value:
        """Follow a statement or an expression, and give its value."""
        self.function.source.spend(_STEP)
        value: Value = getattr(self, f"_on_{node.type}", self._on_other)(node)
        return value

    def use(self, node: Node) -> Value:
        """Visit what goes where it isn't followed, which the stream must not."""
        return self.away(self.visit(node))

    def away(self, value: Value) -> Value:
        """A value goes where it isn't followed."""
        if value is Known.STREAM:
            raise NotFollowedError("the stream in a place where it can't be followed")
        return value

    def text(self, node: Node) -> str:
        """A node's text."""
        return self.function.text(node)

    def uncertain(self, *nodes: Node | None) -> None:
        """Visit what may run or not: no field may be there, nor after it if it returns."""
        for node in filter(None, nodes):
            branch = replace(self, variables={**self.variables}, is_certain=False)
            branch.use(node)
            self.may_be_left |= branch.is_left or branch.may_be_left
            self._forget(branch)

    def _forget(self, branch: Follower) -> None:
        """What a branch has set isn't known."""
        self.function.source.spend(_STEP * len(branch.variables))
        for name, value in branch.variables.items():
            if self.variables.get(name) is not value:
                self.variables[name] = None

    def _touches(self, node: Node) -> bool:
        """Whether the stream is somewhere within."""
        self.function.source.spend(len(self.text(node)))
        names = {self.text(each) for each in descendants(node) if each.type == "identifier"}
        return any(self.variables.get(name) is Known.STREAM for name in names)

    # Statements

    def _on_other(self, node: Node) -> None:
        """Follow what has no meaning of its own: its parts, or nothing that has the stream."""
        if node.type in _IN_ORDER:
            for each in node.named_children:
                self.use(each)
            return
        if self._touches(node) or (self.is_loop and node.type.endswith("_statement")):
            raise NotFollowedError(f"the stream within {node.type}, or that within a loop")
        for each in descendants(node):
            if each.type == "return_statement":
                self.may_be_left = True
            elif self.variables.get(self.text(each)) not in {None, Known.OBJECT}:
                self.variables[self.text(each)] = None

    def _on_statement_block(self, node: Node) -> None:
        for statement in node.named_children:
            self.visit(statement)
            if self.is_left:
                break

    def _on_variable_declarator(self, node: Node) -> None:
        initial = node.child_by_field_name("value")
        self.variables[self.text(part(node, "name"))] = initial and self.visit(initial)

    def _on_return_statement(self, node: Node) -> None:
        for value in node.named_children:
            self.result = self.visit(value)
        self.is_left = True

    def _on_if_statement(self, node: Node) -> Value:
        self.mark(self.visit(part(node, "condition")), Kind.BOOLEAN)
        self.uncertain(part(node, "consequence"), node.child_by_field_name("alternative"))
        return None

    def _on_for_statement(self, node: Node) -> None:
        if not self._touches(node):
            self._on_other(node)
            return
        self.visit(part(node, "initializer"))
        counter = self.counter(node)
        loop = replace(self, variables={**self.variables}, found=[], is_loop=True)
        loop.visit(part(node, "body"))
        if loop.is_left or loop.may_be_left or not loop.found:
            raise NotFollowedError("a loop that is left or has no field")
        if loop.variables.get(counter) is not self.variables.get(counter):
            raise NotFollowedError("a loop that changes its count")
        self.found.append(loop.found)
        self._forget(loop)
        self.variables[counter] = None

    def counter(self, node: Node) -> str:
        """The variable that counts a loop in ones, from 0 to the number before it."""
        test, step = core(node, "condition"), core(node, "increment")
        name, bound = self.text(part(step, "argument")), self.visit(part(test, "right"))
        if (
            (part(test, "operator").type, part(step, "operator").type) != ("<", "++")
            or self.text(core(test, "left")) != name
            or self.variables.get(name) is not Known.ZERO
            or bound is not (self.found[-1] if self.found else Known.LENGTH)
            or (isinstance(bound, Token) and bound.kind is not Kind.NUMBER)
        ):
            raise NotFollowedError("a loop whose count is not the number before it")
        return name

    # Expressions

    def _on_identifier(self, node: Node) -> Value:
        if self.text(node) == "arguments":
            raise NotFollowedError("arguments without names")
        return self.variables.get(self.text(node))

    def _on_number(self, node: Node) -> Value:
        return Known.ZERO if self.text(node) == "0" else None

    def _on_parenthesized_expression(self, node: Node) -> Value:
        return [self.visit(each) for each in node.named_children][-1]

    _on_sequence_expression = _on_parenthesized_expression
    _on_ternary_expression = _on_if_statement

    def _on_assignment_expression(self, node: Node) -> Value:
        place = core(node, "left")
        if place.type != "identifier":
            self.visit(place)
        value, name = self.visit(part(node, "right")), self.text(place)
        if name not in self.variables:
            return self.away(value)
        self.variables[name] = value
        return value

    def _on_update_expression(self, node: Node) -> None:
        for each in node.named_children:
            self.use(each)
        name = self.text(core(node.named_children[0]))
        if name in self.variables:
            self.variables[name] = None

    _on_augmented_assignment_expression = _on_update_expression

    def _on_unary_expression(self, node: Node) -> Value:
        value = self.use(part(node, "argument"))
        return self.mark(value, Kind.BOOLEAN) if part(node, "operator").type == "!" else None

    def _on_binary_expression(self, node: Node) -> Value:
        self.use(part(node, "left"))
        is_logical = part(node, "operator").type in {"&&", "||"}
        (self.uncertain if is_logical else self.use)(part(node, "right"))
        return None

    def _on_member_expression(self, node: Node) -> Value:
        value = self.visit(part(node, "object"))
        is_length = value is Known.OBJECT and self.text(part(node, "property")) == "length"
        return Known.LENGTH if is_length else self.member(value)

    def _on_subscript_expression(self, node: Node) -> Value:
        self.member(self.visit(part(node, "object")))
        self.mark(self.use(part(node, "index")), Kind.ENUM)
        return None

    def _on_call_expression(self, node: Node) -> Value:
        callee = node.child_by_field_name("function") or part(node, "constructor")
        given = node.child_by_field_name("arguments")
        arguments = given.named_children if given else []
        if callee.type == "parenthesized_expression":
            self.use(callee)
        callee = core(callee)
        if callee.type == "member_expression":
            receiver, name = core(callee, "object"), self.text(part(callee, "property"))
            if name == "call" and receiver.type == "identifier":
                callee, arguments = receiver, arguments[1:]
            else:
                value = self.visit(receiver)
                if name == "charCodeAt":
                    self.mark(value, Kind.LONG)
                self.member(value)
        values = [self.visit(argument) for argument in arguments]
        name = self.text(callee) if callee.type == "identifier" else ""
        if Known.STREAM not in values and Known.PART not in values:
            return self.call(name, values)
        if not name or name in self.variables:
            raise NotFollowedError("the stream given to a method")
        return self.call_with_stream(self.function.source.function(name), values)

    _on_new_expression = _on_call_expression

    # What comes of it

    def mark(self, value: Value, kind: Kind) -> Value:
        """A number turns out to be of that kind; anything may be asked whether it is true."""
        if isinstance(value, Token):
            if value.kind is Kind.NUMBER:
                value.kind = kind
            elif kind is not Kind.BOOLEAN:
                raise NotFollowedError(f"a {value.kind.value} that is used as {kind.value}")
        return value

    def member(self, value: Value) -> Value:
        """A part of something is used."""
        self.away(value)
        return None

    def call(self, name: str, values: list[Value]) -> Value:
        """A function is called without the stream."""
        raise NotImplementedError

    def call_with_stream(self, function: Function, values: list[Value]) -> Value:
        """A function is called with the stream."""
        raise NotImplementedError


def _plain(found: Found) -> Fields:
    return tuple(Repeat(_plain(one)) if isinstance(one, list) else one.kind for one in found)
