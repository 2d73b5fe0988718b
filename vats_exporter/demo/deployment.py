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
from typing import TYPE_CHECKING, Final

from vats_exporter.gwt import (
    GWT_2_7,
    BoxedClass,
    ClassDescription,
    EnumClass,
    Primitive,
    RecordClass,
    Style,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

LONG: Final = "java.lang.Long"
BOOLEAN: Final = "java.lang.Boolean"
STRING: Final = "java.lang.String"
ARRAY_LIST: Final = "java.util.ArrayList"
DATE: Final = "java.util.Date"
MIGRATION_STATE: Final = "ru.cti.vpbx.shared.enums.MIGRATION_STATE_TYPE"
APPLICATION_ERROR: Final = "ru.cti.vpbx.shared.exceptions.VpbxGwtException"
LIST_RECORD: Final = "ru.cti.vpbx.shared.models.browser.AbonentBrowserRecordGWTModel"
LIST_REQUEST: Final = "ru.cti.vpbx.shared.models.browser.AbonentBrowserRequestGWTModel"
LIST_RESPONSE: Final = "ru.cti.vpbx.shared.models.browser.AbonentBrowserResponseGWTModel"
MOBILE_FORM: Final = "ru.cti.vpbx.shared.models.form.AbonentMobileFormGWTModel"
FORM: Final = "ru.cti.vpbx.shared.models.form.FormGWTModel"
DEVICE_FORM: Final = "ru.cti.vpbx.shared.models.form.device.AbonentDeviceFormGWTModel"
DEVICE_RECORD: Final = "ru.cti.vpbx.shared.models.form.device.AbonentDeviceRecordGWTModel"
DISPATCHER: Final = "ru.cti.vpbx.shared.services.DispatcherService$DISPATCHER"

LASTING_SIGNATURES: Final = {
    BOOLEAN: 476441737,
    LONG: 4227064769,
    STRING: 2004016611,
    ARRAY_LIST: 4159755760,
    DATE: 3385151746,
}
"""Of the classes that come with GWT. [observed]"""

APPLICATION_CLASSES: Final = (
    MIGRATION_STATE,
    APPLICATION_ERROR,
    LIST_RECORD,
    LIST_REQUEST,
    LIST_RESPONSE,
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

_FORMS: Final = 40
_MIGRATION_STATES: Final = 3

_REQUEST_FIELDS: Final[Mapping[str, Primitive | str]] = {
    "search": STRING,
    "ascending": BOOLEAN,
    "order": STRING,
    "deleted": BOOLEAN,
    "migrationState": MIGRATION_STATE,
    "enterprise": LONG,
    "department": LONG,
    "tariff": LONG,
    "page": LONG,
    "pageSize": LONG,
    "total": LONG,
}

ROW_COLUMNS: Final = frozenset(
    ("department", "name", "phone", "inner_number", "migration", "created", "note", "balance")
)
EXTRA_COLUMNS: Final = frozenset(("email", "tariff", "paid_until", "limit", "weight", "is_roaming"))


@dataclass(frozen=True, slots=True)
class RowLayout:
    """Which columns a row has around its twelve values, in the order of reading.

    Attributes:
        before: the columns that are read before the twelve values.
        after: those that are read after the reference.
    """

    before: tuple[str, ...] = ("department", "name", "phone")
    after: tuple[str, ...] = ("inner_number", "migration", "created", "note", "balance")

    def __post_init__(self) -> None:
        """Refuse columns that nobody can write."""
        unknown = {*self.before, *self.after} - ROW_COLUMNS - EXTRA_COLUMNS
        if unknown:
            raise ValueError(f"no such columns: {', '.join(sorted(unknown))}")


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
    """

    permutations: tuple[str, ...]
    policies: Mapping[str, str]
    signatures: Mapping[str, int]
    shared_booleans: bool = False
    null_devices: bool = False
    style: Style = GWT_2_7
    layout: RowLayout = field(default_factory=RowLayout)

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
        """Draw all names anew and keep the habits.

        Args:
            seed: another one than before, or the names are the same.
        """
        new = Deployment.make(seed=seed, permutations=len(self.permutations))
        return replace(
            self,
            permutations=new.permutations,
            policies=new.policies,
            signatures=new.signatures,
        )

    def signature(self, name: str) -> str:
        """Return a class's name and number as the wire has it, ``java.lang.Long/4227064769``."""
        return f"{name}/{self.signatures[name]}"

    def classes(self) -> dict[str, ClassDescription]:
        """Describe the classes that requests may hold."""
        numbers = {name: str(number) for name, number in self.signatures.items()}
        return {
            LONG: BoxedClass(numbers[LONG], Primitive.LONG),
            BOOLEAN: BoxedClass(numbers[BOOLEAN], Primitive.BOOLEAN),
            STRING: BoxedClass(numbers[STRING], Primitive.STRING),
            MIGRATION_STATE: EnumClass(numbers[MIGRATION_STATE], _MIGRATION_STATES),
            DISPATCHER: EnumClass(numbers[DISPATCHER], _FORMS),
            LIST_REQUEST: RecordClass(numbers[LIST_REQUEST], _REQUEST_FIELDS),
        }
