"""One GWT-RPC call over HTTP: what is sent, and which of the tree's errors an answer means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from vats_exporter import gwt
from vats_exporter.cabinet import contract
from vats_exporter.cabinet.errors import (
    GwtExceptionError,
    NotGwtError,
    RedeployedError,
    SessionEndedError,
    UndecodableError,
)
from vats_exporter.cabinet.session import check_status, is_login_page

if TYPE_CHECKING:
    from vats_exporter.cabinet.contract import Service
    from vats_exporter.cabinet.discovery import Discovery
    from vats_exporter.cabinet.transport import Answer, Transport

_INCOMPATIBLE: Final = "com.google.gwt.user.client.rpc.IncompatibleRemoteServiceException"

_CLASS: Final = re.compile(r"[a-z]\w*(?:\.[\w$]+){2,}", re.ASCII)
"""A class with its package: what an exception's answer names, and what no credential looks like."""

_LONGEST: Final = 200
"""Characters of the server's own words that are told."""


def exchange(
    transport: Transport,
    discovery: Discovery,
    call: str,
    service: Service,
    body: str,
    *,
    limit: int,
) -> gwt.Response:
    """Make one call, and give its ``//OK`` answer.

    Args:
        transport: signed in.
        discovery: whose permutation is named in the headers.
        call: its name, for the trace and for errors.
        service: the service that is called.
        body: the request.
        limit: bytes of an answer past which it is refused.

    Raises:
        SessionEndedError: the login page came.
        RedeployedError: the server finds a name in the request out of date.
        GwtExceptionError: any other ``//EX``.
        NotGwtError: no GWT-RPC answer.
        UndecodableError: one that cannot be read.
        CabinetError: of the transport.
    """
    answer = transport.post(
        call,
        contract.MODULE_PATH + service.path,
        body.encode("utf-8"),
        {
            "Content-Type": contract.CONTENT_TYPE,
            "X-GWT-Permutation": discovery.permutation,
            "X-GWT-Module-Base": discovery.module_base,
        },
        follow=False,
    )
    check_status(call, answer)
    return _decode(call, answer, limit)


def _decode(call: str, answer: Answer, limit: int) -> gwt.Response:
    try:
        response = gwt.decode(answer.body, limit=limit)
    except gwt.NotAnAnswerError as error:
        if is_login_page(answer):
            raise SessionEndedError(f"{call}: the login page") from None
        raise NotGwtError(f"{call}: {error}") from None
    except gwt.GwtError as error:
        raise UndecodableError(f"{call}: {error}") from None
    if response.status == "OK":
        return response
    # A broken answer may have any string of its where the class should stand.
    name = response.exception_class if _CLASS.fullmatch(response.exception_class) else ""
    if name == _INCOMPATIBLE:
        raise RedeployedError(
            f"{call}: the server finds our names out of date ({name.rpartition('.')[2]}: "
            f"{_message(response)})",
            class_name=name,
        )
    raise GwtExceptionError(f"{call}: the server answers {name or 'an exception'}", class_name=name)


def _message(response: gwt.Response) -> str:
    """What GWT's own code says is out of date: names of classes and methods, no data [gwt]."""
    text = "".join(response.string_table[1:2])[:_LONGEST]
    if not _CLASS.search(text):
        return "no reason given"
    return "".join(letter if letter.isprintable() else " " for letter in text)
