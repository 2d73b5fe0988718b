"""Refused passwords, kept in a file: a command that is repeated must not lock the account.

Nor must a service that is restarted, or a command beside one. Only a refused password gets into the
file, and only as a digest that is slow to compute, with a salt of the file's own. A file that
cannot be read or written is done without.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_KEPT_FOR: Final = 7200.0
_MOST: Final = 100
_LONGEST: Final = 64 * 1024
_COST = 2**14
"""Of a digest: some 50 ms, and 16 MB while they last."""

Credentials = tuple[str, str, str]
"""Address, login and password."""

_Kept = tuple[float, float, float]


class Refusal(NamedTuple):
    """How many seconds ago a password was sent, and how many are to be between, after how often."""

    ago: float
    pause: float
    failures: int


class Refusals:
    """The refusals of a user's processes.

    Args:
        file: gives the file, which need not be there.
        clock: gives seconds since the epoch.
    """

    def __init__(self, file: Callable[[], Path], clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock
        self._lock = Lock()  # a digest takes memory, and what is read is written again

    def find(self, credentials: Credentials) -> Refusal | None:
        """Return how a password was refused last, if that is not long ago."""
        with self._lock:
            salt, known = self._read()
            found = known.get(_digest(credentials, salt)) if known else None
        return Refusal(self._clock() - found[0], found[1], int(found[2])) if found else None

    def note(self, credentials: Credentials, refusal: Refusal | None) -> None:
        """Keep a refusal; without one, forget the last."""
        with self._lock:
            self._note(credentials, refusal)

    def _note(self, credentials: Credentials, refusal: Refusal | None) -> None:
        salt, known = self._read()
        if not known and refusal is None:
            return
        digest = _digest(credentials, salt)
        known.pop(digest, None)
        if refusal is not None:
            known[digest] = (self._clock() - refusal.ago, refusal.pause, refusal.failures)
        content = {"salt": salt, "refused": dict([*known.items()][-_MOST:])}
        with suppress(OSError, RuntimeError):
            file = self._file()
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = file.with_name(f".{file.name}.{os.getpid()}")
            new.touch(mode=0o600)
            new.write_text(json.dumps(content))
            new.replace(file)

    def _read(self) -> tuple[str, dict[str, _Kept]]:
        """The salt, and by digest: when the password was sent, and the rest of a refusal."""
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError):
            file = self._file()
            if file.is_file() and file.stat().st_size <= _LONGEST:
                content: Any = json.loads(file.read_bytes())
                known = {
                    str(digest): (float(at), float(pause), float(failures))
                    for digest, (at, pause, failures) in content["refused"].items()
                    # A time to come was written before the clock was set back.
                    if 0 <= self._clock() - at <= _KEPT_FOR and 0 < failures < _MOST
                }
                return str(content["salt"]), known
        return secrets.token_hex(16), {}


def state_file() -> Path:
    """Where services and users keep such things; systemd says where a service does."""
    if service := os.environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(service, "refused.json")
    user = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(user, "vats-exporter", "refused.json").expanduser()


def _digest(credentials: Credentials, salt: str) -> str:
    data = json.dumps(credentials).encode()
    return hashlib.scrypt(data, salt=salt.encode(), n=_COST, r=8, p=1).hex()
