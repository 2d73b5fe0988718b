"""What a browser's recording of a signed-in visit (HAR) tells of a cabinet.

Takes along what a configuration needs and nothing else: the address, the enterprise, the policy
hash of each service, the end of the list request as a template, the selector's method. Passwords,
cookies, logins, phones and the answers' contents are never read, let alone kept.

The format is HAR 1.2, as Chromium's and Firefox's developer tools save it: ``log.entries``, each
with a ``request`` (``method``, ``url``, ``headers``, ``postData.text``) and a ``response``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from vats_exporter.cabinet import contract
from vats_exporter.gwt import LongError, RequestError, decode_long, encode_long, parse_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vats_exporter.gwt import Request

_STRONG_NAME: Final = re.compile(r"[0-9A-Fa-f]{32}", re.ASCII)
_SERVICE: Final = re.compile(r"/vpbxGwt/(\w+)$", re.ASCII)
_LONG: Final = re.compile(r"java\.lang\.Long/\d+", re.ASCII)
_BOOLEAN: Final = re.compile(r"java\.lang\.Boolean/\d+", re.ASCII)

# What stands before the template in the list request: base, policy, service and method, one
# parameter and its class, then the request object's class and its first three fields. [observed]
_BEFORE_TAIL: Final = ("1", "2", "3", "4", "1", "5", "5", "0", "6", "0", "0")


class RecordingError(Exception):
    """The file is no recording of a browser: says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What a recording told.

    Attributes:
        address: as the configuration takes it; empty if no call to a cabinet was recorded.
        enterprise: the enterprise's number; empty if not seen.
        permutation: strong name; empty if not seen. Found at run time anyway.
        services: policy hash by service path. Found at run time anyway.
        filter: the list request's filter; ``None`` if not seen, or no single number.
        list_tail: the list request's end as a template; empty if not seen.
        selector_method: the selector's method name; empty if it was not moved in the recording.
        missing: sentences on what could not be found, and how to record it.
    """

    address: str = ""
    enterprise: str = ""
    permutation: str = ""
    services: Mapping[str, str] = field(default_factory=dict)
    filter: int | None = None
    list_tail: str = ""
    selector_method: str = ""
    missing: tuple[str, ...] = ()


def read_recording(document: object) -> Recording:
    """Read what a recording tells.

    Args:
        document: the parsed JSON of the HAR file.

    Returns:
        what was found; what was not is in ``missing``.

    Raises:
        RecordingError: the document is no HAR, or holds no call to a cabinet.
    """
    calls = list(_calls(_entries(document)))
    if not calls:
        raise RecordingError(
            "no GWT-RPC call in the recording: open the tab with the list of subscribers while "
            "recording, and save the recording with its content"
        )
    address = _address(calls[-1].url)
    calls = [call for call in calls if _address(call.url) == address]
    services = {call.service: call.request.strings[1] for call in calls}
    enterprise = _enterprise(document, address)
    listing = next((call for call in reversed(calls) if call.service == contract.LIST.path), None)
    row_filter, tail = _list_tail(listing.request, enterprise) if listing else (None, "")
    selector = next((call for call in reversed(calls) if _moves_selector(call)), None)
    missing = []
    if not enterprise:
        missing.append("enterprise: no address /gwt/enterprise/…/ was visited; found at sign-in")
    if listing is None:
        missing.append("list_tail: the list of subscribers was not opened; the default is used")
    elif not tail:
        missing.append(
            "list_tail: the list request is not built as it is known; the default is used, "
            "and `vats-exporter check --online` will tell whether it works"
        )
    if selector is None:
        missing.append("selector: no trunk's selector was moved while recording")
    return Recording(
        address=address,
        enterprise=enterprise,
        permutation=next((call.permutation for call in reversed(calls) if call.permutation), ""),
        services=services,
        filter=row_filter,
        list_tail=tail,
        selector_method=selector.request.strings[3] if selector else "",
        missing=tuple(missing),
    )


@dataclass(frozen=True, slots=True)
class _Call:
    url: str
    service: str
    permutation: str
    request: Request


def _entries(document: object) -> list[dict[str, Any]]:
    log = document.get("log") if isinstance(document, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    if not isinstance(entries, list):
        raise RecordingError("no list log.entries: not a HAR file")
    return [entry for entry in entries if isinstance(entry, dict)]


def _calls(entries: list[dict[str, Any]]) -> Iterator[_Call]:
    """The recorded GWT-RPC calls; what is not one, or can't be read, is passed over."""
    for entry in entries:
        request = _mapping(entry.get("request"))
        url = _text(request.get("url"))
        body = _text(_mapping(request.get("postData")).get("text"))
        match = _SERVICE.search(_path(url))
        if request.get("method") != "POST" or not match:
            continue
        try:
            parsed = parse_request(body)
        except RequestError:
            continue
        if len(parsed.strings) < 4 or not _STRONG_NAME.fullmatch(parsed.strings[1]):
            continue
        yield _Call(url, match[1], _permutation(request.get("headers")), parsed)


def _permutation(headers: object) -> str:
    for header in headers if isinstance(headers, list) else []:
        item = _mapping(header)
        if _text(item.get("name")).lower() == "x-gwt-permutation":
            value = _text(item.get("value"))
            return value if _STRONG_NAME.fullmatch(value) else ""
    return ""


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if ":" in host:
        host = f"[{host}]"
    name = f"{host}:{port}" if port else host
    return name if parts.scheme == "https" and not port else f"{parts.scheme}://{name}"


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _enterprise(document: object, address: str) -> str:
    """The enterprise of the last page visited at the address."""
    for entry in reversed(_entries(document)):
        url = _text(_mapping(entry.get("request")).get("url"))
        match = contract.ENTERPRISE_PATH.search(_path(url))
        if match and _address(url) == address:
            return match[1]
    return ""


def _list_tail(request: Request, enterprise: str) -> tuple[int | None, str]:
    """The filter, and the template, of a recorded list request; empty where it is built otherwise.

    The last two boxed longs are the page and its size; the one before them is the enterprise's.
    """
    tokens = request.tokens
    before = len(_BEFORE_TAIL)
    long_index = next(
        (str(at) for at, text in enumerate(request.strings, 1) if _LONG.fullmatch(text)), ""
    )
    if tokens[:before] != _BEFORE_TAIL or not long_index or len(tokens) <= before:
        return None, ""
    tail = list(tokens[before:])
    row_filter = int(tail[0]) if tail[0] in ("0", "-1", "-2") else None
    if row_filter is not None:
        tail[0] = "{filter}"
    longs = [
        at + 1
        for at in range(len(tail) - 1)
        if tail[at] == long_index and _is_long(tail[at + 1]) and not tail[at + 1].isdecimal()
    ]
    if len(longs) != 3:
        return row_filter, ""
    known = encode_long(int(enterprise)) if enterprise and int(enterprise) < 1 << 63 else ""
    if known and tail[longs[0]] != known:
        return row_filter, ""
    for at, name in zip(longs, ("{enterprise}", "{page}", "{page_size}"), strict=True):
        tail[at] = name
    return row_filter, "|".join(tail) + "|"


def _is_long(token: str) -> bool:
    try:
        decode_long(token)
    except LongError:
        return False
    return True


def _moves_selector(call: _Call) -> bool:
    """Whether a call has the selector's parameters: a boxed long and a boxed Boolean [user]."""
    strings, tokens = call.request.strings, call.request.tokens
    return (
        call.service == contract.SELECTOR.path
        and tokens[:5] == ("1", "2", "3", "4", "2")
        and _class_of(strings, tokens[5:6], _LONG)
        and _class_of(strings, tokens[6:7], _BOOLEAN)
    )


def _class_of(strings: Sequence[str], token: tuple[str, ...], pattern: re.Pattern[str]) -> bool:
    if not token or not token[0].isdecimal():
        return False
    index = int(token[0])
    return 0 < index <= len(strings) and pattern.fullmatch(strings[index - 1]) is not None


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
