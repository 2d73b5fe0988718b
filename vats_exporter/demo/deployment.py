"""What one deployment of the cabinet's application is: its names, its classes, its habits.

A redeployment changes the permutations' strong names, the hashes of the services' policies and the
signatures of the application's own classes; the signatures of Java's classes come with GWT and
stay. All of them are drawn from a seed, so that no client can know them beforehand. [observed]

The fields of the request are known from what clients send; their names are invented, but for
``deleted``, and the classes of those that are always null are guesses. [assumed]
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from vats_exporter.gwt import GWT_2_7, Style
from vats_exporter.gwt.fields import ClassFields, Kind, Repeat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vats_exporter.gwt.fields import Field

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
    MIGRATION_STATE,
    APPLICATION_ERROR,
    LIST_RECORD,
    LIST_REQUEST,
    LIST_RESPONSE,
    CONTACT,
    QUEUE,
    MOBILE_FORM,
    FORM,
    DEVICE_FORM,
    DEVICE_RECORD,
    DISPATCHER,
)


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the application.

    Attributes:
        interface: its Java name, which requests hold.
        methods: parameter types by method name.
    """

    interface: str
    methods: Mapping[str, tuple[str, ...]]


LIST_SERVICE: Final = "AbonentBrowserGwtService"
DETAILS_SERVICE: Final = "DispatcherGwtService"
SELECTOR_SERVICE: Final = "AbonentDeviceFormGwtService"

SERVICES: Final = {
    SELECTOR_SERVICE: Service(
        "ru.cti.vpbx.shared.services.AbonentDeviceFormGwtService", {"setEnabled": (LONG, BOOLEAN)}
    ),
    # Nothing calls it; its path ends in the same words as the list's.
    "EnterpriseBrowserGwtService": Service(
        "ru.cti.vpbx.shared.services.EnterpriseBrowserGwtService", {}
    ),
    LIST_SERVICE: Service(
        "ru.cti.vpbx.shared.services.AbonentBrowserGwtService", {"list": (LIST_REQUEST,)}
    ),
    DETAILS_SERVICE: Service(
        "ru.cti.vpbx.shared.services.DispatcherService", {"getForm": (LONG, DISPATCHER)}
    ),
}
"""By path. What the selector's method is really called is not known. [assumed]"""

MODULE: Final = "vpbxGwt"

CONSTANTS: Final = {DISPATCHER: 40, MIGRATION_STATE: 3}
"""How many constants each enum has."""

_NUMBER, _BOOLEAN, _LONG, _STRING, _OBJECT = (
    Kind.NUMBER,
    Kind.BOOLEAN,
    Kind.LONG,
    Kind.STRING,
    Kind.OBJECT,
)

REQUEST_FIELDS: Final[Mapping[str, Kind]] = {
    "search": _STRING,
    "ascending": _OBJECT,
    "order": _STRING,
    **dict.fromkeys(
        (
            "deleted",
            "migrationState",
            "enterprise",
            "department",
            "tariff",
            "page",
            "pageSize",
            "total",
        ),
        _OBJECT,
    ),
}
"""Of the list request, in the order of the wire."""


ROW_COLUMNS: Final = {
    "department": _STRING,
    "name": _STRING,
    "phone": _STRING,
    "inner_number": _STRING,
    "migration": _OBJECT,
    "created": _OBJECT,
    "note": _STRING,
    "balance": _LONG,
}
"""The columns of a captured row, and how each stands in it."""

EXTRA_COLUMNS: Final = {
    "email": _STRING,
    "tariff": _STRING,
    "paid_until": _OBJECT,
    "limit": _OBJECT,
    "weight": _NUMBER,
    "is_roaming": _OBJECT,
    "contact": _OBJECT,
    "options": _OBJECT,
    "codes": _OBJECT,
}
"""Columns that no capture has: *contact* is a nested object with phone and name, *options* a map,
*codes* an array of ints."""

Reading: TypeAlias = Literal["a", "b", "c", "d", "e"]
"""What stands at the positions 5 and 4 of a row: CONTRACT's kinds."""

_FIFTH_AND_FOURTH: Final[Mapping[Reading, tuple[Kind, ...]]] = {
    "a": (_OBJECT,),
    "b": (_STRING, _BOOLEAN),
    "c": (_NUMBER, _BOOLEAN),
    "d": (_OBJECT,),
    "e": (_OBJECT,),
}


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

    def __post_init__(self) -> None:
        """Refuse columns that can't be written."""
        unknown = {*self.before, *self.after} - ROW_COLUMNS.keys() - EXTRA_COLUMNS.keys()
        if unknown:
            raise ValueError(f"no such columns: {', '.join(sorted(unknown))}")

    def shuffled(self, draw: random.Random) -> RowLayout:
        """Return a layout with the columns in another order, and another kind of flag."""
        columns = [*self.before, *self.after]
        draw.shuffle(columns)
        cut = draw.randrange(1, len(columns))
        kind: Reading = draw.choice(("a", "b", "c", "d"))
        return RowLayout(tuple(columns[:cut]), tuple(columns[cut:]), kind)

    def fields(self) -> ClassFields:
        """The fields of a row's class, in the order of the wire."""
        kinds = ROW_COLUMNS | EXTRA_COLUMNS
        own = [
            *(kinds[column] for column in self.before),
            *(_NUMBER, _NUMBER, _NUMBER, _BOOLEAN, _NUMBER, _BOOLEAN, _BOOLEAN),
            *_FIFTH_AND_FOURTH[self.kind],
            *(_OBJECT, _OBJECT, _OBJECT),
        ]
        return ClassFields((), (*own, *(kinds[column] for column in self.after)), len(own))


def _fields(*kinds: Field) -> ClassFields:
    return ClassFields((), kinds, len(kinds))


def _value(kind: Kind) -> ClassFields:
    return ClassFields((kind,), (), 0)


_JAVA_FIELDS: Final = {
    BOOLEAN: _value(_BOOLEAN),
    LONG: _value(_LONG),
    STRING: _value(_STRING),
    INTEGER: _value(_NUMBER),
    DATE: _value(_LONG),
    ARRAY_LIST: _fields(_NUMBER, Repeat((_OBJECT,))),
    HASH_MAP: _fields(_NUMBER, Repeat((_OBJECT, _OBJECT))),
    INT_ARRAY: ClassFields((_NUMBER,), (Repeat((_NUMBER,)),), 1),
    MIGRATION_STATE: _value(Kind.ENUM),
    DISPATCHER: _value(Kind.ENUM),
}


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment of the application; see :meth:`make`.

    Attributes:
        permutations: strong names, 32 hexadecimal digits each.
        policies: hash of the serialization policy by the service's path.
        signatures: the number after the name, by class.
        shared_booleans: the server has one ``Boolean.TRUE`` and writes later ones as references.
        null_devices: form 31 shows a trunk without a device as a record whose device is null
            [observed], rather than as an empty list, which the captures have.
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
    null_devices: bool = False
    style: Style = GWT_2_7
    layout: RowLayout = field(default_factory=RowLayout)
    other_lists: int = 0
    interned: bool = False
    list_fragment: int = 0
    fragments: int = 0

    @classmethod
    def make(cls, *, seed: int | str = 0, permutations: int = 5) -> Deployment:
        """Draw a deployment's names; its habits are the usual ones, see ``dataclasses.replace``.

        Args:
            seed: the same seed draws the same names.
            permutations: how many there are, at least 1.
        """
        draw = random.Random(f"deployment {seed}")  # noqa: S311 - public names, no secrets
        return cls(
            permutations=tuple(f"{draw.getrandbits(128):032X}" for _ in range(permutations)),
            policies={path: f"{draw.getrandbits(128):032X}" for path in SERVICES},
            signatures=LASTING_SIGNATURES
            | {name: draw.randrange(10**8, 1 << 32) for name in APPLICATION_CLASSES},
        )

    def redeployed(self, seed: int | str) -> Deployment:
        """Draw names, the order of a row's fields, and what the script looks like anew.

        The list's service may stand in a deferred fragment then, and strings in variables; the
        server's habits stay.

        Args:
            seed: another one than before, or the names are the same.
        """
        new = Deployment.make(seed=seed, permutations=len(self.permutations))
        draw = random.Random(f"redeployment {seed}")  # noqa: S311 - no secrets
        fragments = draw.randrange(4)
        return replace(
            self,
            permutations=new.permutations,
            policies=new.policies,
            signatures=new.signatures,
            layout=self.layout.shuffled(draw),
            interned=draw.random() < 0.5,
            fragments=fragments,
            list_fragment=draw.randrange(fragments + 1),
        )

    def signature(self, name: str) -> str:
        """Return a class's name and number as the wire has it, ``java.lang.Long/4227064769``."""
        return f"{name}/{self.signatures[name]}"

    def class_fields(self) -> dict[str, ClassFields]:
        """Return what the client reads of each class, by its name."""
        fields = {
            **_JAVA_FIELDS,
            LIST_RECORD: self.layout.fields(),
            LIST_RESPONSE: _fields(*(_OBJECT,) * (2 + self.other_lists), _NUMBER),
            CONTACT: _fields(_STRING, _OBJECT, _STRING),
            QUEUE: _fields(_STRING, _NUMBER, _BOOLEAN),
            LIST_REQUEST: _fields(*REQUEST_FIELDS.values()),
            MOBILE_FORM: _fields(_STRING, _BOOLEAN, _OBJECT, _NUMBER),
            FORM: _fields(_OBJECT, _STRING),
            DEVICE_FORM: _fields(_OBJECT, _OBJECT, _OBJECT, _NUMBER),
            DEVICE_RECORD: _fields(_OBJECT, _BOOLEAN, _OBJECT, _NUMBER, *(_STRING,) * 6),
            APPLICATION_ERROR: ClassFields((), (_STRING, _STRING, _STRING), 2),
        }
        return {name: fields[name] for name in self.signatures}

    def list_classes(self) -> frozenset[str]:
        """Return the classes that only the list's service needs."""
        return frozenset(
            (LIST_RECORD, LIST_RESPONSE, LIST_REQUEST, CONTACT, QUEUE, HASH_MAP, INT_ARRAY)
        )
