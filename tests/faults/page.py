"""docs/faults.md as the tests read it: what it tells is what is tried."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs" / "faults.md"

NOWHERE: Final = "–"
"""What stands in a cell of what cannot happen."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of reading a cabinet.

    Attributes:
        name: what the page calls it.
        line: the log's line that tells of a failure there; for the selector the command's word.
        named: what the line calls the step.
        again: when the cabinet is asked again.
    """

    name: str
    line: str
    named: str
    again: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a fault comes to besides its result.

    Attributes:
        fault: what the page calls it.
        at: the steps of which this holds.
        result: the label.
        says: what the log says.
        requests: how often the step is asked for until that is known.
        ends: how soon: ``at once``, or the name of a timeout.
        again: when the cabinet is asked again, unless the step tells.
    """

    fault: str
    at: str
    result: str
    says: str
    requests: str
    ends: str
    again: str

    def holds_at(self, step: str) -> bool:
        """Whether it is told of a step."""
        return self.at == "any step" or step in self.at.split("; ")


@dataclass(frozen=True, slots=True)
class Cell:
    """A fault at a step.

    Attributes:
        fault: what the page calls it.
        step: where.
        result: the label it comes to.
    """

    fault: str
    step: Step
    result: str

    @property
    def answer(self) -> Answer:
        """What else it comes to."""
        (answer,) = self.answers
        return answer

    @property
    def answers(self) -> list[Answer]:
        """What the page tells of it, which has to be one thing."""
        asked = (self.fault, self.result)
        return [
            one
            for one in ANSWERS
            if (one.fault, one.result) == asked and one.holds_at(self.step.name)
        ]

    def __str__(self) -> str:
        return f"{self.fault}, {self.step.name}"


def _tables() -> dict[str, list[list[str]]]:
    """The page's tables, by heading: rows of cells, the first one the head."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("#"):
            heading = line.strip("# ")
        elif line.startswith("|") and not set(line) <= set("|- "):
            cells = [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
            found.setdefault(heading, []).append(cells)
    return found


_TABLES: Final = _tables()

STEPS: Final = {row[0]: Step(*row) for row in _TABLES["The steps"][1:]}

ANSWERS: Final = [Answer(*row) for row in _TABLES["In detail"][1:]]


def _cells(heading: str) -> list[Cell]:
    """The cells of a table of results, fault by fault."""
    head, *rows = _TABLES[heading]
    return [
        Cell(fault, STEPS[step], result)
        for fault, *results in rows
        for step, result in zip(head[1:], results, strict=True)
        if result != NOWHERE
    ]


ANSWERED: Final = _cells("At each step")
"""Faults in an answer."""

UNCONNECTED: Final = _cells("When there is no connection")
"""Faults before there can be one."""
