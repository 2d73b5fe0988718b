"""One account's cabinet: session, discovery, the list, devices. Knows no Prometheus.

:class:`CabinetClient` is the way in; programs use :class:`vats_exporter.Cabinet`, which stands on
it. What can go wrong is one of :mod:`vats_exporter.cabinet.errors`; what it does can be watched
with one hook, :mod:`vats_exporter.cabinet.trace`.

:class:`CabinetClient` and its settings are imported when they are first asked for: what only reads
rows, or names errors, needs no HTTP client and starts fast without one.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from vats_exporter.cabinet.errors import (
    RESULTS,
    CabinetError,
    CabinetTimeoutError,
    GwtExceptionError,
    IncompleteError,
    LoginRefusedError,
    NotACabinetError,
    NotGwtError,
    ProxyError,
    RedeployedError,
    SessionEndedError,
    TlsError,
    UndecodableError,
    UnreachableError,
)
from vats_exporter.cabinet.trace import (
    CallCompleted,
    CallFailed,
    CallStarted,
    Redeployed,
    SignIn,
    Trace,
    TraceEvent,
)

if TYPE_CHECKING:
    from vats_exporter.cabinet.client import CabinetClient
    from vats_exporter.cabinet.settings import CabinetSettings, FlagPositions, Timeouts, TlsSettings

__all__ = [
    "RESULTS",
    "CabinetClient",
    "CabinetError",
    "CabinetSettings",
    "CabinetTimeoutError",
    "CallCompleted",
    "CallFailed",
    "CallStarted",
    "FlagPositions",
    "GwtExceptionError",
    "IncompleteError",
    "LoginRefusedError",
    "NotACabinetError",
    "NotGwtError",
    "ProxyError",
    "Redeployed",
    "RedeployedError",
    "SessionEndedError",
    "SignIn",
    "Timeouts",
    "TlsError",
    "TlsSettings",
    "Trace",
    "TraceEvent",
    "UndecodableError",
    "UnreachableError",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "client" if name == "CabinetClient" else "settings"
    return getattr(import_module(f"vats_exporter.cabinet.{home}"), name)
