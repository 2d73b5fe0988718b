"""An inspection reads pages as the exporter does; its copies have the answers' shape alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cabinet.answers import Answer, phone, ref
from tests.cabinet.layouts import LONG
from vats_exporter.cabinet.errors import DifferError
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.demo import Answer as HttpAnswer
from vats_exporter.demo import (
    Deployment,
    Fault,
    Incoming,
    SimulatedCabinet,
    make_accounts,
)
from vats_exporter.demo.deployment import ARRAY_LIST, LIST_RECORD, LIST_RESPONSE, QUEUE
from vats_exporter.gwt import GwtError, decode, encode_long, encode_response
from vats_exporter.tools.inspection import Anonymiser, inspect

WIRE = Path(__file__).parents[1] / "wire"


def settings(cabinet: SimulatedCabinet) -> CabinetSettings:
    (account,) = cabinet.accounts
    return CabinetSettings(
        login=account.login, password=account.password, address=cabinet.url, allow_plain_http=True
    )


def row_within_a_row(deployment: Deployment) -> bytes:
    """A list of three rows: one with another inside, one more, and the first one again.

    A number in the list before it may be a class: which object the last one is is not certain then.
    """
    row = deployment.signature(LIST_RECORD)
    answer = Answer()
    answer.begin(deployment.signature(LIST_RESPONSE))
    answer.boxed(LONG, "CbwhyN")
    answer.begin(deployment.signature(ARRAY_LIST))
    answer.plain(1)
    answer.begin(deployment.signature(QUEUE))
    answer.text("Очередь 1")
    answer.plain(answer.index(LONG), 0)
    answer.begin(deployment.signature(ARRAY_LIST))
    answer.plain(3)
    for number, after in ((0, ()), (1, (0,)), (2, (0, -6))):
        answer.begin(row)
        answer.text(phone(number))
        answer.core(ref(number), "1100")
        answer.plain(*after)
    answer.plain(3)
    return encode_response(answer.response()).encode()


def test_rows_that_script_and_block_read_differently_are_shown_in_both_readings() -> None:
    # A row's "migration" is an object, and may be another row.
    deployment = replace(Deployment.make(), before=("phone",), after=("migration",), other_lists=1)
    with SimulatedCabinet(make_accounts(1, trunks=3), deployment=deployment) as cabinet:
        body = row_within_a_row(deployment)
        cabinet.faults = lambda incoming: (
            Fault(instead=HttpAnswer(200, (), body)) if incoming.call == "list" else None
        )
        found = inspect(settings(cabinet))
    error = found.error
    assert isinstance(error, DifferError)
    assert "list: page 1: by the script the list has 3 rows, by their block 3" in str(error)
    assert error.by_script == [f"{ref(row)} 1100" for row in (0, 2, 0)]
    assert error.by_block == [f"{ref(row)} 1100" for row in (0, 1, 2)]
    assert found.listing.trunks == ()


@pytest.mark.parametrize("kind", ["a", "b", "c", "d"])
def test_pages_are_read_by_the_script(kind: str) -> None:
    deployment = replace(
        Deployment.make(),
        before=("contact", "options", "phone"),
        kind=kind,  # type: ignore[arg-type]
        other_lists=1,
        list_fragment=2,
        fragments=3,
    )
    with SimulatedCabinet(make_accounts(1, trunks=120), deployment=deployment) as cabinet:
        found = inspect(settings(cabinet))
    assert [(len(page.records), page.total, page.read_by) for page in found.pages] == [
        (100, 120, "script"),
        (20, 120, "script"),
        (0, 120, "script"),
    ]
    assert (found.error, found.listing.read_by, len(found.listing.trunks)) == (None, "script", 120)


def test_a_page_read_before_a_redeployment_is_shown_as_it_was_read() -> None:
    with SimulatedCabinet(make_accounts(1, trunks=120)) as cabinet:

        def redeploy(incoming: Incoming) -> None:
            if incoming.call == "list" and incoming.number == 2:
                cabinet.redeploy()

        cabinet.faults = redeploy
        found = inspect(settings(cabinet))
    assert [(len(page.records), page.read_by) for page in found.pages] == [
        (100, "script"),
        (20, "script"),
        (0, "script"),
    ]


def test_of_a_list_that_is_read_again_before_it_is_believed_the_second_is_shown() -> None:
    other = b'//OK[0,2,1,["ru.example.Other/1","java.util.ArrayList/4159755760"],0,7]'
    with SimulatedCabinet(make_accounts(1, trunks=120)) as cabinet:
        odd = iter([None, Fault(instead=HttpAnswer(200, (), other))])
        cabinet.faults = lambda incoming: next(odd, None) if incoming.call == "list" else None
        found = inspect(settings(cabinet))
    assert sum(name.startswith("list") for name, _ in found.answers) == 5
    assert [len(page.records) for page in found.pages] == [100, 20, 0]


@pytest.mark.parametrize("name", ["list_page100", "list_escapes_dq", "getform31"])
def test_an_answer_keeps_its_numbers_and_its_classes(name: str) -> None:
    body = (WIRE / f"{name}.txt").read_bytes()
    copy = Anonymiser().answer(body)
    before, after = decode(body), decode(copy)
    assert [token for token in before.tokens if not isinstance(token, str)] == [
        token for token in after.tokens if not isinstance(token, str)
    ]
    assert len(before.string_table) == len(after.string_table)
    changed = 0
    for one, other in zip(before.string_table, after.string_table, strict=True):
        if one.startswith(("java.", "ru.")):
            assert one == other
        changed += one != other
    assert changed > 2
    # Written in the same style, by which a reader may go wrong.
    assert (copy.find(b"'") < copy.find(b'"')) == (body.find(b"'") < body.find(b'"'))


def test_what_is_no_answer_has_no_copy() -> None:
    with pytest.raises(GwtError):
        Anonymiser().answer(b"<html>79161234567</html>")


@given(st.text(max_size=30))
def test_a_string_keeps_its_length_and_its_kinds(text: str) -> None:
    other = Anonymiser().text(text)
    assert len(other) == len(text)
    for one, two in zip(text, other, strict=True):
        assert (one.isalpha(), one.isspace()) == (two.isalpha(), two.isspace())


def test_a_phone_stays_the_same_phone_wherever_it_stands() -> None:
    anonymiser = Anonymiser()
    phone = anonymiser.text("79161234567")
    assert phone != "79161234567"
    assert anonymiser.text("mobsip_9161234567") == f"mobsip_{phone[1:]}"
    assert anonymiser.text("тел. 79161234567").endswith(phone)


def test_longs_keep_their_length_and_differ_where_they_differed() -> None:
    anonymiser = Anonymiser()
    longs = [encode_long(2_586_000_000 + number) for number in range(500)]
    others = [anonymiser.long(text) for text in longs]
    assert len(set(others)) == len(longs)
    assert [len(text) for text in others] == [len(text) for text in longs]
    assert all(other != text for other, text in zip(others, longs, strict=True))
    assert anonymiser.long("A") == "A"
