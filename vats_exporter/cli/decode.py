r"""``decode``: saved answers of the cabinet, as JSON that a person and a program can read.

Strings that cannot be UTF-8 (lone surrogates) are written as ``\uD800``, and numbers that cannot
be JSON as ``{"double": "NaN"}``.
"""

from __future__ import annotations

import errno
import json
import math
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.page import read_trunks
from vats_exporter.cabinet.reading import ClassTable, read_page_anyhow
from vats_exporter.cli.output import FAILED, _, fail, reason, sentence, tell, write
from vats_exporter.gwt import DEFAULT_LIMIT, GwtError, decode
from vats_exporter.trunks import ROW_FLAGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vats_exporter.cabinet.page import Page
    from vats_exporter.gwt import Response, Token
    from vats_exporter.trunks import Trunk

_LARGEST: Final = 2 * DEFAULT_LIMIT
"""Bytes of a file past which it is not read: UTF-16 has two a character."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


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
    answers = [_Answer(name, table) for name in files]
    _read_columns(answers)
    if len(answers) == 1:
        if answers[0].error:
            fail("{file}: {error}", file=_shown(files[0]), error=sentence(answers[0].error))
        write(answers[0].document())
        return
    for answer in answers:
        write(answer.line())
    failed = sum(bool(answer.error) for answer in answers)
    if failed:
        tell("{failed} of {count} files cannot be decoded", failed=failed, count=len(answers))
        sys.exit(FAILED)


def read_saved(name: str) -> bytes | str:
    """Read a response saved from a browser, in whatever encoding.

    Args:
        name: of a file; ``-`` is standard input.

    Returns:
        UTF-8, or the text of UTF-16; without a byte order mark and blanks around it.

    Raises:
        OSError: it can't be read, or is too large.
        ValueError: a name that no file has, or broken UTF-16.
    """
    if name == "-":
        data = sys.stdin.buffer.read(_LARGEST + 1)
    else:
        with Path(name).open("rb") as opened:
            data = opened.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise OSError(errno.EFBIG, "")
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
            saved = read_saved(name)
        except (OSError, ValueError) as error:
            fail("{file}: {error}", file=_shown(name), error=sentence(_why(error)))
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


class _Answer:
    """One file, and what it holds.

    Attributes:
        error: why it is no answer; empty if it is one.
        page: its rows; ``None`` where they cannot be read.
        trunks: what they mean, once that is known.
        rows_error: why they cannot be read.
    """

    def __init__(self, name: str, table: ClassTable | None) -> None:
        self.error = self.rows_error = ""
        self.page: Page | None = None
        self.trunks: Sequence[Trunk] = ()
        self._name = name
        self._by_script = table is not None
        # As text, of which many take less memory than their tokens.
        self._frame: list[tuple[str, str | list[str]]] = []
        try:
            response = decode(read_saved(name))
        except (OSError, GwtError, ValueError) as error:
            self.error = self.rows_error = _why(error)
            return
        self._frame = [
            ("status", _json(response.status)),
            ("version", _json(response.version)),
            ("flags", _json(response.flags)),
            ("string_table", [*map(_json, response.string_table)]),
            ("tokens", _json([*map(_token, response.tokens)])),
        ]
        if response.status == "OK":
            self._read_page(response, table)
        else:
            self.rows_error = "the answer is an exception"

    def _read_page(self, response: Response, table: ClassTable | None) -> None:
        try:
            self.page = read_page_anyhow(response, table)
        except UndecodableError as error:
            self.rows_error = str(error)

    def document(self) -> str:
        """The answer as JSON, a string, a row and all tokens a line each."""
        texts = [f'"{key}": {_list(value, apart=True)}' for key, value in self._parts()]
        return "{\n  " + ",\n  ".join(texts) + "\n}\n"

    def line(self) -> str:
        """The answer as JSON on one line, with the name of its file."""
        parts = [("file", _json(self._name)), *self._parts()]
        if self.error:
            parts.insert(1, ("error", _json(self.error)))
        texts = [f'"{key}": {_list(value, apart=False)}' for key, value in parts]
        return "{" + ", ".join(texts) + "}\n"

    def _parts(self) -> list[tuple[str, str | list[str]]]:
        page = self.page
        parts = [
            *self._frame,
            ("rows", [_json(_row(trunk)) for trunk in self.trunks]),
            ("read_by", _json(page.read_by if page else None)),
            ("rows_error", _json(self.rows_error or None)),
        ]
        if page is not None and page.not_by_script and self._by_script:
            parts.append(("not_by_script", _json(page.not_by_script)))
        return parts


def _read_columns(answers: Sequence[_Answer]) -> None:
    """Read the rows of all answers, those of one list together."""
    lists: dict[str, list[tuple[set[str], list[_Answer]]]] = {}
    for answer in answers:
        if answer.page is not None:
            refs = {record.ref for record in answer.page.records}
            of_class = lists.setdefault(answer.page.answer_class, [])
            for shown, pages in of_class:
                if shown.isdisjoint(refs):
                    shown.update(refs)
                    pages.append(answer)
                    break
            else:
                of_class.append((refs, [answer]))
    for of_class in lists.values():
        for _refs, pages in of_class:
            try:
                _read_trunks(pages)
            except UndecodableError:
                for answer in pages:
                    _read_alone(answer)


def _read_trunks(answers: Sequence[_Answer]) -> None:
    # Imported here: what only decodes needs no settings.
    from vats_exporter.cabinet.settings import FlagPositions  # noqa: PLC0415 - see above

    pages = [answer.page for answer in answers if answer.page is not None]
    trunks, _warnings = read_trunks(pages, FlagPositions())
    start = 0
    for answer, page in zip(answers, pages, strict=True):
        end = start + len(page.records)
        answer.trunks = trunks[start:end]
        start = end


def _read_alone(answer: _Answer) -> None:
    try:
        _read_trunks([answer])
    except UndecodableError as error:
        answer.page, answer.rows_error = None, str(error)


def _shown(name: str) -> str:
    return _("standard input") if name == "-" else name


def _why(error: Exception) -> str:
    return f"cannot read it: {reason(error)}" if isinstance(error, OSError) else str(error)


def _list(value: str | list[str], *, apart: bool) -> str:
    """A list's elements as JSON, each on a line or not; what is no list stays."""
    if isinstance(value, str):
        return value
    if apart and value:
        return "[\n    " + ",\n    ".join(value) + "\n  ]"
    return f"[{', '.join(value)}]"


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04X}", text)


def _token(token: Token) -> object:
    if isinstance(token, float) and not math.isfinite(token):
        name = "NaN" if math.isnan(token) else "Infinity" if token > 0 else "-Infinity"
        return {"double": name}
    return token


def _row(trunk: Trunk) -> dict[str, object]:
    return {
        "trunk": trunk.ref,
        "id": trunk.id,
        "phone": trunk.phone,
        "name": trunk.name,
        **{flag.key: flag.of(trunk) for flag in ROW_FLAGS},
        "pattern": trunk.pattern,
        "known": trunk.known,
    }
