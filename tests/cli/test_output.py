"""What commands say: tables, progress, and sentences in the operator's language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vats_exporter.cli import output, speak
from vats_exporter.cli.output import Table, count, fail, printable, report, sentence, tell, track

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes both outputs a terminal of so many columns."""

    def make(columns: int) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    return make


def test_columns_are_as_wide_as_their_widest_cell_and_numbers_stand_at_the_right() -> None:
    table = Table("Name", "Trunks", right={1})
    assert table.text([["a", "5"], ["Иванов", "120"]]) == (
        "Name    Trunks\na            5\nИванов     120\n"
    )


def test_rows_that_come_later_have_no_titles_and_keep_the_columns() -> None:
    table = Table("A", "B")
    assert table.text([["long one", "1"]]) == "A         B\nlong one  1\n"
    assert table.text([["x", "2"]]) == "x         2\n"


def test_a_terminal_folds_at_blanks_and_nowhere_else(terminal: Callable[[int], None]) -> None:
    terminal(30)
    text = Table("Phone", "Name").text([["79161234567", "Абрикосов Борис Васильевич"]])
    lines = text.replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()
    assert lines == [
        "Phone        Name",
        "79161234567  Абрикосов Борис",
        "             Васильевич",
    ]
    terminal(8)
    assert "79161234567  Абрикосов\n" in Table("Phone", "Name").text([["79161234567", "Абрикосов"]])


def test_no_rows_come_later_in_a_terminal_that_is_too_narrow_for_the_titles(
    terminal: Callable[[int], None],
) -> None:
    terminal(8)
    table = Table("Account", "Phone")
    assert table.text([]) == "\x1b[1mAccount  Phone\x1b[0m\n"
    assert table.text([]) == ""


def test_a_pipe_gets_rows_whole_and_without_colours() -> None:
    text = Table("Name").text([["long " * 100]], grey=[True])
    assert text == "Name\n" + ("long " * 100).rstrip() + "\n"


def test_grey_rows_are_grey_in_a_terminal_that_can(
    terminal: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal(80)
    assert Table("N").text([["a"], ["b"]], grey=[False, True]).splitlines() == [
        "\x1b[1mN\x1b[0m",
        "a",
        "\x1b[2mb\x1b[0m",
    ]
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in Table("N").text([["a"]], grey=[True])


@pytest.mark.parametrize(
    ("text", "shown"),
    [("Иванов", "Иванов"), ("\x1b]0;\x07", r"\x1b]0;\x07"), ("\ud800", r"\ud800")],
)
def test_what_a_terminal_would_act_upon_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_progress_is_erased_before_anything_else_is_said(
    terminal: Callable[[int], None],
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal(80)
    monkeypatch.setattr(output._Progress, "due", 0.0)
    report("reading the cabinets: page {number}", number=3)
    tell("{error}", error="gone")
    assert capfdbinary.readouterr().err == (
        b"reading the cabinets: page 3" + b"\r\x1b[K" + b"gone\n"
    )


def test_no_progress_is_left_once_all_is_done(
    terminal: Callable[[int], None],
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal(80)
    monkeypatch.setattr(output._Progress, "due", 0.0)
    assert list(track([1], "reading the details: {done} of {total}")) == [1]
    assert capfdbinary.readouterr().err == b"reading the details: 1 of 1\r\x1b[K"


def test_a_short_wait_and_a_log_file_get_no_progress(
    terminal: Callable[[int], None],
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message = "reading the details: {done} of {total}"
    monkeypatch.setattr(output._Progress, "due", 0.0)
    assert list(track([1, 2], message)) == [1, 2]
    terminal(80)
    tell("{error}", error="what was just said")
    assert list(track([1, 2], message)) == [1, 2]
    assert capfdbinary.readouterr().err == b"what was just said\n"


def test_a_failure_is_a_line_and_a_status(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with pytest.raises(SystemExit) as caught:
        fail("{file}: cannot be read: {error}", file="x", error=FileNotFoundError(2, "no", "y"))
    assert caught.value.code == 1
    assert capfdbinary.readouterr().err == b"x: cannot be read: No such file or directory\n"


@pytest.mark.parametrize(
    ("number", "english", "russian"),
    [
        (1, "1 event", "1 событие"),
        (3, "3 events", "3 события"),
        (11, "11 events", "11 событий"),
        (21, "21 events", "21 событие"),
    ],
)
def test_numbers_are_counted_in_both_languages(number: int, english: str, russian: str) -> None:
    assert count(number, "{count} event", "{count} events") == english
    speak("ru")
    assert count(number, "{count} event", "{count} events") == russian


@pytest.mark.parametrize(
    ("english", "russian"),
    [
        (
            "sign_in: the cabinet refused login and password",
            "вход: кабинет не принял логин и пароль",
        ),
        ("office: missing", "office: не задан"),
        ("none: connection refused", "none: в соединении отказано"),
        (
            "list: page 3: the session is over",
            "список: страница 3: сеанс завершён",
        ),
        (
            "it is empty, and was not before; sign_in: the session is over",
            "он пуст, а раньше не был; вход: сеанс завершён",
        ),
        ("must be on or off", "должно быть on или off"),
        ("the placeholder {page} is missing", "нет подстановки {page}"),
        ('unexpected "x" at 7', 'неожиданное "x" в позиции 7'),
        ("unexpected KeyError at a.py:7", "непредвиденная ошибка KeyError в a.py:7"),
        (
            "Expecting value: line 1 column 2 (char 1)",
            "здесь нужно значение: строка 1, столбец 2 (символ 1)",
        ),
        (
            "sign_in: vpbx.mts.ru redirects to another host (https://a.b); not followed",
            "вход: vpbx.mts.ru перенаправляет на другой узел (https://a.b); переход не выполнен",
        ),
        (
            (
                "sign_in: the cabinet refused login and password; "
                "the password was sent 7 s ago, and is not sent again for 53 s"
            ),
            (
                "вход: кабинет не принял логин и пароль; "
                "пароль отправлен 7 с назад, следующая отправка — не раньше чем через 53 с"
            ),
        ),
        (
            "sign_in: the password was sent 7 s ago, and is not sent again for 53 s",
            "вход: пароль отправлен 7 с назад, следующая отправка — не раньше чем через 53 с",
        ),
        (
            (
                "sign_in: HTTP 403: the cabinet forbids it; the login may be blocked, or this "
                "address; the session is over"
            ),
            (
                "вход: HTTP 403: кабинет запрещает; логин или этот адрес могут быть заблокированы; "
                "сеанс завершён"
            ),
        ),
        ("the moon is full: not done", "the moon is full: не сделано"),
        ("the moon is full", "the moon is full"),
    ],
)
def test_sentences_of_other_rooms_are_translated_part_by_part(english: str, russian: str) -> None:
    assert sentence(english) == english
    speak("ru")
    assert sentence(english) == russian
