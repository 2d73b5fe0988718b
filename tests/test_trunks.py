"""The table of flags, what a snapshot counts, and how phones are written."""

from __future__ import annotations

import pytest

from vats_exporter.cabinet.settings import FlagPositions
from vats_exporter.trunks import (
    FLAG_POSITIONS,
    FLAGS,
    ROW_FLAGS,
    Flag,
    Flags,
    Trunk,
    normalise_phone,
    phone_digits,
    read_phone,
)

WORKING = Trunk("CaLztv", 1, "79161234567", "", Flags(True, True, False), "1100", True)


def test_each_flag_of_the_row_is_an_attribute_in_the_order_of_the_table() -> None:
    assert [*Flags._fields] == [flag.key for flag in ROW_FLAGS]
    assert [*FlagPositions.model_fields] == [flag.key for flag in ROW_FLAGS]
    defaults = [one.default for one in FlagPositions.model_fields.values()]
    assert defaults == [flag.position for flag in ROW_FLAGS]


def test_no_two_flags_share_a_key_a_position_or_a_word() -> None:
    assert len({flag.key for flag in FLAGS}) == len(FLAGS)
    assert len({flag.title.en for flag in FLAGS}) == len(FLAGS)
    assert len({flag.title.ru for flag in FLAGS}) == len(FLAGS)
    words = [word for flag in FLAGS for word in flag.only]
    assert len(set(words)) == len(words)
    positions = [flag.position for flag in ROW_FLAGS]
    assert len(set(positions)) == len(positions)
    assert set(positions) <= set(FLAG_POSITIONS)


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.key)
def test_every_flag_has_words_in_both_languages(flag: Flag) -> None:
    for words in (flag.help, flag.title, flag.on, flag.off):
        assert words.en.isascii()
        assert words.ru
        assert not words.ru.isascii()


def test_a_flag_is_read_of_a_trunk_and_unknown_without_details() -> None:
    told = WORKING._replace(sip_device_enabled=False)
    assert {flag.key: flag.of(told) for flag in FLAGS} == {
        "active": True,
        "bound": True,
        "marked_for_deletion": False,
        "sip_device_enabled": False,
    }
    assert FLAGS[-1].of(WORKING) is None


def test_a_trunk_that_carries_calls_has_no_troubles_and_one_that_does_not_has_all() -> None:
    assert WORKING.troubles == ()
    worst = WORKING._replace(flags=Flags(False, False, True), sip_device_enabled=False)
    assert [flag.trouble_words.en for flag in worst.troubles] == [
        "inactive",
        "unbound",
        "marked for deletion",
        "selector off",
    ]


@pytest.mark.parametrize(
    ("shown", "phone"),
    [
        ("79161234567", "79161234567"),
        ("+7 (916) 123-45-67", "79161234567"),
        ("8 916 123-45-67", "79161234567"),
        ("9161234567", "79161234567"),
        ("701", ""),
        ("", ""),
        ("Иванов 79161234567", ""),
        ("4951234567", ""),
        ("791612345678", ""),
        ("٧٩١٦١٢٣٤٥٦٧", ""),
    ],
)
def test_phones_are_written_as_eleven_digits(shown: str, phone: str) -> None:
    assert normalise_phone(shown) == phone


@pytest.mark.parametrize(
    "text",
    [
        "79161234567",
        "+7 916 123-45-67",
        "8 (916) 123-45-67",
        "9161234567",
        "tel:+79161234567",
        "TEL:+7-916-123-45-67;ext=12",
        "0079161234567",
        "007 916 123 45 67",
        "8~10~7 916 123 45 67",
        "8107 9161234567",
        "+7\u00a0916\u00a0123\u201145\u201167",
        "+7 916 123–45–67",
        "\u202a+79161234567\u202c",
        "\ufeff79161234567",
        "+7.916.123.45.67",
        "７９１６１２３４５６７",
        "\t79161234567\n",
    ],
)
def test_a_phone_is_read_as_people_paste_it(text: str) -> None:
    assert read_phone(text) == "79161234567"


@pytest.mark.parametrize("text", ["", "CaLztv", "1234567", "00491711234567", "7916123456x", "tel:"])
def test_what_is_no_russian_phone_is_none(text: str) -> None:
    assert read_phone(text) == ""


def test_the_digits_of_a_part_of_a_phone_are_read() -> None:
    assert phone_digits("123–45\u00a067") == "1234567"
    assert phone_digits("12a") == ""
