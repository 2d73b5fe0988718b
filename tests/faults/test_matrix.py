"""Each fault in an answer, at each step of reading a cabinet: what docs/faults.md says comes of it.

The tables are read from that page, so what it tells is what is tried. The exporter's own account,
log and page read a simulated cabinet over HTTP; a clock that is set by hand tells when it is asked
again, and a real one how long it took.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults import trials
from tests.faults.faults import CALLS, FAULTS, BadAnswer
from tests.faults.page import ANSWERED, ANSWERS, STEPS, UNCONNECTED
from vats_exporter.cabinet.errors import RESULTS

if TYPE_CHECKING:
    from tests.faults.page import Cell
    from tests.faults.watched import Watched

LISTED = [cell for cell in ANSWERED if cell.step.line == "refresh failed"]
DETAILS = [cell for cell in ANSWERED if cell.step.name == "details"]


def test_the_page_names_every_fault_and_every_step() -> None:
    assert list(dict.fromkeys(cell.fault for cell in ANSWERED)) == list(FAULTS)
    assert list(STEPS) == ["first connection", *CALLS]
    assert {cell.result for cell in ANSWERED} <= set(RESULTS)


def test_the_page_tells_one_thing_of_each_failure_and_nothing_else() -> None:
    failures = [cell for cell in [*ANSWERED, *UNCONNECTED] if cell.result != "success"]
    assert [str(cell) for cell in failures if len(cell.answers) != 1] == []
    told = [answer for cell in failures for answer in cell.answers]
    assert [answer for answer in ANSWERS if answer not in told] == []


@pytest.mark.parametrize("cell", LISTED, ids=str)
def test_a_fault_while_the_list_is_read_comes_to_what_the_page_says(
    watched: Watched, cell: Cell
) -> None:
    trouble = BadAnswer(watched.simulated, FAULTS[cell.fault], cell.step.name)
    if cell.result == "success":
        trials.refresh_in_spite_of_it(watched, cell, trouble)
    else:
        trials.refresh_in_vain(watched, cell, trouble, once=cell.answer.ends != "at once")


@pytest.mark.parametrize("cell", DETAILS, ids=str)
def test_a_fault_while_details_are_read_comes_to_what_the_page_says(
    detailed: Watched, cell: Cell
) -> None:
    fault, first = FAULTS[cell.fault], detailed.refs[0]
    trouble = BadAnswer(detailed.simulated, fault, cell.step.name, first)
    trials.read_details_in_vain(detailed, cell, trouble, first)
