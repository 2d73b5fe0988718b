"""What can go wrong with a cabinet, as a tree.

Everything that :mod:`vats_exporter.cabinet` raises is one of these; nothing of ``http.client`` or
``ssl`` gets past the transport. Messages say where and what; they never hold a password, a cookie
or a SIP credential.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

RESULTS: Final = (
    *("success", "login_refused", "unreachable", "timeout"),
    *("not_gwt", "gwt_exception", "undecodable", "incomplete"),
)
"""Every value of the label ``result`` of ``vats_refreshes_total``."""


class CabinetError(Exception):
    """Anything that keeps the cabinet from being read."""

    result: ClassVar[str]  # the word for it in metrics and logs, one of RESULTS

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds after which to ask again; 0 for as usual


class LoginRefusedError(CabinetError):
    """The cabinet does not accept login and password."""

    result = "login_refused"


class UnreachableError(CabinetError):
    """No answer at all: the name does not resolve, the connection is refused or reset."""

    result = "unreachable"


class TlsError(UnreachableError):
    """The TLS handshake failed: certificate, host name, or parameters too weak for this client."""


class ProxyError(UnreachableError):
    """The proxy cannot be reached, or does not let this client through to the cabinet."""


class CabinetTimeoutError(CabinetError):
    """Connecting, or an answer, took longer than the configured timeout."""

    result = "timeout"


class NotGwtError(CabinetError):
    """The answer to a GWT call is not GWT-RPC: HTML, JSON, an HTTP error, nothing."""

    result = "not_gwt"


class NotACabinetError(NotGwtError):
    """The address answers, but not as a cabinet does."""


class SessionEndedError(NotGwtError):
    """A call was answered as if not signed in; its argument says which, and how."""

    def __str__(self) -> str:
        return f"{self.args[0]}: the session is over"


class GwtExceptionError(CabinetError):
    """The server answered ``//EX``."""

    result = "gwt_exception"


class RedeployedError(GwtExceptionError):
    """``IncompatibleRemoteServiceException``: the names, hashes or signatures in use are stale."""


class UndecodableError(CabinetError):
    """An answer or a script of the cabinet cannot be read as what it should be."""

    result = "undecodable"


class TableError(UndecodableError):
    """The classes in the compiled script do not read an answer, or lack the one ``missing``.

    That is a type signature, which a fragment of the script may have.
    """

    def __init__(self, message: str, *, missing: str = "") -> None:
        super().__init__(message)
        self.missing = missing


class DifferError(UndecodableError):
    """A page that the script reads otherwise than the block; rows as reference and pattern."""

    def __init__(self, by_script: Sequence[str], by_block: Sequence[str]) -> None:
        counts = f"{len(by_script)} rows, by their block {len(by_block)}"
        pairs = enumerate(zip(by_script, by_block, strict=False), start=1)
        first = next((f"; row {row} is {a}, or {b}" for row, (a, b) in pairs if a != b), "")
        super().__init__(f"by the script the list has {counts}{first}")
        self.by_script = by_script
        self.by_block = by_block


class IncompleteError(CabinetError):
    """The pages read do not make up one complete list, so no snapshot is made of them."""

    result = "incomplete"


class DoubtfulError(IncompleteError):
    """A whole list that counts only once another session has confirmed it."""
