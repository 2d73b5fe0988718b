"""Replay servers, and cabinets that talk to them."""

from __future__ import annotations

import ssl
import traceback
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, quote_plus

import pytest
import trustme

from tests.cabinet.replay import COOKIE, LOGIN, PASSWORD, ReplayServer
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cabinet.settings import CabinetSettings, Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vats_exporter.cabinet.transport import TraceEvent

SECRETS = (PASSWORD, quote(PASSWORD), quote_plus(PASSWORD), "Пароль", COOKIE)


# The 1024-bit group 2 of RFC 2409, which OpenSSL refuses from security level 2 on.
WEAK_PRIME = (
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF"
)
# PKCS #3: a sequence of the prime and the generator, which is 2.
WEAK_PARAMETERS = bytes.fromhex(f"30818702818100{WEAK_PRIME}020102")


class CabinetMaker(Protocol):
    """Makes a cabinet of a server; what is given by name goes into its settings."""

    def __call__(self, server: ReplayServer, **changes: Any) -> CabinetClient: ...


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def server(stack: ExitStack) -> ReplayServer:
    return stack.enter_context(ReplayServer())


@pytest.fixture
def events() -> list[TraceEvent]:
    """What the cabinets' trace saw."""
    return []


@pytest.fixture
def make_cabinet(stack: ExitStack, events: list[TraceEvent]) -> CabinetMaker:
    def make(server: ReplayServer, **changes: Any) -> CabinetClient:
        settings: dict[str, Any] = {
            "address": server.url,
            "login": LOGIN,
            "password": PASSWORD,
            "page_size": 3,
            "check_total": False,
            "timeouts": Timeouts(connect=5, read=5, call=10),
        }
        return stack.enter_context(
            CabinetClient(CabinetSettings(**{**settings, **changes}), trace=events.append)
        )

    return make


@pytest.fixture
def cabinet(server: ReplayServer, make_cabinet: CabinetMaker) -> CabinetClient:
    """A cabinet of the server with pages of three rows, whose total is not checked.

    The captures are single pages of a list of 237.
    """
    return make_cabinet(server)


@pytest.fixture
def hides(events: list[TraceEvent]) -> Callable[[BaseException], None]:
    """Fails if an error, its traceback or an event shows a secret."""

    def check(error: BaseException) -> None:
        shown = [str(error), repr(error), repr(events), *traceback.format_exception(error)]
        current: BaseException | None = error
        while current is not None:
            # A library's exception about a request holds the request, the password's form with it.
            assert not hasattr(current, "request"), current
            assert not hasattr(current, "pool"), current
            if current is error or not error.__suppress_context__:
                assert isinstance(current, CabinetError), current
                shown += [repr(current), repr(vars(current))]
            current = current.__cause__ or current.__context__
        for secret in SECRETS:
            assert not any(secret in text for text in shown), f"{secret} is shown"

    return check


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
