"""The bytes of the exposition formats, held against prometheus_client's."""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from vats_exporter.history.history import Change
from vats_exporter.metrics import exposition, table
from vats_exporter.metrics.exposition import (
    HEADERS,
    Exposition,
    Format,
    clean,
    encode,
    escape_column,
    family,
    negotiate,
    render_snapshot,
    sample_lines,
)
from vats_exporter.metrics.table import Metric
from vats_exporter.redaction import Privacy
from vats_exporter.trunks import FLAGS, Flags, Snapshot, Trunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
    columns = [escape_column([row[at] for row, _ in rows]) for at in range(len(names))]
    labels = sorted(zip(names, columns, strict=True))
    own = [
        b",".join(b'%b="%b"' % (one.encode(), column[at]) for one, column in labels)
        for at in range(len(rows))
    ]
    lines = sample_lines(ours.name, b"", own, [value for _, value in rows])
    for form in Format:
        assert ended(form, encode([family(ours)], form) + lines) == oracle(form, theirs)
        assert ended(form, encode([theirs], form)) == oracle(form, theirs)


FLAG_VALUES = st.tuples(st.booleans(), st.booleans(), st.booleans())
TRUNKS = st.lists(
    st.builds(
        Trunk,
        ref=TEXTS,
        id=st.just(1),
        phone=TEXTS,
        name=TEXTS,
        flags=FLAG_VALUES.map(lambda values: Flags(*values)),
        pattern=st.sampled_from(("1100", "0011", '"')),
        known=st.booleans(),
        line=TEXTS,
        sip_device_enabled=st.sampled_from((None, True, False)),
        details_at=st.none() | st.floats(0, 1e10),
        expected_off=st.booleans(),
    ),
    max_size=6,
    unique_by=lambda trunk: trunk.ref,
)


def families_of(
    account: str, snapshot: Snapshot, changes: Mapping[tuple[str, str], Change]
) -> list[Family]:
    """A snapshot's families as one would make them for prometheus_client."""
    made: dict[str, Family] = {one.name: family(one) for one in table.METRICS}

    def add(metric: Metric, value: float | None, **labels: str) -> None:
        if value is not None:
            made[metric.name].add_sample(metric.name, {"account": account, **labels}, value)

    for trunk in snapshot.trunks:
        own = {"trunk": trunk.ref, "phone": trunk.phone}
        add(table.TRUNK_EXPECTED_OFF, trunk.expected_off or None, **own)
        add(table.TRUNK_INFO, 1.0, **own, name=trunk.name, line=trunk.line)
        for flag, metric in table.TRUNK_FLAGS.items():
            add(metric, flag.of(trunk), **own)
    for flag in FLAGS:
        for trunk in snapshot.trunks:
            own = {"trunk": trunk.ref, "phone": trunk.phone, "flag": flag.key}
            change = changes.get((trunk.ref, flag.key))
            never = None if flag.of(trunk) is None else 0.0
            add(table.TRUNK_FLAG_CHANGES, change.total if change else never, **own)
            if change:
                add(table.TRUNK_FLAG_CHANGED_TIMESTAMP, change.last_changed, **own)
    for (pattern, known), count in Counter(
        sorted((trunk.pattern, trunk.known) for trunk in snapshot.trunks)
    ).items():
        add(table.TRUNK_PATTERNS, count, pattern=pattern, known="true" if known else "false")
    add(table.TRUNKS, len(snapshot.trunks))
    add(table.REFRESH_TIMESTAMP, snapshot.taken_at)
    read = [one.details_at for one in snapshot.trunks if one.details_at is not None]
    add(table.DETAILS_TIMESTAMP, min(read, default=None))
    return [one for one in made.values() if one.samples]


@given(account=TEXTS, trunks=TRUNKS, data=st.data())
@settings(max_examples=150, deadline=None)
def test_snapshots_have_the_bytes_of_the_client_library(
    account: str, trunks: list[Trunk], data: st.DataObject
) -> None:
    refs = [*(trunk.ref for trunk in trunks), "gone"]
    keys = [*(flag.key for flag in FLAGS), "a flag of another version"]
    changed = st.tuples(st.sampled_from(refs), st.sampled_from(keys))
    change = st.builds(Change, st.integers(1, 9), st.floats(0, 1e10))
    changes = data.draw(st.dictionaries(changed, change, max_size=6))
    snapshot = Snapshot(tuple(trunks), 1_750_000_000.5)
    lines = render_snapshot(account, snapshot, changes, Privacy())
    for form in Format:
        heads = HEADERS[form].items()
        page = b"".join(text for one, head in heads if one in lines for text in (head, *lines[one]))
        assert ended(form, page) == oracle(form, *families_of(account, snapshot, changes))


@given(st.lists(ANY_TEXTS, min_size=1, max_size=8))
def test_a_column_is_written_as_its_texts_are_one_by_one(texts: list[str]) -> None:
    one_by_one = [escape_column([text])[0] for text in texts]
    assert escape_column(texts) == one_by_one
    assert all(b"\n" not in line for line in one_by_one)
    b"".join(one_by_one).decode()


def test_lone_surrogates_become_replacement_characters() -> None:
    assert clean("Иван\ud83dов") == "Иван\ufffdов"


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
