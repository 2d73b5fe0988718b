"""How commands speak: results on standard output, errors and progress on standard error.

All in UTF-8 whatever the terminal is, with nothing in it that a terminal would act upon; in the
language that :mod:`vats_exporter.cli` chose, by the standard library's gettext.
"""

from __future__ import annotations

import gettext
import json
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from itertools import zip_longest
from pathlib import Path
from string import Formatter
from typing import Any, Final, NoReturn, TypeVar

import click

from vats_exporter.redaction import redact
from vats_exporter.trunks import Words

Item = TypeVar("Item")

# Exit statuses: 2 is click's own for wrong usage, 130 that of shells after Ctrl-C.
FAILED: Final = 1
WRONG: Final = 2
INTERRUPTED: Final = 130

LOCALE: Final = Path(__file__).parent / "locale"
_PATIENCE: Final = 1.0  # seconds that pass without a line of progress,
_PAUSE: Final = 0.1  # and between two of them
_ERASE: Final = "\r\x1b[K"
_BOLD, _GREY, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def _(message: str, **parts: object) -> str:
    """Say something in the operator's language; an exception among the parts as well."""
    text = gettext.gettext(message) if message else ""  # of which catalogues make their head
    said = {name: _part(value) for name, value in parts.items()}
    return text.format(**said) if parts else text


def count(number: int, one: str, many: str, **parts: object) -> str:
    """Say how many there are, the same way; the number is the part *count*."""
    return _(gettext.ngettext(one, many, number), count=number, **parts)


def _part(value: object) -> object:
    if isinstance(value, OSError):
        # What the system says. A name that does not resolve has numbers of its own, below 0.
        number = value.errno or 0
        return sentence(os.strerror(number) if number > 0 else value.strerror or str(value))
    return sentence(redact(str(value))) if isinstance(value, Exception) else value


def words(both: Words) -> str:
    """Choose the words of the operator's language."""
    return both.ru if _("en") == "ru" else both.en


def sentence(text: str) -> str:
    """Translate a message of another module, which is in English because it is logged as well.

    ``sentences.txt`` has them, with placeholders; several in one are taken apart, the longest that
    it begins with first.
    """
    ends = [*re.finditer(r"[:;] |\Z", text)] if _("en") != "en" else []
    for end in reversed(ends):
        for pattern, template in _sentences():
            if match := pattern.fullmatch(text, endpos=end.start()):
                parts = {name: sentence(part) for name, part in match.groupdict().items()}
                said = gettext.gettext(template).format(**parts)
                return said + end[0] + sentence(text[end.end() :])
    first = ends[0].end() if ends else len(text)
    return text[:first] + sentence(text[first:]) if text[first:] else text


@cache
def _sentences() -> list[tuple[re.Pattern[str], str]]:
    """The sentences as patterns, those with most text of their own first."""
    lines = (LOCALE / "sentences.txt").read_text("utf-8").splitlines()
    lines.sort(key=lambda line: -len(re.sub(r"\{\w+\}", "", line)))
    found = []
    for line in lines:
        if line and not line.startswith("#"):
            pattern = ""
            for text, name, _spec, _conversion in Formatter().parse(line):
                # What a sentence begins with is no prefix, such as the name of an account.
                part = ".+" if pattern or text else "(?:(?!: ).)+"
                pattern += re.escape(text) + (f"(?P<{name}>{part})" if name else "")
            found.append((re.compile(pattern, re.DOTALL | re.IGNORECASE), line))
    return found


class _Progress:
    """The line on standard error for a person who has been told nothing for a second."""

    shown = False  # whatever is written next takes its place
    due = time.monotonic() + _PATIENCE


def put(text: str, *, err: bool = True) -> None:
    """Write a text as it is, in the place of the line of progress."""
    if _Progress.shown:
        click.echo(_ERASE.encode(), nl=False, err=True)
    _Progress.shown, _Progress.due = False, time.monotonic() + _PATIENCE
    # Flushes, so that an output that takes nothing is noticed here: main() says so.
    click.echo(text.encode("utf-8", "backslashreplace"), nl=False, err=err)


write: Final = partial(put, err=False)
"""Writes a result, with its line breaks."""


def shown(file: str) -> str:
    """The name of a file that is read, or what ``-`` stands for."""
    return _("standard input") if file == "-" else file


def tell(message: str, **parts: object) -> None:
    """Write one line on standard error."""
    put(printable(_(message, **parts)) + "\n")


def complain(message: str, **parts: object) -> None:
    """Tell what failed; the command does the rest, and ends with status 1."""
    tell(message, **parts)
    click.get_current_context().meta[__name__] = True


def has_failed() -> bool:
    """Whether something was complained of."""
    return __name__ in click.get_current_context().meta


def fail(message: str, *, status: int = FAILED, **parts: object) -> NoReturn:
    """Say why in one line, and end the program."""
    tell(message, **parts)
    sys.exit(status)


@contextmanager
def failing(
    errors: type[Exception] | tuple[type[Exception], ...], message: str, **parts: Any
) -> Iterator[None]:
    """As :func:`fail` on these errors, whose parts are *error* and *filename*."""
    try:
        yield
    except errors as error:
        fail(message, error=error, filename=getattr(error, "filename", None), **parts)


def printable(text: str) -> str:
    """Escape what cannot be shown, or what a terminal would act upon."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


as_json: Final = partial(json.dumps, ensure_ascii=False)  # write() escapes lone surrogates in it


def facts(lines: dict[str, str]) -> str:
    """Write a name and a value on each line, the values below each other."""
    width = max(map(len, lines)) + 2
    return "".join(f"{name:<{width}}{printable(value) or '-'}\n" for name, value in lines.items())


class Table:
    """Rows in columns, laid out as they come: a column is as wide as what it has held so far.

    In a terminal that is too narrow, texts are folded at blanks, but no phones.
    """

    def __init__(self, *titles: str, right: Collection[int] = ()) -> None:
        self._titles = titles
        self._sides = [">" if place in right else "<" for place in range(len(titles))]
        self._widths = [0] * len(titles)

    def text(self, rows: Iterable[Sequence[str]], *, grey: Iterable[bool] = ()) -> str:
        """Lay out some rows, the first ones under the titles; *grey* are of less interest."""
        lines = [self._titles, *(tuple(map(printable, row)) for row in rows)]
        columns, begun = list(zip(*lines, strict=True)), any(self._widths)
        for place, column in enumerate(columns):
            self._widths[place] = max(self._widths[place], *map(len, column))
        styles: list[str] = []
        if sys.stdout.isatty():
            self._narrow(columns)
            if os.environ.get("TERM") != "dumb":
                styles = [_BOLD, *(_GREY * dim for dim in grey)]
        text = ""
        for style, cells in list(zip_longest(styles, lines, fillvalue=""))[begun:]:
            for line in self._fold(cells):
                text += f"{style}{line}{_PLAIN if style else ''}\n"
        return text

    def _narrow(self, columns: Sequence[Sequence[str]]) -> None:
        """Narrow the widest columns until the table fits, down to a word's width."""
        widths = self._widths
        over = sum(widths) + 2 * (len(widths) - 1) - shutil.get_terminal_size().columns
        least = [max(map(len, " ".join(cells).split(" "))) for cells in columns]
        for _column in range(over):
            wide = [place for place, width in enumerate(widths) if width > least[place]]
            if wide:
                widths[max(wide, key=widths.__getitem__)] -= 1

    def _fold(self, row: Sequence[str]) -> Iterator[str]:
        """Write a row, on as many lines as its longest cell takes."""
        folded = [
            textwrap.wrap(cell, width, break_long_words=False, break_on_hyphens=False)
            if len(cell) > width
            else [cell]
            for cell, width in zip(row, self._widths, strict=True)
        ]
        for cells in zip_longest(*folded, fillvalue=""):
            placed = zip(cells, self._sides, self._widths, strict=True)
            yield "  ".join(f"{cell:{side}{width}}" for cell, side, width in placed).rstrip()


def report(message: str, **parts: object) -> None:
    """Say how far it is, if it is time to."""
    if time.monotonic() >= _Progress.due and sys.stderr.isatty():
        put(printable(_(message, **parts))[: shutil.get_terminal_size().columns - 1])
        _Progress.shown, _Progress.due = True, time.monotonic() + _PAUSE


def track(items: Sequence[Item], message: str) -> Iterator[Item]:
    """Go through items, and say how far it is until all are done: by *done* and *total*."""
    for done, item in enumerate(items, 1):
        yield item
        report(message, done=done, total=len(items))
    put("")
