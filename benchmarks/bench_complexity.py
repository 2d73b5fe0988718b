"""Twice the input, twice the time: everything that reads a cabinet's answers, up to 50 MB.

Each shape is made as long as asked for, ordinary or hostile, and read at four sizes, each twice the
one before. What is printed is the time for the largest, and how much a doubling of the input costs
on average; 2 is linear, 4 would be quadratic. Rows take longer than tokens, and are read up to a
twenty-fifth of that: some 20,000 rows on one page.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

from vats_exporter import gwt
from vats_exporter.cabinet.discovery import find_permutations
from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cabinet.reading import read_page
from vats_exporter.cabinet.transport import Answer
from vats_exporter.gwt.script import read_script

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST = 50_000_000
STEPS = 4
LIMIT = 1 << 30


def filled(head: str, part: str, tail: str) -> Callable[[int], bytes]:
    """Make an input of about a size: a part again and again, between two ends."""
    return lambda size: (head + part * max(1, size // len(part)) + tail).encode()


def decode(data: bytes) -> None:
    """Read an answer, right or wrong."""
    try:
        gwt.decode(data, limit=LIMIT)
    except gwt.GwtError:
        return


def rows(data: bytes) -> None:
    """Look for the rows of an answer."""
    try:
        read_page(gwt.decode(data, limit=LIMIT))
    except CabinetError:
        return


def list_of(count: int) -> gwt.ResponseWriter:
    """Begin an answer with a list of records."""
    writer = gwt.ResponseWriter()
    writer.write_object("ru.example.Response/1")
    writer.write_object("java.util.ArrayList/4159755760")
    writer.write_number(count)
    return writer


def written(writer: gwt.ResponseWriter) -> bytes:
    """Give an answer's bytes."""
    return gwt.encode_response(writer.finish()).encode()


def ordinary_rows(size: int) -> bytes:
    """Rows as the cabinet writes them."""
    count = max(1, size // 100)
    writer = list_of(count)
    for number in range(count):
        writer.write_object("ru.example.Row/2")
        writer.write_string(f"79{161234567 + number}")
        for value in (0, 0, 0, 0, 0, 0, 1):
            writer.write_number(value)
        if writer.write_object("java.lang.Boolean/476441737", share="true"):
            writer.write_number(1)
        writer.write_number(0)
        writer.write_number(0)
        writer.write_object("java.lang.Long/4227064769")
        writer.write_long(2_586_000_000 + number)
    writer.write_number(count)
    return written(writer)


def rows_of_ones(size: int) -> bytes:
    """A list that lines up in many ways, and holds no row: a 1 may be a flag or a class."""
    count = max(1, size // 8)
    writer = list_of(count)
    for _ in range(count - 1):
        writer.write_object("ru.example.Row/2")
        for _ in range(3):
            writer.write_number(1)
    for _ in range(4):
        writer.write_number(1)
    return written(writer)


def scripts(data: bytes) -> None:
    """Look for names in a script."""
    text = data.decode()
    with contextlib.suppress(gwt.GwtError):
        read_script(text)
    try:
        find_permutations(text)
    except CabinetError:
        return


def login_page(data: bytes) -> None:
    """Look whether a page is the login page."""
    assert Answer(200, "/", data).is_login_page in {True, False}


END = '"x"],0,7]'
CASES: dict[str, tuple[Callable[[bytes], None], Callable[[int], bytes]]] = {
    "tokens": (decode, filled("//OK[", "1,", f"[{END}")),
    "longs": (decode, filled("//OK[", "'CaLztv',", f"[{END}")),
    "texts": (decode, filled("//OK[1,[", '"Иванов",', END)),
    "one long text": (decode, filled('//OK[1,["', "abcdefgh", f'",{END}')),
    "escapes": (decode, filled('//OK[1,["', "\\x27", f'",{END}')),
    "text in pieces": (decode, filled('//OK[1,["', 'abcdefg"+"', f'",{END}')),
    "lists in pieces": (decode, filled("//OK[1].concat([2]", ",[1,2,3]", ',[["x"],0,7])')),
    "brackets without an end": (decode, filled("//OK", "[", "")),
    "quotes without an end": (decode, filled('//OK["', '\\"', "")),
    "commas": (decode, filled("//OK[", ",", "]")),
    "digits without an end": (decode, filled("//OK[", "1", f",[{END}")),
    "ordinary rows": (rows, ordinary_rows),
    "rows of ones": (rows, rows_of_ones),
    "script of quotes": (scripts, filled("", "'\"", "")),
    "script of almost names": (scripts, filled("", "'AbonentBrowserGwtService',", "")),
    "script of hexadecimal digits": (scripts, filled("", "ABCDEF01", "")),
    "page of almost passwords": (login_page, filled("", "type =  ", "")),
}


def main(largest: int) -> None:
    """Print the figures."""
    for name, (read, make) in CASES.items():
        most = largest // 25 if read is rows else largest
        times = []
        for size in [most >> step for step in reversed(range(STEPS))]:
            data = make(size)
            began = time.perf_counter()
            read(data)
            times.append(time.perf_counter() - began)
        # Over all steps, since one of them may have been held up by something else.
        growth = (times[-1] / times[0]) ** (1 / (STEPS - 1))
        worst = f"{growth:.2f} × a doubling" if times[-1] > 0.05 else "too short to say"
        print(f"{name:30} {times[-1]:7.3f} s for {most / 1e6:.0f} MB   {worst}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else LARGEST)
