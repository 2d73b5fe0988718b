"""Each fault while a selector is moved, as the person who moves it gets to see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import (  # noqa: F401 - fixtures
    _logging_as_it_was,
    run,
)
from tests.faults import trials
from tests.faults.connections import BadConnection
from tests.faults.faults import FAULTS, BadAnswer
from tests.faults.page import ANSWERED, UNCONNECTED

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.connections import NamedCabinet
    from tests.faults.page import Cell
    from tests.faults.trials import Run
    from vats_exporter.demo import SimulatedCabinet

BAD_ANSWERS = [cell for cell in ANSWERED if cell.step.name == "selector"]
BAD_CONNECTIONS = [cell for cell in UNCONNECTED if cell.step.name == "selector"]


@pytest.mark.parametrize("cell", BAD_ANSWERS, ids=str)
def test_a_fault_while_a_selector_is_moved_comes_to_what_the_page_says(
    run: Run,  # noqa: F811 - a fixture
    plain: SimulatedCabinet,
    ca_file: Path,
    tmp_path: Path,
    cell: Cell,
) -> None:
    config = trials.write_config(tmp_path, plain, ca_file, cell)
    trouble = BadAnswer(plain, FAULTS[cell.fault], cell.step.name)
    trials.move_a_selector_in_vain(run, config, plain, cell, trouble)


@pytest.mark.parametrize("cell", BAD_CONNECTIONS, ids=str)
def test_a_connection_lost_while_a_selector_is_moved_comes_to_what_the_page_says(
    run: Run,  # noqa: F811 - a fixture
    secure: NamedCabinet,
    bad_ports: dict[str, int],
    ca_file: Path,
    tmp_path: Path,
    cell: Cell,
) -> None:
    config = trials.write_config(tmp_path, secure, ca_file, cell)
    trouble = BadConnection(secure, bad_ports[cell.fault], cell.step.name)
    trials.move_a_selector_in_vain(run, config, secure, cell, trouble)
