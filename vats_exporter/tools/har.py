"""Reads a browser's recording of a signed-in visit (HAR) to a cabinet.

Takes along what a configuration needs and nothing else: the address, the enterprise, the end of the
list request as a template, the selector's method. Passwords, cookies, logins, phones and the
answers' contents are never read, let alone kept. The format is HAR 1.2, as browsers' developer
tools save it.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from vats_exporter.address import parse_address
from vats_exporter.cabinet import contract
from vats_exporter.gwt import Request, RequestError, encode_long, parse_request

_STRONG_NAME: Final = re.compile(r"[0-9A-Fa-f]{32}", re.ASCII)
_SERVICE: Final = re.compile(rf"{contract.MODULE_PATH}(\w+)", re.ASCII)
_PLAIN_PATH: Final = re.compile(r"(?:/\w{1,40}){1,4}", re.ASCII)

# What stands before the template in the list request: base, policy, service and method, one
# parameter and its class, then the request object's class and its first three fields. [observed]
_BEFORE_TAIL: Final = "1|2|3|4|1|5|5|0|6|0|0|"


class RecordingError(Exception):
    """The file is no recording of a browser: says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The content of a recording; what it does not contain is empty or ``None``.

    Attributes:
        address: as the configuration takes it.
        filter: the list request's, if that is a single number.
        list_tail: the list request's end as a template.
        missing: sentences on what could not be found, and how to record it.
        left_out: sentences on calls that tell nothing of the cabinet.
    """

    address: str
    enterprise: str = ""
    filter: int | None = None
    list_tail: str = ""
    selector_method: str = ""
    missing: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def read_recording(document: object) -> Recording:
    """Read a recording, the parsed JSON of a HAR file, for the host with most calls.

    Raises:
        RecordingError: the document is no HAR, or holds no call to a cabinet.
    """
    entries = _at(document, "log", "entries")
    if not isinstance(entries, list):
        raise RecordingError("no list log.entries: not a HAR file")
    requests = [_at(entry, "request") for entry in reversed(entries)]  # the latest first
    odd: Counter[str] = Counter()
    calls = list(_calls(requests, odd))
    if not calls:
        raise RecordingError(
            "no GWT-RPC call in the recording: open the tab with the list of subscribers while "
            "recording, and save the recording with its content"
            + "".join(f"; left out: {sentence}" for sentence in _sentences(odd))
        )
    [(address, _)] = Counter(call.address for call in calls).most_common(1)
    odd.update(f"to another host, {call.address}" for call in calls if call.address != address)
    calls = [call for call in calls if call.address == address]
    visits = (
        contract.ENTERPRISE_PATH.search(path) for at, path in map(_place, requests) if at == address
    )
    enterprise = next((match[1] for match in visits if match), "")
    listing = next((one.request for one in calls if one.service == contract.LIST.path), None)
    row_filter, tail = _list_tail(listing, enterprise) if listing else (None, "")
    selector = next((one.request for one in calls if _moves_selector(one)), None)
    missing = []
    if not enterprise:
        missing.append("enterprise: no address /gwt/enterprise/…/ was visited; found at sign-in")
    if listing is None:
        missing.append("list_tail: the list of subscribers was not opened; the default is used")
    elif not tail:
        missing.append(
            "list_tail: the list request is not built in a known way; the default is used, "
            "and `vats-exporter check --online` will tell whether it works"
        )
    if selector is None:
        missing.append("selector: no trunk's selector was moved while recording")
    return Recording(
        address=address,
        enterprise=enterprise,
        filter=row_filter,
        list_tail=tail,
        selector_method=selector.strings[3] if selector else "",
        missing=tuple(missing),
        left_out=_sentences(odd),
    )


class _Call(NamedTuple):
    address: str
    service: str
    request: Request


def _calls(requests: Iterable[object], odd: Counter[str]) -> Iterator[_Call]:
    """The calls to a cabinet; counts what looks like one and is none."""
    for request in requests:
        address, path = _place(request)
        service = _SERVICE.fullmatch(path)
        is_gwt = str(_at(request, "postData", "mimeType")).startswith("text/x-gwt-rpc")
        # Anything else may be a form with a password in it, and is not even looked at.
        if _at(request, "method") != "POST" or not address or not (service or is_gwt):
            continue
        if service is None:
            where = path if _PLAIN_PATH.fullmatch(path) else "a path"
            odd[f"to {where} outside of {contract.MODULE_PATH}"] += 1
            continue
        try:
            text = str(_at(request, "postData", "text"))
            if (
                _at(request, "postData", "encoding") == "base64"
            ):  # as some tools write requests, too
                text = base64.b64decode(text, validate=True).decode()
            call = parse_request(text)
        except (RequestError, ValueError):
            odd["whose body is not there, cut off or no GWT-RPC"] += 1
            continue
        if len(call.strings) >= 4 and _STRONG_NAME.fullmatch(call.strings[1]):
            yield _Call(address, service[1], call)


def _sentences(odd: Counter[str]) -> tuple[str, ...]:
    return tuple(f"{count} call{'s' * (count != 1)} {what}" for what, count in odd.items())


def _place(request: object) -> tuple[str, str]:
    """The address that a request went to, and the path; both empty where the URL is none.

    The address is without the usual port, and the path without parameters (``;jsessionid=``).
    """
    try:
        parts = urlsplit(str(_at(request, "url")))
        address = parse_address(f"{parts.scheme}://{parts.netloc}", allow_plain_http=True)
    except ValueError:
        return "", ""
    if parts.scheme == "https":
        address = address.removeprefix("https://").removesuffix(":443")
    return address, re.sub(";[^/]*", "", parts.path)


def _list_tail(request: Request, enterprise: str) -> tuple[int | None, str]:
    """The filter, and the template, of a list request; empty where it is built otherwise."""
    strings, tokens = request.strings, "".join(f"{token}|" for token in request.tokens)
    tail = tokens.removeprefix(_BEFORE_TAIL)
    boxed = [at for at, text in enumerate(strings, 1) if text.startswith(f"{contract.LONG}/")]
    if not tail or tail == tokens or not boxed:
        return None, ""
    first, _, rest = tail.partition("|")
    row_filter = int(first) if first in ("0", "-1", "-2") else None
    if row_filter is not None:
        tail = f"{{filter}}|{rest}"
    # Split at the boxed longs, which a letter tells from numbers: enterprise, page, size of a page.
    pieces = re.split(rf"(?a)(?<=\|{boxed[0]}\|)([\w$]*[A-Za-z_$][\w$]*)(?=\|)", tail)
    known = encode_long(int(enterprise)) if enterprise and int(enterprise) < 1 << 63 else ""
    if len(pieces) != 7 or (known and pieces[1] != known):
        return row_filter, ""
    pieces[1::2] = "{enterprise}", "{page}", "{page_size}"
    return row_filter, "".join(pieces)


def _moves_selector(call: _Call) -> bool:
    # Two parameters, a boxed long and a boxed Boolean. [user]
    tokens = call.request.tokens
    names = {str(at): text.partition("/")[0] for at, text in enumerate(call.request.strings, 1)}
    classes = [names.get(token) for token in tokens[5:7]]
    of_two = call.service == contract.SELECTOR.path and tokens[:5] == ("1", "2", "3", "4", "2")
    return of_two and classes == [contract.LONG, contract.BOOLEAN]


def _at(value: object, *keys: str) -> Any:
    """Look into objects within objects; ``None`` where nothing is there."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
