"""A page of the tab "Абоненты", read in both ways there are.

By what the deployment's script tells of the classes, where that can be had, and by the block that
the user described. Where both say which rows there are and differ, the page is refused: one of them
is wrong, and it is not known which.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vats_exporter.cabinet.block_page import read_by_block
from vats_exporter.cabinet.errors import DifferError, TableError, UndecodableError
from vats_exporter.cabinet.page import pattern_of
from vats_exporter.cabinet.plan import Table, read_by_script
from vats_exporter.gwt import letters

if TYPE_CHECKING:
    from vats_exporter.cabinet.page import Page, Record
    from vats_exporter.gwt import Response

__all__ = ["Table", "read_page", "read_page_anyhow", "read_without_table"]


def read_page(
    response: Response, table: Table | None = None, *, not_by_script: str = "no script"
) -> Page:
    """Read the answer to a list request.

    Args:
        response: a decoded ``//OK`` answer.
        table: what the deployment's script tells of the classes; ``None`` reads by block alone.
        not_by_script: why there is no table.

    Returns:
        the page; one without records where the answer holds an empty list.

    Raises:
        TableError: the table lacks a class of the answer, or does not fit it.
        UndecodableError: no list of rows, or none whose rows are certain.
    """
    if response.status != "OK" or not response.tokens or not response.string_table:
        raise UndecodableError("the answer is no object")
    marks = letters(response.tokens, len(response.string_table))
    by_script = read_by_script(response, table, marks) if table else None
    try:
        by_block = read_by_block(response, marks, texts=by_script is None)
    except UndecodableError as error:
        if by_script is not None:
            return by_script
        if table is None:
            raise
        raise UndecodableError(
            f"no class in the answer holds a row, and by its tokens: {error}"
        ) from None
    if by_script is None:
        if table and not by_block.records:
            raise UndecodableError("the answer has a list, but no class in it holds a row")
        reason = "no class in the answer holds a row" if table else not_by_script
        return replace(by_block, not_by_script=reason)
    if list(map(_compared, by_script.records)) != list(map(_compared, by_block.records)):
        raise DifferError(_shown(by_script), _shown(by_block))
    return by_script


def read_page_anyhow(response: Response, table: Table | None) -> Page:
    """Read a page by the block alone where the table does not fit.

    Raises:
        UndecodableError: as :func:`read_page`.
    """
    try:
        return read_page(response, table)
    except TableError as error:
        return read_without_table(response, error)


def read_without_table(response: Response, misfit: TableError) -> Page:
    """Read a page by the block alone, and keep in mind why not by the table.

    Raises:
        UndecodableError: as :func:`read_page`; it names both reasons.
    """
    try:
        return read_page(response, None, not_by_script=str(misfit))
    except UndecodableError as error:
        raise UndecodableError(f"{misfit}; by its tokens: {error}") from None


def _compared(record: Record) -> tuple[str, tuple[bool, ...]]:
    # A text in a flag's place is 1 to one reader and its number to the other.
    return record.ref, tuple(map(bool, record.values))


def _shown(page: Page) -> list[str]:
    rows = map(_compared, page.records)
    return [f"{ref} {pattern_of(tuple(map(int, values)))}" for ref, values in rows]
