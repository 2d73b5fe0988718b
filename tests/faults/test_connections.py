"""Each fault before there is a connection: what docs/faults.md says comes of it.

At the first connection of all, and at each step of a cabinet that had worked until then and loses
its connection: its certificate was replaced, its port closed, its name lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults import trials
from tests.faults.connections import BadConnection
from tests.faults.page import STEPS, UNCONNECTED
from tests.faults.watched import TTL

if TYPE_CHECKING:
    from tests.faults.connections import NamedCabinet
    from tests.faults.page import Cell
    from tests.faults.watched import Ward, Watched

FIRST = [cell for cell in UNCONNECTED if cell.step.name == "first connection"]
LISTED = [cell for cell in UNCONNECTED if cell.step.line == "refresh failed" and cell not in FIRST]
DETAILS = [cell for cell in UNCONNECTED if cell.step.name == "details"]


def test_the_page_names_every_fault_at_every_step(bad_ports: dict[str, int]) -> None:
    every = [(fault, step) for fault in bad_ports for step in STEPS]
    assert [(cell.fault, cell.step.name) for cell in UNCONNECTED] == every


@pytest.mark.parametrize("cell", FIRST, ids=str)
def test_a_cabinet_that_was_never_connected_to_is_down_until_it_can_be(
    secure_ward: Ward, secure: NamedCabinet, bad_ports: dict[str, int], cell: Cell
) -> None:
    watched = secure_ward.admit(details=False)
    trouble = BadConnection(secure, bad_ports[cell.fault], cell.step.name)
    trouble.start()
    page = trials.fail_to_refresh(watched, cell, trouble)
    trials.assert_gone(page)
    trouble.stop()
    asked = trouble.attempts()
    watched.clock.advance(TTL - 0.5)
    watched.scrape()
    assert trouble.attempts() == asked
    watched.clock.advance(0.5)
    page = watched.scrape()
    assert watched.is_well(page)
    assert page.value("vats_trunks") == len(watched.refs)


@pytest.mark.parametrize("cell", LISTED, ids=str)
def test_a_connection_lost_while_the_list_is_read_comes_to_what_the_page_says(
    secure_watched: Watched, secure: NamedCabinet, bad_ports: dict[str, int], cell: Cell
) -> None:
    trouble = BadConnection(secure, bad_ports[cell.fault], cell.step.name)
    trials.refresh_in_vain(secure_watched, cell, trouble, once=True)


@pytest.mark.parametrize("cell", DETAILS, ids=str)
def test_a_connection_lost_while_details_are_read_comes_to_what_the_page_says(
    secure_detailed: Watched, secure: NamedCabinet, bad_ports: dict[str, int], cell: Cell
) -> None:
    _, second, third = secure_detailed.refs
    trouble = BadConnection(secure, bad_ports[cell.fault], cell.step.name, second)
    trials.read_details_in_vain(secure_detailed, cell, trouble, third)
