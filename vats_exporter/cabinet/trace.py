"""The one hook that sees everything a cabinet is asked: metrics and debug logs hang on it.

Events carry names, statuses, sizes and durations; never a body, a header, a cookie or a credential.
Durations are in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

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
    """An HTTP call was answered, whatever the answer; its body has so many bytes, unpacked."""

    call: str
    status: int
    duration: float
    size: int


@dataclass(frozen=True, slots=True)
class CallFailed:
    """An HTTP call got no whole answer."""

    call: str
    error: CabinetError
    duration: float


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in ended: ``success``, or the result word of the error."""

    result: str
    duration: float


@dataclass(frozen=True, slots=True)
class Redeployed:
    """The cabinet's permutation, by its strong name, is another than it was."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class PageRead:
    """A page of the list was read: by the script's classes, or by the rows' block alone."""

    read_by: Literal["script", "block"]


TraceEvent = CallStarted | CallCompleted | CallFailed | SignIn | Redeployed | PageRead
Trace = Callable[[TraceEvent], None]


def no_trace(event: TraceEvent, /) -> None:
    """Look at nothing."""
