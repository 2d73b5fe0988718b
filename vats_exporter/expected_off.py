"""Trunks that are off on purpose: listed in the configuration, or in a file beside it.

A trunk is named by its phone or by its reference. The file has one a line, ``#`` begins a comment;
it is read again each time the cabinet was read. What is wrong with it is a warning beside the list
of trunks, and the entries that were read last stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Final

from vats_exporter.gwt import LongError, decode_long
from vats_exporter.trunks import Trunk, normalise_phone, read_phone

LARGEST: Final = 4 * 1024 * 1024  # bytes of a file; a hundred thousand phones need less
_NAMED: Final = 3  # entries that a warning names before it says how many more there are


def read_entry(text: str) -> str:
    """Read a phone, returned as eleven digits, or a trunk's reference; else a ``ValueError``."""
    if phone := read_phone(text):
        return phone
    ref = text.strip()
    with suppress(LongError):
        decode_long(ref)
        if not ref.isdecimal():
            return ref
    raise ValueError("must be a phone such as 79161234567, or a trunk's reference such as CaLztv")


def read_lines(text: str) -> list[tuple[int, str]]:
    """Read a file's entries, each with its line's number; blank lines and comments are left out."""
    lines = enumerate(text.lstrip("\ufeff").splitlines(), 1)
    entries = ((number, line.partition("#")[0].strip()) for number, line in lines)
    return [(number, entry) for number, entry in entries if entry]


class ExpectedOff:
    """The trunks of one account that are off on purpose. Used by one thread at a time.

    ``entries`` are as :func:`read_entry` gives them; a file has more of them.
    """

    def __init__(self, entries: Sequence[str] = (), file: Path | None = None) -> None:
        self.entries = entries
        self.file = file
        self._listed: list[tuple[int, str]] = []

    def mark(self, trunks: tuple[Trunk, ...]) -> tuple[tuple[Trunk, ...], tuple[str, ...]]:
        """Mark those that are expected to be off; warn of entries that name none, and of faults."""
        faults = self.faults()
        wanted = {*self.entries, *(entry for _, entry in self._listed)}
        if not wanted:
            return trunks, faults
        marked = tuple(
            trunk._replace(expected_off=True) if wanted & {trunk.ref, trunk.phone} else trunk
            for trunk in trunks
        )
        there = {name for trunk in trunks for name in (trunk.ref, trunk.phone)}
        missing = wanted - there
        if "" in there:  # where not every phone is known, nothing can be said of a phone
            missing = {entry for entry in missing if not normalise_phone(entry)}
        entries = [number for number, entry in enumerate(self.entries, 1) if entry in missing]
        lines = [line for line, entry in self._listed if entry in missing]
        return marked, (
            *faults,
            *_warning("expected_off: no such trunk: entry", entries),
            *_warning("expected_off_file: no such trunk: line", lines),
        )

    def faults(self) -> tuple[str, ...]:
        """Read the file again, and say what is wrong; if it cannot be read, its entries stay."""
        listed, wrong = [], []
        try:
            for line, text in read_lines(_read_text(self.file)) if self.file else ():
                try:
                    listed.append((line, read_entry(text)))
                except ValueError:
                    wrong.append(line)
        except OSError as error:
            return (f"expected_off_file: cannot be read: {error.strerror}",)
        except ValueError as error:
            return (f"expected_off_file: {error}",)
        self._listed = listed
        return _warning("expected_off_file: neither a phone nor a reference: line", wrong)


def _read_text(file: Path) -> str:
    if not S_ISREG(file.stat().st_mode):  # reading a pipe may never end
        raise ValueError("not a file")
    with file.open("rb") as opened:
        data = opened.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"longer than {LARGEST} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None


def _warning(what: str, numbers: Sequence[int]) -> tuple[str, ...]:
    """Say which entries it is about, if any, without quoting them: they are personal data."""
    named = ", ".join(map(str, numbers[:_NAMED]))
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return (f"{what} {named}{more}",) if numbers else ()
