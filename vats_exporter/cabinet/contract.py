"""What is known, and guessed, of the cabinet's services: paths, names, requests, a trunk's forms.

CABINET's tags say where each fact comes from. Two of the dispatcher's forms are known [observed]:

* **31**, the device form: a list of ``AbonentDeviceRecordGWTModel``, empty where the trunk has no
  SIP device. A record begins with the trunk (a boxed long), *enabled* (the selector, a primitive
  boolean) and the device (a boxed long, or null). Of its strings only their look is known: the SIP
  login ``sip_9161234567_ab1c``, right after it the SIP password, the line ``mobsip_9161234567``.
* **32**, which answers for trunks to which 31 does not apply. It holds the phone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.gwt import SIGNATURE, Field, Kind, Repeat, Response, build_request, encode_long
from vats_exporter.gwt.script import Method
from vats_exporter.trunks import normalise_phone

SIGN_IN_PATH: Final = "/j_spring_security_check"  # [observed]
MODULE_PATH: Final = "/vpbxGwt/"
NOCACHE_PATH: Final = "/vpbxGwt/vpbxGwt.nocache.js"  # [observed]
CONTENT_TYPE: Final = "text/x-gwt-rpc; charset=utf-8"  # [gwt]

# Where a successful sign-in ends. [observed]
ENTERPRISE_PATH: Final = re.compile(r"/gwt/enterprise/(\d{1,18})(?:/|$)", re.ASCII)

DEVICE_FORM: Final = 31
MOBILE_FORM: Final = 32

LONG: Final = "java.lang.Long"
BOOLEAN: Final = "java.lang.Boolean"
LIST_REQUEST: Final = "ru.cti.vpbx.shared.models.browser.AbonentBrowserRequestGWTModel"
MIGRATION_STATE: Final = "ru.cti.vpbx.shared.enums.MIGRATION_STATE_TYPE"
DISPATCHER: Final = "ru.cti.vpbx.shared.services.DispatcherService$DISPATCHER"


class Service(NamedTuple):
    """A GWT-RPC service, and the one method of it that is called."""

    call: str  # its name in the trace and in errors
    path: str  # the last part
    interface: str
    method: str
    classes: tuple[str, ...]  # that its requests name


# The list of subscribers. [observed]
LIST: Final = Service(
    "list",
    "AbonentBrowserGwtService",
    "ru.cti.vpbx.shared.services.AbonentBrowserGwtService",
    "list",
    (LIST_REQUEST, BOOLEAN, MIGRATION_STATE, LONG),
)
# The forms of one trunk. [observed]
DETAILS: Final = Service(
    "details",
    "DispatcherGwtService",
    "ru.cti.vpbx.shared.services.DispatcherService",
    "getForm",
    (LONG, DISPATCHER),
)
# The selector of one trunk's SIP device. [user] The interface's name is [assumed]. The method is
# that of the script, or configured.
SELECTOR: Final = Service(
    "selector",
    "AbonentDeviceFormGwtService",
    "ru.cti.vpbx.shared.services.AbonentDeviceFormGwtService",
    "",
    (LONG, BOOLEAN),
)

OBSERVED_SIGNATURES: Final = {
    LONG: "java.lang.Long/4227064769",
    BOOLEAN: "java.lang.Boolean/476441737",
    LIST_REQUEST: f"{LIST_REQUEST}/3482149540",
    MIGRATION_STATE: f"{MIGRATION_STATE}/1556569729",
    DISPATCHER: f"{DISPATCHER}/4095484021",
}
"""As once seen; used for a class that the deployment's script does not name. [observed]"""

LIST_TAILS: Final = (
    "{filter}|7|0|8|{enterprise}|0|0|8|{page}|8|{page_size}|0|",
    "{filter}|7|0|0|8|{enterprise}|0|8|{page}|8|{page_size}|0|",
    "{filter}|7|0|8|{enterprise}|0|8|{page}|8|{page_size}|0|",
)
"""Ends of the list request: the one observed, and those of the user's notes. [observed] [user]"""

_LIST_HEAD: Final = ("5", "0", "6", "0", "0")
"""The request object until its tail: its class, null, a Boolean that is false, null. [observed]"""

_RECORD: Final = re.compile(r"(?:[\w$]+\.)*AbonentDeviceRecordGWTModel/\d+", re.ASCII)
_LOGIN: Final = re.compile(r"sip_(\d{10})_\w+", re.ASCII)
_LINE: Final = re.compile(r"mobsip_(\d{10})", re.ASCII)

_PLACEHOLDERS: Final = ("{filter}", "{enterprise}", "{page}", "{page_size}")

_WRITTEN: Final = {
    # null, one that was written before, or one of the other classes of the request with its value
    Kind.OBJECT: r"(?:0|-\d+|[678]\|[^|]+)",
    Kind.LONG: r"(?:[A-Za-z][\w$]*|\{\w+\})",
    Kind.STRING: "0",
    Kind.BOOLEAN: "[01]",
}
"""How a client writes a value of each kind in a list request; those of others are numbers."""


def validate_list_tail(template: str) -> None:
    """Check the template of the list request's end; a ``ValueError`` says what is wrong with it.

    A ``|`` at its start is passed over: tails are often written so [user].
    """
    if not template.endswith("|"):
        raise ValueError('it must end with "|", or the last value is lost')
    values = template.removeprefix("|").split("|")[:-1]
    for number, value in enumerate(values, 1):
        if value not in _PLACEHOLDERS and not re.fullmatch(r"-?[\w$.]+", value, re.ASCII):
            known = ", ".join(_PLACEHOLDERS)
            raise ValueError(f"value {number} is neither a number, a reference nor one of {known}")
    for placeholder in ("{page}", "{page_size}"):
        if placeholder not in values:
            raise ValueError(f"the placeholder {placeholder} is missing")


def choose_list_tail(
    configured: str, row_filter: int, fields: Sequence[Field] | None
) -> tuple[str, str]:
    """Choose the tail that fits what the client writes of the request's class, if that is known.

    Beside it, why it does not fit, or nothing. Where the observed one is configured, the user's may
    do as well.
    """
    if fields is None or any(isinstance(one, Repeat) for one in fields):
        return configured, ""
    kinds = [one for one in fields if isinstance(one, Kind)]
    written = re.compile(r"\|".join(_WRITTEN.get(kind, r"-?\d+") for kind in kinds), re.ASCII)
    for tail in LIST_TAILS if configured == LIST_TAILS[0] else (configured,):
        values = tail.strip("|").replace("{filter}", str(row_filter))
        if written.fullmatch("|".join([*_LIST_HEAD[1:], values])):
            return tail, ""
    return configured, (
        f"list_tail does not fit {LIST_REQUEST.rpartition('.')[2]}: the client writes "
        f"{len(fields)} values ({', '.join(kind.value for kind in kinds)}), of which the tail "
        "begins with the fourth"
    )


def list_request(strings: Sequence[str], tail: str, *, row_filter: int, page_size: int) -> str:
    """Build the request for any page: its tail's {enterprise} and {page} are to be replaced."""
    values = tail.strip("|").replace("{filter}", str(row_filter))
    values = values.replace("{page_size}", encode_long(page_size))
    return build_request(strings, ["1", "2", "3", "4", "1", "5", *_LIST_HEAD, *values.split("|")])


def details_request(strings: Sequence[str], *, trunk: str, form: int) -> str:
    """Build the request for one form of one trunk: the ordinal in the enum."""
    return build_request(strings, ["1", "2", "3", "4", "2", "5", "6", "5", trunk, "6", str(form)])


def selector_method(methods: Iterable[Method], configured: str | None) -> Method:
    """The method that moves a trunk's selector: the configured one, or the only one that fits."""
    wanted = SELECTOR.path.replace("Gwt", "")
    own = [one for one in methods if one.interface.rpartition(".")[2].replace("Gwt", "") == wanted]
    if configured:
        usual = tuple(OBSERVED_SIGNATURES[name] for name in SELECTOR.classes)
        named = [one for one in own if one.name == configured]
        return named[0] if named else Method(SELECTOR.interface, configured, usual)
    fitting = [one for one in own if sorted(map(_class_of, one.parameters)) == [BOOLEAN, LONG]]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(sorted(one.name for one in fitting))
        raise UndecodableError(
            f"selector: the script has several methods of its kind ({names}); selector_method "
            "says which it is"
        )
    raise UndecodableError(
        "selector: the script does not tell the name of its method; selector_method sets it, and "
        "`vats-exporter import-har` finds it in a browser's recording"
    )


def _class_of(parameter: str) -> str:
    return {"J": LONG, "Z": BOOLEAN}.get(parameter, parameter.partition("/")[0])


def selector_request(
    module_base: str, policy: str, method: Method, *, trunk: str, enabled: bool
) -> str:
    """Build the request that moves the selector of one trunk.

    Boxed parameters are written as their class and the value, others as the value alone. [gwt]
    """
    types = list(dict.fromkeys(method.parameters))
    strings = [module_base, policy, method.interface, method.name, *types]
    numbers = [str(5 + types.index(parameter)) for parameter in method.parameters]
    tokens = ["1", "2", "3", "4", str(len(numbers)), *numbers]
    for parameter, number in zip(method.parameters, numbers, strict=True):
        value = trunk if _class_of(parameter) == LONG else str(int(enabled))
        tokens += [value] if len(parameter) == 1 else [number, value]
    return build_request(strings, tokens)


@dataclass(frozen=True, slots=True)
class TrunkDetails:
    """What the forms say of one trunk; texts that they do not tell are empty."""

    phone: str = ""
    device: str = ""  # the SIP device's reference
    enabled: bool | None = None  # its selector; None without a device
    line: str = ""
    sip_login: str = field(default="", repr=False)
    sip_password: str = field(default="", repr=False)


def read_device_form(response: Response, trunk: str) -> TrunkDetails:
    """Read the answer to form 31; refuse a record that begins otherwise, or of another trunk."""
    strings = _strings(response)
    start = next((at for at, text in enumerate(strings, 1) if _RECORD.fullmatch(text)), None)
    if start is None:
        return TrunkDetails()
    tokens = response.tokens[::-1]
    found, at = _long(tokens, strings, start, "the record's trunk")
    if found != trunk:
        # Not quoted: in a broken record it may be any of the record's strings.
        whose = "another trunk" if found else "none"
        raise UndecodableError(f"form {DEVICE_FORM} of {trunk}: the record is of {whose}")
    enabled = tokens[at] if at < len(tokens) else None
    if enabled not in (0, 1):
        raise UndecodableError(
            f"the record's selector is neither 0 nor 1, token {at + 1} from the end"
        )
    device, at = _long(tokens, strings, at + 1, "the record's device")
    texts = [text for text in strings[at:] if text and not SIGNATURE.fullmatch(text)]
    line = next(filter(_LINE.fullmatch, texts), "")
    login = next(filter(_LOGIN.fullmatch, texts), "")
    password = next(iter(texts[texts.index(login) + 1 :]), "") if login else ""
    # 7 and the ten digits of the SIP login [observed], or those of the line.
    digits = _LOGIN.fullmatch(login) or _LINE.fullmatch(line)
    phone = f"7{digits[1]}" if digits else ""
    if not device:
        return TrunkDetails(phone)
    return TrunkDetails(phone, device, enabled == 1, line, login, password)


def read_mobile_form(response: Response) -> TrunkDetails:
    """Read the answer to form 32: the phone is the only string that looks like one."""
    texts = (text for text in _strings(response) if text and not SIGNATURE.fullmatch(text))
    phones = {phone for text in texts if (phone := normalise_phone(text))}
    return TrunkDetails(phones.pop() if len(phones) == 1 else "")


def _strings(response: Response) -> list[str]:
    """For each token in reading order the string that it refers to; empty where to none."""
    table = response.string_table
    return [
        table[token - 1] if isinstance(token, int) and 0 < token <= len(table) else ""
        for token in response.tokens[::-1]
    ]


def _long(tokens: Sequence[object], strings: Sequence[str], at: int, what: str) -> tuple[str, int]:
    """Read a boxed long, empty for null; and the position after it."""
    if tokens[at : at + 1] == [0]:
        return "", at + 1
    value = tokens[at + 1] if at + 1 < len(tokens) else None
    if not isinstance(value, str) or not strings[at].startswith(f"{LONG}/"):
        raise UndecodableError(f"{what} is no java.lang.Long, token {at + 1} from the end")
    return value, at + 2
