"""Fields given to a logger, as a handler finds them."""

from __future__ import annotations

from tests.process import capture_logs
from vats_exporter.logs.logger import get_logger


def test_keyword_arguments_are_the_fields_of_the_record() -> None:
    with capture_logs() as lines:
        get_logger("vats_exporter.part").warning("event", level=1, msg="m", self="s")
    assert lines == [
        {"event": "event", "log_level": "warning", "level": 1, "msg": "m", "self": "s"}
    ]


def test_a_bound_logger_adds_its_fields_to_every_line() -> None:
    log = get_logger("vats_exporter.part").bind(account="office").bind(call="list")
    with capture_logs() as lines:
        log.info("event", account="other")
        log.info("event")
    assert [(line["account"], line["call"]) for line in lines] == [
        ("other", "list"),
        ("office", "list"),
    ]
