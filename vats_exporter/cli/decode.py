"""``decode``: saved answers of the cabinet, as JSON that a person and a program can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from vats_exporter.cabinet.reading import ClassTable
from vats_exporter.cli.output import as_json, fail, failing, sentence, shown, write
from vats_exporter.gwt import GwtError
from vats_exporter.tools.saved import read_documents, read_saved


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

    FILE holds the body of an HTTP response as the cabinet sent it, starting with //OK or //EX: what
    a browser's network panel has under "Copy response". - is standard input.

    Prints the frame (status, version, flags), the string table, the tokens in the order of the wire
    with longs in base 64, and the trunks, if it is a page of the list of subscribers: flags
    as read by the default positions, the pattern of the row, and whether that pattern is known.

    read_by says whether a page was read by the classes of the --script or by the block of its rows
    alone, and not_by_script why so. If the two differ, there are no rows; rows_error says why.

    Several files give one JSON document a line, each with its "file". They are taken for pages of
    one list, except for a page that shares a row with another, as when it was saved again.

    Exits with 1, and says what is wrong and where, if a FILE is not such a response. Among several
    its document has "error", and the others are printed all the same.
    """
    documents = read_documents(files, _read_scripts(scripts) if scripts else None)
    if len(files) == 1:
        if "error" in documents[0]:
            fail("{file}: {error}", file=shown(files[0]), error=sentence(documents[0]["error"]))
        write(_apart(documents[0]))
        return
    for name, document in zip(files, documents, strict=True):
        write(as_json({"file": name, **document}) + "\n")
    if failed := sum("error" in document for document in documents):
        fail("{failed} of {count} files cannot be decoded", failed=failed, count=len(files))


def _read_scripts(names: Sequence[str]) -> ClassTable:
    """Read the classes of a permutation and its fragments."""
    from vats_exporter.gwt.script import read_script  # noqa: PLC0415 - most need no script

    texts = []
    for name in names:
        with failing(ValueError, "{file}: {error}", file=shown(name)):
            saved = read_saved(name)
        texts.append(saved if isinstance(saved, str) else saved.decode("utf-8", "replace"))
        if "function" not in texts[-1]:
            fail("{file}: no script that GWT compiled", file=shown(name))
    first = shown(names[0])
    with failing(GwtError, "{file}: {error}", file=first):
        classes = read_script(*texts).classes
    if not classes:
        fail(
            "{file}: reads no class: a permutation is {{strong name}}.cache.js, not .nocache.js",
            file=first,
        )
    return ClassTable(classes)


def _apart(document: dict[str, Any]) -> str:
    """A document as JSON: a string and a row a line each, and all tokens on one."""
    lines = []
    for key, value in document.items():
        text = as_json(value)
        if key in ("string_table", "rows") and value:
            text = "[\n    " + ",\n    ".join(map(as_json, value)) + "\n  ]"
        lines.append(f'  "{key}": {text}')
    return "{\n" + ",\n".join(lines) + "\n}\n"
