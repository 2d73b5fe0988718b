"""A log to look into, cabinets to cause trouble at, and accounts to be watched through it."""

from __future__ import annotations

import io
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.faults.connections import HOST, NamedCabinet, Resolver, context_of, open_bad_ports
from tests.faults.watched import Ward
from tests.process import process_put_back
from vats_exporter import logs
from vats_exporter.demo import SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.watched import Watched


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authority's file; to trust it alone also saves reading the system's for each account."""
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return file


@pytest.fixture(scope="module")
def lines() -> Iterator[io.StringIO]:
    """The log."""
    stream = io.StringIO()
    with process_put_back():
        logs.configure(stream=stream)
        yield stream


@pytest.fixture(scope="module")
def plain() -> Iterator[SimulatedCabinet]:
    """A cabinet over plain HTTP."""
    with SimulatedCabinet(make_accounts(trunks=3)) as simulated:
        yield simulated


@pytest.fixture(scope="module")
def plain_ward(plain: SimulatedCabinet, ca_file: Path, lines: io.StringIO) -> Iterator[Ward]:
    with Ward(plain, ca_file, lines) as ward:
        yield ward


@pytest.fixture
def watched(plain_ward: Ward) -> Iterator[Watched]:
    """An account over plain HTTP whose details are not read."""
    with plain_ward.stay(details=False) as watched:
        yield watched


@pytest.fixture
def detailed(plain_ward: Ward) -> Iterator[Watched]:
    """An account over plain HTTP whose details are read."""
    with plain_ward.stay(details=True) as watched:
        yield watched


@pytest.fixture(scope="session")
def bad_ports(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, int]]:
    """Where the secure cabinet's name leads with each fault."""
    with ExitStack() as stack:
        yield open_bad_ports(stack, authority, tmp_path_factory.mktemp("weak"))


@pytest.fixture(scope="module")
def resolver() -> Iterator[Resolver]:
    """Says where the secure cabinet's name leads."""
    with pytest.MonkeyPatch.context() as patch:
        resolver = Resolver()
        patch.setattr("socket.getaddrinfo", resolver)
        yield resolver


@pytest.fixture(scope="module")
def secure(authority: trustme.CA, resolver: Resolver) -> Iterator[NamedCabinet]:
    """A cabinet over TLS, with a name of its own."""
    with NamedCabinet(resolver, context_of(authority.issue_cert(HOST))) as simulated:
        yield simulated


@pytest.fixture(scope="module")
def secure_ward(secure: NamedCabinet, ca_file: Path, lines: io.StringIO) -> Iterator[Ward]:
    with Ward(secure, ca_file, lines) as ward:
        yield ward


@pytest.fixture
def secure_watched(secure_ward: Ward) -> Iterator[Watched]:
    """An account over TLS whose details are not read."""
    with secure_ward.stay(details=False) as watched:
        yield watched


@pytest.fixture
def secure_detailed(secure_ward: Ward) -> Iterator[Watched]:
    """An account over TLS whose details are read."""
    with secure_ward.stay(details=True) as watched:
        yield watched


@pytest.fixture(autouse=True)
def _all_is_well(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave no trouble of a test that failed to the next one."""
    yield
    for name in ("plain", "secure"):
        if name in request.fixturenames:
            request.getfixturevalue(name).faults = None
    if "secure" in request.fixturenames:
        request.getfixturevalue("secure").lead_home()
