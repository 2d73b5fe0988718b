"""Whatever redirects say, nothing goes anywhere but to the cabinet, and nothing in clear."""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.faults.connections import HOST, port_of
from tests.faults.faults import CALLS, BadAnswer, redirect
from tests.faults.trials import lead_to
from tests.faults.watched import DETAILS_TTL, TTL, settings_for
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cabinet.sign_in import SignInPace
from vats_exporter.cabinet.transport import REDIRECTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.connections import NamedCabinet
    from tests.faults.watched import Watched

LOCATIONS = {
    "another host": "https://127.0.0.1:{trap}/x",
    "another host in clear": "http://127.0.0.1:{trap}/x",
    "another host by the scheme at hand": "//127.0.0.1:{trap}/x",
    "another host, the cabinet's for a user": f"https://{HOST}@127.0.0.1:{{trap}}/x",
    "another port": f"https://{HOST}:{{trap}}/x",
    "another port in clear": f"http://{HOST}:{{trap}}/x",
    "the same port in clear": f"http://{HOST}:{{own}}/x",
    "the usual port in clear": f"http://{HOST}/x",
}

STATUSES = sorted(REDIRECTS)


def redirects(*steps: str) -> pytest.MarkDecorator:
    """Each step with each location and each status; all three together, tests/cabinet has."""
    return pytest.mark.parametrize(
        ("step", "location", "status"),
        [
            pytest.param(step, LOCATIONS[name], status, id=f"{step}-{name}-{status}")
            for step in steps
            for number, name in enumerate(LOCATIONS, list(CALLS).index(step))
            for status in [STATUSES[number % len(STATUSES)]]
        ],
    )


@contextmanager
def trapped(simulated: NamedCabinet) -> Iterator[int]:
    """See that nobody connects to anything: not to a port, nor by the cabinet's name.

    But for signing in, over a connection of its own, to the cabinet itself; all else that is to be
    said is said over the connection that is there.
    """
    known, sign_ins = len(simulated.resolver.lookups), sign_ins_of(simulated)
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        yield trap.getsockname()[1]
        with pytest.raises(BlockingIOError):
            trap.accept()
    home = (HOST, port_of(simulated))
    assert simulated.resolver.lookups[known:] == [home] * (sign_ins_of(simulated) - sign_ins)


def sign_ins_of(simulated: NamedCabinet) -> int:
    return int(simulated.stats()["requests"].get("sign_in", 0))


def redirecting(
    simulated: NamedCabinet, step: str, location: str, status: int, trap: int, trunk: str = ""
) -> BadAnswer:
    target = location.format(trap=trap, own=port_of(simulated))
    return BadAnswer(simulated, lambda _: redirect(target, status), step, trunk)


@redirects(*(step for step in CALLS if step not in {"details", "selector"}))
def test_no_redirect_takes_the_list_elsewhere(
    secure_watched: Watched, secure: NamedCabinet, step: str, location: str, status: int
) -> None:
    secure_watched.get_well()
    secure_watched.wait_until(TTL)
    lead_to(secure_watched, step)
    with trapped(secure) as trap:
        trouble = redirecting(secure, step, location, status, trap)
        trouble.start()
        secure_watched.scrape()
        trouble.stop()
    assert trouble.met


@redirects("details")
def test_no_redirect_takes_details_elsewhere(
    secure_detailed: Watched, secure: NamedCabinet, step: str, location: str, status: int
) -> None:
    secure_detailed.get_well()
    secure_detailed.wait_until(DETAILS_TTL)
    with trapped(secure) as trap:
        trouble = redirecting(secure, step, location, status, trap, secure_detailed.refs[0])
        trouble.start()
        secure_detailed.scrape()
        trouble.stop()
    assert trouble.met


@pytest.fixture(scope="module")
def cabinet(secure: NamedCabinet, ca_file: Path) -> Iterator[CabinetClient]:
    pace = SignInPace(pause=0.0)
    with CabinetClient(settings_for(secure, ca_file), pace=pace) as cabinet:
        yield cabinet


@redirects("selector")
def test_no_redirect_takes_a_selector_elsewhere(
    cabinet: CabinetClient, secure: NamedCabinet, step: str, location: str, status: int
) -> None:
    ref = cabinet.read_trunks().trunks[0].ref
    with trapped(secure) as trap:
        trouble = redirecting(secure, step, location, status, trap)
        trouble.start()
        with suppress(CabinetError):
            cabinet.move_selector(ref, enabled=True)
        trouble.stop()
    assert trouble.met
