"""Lines as a reader of the log sees them: their form, and what must never be in them."""

from __future__ import annotations

import gc
import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.process import capture_logs, process_put_back
from vats_exporter import logs
from vats_exporter.logs import get_logger
from vats_exporter.redaction import register_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

WEB = get_logger("vats_exporter.web")


@pytest.fixture(autouse=True)
def _fresh_log() -> Iterator[None]:
    """The process' logging as it was."""
    with process_put_back():
        yield


def lines(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def logged(level: logs.Level = "info", /, **fields: object) -> dict[str, object]:
    """The fields of one event, as a reader of JSON gets them back."""
    stream = io.StringIO()
    logs.configure(form="json", level=level, stream=stream)
    get_logger("vats_exporter.part").warning("event", **fields)
    (line,) = lines(stream)
    result: dict[str, object] = json.loads(line)
    return result


def test_keyword_arguments_are_the_fields_of_the_record() -> None:
    with capture_logs() as lines:
        get_logger("vats_exporter.part").warning("event", level=1, msg="m", self="s")
    assert lines == [
        {"event": "event", "log_level": "warning", "level": 1, "msg": "m", "self": "s"}
    ]


def test_a_bound_logger_adds_its_fields_to_every_line() -> None:
    log = get_logger("vats_exporter.part").bind(account="office").bind(call="list")
    with capture_logs() as captured:
        log.info("event", account="other")
        log.info("event")
    assert [(line["account"], line["call"]) for line in captured] == [
        ("other", "list"),
        ("office", "list"),
    ]


@time_machine.travel("2024-11-24T03:38:00.125+00:00", tick=False)
def test_a_line_of_logfmt_has_time_level_message_and_fields() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    get_logger("vats_exporter.part").info(
        "refreshed", account="Офис 1", trunks=300, duration=1.25, ok=True, error=None
    )
    assert stream.getvalue() == (
        "ts=2024-11-24T03:38:00.125Z level=info msg=refreshed "
        'account="Офис 1" trunks=300 duration=1.25 ok=true error=\n'
    )


@time_machine.travel("2024-11-24T03:38:00.125+00:00", tick=False)
def test_a_line_of_json_has_the_same_fields() -> None:
    stream = io.StringIO()
    logs.configure(form="json", stream=stream)
    get_logger("vats_exporter.part").warning("refreshed", account="Офис 1", trunks=300, error=None)
    assert json.loads(stream.getvalue()) == {
        "ts": "2024-11-24T03:38:00.125Z",
        "level": "warn",
        "msg": "refreshed",
        "account": "Офис 1",
        "trunks": 300,
        "error": None,
    }


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["debug", "info", "warn", "error"]),
        ("info", ["info", "warn", "error"]),
        ("warn", ["warn", "error"]),
        ("error", ["error"]),
    ],
)
def test_less_serious_levels_are_left_out(level: logs.Level, written: list[str]) -> None:
    stream = io.StringIO()
    logs.configure(form="json", level=level, stream=stream)
    logger = get_logger("vats_exporter.part")
    for write in (logger.debug, logger.info, logger.warning, logger.error):
        write("event")
    assert [json.loads(line)["level"] for line in lines(stream)] == written


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "no"', r'"say \"no\""'),
        ("back\\slash", r'"back\\slash"'),
        ("two\nlines\r\n", r'"two\nlines\r\n"'),
        ("\x1b[31mred", r'"\u001b[31mred"'),
        ("lone \ud800", r'"lone \ud800"'),
        ("line\u2028separator", r'"line\u2028separator"'),
        ("right\u202eto left", r'"right\u202eto left"'),
        ({"a": [1, "b"]}, r'"{\"a\": [1, \"b\"]}"'),
        (float("nan"), "nan"),
    ],
)
def test_values_of_logfmt_stay_on_their_line(value: object, text: str) -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    get_logger("vats_exporter.part").info("event", value=value)
    assert stream.getvalue().partition(" value=")[2] == text + "\n"


def test_keys_of_logfmt_hold_no_blank_or_equals_sign() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    get_logger("vats_exporter.part").info("event", **{"a b=\n": 1})
    assert stream.getvalue().endswith(" a_b__=1\n")


def test_fields_cannot_take_the_place_of_the_lines_own() -> None:
    fields = logged(level="none", msg="mine", ts="now")
    assert (fields["level"], fields["msg"]) == ("warn", "event")
    assert (fields["level_"], fields["msg_"], fields["ts_"]) == ("none", "mine", "now")


def raise_with_a_local_secret() -> None:
    local = "local-secret"
    raise ValueError(f"two\nlines of {len(local)}")


def test_an_exception_is_one_line_without_traceback() -> None:
    stream = io.StringIO()
    logs.configure(form="json", stream=stream)
    try:
        raise_with_a_local_secret()
    except ValueError:
        logging.getLogger("vats_exporter.part").exception("failed")
    fields = json.loads(stream.getvalue())
    assert fields["error"] == "ValueError: two\nlines of 12"
    assert "traceback" not in fields


def test_at_debug_an_exception_comes_with_its_traceback_but_no_locals() -> None:
    stream = io.StringIO()
    logs.configure(form="json", level="debug", stream=stream)
    try:
        try:
            raise_with_a_local_secret()
        except ValueError as error:
            raise RuntimeError("outer") from error
    except RuntimeError:
        logging.getLogger("vats_exporter.part").exception("failed")
    (line,) = lines(stream)
    trace = json.loads(line)["traceback"]
    assert trace.startswith("Traceback")
    assert trace.index("ValueError: two") < trace.index("RuntimeError: outer")
    assert "in raise_with_a_local_secret" in trace
    assert "local-secret" not in line


@pytest.mark.parametrize(
    "name",
    ["password", "j_password", "Set-Cookie", "cookie", "Authorization", "sip_login", "JSESSIONID"],
)
def test_values_under_telling_names_are_never_written(name: str) -> None:
    assert logged(**{name: "hunter2"})[name] == "***"
    assert logged(headers={name: "hunter2"})["headers"] == {name: "***"}


def test_registered_secrets_are_replaced_in_messages_keys_exceptions_and_nested_values() -> None:
    register_secrets("hunter2-secret")
    stream = io.StringIO()
    logs.configure(level="debug", stream=stream)
    logger = get_logger("vats_exporter.part")
    logger.error(
        "hunter2-secret",
        deep=[{"x": ("hunter2-secret",)}],
        raw=b"hunter2-secret",
        error=ValueError("no hunter2-secret"),
    )
    logger.info("event", **{"hunter2-secret": 1})
    logging.getLogger("library").error("said %s", "hunter2-secret")
    assert "hunter2" not in stream.getvalue()
    assert len(lines(stream)) == 3


def test_a_secret_of_digits_is_replaced_as_a_number_but_not_within_one() -> None:
    register_secrets("1234")
    fields = logged(whole=1234, part=0.1234, text="pin 1234")
    assert (fields["whole"], fields["part"], fields["text"]) == ("***", 0.1234, "pin ***")


def test_a_long_value_is_cut_after_its_secrets_are_replaced() -> None:
    register_secrets("hunter2-secret")
    text = logged(body="x" * 9_995 + "hunter2-secret" + "y" * 10_000)["body"]
    assert isinstance(text, str)
    assert "hunter" not in text
    assert text.endswith("***yy… (19998 characters)")


def test_libraries_log_into_the_same_lines() -> None:
    stream = io.StringIO()
    logs.configure(form="json", stream=stream)
    logging.getLogger("library").warning("slow: %d s", 3)
    fields = json.loads(stream.getvalue())
    assert (fields["level"], fields["logger"], fields["msg"]) == ("warn", "library", "slow: 3 s")


def test_pythons_warnings_are_lines_too() -> None:
    stream = io.StringIO()
    logs.configure(form="json", stream=stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        # Entered after `configure`, so that it is the log that shows the warning.
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert "DeprecationWarning: old" in json.loads(stream.getvalue())["msg"]


def test_an_exception_that_ends_a_thread_is_a_line_without_its_message() -> None:
    stream = io.StringIO()
    logs.configure(form="json", stream=stream)

    def fail() -> None:
        raise ValueError("hunter2")

    thread = threading.Thread(target=fail, name="worker")
    thread.start()
    thread.join()
    fields = json.loads(stream.getvalue())
    assert (fields["msg"], fields["thread"]) == ("thread ended", "worker")
    assert re.fullmatch(r"unexpected ValueError at test_logs\.py:\d+", fields["error"])


class Dying:
    def __del__(self) -> None:
        raise ValueError("hunter2")


def test_an_exception_that_nobody_can_catch_is_a_line_without_its_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = io.StringIO()
    logs.configure(form="json", stream=stream)
    Dying()
    gc.collect()
    fields = json.loads(stream.getvalue())
    assert (fields["level"], fields["msg"]) == ("error", "exception ignored")
    assert re.fullmatch(r"unexpected ValueError at test_logs\.py:\d+", fields["error"])
    assert capsys.readouterr().err == ""


def test_libraries_are_never_asked_for_more_than_warnings() -> None:
    stream = io.StringIO()
    logs.configure(level="debug", stream=stream)
    logging.getLogger("library").info("connecting")
    assert stream.getvalue() == ""


def test_a_second_configuration_replaces_the_first() -> None:
    first, second = io.StringIO(), io.StringIO()
    logs.configure(stream=first)
    logs.configure(stream=second)
    get_logger("vats_exporter.part").info("event")
    logging.getLogger("library").error("event")
    assert first.getvalue() == ""
    assert len(lines(second)) == 2


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def test_what_has_no_text_is_still_logged() -> None:
    recursive: dict[str, object] = {}
    recursive["itself"] = recursive
    fields = logged(value=Unprintable(), recursive=recursive, huge=10**5000, infinite=float("inf"))
    assert fields["value"] == "<unprintable Unprintable>"
    assert fields["infinite"] == "inf"


def test_arguments_that_do_not_fit_their_message_do_not_fail() -> None:
    stream = io.StringIO()
    # pytest's own handlers raise on such a record.
    logging.getLogger().handlers.clear()
    logs.configure(form="json", stream=stream)
    unfit = logging.LogRecord("library", logging.ERROR, "", 1, "%d of %d", ("one",), None)
    logging.getLogger("library").handle(unfit)
    assert json.loads(stream.getvalue())["msg"] == "%d of %d"


@pytest.mark.parametrize("closed", [True, False])
def test_a_stream_that_is_gone_does_not_fail(
    monkeypatch: pytest.MonkeyPatch, *, closed: bool
) -> None:
    stream = io.StringIO()
    stream.close()
    logs.configure()
    monkeypatch.setattr(sys, "stderr", stream if closed else None)
    get_logger("vats_exporter.part").info("event")


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary()
)
# Not st.recursive: it reads this file again when the test runs, and fails where that was edited.
VALUES: st.SearchStrategy[object] = st.deferred(
    lambda: (
        SCALARS
        | st.lists(VALUES, max_size=3)
        | st.dictionaries(st.text(st.characters()), VALUES, max_size=3)
    )
)


@settings(max_examples=80, deadline=None)
@given(st.text(st.characters()), st.dictionaries(st.text(st.characters()), VALUES, max_size=4))
def test_any_event_is_one_line(event: str, fields: dict[str, object]) -> None:
    fields = {name: value for name, value in fields.items() if name not in {"event", "self"}}
    for form in ("logfmt", "json"):
        stream = io.StringIO()
        logs.configure(form="json" if form == "json" else "logfmt", stream=stream)
        get_logger("vats_exporter.part").info(event, **fields)
        (line,) = lines(stream)
        line.encode("utf-8")
        if form == "json":
            assert json.loads(line)["level"] == "info"


def test_a_thread_that_ends_itself_is_no_failure() -> None:
    stream = io.StringIO()
    logs.configure(form="json", stream=stream)
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()
    assert stream.getvalue() == ""


def test_an_exception_may_be_given_as_pythons_triple() -> None:
    stream = io.StringIO()
    logs.configure(form="json", stream=stream)
    try:
        json.loads("")
    except ValueError:
        logging.getLogger("vats_exporter.part").exception("failed")
    logging.getLogger("vats_exporter.part").error("failed", exc_info=(None, None, None))
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["error"].startswith("JSONDecodeError: Expecting value")
    assert (second["msg"], "error" in second) == ("failed", False)


def test_what_breaks_whoever_looks_at_it_is_told_in_a_line_of_its_own() -> None:
    class Odd:
        @property  # type: ignore[misc]  # nothing does so on purpose
        def __class__(self) -> type:
            raise RuntimeError("hunter2")

    fields = logged(value=Odd())
    assert (fields["msg"], fields["error"]) == ("cannot log", "RuntimeError")


def test_a_reader_that_stops_reading_stops_no_one_and_what_is_dropped_is_counted() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading, "rb") as reader:
        logs.configure(form="json", stream=stream, queued=True)
        log = get_logger("vats_exporter.part")
        before, sent, pad = logs.writer.dropped, 0, "x" * 1000
        while logs.writer.dropped == before:
            log.info("event", number=sent, pad=pad)
            sent += 1
        dropped = logs.writer.dropped - before
        assert sent - dropped >= logs.QUEUED_LINES
        numbers = [json.loads(reader.readline())["number"] for _ in range(sent - dropped)]
        assert numbers == list(range(sent - dropped))
        log.info("event", number=-1, pad="")
        assert json.loads(reader.readline())["number"] == -1


def test_an_exit_is_not_held_up_by_a_log_that_is_not_read() -> None:
    code = (
        "import sys\n"
        "from vats_exporter import logs\n"
        "from vats_exporter.logs import get_logger\n"
        "logs.configure(queued=True)\n"
        "for number in range(300): logs.get_logger('vats_exporter').info('x' * 1000)\n"
        "print('done')\n"
    )
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb") as unread:
        done = subprocess.run(
            [sys.executable, "-c", code],
            check=False,
            stdout=subprocess.PIPE,
            stderr=unread,
            timeout=30,
        )
    assert (done.returncode, done.stdout) == (0, b"done\n")


def test_a_warning_is_logged_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    logs._warned.cache_clear()
    with capture_logs() as seen:
        for ticks in (0.0, 30.0, 59.9, 60.0, 61.0):
            monkeypatch.setattr(time, "monotonic", lambda ticks=ticks: ticks)
            for client in ("a", "b"):
                WEB.warn_seldom("refused", client=client)
    assert [line["client"] for line in seen] == ["a", "b"] * 2


def test_many_clients_do_not_fill_the_log() -> None:
    logs._warned.cache_clear()
    with capture_logs() as seen:
        for _ in range(2):
            for number in range(1000):
                WEB.warn_seldom("refused", client=f"2001:db8::{number:x}")
    assert len(seen) <= 2 * 100  # a minute may end in between
