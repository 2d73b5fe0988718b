"""What a compiled GWT permutation tells: classes, services and methods.

A class's handlers stand in tables that the compiled type serializers fill, one or more a service::

    a['java.lang.Long/4227064769']=[instantiate,deserialize,serialize]

The key may be a literal or an interned string, a handler a function's name or a function; those
that the client never calls are ``undefined`` or left out. Up to GWT 2.0 a table is an object:
``{'java.lang.Long/4227064769':[function(a){…},…],…}``.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from vats_exporter.gwt.interpreter import Known, Loop, Token
from vats_exporter.gwt.javascript import NotFollowedError, Piece, Source
from vats_exporter.gwt.objects import ClassFields, NotUnderstood, Repeat
from vats_exporter.gwt.services import Method, find_services
from vats_exporter.gwt.streams import Reader, Writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vats_exporter.gwt.objects import Field


@dataclass(frozen=True, slots=True)
class Script:
    """What the texts of one permutation tell. Plain data; no parse tree is kept.

    Attributes:
        classes: by type signature; ``None`` where the client never reads the class.
        requests: by type signature, what the client writes of a class, in order.
        policies: the policy hash of each service, by the last part of its path.
        methods: the remote methods that are called.
        signatures: by class name, every type signature that stands in the script.
    """

    classes: Mapping[str, ClassFields | NotUnderstood | None]
    requests: Mapping[str, tuple[Field, ...]]
    policies: Mapping[str, str]
    methods: tuple[Method, ...]
    signatures: Mapping[str, str]

    def merge(self, other: Script) -> Script:
        """Both together. Of a class, fields go before those not understood or never read."""
        classes = dict(other.classes)
        for signature, fields in self.classes.items():
            if isinstance(fields, ClassFields) or not classes.get(signature):
                classes[signature] = fields
        return Script(
            classes=classes,
            requests={**other.requests, **self.requests},
            policies={**other.policies, **self.policies},
            methods=tuple(dict.fromkeys(self.methods + other.methods)),
            signatures={**other.signatures, **self.signatures},
        )


F = TypeVar("F", Reader, Writer)
_NAME: Final = r"[\w$]{1,200}"
_SIGNATURE: Final = (
    rf"(?:\[{{1,8}}(?:[ZBCDFIJS]|L(?:{_NAME}\.){{0,40}}{_NAME};)|(?:{_NAME}\.){{1,40}}{_NAME})"
    r"/[0-9]{1,10}"
)
_SIGNATURE_ALONE: Final = re.compile(_SIGNATURE)
_SIGNATURE_LITERAL: Final = re.compile(rf"(['\"])({_SIGNATURE})\1")
_ENTRY: Final = re.compile(
    rf"\[ ?(?:({_NAME})|(?P<key>['\"]) *(?P=key)) ?\] ?= ?\[|' *' ?: ?\[|\" *\" ?: ?\["
)
_NAMED: Final = re.compile(r"(?P<name>[\w$]+)")
_NOT_CALLED: Final = {"undefined", "null", "void 0"}
_FORWARDS: Final = re.compile(
    r"function ?\(([\w$]+)((?:,[\w$]+)?)\) ?\{(?:return )?(?P<name>[\w$]+)\(\1\2\);? ?\}"
)


def read_script(*texts: str) -> Script:
    """What the texts of one permutation tell: of the main script and its fragments together.

    Functions of one are called from another, so a text alone tells less.

    Raises:
        MalformedError: a text whose wrapper is broken.
    """
    source = Source(*texts)
    classes: dict[str, ClassFields | NotUnderstood | None] = {}
    requests: dict[str, tuple[Field, ...]] = {}
    for signature, starts in _tables(source).items():
        try:
            instantiate, deserialize, serialize = _handlers(source, starts.values())
            classes[signature] = None
            if instantiate or deserialize:
                made = _follow(Reader(source), instantiate)
                filled = _follow(Reader(source), deserialize)
                classes[signature] = ClassFields(
                    _plain(made.fields), _plain(filled.fields), filled.own
                )
        except NotFollowedError as error:
            classes[signature] = NotUnderstood(str(error))
            continue
        with suppress(NotFollowedError):
            if serialize:
                requests[signature] = _plain(_follow(Writer(source), serialize).fields)
    policies, methods = find_services(source)
    signatures = [signature for _, signature in source.literals(_SIGNATURE_LITERAL)]
    return Script(
        classes=classes,
        requests=requests,
        policies=policies,
        methods=methods,
        signatures={each.partition("/")[0]: each for each in (*signatures, *classes)},
    )


def _tables(source: Source) -> dict[str, dict[str, int]]:
    """For each signature, the arrays of handlers that tables hold: text and place."""
    found: dict[str, dict[str, int]] = {}
    for match in _ENTRY.finditer(source.masked):
        literal = match.start("key") if match["key"] else match.start()
        key = source.constants.get(match[1], "") if match[1] else source.literal(literal)
        if _SIGNATURE_ALONE.fullmatch(key):
            start, text = match.end() - 1, ""
            with suppress(NotFollowedError):
                text = source.piece(start).code
            found.setdefault(key, {})[text] = start
    return found


def _handlers(source: Source, starts: Iterable[int]) -> list[list[Piece]]:
    """*instantiate*, *deserialize* and *serialize*, as the different arrays name them."""
    handlers: list[list[Piece]] = [[], [], []]
    for array in map(source.piece, starts):
        place = 0
        for node in array.tree.children[1:-1]:
            if node.type == ",":
                place += 1
            elif place < len(handlers) and array.text(node) not in _NOT_CALLED:
                start = array.start + node.start_byte
                handlers[place].append(Piece(source, start, array.start + node.end_byte))
    return handlers


def _follow(follower: F, handlers: list[Piece]) -> F:
    """Follow the one handler that all tables name; where there is none, there is no field."""
    functions = []
    for handler in handlers:
        name = _NAMED.fullmatch(handler.code) or _FORWARDS.fullmatch(handler.code)
        functions.append(follower.source.function(name["name"]) if name else handler)
    if any(function.code != functions[0].code for function in functions[1:]):
        raise NotFollowedError("tables that differ")
    for function in functions[:1]:
        follower.follow(function, [Known.STREAM, Known.OBJECT])
    return follower


def _plain(items: list[Token | Loop]) -> tuple[Field, ...]:
    return tuple(
        Repeat(_plain(item.fields)) if isinstance(item, Loop) else item.kind for item in items
    )
