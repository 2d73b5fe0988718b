"""The classes, services and methods in a compiled permutation, as GWT writes it from 2.0 on.

A class's handlers stand in tables that the compiled type serializers fill, one or more a service::

    a['java.lang.Long/4227064769']=[instantiate,deserialize,serialize]

The key may be a literal or an interned string; handlers that the client never calls are
``undefined`` or left out.

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
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice, pairwise, takewhile
from typing import Final, NamedTuple

from vats_exporter.gwt.interpreter import Follower
from vats_exporter.gwt.javascript import Function, NotFollowedError, Source, descendants
from vats_exporter.gwt.objects import SIGNATURE, Classes, Fields, NotUnderstood
from vats_exporter.gwt.streams import Reader, Writer


class Method(NamedTuple):
    """A remote method that the script calls, and its service's Java interface.

    Its parameters' types are as a request names them: ``java.lang.Long/4227064769``, ``Z``.
    """

    interface: str
    name: str
    parameters: tuple[str, ...]


class Script(NamedTuple):
    """The content of one permutation. Plain data; no parse tree is kept.

    Attributes:
        classes: by type signature; ``None`` where the client never reads the class.
        requests: by type signature, what the client writes of a class, in order.
        policies: the policy hash of each service, by the last part of its path.
        methods: the remote methods that are called.
        signatures: by class name, every type signature that stands in the script.
    """

    classes: Classes
    requests: Mapping[str, Fields]
    policies: Mapping[str, str]
    methods: tuple[Method, ...]
    signatures: Mapping[str, str]


_SIGNATURE_LITERAL: Final = re.compile(rf"(['\"])(?:{SIGNATURE.pattern})\1", re.ASCII)
_ENTRY: Final = re.compile(
    r"\[ ?(?:(?P<name>[\w$]{1,200})|(?P<literal>(?P<quote>['\"]) *(?P=quote))) ?\]"
    r" ?= ?\[(?P<handlers>[^\]]{0,1000})\]"
)
_MOST_ENTRIES: Final = 200_000  # of tables; far more than a real script has
_NOT_CALLED: Final = {"", "undefined", "null", "void 0"}
_PATH: Final = re.compile(r"[\w.~/-]+")
_HASH: Final = re.compile(r"[0-9A-F]{32}")
_PROXY: Final = re.compile(r"[\w$.]{1,300}_Proxy(?:\.[\w$]{1,200})?")
_TELLING: Final = re.compile(rf"(['\"])(?:{_HASH.pattern}|{_PROXY.pattern})\1")
_USE: Final = re.compile(r"[(,=:] ?([\w$]{1,256})(?=[,);}])")
_METHOD: Final = re.compile(r"[A-Za-z_$][\w$]*")
_CLASS: Final = re.compile(r"[\w$]+(?:\.[\w$]+)+")
_TYPE: Final = re.compile(r"\[*(?:[ZBCDFIJS]|L?[\w$]+(?:\.[\w$]+)+;?)(?:/[0-9]{1,10})?")
_FAR: Final = 128  # constants after a proxy's name among which its method is looked for


def read_script(*texts: str) -> Script:
    """Read the texts of one permutation: the main script and its fragments together.

    Functions of one are called from another, so a text alone tells less. One whose wrapper is
    broken is a ``MalformedError``.
    """
    source = Source(*texts)
    classes: dict[str, Fields | NotUnderstood | None] = {}
    requests: dict[str, Fields] = {}
    for signature, arrays in _tables(source).items():
        instantiate, deserialize, serialize = (_named(arrays, place) for place in range(3))
        try:
            fields = _fields(Reader, source, instantiate) + _fields(Reader, source, deserialize)
            classes[signature] = fields if instantiate or deserialize else None
        except (NotFollowedError, RecursionError) as error:
            classes[signature] = NotUnderstood(str(error))
            continue
        with suppress(NotFollowedError, RecursionError):
            if serialize:
                requests[signature] = _fields(Writer, source, serialize)
    policies, methods = find_services(source)
    signatures = [signature for _, signature in source.literals(_SIGNATURE_LITERAL)]
    return Script(
        classes=classes,
        requests=requests,
        policies=policies,
        methods=methods,
        signatures={each.partition("/")[0]: each for each in (*signatures, *classes)},
    )


def _tables(source: Source) -> dict[str, set[str]]:
    """The arrays of each class's handlers in all tables."""
    found: dict[str, set[str]] = {}
    for entry in islice(_ENTRY.finditer(source.masked), _MOST_ENTRIES):
        name, literal = entry["name"], entry.start("literal")
        key = source.constants.get(name, "") if name else source.literal(literal)
        if SIGNATURE.fullmatch(key):
            found.setdefault(key, set()).add(entry["handlers"])
    return found


def _named(arrays: set[str], place: int) -> set[str]:
    """The handlers that stand at a place of arrays."""
    return {(*array.split(","), "", "", "")[place].strip() for array in arrays} - _NOT_CALLED


def _fields(kind: type[Follower], source: Source, names: set[str]) -> Fields:
    """The fields of the one handler that all tables name; none where there is none."""
    functions = {one.code: one for one in map(source.function, names)}
    if len(functions) > 1:
        raise NotFollowedError("tables that differ")
    return next((kind(function).fields() for function in functions.values()), ())


def find_services(source: Source) -> tuple[dict[str, str], tuple[Method, ...]]:
    """The policy hash of each service, by the last part of its path, and the methods called.

    A path with two hashes is left out.
    """
    own = source.constants.get("$strongName")
    policies: dict[str, set[str]] = defaultdict(set)
    methods: dict[Method, None] = {}
    for function in source.functions_around(_telling(source)):
        with suppress(NotFollowedError):
            constants = list(_constants(function))
            strings = (one for one in constants if not one.isdecimal() or _HASH.fullmatch(one))
            for path, policy in pairwise(strings):
                if _PATH.fullmatch(path) and _HASH.fullmatch(policy) and policy != own:
                    policies[path.rpartition("/")[2]].add(policy)
            for place, proxy in enumerate(constants, 1):
                if _PROXY.fullmatch(proxy):
                    name = proxy.rpartition("_Proxy")[2][1:]
                    if method := _method(name, constants[place : place + _FAR]):
                        methods[method] = None
    return {path: min(found) for path, found in policies.items() if len(found) == 1}, tuple(methods)


def _telling(source: Source) -> Iterator[int]:
    """Where strings stand that may be a policy's hash or a proxy's name."""
    for start, _ in source.literals(_TELLING):
        yield start
    names = {name for name, value in source.constants.items() if _TELLING.fullmatch(f"'{value}'")}
    for use in _USE.finditer(source.masked) if names else ():
        if use[1] in names:
            yield use.start(1)


def _constants(function: Function) -> Iterator[str]:
    """Strings and numbers in the order of the text."""
    for node in descendants(function.tree):
        if node.type == "number" and function.text(node).isdecimal():
            yield function.text(node)
        elif value := function.string(node):
            yield value


def _method(name: str, constants: list[str]) -> Method | None:
    """The method that the constants after a proxy's name tell; ``name`` where that stands in it."""
    named_first = not name
    if named_first and constants:
        name, *constants = constants
    for at, interface in enumerate(constants, 1):
        follows = constants[at : at + 1] == [name]
        if _CLASS.fullmatch(interface) and (named_first or follows):
            break
    else:
        return None
    number, *rest = *constants[at + follows :], ""
    if number.isdecimal():
        count = int(number[:9])
        types = [value for value in rest if _TYPE.fullmatch(value)][:count]
    else:
        types = list(takewhile(_TYPE.fullmatch, (number, *rest)))
        count = len(types)
    is_whole = len(types) == count and _METHOD.fullmatch(name)
    return Method(interface, name, tuple(types)) if is_whole else None
