"""A request and an answer as values, for pages that know no socket."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from email.message import Message

TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json; charset=utf-8"


@dataclass(slots=True)
class Request:
    """A request without its body, which no page reads. Query and path still have percent signs."""

    method: str
    path: str
    query: str = ""
    headers: Message | Mapping[str, str] = field(default_factory=dict)

    def parameter(self, name: str) -> str | None:
        """Return the first value of a parameter of the query."""
        values = parse_qs(self.query, keep_blank_values=True).get(name)
        return values[0] if values else None


@dataclass(slots=True)
class Response:
    """An answer. Its chunks are sent one after the other and never joined.

    Without a length, they are made while they are sent, and the connection closes after them.
    """

    status: int
    chunks: Iterable[bytes] = ()
    content_type: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None


def text(
    status: int,
    body: str,
    content_type: str = TEXT,
    headers: tuple[tuple[str, str], ...] = (),
) -> Response:
    """Answer with a text."""
    data = body.encode("utf-8", "replace")
    return Response(status, (data,), content_type, headers, len(data))


def say(status: int, sentence: str, *headers: tuple[str, str]) -> Response:
    """Answer with one sentence for people."""
    return text(status, f"{sentence}\n", headers=headers)
