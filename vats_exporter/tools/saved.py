"""Answers of a cabinet that somebody saved, as documents for JSON."""

from __future__ import annotations

import json
import math
import sys
from codecs import BOM_UTF8
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Final

from vats_exporter.cabinet.errors import TableError, UndecodableError
from vats_exporter.cabinet.listing import make_trunks
from vats_exporter.cabinet.reading import ClassTable, Page, read_page
from vats_exporter.gwt import DEFAULT_LIMIT, GwtError, Token, decode
from vats_exporter.trunks import TRUNK_FIELDS

_LONGEST: Final = 4 * DEFAULT_LIMIT  # bytes: a browser's recording holds many answers


def read_saved(name: str) -> bytes | str:
    """Read a file, or standard input for ``-``, as a browser or an editor saved it.

    Returns UTF-8, or the text of UTF-16, without a byte order mark and blanks around it; else a
    ``ValueError`` says why.
    """
    try:
        with nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb") as opened:
            data: bytes = opened.read(_LONGEST + 1)
    except OSError as error:
        raise ValueError(f"cannot read it: {error.strerror or error}") from None
    if len(data) > _LONGEST:
        raise ValueError(f"longer than {_LONGEST} bytes")
    encoding = json.detect_encoding(data)
    if encoding.startswith("utf-8"):
        return data.removeprefix(BOM_UTF8).strip()
    try:
        return data.decode(encoding, "surrogatepass").strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"not {encoding.upper()} at byte {error.start}") from None


def read_text(name: str) -> str:
    """Read a text, as :func:`read_saved`; a ``ValueError`` if it is none."""
    saved = read_saved(name)
    try:
        return saved if isinstance(saved, str) else saved.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None


def read_documents(names: Sequence[str], table: ClassTable | None) -> list[dict[str, Any]]:
    """Read saved answers: frame, string table, tokens, and rows, those of one list together.

    What is no answer has an ``error``, and what has no rows says why.
    """
    answers = [_read(name, table) for name in names]
    pages = [(document, page) for document, page in answers if page]
    while pages:
        # Pages of one list are of one class, and have no row in common.
        shown: set[str] = set()
        together, others = [], []
        for document, page in pages:
            refs = {record.ref for record in page.records}
            if page.answer_class == pages[0][1].answer_class and shown.isdisjoint(refs):
                shown |= refs
                together.append((document, page))
            else:
                others.append((document, page))
        _read_rows(together)
        pages = others
    return [document for document, _page in answers]


def _read(name: str, table: ClassTable | None) -> tuple[dict[str, Any], Page | None]:
    """Read an answer: its document, still without rows, and the page that holds them."""
    try:
        response = decode(read_saved(name))
    except (GwtError, ValueError) as error:
        why = str(error)
        return {"error": why, "rows": [], "read_by": None, "rows_error": why}, None
    page, misfit, why = None, "", ""
    try:
        try:
            page = read_page(response, table)
        except TableError as error:
            misfit = str(error)
            page = read_page(response, None, not_by_script=misfit)
    except UndecodableError as error:
        why = f"{misfit}; by its tokens: {error}" if misfit else str(error)
        if response.status != "OK":
            why = "the answer is an exception"
    document: dict[str, Any] = {
        **asdict(response),
        "tokens": [*map(_token, response.tokens)],
        "rows": [],
        "read_by": None,
        "rows_error": why or None,
    }
    if table and page and page.not_by_script:
        document["not_by_script"] = page.not_by_script
    return document, page


def _read_rows(pages: Sequence[tuple[dict[str, Any], Page]]) -> None:
    """Read the rows of a list's pages; of each page alone where one of them cannot be read."""
    # Imported here: what only decodes needs no settings.
    from vats_exporter.cabinet.settings import FlagPositions  # noqa: PLC0415 - see above

    try:
        trunks, _warnings = make_trunks([page for _document, page in pages], FlagPositions())
    except UndecodableError as error:
        if len(pages) == 1:
            pages[0][0]["rows_error"] = str(error)
            return
        for one in pages:
            _read_rows([one])
        return
    rows = ({key: of(trunk) for key, of in TRUNK_FIELDS.items()} for trunk in trunks)
    for document, page in pages:
        document["rows"] = [*islice(rows, len(page.records))]
        document["read_by"] = page.read_by


def _token(token: Token) -> object:
    """A number that JSON lacks is told by its name."""
    if isinstance(token, float) and not math.isfinite(token):
        return {"double": json.dumps(token)}
    return token
