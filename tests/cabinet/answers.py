"""Answers to a list request with any columns, written for tests."""

from __future__ import annotations

from typing import Any

from tests.cabinet.layouts import BOOLEAN, JAVA, LIST, LONG
from vats_exporter.cabinet.reading import ClassTable
from vats_exporter.gwt import Kind, Response, encode_long

RESPONSE = "ru.example.Response/1"
ROW = "ru.example.Row/2"
CORE = "bbbbbbbobbo"
"""The kinds of the fields that :meth:`Answer.core` writes: see :func:`table`."""


class Answer:
    """Writes an answer in reading order, as Google's writer does; a few lines, ours alone."""

    def __init__(self, *, share_booleans: bool = False) -> None:
        self.tokens: list[int | float | str] = []
        self.table: list[str] = []
        self.objects = 0
        self.shared: dict[tuple[str, Any], int] = {}
        self.share_booleans = share_booleans

    def index(self, string: str | None) -> int:
        if string is None:
            return 0
        if string not in self.table:
            self.table.append(string)
        return self.table.index(string) + 1

    def text(self, string: str | None) -> None:
        self.tokens.append(self.index(string))

    def plain(self, *values: float | str) -> None:
        self.tokens.extend(values)

    def begin(self, signature: str) -> None:
        self.tokens.append(self.index(signature))
        self.objects += 1

    def boxed(self, signature: str, value: int | str, *, shared: bool = False) -> None:
        key = (signature, value)
        if shared and key in self.shared:
            self.tokens.append(-self.shared[key])
            return
        self.begin(signature)
        self.tokens.append(value)
        if shared:
            self.shared[key] = self.objects

    def boolean(self, value: int | None) -> None:
        if value is None:
            self.tokens.append(0)
        else:
            self.boxed(BOOLEAN, value, shared=self.share_booleans)

    def core(self, ref: str, pattern: str, eight: int = 0) -> None:
        four, six, seven, nine = (None if digit == "-" else int(digit) for digit in pattern)
        assert six is not None
        assert seven is not None
        assert nine is not None
        self.plain(0, 0, 0, nine, eight, seven, six)
        self.boolean(four)
        self.plain(0, 0)
        self.boxed(LONG, ref)

    def row(self, number: int, pattern: str = "1100", eight: int = 0) -> None:
        """A record of a phone and the row's values."""
        self.begin(ROW)
        self.text(phone(number))
        self.core(ref(number), pattern, eight)

    def rows(self, count: int) -> None:
        for number in range(count):
            self.row(number)

    def response(self) -> Response:
        return Response("OK", 7, 0, self.table, self.tokens[::-1])


def listing(rows: int) -> Answer:
    answer = Answer()
    start_list(answer, rows)
    return answer


def table(response: str = "oo", row: str = "s" + CORE, **classes: str) -> ClassTable:
    """What a script would tell: the kinds of each class's fields, by their first letters."""
    kinds = {kind.value[0]: kind for kind in Kind}
    fields = {RESPONSE: response, ROW: row, **classes}
    told = {name: tuple(kinds[letter] for letter in letters) for name, letters in fields.items()}
    return ClassTable({**JAVA, **told})


def start_list(answer: Answer, rows: int, list_class: str = LIST) -> None:
    answer.begin(RESPONSE)
    answer.boxed(LONG, "CbwhyN")
    answer.begin(list_class)
    answer.plain(rows)


def ref(number: int) -> str:
    return encode_long(2_586_000_000 + 7919 * number)


def phone(number: int) -> str:
    return f"7916{1234567 + 37 * number}"
