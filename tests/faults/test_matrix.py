"""Each fault at each step of reading a cabinet: docs/faults.md says what it comes to.

The tables are read from that page, so what it tells is what is tried. A real client reads the
simulated cabinet over HTTP, through a refresher and the real log: first all is well, then comes
the fault, then all is well again.
"""

from __future__ import annotations

import base64
import gzip
import io
import logging
import re
import socket
import ssl
import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
import trustme

from tests.cabinet.test_tls import WEAK_PARAMETERS
from vats_exporter import log
from vats_exporter.cabinet import Cabinet, CabinetSettings, Timeouts
from vats_exporter.cabinet.errors import RESULTS, CabinetError
from vats_exporter.cabinet.settings import TlsSettings
from vats_exporter.demo import Answer, Fault, Incoming, SimulatedCabinet, make_accounts
from vats_exporter.refresh import Refresher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
LIMIT = 0.6
"""Seconds of a call; and so much longer may an answer to a fault take, at each of its tries."""

PATIENCE = 20.0
HTML = (("Content-Type", "text/html; charset=utf-8"),)
LOGIN_PAGE = b'<form action="/j_spring_security_check"><input type="password" name="j_password">'
CAPTCHA = b"<html><body><h1>Are you a robot?</h1><div id='captcha'></div></body></html>"


def tables() -> dict[str, list[list[str]]]:
    """The page's tables, by heading: rows of cells, the first one the head."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("#"):
            heading = line.strip("# ")
        elif line.startswith("|") and not set(line) <= set("|- "):
            cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
            found.setdefault(heading, []).append(cells)
    return found


TABLES = tables()
STEPS = dict(
    zip(
        TABLES["At each step"][0][1:],
        (
            "sign_in",
            "enterprise",
            "nocache",
            "permutation",
            "list 1",
            "list 2",
            "details",
            "selector",
        ),
        strict=True,
    )
)
CELLS = [
    pytest.param(row[0], STEPS[step], expected, id=f"{row[0]}, {step}")
    for row in TABLES["At each step"][1:]
    for step, expected in zip(TABLES["At each step"][0][1:], row[1:], strict=True)
]


def body_of(answer: Answer) -> bytes:
    assert isinstance(answer.body, bytes)
    zipped = ("Content-Encoding", "gzip") in answer.headers
    return gzip.decompress(answer.body) if zipped else answer.body


def changed(answer: Answer, content: bytes, *headers: tuple[str, str]) -> Answer:
    kept = tuple(one for one in answer.headers if one[0] != "Content-Encoding")
    return Answer(answer.status, (*kept, *headers), content)


def endless() -> Iterator[bytes]:
    while True:
        yield b"//OK[" + b"0," * 32_768


def dripping() -> Iterator[bytes]:
    pause = threading.Event()
    while True:
        yield b"/"
        pause.wait(0.05)


LONG = Answer(200, HTML, b"x" * 1000)

FAULTS: dict[str, Callable[[], Fault]] = {
    "the connection is reset before an answer": lambda: Fault(drop=True, reset=True),
    "the connection is closed before an answer": lambda: Fault(drop=True),
    "it is reset within the body": lambda: Fault(instead=LONG, cut=99, reset=True),
    "it is closed within the body, or Content-Length is too great": lambda: Fault(
        instead=LONG, cut=99
    ),
    "no answer": lambda: Fault(wait=threading.Event()),
    "an answer that drips": lambda: Fault(instead=Answer(200, HTML, dripping())),
    "an answer without an end": lambda: Fault(instead=Answer(200, HTML, endless())),
    "HTTP 500": lambda: Fault(instead=Answer(500, HTML, b"<html>error</html>")),
    "HTTP 503 with Retry-After": lambda: Fault(instead=Answer(503, (("Retry-After", "120"),))),
    "HTTP 429": lambda: Fault(instead=Answer(429, HTML, b"slow down")),
    "HTTP 401": lambda: Fault(instead=Answer(401, HTML, b"")),
    "HTTP 403": lambda: Fault(instead=Answer(403, HTML, b"")),
    "the login page": lambda: Fault(instead=Answer(200, HTML, LOGIN_PAGE)),
    "a page with a captcha": lambda: Fault(instead=Answer(200, HTML, CAPTCHA)),
    "an empty answer": lambda: Fault(instead=Answer(200, HTML, b"")),
    "half of the right answer": lambda: Fault(
        change=lambda answer: changed(answer, body_of(answer)[: len(body_of(answer)) // 2])
    ),
    "a body that is not the gzip it says": lambda: Fault(
        change=lambda answer: changed(
            answer, b"not gzip " + body_of(answer), ("Content-Encoding", "gzip")
        )
    ),
    "bytes that are not UTF-8": lambda: Fault(
        instead=Answer(200, HTML, b'//OK[1,["\xff\xfe\xc3"],0,7]')
    ),
    "a redirect in a circle": lambda: Fault(instead=Answer(302, (("Location", "/round"),))),
    "a redirect to another host": lambda: Fault(
        instead=Answer(302, (("Location", "http://127.0.0.2:9/x"),))
    ),
}


def test_the_page_names_every_fault_once() -> None:
    assert [row[0] for row in TABLES["At each step"][1:]] == list(FAULTS)
    named = {cell for row in TABLES["At each step"][1:] for cell in row[1:]}
    assert named <= set(RESULTS)


@dataclass
class Watched:
    """A refresher on a simulated cabinet, and its log."""

    simulated: SimulatedCabinet
    settings: CabinetSettings
    lines: io.StringIO

    def __post_init__(self) -> None:
        self.cabinet = Cabinet(self.settings)
        self.refresher = Refresher("demo", self.cabinet, ttl=0, stale=900)

    def refresh(self) -> tuple[str | None, list[str]]:
        """Refresh once; the result, and the warnings that it logged."""
        self.lines.seek(0)
        self.lines.truncate()
        self.refresher.reset()
        state = self.refresher.view(PATIENCE)
        assert not self.refresher.refreshing
        told = [one for one in self.lines.getvalue().splitlines() if "refresh failed" in one]
        return state.result, told


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    log.configure(stream=stream)
    yield stream
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def watched(lines: io.StringIO) -> Iterator[Watched]:
    with SimulatedCabinet(make_accounts(1, trunks=15)) as simulated:
        (account,) = simulated.accounts
        settings = CabinetSettings(
            address=simulated.url,
            login=account.login,
            password=account.password,
            page_size=10,
            max_response=256 * 1024,
            selector_method="setEnabled",
            sign_out_path="",
            timeouts=Timeouts(connect=LIMIT, read=LIMIT / 2, call=LIMIT),
        )
        one = Watched(simulated, settings, lines)
        assert one.refresh()[0] == "success"
        yield one
        simulated.faults = None
        one.refresher.close()


def at(step: str, fault: Callable[[], Fault]) -> Callable[[Incoming], Fault | None]:
    """The fault, at each request of one step; redirects within the circle go on for ever."""
    call, _, page = step.partition(" ")

    def hook(incoming: Incoming) -> Fault | None:
        is_meant = incoming.call == call and (not page or incoming.page == int(page) - 1)
        is_within_a_circle = incoming.call == "other"
        return fault() if is_meant or is_within_a_circle else None

    return hook


def read(watched: Watched, step: str) -> tuple[str | None, list[str]]:
    """Do what the step is a part of."""
    refs = [
        trunk.ref
        for trunk in watched.simulated.accounts[0].enterprise.trunks()
        if trunk.device is not None
    ]
    try:
        if step == "details":
            watched.cabinet.read_details(refs[0])
        elif step == "selector":
            watched.cabinet.set_enabled(refs[0], enabled=True)
        else:
            return watched.refresh()
    except CabinetError as error:
        return error.result, [str(error)]
    return "success", []


@pytest.mark.parametrize(("fault", "step", "expected"), CELLS)
def test_a_fault_comes_to_what_the_page_says(
    watched: Watched, fault: str, step: str, expected: str
) -> None:
    simulated = watched.simulated
    before = watched.refresher.peek().snapshot
    sign_ins = simulated.stats()["sign_ins"] + simulated.stats()["refused_sign_ins"]
    if step in {"sign_in", "enterprise"}:
        simulated.end_sessions()
    if step in {"nocache", "permutation"}:
        simulated.redeploy()
    simulated.faults = at(step, FAULTS[fault])
    began = time.monotonic()
    result, told = read(watched, step)
    took = time.monotonic() - began
    simulated.faults = None

    assert result == expected
    # At most twice through: once with what was known, once signed in or discovered anew.
    assert took < 4 * LIMIT + 2.0
    if expected != "success":
        assert len(told) == 1, told
        # An exception is of the call that was answered, whichever step led to it.
        where = "list" if expected == "gwt_exception" else step.partition(" ")[0]
        assert re.search(rf"\b(?:{where}|sign_in)\b", told[0])
        # The last good one stays, with its own time.
        assert watched.refresher.peek().snapshot is before
    after = simulated.stats()
    assert after["sign_ins"] + after["refused_sign_ins"] - sign_ins <= 2

    assert watched.refresh()[0] == "success"


def settings_at(url: str, **tls: object) -> CabinetSettings:
    return CabinetSettings(
        address=url,
        login="a",
        password="b",
        sign_out_path="",
        tls=TlsSettings(**tls),  # type: ignore[arg-type]  # by name
        timeouts=Timeouts(connect=LIMIT, read=LIMIT, call=2.0),
    )


def connect_refused(_: Path) -> Iterator[CabinetSettings]:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    yield settings_at(f"http://127.0.0.1:{port}")


def no_such_name(_: Path) -> Iterator[CabinetSettings]:
    yield settings_at("https://no-such-host.invalid")


def encrypted(
    folder: Path, *names: str, days: int | None = None, trusted: bool = True, weak: bool = False
) -> Iterator[CabinetSettings]:
    """A cabinet over TLS with something wrong with it."""
    authority = trustme.CA()
    until = None
    if days is not None:
        until = datetime.now(timezone.utc) + timedelta(days=days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    key_type = trustme.KeyType.RSA  # which the weak parameters go with
    issued = authority.issue_cert(*names, not_after=until, key_type=key_type)
    issued.configure_cert(context)
    if weak:
        # As weak as those of the cabinet's that need security_level: 1.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("DHE-RSA-AES256-GCM-SHA384:@SECLEVEL=0")
        parameters = folder / "dh.pem"
        text = base64.encodebytes(WEAK_PARAMETERS).decode()
        parameters.write_text(f"-----BEGIN DH PARAMETERS-----\n{text}-----END DH PARAMETERS-----\n")
        context.load_dh_params(str(parameters))
    file = folder / "ca.pem"
    (authority if trusted else trustme.CA()).cert_pem.write_to_path(file)
    with SimulatedCabinet(tls=context) as simulated:
        yield settings_at(simulated.url, ca_file=file, security_level=2 if weak else None)


BEFORE: dict[str, Callable[[Path], Iterator[CabinetSettings]]] = {
    "the connection is refused": connect_refused,
    "the name does not resolve": no_such_name,
    "the certificate has expired": lambda folder: encrypted(folder, "127.0.0.1", days=-1),
    "the certificate is of another host": lambda folder: encrypted(folder, "other.example"),
    "the certificate's authority is not known": lambda folder: encrypted(
        folder, "127.0.0.1", trusted=False
    ),
    "the DH parameters are too weak": lambda folder: encrypted(folder, "127.0.0.1", weak=True),
}


@pytest.mark.parametrize(
    ("fault", "expected", "says"), [row[:3] for row in TABLES["Before there is a connection"][1:]]
)
def test_a_fault_before_the_connection_comes_to_what_the_page_says(
    fault: str, expected: str, says: str, tmp_path: Path
) -> None:
    for settings in BEFORE[fault](tmp_path):
        with Cabinet(settings) as cabinet, pytest.raises(CabinetError) as raised:
            cabinet.read_trunks()
        assert raised.value.result == expected
        assert says in str(raised.value)


def test_the_page_names_every_fault_of_a_connection() -> None:
    assert {row[0] for row in TABLES["Before there is a connection"][1:]} == set(BEFORE)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("step", ["sign_in", "enterprise", "nocache", "list 1"])
def test_no_redirect_takes_a_password_or_a_cookie_elsewhere(
    watched: Watched, step: str, status: int
) -> None:
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        port = elsewhere.getsockname()[1]
        elsewhere.settimeout(PATIENCE)

        def listen() -> None:
            while True:
                client, _ = elsewhere.accept()
                with client:
                    client.settimeout(1)
                    got.append(client.recv(65536))
                    if got[-1] == b"end":
                        return

        listener = threading.Thread(target=listen)
        listener.start()
        for location in (f"http://127.0.0.1:{port}/x", f"//127.0.0.1:{port}/x"):
            if step in {"sign_in", "enterprise"}:
                watched.simulated.end_sessions()
            if step == "nocache":
                watched.simulated.redeploy()
            answer = Answer(status, (("Location", location),))
            watched.simulated.faults = at(step, partial(Fault, instead=answer))
            assert watched.refresh()[0] in {"not_gwt", "login_refused"}
            watched.simulated.faults = None
        with socket.create_connection(("127.0.0.1", port)) as last:
            last.sendall(b"end")
        listener.join(PATIENCE)
    assert got == [b"end"]


def test_a_redirect_to_plain_http_is_not_followed(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with SimulatedCabinet(tls=context) as simulated:
        (account,) = simulated.accounts
        plain = simulated.url.replace("https:", "http:")
        simulated.faults = at(
            "sign_in", lambda: Fault(instead=Answer(302, (("Location", f"{plain}/"),)))
        )
        settings = replace(
            settings_at(simulated.url, ca_file=tmp_path / "ca.pem"),
            login=account.login,
            password=account.password,
        )
        with Cabinet(settings) as cabinet, pytest.raises(CabinetError, match="sign_in") as raised:
            cabinet.read_trunks()
    assert raised.value.result == "not_gwt"
