r"""``decode``: an answer of the cabinet, as JSON that a person and a program can read.

Strings that cannot be UTF-8 (lone surrogates) are written as ``\uD800``, and numbers that cannot
be JSON as ``{"double": "NaN"}``.
"""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vats_exporter.cabinet.columns import read_trunks
from vats_exporter.cabinet.errors import UndecodableError
from vats_exporter.cabinet.reading import read_page
from vats_exporter.cli.output import fail, reason, write
from vats_exporter.gwt import GwtError, decode
from vats_exporter.trunks import ROW_FLAGS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vats_exporter.gwt import Response, Token

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@click.command(
    epilog="\b\nExamples:\n"
    "  vats-exporter decode answer.txt\n"
    "  vats-exporter decode answer.txt | jq -r '.rows[].phone'\n"
    "  xclip -o | vats-exporter decode -\n"
)
@click.argument("file")
def command(file: str) -> None:
    """Decode a response of the cabinet to JSON.

    FILE holds the body of an HTTP response as the cabinet sent it, starting with //OK or //EX; - is
    standard input. A browser's network panel has it under "Copy response".

    Prints the frame (status, version, flags), the string table, the tokens in the order of the wire
    with longs in base 64, and the trunks, if it is a page of the list of subscribers: flags
    as read by the default positions, the pattern of the row, and whether that pattern is known.

    Exits with 1, and says what is wrong and where, if FILE is not such a response.
    """
    name = "standard input" if file == "-" else file
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        response = decode(data)
    except OSError as error:
        fail(f"{name}: cannot read it: {reason(error)}")
    except (GwtError, ValueError) as error:
        # A path with a NUL in it is a ValueError.
        fail(f"{name}: {error}")
    write(_document(response))


def _document(response: Response) -> str:
    """The answer as JSON, a string, a row and all tokens a line each."""
    parts = [
        f'"status": {_json(response.status)}',
        f'"version": {_json(response.version)}',
        f'"flags": {_json(response.flags)}',
        f'"string_table": {_list(map(_json, response.string_table))}',
        f'"tokens": {_json([_token(token) for token in response.tokens])}',
        f'"rows": {_list(map(_json, _rows(response)))}',
    ]
    return "{\n  " + ",\n  ".join(parts) + "\n}\n"


def _list(items: Iterable[str]) -> str:
    lines = ",\n    ".join(items)
    return f"[\n    {lines}\n  ]" if lines else "[]"


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04X}", text)


def _token(token: Token) -> object:
    if isinstance(token, float) and not math.isfinite(token):
        name = "NaN" if math.isnan(token) else "Infinity" if token > 0 else "-Infinity"
        return {"double": name}
    return token


def _rows(response: Response) -> list[dict[str, object]]:
    """The trunks of a page of the list; none where the answer is anything else."""
    if response.status != "OK":
        return []
    # Imported here: what only decodes needs no settings.
    from vats_exporter.cabinet.settings import FlagPositions  # noqa: PLC0415 - see above

    try:
        trunks, _ = read_trunks([read_page(response)], FlagPositions())
    except UndecodableError:
        return []
    return [
        {
            "trunk": trunk.ref,
            "id": trunk.id,
            "phone": trunk.phone,
            "name": trunk.name,
            **{flag.key: flag.of(trunk) for flag in ROW_FLAGS},
            "pattern": trunk.pattern,
            "known": trunk.known,
        }
        for trunk in trunks
    ]
