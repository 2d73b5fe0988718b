"""The bytes of the exposition formats, held against prometheus_client's."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from vats_exporter.metrics import exposition
from vats_exporter.metrics.exposition import (
    Exposition,
    Format,
    clean,
    encode,
    escape_column,
    family,
    label_column,
    negotiate,
    sample_lines,
)
from vats_exporter.metrics.table import Metric

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.core import Metric as Family


NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,12}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.text(
    '\\"\n\x00%{},= абв😀', max_size=8
)
ANY_TEXTS = TEXTS | st.text(max_size=8)
FLOATS = st.floats() | st.integers(-(10**18), 10**18).map(float) | st.sampled_from([0.0, 1e6])
VALUES = FLOATS.map(lambda value: value + 0.0)  # -0.0 would be 0.0, which nothing here is


class Given:
    """A registry's collector that collects what it is given."""

    def __init__(self, *families: Family) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def oracle(form: Format, *families: Family) -> bytes:
    registry = CollectorRegistry()
    registry.register(Given(*families))
    write = generate_openmetrics if form is Format.OPENMETRICS else generate_latest
    return write(registry)


def ended(form: Format, data: bytes) -> bytes:
    return data + b"# EOF\n" if form is Format.OPENMETRICS else data


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
    rows = data.draw(st.lists(st.tuples(st.tuples(*[TEXTS] * len(names)), VALUES), max_size=5))
    theirs: Family
    if counter:
        theirs = CounterMetricFamily(name, text, labels=names)
        ours = Metric(f"{name}_total", "counter", text, tuple(names), "account")
    else:
        theirs = GaugeMetricFamily(name, text, labels=names)
        ours = Metric(name, "gauge", text, tuple(names), "account")
    for values, value in rows:
        theirs.add_metric(list(values), value)
    columns = {
        one: escape_column([values[at] for values, _ in rows]) for at, one in enumerate(names)
    }
    labels = label_column(columns)
    values = [value for _, value in rows]
    lines = sample_lines(ours.name, labels, values)
    for form in Format:
        assert ended(form, encode([family(ours)], form) + lines) == oracle(form, theirs)
        assert ended(form, encode([theirs], form)) == oracle(form, theirs)


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
    refs = escape_column([ref for ref, _, _ in rows])
    phones = escape_column([phone for _, phone, _ in rows])
    labels = label_column({"trunk": refs, "account": account, "phone": phones})
    metric = Metric("flag", "gauge", "A flag.", ("trunk", "account", "phone"), "trunk")
    for form in Format:
        page = encode([family(metric)], form) + sample_lines(
            "flag", labels, [row[2] for row in rows]
        )
        assert ended(form, page) == oracle(form, theirs)


@given(st.lists(ANY_TEXTS, min_size=1, max_size=8))
def test_a_column_is_written_as_its_texts_are_one_by_one(texts: list[str]) -> None:
    one_by_one = [escape_column([text])[0] for text in texts]
    assert escape_column(texts) == one_by_one
    assert all(b"\n" not in line for line in one_by_one)
    b"".join(one_by_one).decode()


def test_lone_surrogates_become_replacement_characters() -> None:
    assert clean("Иван\ud83dов") == "Иван\ufffdов"


def test_a_label_of_one_value_stands_in_every_line() -> None:
    lines = label_column({"a": "100%", "b": [b"x", b"y"]})
    assert lines == [b'a="100%",b="x"', b'a="100%",b="y"']


@given(st.lists(st.binary(max_size=300), max_size=6), st.sampled_from(Format))
@settings(max_examples=60, deadline=None)
def test_a_compressed_page_is_one_gzip_member_of_the_plain_page(
    chunks: list[bytes], form: Format
) -> None:
    page = Exposition(chunks, form)
    plain = b"".join(page.chunks)
    assert plain == ended(form, b"".join(chunks))
    packed = page.gzipped()
    assert gzip.decompress(packed) == plain
    one_member = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert one_member.decompress(packed) == plain
    assert (one_member.eof, one_member.unused_data) == (True, b"")


def test_a_page_is_compressed_once() -> None:
    page = Exposition([b"x\n"], Format.TEXT)
    assert page.gzipped() is page.gzipped()


def test_a_small_page_is_one_piece_and_a_large_one_is_never_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chunks = [b"head\n", b"lines\n"]
    assert Exposition(chunks, Format.TEXT).chunks == (b"head\nlines\n",)
    monkeypatch.setattr(exposition, "_SMALL", 4)
    large = Exposition(chunks, Format.TEXT).chunks
    assert [id(one) for one in large] == [id(one) for one in chunks]


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
    "accept",
    [
        PROMETHEUS_2,
        PROMETHEUS_3,
        PROMETHEUS_3_PROTOBUF,
        PROMETHEUS_3_TEXT_ONLY,
        BROWSER,
        "application/openmetrics-text; version=0.0.1",
        "application/openmetrics-text",
        "*/*",
        "",
    ],
)
def test_scrapers_get_what_the_client_library_gives(accept: str) -> None:
    encoder, content_type = choose_encoder(accept)
    ends = encoder(CollectorRegistry()).endswith(b"# EOF\n")
    assert negotiate(accept) == (Format.OPENMETRICS if ends else Format.TEXT, content_type)


@pytest.mark.parametrize("version", ["one", "1.x", "1" * 5000, '"1.0.0"', "-1", "1.0.0<x>"])
@pytest.mark.parametrize("kind", ["application/openmetrics-text", "text/plain"])
def test_a_version_that_is_none_gets_text(kind: str, version: str) -> None:
    assert negotiate(f"{kind};version={version}") == negotiate("")


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
        _, answer = negotiate(f"{media_type};version=1.0.0;escaping={asked}")
        assert answer == f"{media_type}; version=1.0.0; charset=utf-8; escaping={confirmed}"


@given(st.text(max_size=60))
def test_any_accept_header_gets_a_format(accept: str) -> None:
    assert negotiate(accept)[0] in Format
