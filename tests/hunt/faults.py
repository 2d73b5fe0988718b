"""A cabinet that misbehaves, and has a secret in whatever it sends."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

from tests.faults.faults import HTML, body_of, changed
from vats_exporter.demo import Answer, Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from vats_exporter.demo import Device, Incoming, SimulatedCabinet

_INCOMPATIBLE: Final = (
    "com.google.gwt.user.client.rpc.IncompatibleRemoteServiceException/3936916533"
)


@dataclass
class Trouble:
    """A fault in each answer to some calls; a hook of the simulated cabinet.

    Attributes:
        call: the only one that is hit; empty for all.
        make: makes the fault of the request; ``None`` for none.
        met: how many requests it hit.
    """

    call: str
    make: Callable[[Incoming], Fault | None]
    met: int = 0

    def __call__(self, incoming: Incoming) -> Fault | None:
        """Tell what goes wrong with a request."""
        if self.call not in ("", incoming.call):
            return None
        fault = self.make(incoming)
        self.met += fault is not None
        return fault


def echoes(password: str) -> Iterable[Trouble]:
    """Answers of all kinds that say a password.

    Args:
        password: of the account, which the cabinet has just been told.
    """
    echo = f"<html>j_password={quote_plus(password)} {password}".encode()
    said = password.encode()
    octets = said.decode("latin-1")  # as http.server wants what is not ASCII in headers
    answers = [
        Answer(500, HTML, echo),
        Answer(503, (("Retry-After", "1"),), echo),
        Answer(401, HTML, echo),
        Answer(200, HTML, echo),
        Answer(200, (("Content-Encoding", "gzip"),), echo),
        Answer(302, (("Location", f"https://elsewhere.example/?p={quote_plus(password)}"),), b""),
        Answer(302, (("Location", f"https://{quote(password, safe='')}.example/"),), b""),
        Answer(302, (("Location", f"/login?j_password={quote_plus(password)}"),), b""),
        Answer(302, (("Location", f"/{quote(password, safe='')}"),), b""),
        Answer(200, (), b'//EX[1,["' + said + b'"],0,7]'),
        Answer(200, (), b'//OK[1,["' + said + b'"],0,7]'),
        Answer(200, (("Set-Cookie", f"JSESSIONID={octets}"), ("X-Broken", octets)), b"//OK["),
        Answer(200, (), b""),
    ]
    yield Trouble("", lambda _: Fault(drop=True))
    yield Trouble("", lambda _: Fault(drop=True, reset=True))
    yield Trouble("", lambda _: Fault(raw=[b"HTTP/1.1 2", b"00 " + said + b"\r\n" + said]))
    for answer in answers:
        for call in ("sign_in", "list", "details"):
            yield Trouble(call, partial(_instead, answer))
    yield Trouble("nocache", partial(_instead, answers[0]))
    yield Trouble("permutation", lambda _: Fault(cut=10))


def _instead(answer: Answer, _: Incoming) -> Fault:
    return Fault(instead=answer)


def _unquoted(text: str, secret: str) -> str:
    return text.replace(f'"{secret}"', secret)


_TRUNK: Final = r"([01]),'([^']+)'(,4,3,)"
"""A trunk's reference in the answer with its device: after the selector, before its class."""

MALFORMED: Final[dict[str, Callable[[str, Device], str]]] = {
    "the selector is neither on nor off": lambda text, _: re.sub(_TRUNK, r"7,'\2'\3", text),
    "the device is no long": lambda text, _: re.sub(r"('[^']+'),4(?=,[01],')", r"\1,5", text),
    "the trunk is the password": lambda text, device: re.sub(
        _TRUNK, rf"\1,'{device.sip_password}'\3", text
    ),
    "the trunk is the login": lambda text, device: re.sub(
        _TRUNK, rf"\1,'{device.sip_login}'\3", text
    ),
    "the strings end after the password": lambda text, device: text[
        : text.index(device.sip_password) + len(device.sip_password)
    ],
    "the password has no quotes": lambda text, device: _unquoted(text, device.sip_password),
    "the login has no quotes": lambda text, device: _unquoted(text, device.sip_login),
    "the password is a number": lambda text, device: text.replace(
        "//OK[", f"//OK[{device.sip_password},"
    ),
    "the password is the version": lambda text, device: text.replace(
        ",0,7]", f",0,{device.sip_password}]"
    ),
    "the password is a bad escape": lambda text, device: text.replace(
        device.sip_password, "\\u" + device.sip_password
    ),
    "the password follows": lambda text, device: text + device.sip_password,
    "the version is not known": lambda text, _: text.replace(",0,7]", ",0,99]"),
    "it is a page": lambda _, device: f"<html>{device.sip_login} {device.sip_password}</html>",
    "it is JSON": lambda _, device: json.dumps(
        {"login": device.sip_login, "password": device.sip_password}
    ),
    "it is the password": lambda _, device: device.sip_password,
}
"""What can be wrong with the answer that holds a device, its credentials included."""


EXCEPTIONS: Final[dict[str, Callable[[Device], str]]] = {
    "it is called like the password": lambda device: f'//EX[1,["{device.sip_password}"],0,7]',
    "it is called like the login": lambda device: f'//EX[1,["{device.sip_login}/1"],0,7]',
    "it is written in the strings of the device": lambda device: (
        f'//EX[3,2,1,["{device.line}","{device.sip_login}","{device.sip_password}"],0,7]'
    ),
    "it says that the password is out of date": lambda device: (
        f'//EX[2,1,["{_INCOMPATIBLE}","{device.sip_password}"],0,7]'
    ),
}
"""Exceptions of the server, whichever form it is asked for, that tell the credentials."""


def exceptional(cabinet: SimulatedCabinet) -> Trouble:
    """Those exceptions instead of details, another one with each trunk."""
    (account,) = cabinet.accounts
    devices = [trunk.device for trunk in account.enterprise.trunks()]

    def make(incoming: Incoming) -> Fault | None:
        device = account.enterprise.find(incoming.trunk).device
        if device is None:
            return None
        tell = [*EXCEPTIONS.values()][devices.index(device) % len(EXCEPTIONS)]
        return Fault(instead=Answer(200, (), tell(device).encode()))

    return Trouble("details", make)


@dataclass
class Malformed:
    """Answers with trunks' real SIP credentials, each wrong in some way; a hook as well.

    Attributes:
        cabinet: whose answers they are.
        ways: of spoiling them, one after the other.
        call: the only one that is hit.
        met: how many were spoiled.
    """

    cabinet: SimulatedCabinet
    ways: Sequence[Callable[[str, Device], str]]
    call: str = "details"
    met: int = 0

    def __call__(self, incoming: Incoming) -> Fault | None:
        """Tell what goes wrong with a request."""
        if incoming.call != self.call:
            return None
        (account,) = self.cabinet.accounts
        device = account.enterprise.find(incoming.trunk).device
        return None if device is None else Fault(change=partial(self._spoil, device))

    def _spoil(self, device: Device, answer: Answer) -> Answer:
        text = body_of(answer).decode()
        if device.sip_password not in text:  # a redirect, or the form that does not apply
            return answer
        spoiled = self.ways[self.met % len(self.ways)](text, device)
        assert spoiled != text
        self.met += 1
        return changed(answer, spoiled.encode())
