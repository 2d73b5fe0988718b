"""Who may ask, and how: TLS, passwords, headers and a rate limit, read again every second.

What cannot be read, or would take protection away, changes nothing and is logged once: it may lack
a file that is not there yet.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from vats_exporter.config.problems import ConfigError, Problem
from vats_exporter.logs import get_logger
from vats_exporter.web import Request, Response, say
from vats_exporter.web.settings import RateLimit, WebSettings

_LOOK_EVERY: Final = 1.0  # seconds between two looks at the files
_WAITING: Final = 128  # requests that wait for a password to be computed at the same time
_WAITING_OF_CLIENT: Final = 8
_CHALLENGE: Final = ("WWW-Authenticate", 'Basic realm="vats-exporter", charset="UTF-8"')

_log = get_logger(__name__)


class PasswordCheck:
    """Checks credentials against the users' bcrypt hashes. Safe to use from many threads.

    bcrypt takes tens of milliseconds, so each user's right password is remembered and waits for
    nothing. Others are computed one at a time, and only a few of one client wait for that: a right
    one that is new gets through beside clients that guess. An unknown user's is computed against
    the costliest hash, so that the time of an answer does not show which users exist.
    """

    def __init__(self, users: Mapping[str, str]) -> None:
        self.users: Final = dict(users)
        self._costliest = max(users.values(), default="", key=lambda hashed: int(hashed[4:6]))
        self._secret = secrets.token_bytes(32)
        self._computing = threading.Lock()
        self._waiting: list[str] = []  # clients, once a request; single operations are atomic
        self._right: dict[str, bytes] = {}

    def check(self, authorization: str, client: str) -> bool | None:
        """Judge the header of a request; ``None`` where too many passwords wait already."""
        credentials = read_basic(authorization)
        if credentials is None:
            return False
        user, password = credentials
        digest = hmac.digest(self._secret, password, "sha256")
        if self._right.get(user) == digest:
            return True
        waiting = self._waiting
        if len(waiting) >= _WAITING or waiting.count(client) >= _WAITING_OF_CLIENT:
            return None
        waiting.append(client)
        try:
            with self._computing:  # of others with the same password, the first one computes it
                if self._right.get(user) != digest and self._is_right(user, password):
                    self._right[user] = digest
        finally:
            waiting.remove(client)
        return self._right.get(user) == digest

    def _is_right(self, user: str, password: bytes) -> bool:
        import bcrypt  # noqa: PLC0415 - most exporters run without passwords

        hashed = self.users.get(user, self._costliest)
        try:
            return bcrypt.checkpw(password, hashed.encode()) and user in self.users
        except ValueError:  # a byte that bcrypt does not take, such as NUL
            return False


def read_basic(header: str) -> tuple[str, bytes] | None:
    """Read user and password as RFC 7617 has them, as far as bcrypt looks at them."""
    scheme, _, token = header.strip().partition(" ")
    try:
        decoded = base64.b64decode(token.strip(), validate=True)
    except ValueError:
        return None
    user, colon, password = decoded.partition(b":")
    known = colon and scheme.lower() == "basic"
    return (user.decode("utf-8", "replace"), password[:72]) if known else None


class Protection:
    """What stands between a client and the pages.

    ``read`` reads the settings from ``file``; without it, nothing is protected. A
    :class:`ConfigError` says why they cannot be used.
    """

    def __init__(
        self,
        read: Callable[[], WebSettings] = WebSettings.model_construct,
        file: Path = Path("--web.config.file"),
    ) -> None:
        self._read = read
        self._file = file
        self._lock = threading.Lock()
        self._looked_at = time.monotonic()
        self._bucket_full_at = 0.0
        self._problem = ""
        self._passwords = PasswordCheck({})
        self._load(None)

    def tls(self) -> tuple[ssl.SSLContext, list[str]] | None:
        """Return what to wrap a connection with, and the names that its client may have."""
        self._look()
        settings, context = self._kept
        tls = settings.tls_server_config
        return (context, tls.client_allowed_sans) if context and tls else None

    def refuse(self, request: Request, client: str) -> Response | None:
        """Return the answer to a client's request that may not be made; ``None`` if it may."""
        self._look()
        settings, passwords = self._kept[0], self._passwords
        limit = settings.rate_limit
        if limit.interval and not self._take_token(limit):
            retry = ("Retry-After", f"{max(1, round(limit.interval))}")
            return say(429, "Too many requests; see rate_limit in --web.config.file.", retry)
        if not passwords.users or request.path in settings.auth_excluded_paths:
            return None
        is_right = passwords.check(request.headers.get("authorization", ""), client)
        if is_right is None:
            return say(429, "Too many passwords are being checked.", ("Retry-After", "1"))
        if not is_right:
            return say(401, "This exporter requires a user and a password.", _CHALLENGE)
        return None

    def _take_token(self, limit: RateLimit) -> bool:
        with self._lock:
            now = time.monotonic()
            full_at = max(self._bucket_full_at, now) + limit.interval
            if full_at > now + limit.interval * limit.burst:
                return False
            self._bucket_full_at = full_at
            return True

    def _look(self) -> None:
        """Read the settings again, if that was not done in the last second; one thread does it."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY or not self._lock.acquire(blocking=False):
            return
        self._looked_at = now
        problem = ""
        try:
            if self._load(self._kept[0]):
                _log.info("web configuration reloaded", file=str(self._file))
        except ConfigError as error:
            problem = str(error)
            for line in error.lines() if problem != self._problem else ():
                _log.error("web configuration not reloaded", error=line)
        finally:
            self._problem = problem
            self._lock.release()

    def _load(self, before: WebSettings | None) -> bool:
        """Read the settings, and use them if they or their files changed; tell whether they did."""
        settings = self._read()
        if settings == before:
            return False
        context, problem = None, _taken_away(before, settings) if before else ""
        try:
            context = settings.tls_server_config and settings.tls_server_config.context()
        except (OSError, ValueError) as error:  # this OpenSSL does not do it
            problem = f"tls_server_config: {error}"
        if problem:
            raise ConfigError([Problem("", problem)], file=self._file)
        if settings.basic_auth_users != self._passwords.users:  # what is known stays known
            self._passwords = PasswordCheck(settings.basic_auth_users)
        self._kept = (settings, context)  # replaced together
        headers = settings.http_server_config.headers
        self.headers = {name: text for name, text in headers.items() if text}  # of every answer
        return True


def _taken_away(old: WebSettings, new: WebSettings) -> str:
    """Say which protection a new file would remove: it may be half written, or empty by mistake."""
    was, now = old.tls_server_config, new.tls_server_config
    if old.basic_auth_users and not new.basic_auth_users:
        return "basic_auth_users is gone; to serve without passwords, restart"
    if was is None:
        return "tls_server_config is new; to serve with TLS, restart" if now else ""
    if now is None:
        return "tls_server_config is gone; to serve without TLS, restart"
    forgets_names = was.client_allowed_sans and not now.client_allowed_sans
    if forgets_names or now.verify_mode < was.verify_mode:
        return "tls_server_config demands less of clients; to allow that, restart"
    return ""
