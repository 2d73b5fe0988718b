"""One hunt for every secret, through everything that the exporter says, writes and shows.

A real exporter in a process of its own, at log level debug, with TLS, passwords, details and a
history; a cabinet that misbehaves in every way it can; every page and every command. Then every
secret is looked for in all of it, in every form in which a layer may have written it.
"""

from __future__ import annotations

import base64
import html
import json
import re
import signal
import ssl
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import bcrypt
import pytest
import trustme

from vats_exporter.demo import Answer, Fault, SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vats_exporter.demo import Account, Incoming

    Hook = Callable[[Incoming], Fault | None]

PATIENCE = 30.0
PASSWORD = 'mark&1:=a/b+%"пароль'
"""With characters that each layer writes in its own way."""

WRONG_PASSWORD = "mark&2:=c/d+%"
VISITOR = ("prometheus", "mark-3/visitor+%")


def forms(secret: str) -> Iterator[bytes]:
    """A secret as the layers between here and there may write it."""
    data = secret.encode()
    texts = {secret, html.escape(secret), repr(secret)[1:-1], repr(data)[2:-1]}
    texts |= {quote(data, safe=""), quote(data), quote_plus(data)}
    texts |= {quote(data, safe="").lower()}
    texts |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    texts |= {json.dumps(json.dumps(secret))[3:-3]}
    texts |= {re.sub(r"[^\w]", lambda match: f"\\x{ord(match[0]):02x}", secret)}
    for text in texts:
        yield text.encode()
    for before in range(3):  # base64 of it inside of something, wherever that begins
        encoded = base64.b64encode(b"x" * before + data)
        yield encoded[(0, 2, 3)[before] : (before + len(data)) // 3 * 4]
    yield data.hex().encode()


def found(secrets: dict[str, str], places: dict[str, bytes]) -> list[str]:
    """What stands where; says the secret's name only."""
    return [
        f"{name} in {place}, as {form!r}"
        for name, secret in secrets.items()
        for form in set(forms(secret))
        for place, data in places.items()
        if form in data
    ]


def test_the_hunt_finds_what_is_there() -> None:
    for form in forms(PASSWORD):
        assert found({"password": PASSWORD}, {"here": b"... " + form + b" ..."})
    token = base64.b64encode(f"user:{PASSWORD}".encode())
    assert found({"password": PASSWORD}, {"here": b"Authorization: Basic " + token})
    assert not found({"password": PASSWORD}, {"here": b"nothing"})


def faults() -> list[Hook]:
    """Every way to misbehave, each for all calls."""

    def always(fault: Fault) -> Hook:
        return lambda _: fault

    def only(call: str, fault: Fault) -> Hook:
        return lambda incoming: fault if incoming.call == call else None

    page = (("Content-Type", "text/html"),)
    echo = f"<html>j_password={quote_plus(PASSWORD)} {PASSWORD}".encode()
    answers = [
        Answer(500, page, echo),
        Answer(503, (("Retry-After", "1"),), echo),
        Answer(401, page, echo),
        Answer(200, page, echo),
        Answer(200, (("Content-Encoding", "gzip"),), echo),
        Answer(302, (("Location", f"https://elsewhere.example/?p={quote_plus(PASSWORD)}"),), b""),
        Answer(302, (("Location", f"/login?j_password={quote_plus(PASSWORD)}"),), b""),
        Answer(200, (), b'//EX[1,["' + PASSWORD.encode() + b'"],0,7]'),
        Answer(200, (), b'//OK[1,["' + PASSWORD.encode() + b'"],0,7]'),
        Answer(200, (("Set-Cookie", f"JSESSIONID={PASSWORD}"), ("X-Broken", PASSWORD)), b"//OK["),
        Answer(200, (), b""),
    ]
    hooks = [always(Fault(drop=True)), always(Fault(drop=True, reset=True))]
    for answer in answers:
        hooks += [only(call, Fault(instead=answer)) for call in ("sign_in", "list", "details")]
    hooks += [only("nocache", Fault(instead=answers[0])), only("permutation", Fault(cut=10))]
    return hooks


class Exporter:
    """`serve` in a process of its own, and what it said."""

    def __init__(self, folder: Path, cabinet: SimulatedCabinet) -> None:
        self.folder = folder
        self.cabinet = cabinet
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        self.key = issued.private_key_pem.bytes().decode()
        (folder / "server.key").write_text(self.key)
        issued.cert_chain_pems[0].write_to_path(folder / "server.crt")
        self.hashed = bcrypt.hashpw(VISITOR[1].encode(), bcrypt.gensalt(4)).decode()
        (folder / "web.yml").write_text(
            "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
            f"basic_auth_users: {{{VISITOR[0]}: '{self.hashed}'}}\n"
        )
        (folder / "password").write_text(PASSWORD, "utf-8")
        self.write_config()
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-X", "dev", "-m", "vats_exporter", "serve"),
                    *("--config.file", str(folder / "config.yml")),
                    *("--web.config.file", str(folder / "web.yml")),
                    *("--web.listen-address", "127.0.0.1:0", "--web.enable-lifecycle"),
                    *("--log.level", "debug"),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._trust = ssl.create_default_context()
        authority.configure_trust(self._trust)
        self.port = int(self.logged(rb"msg=listening address=127\.0\.0\.1:(\d+)")[1])
        self.pages: dict[str, bytes] = {}

    def write_config(self, extra: str = "") -> None:
        (account,) = self.cabinet.accounts
        (self.folder / "config.yml").write_text(
            f"accounts:\n  - name: office\n    login: '{account.login}'\n"
            f"    password_file: password\n    address: '{self.cabinet.url}'\n{extra}"
            "cache: {ttl: 0s, stale: 1h}\ndetails: {ttl: 1s}\nhistory: {file: history.db}\n",
            "utf-8",
        )

    def logged(self, pattern: bytes) -> re.Match[bytes]:
        deadline = time.monotonic() + PATIENCE
        while True:
            match = re.search(pattern, self.log.read_bytes())
            if match is not None:
                return match
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()

    def ask(
        self, path: str, method: str = "GET", password: str = VISITOR[1], **headers: str
    ) -> int:
        """Ask for a page, and keep its head and body."""
        token = base64.b64encode(f"{VISITOR[0]}:{password}".encode()).decode()
        connection = HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE, context=self._trust)
        try:
            connection.request(method, path, headers={"Authorization": f"Basic {token}", **headers})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        name = f"{method} {path} {headers or ''} {len(self.pages)}"
        self.pages[name] = str(answer.getheaders()).encode() + body
        return answer.status

    def ask_for_everything(self) -> None:
        for path in ("/metrics", "/", "/probe?account=office&debug=true", "/sd", "/none"):
            self.ask(path)


def commands(folder: Path) -> dict[str, bytes]:
    """What the other commands say, with the same configuration."""
    config = ("--config.file", str(folder / "config.yml"))
    saved = folder / "saved"
    lines: list[tuple[str, ...]] = [
        ("check", *config, "--online"),
        ("check", *config, "--web.config.file", str(folder / "web.yml")),
        ("trunks", "list", *config),
        ("trunks", "list", *config, "--output", "json"),
        ("events", *config),
        ("inspect", *config, "--account", "office", "--save", str(saved)),
    ]
    told = {}
    for line in lines:
        ended = subprocess.run(
            [sys.executable, "-m", "vats_exporter", *line],
            capture_output=True,
            check=False,
            timeout=PATIENCE * 2,
        )
        told[" ".join(line[:2])] = ended.stdout + ended.stderr
        assert b"Traceback" not in ended.stderr
    told |= {f"saved {file.name}": file.read_bytes() for file in saved.rglob("*") if file.is_file()}
    return told


@pytest.fixture
def cabinet() -> Iterator[SimulatedCabinet]:
    accounts = make_accounts(1, trunks=12)
    with SimulatedCabinet(accounts) as simulated:
        simulated.change_password(accounts[0].name, PASSWORD)
        yield simulated


def break_the_cabinet(exporter: Exporter) -> None:
    """Every fault, then a redeployment and a session that ends."""
    cabinet = exporter.cabinet
    for hook in faults():
        cabinet.faults = hook
        exporter.ask_for_everything()
    cabinet.faults = None
    cabinet.redeploy()
    exporter.ask_for_everything()
    cabinet.end_sessions()
    exporter.ask("/metrics", Accept="application/openmetrics-text")


def break_the_configuration(exporter: Exporter) -> None:
    """Wrong by name, wrong by value, wrong by password; and right again."""
    password = exporter.folder / "password"
    exporter.write_config(f"    passwrd: '{WRONG_PASSWORD}'\n")
    assert exporter.ask("/-/reload", "POST") == 500
    exporter.write_config(f'    password: ["{WRONG_PASSWORD}\n')
    assert exporter.ask("/-/reload", "POST") == 500
    exporter.write_config()
    for text in (WRONG_PASSWORD, PASSWORD):
        password.write_text(text, "utf-8")
        assert exporter.ask("/-/reload", "POST") == 200
        exporter.ask_for_everything()
    assert exporter.ask("/metrics", password=PASSWORD) == 401
    assert exporter.ask(f"/{quote(PASSWORD)}?p={quote(VISITOR[1])}") == 404


def test_no_secret_is_ever_said_written_or_shown(cabinet: SimulatedCabinet, tmp_path: Path) -> None:
    cookies: set[str] = set()
    (account,) = cabinet.accounts
    sessions = cabinet._application.sessions
    begin = sessions.begin

    def begin_and_remember(whose: Account) -> str:
        cookie = begin(whose)
        cookies.add(cookie)
        return cookie

    sessions.begin = begin_and_remember  # type: ignore[method-assign,assignment]  # to see what is given out
    exporter = Exporter(tmp_path, cabinet)
    try:
        exporter.ask_for_everything()
        break_the_cabinet(exporter)
        break_the_configuration(exporter)
        proc = Path(f"/proc/{exporter.process.pid}")
        asides = {"arguments": b"", "environment": b""}
        with suppress(FileNotFoundError):  # not on every system
            asides["arguments"] = (proc / "cmdline").read_bytes()
            asides["environment"] = (proc / "environ").read_bytes()
        told = commands(tmp_path)
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(PATIENCE) == 0
    finally:
        exporter.process.kill()
        exporter.process.wait()

    devices = [trunk.device for trunk in account.enterprise.trunks() if trunk.device is not None]
    assert devices
    assert cookies
    secrets = {
        "login password": PASSWORD,
        "wrong password": WRONG_PASSWORD,
        "visitor's password": VISITOR[1],
        "visitor's hash": exporter.hashed,
        "TLS key": exporter.key.splitlines()[1],
        **{f"cookie {number}": cookie for number, cookie in enumerate(cookies)},
        **{f"SIP login {number}": one.sip_login for number, one in enumerate(devices)},
        **{f"SIP password {number}": one.sip_password for number, one in enumerate(devices)},
    }
    history = {f"history {file.name}": file.read_bytes() for file in tmp_path.glob("history.db*")}
    log = exporter.log.read_bytes()
    assert history
    # What is searched is what there is to search: the log at debug tells each call.
    assert log.count(b'msg="call answered"') > 50
    assert b'msg="refresh failed"' in log
    assert exporter.pages
    places = {"log": log, **exporter.pages, **history, **asides, **told}
    assert not found(secrets, places)
