"""What can go wrong with an answer, by the names that docs/faults.md has for it."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vats_exporter.demo import Answer, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vats_exporter.demo import Incoming, SimulatedCabinet

CALLS: Final = {
    "sign-in": "sign_in",
    "GET /": "home",
    "enterprise's page": "enterprise",
    "nocache.js": "nocache",
    "cache.js": "permutation",
    "list, page 1": "list",
    "list, page 2": "list",
    "details": "details",
    "selector": "selector",
}
"""What the simulated cabinet calls each step's request."""

PAGES: Final = {"list, page 1": 0, "list, page 2": 1}

HTML: Final = (("Content-Type", "text/html; charset=utf-8"),)
LOGIN_PAGE: Final = (
    b'<form action="/j_spring_security_check"><input type="password" name="j_password">'
)
CAPTCHA: Final = b"<html><body><h1>Are you a robot?</h1><div id='captcha'></div></body></html>"
PADDING: Final = b"<html>" + b"x" * 1000
"""The body of a redirect, which has none, where a fault is in the body."""

_INTERVAL: Final = 0.05
"""Seconds between two drops."""


def content_of(answer: Answer) -> bytes:
    """An answer's body as the client gets to see it."""
    assert isinstance(answer.body, bytes)
    zipped = ("Content-Encoding", "gzip") in answer.headers
    return gzip.decompress(answer.body) if zipped else answer.body


def body_of(answer: Answer) -> bytes:
    """The same, with something in it where it is empty."""
    return content_of(answer) or PADDING


def changed(answer: Answer, content: bytes, *headers: tuple[str, str]) -> Answer:
    """An answer with another body."""
    kept = tuple(one for one in answer.headers if one[0] != "Content-Encoding")
    return replace(answer, headers=(*kept, *headers), body=content)


def with_length(length: Callable[[int], object]) -> Fault:
    """The right answer, whose Content-Length is made of the right one; the connection is kept."""

    def change(answer: Answer) -> Answer:
        content = body_of(answer)
        return changed(answer, content, ("Content-Length", str(length(len(content)))))

    return Fault(change=change)


def redirect(location: str, status: int = 302) -> Fault:
    return Fault(instead=Answer(status, (("Location", location),)))


def status(number: int, *headers: tuple[str, str]) -> Fault:
    return Fault(instead=Answer(number, (*HTML, *headers), b"<html>no</html>"))


def page(content: bytes) -> Fault:
    return Fault(instead=Answer(200, HTML, content))


def endless() -> Iterator[bytes]:
    while True:
        yield b"//OK[" + b"0," * 32_768


def dripping(first: bytes) -> Iterator[bytes]:
    """A byte at a time, after a beginning, until the other side has had enough."""
    pause = threading.Event()
    yield first
    while True:
        yield b"x"
        pause.wait(_INTERVAL)


Maker = Callable[["Incoming"], "Fault | None"]
"""Makes the fault of a request, or none; anew for each."""

FAULTS: Final[dict[str, Maker]] = {
    "the connection is reset before an answer": lambda _: Fault(drop=True, reset=True),
    "the connection is closed before an answer": lambda _: Fault(drop=True),
    "it is reset within the body": lambda _: Fault(
        instead=Answer(200, HTML, PADDING), cut=99, reset=True
    ),
    "it is closed within the body": lambda _: Fault(instead=Answer(200, HTML, PADDING), cut=99),
    "no answer": lambda _: Fault(wait=threading.Event()),
    "a head that drips": lambda _: Fault(raw=dripping(b"HTTP/1.1 200 OK\r\nX-Drip: ")),
    "a body that drips": lambda _: Fault(instead=Answer(200, HTML, dripping(b"//OK["))),
    "a body without an end": lambda _: Fault(instead=Answer(200, HTML, endless())),
    "Content-Length is too great": lambda _: with_length(lambda right: right + 100),
    "Content-Length is too small": lambda _: with_length(lambda right: right // 2),
    "Content-Length is negative": lambda _: with_length(lambda right: -right),
    "Content-Length is not a number": lambda _: with_length(lambda _: "many"),
    "HTTP 500": lambda _: status(500),
    "HTTP 503 with Retry-After": lambda _: status(503, ("Retry-After", "240")),
    "HTTP 429 with Retry-After": lambda _: status(429, ("Retry-After", "240")),
    "HTTP 429": lambda _: status(429),
    "HTTP 401": lambda _: status(401),
    "HTTP 403": lambda _: status(403),
    "the login page": lambda _: page(LOGIN_PAGE),
    "a page with a captcha": lambda _: page(CAPTCHA),
    "an empty answer": lambda _: page(b""),
    "half of the right answer": lambda _: Fault(
        change=lambda answer: changed(answer, body_of(answer)[: len(body_of(answer)) // 2])
    ),
    "gzip that is none": lambda _: Fault(
        change=lambda answer: changed(answer, body_of(answer), ("Content-Encoding", "gzip"))
    ),
    "gzip that is cut off": lambda _: Fault(
        change=lambda answer: changed(
            answer, gzip.compress(body_of(answer))[:-12], ("Content-Encoding", "gzip")
        )
    ),
    "bytes that are not UTF-8": lambda _: page(b'//OK[1,["\xff\xfe\xc3"],0,7]'),
    "a redirect to the login page": lambda _: redirect("/login"),
    "a redirect in a circle": lambda _: redirect("/round"),
    "a redirect to another host": lambda _: redirect("http://127.0.0.2:9/x"),
}


class BadAnswer:
    """A fault in the answer to each request of one step.

    Args:
        simulated: the cabinet that answers.
        make: makes the fault.
        step: the page's name of where, or the cabinet's name of a call; empty for everywhere.
        trunk: the only one that is hit, at the steps that are about one.

    Attributes:
        met: how many requests of the step came.
        began: when the first one came, in monotonic seconds.
    """

    def __init__(
        self, simulated: SimulatedCabinet, make: Maker, step: str, trunk: str = ""
    ) -> None:
        self.met = 0
        self.began = 0.0
        self._simulated = simulated
        self.make = make
        self.step = step
        self._trunk = trunk

    def start(self) -> None:
        self.met, self.began = 0, 0.0
        self._simulated.faults = self._hook

    def stop(self) -> None:
        self._simulated.faults = None

    def attempts(self) -> int:
        return requests_to(self._simulated)

    def _hook(self, incoming: Incoming) -> Fault | None:
        if incoming.call == "other":  # where a redirect in a circle leads
            return self.make(incoming)
        if (self.step and not is_of(incoming, self.step)) or self._trunk not in (
            "",
            incoming.trunk,
        ):
            return None
        self.met += 1
        self.began = self.began or time.monotonic()
        return self.make(incoming)


def requests_to(simulated: SimulatedCabinet) -> int:
    """How many requests a cabinet has got."""
    counts: dict[str, int] = simulated.stats()["requests"]
    return sum(counts.values())


def is_of(incoming: Incoming, step: str) -> bool:
    """Whether a request is one of a step's."""
    return incoming.call == CALLS.get(step, step) and incoming.page == PAGES.get(
        step, incoming.page
    )
