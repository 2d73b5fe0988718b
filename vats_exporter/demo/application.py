"""The cabinet behind HTTP: sessions, redirects, scripts, and the way to the services.

Status codes, redirects and the login page's form are those that are known of the cabinet [observed]
[assumed]; what the services' entry refuses, and with what, is Google's server code. [gwt]
"""

from __future__ import annotations

import gzip
import html
import logging
import re
import secrets
from collections.abc import Iterable
from dataclasses import replace
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Final

from vats_exporter.demo import http, rpc
from vats_exporter.demo.deployment import MODULE, SERVICES, Deployment
from vats_exporter.demo.enterprise import Account, Enterprise
from vats_exporter.demo.http import Answer, HttpRequest, Incoming, Stats
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

_log = logging.getLogger(__name__)


class Application:
    """Answers requests; safe to use from several threads."""

    def __init__(self, accounts: Iterable[Account], deployment: Deployment, scheme: str) -> None:
        self.accounts = tuple(accounts)
        self.deployment = deployment  # can be replaced at any time
        self.sessions: dict[str, Account] = {}  # by the cookie
        self._scheme = scheme
        self._stats = Stats()

    def describe(self, request: HttpRequest) -> Incoming:
        """Say which call a request is, and whose; its number is not known yet."""
        call, name = _recognized(request.path)
        incoming = Incoming(call)
        if call == "service":
            incoming = rpc.describe(name, request.text, self.deployment)
        account = self._claimed(request) if call == "sign_in" else self._signed_in(request)
        return replace(incoming, account=account.name if account else "")

    def answer(self, request: HttpRequest) -> Answer:  # noqa: PLR0911 - one each of what is called
        """Answer a request."""
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
        secure = "; Secure" if self._scheme == "https" else ""
        cookie = ("Set-Cookie", f"{COOKIE}={value}; Path=/{secure}; HttpOnly")
        return replace(answer, headers=(*answer.headers, cookie))


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
