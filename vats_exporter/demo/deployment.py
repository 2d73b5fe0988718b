"""What one deployment of the cabinet's application is: its names, classes and habits of writing.

A redeployment changes the permutations' strong names, the hashes of the services' policies and the
signatures of the application's own classes; the signatures of Java's classes come with GWT and
stay. [observed] The classes and services are those of the captures; what no capture has is
invented: other columns, nested objects, other lists, and the names of the request's fields but for
``deleted``. [assumed]
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, cycle
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from vats_exporter.demo.enterprise import SimulatedTrunk
from vats_exporter.gwt import GWT_2_7, Fields, Kind, Repeat, ResponseWriter, Style, encode_response
from vats_exporter.gwt.request import INCOMPATIBLE

MODULE: Final = "vpbxGwt"

LONG: Final = "java.lang.Long"
BOOLEAN: Final = "java.lang.Boolean"
STRING: Final = "java.lang.String"
INTEGER: Final = "java.lang.Integer"
ARRAY_LIST: Final = "java.util.ArrayList"
HASH_MAP: Final = "java.util.HashMap"
INT_ARRAY: Final = "[I"
DATE: Final = "java.util.Date"
MIGRATION_STATE: Final = "ru.cti.vpbx.shared.enums.MIGRATION_STATE_TYPE"
APPLICATION_ERROR: Final = "ru.cti.vpbx.shared.exceptions.VpbxGwtException"
LIST_RECORD: Final = "ru.cti.vpbx.shared.models.browser.AbonentBrowserRecordGWTModel"
LIST_REQUEST: Final = "ru.cti.vpbx.shared.models.browser.AbonentBrowserRequestGWTModel"
LIST_RESPONSE: Final = "ru.cti.vpbx.shared.models.browser.AbonentBrowserResponseGWTModel"
CONTACT: Final = "ru.cti.vpbx.shared.models.browser.ContactGWTModel"
QUEUE: Final = "ru.cti.vpbx.shared.models.browser.QueueGWTModel"
MOBILE_FORM: Final = "ru.cti.vpbx.shared.models.form.AbonentMobileFormGWTModel"
FORM: Final = "ru.cti.vpbx.shared.models.form.FormGWTModel"
DEVICE_FORM: Final = "ru.cti.vpbx.shared.models.form.device.AbonentDeviceFormGWTModel"
DEVICE_RECORD: Final = "ru.cti.vpbx.shared.models.form.device.AbonentDeviceRecordGWTModel"
DISPATCHER: Final = "ru.cti.vpbx.shared.services.DispatcherService$DISPATCHER"

_NUMBER, _BOOLEAN, _LONG = Kind.NUMBER, Kind.BOOLEAN, Kind.LONG
_STRING, _OBJECT, _ENUM = Kind.STRING, Kind.OBJECT, Kind.ENUM

REQUEST_FIELDS: Final[Mapping[str, Kind]] = {
    "search": _STRING,
    "ascending": _OBJECT,
    "order": _STRING,
    **dict.fromkeys(("deleted", "migrationState", "enterprise", "department", "tariff"), _OBJECT),
    **dict.fromkeys(("page", "pageSize", "total"), _OBJECT),
}
"""Of the list request."""


class JavaClass(NamedTuple):
    """What the client reads of a class, or writes of the list request's; one field is a value."""

    fields: Fields
    number: int = 0  # in its signature; drawn where it is 0, since it is the application's own
    constants: int = 0  # of an enum
    in_list: bool = False  # only the list's service needs it


CLASSES: Final[Mapping[str, JavaClass]] = {
    BOOLEAN: JavaClass((_BOOLEAN,), 476441737),
    LONG: JavaClass((_LONG,), 4227064769),
    STRING: JavaClass((_STRING,), 2004016611),
    INTEGER: JavaClass((_NUMBER,), 3438268394),
    DATE: JavaClass((_LONG,), 3385151746),
    INCOMPATIBLE: JavaClass((_STRING,), 3936916533),
    ARRAY_LIST: JavaClass((_NUMBER, Repeat((_OBJECT,))), 4159755760),
    HASH_MAP: JavaClass((_NUMBER, Repeat((_OBJECT, _OBJECT))), 1797211028, in_list=True),
    INT_ARRAY: JavaClass((_NUMBER, Repeat((_NUMBER,))), 1438268394, in_list=True),
    MIGRATION_STATE: JavaClass((_ENUM,), constants=3),
    DISPATCHER: JavaClass((_ENUM,), constants=40),
    APPLICATION_ERROR: JavaClass((_STRING, _STRING, _STRING)),
    LIST_REQUEST: JavaClass(tuple(REQUEST_FIELDS.values()), in_list=True),
    LIST_RESPONSE: JavaClass((_OBJECT, _OBJECT, _NUMBER), in_list=True),  # without other lists
    LIST_RECORD: JavaClass((), in_list=True),  # a deployment chooses its columns
    CONTACT: JavaClass((_STRING, _OBJECT, _STRING), in_list=True),
    QUEUE: JavaClass((_STRING, _NUMBER, _BOOLEAN), in_list=True),
    MOBILE_FORM: JavaClass((_STRING, _BOOLEAN, _OBJECT, _NUMBER)),
    FORM: JavaClass((_OBJECT, _STRING)),
    DEVICE_FORM: JavaClass((_OBJECT, _OBJECT, _OBJECT, _NUMBER)),
    DEVICE_RECORD: JavaClass((_OBJECT, _BOOLEAN, _OBJECT, _NUMBER, *(_STRING,) * 6)),
}
"""The numbers of Java's are [observed]."""


class Interface(NamedTuple):
    """A service: its Java name, what a call of it is, and its methods' parameters' classes."""

    interface: str
    call: str
    methods: Mapping[str, tuple[str, ...]]


_SERVICES: Final = "ru.cti.vpbx.shared.services"
LIST_SERVICE: Final = "AbonentBrowserGwtService"
DETAILS_SERVICE: Final = "DispatcherGwtService"
SELECTOR_SERVICE: Final = "AbonentDeviceFormGwtService"
OTHER_SERVICE: Final = "EnterpriseBrowserGwtService"

SERVICES: Final = {
    SELECTOR_SERVICE: Interface(
        f"{_SERVICES}.{SELECTOR_SERVICE}", "selector", {"setEnabled": (LONG, BOOLEAN)}
    ),
    # Nothing calls it; its path ends in the same words as the list's.
    OTHER_SERVICE: Interface(f"{_SERVICES}.{OTHER_SERVICE}", "other", {}),
    LIST_SERVICE: Interface(f"{_SERVICES}.{LIST_SERVICE}", "list", {"list": (LIST_REQUEST,)}),
    DETAILS_SERVICE: Interface(
        f"{_SERVICES}.DispatcherService", "details", {"getForm": (LONG, DISPATCHER)}
    ),
}
"""By path. What the selector's method is really called is not known. [assumed]"""


class Object(NamedTuple):
    """An object of an answer: its class, and its fields' values; elements after their number."""

    name: str
    values: tuple[Any, ...]


def boxed(value: int | str) -> Object:
    """Return a ``Long``, a ``Boolean`` or a ``String``."""
    return Object({int: LONG, bool: BOOLEAN, str: STRING}[type(value)], (value,))


def array_list(elements: Sequence[Object]) -> Object:
    """Return an ``ArrayList``."""
    return Object(ARRAY_LIST, (len(elements), *elements))


def _created(trunk: SimulatedTrunk) -> Object:
    return Object(DATE, (trunk.created,))


def _options(trunk: SimulatedTrunk) -> Object:
    texts = ("transport", "UDP", "inner", trunk.inner_number)
    return Object(HASH_MAP, (len(texts) // 2, *map(boxed, texts)))


def _codes(trunk: SimulatedTrunk) -> Object:
    codes = [int(digit) for digit in trunk.inner_number[:2]]
    return Object(INT_ARRAY, (len(codes), *codes))


class Column(NamedTuple):
    """One value of a row: how it stands there, and what it is of a trunk."""

    kind: Kind
    value: Callable[[SimulatedTrunk], Any]


_TEXTS: Final = ("department", "name", "phone", "inner_number", "note")

COLUMNS: Final = {
    **{name: Column(_STRING, attrgetter(name)) for name in _TEXTS},
    "balance": Column(_LONG, attrgetter("balance")),
    "created": Column(_OBJECT, _created),
    "migration": Column(_OBJECT, lambda trunk: Object(MIGRATION_STATE, (trunk.migration,))),
    # No capture has the following: what another deployment may add, of every shape.
    "email": Column(_STRING, lambda trunk: f"{trunk.inner_number}@example.com"),
    "tariff": Column(_STRING, lambda _: "Единый"),
    "limit": Column(_OBJECT, lambda trunk: boxed(trunk.balance)),
    "weight": Column(_NUMBER, lambda trunk: trunk.balance / 7),
    "is_roaming": Column(_OBJECT, lambda trunk: boxed(trunk.state.bound)),
    "contact": Column(
        _OBJECT, lambda trunk: Object(CONTACT, (trunk.phone, _created(trunk), trunk.name))
    ),
    "options": Column(_OBJECT, _options),
    "codes": Column(_OBJECT, _codes),
}

Reading: TypeAlias = Literal["a", "b", "c", "d", "e"]
"""What stands at a row's positions 5 and 4. In ``e`` the server has one ``Boolean`` of a value."""

_ZERO: Final = Column(_NUMBER, lambda _: 0)
_NULL: Final = Column(_OBJECT, lambda _: None)
_ACTIVE: Final = Column(_BOOLEAN, lambda trunk: trunk.state.active)
_BOXED_ACTIVE: Final = Column(_OBJECT, lambda trunk: boxed(trunk.state.active))

_TWELVE_TO_SIX: Final = (
    *(_ZERO, _ZERO, _ZERO),
    Column(_BOOLEAN, lambda trunk: trunk.state.off),
    _ZERO,
    Column(_BOOLEAN, lambda trunk: trunk.state.marked_for_deletion),
    Column(_BOOLEAN, lambda trunk: trunk.state.bound),
)
FIVE_AND_FOUR: Final[Mapping[Reading, tuple[Column, ...]]] = {
    "a": (_BOXED_ACTIVE,),
    "b": (Column(_STRING, lambda _: "SIM"), _ACTIVE),
    "c": (Column(_NUMBER, lambda _: 8), _ACTIVE),
    "d": (Column(_OBJECT, lambda trunk: Object(INTEGER, (int(trunk.state.active),))),),
    "e": (_BOXED_ACTIVE,),
}
_THREE_TO_ONE: Final = (_NULL, _NULL, Column(_OBJECT, lambda trunk: boxed(trunk.id)))


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of the application; see :meth:`make`."""

    permutations: tuple[str, ...]  # strong names, 32 hexadecimal digits each
    policies: Mapping[str, str]  # hash of the serialization policy by the service's path
    signatures: Mapping[str, int]  # the number after the name, by class
    style: Style = GWT_2_7  # the release of Google's code that it writes like
    # A row's columns that are read before its twelve values, and after them, a superclass's.
    before: tuple[str, ...] = ("department", "name", "phone")
    after: tuple[str, ...] = ("inner_number", "migration", "created", "note", "balance")
    kind: Reading = "a"  # of the twelve values
    other_lists: int = 0  # how many lists of other objects stand in an answer before the trunks
    interned: bool = False  # the script holds its strings in variables, not where they are used
    list_fragment: int = 0  # the deferred one that alone has the list's service and classes; or 0
    fragments: int = 0  # how many deferred fragments there are

    @classmethod
    def make(cls, *, seed: int | str = 0, permutations: int = 5) -> Deployment:
        """Draw a deployment's names; its habits are the usual ones, see ``dataclasses.replace``."""
        draw = random.Random(f"deployment {seed}")  # noqa: S311 - public names, no secrets
        return cls(
            permutations=tuple(f"{draw.getrandbits(128):032X}" for _ in range(permutations)),
            policies={path: f"{draw.getrandbits(128):032X}" for path in SERVICES},
            signatures={
                name: one.number or draw.randrange(10**8, 1 << 32) for name, one in CLASSES.items()
            },
        )

    def redeployed(self, seed: int | str) -> Deployment:
        """Draw names, a row's columns and kind, and what the script looks like anew.

        The server's habits stay. The same seed draws the same.
        """
        draw = random.Random(f"redeployment {seed}")  # noqa: S311 - no secrets
        new = Deployment.make(seed=seed, permutations=len(self.permutations))
        fragments = draw.randrange(4)
        columns = [*self.before, *self.after]
        draw.shuffle(columns)
        cut = draw.randrange(1, len(columns))
        return replace(
            new,
            style=self.style,
            before=tuple(columns[:cut]),
            after=tuple(columns[cut:]),
            kind=draw.choice(("a", "b", "c", "d")),
            other_lists=self.other_lists,
            interned=draw.random() < 0.5,
            fragments=fragments,
            list_fragment=draw.randrange(fragments + 1),
        )

    def signature(self, name: str) -> str:
        """Return a class's name and number as the wire has it, ``java.lang.Long/4227064769``."""
        return f"{name}/{self.signatures[name]}"

    def columns(self) -> list[Column]:
        """Return all values of a row, in the order of reading: the twelve from the twelfth on."""
        before, after = ([COLUMNS[name] for name in names] for names in (self.before, self.after))
        return [*before, *_TWELVE_TO_SIX, *FIVE_AND_FOUR[self.kind], *_THREE_TO_ONE, *after]

    def class_fields(self) -> dict[str, Fields]:
        """Return what the client reads of each class, by its name."""
        fields = {name: one.fields for name, one in CLASSES.items()}
        fields[LIST_RECORD] = tuple(column.kind for column in self.columns())
        fields[LIST_RESPONSE] = (*(_OBJECT,) * self.other_lists, *fields[LIST_RESPONSE])
        return fields

    def write(self, answer: Object) -> str:
        """Write an answer of an object and all that it holds, as Google's server code does."""
        writer = ResponseWriter()
        fields = self.class_fields()
        # Of which the server has one object, and refers to it from the second time on.
        shared = {name for name, one in CLASSES.items() if one.constants}
        if self.kind == "e":
            shared.add(BOOLEAN)

        def write(one: Object | None) -> None:
            if one is None:
                writer.write_number(0)
                return
            share = one if one.name in shared else None
            if writer.write_object(self.signature(one.name), share=share):
                for kind, value in zip(_kinds(fields[one.name]), one.values, strict=False):
                    writes[kind](value)

        writes: dict[Any, Callable[[Any], None]] = {
            Kind.NUMBER: writer.write_number,
            Kind.BOOLEAN: writer.write_number,
            Kind.LONG: writer.write_long,
            Kind.STRING: writer.write_string,
            Kind.OBJECT: write,
            Kind.ENUM: writer.write_number,
        }
        write(answer)
        is_thrown = answer.name in (INCOMPATIBLE, APPLICATION_ERROR)
        return encode_response(writer.finish("EX" if is_thrown else "OK"), style=self.style)


def _kinds(fields: Fields) -> Iterable[Any]:
    """The kinds of an object's values, without end where it is a collection."""
    if isinstance(fields[-1], Repeat):
        return chain(fields[:-1], cycle(fields[-1].fields))
    return fields
