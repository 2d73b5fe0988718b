"""What is fuzzed: everything that reads bytes from somebody else.

Each target takes bytes and may end in two ways: it returns, or it raises the one error that is
documented. Anything else is a finding. What a target can say about its result it says with an
assertion: what was read is written and read again, and must be the same.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from tests.cabinet.layouts import draw
from tests.gwt.compiled import permutation
from vats_exporter import gwt
from vats_exporter.cabinet.contract import read_device_form, read_mobile_form
from vats_exporter.cabinet.discovery import find_permutations
from vats_exporter.cabinet.errors import CabinetError
from vats_exporter.cabinet.listing import make_trunks
from vats_exporter.cabinet.reading import ClassTable, read_page
from vats_exporter.cabinet.settings import FlagPositions
from vats_exporter.config.loading import load
from vats_exporter.config.problems import ConfigError
from vats_exporter.demo.deployment import Deployment
from vats_exporter.demo.rpc import RequestReader
from vats_exporter.gwt.script import read_script
from vats_exporter.metrics.exposition import negotiate
from vats_exporter.tools.har import RecordingError, read_recording
from vats_exporter.web import Request
from vats_exporter.web.protection import read_basic
from vats_exporter.web.settings import load_web_config
from vats_exporter.web.site import scrape_timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT: Final = Path(__file__).parents[1]
WIRE: Final = ROOT / "tests" / "wire"
SEEDS: Final = ROOT / "fuzz" / "seeds"
"""Damaged captures that reach what no whole one does, found by an hour of fuzzing."""

_DEPLOYMENT = Deployment.make()
_LAYOUTS = [draw(Random(seed)) for seed in range(8)]
"""Answers to a list request, and the classes that a script tells of each."""
_TABLES = [ClassTable(layout.classes) for layout in _LAYOUTS]
_LONG: Final = re.compile(r"[A-Za-z0-9$_]*")
_FILE: Final = Path(tempfile.gettempdir()) / "vats-exporter-fuzz.yml"


def decode(data: bytes) -> None:
    """A cabinet's answer; what was read is written and read again."""
    try:
        response = gwt.decode(data)
    except gwt.GwtError:
        return
    if not all(_LONG.fullmatch(token) for token in response.tokens if isinstance(token, str)):
        return  # quotes around something else, which no server writes and no reader takes
    # An answer of version 8 is JSON, which only the newer release writes.
    style = gwt.GWT_2_13 if response.version >= 8 else gwt.GWT_2_7
    written = gwt.encode_response(response, style=style)
    again = gwt.decode(written)  # as text: a lone surrogate has no bytes
    assert repr(again.tokens) == repr(response.tokens)
    assert again.string_table == response.string_table


def rows(data: bytes) -> None:
    """A page of the list, and the trunks in it."""
    try:
        page = read_page(gwt.decode(data))
        trunks, _ = make_trunks([page], FlagPositions())
    except (gwt.GwtError, CabinetError):
        return
    assert len(trunks) == len(page.records)


def objects(data: bytes) -> None:
    """An answer and the classes of a script give the answer's own rows, or one error.

    The first byte says which script; the others are the answer.
    """
    try:
        response = gwt.decode(data[1:])
        page = read_page(response, _TABLES[data[0] % len(_TABLES)])
    except (gwt.GwtError, CabinetError):
        return
    longs = {token for token in response.tokens if isinstance(token, str)}
    assert {record.ref for record in page.records} <= longs


def devices(data: bytes) -> None:
    """A trunk's details, in both forms."""
    for read in (partial(read_device_form, trunk="CaLztv"), read_mobile_form):
        try:
            read(gwt.decode(data))
        except (gwt.GwtError, CabinetError):
            continue


def request(data: bytes) -> None:
    """A request to the cabinet, as the simulated one reads it, to its last parameter."""
    try:
        RequestReader(data.decode("utf-8", "replace"), _DEPLOYMENT, None).read_parameters()
    except gwt.GwtError:
        return


def scripts(data: bytes) -> None:
    """Any text tells classes that read an answer or do not fit it, or has a broken wrapper."""
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(gwt.GwtError):
        table = ClassTable(read_script(text).classes)
        for layout in _LAYOUTS:
            with contextlib.suppress(CabinetError):
                page = read_page(layout.response, table)
                assert page.read_by == "script" or page.not_by_script
    try:
        find_permutations(text)
    except CabinetError:
        return


def configuration(data: bytes) -> None:
    """``vats-exporter.yml``."""
    _FILE.write_bytes(data)
    try:
        load(_FILE, environment={})
    except ConfigError as error:
        assert all(error.lines())


def web_configuration(data: bytes) -> None:
    """``--web.config.file``."""
    _FILE.write_bytes(data)
    try:
        load_web_config(_FILE)
    except ConfigError as error:
        assert all(error.lines())


def recording(data: bytes) -> None:
    """A browser's recording."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        read_recording(document)
    except RecordingError:
        return


def http(data: bytes) -> None:
    """What the exporter reads of a request: its query, and a header's value."""
    value = data.decode("latin-1")
    Request("GET", "/probe", value).parameter("account")
    negotiate(value)
    read_basic(value)
    assert scrape_timeout(value) > 0


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "decode": decode,
    "rows": rows,
    "objects": objects,
    "devices": devices,
    "request": request,
    "scripts": scripts,
    "configuration": configuration,
    "web-configuration": web_configuration,
    "recording": recording,
    "http": http,
}


FOUND: Final[dict[str, list[bytes]]] = {
    "decode": [
        b'//OK[["\\uD83D"],0,7]',  # half of a pair, which UTF-8 has no bytes for
        b'//OK["A",["x"],0,8]',  # a version that only the newer release writes
    ],
}
"""What fuzzing ever found, kept as a case; both were mistakes of a target."""


def seeds(target: str) -> Iterable[bytes]:
    """What a target begins with: captures, broken configurations, ordinary requests."""
    if target == "objects":
        pages = (gwt.encode_response(layout.response).encode() for layout in _LAYOUTS)
        return [bytes([number]) + page for number, page in enumerate(pages)]
    if target == "scripts":
        return [*_WRITTEN[target], *(permutation(layout.classes).encode() for layout in _LAYOUTS)]
    if target in {"decode", "rows", "devices"}:
        files = [*sorted(WIRE.glob("*.txt")), *sorted(SEEDS.glob("*.txt"))]
        return [*(file.read_bytes() for file in files), *FOUND.get(target, [])]
    if target == "request":
        return _texts(json.loads((WIRE / "requests.json").read_bytes()))
    if target == "configuration":
        broken = sorted((ROOT / "tests" / "config" / "broken").glob("*.yml"))
        return [file.read_bytes() for file in (*broken, ROOT / "vats-exporter.example.yml")]
    return _WRITTEN[target]


_ENTRY: Final = b"""{"request": {"method": "POST", "url": "https://vpbx.mts.ru/vpbxGwt/AbonentBrowser",
"headers": [{"name": "X-GWT-Permutation", "value": "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"}],
"postData": {"text": "7|0|4|https://vpbx.mts.ru/vpbxGwt/|A|s|m|1|2|3|4|0|"}},
"response": {"status": 200, "content": {"text": "//OK[[],0,7]"}}}"""

_WRITTEN: Final = {
    "scripts": [
        b'var a="BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";unflattenKeylistIntoAnswers([],"B")',
        b"f='AbonentBrowserGwtService','3D7E196DA92A574D98BAC0DEE7D909C8'",
        b'"java.lang.Long/4227064769","java.lang.Boolean/476441737"',
    ],
    "web-configuration": [
        b"basic_auth_users:\n  a: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi",
        b"tls_server_config: {cert_file: a, key_file: b, min_version: TLS13}",
        b"http_server_config: {headers: {X-Frame-Options: deny}}\nrate_limit: {interval: 1s}",
    ],
    "recording": [b'{"log": {"entries": [' + _ENTRY + b"]}}"],
    "http": [
        b"account=a%20b&debug=true",
        b"gzip;q=0.5, *;q=0",
        b"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.1",
        b"Basic YTpi",
        b"10.5",
    ],
}


def _texts(value: object) -> list[bytes]:
    """All texts within a JSON document."""
    if isinstance(value, str):
        return [value.encode()]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in _texts(one)]
