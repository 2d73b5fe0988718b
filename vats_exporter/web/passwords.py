"""Basic authentication with bcrypt hashes.

bcrypt is slow on purpose: tens of milliseconds of a processor for every password tried. So

* answers are remembered, right ones apart from wrong ones: no number of guesses makes a right
  password be forgotten, and one that is remembered waits for nothing;
* one password is computed at a time, and only a few of one client wait for that: a password that is
  not known yet waits for a few guesses of each guessing client, and guesses take neither all
  processors nor all connections;
* an unknown user's password is computed as well, against the costliest hash, so that the time of
  an answer does not show which users exist.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import threading
from collections import OrderedDict
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_REMEMBERED: Final = 100
"""Answers of each kind that are remembered."""

_WAITING: Final = 128
"""Requests that wait for a computation at the same time."""

_WAITING_OF_CLIENT: Final = 8
"""Those of one client."""

_LONGEST: Final = 72
"""Bytes of a password that bcrypt looks at."""


class Verdict(Enum):
    """What a check of credentials finds."""

    RIGHT = "right"
    WRONG = "wrong"
    BUSY = "busy"


class PasswordCheck:
    """Checks credentials against the users' bcrypt hashes. Safe to use from many threads."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self.users: Final = dict(users)
        self._costliest = max(users.values(), key=lambda hashed: int(hashed[4:6]))
        self._secret = secrets.token_bytes(32)
        self._computing = threading.Lock()
        # Of clients, one entry a request; single operations on a list are atomic.
        self._waiting: list[str] = []
        self._right = _Remembered()
        self._wrong = _Remembered()

    def check(self, authorization: str, client: str) -> Verdict:
        """Judge the header of a request.

        ``BUSY`` is the answer where too many passwords wait to be computed already.
        """
        credentials = _read_basic(authorization)
        if credentials is None:
            return Verdict.WRONG
        user, password = credentials
        digest = hmac.digest(self._secret, b"%d:%b%b" % (len(user), user, password), "sha256")
        if verdict := self._recall(digest):
            return verdict
        waiting = self._waiting
        if len(waiting) >= _WAITING or waiting.count(client) >= _WAITING_OF_CLIENT:
            return Verdict.BUSY
        waiting.append(client)
        try:
            with self._computing:  # of others with the same password, the first one computes it
                return self._recall(digest) or self._compute(digest, user, password)
        finally:
            waiting.remove(client)

    def _recall(self, digest: bytes) -> Verdict | None:
        if digest in self._right:
            return Verdict.RIGHT
        return Verdict.WRONG if digest in self._wrong else None

    def _compute(self, digest: bytes, user: bytes, password: bytes) -> Verdict:
        # Imported here: most exporters run without passwords.
        import bcrypt  # noqa: PLC0415 - see above

        known = self.users.get(user.decode("utf-8", "replace"))
        try:
            matches = bcrypt.checkpw(password[:_LONGEST], (known or self._costliest).encode())
        except ValueError:  # a byte that bcrypt does not take, such as NUL
            return Verdict.WRONG
        if known is not None and matches:
            self._right.add(digest)
            return Verdict.RIGHT
        self._wrong.add(digest)
        return Verdict.WRONG


class _Remembered:
    """The keys that were asked for last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, key: bytes) -> bool:
        with self._lock:
            known = key in self._keys
            if known:
                self._keys.move_to_end(key)
            return known

    def add(self, key: bytes) -> None:
        with self._lock:
            self._keys[key] = None
            if len(self._keys) > _REMEMBERED:
                self._keys.popitem(last=False)


def _read_basic(header: str) -> tuple[bytes, bytes] | None:
    """Read the header as RFC 7617 has it; ``None`` where it is none of the kind."""
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(token.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = decoded.partition(b":")
    return (user, password) if colon else None
