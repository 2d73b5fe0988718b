"""Basic authentication with bcrypt hashes, for clients that mean well and for those that do not.

bcrypt is slow on purpose: tens of milliseconds of a processor for every password tried. So

* an answer once found is remembered, by a keyed hash of user, password and the user's bcrypt hash:
  a scraper's password is computed once;
* one password is computed at a time, and a client that sends many waits for its own, not for a
  place in front of others; beyond a few it is told so at once, so that wrong passwords hold up
  neither scrapes nor the connections they come on;
* an unknown user's password is computed too, against a hash of somebody else, so that the time of
  an answer tells nothing about which users there are.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import threading
from collections import Counter, OrderedDict
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_REMEMBERED: Final = 100
"""Answers of each kind that are remembered."""

_PENDING_OF_CLIENT: Final = 4
"""Passwords of one client that may be waited for at the same time."""

_PENDING: Final = 64
"""Passwords of all clients that may be waited for at the same time."""

_LONGEST: Final = 72
"""Bytes of a password that bcrypt looks at."""


class Verdict(Enum):
    """What is said of credentials."""

    RIGHT = "right"
    WRONG = "wrong"
    BUSY = "busy"


class PasswordCheck:
    """Says whether a request's credentials are right. Safe to use from many threads.

    Args:
        users: bcrypt hash by user, at least one.
    """

    def __init__(self, users: Mapping[str, str]) -> None:
        self.users: Final = dict(users)
        # The costliest one, since an answer that comes sooner would tell as much as a wrong one.
        self._decoy = max(users.values(), key=lambda one: one[4:6])
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._computing = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}
        self._pending: Counter[str] = Counter()
        # Apart, so that no number of wrong passwords makes a right one be forgotten.
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()

    def check(self, authorization: str, client: str) -> Verdict:
        """Judge the header of a request.

        Args:
            authorization: the header's value; empty where there is none.
            client: who sent it, as far as known: its address.
        """
        credentials = _read_basic(authorization)
        if credentials is None:
            return Verdict.WRONG
        user, password = credentials
        digest = self._digest(user, password)
        with self._lock:
            verdict = self._recall(digest)
            if verdict is not None:
                return verdict
            if self._pending[client] >= _PENDING_OF_CLIENT or self._pending.total() >= _PENDING:
                return Verdict.BUSY
            self._pending[client] += 1
            turn = self._turns.setdefault(client, threading.Lock())
        try:
            with turn:
                with self._lock:  # another connection's answer may have come meanwhile
                    verdict = self._recall(digest)
                if verdict is None:  # pragma: no branch - a race
                    with self._computing:
                        right = self._compute(user, password)
                    verdict = self._remember(digest, right=right)
                return verdict
        finally:
            with self._lock:
                self._pending[client] -= 1
                if not self._pending[client]:
                    del self._pending[client]
                    del self._turns[client]

    def _digest(self, user: bytes, password: bytes) -> bytes:
        known = self.users.get(user.decode("utf-8", "replace"), "").encode()
        text = b"".join(len(one).to_bytes(4, "big") + one for one in (user, known, password))
        return hmac.digest(self._secret, text, "sha256")

    def _recall(self, digest: bytes) -> Verdict | None:
        for answers, verdict in ((self._right, Verdict.RIGHT), (self._wrong, Verdict.WRONG)):
            if digest in answers:
                answers.move_to_end(digest)
                return verdict
        return None

    def _remember(self, digest: bytes, *, right: bool) -> Verdict:
        with self._lock:
            answers = self._right if right else self._wrong
            answers[digest] = None
            if len(answers) > _REMEMBERED:
                answers.popitem(last=False)
        return Verdict.RIGHT if right else Verdict.WRONG

    def _compute(self, user: bytes, password: bytes) -> bool:
        # Imported here: most exporters run without passwords.
        import bcrypt  # noqa: PLC0415 - see above

        known = self.users.get(user.decode("utf-8", "replace"))
        try:
            right = bcrypt.checkpw(password[:_LONGEST], (known or self._decoy).encode())
        except ValueError:  # a byte that bcrypt does not take, such as NUL
            return False
        return right and known is not None


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
