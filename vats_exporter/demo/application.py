"""The cabinet behind HTTP: sessions, redirects, scripts, the way to the services, and counts.

Status codes, redirects and the login page's form are those that are known of the cabinet [observed]
[assumed]; what the services' entry refuses, and with what, is Google's server code. [gwt]
"""

from __future__ import annotations

import gzip
import html
import logging
import re
import secrets
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from vats_exporter.demo import http, rpc, script
from vats_exporter.demo.deployment import MODULE, SERVICES, Deployment
from vats_exporter.demo.enterprise import Account
from vats_exporter.demo.http import Answer, HttpRequest, Incoming

REFUSED: Final = "Неверный логин или пароль"

_FOLDER: Final = Path(__file__).parent
_LOGIN_PAGE: Final = (_FOLDER / "login.html").read_text("utf-8")
_APPLICATION_PAGE: Final = (_FOLDER / "application.html").read_text("utf-8")

COOKIE: Final = "JSESSIONID"
CALL_FAILED: Final = "The call failed on the server; see server log for details"
"""The body of HTTP 500, whatever the reason. [gwt]"""

_COMPRESSED_FROM: Final = 257
"""Bytes from which on an answer is compressed for those who accept it. [gwt]"""

_ENTERPRISE: Final = re.compile(r"/gwt/enterprise/([0-9]+)/?")
_MODULE: Final = f"/{MODULE}/"
_SELECTION_SCRIPT: Final = f"{_MODULE}{MODULE}.nocache.js"
_LOGIN: Final = "/login"
_SIGN_IN: Final = "/j_spring_security_check"
_SIGN_OUT: Final = "/j_spring_security_logout"

_CALLS: Final = {
    _SIGN_IN: "sign_in",
    _SIGN_OUT: "sign_out",
    _LOGIN: "login_page",
    _SELECTION_SCRIPT: "nocache",
    "/": "home",
}

_log = logging.getLogger(__name__)


class Application:
    """Answers requests; safe to use from several threads.

    Attributes:
        accounts: the logins it knows.
        deployment: can be replaced while it runs.
        sessions: whose a cookie is, of those who are signed in.
    """

    def __init__(self, accounts: Iterable[Account], deployment: Deployment) -> None:
        self.accounts = tuple(accounts)
        self.deployment = deployment
        self.sessions: dict[str, Account] = {}
        self._stats = Stats()

    def describe(self, request: HttpRequest) -> Incoming:
        """Say which call a request is, and whose; its number is not known yet."""
        path = request.path
        if path == _SIGN_IN:
            account = self._account(request.form("j_username"))
        else:
            account = self.sessions.get(request.cookie(COOKIE))
        if path.removeprefix(_MODULE) in SERVICES:
            incoming = rpc.describe(path.removeprefix(_MODULE), request.text, self.deployment)
        elif _ENTERPRISE.fullmatch(path):
            incoming = Incoming("enterprise")
        elif path.endswith(".cache.js"):
            incoming = Incoming("permutation")
        else:
            incoming = Incoming(_CALLS.get(path, "other"))
        return replace(incoming, account=account.name if account else "")

    def answer(self, request: HttpRequest) -> Answer:
        """Answer a request."""
        path = request.path
        service = path.removeprefix(_MODULE)
        is_posted = path == _SIGN_IN or service in SERVICES
        if request.method != ("POST" if is_posted else "GET"):
            return http.text("Method Not Allowed", status=405)
        if service in SERVICES:
            return self._call(service, request)
        if path == _SIGN_IN:
            return self._sign_in(request)
        if path == _LOGIN:
            page = _LOGIN_PAGE.format(error="" if request.query("error") is None else REFUSED)
            # Whoever looks at the login page has a cookie, too: it says nothing of a session.
            return _with_cookie(http.text(page, http.HTML), new_cookie(), request)
        return self._script(path) if path.startswith(_MODULE) else self._page(path, request)

    def _page(self, path: str, request: HttpRequest) -> Answer:
        if path == _SIGN_OUT:
            self.sessions.pop(request.cookie(COOKIE), None)
            return http.redirect(_LOGIN)
        enterprise = _ENTERPRISE.fullmatch(path)
        if path != "/" and not enterprise:
            return http.text("Not Found", status=404)
        account = self.sessions.get(request.cookie(COOKIE))
        if account is None:
            return http.redirect(_LOGIN)
        number = account.enterprise.number
        if not enterprise:
            return http.redirect(f"/gwt/enterprise/{number}/")
        if int(enterprise[1]) != number:
            return http.text("Forbidden", status=403)
        login = html.escape(account.login)
        page = _APPLICATION_PAGE.format(module=MODULE, enterprise=number, login=login)
        return http.text(page, http.HTML)

    def _sign_in(self, request: HttpRequest) -> Answer:
        account = self._account(request.form("j_username"))
        is_refused = account is None or request.form("j_password") != account.password
        self._stats.sign_in(account.name if account else "", is_refused=is_refused)
        if account is None or is_refused:
            return http.redirect(f"{_LOGIN}?error")
        return _with_cookie(http.redirect("/"), self.begin_session(account), request)

    def begin_session(self, account: Account) -> str:
        """Begin a session of an account and return its cookie."""
        cookie = new_cookie()
        self.sessions[cookie] = account
        return cookie

    def _script(self, path: str) -> Answer:
        deployment = self.deployment
        if path == _SELECTION_SCRIPT:
            return http.text(script.selection_script(deployment), http.SCRIPT)
        for permutation in deployment.permutations:
            if path == f"{_MODULE}{permutation}.cache.js":
                return http.text(script.permutation_script(deployment, permutation), http.SCRIPT)
            for number in range(1, deployment.fragments + 1):
                if path == f"{_MODULE}deferredjs/{permutation}/{number}.cache.js":
                    return http.text(script.fragment_script(deployment, number), http.SCRIPT)
        return http.text("Not Found", status=404)

    def _call(self, service: str, request: HttpRequest) -> Answer:
        account = self.sessions.get(request.cookie(COOKIE))
        if account is None:
            return http.redirect(_LOGIN)
        try:
            _check(request)
            body = rpc.answer(service, request.text, self.deployment, account.enterprise)
        except rpc.CallFailedError as error:
            _log.debug("%s failed: %s", service, error)
            return http.text(CALL_FAILED, status=500)
        headers = [("Content-Type", http.JSON), ("Content-Disposition", "attachment")]
        content = body.encode()
        accepted = request.headers.get("Accept-Encoding", "")
        if "gzip" in accepted and len(content) >= _COMPRESSED_FROM:
            headers.append(("Content-Encoding", "gzip"))
            content = gzip.compress(content, mtime=0)
        return Answer(200, tuple(headers), content)

    def _account(self, login: str | None) -> Account | None:
        return next((account for account in self.accounts if account.login == login), None)


def _check(request: HttpRequest) -> None:
    """Check what the services' entry checks before it reads anything."""
    kind = request.headers.get("Content-Type", "").lower()
    if not kind.startswith("text/x-gwt-rpc"):
        raise rpc.CallFailedError(f"Content-Type was '{kind}'. Expected 'text/x-gwt-rpc'.")
    if "charset=utf-8" not in kind.replace('"', "").replace(" ", ""):
        raise rpc.CallFailedError("Character Encoding is not 'utf-8'")
    if not request.headers.get("X-GWT-Permutation", ""):
        raise rpc.CallFailedError("Blocked request without GWT permutation header (XSRF attack?)")


def _with_cookie(answer: Answer, value: str, request: HttpRequest) -> Answer:
    secure = "; Secure" if request.is_secure else ""
    cookie = ("Set-Cookie", f"{COOKIE}={value}; Path=/{secure}; HttpOnly")
    return replace(answer, headers=(*answer.headers, cookie))


def new_cookie() -> str:
    """Make a cookie's value, in the style of Java's servers."""
    return secrets.token_hex(16).upper()


@dataclass(slots=True)
class _Counts:
    """Of one account, or of all; ``concurrency`` is how many requests are being answered."""

    requests: dict[str, int] = field(default_factory=dict)
    sign_ins: int = 0
    refused_sign_ins: int = 0
    concurrency: int = 0
    highest_concurrency: int = 0


class Stats:
    """Counts since the cabinet was made, safe to use from several threads.

    Requests of those who have no session count under no account.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections = 0
        self._all = _Counts()
        self._accounts: defaultdict[str, _Counts] = defaultdict(_Counts)

    @contextmanager
    def request(self, call: str, account: str) -> Iterator[int]:
        """Count a request while it is answered, and yield which one of its call it is, from 1."""
        with self._lock:
            for counts in self._of(account):
                counts.requests[call] = counts.requests.get(call, 0) + 1
                counts.concurrency += 1
                counts.highest_concurrency = max(counts.highest_concurrency, counts.concurrency)
            number = self._all.requests[call]
        try:
            yield number
        finally:
            with self._lock:
                for counts in self._of(account):
                    counts.concurrency -= 1

    def connection(self) -> None:
        """Count a connection, whatever it is for."""
        with self._lock:
            self._connections += 1

    def sign_in(self, account: str, *, is_refused: bool) -> None:
        """Count a sign-in that was answered; the account is empty where the login is no one's."""
        with self._lock:
            for counts in self._of(account):
                counts.refused_sign_ins += is_refused
                counts.sign_ins += not is_refused

    def as_json(self) -> dict[str, Any]:
        """Return all counts, as ``/_demo/stats`` shows them."""
        with self._lock:
            accounts = {name: asdict(counts) for name, counts in sorted(self._accounts.items())}
            return {"connections": self._connections, **asdict(self._all), "accounts": accounts}

    def _of(self, account: str) -> list[_Counts]:
        return [self._all, self._accounts[account]] if account else [self._all]
