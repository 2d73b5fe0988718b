"""How one cabinet is reached and read: the settings of :class:`vats_exporter.cabinet.Cabinet`.

Plain values, already validated by whoever makes them (the configuration file, or a program that
uses the library). **Every guess about the cabinet that can be configured has its default here**;
CABINET's tags say where each comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DEFAULT_ADDRESS: Final = "vpbx.mts.ru"
"""[user]"""

DEFAULT_LIST_TAIL: Final = "{filter}|7|0|8|{enterprise}|0|0|8|{page}|8|{page_size}|0|"
"""The end of the list request, as a template. [observed]"""

DEFAULT_FILTER: Final = -2
"""[observed]"""

DEFAULT_SIGN_OUT: Final = "/j_spring_security_logout"
"""Spring Security's own path beside the one that signs in, which the cabinet has. [assumed]"""

DEFAULT_PAGE_SIZE: Final = 100
"""Rows asked for with one request; the cabinet's own page offers it. [user]"""


@dataclass(frozen=True, slots=True)
class FlagPositions:
    """Which of the twelve values after a row's reference is which flag, counted from 1.

    Which is which is not known for certain; this is the default reading. [assumed]
    """

    active: int = 4
    bound: int = 6
    marked_for_deletion: int = 7


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How the cabinet's certificate is verified; it always is.

    Attributes:
        ca_file: a PEM file of certificate authorities to trust instead of the system's.
        security_level: OpenSSL's ``@SECLEVEL`` (0 to 5); ``None`` leaves OpenSSL's own. Some
            installations of the cabinet need 1, for their weak DH parameters. [observed]
    """

    ca_file: Path | None = None
    security_level: int | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Bounds on one HTTP call, in seconds.

    Attributes:
        connect: for the TCP connection and the TLS handshake.
        read: between two pieces of an answer.
        call: for the whole call, however steadily its answer drips in.
    """

    connect: float = 5.0
    read: float = 15.0
    call: float = 60.0


@dataclass(frozen=True, slots=True)
class CabinetSettings:
    """One cabinet: an address, and one login into it.

    Attributes:
        address: ``host``, ``https://host:port`` or ``http://…`` (loopback only unless
            ``allow_plain_http``).
        login: looks like ``+7-9XXXXXXXXX``.
        password: in the clear; kept out of ``repr``.
        allow_plain_http: lets an ``http://`` address be other than loopback.
        enterprise: the enterprise's number or reference; ``None`` finds it after sign-in.
        filter: the list request's filter: 0, -1 or -2. [user]
        page_size: rows a page.
        list_tail: the end of the list request, a template with ``{filter}``, ``{enterprise}``,
            ``{page}`` and ``{page_size}``.
        check_total: compare the number of rows with the total that the answer seems to give.
        permutation: strong name of the permutation; ``None`` finds it.
        services: policy hash by service path, for those not to be found by itself.
        signatures: type signature by class name, likewise.
        selector_method: name of the method that moves a selector; it is not known. [user]
        sign_out_path: what ends the session; empty leaves it to the cabinet. [assumed]
        flags: which position is which flag.
        tls: certificate verification.
        timeouts: bounds on one call.
        max_response: bytes of an answer past which it is refused.
    """

    address: str = DEFAULT_ADDRESS
    login: str = ""
    password: str = field(default="", repr=False)
    allow_plain_http: bool = False
    enterprise: str | None = None
    filter: int = DEFAULT_FILTER
    page_size: int = DEFAULT_PAGE_SIZE
    list_tail: str = DEFAULT_LIST_TAIL
    check_total: bool = True
    permutation: str | None = None
    services: Mapping[str, str] = field(default_factory=dict)
    signatures: Mapping[str, str] = field(default_factory=dict)
    selector_method: str | None = None
    sign_out_path: str = DEFAULT_SIGN_OUT
    flags: FlagPositions = field(default_factory=FlagPositions)
    tls: TlsSettings = field(default_factory=TlsSettings)
    timeouts: Timeouts = field(default_factory=Timeouts)
    max_response: int = 64 * 1024 * 1024
