"""A cabinet that misbehaves, and has a secret in whatever it sends."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

from tests.faults.faults import HTML, BadAnswer, body_of, changed
from vats_exporter.demo import Answer, Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from vats_exporter.demo import Incoming, SimulatedCabinet, SimulatedDevice

_INCOMPATIBLE: Final = (
    "com.google.gwt.user.client.rpc.IncompatibleRemoteServiceException/3936916533"
)


def echoes(simulated: SimulatedCabinet, password: str) -> Iterable[BadAnswer]:
    """Answers of all kinds that say a password, which the cabinet has just been told."""
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

    def bad(call: str, fault: Fault) -> BadAnswer:
        return BadAnswer(simulated, lambda _: fault, call)

    yield bad("", Fault(drop=True))
    yield bad("", Fault(drop=True, reset=True))
    yield bad("", Fault(raw=[b"HTTP/1.1 2", b"00 " + said + b"\r\n" + said]))
    for answer in answers:
        for call in ("sign_in", "list", "details"):
            yield bad(call, Fault(instead=answer))
    yield bad("nocache", Fault(instead=answers[0]))
    yield bad("permutation", Fault(cut=10))


def _unquoted(text: str, secret: str) -> str:
    return text.replace(f'"{secret}"', secret)


_TRUNK: Final = r"([01]),'([^']+)'(,4,3,)"
"""A trunk's reference in the answer with its device: after the selector, before its class."""

MALFORMED: Final[dict[str, Callable[[str, SimulatedDevice], str]]] = {
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


EXCEPTIONS: Final[dict[str, Callable[[SimulatedDevice], str]]] = {
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


def exceptional(simulated: SimulatedCabinet) -> BadAnswer:
    """Those exceptions instead of details, another one with each trunk."""
    (account,) = simulated.accounts
    devices = [trunk.device for trunk in account.enterprise.trunks()]

    def make(incoming: Incoming) -> Fault | None:
        device = account.enterprise.find(incoming.trunk).device
        if device is None:
            return None
        tell = [*EXCEPTIONS.values()][devices.index(device) % len(EXCEPTIONS)]
        return Fault(instead=Answer(200, (), tell(device).encode()))

    return BadAnswer(simulated, make, "details")


class Malformed(BadAnswer):
    """Answers with trunks' real SIP credentials, each wrong in one of some ways, in turn.

    Attributes:
        spoiled: how many were.
    """

    def __init__(
        self, simulated: SimulatedCabinet, ways: Sequence[Callable[[str, SimulatedDevice], str]]
    ) -> None:
        super().__init__(simulated, self._fault, "details")
        self.spoiled = 0
        self._ways = ways
        (self._account,) = simulated.accounts

    def _fault(self, incoming: Incoming) -> Fault | None:
        device = self._account.enterprise.find(incoming.trunk).device
        return None if device is None else Fault(change=partial(self._spoil, device))

    def _spoil(self, device: SimulatedDevice, answer: Answer) -> Answer:
        text = body_of(answer).decode()
        if device.sip_password not in text:  # a redirect, or the form that does not apply
            return answer
        spoiled = self._ways[self.spoiled % len(self._ways)](text, device)
        assert spoiled != text
        self.spoiled += 1
        return changed(answer, spoiled.encode())
