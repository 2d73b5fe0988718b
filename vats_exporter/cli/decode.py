r"""``decode``: saved answers of the cabinet, as JSON that a person and a program can read.

Strings that cannot be UTF-8 (lone surrogates) are written as ``\ud800``, and numbers that cannot
be JSON as ``{"double": "NaN"}``.
"""

from __future__ import annotations

import json
import math
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click

from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.page import read_trunks
from vats_exporter.cabinet.reading import ClassTable, read_page_anyhow
from vats_exporter.cli.output import (
    FAILED,
    TRUNK_FIELDS,
    _,
    as_json,
    fail,
    reason,
    sentence,
    tell,
    write,
)
from vats_exporter.gwt import DEFAULT_LIMIT, GwtError, decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vats_exporter.cabinet.page import Page
    from vats_exporter.gwt import Token

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@click.command(
    epilog="\b\nExamples:\n"
    "  vats-exporter decode answer.txt\n"
    "  vats-exporter decode answer.txt | jq -r '.rows[].phone'\n"
    "  vats-exporter decode list-1.txt list-2.txt --script permutation.cache.js\n"
    "  xclip -o | vats-exporter decode -\n"
)
@click.option(
    "--script",
    "scripts",
    metavar="FILE",
    multiple=True,
    help="Read rows by the classes of this permutation ({strong name}.cache.js) as well. Repeat it "
    "for the permutation's deferred fragments.",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
def command(*, files: Sequence[str], scripts: Sequence[str]) -> None:
    """Decode responses of the cabinet to JSON.

    FILE holds the body of an HTTP response as the cabinet sent it, starting with //OK or //EX; - is
    standard input. A browser's network panel has it under "Copy response". A byte order mark,
    UTF-16 and blank lines around it make no difference.

    Prints the frame (status, version, flags), the string table, the tokens in the order of the wire
    with longs in base 64, and the trunks, if it is a page of the list of subscribers: flags
    as read by the default positions, the pattern of the row, and whether that pattern is known.

    read_by says how a page was read: by the block of its rows, or by the classes of the --script,
    and then by the block as well. If the two differ, there are no rows. rows_error says why there
    are none; not_by_script, why the --script does not read the page, so that the block alone did.

    Several files give one JSON document a line, each with its "file". They are taken for pages of
    one list: the columns of phones and names are found over all pages of the same class. A page
    that shares a row with another is taken for that page saved again, and is read apart.

    Exits with 1, and says what is wrong and where, if a FILE is not such a response. Among several
    its document has "error", and the others are printed all the same.
    """
    table = _read_scripts(scripts) if scripts else None
    answers = [_read(name, table) for name in files]
    _read_rows(answers)
    documents = [document for document, _page in answers]
    failed = sum("error" in document for document in documents)
    if len(files) == 1:
        (document,) = documents
        if failed:
            fail("{file}: {error}", file=_shown(files[0]), error=sentence(document["error"]))
        write(_apart(document))
        return
    for name, document in zip(files, documents, strict=True):
        write(as_json({"file": name, **document}) + "\n")
    if failed:
        tell("{failed} of {count} files cannot be decoded", failed=failed, count=len(files))
        sys.exit(FAILED)


def _saved(name: str) -> bytes | str:
    """Read what was saved from a browser: as UTF-8 or, of UTF-16, as text; without blanks around.

    Raises:
        ValueError: why it can't be read.
    """
    try:
        with click.open_file(name, "rb") as opened:
            data: bytes = opened.read(2 * DEFAULT_LIMIT + 1)  # UTF-16 has two bytes a character
    except OSError as error:
        raise ValueError(f"cannot read it: {reason(error)}") from None
    encoding = json.detect_encoding(data)
    if encoding.startswith("utf-8"):
        return data.removeprefix(_BYTE_ORDER_MARK).strip()
    try:
        return data.decode(encoding, "surrogatepass").strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"not {encoding.upper()} at byte {error.start}") from None


def _read_scripts(names: Sequence[str]) -> ClassTable:
    """Read the classes of a permutation and its fragments."""
    # Imported here: most answers are decoded without a script.
    from vats_exporter.gwt.script import read_script  # noqa: PLC0415

    texts = []
    for name in names:
        try:
            saved = _saved(name)
        except ValueError as error:
            fail("{file}: {error}", file=_shown(name), error=error)
        texts.append(saved if isinstance(saved, str) else saved.decode("utf-8", "replace"))
        if "function" not in texts[-1]:
            fail("{file}: no script that GWT compiled", file=_shown(name))
    try:
        classes = read_script(*texts).classes
    except GwtError as error:
        fail("{file}: {error}", file=_shown(names[0]), error=error)
    if not classes:
        fail(
            "{file}: reads no class: a permutation is {{strong name}}.cache.js, and "
            "not the .nocache.js",
            file=_shown(names[0]),
        )
    return ClassTable(classes)


def _read(name: str, table: ClassTable | None) -> tuple[dict[str, Any], Page | None]:
    """Read an answer: its document, still without rows, and the page that holds them."""
    try:
        response = decode(_saved(name))
    except (GwtError, ValueError) as error:
        why = str(error)
        return {"error": why, "rows": [], "read_by": None, "rows_error": why}, None
    page, why = None, "the answer is an exception"
    if response.status == "OK":
        try:
            page, why = read_page_anyhow(response, table), ""
        except UndecodableError as error:
            why = str(error)
    document: dict[str, Any] = {
        "status": response.status,
        "version": response.version,
        "flags": response.flags,
        "string_table": response.string_table,
        "tokens": [*map(_token, response.tokens)],
        "rows": [],
        "read_by": None,
        "rows_error": why or None,
    }
    if table and page and page.not_by_script:
        document["not_by_script"] = page.not_by_script
    return document, page


def _read_rows(answers: Sequence[tuple[dict[str, Any], Page | None]]) -> None:
    """Read the rows of all pages, those of one list together."""
    lists: list[tuple[str, set[str], list[tuple[dict[str, Any], Page]]]] = []
    for document, page in answers:
        if page is None:
            continue
        refs = {record.ref for record in page.records}
        for answer_class, shown, pages in lists:
            if answer_class == page.answer_class and shown.isdisjoint(refs):
                shown.update(refs)
                pages.append((document, page))
                break
        else:
            lists.append((page.answer_class, refs, [(document, page)]))
    for _class, _refs, pages in lists:
        _read_list(pages)


def _read_list(pages: Sequence[tuple[dict[str, Any], Page]]) -> None:
    """Read the rows of a list's pages; of each page alone where one of them cannot be read."""
    # Imported here: what only decodes needs no settings.
    from vats_exporter.cabinet.settings import FlagPositions  # noqa: PLC0415 - see above

    try:
        trunks, _warnings = read_trunks([page for _document, page in pages], FlagPositions())
    except UndecodableError as error:
        if len(pages) == 1:
            pages[0][0]["rows_error"] = str(error)
            return
        for one in pages:
            _read_list([one])
        return
    rows = ({key: of(trunk) for key, of in TRUNK_FIELDS.items()} for trunk in trunks)
    for document, page in pages:
        document["rows"] = [*islice(rows, len(page.records))]
        document["read_by"] = page.read_by


def _apart(document: dict[str, Any]) -> str:
    """A document as JSON: a string and a row a line each, and all tokens on one."""
    lines = []
    for key, value in document.items():
        text = as_json(value)
        if key in ("string_table", "rows") and value:
            text = "[\n    " + ",\n    ".join(map(as_json, value)) + "\n  ]"
        lines.append(f'  "{key}": {text}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _shown(name: str) -> str:
    return _("standard input") if name == "-" else name


def _token(token: Token) -> object:
    if isinstance(token, float) and not math.isfinite(token):
        name = "NaN" if math.isnan(token) else "Infinity" if token > 0 else "-Infinity"
        return {"double": name}
    return token
