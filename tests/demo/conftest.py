from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
import requests

from tests.demo.browser import Client
from tests.demo.captures import captured_deployment, captured_form, captured_trunks
from vats_exporter.demo import Account, Enterprise, SimulatedCabinet

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Clock:
    """A clock that stands until it is set."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cabinet(clock: Clock) -> Iterator[SimulatedCabinet]:
    """One account ``shop``, with the trunks, names and hashes of the captures."""
    trunks = [
        *captured_trunks("list_page3"),
        replace(captured_form("getform31"), id=2586788351, phone="79161234680"),
    ]
    trunks[2] = replace(trunks[2], mobile=True)
    enterprise = Enterprise(2613189773, trunks, clock=clock)
    account = Account("shop", "+7-9160000001", "p+ä s&w=%7C|", enterprise)
    with SimulatedCabinet([account], deployment=captured_deployment(), clock=clock) as running:
        yield running


@pytest.fixture
def client(cabinet: SimulatedCabinet) -> Iterator[Client]:
    """Nobody yet: without a session."""
    with requests.Session() as session:
        session.trust_env = False
        yield Client(cabinet, session)


@pytest.fixture
def signed_in(client: Client) -> Client:
    """The account ``shop``."""
    client.sign_in(client.cabinet.account("shop"))
    return client
