"""Prometheus exporter for the MTS virtual PBX ("ВАТС МТС"), and a library to read its cabinet.

The exporter is a program, ``vats-exporter``. The library is :class:`Cabinet`, imported when it is
first asked for, with what it gives and raises.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vats_exporter.cabinet.errors import (
        CabinetError,
        CabinetTimeoutError,
        GwtExceptionError,
        IncompleteError,
        LoginRefusedError,
        NotACabinetError,
        NotGwtError,
        ProxyError,
        TlsError,
        UndecodableError,
        UnreachableError,
    )
    from vats_exporter.cabinet.library import Cabinet, NotSwitchedError, UnknownTrunkError
    from vats_exporter.cabinet.settings import FlagPositions, Timeouts, TlsSettings
    from vats_exporter.trunks import Flags, Trunk

__all__ = [
    "Cabinet",
    "CabinetError",
    "CabinetTimeoutError",
    "FlagPositions",
    "Flags",
    "GwtExceptionError",
    "IncompleteError",
    "LoginRefusedError",
    "NotACabinetError",
    "NotGwtError",
    "NotSwitchedError",
    "ProxyError",
    "Timeouts",
    "TlsError",
    "TlsSettings",
    "Trunk",
    "UndecodableError",
    "UnknownTrunkError",
    "UnreachableError",
    "__version__",
]

_HOMES = {
    **dict.fromkeys(("Cabinet", "NotSwitchedError", "UnknownTrunkError"), "cabinet.library"),
    **dict.fromkeys(("Flags", "Trunk"), "trunks"),
    **dict.fromkeys(("FlagPositions", "Timeouts", "TlsSettings"), "cabinet.settings"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'cabinet.errors')}"), name)
