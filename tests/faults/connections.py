"""What can go wrong before there is an answer, by the names that docs/faults.md has for it.

The cabinet has a name of its own, and a resolver of this module says where that leads: to the
cabinet, to a server with something wrong with it, to a port that nobody listens at, or nowhere.
"""

from __future__ import annotations

import base64
import socket
import ssl
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final

import trustme

from tests.cabinet.conftest import WEAK_PARAMETERS
from tests.faults.faults import CALLS, is_of, requests_to
from vats_exporter.demo import Answer, Fault, SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from vats_exporter.demo import Incoming

HOST: Final = "cabinet.test"

NOWHERE: Final = 0
"""Instead of a port: the name does not resolve."""

BEFORE: Final = {
    "sign-in": "list, page 1",
    "GET /": "sign-in",
    "enterprise's page": "GET /",
    "nocache.js": "list",  # of what page, cannot be read in a request with stale names
    "cache.js": "nocache.js",
    "list, page 2": "list, page 1",
    "details": "details",
    "selector": "details",
}
"""After which step's answer the connection is lost, so that the next one needs another. Before the
first page there is none in the same refresh."""


TIMES: Final = {"selector": 2}
"""How often that step comes first, where not once: a command looks at the details before it asks,
and again right before it switches."""


class Resolver:
    """Says where the cabinet's name leads, in place of the system's resolver.

    Attributes:
        port: on this machine, where the name leads now.
        lookups: every host and port that was asked for.
    """

    def __init__(self) -> None:
        self.port = NOWHERE
        self.lookups: list[tuple[str, int]] = []
        self._system = socket.getaddrinfo

    def __call__(self, host: str, port: int, *arguments: Any, **named: Any) -> Any:
        """Stand in for :func:`socket.getaddrinfo`."""
        if host != HOST:
            return self._system(host, port, *arguments, **named)
        self.lookups.append((host, port))
        if self.port == NOWHERE:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self._system("127.0.0.1", self.port, *arguments, **named)


class NamedCabinet(SimulatedCabinet):
    """A cabinet over TLS with a name.

    Args:
        resolver: says where the name leads.
        tls: with the certificate.
    """

    def __init__(self, resolver: Resolver, tls: ssl.SSLContext) -> None:
        super().__init__(make_accounts(trunks=3), tls=tls)
        self.resolver = resolver

    @property
    def url(self) -> str:
        """Where it is found, by its name."""
        return super().url.replace("127.0.0.1", HOST)

    def start(self) -> None:
        super().start()
        self.lead_home()

    def lead_home(self) -> None:
        """Let the name lead here."""
        self.resolver.port = port_of(self)


def port_of(simulated: SimulatedCabinet) -> int:
    return int(simulated.url.rpartition(":")[2])


def context_of(issued: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    return context


def weak_context(authority: trustme.CA, folder: Path) -> ssl.SSLContext:
    """As weak as those of the cabinet's that need ``security_level: 1``."""
    context = context_of(authority.issue_cert(HOST, key_type=trustme.KeyType.RSA))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DHE-RSA-AES256-GCM-SHA384:@SECLEVEL=0")
    file = folder / "dh.pem"
    text = base64.encodebytes(WEAK_PARAMETERS).decode()
    file.write_text(f"-----BEGIN DH PARAMETERS-----\n{text}-----END DH PARAMETERS-----\n")
    context.load_dh_params(str(file))
    return context


@contextmanager
def nobody(*, listening: bool) -> Iterator[int]:
    """A port whose connections are refused or, listening, taken by nobody."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        if listening:
            bound.listen()
        yield bound.getsockname()[1]


def open_bad_ports(stack: ExitStack, authority: trustme.CA, folder: Path) -> dict[str, int]:
    """Start a server for each fault; where the cabinet's name leads with it."""

    def serve(context: ssl.SSLContext | None) -> int:
        accounts = make_accounts(trunks=1)
        return port_of(stack.enter_context(SimulatedCabinet(accounts, tls=context)))

    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    return {
        "the connection is refused": stack.enter_context(nobody(listening=False)),
        "the name does not resolve": NOWHERE,
        "no answer to the handshake": stack.enter_context(nobody(listening=True)),
        "no TLS at all": serve(None),
        "the certificate has expired": serve(
            context_of(authority.issue_cert(HOST, not_after=yesterday))
        ),
        "the certificate is of another host": serve(
            context_of(authority.issue_cert("other.example"))
        ),
        "the certificate's authority is not known": serve(
            context_of(trustme.CA().issue_cert(HOST))
        ),
        "the DH parameters are too weak": serve(weak_context(authority, folder)),
    }


class BadConnection:
    """The connection is lost before a step, and the name leads elsewhere from then on.

    Args:
        simulated: the cabinet.
        port: where it leads with the fault.
        step: the page's name of where.
        trunk: after whose details, where it is lost among details.

    Attributes:
        met: how many requests of the step came to the cabinet in spite of it.
    """

    def __init__(
        self,
        simulated: NamedCabinet,
        port: int,
        step: str,
        trunk: str = "",
    ) -> None:
        self.met = 0
        self._simulated = simulated
        self._port = port
        self._step = step
        self._before = BEFORE.get(step)
        self._left = 0
        self._trunk = trunk
        self._lost_at = 0.0

    @property
    def began(self) -> float:
        """When the connection was lost, in monotonic seconds."""
        return self._lost_at

    def start(self) -> None:
        self.met, self._lost_at = 0, 0.0
        self._left = TIMES.get(self._step, 1)
        self._simulated.faults = self._hook
        if self._before is None:
            self._simulated.stop()  # which closes the connection that was kept
            self._simulated.start()
            self._lose()

    def stop(self) -> None:
        self._simulated.lead_home()
        self._simulated.faults = None

    def attempts(self) -> int:
        """Requests that came, and connections that were tried."""
        return requests_to(self._simulated) + len(self._simulated.resolver.lookups)

    def _hook(self, incoming: Incoming) -> Fault | None:
        if self._lost_at:
            self.met += self._step in CALLS and is_of(incoming, self._step)
        elif self._is_before(incoming):
            self._lose()
        return Fault(change=_closing) if self._lost_at else None

    def _is_before(self, incoming: Incoming) -> bool:
        if self._before is None or not is_of(incoming, self._before):
            return False
        if self._trunk not in ("", incoming.trunk):
            return False
        self._left -= 1
        return self._left == 0

    def _lose(self) -> None:
        self._lost_at = time.monotonic()
        self._simulated.resolver.port = self._port


def _closing(answer: Answer) -> Answer:
    return replace(answer, headers=(*answer.headers, ("Connection", "close")))
