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
WRONG_CONFIGURATION: Final = 2
INTERRUPTED: Final = 130

LOCALE: Final = Path(__file__).parent / "locale"
_PATIENCE: Final = 1.0  # seconds that pass without a line of progress
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

    ``sentences.txt`` has them, with placeholders; several sentences in one are taken apart.
    """
    if _("en") == "en":
        return text
    for pattern, template in _sentences():
        if match := pattern.fullmatch(text):
            parts = {name: sentence(part) for name, part in match.groupdict().items()}
            return gettext.gettext(template).format(**parts)
    for mark in (": ", "; "):
        head, found, rest = text.partition(mark)
        if found:
            return f"{sentence(head)}{found}{sentence(rest)}"
    return text


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


def put(text: str, *, err: bool = True) -> None:
    """Write a text as it is, in the place of the line of progress."""
    if Progress.shown:
        Progress.shown = False
        click.echo(_ERASE.encode(), nl=False, err=True)
    # Flushes, so that a reader that has gone away is noticed here.
    click.echo(text.encode("utf-8", "backslashreplace"), nl=False, err=err)


def write(text: str) -> None:
    """Write a result, with its line breaks."""
    try:
        put(text, err=False)
    except BrokenPipeError:
        raise  # click ends the program quietly, with status 1
    except OSError as error:
        fail("standard output: cannot write: {error}", error=error)


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
        self._right = right
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
            line = []
            for place, cell in enumerate(cells):
                width = self._widths[place]
                line.append(cell.rjust(width) if place in self._right else cell.ljust(width))
            yield "  ".join(line).rstrip()


class Progress:
    """A line on standard error for a person who waits longer than a second."""

    shown = False  # whatever is written next takes its place

    def __init__(self) -> None:
        self._next = time.monotonic() + _PATIENCE

    def say(self, message: str, **parts: object) -> None:
        """Say how far it is, if it is time to."""
        if time.monotonic() >= self._next and sys.stderr.isatty():
            self._next = time.monotonic() + 0.1
            put(printable(_(message, **parts))[: shutil.get_terminal_size().columns - 1])
            Progress.shown = True


def track(items: Sequence[Item], message: str) -> Iterator[Item]:
    """Go through items, and say how far it is until all are done: by *done* and *total*."""
    progress = Progress()
    for done, item in enumerate(items, 1):
        yield item
        progress.say(message, done=done, total=len(items))
    put("")
