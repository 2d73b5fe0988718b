"""Services that a permutation calls: path, policy hash, methods and their parameters' types.

A proxy's constructor hands the service's path and the hash of its serialization policy on, side by
side, or holds the assignments of the inlined constructor::

    X.call(this,$moduleBase,'greet','1F90…',S)        this.b=a+'greet';…;this.e='1F90…'

A call of a method names the proxy and the method, the interface, how many parameters there are
(unless all methods have as many) and each one's type; up to GWT 2.3, the method comes after the
interface, and the number is a string::

    e=new H(this,'X_Proxy','greet');f=start(e,'a.b.X',1);add(f,string(f,'java.lang.Long/4227…'))
    stats('X_Proxy.greet',…);add(s,'a.b.X');add(s,'greet');add(s,'1');add(s,'java.lang.Long/4227…')
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Final

from vats_exporter.gwt.javascript import NotFollowedError, descendants, part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vats_exporter.gwt.javascript import Piece, Source

_HASH: Final = re.compile(r"[0-9A-F]{32}")
_PROXY: Final = re.compile(r"[\w$.]{1,300}_Proxy(?:\.[\w$]{1,200})?")
_TELLING: Final = re.compile(rf"(['\"])(?:{_HASH.pattern}|{_PROXY.pattern})\1")
_USE: Final = re.compile(r"[(,=:] ?([\w$]{1,256})(?=[,);}])")
_METHOD: Final = re.compile(r"[A-Za-z_$][\w$]*")
_CLASS: Final = re.compile(r"[\w$]+(?:\.[\w$]+)+")
_TYPE: Final = re.compile(r"\[*(?:[ZBCDFIJS]|L?[\w$]+(?:\.[\w$]+)+;?)(?:/[0-9]{1,10})?")
_FAR: Final = 128
"""Constants after a proxy's name among which its method is looked for."""


@dataclass(frozen=True, slots=True)
class Method:
    """A remote method that the script calls.

    Attributes:
        interface: the service's Java interface.
        name: the method.
        parameters: the types as a request names them: ``java.lang.Long/4227064769``, ``Z``.
    """

    interface: str
    name: str
    parameters: tuple[str, ...]


def find_services(source: Source) -> tuple[dict[str, str], tuple[Method, ...]]:
    """The policy hash of each service, by the last part of its path, and the methods called.

    A path with two hashes is left out.
    """
    policies: dict[str, set[str]] = {}
    methods: dict[Method, None] = {}
    for function in source.functions_around(_telling(source)):
        with suppress(NotFollowedError):
            for path, policy in _policies(function):
                policies.setdefault(path.rpartition("/")[2], set()).add(policy)
            methods |= dict.fromkeys(_methods(function))
    return {path: min(found) for path, found in policies.items() if len(found) == 1}, tuple(methods)


def _telling(source: Source) -> list[int]:
    """Where strings stand that may be a policy's hash or a proxy's name."""
    places = [start for start, _ in source.literals(_TELLING)]
    names = {name for name, value in source.constants.items() if _TELLING.fullmatch(f"'{value}'")}
    if names:
        uses = _USE.finditer(source.masked)
        places += [match.start(1) for match in uses if match[1] in names]
    return places


def _policies(function: Piece) -> Iterator[tuple[str, str]]:
    own = function.source.constants.get("$strongName")
    path = None
    for node in descendants(function.tree):
        strings: list[str | None] = []
        if node.type == "arguments":
            strings = [function.string(argument) for argument in node.named_children]
        elif node.type == "assignment_expression" and part(node, "left").type != "identifier":
            value = part(node, "right")
            if value.type == "binary_expression":
                path = function.string(part(value, "right")) or path
            strings = [path, function.string(value)]
        for name, policy in pairwise(strings):
            if name and policy and _HASH.fullmatch(policy) and policy != own:
                yield name, policy


def _methods(function: Piece) -> Iterator[Method]:
    constants = list(_constants(function))
    for place, (proxy, _) in enumerate(constants):
        if _is(_PROXY, proxy):
            name = str(proxy).rpartition("_Proxy")[2][1:]
            method = _method(name, constants[place + 1 : place + 1 + _FAR])
            if method is not None:
                yield method


def _constants(function: Piece) -> Iterator[tuple[str | int, int]]:
    """Strings and numbers in the order of the text, each with the call whose argument it is."""
    call = -1
    for node in descendants(function.tree):
        if node.type == "arguments":
            call = node.start_byte
        elif node.type == "number" and function.text(node).isdecimal():
            yield int(function.text(node)), call
        elif value := function.string(node):
            yield value, call


def _method(name: str, constants: list[tuple[str | int, int]]) -> Method | None:
    """The method that the constants after a proxy's name tell."""
    named_first = not name
    if named_first and constants:
        name, constants = str(constants[0][0]), constants[1:]
    values = [value for value, _ in constants]
    for at, interface in enumerate(values):
        follows = values[at + 1 : at + 2] == [name]
        if _is(_CLASS, interface) and (named_first or follows):
            break
    else:
        return None
    call, rest = constants[at][1], constants[at + 1 + follows :]
    number, its_call = rest[0] if rest else ("", -1)
    counted = its_call == call or _is(_TYPE, *(value for value, _ in rest[1:2]))
    if counted if isinstance(number, int) else number.isdecimal():
        types = [str(value) for value, _ in rest if _is(_TYPE, value)][: int(number)]
        complete = len(types) == int(number)
    else:
        types = [str(value) for value, _ in takewhile(lambda each: _is(_TYPE, each[0]), rest)]
        complete = True
    return Method(str(interface), name, tuple(types)) if complete and _is(_METHOD, name) else None


def _is(pattern: re.Pattern[str], value: object = None) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
