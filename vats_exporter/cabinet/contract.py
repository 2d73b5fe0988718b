"""The cabinet's side of every call: paths, names, and how the requests are built.

The one place for what is known, and guessed, of the cabinet's services; CABINET's tags say where
each fact comes from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vats_exporter.gwt import build_request, encode_long

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGN_IN_PATH: Final = "/j_spring_security_check"
"""[observed]"""

HOME_PATH: Final = "/"
MODULE_PATH: Final = "/vpbxGwt/"
NOCACHE_PATH: Final = "/vpbxGwt/vpbxGwt.nocache.js"
"""[observed]"""

ENTERPRISE_PATH: Final = re.compile(r"/gwt/enterprise/(\d{1,19})(?:/|$)", re.ASCII)
"""Where a successful sign-in ends. [observed]"""

CONTENT_TYPE: Final = "text/x-gwt-rpc; charset=utf-8"
"""[gwt]"""

LONG: Final = "java.lang.Long"
BOOLEAN: Final = "java.lang.Boolean"
LIST_REQUEST: Final = "ru.cti.vpbx.shared.models.browser.AbonentBrowserRequestGWTModel"
MIGRATION_STATE: Final = "ru.cti.vpbx.shared.enums.MIGRATION_STATE_TYPE"
DISPATCHER: Final = "ru.cti.vpbx.shared.services.DispatcherService$DISPATCHER"


@dataclass(frozen=True, slots=True)
class Service:
    """A GWT-RPC service.

    Attributes:
        path: the last part of its address, which its policy hash stands beside.
        interface: the Java interface, the third string of a request.
        classes: the classes whose signatures its requests need.
    """

    path: str
    interface: str
    classes: tuple[str, ...]


LIST: Final = Service(
    "AbonentBrowserGwtService",
    "ru.cti.vpbx.shared.services.AbonentBrowserGwtService",
    (LIST_REQUEST, BOOLEAN, MIGRATION_STATE, LONG),
)
"""The list of subscribers. [observed]"""

DETAILS: Final = Service(
    "DispatcherGwtService", "ru.cti.vpbx.shared.services.DispatcherService", (LONG, DISPATCHER)
)
"""The forms of one trunk. [observed]"""

SELECTOR: Final = Service(
    "AbonentDeviceFormGwtService",
    "ru.cti.vpbx.shared.services.AbonentDeviceFormGwtService",
    (LONG, BOOLEAN),
)
"""The selector of one trunk's SIP device. [user] The interface's name is [assumed]."""

OBSERVED_SIGNATURES: Final = {
    LONG: "java.lang.Long/4227064769",
    BOOLEAN: "java.lang.Boolean/476441737",
    LIST_REQUEST: f"{LIST_REQUEST}/3482149540",
    MIGRATION_STATE: f"{MIGRATION_STATE}/1556569729",
    DISPATCHER: f"{DISPATCHER}/4095484021",
}
"""As once seen; used for a class that the deployment's script does not name. [observed]"""

_PLACEHOLDERS: Final = ("{filter}", "{enterprise}", "{page}", "{page_size}")
_REQUIRED: Final = ("{page}", "{page_size}")
_VALUE: Final = re.compile(r"-?[\w$.]+", re.ASCII)


def validate_list_tail(template: str) -> None:
    """Check the template of the list request's end.

    A ``|`` at its start is passed over: tails are often written so [user].

    Raises:
        ValueError: what is wrong with it and where, in one sentence.
    """
    if not template.endswith("|"):
        raise ValueError('it must end with "|", or the last value is lost')
    values = _values(template)
    for number, value in enumerate(values, 1):
        if value in _PLACEHOLDERS:
            continue
        if not value:
            raise ValueError(f'value {number} is empty: nothing stands between two "|"')
        if "{" in value or "}" in value:
            known = ", ".join(_PLACEHOLDERS)
            raise ValueError(f"value {number} is an unknown placeholder; known are {known}")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"value {number} is neither a number nor a reference")
    for placeholder in _REQUIRED:
        if placeholder not in values:
            raise ValueError(f"the placeholder {placeholder} is missing")


def _values(template: str) -> list[str]:
    return template.removeprefix("|").split("|")[:-1]


def list_request(
    strings: Sequence[str],
    *,
    tail: str,
    row_filter: int,
    enterprise: str,
    page: int,
    page_size: int,
) -> str:
    """Build the request for one page of subscribers.

    Args:
        strings: those that the request begins with.
        tail: the template of the request's end, as :func:`validate_list_tail` wants it.
        row_filter: 0, -1 or -2. [user]
        enterprise: the enterprise's reference.
        page: counted from 0.
        page_size: rows.
    """
    known = {
        "{filter}": str(row_filter),
        "{enterprise}": enterprise,
        "{page}": encode_long(page),
        "{page_size}": encode_long(page_size),
    }
    filled = [known.get(value, value) for value in _values(tail)]
    return build_request(strings, ["1", "2", "3", "4", "1", "5", *_LIST_HEAD, *filled])


_LIST_HEAD: Final = ("5", "0", "6", "0", "0")
"""The request object until its tail: its class, null, a Boolean that is false, null. [observed]"""


def details_request(strings: Sequence[str], *, trunk: str, form: int) -> str:
    """Build the request for one form of one trunk.

    Args:
        strings: those that the request begins with.
        trunk: its reference.
        form: the form's ordinal, 31 or 32. [observed]
    """
    return build_request(strings, ["1", "2", "3", "4", "2", "5", "6", "5", trunk, "6", str(form)])


def selector_request(strings: Sequence[str], *, trunk: str, enabled: bool) -> str:
    """Build the request that moves the selector of one trunk."""
    tokens = ["1", "2", "3", "4", "2", "5", "6", "5", trunk, "6", str(int(enabled))]
    return build_request(strings, tokens)
