"""The bytes of the exposition formats, held against prometheus_client's."""

from __future__ import annotations

import gzip
import math
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from vats_exporter.metrics.exposition import (
    Block,
    Body,
    Family,
    Format,
    Page,
    Part,
    accepts_gzip,
    clean,
    escape,
    escape_column,
    flag_lines,
    label_column,
    label_text,
    negotiate,
    number,
    sample_line,
    value_lines,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,12}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.text(
    '\\"\n\x00%{},= абв😀', max_size=8
)
ANY_TEXTS = TEXTS | st.text(max_size=8)
FLOATS = st.floats() | st.integers(-(10**18), 10**18).map(float) | st.sampled_from([0.0, -0.0, 1e6])


class Given:
    """A registry's collector that collects what it is given."""

    def __init__(self, *families: Metric) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def oracle(form: Format, *families: Metric) -> bytes:
    registry = CollectorRegistry()
    registry.register(Given(*families))
    write = generate_openmetrics if form is Format.OPENMETRICS else generate_latest
    return write(registry)


def ended(form: Format, data: bytes) -> bytes:
    return data + b"# EOF\n" if form is Format.OPENMETRICS else data


def joined(body: Body) -> bytes:
    data = b"".join(body.chunks)
    assert len(data) == body.length
    return data


@given(FLOATS)
def test_numbers_are_written_as_the_client_library_writes_them(value: float) -> None:
    family = GaugeMetricFamily("n", "h", value=value)
    line = oracle(Format.TEXT, family).splitlines()[-1].decode()
    assert f"n {number(value)}" == line


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1.0"),
        (True, "1.0"),
        (999999.5, "999999.5"),
        (1_000_000, "1e+06"),
        (1.7954935468638835e9, "1.7954935468638835e+09"),
        (1e22, "1e+22"),
        (-1e6, "-1000000.0"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
        (-0.0, "-0.0"),
    ],
)
def test_numbers_have_the_form_that_go_writes(value: float, text: str) -> None:
    assert number(value) == text


@given(
    name=NAMES.filter(lambda name: not name.endswith(("_created", "_gsum", "_gcount"))),
    text=TEXTS,
    counter=st.booleans(),
    names=st.lists(NAMES, min_size=1, max_size=4, unique=True),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_families_have_the_bytes_of_the_client_library(
    name: str, text: str, counter: bool, names: list[str], data: st.DataObject
) -> None:
    name = name.removesuffix("_total")
    rows = data.draw(st.lists(st.tuples(st.tuples(*[TEXTS] * len(names)), FLOATS), max_size=5))
    theirs: Metric
    if counter:
        theirs = CounterMetricFamily(name, text, labels=names)
        ours = Family(f"{name}_total", "counter", text)
    else:
        theirs = GaugeMetricFamily(name, text, labels=names)
        ours = Family(name, "gauge", text)
    for values, value in rows:
        theirs.add_metric(list(values), value)
    columns = {one: [values[at] for values, _ in rows] for at, one in enumerate(names)}
    labels = label_column(columns, len(rows))
    one_by_one = [label_text(dict(zip(names, values, strict=True))) for values, _ in rows]
    assert [text.decode() for text in labels] == one_by_one
    lines = value_lines(ours.name, labels, [value for _, value in rows])
    assert lines.decode() == "".join(
        sample_line(ours.name, text, value)
        for text, (_, value) in zip(one_by_one, rows, strict=True)
    )
    for form in Format:
        assert ended(form, ours.header(form) + lines) == oracle(form, theirs)


@given(
    account=TEXTS,
    rows=st.lists(st.tuples(TEXTS, TEXTS, st.booleans()), max_size=6),
)
@settings(max_examples=100, deadline=None)
def test_flags_have_the_bytes_of_the_client_library(
    account: str, rows: list[tuple[str, str, bool]]
) -> None:
    theirs = GaugeMetricFamily("flag", "A flag.", labels=["trunk", "account", "phone"])
    for trunk, phone, flag in rows:
        theirs.add_metric([trunk, account, phone], flag)
    labels = label_column(
        {"trunk": [row[0] for row in rows], "account": account, "phone": [row[1] for row in rows]},
        len(rows),
    )
    family = Family("flag", "gauge", "A flag.")
    for form in Format:
        page = family.header(form) + flag_lines("flag", labels, [row[2] for row in rows])
        assert ended(form, page) == oracle(form, theirs)


@given(st.lists(ANY_TEXTS, max_size=8))
def test_a_column_is_escaped_as_its_texts_are_one_by_one(texts: list[str]) -> None:
    assert escape_column(texts) == [escape(text).encode() for text in texts]


@given(st.text())
def test_whatever_a_label_holds_is_utf8(text: str) -> None:
    escape(text).encode()


def test_lone_surrogates_become_replacement_characters() -> None:
    assert clean("Иван\ud83dов") == "Иван\ufffdов"


def test_labels_that_are_all_the_same_are_repeated() -> None:
    assert label_column({"a": "100%", "b": "x"}, 2) == [b'a="100%",b="x"'] * 2


def test_a_sample_without_labels_has_no_braces() -> None:
    assert sample_line("up", "", 1) == "up 1.0\n"


@given(st.lists(st.lists(st.binary(max_size=300), max_size=4), max_size=4))
@settings(max_examples=60, deadline=None)
def test_a_compressed_page_is_one_gzip_member_of_the_plain_page(rows: list[list[bytes]]) -> None:
    page = Page(*[Part([Block(raw) for raw in row]) for row in rows])
    plain = joined(page.body(compress=False))
    assert plain == b"".join(raw for row in rows for raw in row)
    packed = joined(page.body(compress=True))
    assert gzip.decompress(packed) == plain
    one_member = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert one_member.decompress(packed) == plain
    assert (one_member.eof, one_member.unused_data) == (True, b"")


def test_what_did_not_change_is_neither_compressed_nor_checked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large, small = Part([Block(b"large\n" * 1000)]), Part([Block(b"small\n")])
    Page(large, small).body(compress=True)
    checked: list[int] = []
    real = zlib.crc32

    def crc32(data: bytes, start: int) -> int:
        checked.append(len(data))
        return real(data, start)

    monkeypatch.setattr(zlib, "crc32", crc32)
    monkeypatch.setattr(zlib, "compressobj", lambda *_: pytest.fail("compressed again"))
    other = Part([Block(b"other\n")])
    other.blocks[0]._deflated = small.blocks[0].deflated
    Page(large, other).body(compress=True)
    assert checked == [len(b"other\n")]


def test_a_part_that_moved_is_checked_again() -> None:
    tail = Part([Block(b"tail\n")])
    for head in (b"one\n", b"another\n"):
        page = Page(Part([Block(head)]), tail)
        assert gzip.decompress(joined(page.body(compress=True))) == head + b"tail\n"


def test_a_body_is_made_once() -> None:
    page = Page(Part([Block(b"x\n")]))
    assert page.body(compress=True) is page.body(compress=True)
    assert page.body(compress=False) is page.body(compress=False)


PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
    f"q=0.7,{PROMETHEUS_3}"
)
PROMETHEUS_3_TEXT_ONLY = (
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.4"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    "accept", [PROMETHEUS_3, PROMETHEUS_3_PROTOBUF, PROMETHEUS_3_TEXT_ONLY, BROWSER, "*/*", ""]
)
def test_scrapers_in_use_get_what_the_client_library_would_give(accept: str) -> None:
    assert negotiate(accept).content_type == choose_encoder(accept)[1]


def test_prometheus_2_gets_openmetrics_without_the_escaping_it_does_not_know() -> None:
    chosen = negotiate(PROMETHEUS_2)
    assert chosen.format is Format.OPENMETRICS
    assert chosen.content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("application/openmetrics-text", Format.OPENMETRICS),
        ("application/openmetrics-text; version=0.0.1", Format.TEXT),
        ("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.5", Format.TEXT),
        ("text/plain;q=0.5,application/openmetrics-text;q=0.9", Format.OPENMETRICS),
        ("application/openmetrics-text;q=0", Format.TEXT),
        ("application/openmetrics-text;q=nan", Format.TEXT),
        ("application/openmetrics-text;q=much", Format.TEXT),
        ("application/openmetrics-text;q=much,text/plain;q=0.1", Format.TEXT),
        ("application/openmetrics-text;version=one", Format.TEXT),
        ("application/openmetrics-text;version=10", Format.OPENMETRICS),
        ("application/openmetrics-text;version=00.1", Format.TEXT),
        # More digits than int() takes.
        (f"application/openmetrics-text;version={'1' * 5000}", Format.OPENMETRICS),
        (f"application/openmetrics-text;q={'1' * 5000}", Format.TEXT),
        ('APPLICATION/OpenMetrics-Text ; Version="1.0.0"', Format.OPENMETRICS),
        (";;;,,=,q=", Format.TEXT),
        ("image/png", Format.TEXT),
    ],
)
def test_the_format_liked_best_is_chosen(accept: str, form: Format) -> None:
    assert negotiate(accept).format is form


@pytest.mark.parametrize(
    ("asked", "confirmed"),
    [
        ("allow-utf-8", "allow-utf-8"),
        ("underscores", "underscores"),
        ("values", "values"),
        ("dots", "underscores"),
    ],
)
def test_an_escaping_is_confirmed_where_it_leaves_names_as_they_are(
    asked: str, confirmed: str
) -> None:
    for media_type in ("text/plain", "application/openmetrics-text"):
        answer = negotiate(f"{media_type};version=1.0.0;escaping={asked}").content_type
        assert answer == f"{media_type}; version=1.0.0; charset=utf-8; escaping={confirmed}"


@given(st.text(max_size=60))
def test_any_accept_header_gets_a_format(accept: str) -> None:
    assert negotiate(accept).format in Format


@pytest.mark.parametrize("header", ["gzip", "gzip, deflate", "GZIP;q=1.0", "br, gzip;q=0.5", ""])
def test_gzip_is_taken_as_the_client_library_takes_it(header: str) -> None:
    assert accepts_gzip(header) == gzip_accepted(header)


@pytest.mark.parametrize(
    ("header", "accepted"),
    [("gzip;q=0", False), ("*", True), ("*;q=0.1, gzip;q=0", False), ("identity", False)],
)
def test_gzip_may_be_refused_or_meant_by_a_star(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted
