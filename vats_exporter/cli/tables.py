"""Tables for a terminal of any width, and for a pipe."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vats_exporter.cli.output import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_UNBOUNDED: Final = 10_000
"""Columns of what is no terminal: nothing is folded or cut for a program that reads it."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        title: above it.
        right: whether its values stand at the right, as numbers do.
    """

    title: str
    right: bool = False


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], *, grey: Sequence[bool] = ()
) -> str:
    """Lay out a table as wide as the terminal allows; what does not fit is folded, not cut.

    Args:
        columns: from the left.
        rows: a text for each column; characters that cannot be shown are escaped.
        grey: for each row, whether it is of less interest.

    Returns:
        the table with a line break at the end.
    """
    is_terminal = sys.stdout.isatty()
    layout = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        layout.add_column(
            Text(column.title), justify="right" if column.right else "left", overflow="fold"
        )
    for number, row in enumerate(rows):
        style = "dim" if number < len(grey) and grey[number] else None
        layout.add_row(*(Text(printable(text)) for text in row), style=style)
    page = io.StringIO()
    console = Console(
        file=page,
        force_terminal=is_terminal,
        width=None if is_terminal else _UNBOUNDED,
        soft_wrap=False,
    )
    console.print(layout)
    return "".join(f"{line.rstrip()}\n" for line in page.getvalue().splitlines())
