"""Reads a browser's recording of a signed-in visit to a cabinet: HAR 1.2, as its tools save it.

Takes along what a configuration needs and nothing else: the address, the enterprise, the end of the
list request as a template, the selector's method. Passwords, cookies, logins, phones and the
answers' contents are never read, let alone kept.
"""

from __future__ import annotations

import base64
import re
from collections import Counter, defaultdict
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from vats_exporter.address import parse_address
from vats_exporter.cabinet import contract
from vats_exporter.gwt import Request, RequestError, encode_long, parse_request

_STRONG_NAME: Final = re.compile(r"[0-9A-Fa-f]{32}", re.ASCII)
_SERVICE: Final = re.compile(rf"{contract.MODULE_PATH}(\w+)", re.ASCII)
_PLAIN_PATH: Final = re.compile(r"(?:/\w{1,40}){1,4}", re.ASCII)
# A long, which a letter tells from a number.
_BASE_64: Final = re.compile(r"(?=.*[^0-9])[\w$]+", re.ASCII)

# What stands before the template in the list request: base, policy, service and method, one
# parameter and its class, then the request object's class and its first three fields. [observed]
_LIST_HEAD: Final = ("1", "2", "3", "4", "1", "5", "5", "0", "6", "0", "0")
_TWO_PARAMETERS: Final = ("1", "2", "3", "4", "2")


class RecordingError(Exception):
    """The document is no HAR, or holds no call to a cabinet."""


class Recording(NamedTuple):
    """What a recording tells."""

    settings: dict[str, str]  # an account's, by their keys; empty where they were not found
    missing: list[str]  # sentences on what could not be found, and how to record it
    left_out: list[str]  # sentences on calls that tell nothing of the cabinet


def read_recording(document: object) -> Recording:
    """Read a recording, the parsed JSON of a HAR file, for the host with most calls."""
    entries = _at(document, "log", "entries")
    if not isinstance(entries, list):
        raise RecordingError("no list log.entries: not a HAR file")
    enterprises: dict[str, str] = {}
    calls: dict[str, list[tuple[str, Request]]] = defaultdict(list)
    odd: Counter[str] = Counter()
    for entry in reversed(entries):  # the latest first
        request = _at(entry, "request")
        address, path = _place(request)
        if visit := contract.ENTERPRISE_PATH.search(path):
            enterprises.setdefault(address, visit[1])
        service = _SERVICE.fullmatch(path)
        is_gwt = str(_at(request, "postData", "mimeType")).startswith("text/x-gwt-rpc")
        # Anything else may be a form with a password in it, and is not even looked at.
        if _at(request, "method") != "POST" or not address or not (service or is_gwt):
            continue
        if service is None:
            where = path if _PLAIN_PATH.fullmatch(path) else "a path"
            odd[f"to {where} outside of {contract.MODULE_PATH}"] += 1
        elif (call := _read_call(_at(request, "postData"))) is None:
            odd["whose body is not there, cut off or no GWT-RPC"] += 1
        elif len(call.strings) >= 4 and _STRONG_NAME.fullmatch(call.strings[1]):
            calls[address].append((service[1], call))
    address = max(calls, key=lambda one: len(calls[one]), default="")
    odd.update({f"to another host, {one}": len(calls[one]) for one in calls if one != address})
    left_out = [f"{count} call{'s' * (count != 1)} {what}" for what, count in odd.items()]
    if not calls:
        raise RecordingError(
            "no GWT-RPC call in the recording: open the tab with the list of subscribers while "
            "recording, and save the recording with its content"
            + "".join(f"; left out: {sentence}" for sentence in left_out)
        )
    enterprise = enterprises.get(address, "")
    listing = next((call for of, call in calls[address] if of == contract.LIST.path), None)
    row_filter, tail = _list_tail(listing, enterprise) if listing else ("", "")
    settings = {
        "address": address,
        "enterprise": enterprise,
        "filter": row_filter,
        "list_tail": tail,
        "selector_method": next((of for call in calls[address] if (of := _selector(*call))), ""),
    }
    sentences = {
        "enterprise": "enterprise: no address /gwt/enterprise/…/ was visited; found at sign-in",
        "list_tail": (
            "list_tail: the list request is not built in a known way; the default is used, "
            "and `vats-exporter check --online` will tell whether it works"
            if listing
            else "list_tail: the list of subscribers was not opened; the default is used"
        ),
        "selector_method": "selector: no trunk's selector was moved while recording",
    }
    missing = [sentence for key, sentence in sentences.items() if not settings[key]]
    return Recording(settings, missing, left_out)


def _place(request: object) -> tuple[str, str]:
    """The address of a request, without the usual port, and its path, without ``;jsessionid=…``.

    Both are empty where the URL is none.
    """
    try:
        parts = urlsplit(str(_at(request, "url")))
        address = parse_address(f"{parts.scheme}://{parts.netloc}", allow_plain_http=True)
    except ValueError:
        return "", ""
    if parts.scheme == "https":
        address = address.removeprefix("https://").removesuffix(":443")
    return address, re.sub(";[^/]*", "", parts.path)


def _read_call(data: object) -> Request | None:
    try:
        text = str(_at(data, "text"))
        if _at(data, "encoding") == "base64":  # as some tools write requests, too
            text = base64.b64decode(text, validate=True).decode()
        return parse_request(text)
    except (RequestError, ValueError):
        return None


def _list_tail(request: Request, enterprise: str) -> tuple[str, str]:
    """The filter, and the template, of a list request; empty where it is built otherwise."""
    head, tail = request.tokens[: len(_LIST_HEAD)], [*request.tokens[len(_LIST_HEAD) :]]
    if head != _LIST_HEAD or not tail:
        return "", ""
    row_filter = tail[0] if tail[0] in ("0", "-1", "-2") else ""
    if row_filter:
        tail[0] = "{filter}"
    classes = _classes(request)
    longs = [
        at
        for at in range(2, len(tail))
        if classes.get(tail[at - 1]) == contract.LONG and _BASE_64.fullmatch(tail[at])
    ]
    known = encode_long(int(enterprise)) if enterprise and int(enterprise) < 1 << 63 else ""
    if len(longs) != 3 or (known and tail[longs[0]] != known):
        return row_filter, ""
    for at, placeholder in zip(longs, ("{enterprise}", "{page}", "{page_size}"), strict=True):
        tail[at] = placeholder
    return row_filter, "".join(f"{token}|" for token in tail)


def _selector(service: str, call: Request) -> str:
    """The method of a call that moves a selector: of a boxed long and a boxed Boolean [user]."""
    classes = [_classes(call).get(token) for token in call.tokens[5:7]]
    is_one = service == contract.SELECTOR.path and call.tokens[:5] == _TWO_PARAMETERS
    return call.strings[3] if is_one and classes == [contract.LONG, contract.BOOLEAN] else ""


def _classes(request: Request) -> dict[str, str]:
    """The names of classes among a request's strings, by the tokens that refer to them."""
    return {str(at): text.partition("/")[0] for at, text in enumerate(request.strings, 1)}


def _at(value: object, *keys: str) -> Any:
    """Look into objects within objects; ``None`` where nothing is there."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
