"""Secrets in a text, replaced in whatever form they stand there; labels without personal data."""

from __future__ import annotations

import base64
import json
import re
from itertools import chain
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vats_exporter.metrics.exposition import render_snapshot
from vats_exporter.redaction import Privacy, describe_unexpected, redact, register_secrets
from vats_exporter.trunks import Flags, Snapshot, Trunk

SECRET = "p|ss wörd+/\"'\\<&>"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"+7-9161234567:{SECRET}".encode()).decode(),
        SECRET.replace("\\", "\\\\").replace("|", "\\!"),
    ],
)
def test_a_registered_secret_is_replaced_in_every_form(form: str) -> None:
    register_secrets(SECRET)
    text = redact(f"before {form} after")
    assert "***" in text
    assert text.startswith("before ")
    assert text.endswith(" after")
    # Of base 64 a few characters at the ends depend on the neighbours, and may stay.
    assert len(text) <= len("before  after") + 30


def test_what_looks_like_a_secret_is_replaced_though_never_registered() -> None:
    texts = {
        "/gwt/;jsessionid=0A1B2C?x=1": "/gwt/;jsessionid=***",
        "Cookie: JSESSIONID=0A1B; a=b": "Cookie: ***; a=b",
        "j_username=a&j_password=b": "j_username=a&j_password=***",
        "Authorization: Basic abc=": "Authorization: Basic ***",
        "login sip_9161234567_ab1c.": "login ***.",
    }
    assert {text: redact(text) for text in texts} == texts


def test_a_short_secret_is_replaced_only_where_it_stands_alone() -> None:
    register_secrets("an")
    assert redact("an answer, can(an)") == "*** answer, can(***)"


def test_an_empty_secret_is_no_secret() -> None:
    register_secrets("")
    assert redact("text") == "text"


@settings(max_examples=80, deadline=None)
@given(st.text(st.characters(), min_size=4, max_size=12), st.text(max_size=20))
def test_no_registered_secret_is_in_a_line(secret: str, around: str) -> None:
    register_secrets(secret)
    assert secret not in redact(around + secret + around).replace("***", "\0")


def test_secrets_of_an_owner_take_the_place_of_its_earlier_ones() -> None:
    register_secrets("pass-word", "other-one")
    register_secrets("cookie-1", owner="office")
    register_secrets("cookie-2", owner="office")
    register_secrets("third-one")
    text = "pass-word other-one third-one cookie-1 cookie-2"
    assert redact(text) == "*** *** *** cookie-1 ***"


def test_an_exception_is_told_by_the_line_that_raised_it() -> None:
    def fail() -> None:
        raise ValueError("geheim")

    with pytest.raises(ValueError, match="geheim") as caught:
        fail()
    line = fail.__code__.co_firstlineno + 1
    assert describe_unexpected(caught.value) == f"unexpected ValueError at test_redaction.py:{line}"


def test_an_exception_that_was_never_raised_has_no_place() -> None:
    assert describe_unexpected(ValueError("geheim")) == "unexpected ValueError"


FLAGS = Flags(active=True, bound=True, marked_for_deletion=False)
TRUNK = Trunk(
    "CaLztv",
    1,
    "79161234567",
    "Иванов, моб. +7 (916) 123-45-67",
    FLAGS,
    "1100",
    known=True,
    line="mobsip_9161234567",
)


def page(privacy: Privacy, *trunks: Trunk) -> str:
    lines = render_snapshot("office", Snapshot(trunks, 0.0), {}, privacy)
    return b"".join(chain.from_iterable(lines.values())).decode()


def test_nothing_is_held_back_unless_asked_for() -> None:
    text = page(Privacy(), TRUNK)
    for shown in (TRUNK.phone, TRUNK.name, TRUNK.line):
        assert f'"{shown}"' in text


def test_masked_phones_keep_their_last_four_digits_wherever_they_stand() -> None:
    text = page(Privacy(mask_phones=True), TRUNK._replace(expected_off=True))
    assert 'vats_trunk_expected_off{account="office",phone="*******4567",' in text
    assert 'phone="*******4567"' in text
    assert 'name="Иванов, моб. *******4567"' in text
    assert 'line="mobsip_******4567"' in text
    assert "916" not in text


def test_names_can_be_left_out() -> None:
    text = page(Privacy(no_names=True), TRUNK)
    assert 'name=""' in text
    assert "Иванов" not in text
    assert 'phone="79161234567"' in text


def test_the_reference_stays_so_that_trunks_stay_apart() -> None:
    twin = Trunk("CaLztw", 2, "79267654567", "", FLAGS, "1100", known=True)
    lines = re.findall(
        r"vats_trunk_active\{.*\}", page(Privacy(mask_phones=True, no_names=True), TRUNK, twin)
    )
    assert len(set(lines)) == 2
    assert {'trunk="CaLztv"', 'trunk="CaLztw"'} == {
        match[0] for line in lines for match in re.finditer(r'trunk="[^"]*"', line)
    }


@given(
    st.from_regex(r"7[0-9]{10}", fullmatch=True),
    st.text(max_size=20),
    st.sampled_from(["{}", "+{}", "тел. {} доб. 12", "({})"]),
)
def test_no_more_than_four_digits_of_a_phone_ever_stand_together(
    phone: str, name: str, form: str
) -> None:
    trunk = Trunk("CaLztv", 1, phone, name + form.format(phone), FLAGS, "1100", known=True)
    text = page(Privacy(mask_phones=True), trunk)
    assert phone[1:] not in text
    assert phone[:8] not in text


SEPARATORS = st.one_of(
    st.sampled_from(["", *"- ./_·–—‑−", *"\u00a0\u2009\u200b\u00ad"]),
    st.sampled_from([" - ", " – ", ") ", " (", ") - ", " / ", "  ", ", ", "' "]),
    st.text(st.characters(categories=["P", "S", "Z", "C"]), max_size=5),
)


@given(
    st.from_regex(r"\+?[78][0-9]{10}", fullmatch=True),
    st.lists(SEPARATORS, min_size=10, max_size=10),
    st.sampled_from(["{}", "{}", "Иванов, моб. {}", "{} (дежурный)", "№{}, каб. 12", "mobsip_{}"]),
)
def test_no_more_than_four_digits_of_a_phone_are_left_however_it_is_written(
    phone: str, separators: list[str], form: str
) -> None:
    first, *others = re.findall("[+]?[0-9]", phone)
    written = first + "".join(a + b for a, b in zip(separators, others, strict=True))
    trunk = TRUNK._replace(name=form.format(written), line="")
    name = Privacy(mask_phones=True).trunk(trunk).name
    left = re.findall("[0-9]", name.replace("каб. 12", ""))
    assert left == list(phone[-4:])


@given(st.text(max_size=200))
def test_any_name_can_be_masked(name: str) -> None:
    trunk = Trunk("CaLztv", 1, "", name, FLAGS, "1100", known=True)
    assert not re.search("[0-9]{7}", Privacy(mask_phones=True).trunk(trunk).name)


def test_an_extension_is_short_enough_to_be_shown() -> None:
    assert 'phone="701"' in page(Privacy(mask_phones=True), TRUNK._replace(phone="701"))
