"""Who may ask, and how: TLS, passwords, headers and a rate limit, re-read when their files change.

The server asks for a TLS context with each connection and for an opinion with each request. Once a
second at most, the files are looked at; where one has changed, everything is read again and
replaced as one. What cannot be read, or would take protection away, changes nothing. It is logged
once, and tried again with each look: what it lacks may be a file that is not there yet.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vats_exporter.config.problems import ConfigError, Problem
from vats_exporter.logs.logger import get_logger
from vats_exporter.web.messages import say
from vats_exporter.web.passwords import PasswordCheck, Verdict
from vats_exporter.web.settings import RateLimit, WebSettings
from vats_exporter.web.tls import TlsError, make_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping

    from vats_exporter.web.messages import Request, Response

_LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the files."""

_DEMANDS: Final = {"VerifyClientCertIfGiven": 1, "RequireAndVerifyClientCert": 2}
"""How much of a client's certificate is demanded, where anything is."""

_CHALLENGE: Final = ("WWW-Authenticate", 'Basic realm="vats-exporter", charset="UTF-8"')

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Kept:
    """Settings, and what was made of them; replaced as one."""

    settings: WebSettings
    context: ssl.SSLContext | None
    passwords: PasswordCheck | None
    bucket: _Bucket


class Protection:
    """What stands between a client and the pages.

    Args:
        read: reads the settings; called again when one of their files changes. Protects nothing if
            not given.

    Raises:
        ConfigError: they cannot be used.
    """

    def __init__(self, read: Callable[[], WebSettings] = WebSettings) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._looked_at = time.monotonic()
        self._problem = ""
        self._seen: Mapping[Path, object] = {}
        self._kept = self._load(None)
        # Asked of every request, most of which come to exporters that protect nothing.
        self._lets_all = self._kept.settings == WebSettings() and not self._seen

    @property
    def encrypted(self) -> bool:
        """Whether TLS is spoken."""
        return self._kept.context is not None

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers for every answer."""
        headers = self._kept.settings.http_server_config.headers
        return {name: text for name, text in headers.items() if text}

    def tls(self) -> tuple[ssl.SSLContext, list[str]] | None:
        """Return what to wrap a connection with, and the names that its client may have."""
        self._look()
        kept = self._kept
        if kept.context is None or kept.settings.tls_server_config is None:
            return None
        return kept.context, kept.settings.tls_server_config.client_allowed_sans

    def refuse(self, request: Request, client: str) -> Response | None:
        """Return the answer to a request that may not be made; ``None`` for one that may.

        Args:
            request: as it came.
            client: the address it came from.
        """
        if self._lets_all:
            return None
        self._look()
        kept = self._kept
        if not kept.bucket.take():
            retry = ("Retry-After", str(max(1, round(kept.settings.rate_limit.interval))))
            return say(429, "Too many requests; see rate_limit in --web.config.file.", retry)
        if kept.passwords is None or request.path in kept.settings.auth_excluded_paths:
            return None
        verdict = kept.passwords.check(request.headers.get("authorization", ""), client)
        if verdict is Verdict.RIGHT:
            return None
        if verdict is Verdict.BUSY:
            return say(429, "Too many passwords are being checked.", ("Retry-After", "1"))
        return say(401, "This exporter wants a user and a password.", _CHALLENGE)

    def _look(self) -> None:
        """Read the files again if one has changed since the latest look."""
        now = time.monotonic()
        if not self._seen or now - self._looked_at < _LOOK_EVERY:
            return
        # One thread looks; the others go on with what is in use.
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._looked_at = now
            if _looks(self._seen) == self._seen:
                self._problem = ""  # the files are those again that are in use
                return
            self._kept = self._load(self._kept)
            self._problem = ""
            _log.info("web configuration reloaded", file=str(next(iter(self._seen))))
        except ConfigError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                for line in error.lines():
                    _log.error("web configuration not reloaded", error=line)
        finally:
            self._lock.release()

    def _load(self, before: _Kept | None) -> _Kept:
        """Read everything, and make of it what is needed.

        Each file is looked at before it is read, so that one that changes in between is seen to
        have changed with the next look.
        """
        files: Iterable[Path] = self._seen
        while True:
            seen = _looks(files)
            settings = self._read()
            if not set(settings.files) - seen.keys():
                break
            files = settings.files  # known only now
        if before is not None:
            _require_as_safe(settings, before.settings)
        kept = _make(settings, before)
        self._seen = {file: seen[file] for file in settings.files}
        return kept


class _Bucket:
    """A token bucket, full at first."""

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._tokens = float(limit.burst)
        self._at = time.monotonic()

    def take(self) -> bool:
        """Take a token; tell whether there was one."""
        if self.limit.interval <= 0:
            return True
        with self._lock:
            now = time.monotonic()
            grown = self._tokens + (now - self._at) / self.limit.interval
            self._tokens, self._at = min(float(self.limit.burst), grown), now
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
            return True


def _make(settings: WebSettings, before: _Kept | None) -> _Kept:
    """Make everything, and keep what would be the same: passwords that are known, tokens."""
    tls, users = settings.tls_server_config, settings.basic_auth_users
    try:
        context = None if tls is None else make_context(tls)
    except TlsError as error:
        raise _wrong(settings, f"tls_server_config.{error.key}: {error}") from None
    passwords = before.passwords if before is not None else None
    if not users:
        passwords = None
    elif passwords is None or passwords.users != users:
        passwords = PasswordCheck(users)
    bucket = _Bucket(settings.rate_limit)
    if before is not None and before.bucket.limit == settings.rate_limit:
        bucket = before.bucket
    return _Kept(settings, context, passwords, bucket)


def _require_as_safe(new: WebSettings, old: WebSettings) -> None:
    """Refuse a file that opens what was closed: it may be half written, or emptied by mistake."""
    gone = ""
    old_tls, new_tls = old.tls_server_config, new.tls_server_config
    if old_tls is not None and new_tls is None:
        gone = "tls_server_config is gone; a restart serves without TLS"
    elif old.basic_auth_users and not new.basic_auth_users:
        gone = "basic_auth_users is gone; a restart serves everybody"
    elif old_tls is None and new_tls is not None:
        gone = "tls_server_config is new; a restart begins to speak TLS"
    elif old_tls is not None and new_tls is not None:
        demanded, demands = (_DEMANDS.get(one.client_auth_type, 0) for one in (old_tls, new_tls))
        if demands < demanded:
            gone = "tls_server_config.client_auth_type demands less of clients; a restart does so"
        elif old_tls.client_allowed_sans and not new_tls.client_allowed_sans:
            gone = (
                "tls_server_config.client_allowed_sans is gone; a restart lets in every client "
                "that has a certificate"
            )
    if gone:
        raise _wrong(new, gone)


def _wrong(settings: WebSettings, sentence: str) -> ConfigError:
    file = next(iter(settings.files), Path("--web.config.file"))
    return ConfigError([Problem("", sentence)], file=file)


def _looks(files: Iterable[Path]) -> dict[Path, object]:
    """Return what tells a changed file from an unchanged one."""
    looks: dict[Path, object] = {}
    for file in files:
        try:
            status = file.stat()
        except OSError as error:
            looks[file] = error.errno
        else:
            looks[file] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return looks
