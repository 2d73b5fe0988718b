"""The one hook that sees everything a cabinet is asked: metrics and debug logs hang on it.

Events carry names, statuses, sizes and durations; never a body, a header, a cookie or a credential.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vats_exporter.cabinet.errors import CabinetError


CALLS: Final = (
    *("sign_in", "home", "nocache", "permutation", "fragment"),
    *("list", "details", "selector", "sign_out"),
)
"""The names of the calls to a cabinet."""


@dataclass(frozen=True, slots=True)
class CallStarted:
    """An HTTP call is about to be made.

    Attributes:
        call: its name, one of :data:`CALLS`.
    """

    call: str


@dataclass(frozen=True, slots=True)
class CallCompleted:
    """An HTTP call was answered, whatever the answer.

    Attributes:
        call: its name.
        status: the HTTP status.
        duration: seconds from the start of the call to the end of the answer's body.
        size: bytes of the body, after decompression.
    """

    call: str
    status: int
    duration: float
    size: int


@dataclass(frozen=True, slots=True)
class CallFailed:
    """An HTTP call got no whole answer.

    Attributes:
        call: its name.
        error: why.
        duration: seconds until it was given up.
    """

    call: str
    error: CabinetError
    duration: float


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in ended.

    Attributes:
        result: ``success``, or the result word of the error.
        duration: seconds, over all its calls.
    """

    result: str
    duration: float


@dataclass(frozen=True, slots=True)
class Redeployed:
    """The cabinet's permutation is another than it was.

    Attributes:
        old: the strong name that was in use.
        new: the one found now.
    """

    old: str
    new: str


TraceEvent = CallStarted | CallCompleted | CallFailed | SignIn | Redeployed
Trace = Callable[[TraceEvent], None]


def no_trace(event: TraceEvent, /) -> None:
    """Look at nothing."""
