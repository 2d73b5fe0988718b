"""Basic authentication with bcrypt hashes, for clients that mean well and for those that do not.

bcrypt is slow on purpose: tens of milliseconds of a processor for every password tried. So

* an answer once found is remembered, by a keyed hash of user, password and the user's bcrypt hash:
  a scraper's password is computed once;
* one password is computed at a time, and a client that sends many waits for its own, not for a
  place in front of others; beyond a few, or after some seconds, it is told to come again, so that
  wrong passwords hold up neither scrapes nor the connections they come on. A right one that comes
  among wrong ones of the same address, for the first time since the start, has its turn with them;
* every wrong answer costs what the costliest hash does, so that its time tells nothing about which
  users there are. An unknown user's password is computed against that hash. Where a user's own is
  cheaper, the difference is computed too: hashes of cost *c* to *m* - 1 take as long, together with
  one of cost *c*, as one of cost *m*, since each step of cost doubles the work.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import threading
import time
from collections import Counter, OrderedDict
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_REMEMBERED: Final = 100
"""Answers of each kind that are remembered."""

_PENDING_OF_CLIENT: Final = 16
"""Passwords of one client that may be waited for at the same time."""

_PATIENCE: Final = 3.0
"""Seconds that a password waits for its turn."""

_PENDING: Final = 64
"""Passwords of all clients that may be waited for at the same time."""

_NOBODY: Final = "." * 53
"""Salt and hash that bcrypt computes with as with any other, and that no password has."""

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
        self._costliest = max(users.values(), key=_cost)
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
            return self._judge(turn, digest, user, password)
        finally:
            with self._lock:
                self._pending[client] -= 1
                if not self._pending[client]:
                    del self._pending[client]
                    del self._turns[client]

    def _judge(self, turn: threading.Lock, digest: bytes, user: bytes, password: bytes) -> Verdict:
        """Compute an answer when the client's turn has come, and then one's own."""
        deadline = time.monotonic() + _PATIENCE
        with _held(turn, deadline) as mine:
            if not mine:
                return Verdict.BUSY
            with self._lock:  # another connection's answer may have come meanwhile
                verdict = self._recall(digest)
            if verdict is not None:
                return verdict
            with _held(self._computing, deadline) as alone:
                if not alone:
                    return Verdict.BUSY
                right = self._compute(user, password)
            return self._remember(digest, right=right)

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
        against = known or self._costliest
        try:
            right = bcrypt.checkpw(password[:_LONGEST], against.encode()) and known is not None
            if not right:
                for cost in range(_cost(against), _cost(self._costliest)):
                    bcrypt.checkpw(password[:_LONGEST], f"$2b${cost:02}${_NOBODY}".encode())
        except ValueError:  # a byte that bcrypt does not take, such as NUL
            return False
        return right


@contextmanager
def _held(lock: threading.Lock, deadline: float) -> Iterator[bool]:
    """Take a lock if it can be had in time, and tell whether it was."""
    taken = lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
    try:
        yield taken
    finally:
        if taken:
            lock.release()


def _cost(hashed: str) -> int:
    """Return the cost of a bcrypt hash: the work doubles with each."""
    return int(hashed[4:6])


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
