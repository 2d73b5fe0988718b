"""The simulated cabinet as one thing to start, stop, look at and play with.

Status codes, redirects and the login page's form are those that are known of the cabinet [observed]
[assumed]; what the services' entry refuses, and with what, is Google's server code. [gwt]

Under ``/_demo/`` anybody is told the truth, and may change it, in JSON:

* ``GET trunks``, ``GET trunks?account=NAME``, ``GET stats`` show trunks and counts;
* ``POST trunks`` with ``{"account": "demo"}`` adds a trunk, ``POST trunks/PHONE`` with
  ``{"active": false}`` (or what else of :data:`_CHANGES`) changes it, ``DELETE`` takes it away;
* ``POST redeploy`` changes permutations, hashes and signatures;
* ``POST end-sessions`` with ``{}`` or an account ends sessions, as ``POST password`` does with
  ``{"account": "demo", "password": "…"}``;
* ``POST pace`` with ``{"seconds": 0}`` stops what changes by itself.

What can't be done answers ``{"error": "…"}`` with status 400 or 404.
"""

from __future__ import annotations

import gzip
import html
import json
import logging
import re
import secrets
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.cookies import SimpleCookie
from pathlib import Path
from threading import Event
from typing import Any, Final
from urllib.parse import parse_qsl

from typing_extensions import Self

from vats_exporter.demo import http, rpc
from vats_exporter.demo.deployment import MODULE, SERVICES, Deployment
from vats_exporter.demo.enterprise import Account, Enterprise, SimulatedTrunk, make_accounts
from vats_exporter.demo.http import Answer, Fault, HttpRequest, Incoming, Server, Stats
from vats_exporter.demo.script import scripts

REFUSED: Final = "Неверный логин или пароль"

_FOLDER: Final = Path(__file__).parent
_LOGIN_PAGE: Final = (_FOLDER / "login.html").read_text("utf-8")
_APPLICATION_PAGE: Final = (_FOLDER / "application.html").read_text("utf-8")

COOKIE: Final = "JSESSIONID"
# Whatever the reason. [gwt]
_FAILED: Final = http.text("The call failed on the server; see server log for details", status=500)
_COMPRESSED_FROM: Final = 257  # bytes of an answer, for those who accept it [gwt]
_LOGIN: Final = "/login"
_CALLS: Final = re.compile(
    rf"(?P<home>/)|(?P<login_page>{_LOGIN})|/gwt/enterprise/(?P<enterprise>[0-9]+)/?"
    r"|(?P<sign_in>/j_spring_security_check)|(?P<sign_out>/j_spring_security_logout)"
    rf"|/{MODULE}/(?:(?P<nocache>{MODULE}\.nocache\.js)|(?P<permutation>.+\.cache\.js)"
    rf"|(?P<service>{'|'.join(SERVICES)}))"
)
"""The paths, by what they call, and of some the part that varies."""

_PREFIX: Final = "/_demo/"

_FLAGS: Final = ("active", "bound", "marked_for_deletion", "sip_device_enabled")
_CHANGES: Final[Mapping[str, type]] = {**dict.fromkeys(_FLAGS, bool), "name": str}
"""What :meth:`Enterprise.change` can change of a trunk."""

_log = logging.getLogger(__name__)


class SimulatedCabinet:
    """A cabinet over real HTTP, for the demo and for tests.

    >>> with SimulatedCabinet() as cabinet:
    ...     account = cabinet.account("demo")
    ...     settings = cabinet.url, account.login, account.password

    By default it has one account, with 25 trunks that stand still, and draws its deployment. Port 0
    chooses a port at the first start, which is kept.
    """

    def __init__(
        self,
        accounts: Iterable[Account] | None = None,
        *,
        address: tuple[str, int] = ("127.0.0.1", 0),
        deployment: Deployment | None = None,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.accounts = tuple(make_accounts(clock=clock) if accounts is None else accounts)
        self.deployment = deployment or Deployment.make()  # can be replaced at any time
        self.sessions: dict[str, Account] = {}  # by the cookie
        # Sees each request before it is answered, in several threads; can be set at any time.
        self.faults: Callable[[Incoming], Fault | None] | None = None
        self._clock = clock
        self._address = address
        self._tls = tls
        self._stats = Stats()
        self._server: Server | None = None
        self._stopping = Event()

    def start(self) -> None:
        """Listen and serve, in threads of its own."""
        self._stopping.clear()
        self._server = Server(self._address, self._responding, self._stats, self._tls)
        self._address = (self._address[0], self._server.server_port)

    def stop(self) -> None:
        """Stop listening and break all connections; it can be started again on the same port."""
        self._stopping.set()
        if self._server is not None:
            self._server.stop()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it listens, ``http://127.0.0.1:PORT``; known from the first start on."""
        host, port = self._address
        return f"{'https' if self._tls else 'http'}://{host}:{port}"

    def account(self, name: str) -> Account:
        """Return an account by its name; a ``LookupError`` if there is none."""
        for account in self.accounts:
            if account.name == name:
                return account
        raise LookupError(f"no account {name}")

    def redeploy(self) -> None:
        """Change permutations, hashes, signatures and the rows' layout; sessions go on."""
        self.deployment = self.deployment.redeployed(self.deployment.permutations[0])

    def end_sessions(self, account: str | None = None) -> int:
        """End the sessions of an account, or of all, and return how many there were."""
        whose = self._those(account)
        ended = [cookie for cookie, owner in list(self.sessions.items()) if owner in whose]
        for cookie in ended:
            self.sessions.pop(cookie, None)
        return len(ended)

    def change_password(self, account: str, password: str) -> None:
        """Change a password, which ends the account's sessions."""
        self.account(account).password = password
        self.end_sessions(account)

    def trunks(self, account: str | None = None) -> list[dict[str, Any]]:
        """Return the true state of an account's trunks, or of all, as ``/_demo/trunks`` does."""
        return [
            _truth(owner, trunk)
            for owner in self._those(account)
            for trunk in owner.enterprise.trunks()
        ]

    def stats(self) -> dict[str, Any]:
        """Return the counts, as ``/_demo/stats`` shows them."""
        return {**self._stats.as_json(), "sessions": len(self.sessions)}

    def _those(self, account: str | None) -> Iterable[Account]:
        return self.accounts if account is None else [self.account(account)]

    @contextmanager
    def _responding(self, request: HttpRequest) -> Iterator[tuple[Answer, Fault]]:
        """Answer a request, counting it until it is sent."""
        if request.path.startswith(_PREFIX):
            yield self._control(request), Fault()
            return
        incoming = self._describe(request)
        with self._stats.request(incoming.call, incoming.account) as number:
            hook = self.faults
            fault = (hook and hook(replace(incoming, number=number))) or Fault()
            answer = fault.instead or self._answer(request)
            if fault.change is not None:
                answer = fault.change(answer)
            while fault.wait and not fault.wait.wait(http.LOOKS_EVERY):
                if self._stopping.is_set():
                    raise ConnectionAbortedError
            yield answer, fault

    def _describe(self, request: HttpRequest) -> Incoming:
        """Say which call a request is, and whose; its number is not known yet."""
        call, name = _recognized(request.path)
        incoming = Incoming(call)
        if call == "service":
            incoming = rpc.describe(name, request.text, self.deployment)
        account = self._claimed(request) if call == "sign_in" else self._signed_in(request)
        return replace(incoming, account=account.name if account else "")

    def _answer(self, request: HttpRequest) -> Answer:  # noqa: PLR0911 - one each of what is called
        call, name = _recognized(request.path)
        if request.method != ("POST" if call in ("sign_in", "service") else "GET"):
            return http.text("Method Not Allowed", status=405)
        match call:
            case "sign_in":
                return self._sign_in(request)
            case "sign_out":
                self.sessions.pop(_cookie(request), None)
                return http.redirect(_LOGIN)
            case "login_page":
                page = _LOGIN_PAGE.format(error=REFUSED if request.query == "error" else "")
                # Whoever looks at it has a cookie, too: it says nothing of a session.
                return self._with_cookie(http.text(page, http.HTML), _new_cookie())
            case "service" | "home" | "enterprise":
                account = self._signed_in(request)
                if account is None:
                    return http.redirect(_LOGIN)
                if call == "service":
                    return self._call(name, request, account.enterprise)
                return _page(account, name)
        text = scripts(self.deployment).get(name)
        return http.text(text, http.SCRIPT) if text else http.text("Not Found", status=404)

    def _sign_in(self, request: HttpRequest) -> Answer:
        account = self._claimed(request)
        is_refused = account is None or request.form.get("j_password", "") != account.password
        self._stats.sign_in(account.name if account else "", is_refused=is_refused)
        if account is None or is_refused:
            return http.redirect(f"{_LOGIN}?error")
        return self._with_cookie(http.redirect("/"), self.begin_session(account))

    def begin_session(self, account: Account) -> str:
        """Begin a session of an account and return its cookie."""
        cookie = _new_cookie()
        self.sessions[cookie] = account
        return cookie

    def _call(self, service: str, request: HttpRequest, enterprise: Enterprise) -> Answer:
        kind = request.headers.get("Content-Type", "").lower().replace('"', "").replace(" ", "")
        is_rpc = kind.startswith("text/x-gwt-rpc") and "charset=utf-8" in kind
        if not (is_rpc and request.headers.get("X-GWT-Permutation")):
            return _FAILED
        try:
            body = rpc.answer(service, request.text, self.deployment, enterprise)
        except rpc.CallFailedError as error:
            _log.debug("%s failed: %s", service, error)
            return _FAILED
        headers = [("Content-Type", http.JSON), ("Content-Disposition", "attachment")]
        content = body.encode()
        accepted = request.headers.get("Accept-Encoding", "")
        if "gzip" in accepted and len(content) >= _COMPRESSED_FROM:
            headers.append(("Content-Encoding", "gzip"))
            content = gzip.compress(content, mtime=0)
        return Answer(200, tuple(headers), content)

    def _signed_in(self, request: HttpRequest) -> Account | None:
        return self.sessions.get(_cookie(request))

    def _claimed(self, request: HttpRequest) -> Account | None:
        """The account that a sign-in is for, whatever its password is."""
        login = request.form.get("j_username")
        return next((account for account in self.accounts if account.login == login), None)

    def _with_cookie(self, answer: Answer, value: str) -> Answer:
        secure = "; Secure" if self._tls else ""
        cookie = ("Set-Cookie", f"{COOKIE}={value}; Path=/{secure}; HttpOnly")
        return replace(answer, headers=(*answer.headers, cookie))

    def _control(self, request: HttpRequest) -> Answer:
        status = 200
        try:
            shown = self._controlled(request)
        except (ValueError, LookupError) as error:
            shown = {"error": str(error)}
            status = 400 if isinstance(error, ValueError) else 404
        text = json.dumps(shown, ensure_ascii=False, indent=1) + "\n"
        return http.text(text, http.JSON, status=status)

    def _controlled(  # noqa: PLR0911 - one each of what can be done
        self, request: HttpRequest
    ) -> dict[str, Any]:
        """Do what is asked for; see the list above."""
        asked = _parse(request.body) if request.method == "POST" else {}
        match request.method, request.path.removeprefix(_PREFIX).split("/"):
            case "GET", ["trunks"]:
                asked = dict(parse_qsl(request.query))
                return {"trunks": self.trunks(asked.get("account")), "at": self._clock()}
            case "GET", ["stats"]:
                return self.stats()
            case "POST", ["trunks"]:
                owner = self.account(_get(asked, "account", str))
                return _truth(owner, owner.enterprise.add())
            case "POST", ["trunks", phone]:
                for name in asked:
                    if name not in _CHANGES:
                        raise ValueError(f"{name}: can't be changed, only {', '.join(_CHANGES)}")
                    _get(asked, name, _CHANGES[name])
                owner = self._owner(phone)
                return _truth(owner, owner.enterprise.change(phone, **asked))
            case "DELETE", ["trunks", phone]:
                owner = self._owner(phone)
                return _truth(owner, owner.enterprise.remove(phone))
            case "POST", ["redeploy"]:
                self.redeploy()
                return {"permutations": list(self.deployment.permutations)}
            case "POST", ["end-sessions"]:
                account = _get(asked, "account", str) if "account" in asked else None
                return {"ended": self.end_sessions(account)}
            case "POST", ["password"]:
                self.change_password(_get(asked, "account", str), _get(asked, "password", str))
                return {"changed": True}
            case "POST", ["pace"]:
                seconds = _get(asked, "seconds", (int, float))
                for account in self.accounts:
                    account.enterprise.set_pace(seconds)
                return {"seconds": seconds}
        raise LookupError("no such thing to do")

    def _owner(self, phone: str) -> Account:
        for account in self.accounts:
            with suppress(LookupError):
                account.enterprise.find(phone)
                return account
        raise LookupError(f"no trunk {phone}")


def _truth(account: Account, trunk: SimulatedTrunk) -> dict[str, Any]:
    """Return what a client should find out about a trunk, and when it last changed."""
    device = trunk.device
    return {
        "account": account.name,
        "ref": trunk.ref,
        "id": trunk.id,
        "phone": trunk.phone,
        "name": trunk.name,
        "active": trunk.state.active,
        "bound": trunk.state.bound,
        "marked_for_deletion": trunk.state.marked_for_deletion,
        "pattern": trunk.state.pattern,
        "line": device.line if device else None,
        "sip_device_enabled": device.enabled if device else None,
        "changed_at": trunk.changed_at,
    }


def _parse(body: bytes) -> dict[str, Any]:
    try:
        return {**json.loads(body or b"{}")}
    except (ValueError, TypeError):
        raise ValueError("the body is not a JSON object") from None


def _get(asked: Mapping[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:
    value = asked.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name}: missing, or of the wrong type")
    return value


def _recognized(path: str) -> tuple[str, str]:
    """Which call a path is, and the part of it that varies."""
    found = _CALLS.fullmatch(path)
    call = found.lastgroup if found else None
    return (call, found[call]) if found and call else ("other", "")


def _page(account: Account, asked: str) -> Answer:
    """The application's page; from the address without a number, the way to it."""
    number = str(account.enterprise.number)
    if asked == "/":
        return http.redirect(f"/gwt/enterprise/{number}/")
    if asked != number:
        return http.text("Forbidden", status=403)
    login = html.escape(account.login)
    page = _APPLICATION_PAGE.format(module=MODULE, enterprise=number, login=login)
    return http.text(page, http.HTML)


def _cookie(request: HttpRequest) -> str:
    cookie = SimpleCookie(request.headers.get("Cookie", "")).get(COOKIE)
    return cookie.value if cookie else ""


def _new_cookie() -> str:
    """Make a cookie's value, in the style of Java's servers."""
    return secrets.token_hex(16).upper()
