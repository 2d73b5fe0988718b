"""Updates the command line's Russian catalogue from the source: ``make catalogue``.

The messages are those that the modules of ``vats_exporter.cli`` say, the help of its commands, the
sentences of other rooms that ``sentences.txt`` lists, and click's own. What is new has an empty
translation, which a test complains of; what is gone is removed. Programs read the compiled ``.mo``.
"""

from __future__ import annotations

import ast
import io
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

import vats_exporter
from vats_exporter import cli
from vats_exporter.cli.output import LOCALE

if TYPE_CHECKING:
    from collections.abc import Iterator


PO: Final = LOCALE / "ru" / "LC_MESSAGES" / "vats-exporter.po"
MO: Final = PO.with_suffix(".mo")

KEYWORDS: Final = {
    **dict.fromkeys(("_", "tell", "complain", "fail", "report"), None),
    **dict.fromkeys(("track", "failing"), (2,)),
    "count": (2, 3),
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}
"""Functions whose arguments are messages, and which arguments."""

# What of click a command line may say; nothing asks for an editor or a pager here.
_CLICK: Final = ("core", "decorators", "exceptions", "formatting", "parser", "types")
_OURS: Final = "# The program, anywhere"
_HEAD: Final = "# The command line of vats-exporter, in Russian."


def messages() -> Iterator[tuple[str | tuple[str, ...], str | None, str]]:
    """Return every message, its context, and where it is from."""
    methods = [("**.py", "python")]
    for folder, only in ((Path(cli.__file__).parent, None), (Path(click.__file__).parent, _CLICK)):
        found = extract_from_dir(folder, methods, keywords=KEYWORDS)
        for name, _line, message, _comments, context in sorted(found, key=lambda one: one[:2]):
            if message and (only is None or Path(name).stem in only):
                yield message, context, f"{folder.name}/{name}"
    for message in _help():
        yield message, None, "help"
    for line in (LOCALE / "sentences.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line, None, "sentences.txt"


def _help() -> list[str]:
    """Return what is translated of the commands' help, by having it translated."""
    asked: list[str] = []

    def note(message: str, **_parts: object) -> str:
        asked.append(message)
        return message

    translate, cli._ = cli._, note  # type: ignore[attr-defined]
    try:
        commands = [cli.in_language(cli._commands)]
        context = click.Context(commands[0])
        commands += [cli._commands.get_command(context, name) for name in cli.COMMANDS]
    finally:
        cli._ = translate  # type: ignore[attr-defined]
    return [*cli.COMMANDS.values(), *asked]


def catalogue() -> Catalog:
    """Return the catalogue: today's messages, with the translations that there are."""
    fresh = Catalog(locale="ru", fuzzy=False)
    for message, context, place in messages():
        fresh.add(message, locations=[(place, 0)], context=context)
    with PO.open("rb") as file:
        made = read_po(file, locale="ru")
    made.update(fresh, no_fuzzy_matching=True)
    made.obsolete.clear()
    made.project, made.version = "vats-exporter", "1"
    made.header_comment = _HEAD
    # No date, so that it changes only with what it says.
    made.creation_date = made.revision_date = datetime(2026, 1, 1, tzinfo=timezone.utc)
    made.fuzzy = False
    return made


def render(made: Catalog) -> tuple[bytes, bytes]:
    """Return the catalogue as text, and compiled."""
    text, compiled = io.BytesIO(), io.BytesIO()
    write_po(text, made, width=100, ignore_obsolete=True, include_lineno=False)
    write_mo(compiled, made)
    return text.getvalue(), compiled.getvalue()


def unsaid() -> list[str]:
    """Return the sentences of other rooms that are said nowhere any more, and can go."""
    package = Path(vats_exporter.__file__).parent
    trees = [ast.parse(file.read_text("utf-8")) for file in package.rglob("*.py")]
    said = "\n".join(
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    _system, _head, ours = (LOCALE / "sentences.txt").read_text("utf-8").partition(_OURS)
    return [
        line
        for line in filter(None, ours.splitlines())
        if not line.startswith("#")
        # The longest part that is always the same.
        if max(re.split(r"(?<!\{)\{\w+\}|: |must be ", line), key=len).format().strip() not in said
    ]


if __name__ == "__main__":
    text, compiled = render(catalogue())
    PO.write_bytes(text)
    MO.write_bytes(compiled)
    for line in unsaid():
        print(f"sentences.txt: said nowhere any more: {line}")  # noqa: T201 - a tool's word
