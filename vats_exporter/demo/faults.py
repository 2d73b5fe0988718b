"""Making the simulated cabinet misbehave, one request at a time.

A hook sees each request before it is answered and may return a :class:`Fault`. Everything that can
go wrong between a cabinet and its client is made of five things: another answer, an answer that is
changed, bytes that are none, an answer that comes late, and a connection that breaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from threading import Event

    from vats_exporter.demo.http import Answer


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request about to be answered.

    Attributes:
        call: ``sign_in``, ``login_page``, ``home``, ``enterprise``, ``nocache``, ``permutation``,
            ``list``, ``details``, ``selector`` or ``other``.
        number: which request of its call it is, from 1, since the cabinet was made.
        account: the account's name; empty for who has no session.
        page: of the list, from 0; ``None`` for other calls.
        trunk: the reference that ``details`` or ``selector`` is about; empty for other calls.
    """

    call: str
    number: int
    account: str
    page: int | None = None
    trunk: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong. What is not given goes right.

    Attributes:
        instead: sent instead of an answer; the cabinet never learns of the request.
        change: makes another answer of the right one; the cabinet has done what it was asked.
        raw: sent as they are, piece by piece, instead of an answer's head and body; then the
            connection breaks.
        wait: the answer is held back until this is set, or the cabinet stops.
        cut: so many bytes of the body are sent, and then the connection breaks.
        drop: the connection breaks before anything is sent.
        reset: a connection that breaks is reset instead of closed.
    """

    instead: Answer | None = None
    change: Callable[[Answer], Answer] | None = None
    raw: Iterable[bytes] | None = None
    wait: Event | None = None
    cut: int | None = None
    drop: bool = False
    reset: bool = False


FaultHook: TypeAlias = "Callable[[Incoming], Fault | None]"
"""Sees each request; returns what goes wrong with it, or ``None``. Called by several threads."""
