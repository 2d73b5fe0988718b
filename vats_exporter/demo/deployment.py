"""What one deployment of the cabinet's application is: its names, classes and habits of writing.

A redeployment changes the permutations' strong names, the hashes of the services' policies and the
signatures of the application's own classes; the signatures of Java's classes come with GWT and
stay. All of them are drawn from a seed, so that no client can know them beforehand. [observed]

The application's classes and services are those of the captures; what no capture has is invented:
other columns, nested objects, other lists, and the names of the request's fields but for
``deleted``. [assumed]
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, cycle
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from vats_exporter.demo.population import SimulatedTrunk
from vats_exporter.gwt import GWT_2_7, Fields, Kind, Repeat, ResponseWriter, Style, encode_response
from vats_exporter.gwt.response import Status

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

LASTING_SIGNATURES: Final = {
    BOOLEAN: 476441737,
    LONG: 4227064769,
    STRING: 2004016611,
    INTEGER: 3438268394,
    ARRAY_LIST: 4159755760,
    HASH_MAP: 1797211028,
    INT_ARRAY: 1438268394,
    DATE: 3385151746,
}
"""Of the classes that come with GWT. [observed]"""

APPLICATION_CLASSES: Final = (
    *(MIGRATION_STATE, APPLICATION_ERROR, LIST_RECORD, LIST_REQUEST, LIST_RESPONSE, CONTACT, QUEUE),
    *(MOBILE_FORM, FORM, DEVICE_FORM, DEVICE_RECORD, DISPATCHER),
)
LIST_CLASSES: Final = frozenset(
    (LIST_RECORD, LIST_RESPONSE, LIST_REQUEST, CONTACT, QUEUE, HASH_MAP, INT_ARRAY)
)
"""Those that only the list's service needs."""


class Interface(NamedTuple):
    """A service: its Java name, and the parameters' classes of each of its methods."""

    interface: str
    methods: Mapping[str, tuple[str, ...]]


LIST_SERVICE: Final = "AbonentBrowserGwtService"
DETAILS_SERVICE: Final = "DispatcherGwtService"
SELECTOR_SERVICE: Final = "AbonentDeviceFormGwtService"

SERVICES: Final = {
    SELECTOR_SERVICE: Interface(
        "ru.cti.vpbx.shared.services.AbonentDeviceFormGwtService", {"setEnabled": (LONG, BOOLEAN)}
    ),
    # Nothing calls it; its path ends in the same words as the list's.
    "EnterpriseBrowserGwtService": Interface(
        "ru.cti.vpbx.shared.services.EnterpriseBrowserGwtService", {}
    ),
    LIST_SERVICE: Interface(
        "ru.cti.vpbx.shared.services.AbonentBrowserGwtService", {"list": (LIST_REQUEST,)}
    ),
    DETAILS_SERVICE: Interface(
        "ru.cti.vpbx.shared.services.DispatcherService", {"getForm": (LONG, DISPATCHER)}
    ),
}
"""By path. What the selector's method is really called is not known. [assumed]"""

MODULE: Final = "vpbxGwt"

CONSTANTS: Final = {DISPATCHER: 40, MIGRATION_STATE: 3}
"""How many constants each enum has."""

_NUMBER, _BOOLEAN, _LONG = Kind.NUMBER, Kind.BOOLEAN, Kind.LONG
_STRING, _OBJECT = Kind.STRING, Kind.OBJECT

REQUEST_FIELDS: Final[Mapping[str, Kind]] = {
    "search": _STRING,
    "ascending": _OBJECT,
    "order": _STRING,
    **dict.fromkeys(("deleted", "migrationState", "enterprise", "department", "tariff"), _OBJECT),
    **dict.fromkeys(("page", "pageSize", "total"), _OBJECT),
}
"""Of the list request."""

VALUES: Final = frozenset((BOOLEAN, LONG, STRING, INTEGER, DATE, *CONSTANTS))
"""Classes of one value, with which the client makes the object."""

FIELDS: Final[Mapping[str, Fields]] = {
    BOOLEAN: (_BOOLEAN,),
    LONG: (_LONG,),
    STRING: (_STRING,),
    INTEGER: (_NUMBER,),
    DATE: (_LONG,),
    ARRAY_LIST: (_NUMBER, Repeat((_OBJECT,))),
    HASH_MAP: (_NUMBER, Repeat((_OBJECT, _OBJECT))),
    INT_ARRAY: (_NUMBER, Repeat((_NUMBER,))),
    MIGRATION_STATE: (Kind.ENUM,),
    DISPATCHER: (Kind.ENUM,),
    CONTACT: (_STRING, _OBJECT, _STRING),
    QUEUE: (_STRING, _NUMBER, _BOOLEAN),
    MOBILE_FORM: (_STRING, _BOOLEAN, _OBJECT, _NUMBER),
    FORM: (_OBJECT, _STRING),
    DEVICE_FORM: (_OBJECT, _OBJECT, _OBJECT, _NUMBER),
    DEVICE_RECORD: (_OBJECT, _BOOLEAN, _OBJECT, _NUMBER, *(_STRING,) * 6),
    APPLICATION_ERROR: (_STRING, _STRING, _STRING),
    LIST_REQUEST: tuple(REQUEST_FIELDS.values()),
}
"""Of every class but a list's answer and its rows, whose fields a deployment chooses."""


class Object(NamedTuple):
    """An object as an answer holds it.

    Attributes:
        name: its class.
        values: of its fields; a collection's elements stand behind their number.
        is_shared: the server has one such object, and refers to it from the second time on.
    """

    name: str
    values: tuple[Any, ...]
    is_shared: bool = False


def boxed(value: int) -> Object:
    """Return a ``Long``, or a ``Boolean`` for a boolean."""
    return Object(BOOLEAN if isinstance(value, bool) else LONG, (value,))


def array_list(elements: Sequence[Object]) -> Object:
    """Return an ``ArrayList``."""
    return Object(ARRAY_LIST, (len(elements), *elements))


def _contact(trunk: SimulatedTrunk) -> Object:
    return Object(CONTACT, (trunk.phone, Object(DATE, (trunk.created,)), trunk.name))


def _options(trunk: SimulatedTrunk) -> Object:
    texts = ("transport", "UDP", "inner", trunk.inner_number)
    return Object(HASH_MAP, (len(texts) // 2, *(Object(STRING, (text,)) for text in texts)))


def _codes(trunk: SimulatedTrunk) -> Object:
    codes = [int(digit) for digit in trunk.inner_number[:2]]
    return Object(INT_ARRAY, (len(codes), *codes))


class Column(NamedTuple):
    """One value of a row: how it stands there, and what it is of a trunk."""

    kind: Kind
    value: Callable[[SimulatedTrunk], Any]


ROW_COLUMNS: Final = {
    "department": Column(_STRING, lambda trunk: trunk.department),
    "name": Column(_STRING, lambda trunk: trunk.name),
    "phone": Column(_STRING, lambda trunk: trunk.phone),
    "inner_number": Column(_STRING, lambda trunk: trunk.inner_number),
    "migration": Column(
        _OBJECT, lambda trunk: Object(MIGRATION_STATE, (trunk.migration,), is_shared=True)
    ),
    "created": Column(_OBJECT, lambda trunk: Object(DATE, (trunk.created,))),
    "note": Column(_STRING, lambda trunk: trunk.note),
    "balance": Column(_LONG, lambda trunk: trunk.balance),
}
"""The columns of a captured row."""

EXTRA_COLUMNS: Final = {
    "email": Column(_STRING, lambda trunk: f"{trunk.inner_number}@example.com"),
    "tariff": Column(_STRING, lambda _: "Единый"),
    "limit": Column(_OBJECT, lambda trunk: boxed(trunk.balance)),
    "weight": Column(_NUMBER, lambda trunk: trunk.balance / 7),
    "is_roaming": Column(_OBJECT, lambda trunk: boxed(trunk.state.bound)),
    "contact": Column(_OBJECT, _contact),
    "options": Column(_OBJECT, _options),
    "codes": Column(_OBJECT, _codes),
}
"""Columns that no capture has, of every shape: what another deployment may add."""

COLUMNS: Final = ROW_COLUMNS | EXTRA_COLUMNS

Reading: TypeAlias = Literal["a", "b", "c", "d", "e"]
"""What stands at the positions 5 and 4 of a row, and holds whether the trunk is active."""

_ZERO: Final = Column(_NUMBER, lambda _: 0)
_NULL: Final = Column(_OBJECT, lambda _: None)
_ACTIVE: Final = Column(_BOOLEAN, lambda trunk: trunk.state.active)

TWELVE_TO_SIX: Final = (
    *(_ZERO, _ZERO, _ZERO),
    Column(_BOOLEAN, lambda trunk: trunk.state.off),
    _ZERO,
    Column(_BOOLEAN, lambda trunk: trunk.state.marked),
    Column(_BOOLEAN, lambda trunk: trunk.state.bound),
)
FIVE_AND_FOUR: Final[Mapping[Reading, tuple[Column, ...]]] = {
    "a": (Column(_OBJECT, lambda trunk: boxed(trunk.state.active)),),
    "b": (Column(_STRING, lambda _: "SIM"), _ACTIVE),
    "c": (Column(_NUMBER, lambda _: 8), _ACTIVE),
    "d": (Column(_OBJECT, lambda trunk: Object(INTEGER, (int(trunk.state.active),))),),
    "e": (Column(_OBJECT, lambda trunk: Object(BOOLEAN, (trunk.state.active,), is_shared=True)),),
}
THREE_TO_ONE: Final = (_NULL, _NULL, Column(_OBJECT, lambda trunk: boxed(trunk.id)))
"""A row's twelve values in the order of reading, from the twelfth on."""


@dataclass(frozen=True, slots=True)
class RowLayout:
    """Which columns a row has around its twelve values, in the order of reading.

    Attributes:
        before: the columns that are read before the twelve values.
        after: those that are read after the reference; they are a superclass's.
        kind: what the flag at position 4 is.
    """

    before: tuple[str, ...] = ("department", "name", "phone")
    after: tuple[str, ...] = ("inner_number", "migration", "created", "note", "balance")
    kind: Reading = "a"

    def columns(self) -> list[Column]:
        """Return all values of a row."""
        before, after = ([COLUMNS[name] for name in names] for names in (self.before, self.after))
        return [*before, *TWELVE_TO_SIX, *FIVE_AND_FOUR[self.kind], *THREE_TO_ONE, *after]

    def fields(self) -> Fields:
        """Return the fields of a row's class."""
        return tuple(column.kind for column in self.columns())

    def row(self, trunk: SimulatedTrunk) -> Object:
        """Return a trunk's row."""
        return Object(LIST_RECORD, tuple(column.value(trunk) for column in self.columns()))


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of the application; see :meth:`make`.

    Attributes:
        permutations: strong names, 32 hexadecimal digits each.
        policies: hash of the serialization policy by the service's path.
        signatures: the number after the name, by class.
        shared_booleans: the server has one ``Boolean.TRUE`` and writes later ones as references.
        style: the release of Google's code that it writes like.
        layout: the columns of a row.
        other_lists: how many lists of other objects stand in an answer before the trunks.
        interned: the script holds its strings in variables rather than where they are used.
        list_fragment: the number of the deferred fragment that alone has the list's service and
            classes; 0 where the permutation has them.
        fragments: how many deferred fragments there are.
    """

    permutations: tuple[str, ...]
    policies: Mapping[str, str]
    signatures: Mapping[str, int]
    shared_booleans: bool = False
    style: Style = GWT_2_7
    layout: RowLayout = field(default_factory=RowLayout)
    other_lists: int = 0
    interned: bool = False
    list_fragment: int = 0
    fragments: int = 0

    @classmethod
    def make(cls, *, seed: int | str = 0, permutations: int = 5) -> Deployment:
        """Draw a deployment's names; its habits are the usual ones, see ``dataclasses.replace``."""
        draw = random.Random(f"deployment {seed}")  # noqa: S311 - public names, no secrets
        return cls(
            permutations=tuple(f"{draw.getrandbits(128):032X}" for _ in range(permutations)),
            policies={path: f"{draw.getrandbits(128):032X}" for path in SERVICES},
            signatures=LASTING_SIGNATURES
            | {name: draw.randrange(10**8, 1 << 32) for name in APPLICATION_CLASSES},
        )

    def redeployed(self, seed: int | str) -> Deployment:
        """Draw names, the layout of a row, and what the script looks like anew.

        The list's service may stand in a deferred fragment then, and strings in variables; the
        server's habits stay. The same seed draws the same.
        """
        draw = random.Random(f"redeployment {seed}")  # noqa: S311 - no secrets
        new = Deployment.make(seed=seed, permutations=len(self.permutations))
        fragments = draw.randrange(4)
        columns = [*self.layout.before, *self.layout.after]
        draw.shuffle(columns)
        cut = draw.randrange(1, len(columns))
        kind: Reading = draw.choice(("a", "b", "c", "d"))
        return replace(
            self,
            permutations=new.permutations,
            policies=new.policies,
            signatures=new.signatures,
            layout=RowLayout(tuple(columns[:cut]), tuple(columns[cut:]), kind),
            interned=draw.random() < 0.5,
            fragments=fragments,
            list_fragment=draw.randrange(fragments + 1),
        )

    def signature(self, name: str) -> str:
        """Return a class's name and number as the wire has it, ``java.lang.Long/4227064769``."""
        return f"{name}/{self.signatures[name]}"

    def class_fields(self) -> dict[str, Fields]:
        """Return what the client reads of each class, by its name."""
        fields = {
            **FIELDS,
            LIST_RECORD: self.layout.fields(),
            LIST_RESPONSE: (*(_OBJECT,) * (2 + self.other_lists), _NUMBER),
        }
        return {name: fields[name] for name in self.signatures}

    def write(self, answer: Object, status: Status = "OK") -> str:
        """Write an answer of an object and all that it holds, as Google's server code does."""
        writer = _ObjectWriter(self)
        writer.write(answer)
        return encode_response(writer.finish(status), style=self.style)


class _ObjectWriter(ResponseWriter):
    """Writes objects by the fields of a deployment's classes."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__()
        self._deployment = deployment
        self._fields = deployment.class_fields()
        self._write: dict[Any, Callable[[Any], None]] = {
            Kind.NUMBER: self.write_number,
            Kind.BOOLEAN: self.write_boolean,
            Kind.LONG: self.write_long,
            Kind.STRING: self.write_string,
            Kind.OBJECT: self.write,
            Kind.ENUM: self.write_number,
        }

    def write(self, one: Object | None) -> None:
        if one is None:
            self.write_null()
            return
        is_boolean = one.name == BOOLEAN
        is_shared = one.is_shared or (is_boolean and self._deployment.shared_booleans)
        share = one[:2] if is_shared else None
        if self.write_object(self._deployment.signature(one.name), share=share):
            for kind, value in zip(_kinds(self._fields[one.name]), one.values, strict=False):
                self._write[kind](value)


def _kinds(fields: Fields) -> Iterable[Any]:
    """The kinds of an object's values, without end where it is a collection."""
    if isinstance(fields[-1], Repeat):
        return chain(fields[:-1], cycle(fields[-1].fields))
    return fields
