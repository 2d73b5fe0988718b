"""From accounts to the page: what is counted, which series there are, and what they cost."""

from __future__ import annotations

import gzip
import math
import platform
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

import vats_exporter
from tests.doubles import SetClock, answered, let_end
from tests.process import capture_logs
from vats_exporter.cabinet.errors import (
    RESULTS,
    CabinetTimeoutError,
    LoginRefusedError,
    UnreachableError,
)
from vats_exporter.cabinet.transport import CallEnded, CallStarted, PageRead, Redeployed, SignIn
from vats_exporter.expected_off import ExpectedOff
from vats_exporter.history.history import History
from vats_exporter.metrics import collector as collector_module
from vats_exporter.metrics import exposition
from vats_exporter.metrics.collector import (
    BUCKETS,
    SIGN_IN_RESULTS,
    AccountCounters,
    Collector,
    MonitoredAccount,
)
from vats_exporter.metrics.exposition import Format
from vats_exporter.metrics.table import METRICS
from vats_exporter.refresh import Outcome
from vats_exporter.trunks import AccountState, Flags, Listing, Snapshot, Trunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.core import Metric as ClientFamily

    from vats_exporter.cabinet.transport import Trace, TraceEvent

PATIENCE = 10.0


@dataclass
class ScriptedCabinet:
    answer: tuple[Trunk, ...] | Exception
    events: tuple[TraceEvent, ...] = ()
    before: Callable[[], object] = lambda: None
    trace: Trace = field(default=lambda _: None)

    def read_trunks(self) -> Listing:
        self.before()
        for event in self.events:
            self.trace(event)
        if isinstance(self.answer, Exception):
            raise self.answer
        return Listing(self.answer)

    def credentials_changed(self) -> bool:
        return False

    def close(self) -> None:
        pass


WORKING = Trunk(
    "CaLztv", 2613189487, "79161234567", 'ООО "Ромашка"', Flags(True, True, False), "1100", True
)
OFF = Trunk("CaLz$_", 2613189999, "", "", Flags(False, False, True), "0011", True)
STRANGE = Trunk(
    "CaLAAA",
    2613186560,
    "79160000001",
    "back\\slash\nline",
    Flags(True, False, False),
    "1000",
    False,
)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


def page_of(collector: Collector, form: Format = Format.TEXT) -> str:
    return b"".join(collector.page(form).chunks).decode()


def scrape(collector: Collector) -> str:
    collector.refresh(PATIENCE)
    return page_of(collector)


def own_lines(page: str) -> list[str]:
    return [line for line in page.splitlines() if not line.startswith(("#", "process_"))]


def samples(page: str, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in parse_text(page)
        for sample in family.samples
        if sample.name == name
    }


def monitored(name: str, cabinet: ScriptedCabinet, **options: Any) -> MonitoredAccount:
    account = MonitoredAccount(name, cabinet, **options)
    cabinet.trace = account.counters.trace
    return account


def collector_of(*accounts: tuple[str, ScriptedCabinet], clock: SetClock) -> Collector:
    return Collector([monitored(name, one, clock=clock) for name, one in accounts])


def test_the_table_holds_the_documented_metrics() -> None:
    assert {(one.name, one.type, one.labels) for one in METRICS} == {
        ("vats_trunk_active", "gauge", ("account", "trunk", "phone")),
        ("vats_trunk_marked_for_deletion", "gauge", ("account", "trunk", "phone")),
        ("vats_trunk_bound", "gauge", ("account", "trunk", "phone")),
        ("vats_trunk_expected_off", "gauge", ("account", "trunk", "phone")),
        ("vats_trunk_info", "gauge", ("account", "trunk", "phone", "name", "line")),
        ("vats_trunk_sip_device_enabled", "gauge", ("account", "trunk", "phone")),
        ("vats_trunk_flag_changes_total", "counter", ("account", "trunk", "phone", "flag")),
        (
            "vats_trunk_flag_changed_timestamp_seconds",
            "gauge",
            ("account", "trunk", "phone", "flag"),
        ),
        ("vats_up", "gauge", ("account",)),
        ("vats_trunks", "gauge", ("account",)),
        ("vats_trunk_patterns", "gauge", ("account", "pattern", "known")),
        ("vats_refresh_timestamp_seconds", "gauge", ("account",)),
        ("vats_refresh_duration_seconds", "gauge", ("account",)),
        ("vats_refreshes_total", "counter", ("account", "result")),
        ("vats_logins_total", "counter", ("account", "result")),
        ("vats_requests_total", "counter", ("account", "call", "status")),
        ("vats_request_duration_seconds", "histogram", ("account", "call")),
        ("vats_answers_total", "counter", ("account", "read_by")),
        ("vats_redeployments_total", "counter", ("account",)),
        ("vats_login_retry_timestamp_seconds", "gauge", ("account",)),
        ("vats_details_total", "counter", ("account", "result")),
        ("vats_details_timestamp_seconds", "gauge", ("account",)),
        ("vats_probe_success", "gauge", ()),
        ("vats_probe_duration_seconds", "gauge", ()),
        ("vats_config_last_reload_successful", "gauge", ()),
        ("vats_config_last_reload_success_timestamp_seconds", "gauge", ()),
        ("vats_history_up", "gauge", ()),
        ("vats_history_errors_total", "counter", ()),
        ("vats_log_dropped_total", "counter", ()),
        ("vats_exporter_build_info", "gauge", ("version", "python")),
    }


def test_flags_of_trunks_become_gauges(clock: SetClock) -> None:
    page = scrape(collector_of(("acme", ScriptedCabinet((WORKING, OFF))), clock=clock))
    working = 'account="acme",phone="79161234567",trunk="CaLztv"'
    off = 'account="acme",phone="",trunk="CaLz$_"'
    named = working.replace(",phone", r',line="",name="ООО \"Ромашка\"",phone')
    assert own_lines(page)[:8] == [
        f"vats_trunk_active{{{working}}} 1.0",
        f"vats_trunk_active{{{off}}} 0.0",
        f"vats_trunk_bound{{{working}}} 1.0",
        f"vats_trunk_bound{{{off}}} 0.0",
        f"vats_trunk_marked_for_deletion{{{working}}} 0.0",
        f"vats_trunk_marked_for_deletion{{{off}}} 1.0",
        f"vats_trunk_info{{{named}}} 1.0",
        'vats_trunk_info{account="acme",line="",name="",phone="",trunk="CaLz$_"} 1.0',
    ]


def test_trunks_that_are_off_on_purpose_are_told(clock: SetClock) -> None:
    account = monitored("acme", ScriptedCabinet((WORKING, OFF, STRANGE)), clock=clock)
    account.refresher.mark = ExpectedOff(["CaLz$_", "79160000001"]).mark
    assert samples(scrape(Collector([account])), "vats_trunk_expected_off") == {
        (("account", "acme"), ("phone", one.phone), ("trunk", one.ref)): 1.0
        for one in (OFF, STRANGE)
    }


def test_trunks_are_counted_by_pattern_and_by_whether_it_is_described(clock: SetClock) -> None:
    cabinet = ScriptedCabinet((WORKING, OFF, STRANGE))
    page = scrape(collector_of(("acme", cabinet), clock=clock))
    assert samples(page, "vats_trunk_patterns") == {
        (("account", "acme"), ("known", "true"), ("pattern", "1100")): 1.0,
        (("account", "acme"), ("known", "true"), ("pattern", "0011")): 1.0,
        (("account", "acme"), ("known", "false"), ("pattern", "1000")): 1.0,
    }
    assert samples(page, "vats_trunks") == {(("account", "acme"),): 3.0}


def test_an_account_without_trunks_is_no_account_without_a_snapshot(clock: SetClock) -> None:
    empty, absent = ScriptedCabinet(()), ScriptedCabinet(UnreachableError("no route"))
    page = scrape(collector_of(("empty", empty), ("absent", absent), clock=clock))
    assert samples(page, "vats_trunks") == {(("account", "empty"),): 0.0}
    assert samples(page, "vats_refresh_timestamp_seconds") == {
        (("account", "empty"),): 1_750_000_000.0
    }
    assert samples(page, "vats_up") == {(("account", "empty"),): 1.0, (("account", "absent"),): 0.0}


def test_every_result_and_sign_in_is_there_from_the_start(clock: SetClock) -> None:
    page = page_of(collector_of(("acme", ScriptedCabinet(())), clock=clock))
    assert samples(page, "vats_refreshes_total") == {
        (("account", "acme"), ("result", result)): 0.0 for result in RESULTS
    }
    logins = samples(page, "vats_logins_total")
    assert logins[("account", "acme"), ("result", "success")] == 0.0
    assert logins[("account", "acme"), ("result", "login_refused")] == 0.0
    assert samples(page, "vats_redeployments_total") == {(("account", "acme"),): 0.0}


def test_a_page_before_the_first_refresh_tells_no_times(clock: SetClock) -> None:
    page = page_of(collector_of(("acme", ScriptedCabinet(())), clock=clock))
    for name in ("trunks", "refresh_timestamp_seconds", "refresh_duration_seconds"):
        assert samples(page, f"vats_{name}") == {}
    assert samples(page, "vats_up") == {(("account", "acme"),): 0.0}


def test_calls_to_the_cabinet_are_counted_and_timed(clock: SetClock) -> None:
    events = (
        answered("list", 200, 0.07, 1000),
        answered("list", 503, 40.0, 10),
        CallEnded("nocache", CabinetTimeoutError("slow"), 15.0),
        SignIn("success", 0.2),
        Redeployed("A" * 32, "B" * 32),
    )
    page = scrape(collector_of(("acme", ScriptedCabinet((), events)), clock=clock))
    assert samples(page, "vats_requests_total") == {
        (("account", "acme"), ("call", "list"), ("status", "200")): 1.0,
        (("account", "acme"), ("call", "list"), ("status", "503")): 1.0,
        (("account", "acme"), ("call", "nocache"), ("status", "timeout")): 1.0,
    }
    buckets = samples(page, "vats_request_duration_seconds_bucket")
    assert {
        dict(labels)["le"]: value for labels, value in buckets.items() if ("call", "list") in labels
    } == {
        "0.05": 0.0,
        "0.1": 1.0,
        "0.25": 1.0,
        "0.5": 1.0,
        "1.0": 1.0,
        "2.5": 1.0,
        "5.0": 1.0,
        "10.0": 1.0,
        "30.0": 1.0,
        "+Inf": 2.0,
    }
    assert samples(page, "vats_request_duration_seconds_sum") == {
        (("account", "acme"), ("call", "list")): 40.07,
        (("account", "acme"), ("call", "nocache")): 15.0,
    }
    assert samples(page, "vats_logins_total")[("account", "acme"), ("result", "success")] == 1.0
    assert samples(page, "vats_redeployments_total") == {(("account", "acme"),): 1.0}


def test_the_retry_of_a_refused_login_is_told_while_it_is_due(clock: SetClock) -> None:
    cabinet = ScriptedCabinet(LoginRefusedError("refused"))
    collector = collector_of(("acme", cabinet), clock=clock)
    name = "vats_login_retry_timestamp_seconds"
    assert samples(scrape(collector), name) == {(("account", "acme"),): 1_750_000_060.0}
    cabinet.answer = ()
    clock.advance(60)
    assert samples(scrape(collector), name) == {}


def test_the_build_is_told_once(clock: SetClock) -> None:
    page = page_of(
        collector_of(("a", ScriptedCabinet(())), ("b", ScriptedCabinet(())), clock=clock)
    )
    assert samples(page, "vats_exporter_build_info") == {
        (("python", platform.python_version()), ("version", vats_exporter.__version__)): 1.0
    }


def test_how_the_configuration_was_loaded_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000.0)
    collector = Collector()
    assert "vats_config_last_reload_successful 1.0" in own_lines(page_of(collector))
    collector.config_loaded(successful=False)
    page = own_lines(page_of(collector))
    assert "vats_config_last_reload_successful 0.0" in page
    assert "vats_config_last_reload_success_timestamp_seconds 1000.0" in page
    monkeypatch.setattr(time, "time", lambda: 2_000.0)
    collector.config_loaded(successful=True)
    page = own_lines(page_of(collector))
    assert "vats_config_last_reload_success_timestamp_seconds 2000.0" in page


def test_the_process_tells_of_itself() -> None:
    assert samples(page_of(Collector()), "process_resident_memory_bytes")[()] > 1_000_000


def test_the_process_is_read_once_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 50.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    collector = Collector()
    first = collector.page(Format.TEXT)
    now = 50.9
    assert collector.page(Format.TEXT) is first
    now = 51.0
    assert collector.page(Format.TEXT) is not first


def test_one_failing_account_leaves_the_others_as_they_are(clock: SetClock) -> None:
    good = ScriptedCabinet((WORKING,))
    bad = ScriptedCabinet((OFF,))
    collector = collector_of(("bad", bad), ("good", good), clock=clock)
    scrape(collector)
    bad.answer = RuntimeError("a bug")
    clock.advance(60)
    page = scrape(collector)
    assert samples(page, "vats_up") == {(("account", "bad"),): 0.0, (("account", "good"),): 1.0}
    assert samples(page, "vats_trunks") == {(("account", "bad"),): 1.0, (("account", "good"),): 1.0}
    assert samples(page, "vats_refresh_timestamp_seconds") == {
        (("account", "bad"),): 1_750_000_000.0,
        (("account", "good"),): 1_750_000_060.0,
    }


def test_stale_series_are_gone_with_the_next_page_and_the_others_stay(clock: SetClock) -> None:
    bad, good = ScriptedCabinet((WORKING,)), ScriptedCabinet((OFF,))
    collector = collector_of(("bad", bad), ("good", good), clock=clock)
    scrape(collector)
    bad.answer = UnreachableError("no route")
    clock.advance(450)
    assert 'vats_trunk_active{account="bad"' in scrape(collector)
    clock.advance(450)
    page = scrape(collector)
    assert {dict(labels)["account"] for labels in samples(page, "vats_trunk_active")} == {"good"}
    assert samples(page, "vats_trunks") == {(("account", "good"),): 1.0}
    assert samples(page, "vats_up")[(("account", "bad"),)] == 0.0


def test_all_accounts_are_waited_for_with_one_deadline(clock: SetClock) -> None:
    go_on = threading.Event()
    blocked = [
        (str(at), ScriptedCabinet((), before=lambda: go_on.wait(PATIENCE))) for at in range(20)
    ]
    collector = collector_of(("good", ScriptedCabinet((WORKING,))), *blocked, clock=clock)
    began = time.monotonic()
    collector.refresh(0.2)
    # One after the other they would have taken twenty times that.
    assert 0.2 <= time.monotonic() - began < 2.0
    up = samples(page_of(collector), "vats_up")
    assert [dict(labels)["account"] for labels, value in up.items() if value] == ["good"]
    began = time.monotonic()
    collector.refresh(PATIENCE)
    # Each is known to hang by now, and waited for no more.
    assert time.monotonic() - began < PATIENCE / 2
    go_on.set()
    for account in collector.accounts:
        let_end(account.refresher)
    assert all(samples(page_of(collector), "vats_up").values())


def test_a_page_is_all_old_or_all_new(clock: SetClock) -> None:
    cabinet = ScriptedCabinet((WORKING,))
    collector = collector_of(("acme", cabinet), clock=clock)
    scrape(collector)
    old = collector.page(Format.TEXT)
    text = b"".join(old.chunks)
    cabinet.answer = (OFF, STRANGE)
    clock.advance(60)
    new = scrape(collector)
    assert b"".join(old.chunks) == text
    assert "CaLztv" not in new
    assert samples(new, "vats_trunks") == {(("account", "acme"),): 2.0}


def test_scrapes_during_changes_never_mix_snapshots(clock: SetClock) -> None:
    generations = [
        tuple(
            Trunk(f"Ca{at:02d}{n:02d}", n, "", str(at), Flags(True, True, False), "1100", True)
            for n in range(10 + at)
        )
        for at in range(30)
    ]
    cabinet = ScriptedCabinet(generations[0])
    account = monitored("acme", cabinet, ttl=0, clock=clock)
    collector = Collector([account])
    collector.refresh(PATIENCE)
    done = threading.Event()
    mixed: list[str] = []

    def watch() -> None:
        while not done.is_set():
            page = page_of(collector)
            counted = samples(page, "vats_trunks")[(("account", "acme"),)]
            info = samples(page, "vats_trunk_info")
            names = {dict(labels)["name"] for labels in info}
            active = samples(page, "vats_trunk_active")
            if len(names) != 1 or not len(info) == counted == len(active):
                mixed.append(page)

    watchers = [threading.Thread(target=watch) for _ in range(3)]
    for one in watchers:
        one.start()
    for generation in generations:
        cabinet.answer = generation
        collector.refresh(PATIENCE)
    done.set()
    for one in watchers:
        one.join(PATIENCE)
    assert not mixed


def test_a_page_where_nothing_changed_is_the_same_object(
    clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    cabinet = ScriptedCabinet((WORKING,))
    collector = collector_of(("acme", cabinet), clock=clock)
    collector.refresh(PATIENCE)
    monkeypatch.setattr(time, "monotonic", lambda: 50.0)
    pages = {form: collector.page(form) for form in Format}
    collector.refresh(PATIENCE)
    assert {form: collector.page(form) for form in Format} == pages
    cabinet.trace(answered("list", 200, 0.1, 10))
    assert all(collector.page(form) is not pages[form] for form in Format)


def test_trunks_are_rendered_once_a_refresh_and_not_in_a_scrape(
    clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[str] = []
    real = exposition.render_snapshot

    def render(account: str, snapshot: object, changes: object, privacy: object) -> object:
        rendered.append(threading.current_thread().name)
        return real(account, snapshot, changes, privacy)  # type: ignore[arg-type]  # passed through as it came

    monkeypatch.setattr(collector_module, "render_snapshot", render)
    collector = collector_of(("acme", ScriptedCabinet((WORKING,))), clock=clock)
    for _ in range(3):
        collector.refresh(PATIENCE)
        for form in Format:
            collector.page(form).gzipped()
    clock.advance(60)
    collector.refresh(PATIENCE)
    page_of(collector)
    assert rendered == ["refresh acme"] * 2


def test_a_scrape_gives_what_refreshing_and_looking_would(clock: SetClock) -> None:
    cabinet = ScriptedCabinet((WORKING,))
    collector = collector_of(("acme", cabinet), clock=clock)

    def own() -> list[str]:
        return own_lines(scrape(collector))

    first = own()
    assert any("CaLztv" in line for line in first)
    assert own() == first
    cabinet.trace(answered("list", 200, 0.1, 10))
    assert 'vats_requests_total{account="acme",call="list",status="200"} 1.0' in own()
    cabinet.answer = (OFF,)
    assert any("CaLztv" in line for line in own())
    clock.advance(60)
    assert not any("CaLztv" in line for line in own())
    cabinet.answer = UnreachableError("no route")
    clock.advance(60)
    assert 'vats_up{account="acme"} 0.0' in own()
    clock.advance(900)
    assert not any("vats_trunk_active" in line for line in own())
    collector.accounts = ()
    assert all("acme" not in line for line in own())


def test_accounts_can_be_replaced(clock: SetClock) -> None:
    collector = collector_of(("a", ScriptedCabinet((WORKING,))), clock=clock)
    scrape(collector)
    collector.accounts = (monitored("b", ScriptedCabinet((OFF,)), clock=clock),)
    page = scrape(collector)
    assert samples(page, "vats_up") == {(("account", "b"),): 1.0}
    assert "CaLztv" not in page


class Parsed:
    """A registry's collector of what was read from a page."""

    def __init__(self, families: Iterable[ClientFamily]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[ClientFamily]:
        return self._families


def again(page: str, form: Format) -> str:
    """What prometheus_client writes for what it read."""
    registry = CollectorRegistry()
    parse = parse_openmetrics if form is Format.OPENMETRICS else parse_text
    registry.register(Parsed(parse(page)))
    write = generate_openmetrics if form is Format.OPENMETRICS else generate_latest
    return write(registry).decode()


LABELS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=10) | st.text(
    '\\"\n{}=, я', max_size=6
)


@given(
    accounts=st.lists(
        st.tuples(LABELS, st.lists(st.tuples(LABELS, LABELS, st.booleans()), max_size=4)),
        max_size=3,
        unique_by=lambda account: account[0],
    )
)
@settings(max_examples=60, deadline=None)
def test_pages_are_what_the_client_library_reads_and_writes(
    accounts: list[tuple[str, list[tuple[str, str, bool]]]],
) -> None:
    clock = SetClock()
    collector = Collector()
    made = []
    for name, rows in accounts:
        trunks = tuple(
            Trunk(f"Ca{at}", at, phone, text, Flags(flag, not flag, flag), "1100", flag)
            for at, (phone, text, flag) in enumerate(rows)
        )
        events = (answered("list", 200, 0.3, 10), SignIn("success", 0.1))
        made.append(monitored(name, ScriptedCabinet(trunks, events), clock=clock))
    collector.accounts = tuple(made)
    collector.refresh(PATIENCE)
    for form in Format:
        page = page_of(collector, form)
        assert again(page, form) == page
        packed = collector.page(form).gzipped()
        own = gzip.decompress(packed).decode().partition("# HELP vats_exporter_")[0]
        assert own == page.partition("# HELP vats_exporter_")[0]


def test_label_values_that_are_no_text_still_make_utf8(clock: SetClock) -> None:
    odd = Trunk("CaLztv", 1, "\udcff", "a\ud800", Flags(True, True, False), "11\ud800", True)
    page = scrape(collector_of(("\udfff", ScriptedCabinet((odd,))), clock=clock))
    assert 'name="a\ufffd"' in page
    assert 'account="\ufffd"' in page
    assert 'pattern="11\ufffd"' in page


def test_promtool_finds_nothing_to_say(clock: SetClock) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool, which comes with Prometheus, is not on PATH")
    cabinet = ScriptedCabinet(
        (
            WORKING._replace(sip_device_enabled=True, details_at=1.0),
            OFF._replace(expected_off=True),
        ),
        (
            answered("list", 200, 0.07, 1000),
            SignIn("success", 0.2),
            Redeployed("A" * 32, "B" * 32),
        ),
    )
    refused = ScriptedCabinet(LoginRefusedError("refused"))
    history = History()
    history.record("acme", Snapshot((WORKING._replace(flags=OFF.flags),), 0.0))
    accounts = [
        monitored(name, one, clock=clock, history=history)
        for name, one in (("acme", cabinet), ("Ромашка", refused))
    ]
    accounts[0].counters.detailed("success", "")
    collector = Collector(accounts, history=history)
    page = scrape(collector)
    served = [metric for metric in METRICS if metric.scope != "probe"]
    assert all(f"# HELP {metric.name} " in page for metric in served)
    check = subprocess.run(
        [promtool, "check", "metrics"],
        input=page,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (check.returncode, check.stdout, check.stderr) == (0, "", "")


def test_the_selector_is_shown_where_it_is_known_and_the_line_names_the_trunk(
    clock: SetClock,
) -> None:
    known = WORKING._replace(line="mobsip_9161234567", sip_device_enabled=False)
    page = scrape(collector_of(("acme", ScriptedCabinet((known, OFF))), clock=clock))
    labels = 'account="acme",phone="79161234567",trunk="CaLztv"'
    shown = [line for line in own_lines(page) if line.startswith("vats_trunk_sip_device_enabled")]
    assert shown == [f"vats_trunk_sip_device_enabled{{{labels}}} 0.0"]
    assert 'line="mobsip_9161234567"' in page


def test_the_age_of_the_oldest_details_is_told_as_long_as_they_are_served(
    clock: SetClock,
) -> None:
    name = "vats_details_timestamp_seconds"
    trunks = tuple(
        trunk._replace(details_at=at)
        for trunk, at in zip((WORKING, OFF, STRANGE), (clock.now(), 99.5, None), strict=True)
    )
    cabinet = ScriptedCabinet(trunks)
    collector = Collector([monitored("acme", cabinet, ttl=60.0, stale=90.0, clock=clock)])
    assert f'{name}{{account="acme"}} 99.5' in own_lines(scrape(collector))
    cabinet.answer = UnreachableError("reset")
    clock.advance(60.0)
    assert f'{name}{{account="acme"}} 99.5' in own_lines(scrape(collector))
    clock.advance(60.0)
    assert name not in scrape(collector)
    cabinet.answer = (WORKING, OFF)
    clock.advance(60.0)
    assert name not in scrape(collector)


def test_changes_are_counted_from_nought_and_dated_once_they_happen(clock: SetClock) -> None:
    history = History()
    cabinet = ScriptedCabinet((WORKING,))
    account = monitored("acme", cabinet, ttl=0, clock=clock, history=history)
    collector = Collector([account], history=history)
    labels = 'account="acme",flag="active",phone="79161234567",trunk="CaLztv"'
    before = scrape(collector)
    assert f"vats_trunk_flag_changes_total{{{labels}}} 0.0" in own_lines(before)
    assert "vats_trunk_flag_changed_timestamp_seconds{" not in before
    clock.advance(60.0)
    cabinet.answer = (WORKING._replace(flags=WORKING.flags._replace(active=False)),)
    after = own_lines(scrape(collector))
    assert f"vats_trunk_flag_changes_total{{{labels}}} 1.0" in after
    (dated,) = [line for line in after if "flag_changed_timestamp_seconds" in line]
    assert dated.startswith(f"vats_trunk_flag_changed_timestamp_seconds{{{labels}}} ")
    assert float(dated.rpartition(" ")[2]) == clock.now()


def test_the_histories_state_is_told_as_soon_as_it_changes(clock: SetClock) -> None:
    history = History()
    collector = Collector([], history=history)
    assert "vats_history_up 1.0" in own_lines(scrape(collector))
    history.problem, history.errors_total = "disk full", 3
    page = own_lines(scrape(collector))
    assert "vats_history_up 0.0" in page
    assert "vats_history_errors_total 3.0" in page


def counted(counters: AccountCounters, name: str) -> dict[tuple[str, ...], float]:
    """The values of a family's samples, by their labels' values but the account's."""
    return {
        tuple(value for label, value in sample.labels.items() if label != "account"): sample.value
        for family in counters.families(AccountState("acme"))
        for sample in family.samples
        if sample.name == name and sample.labels["account"] == "acme"
    }


def test_closed_lists_are_counted_from_zero_and_the_rest_from_its_first() -> None:
    counters = AccountCounters("acme")
    assert counted(counters, "vats_refreshes_total") == {(one,): 0.0 for one in RESULTS}
    assert counted(counters, "vats_logins_total") == {(one,): 0.0 for one in SIGN_IN_RESULTS}
    assert counted(counters, "vats_redeployments_total") == {(): 0.0}
    assert counted(counters, "vats_answers_total") == {("script",): 0.0, ("block",): 0.0}
    assert {family.name for family in counters.families(AccountState("acme"))} == {
        "vats_up",
        "vats_refreshes",
        "vats_logins",
        "vats_answers",
        "vats_redeployments",
    }


def test_calls_are_counted_by_status_or_by_what_kept_them_from_one() -> None:
    counters = AccountCounters("acme")
    counters.trace(answered("list", 200, 0.1, 10))
    counters.trace(answered("list", 200, 0.1, 10))
    counters.trace(answered("list", 503, 0.1, 10))
    counters.trace(CallEnded("nocache", CabinetTimeoutError("slow"), 15.0))
    assert counted(counters, "vats_requests_total") == {
        ("list", "200"): 2,
        ("list", "503"): 1,
        ("nocache", "timeout"): 1,
    }


@pytest.mark.parametrize(
    ("duration", "fits"),
    [(0.0, 0.05), (0.05, 0.05), (0.051, 0.1), (30.0, 30.0), (30.1, math.inf)],
)
def test_a_duration_counts_in_every_bucket_it_fits(duration: float, fits: float) -> None:
    counters = AccountCounters("acme")
    counters.trace(answered("list", 200, duration, 10))
    buckets = counted(counters, "vats_request_duration_seconds_bucket")
    assert {float(bound): value for (_, bound), value in buckets.items()} == {
        bound: float(bound >= fits) for bound in (*BUCKETS, math.inf)
    }
    assert counted(counters, "vats_request_duration_seconds_sum") == {("list",): duration}


def test_calls_that_were_not_answered_have_a_duration_too() -> None:
    counters = AccountCounters("acme")
    counters.trace(answered("list", 200, 1.0, 10))
    counters.trace(CallEnded("list", CabinetTimeoutError("slow"), 15.0))
    assert counted(counters, "vats_request_duration_seconds_sum") == {("list",): 16.0}
    assert counted(counters, "vats_request_duration_seconds_count") == {("list",): 2.0}


def test_sign_ins_redeployments_and_refreshes_are_counted() -> None:
    counters = AccountCounters("acme")
    counters.trace(SignIn("success", 0.3))
    counters.trace(SignIn("undecodable", 0.3))
    counters.trace(Redeployed("A" * 32, "B" * 32))
    counters.trace(PageRead("block"))
    counters.refreshed(Outcome("incomplete", 1.0, error="short"))
    logins = counted(counters, "vats_logins_total")
    assert (logins["success",], logins["undecodable",]) == (1.0, 1.0)
    assert counted(counters, "vats_redeployments_total") == {(): 1.0}
    assert counted(counters, "vats_answers_total") == {("script",): 0.0, ("block",): 1.0}
    assert counted(counters, "vats_refreshes_total")["incomplete",] == 1.0


def test_details_are_there_with_every_result_from_the_first_one_on() -> None:
    counters = AccountCounters("acme")
    counters.detailed("timeout", "")
    details = counted(counters, "vats_details_total")
    assert details == {(one,): float(one == "timeout") for one in RESULTS}


def test_nothing_tells_when_a_counter_was_created() -> None:
    counters = AccountCounters("acme")
    counters.trace(answered("list", 200, 0.1, 10))
    names = {
        sample.name
        for family in counters.families(AccountState("acme"))
        for sample in family.samples
    }
    assert not [name for name in names if name.endswith("_created")]


def test_the_version_changes_with_what_is_counted_and_only_then() -> None:
    counters = AccountCounters("acme")
    before = counters.version
    counters.trace(CallStarted("list"))
    assert counters.version == before
    counters.trace(SignIn("success", 0.3))
    assert counters.version != before


def test_threads_that_count_at_once_lose_nothing() -> None:
    counters = AccountCounters("acme")

    def count() -> None:
        for _ in range(500):
            counters.trace(answered("list", 200, 0.1, 10))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert counted(counters, "vats_requests_total") == {("list", "200"): 2000}


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            answered("list", 200, 0.1234, 10),
            {
                "event": "call answered",
                "call": "list",
                "status": 200,
                "duration": 0.123,
                "size": 10,
            },
        ),
        (
            CallEnded("list", CabinetTimeoutError("no answer within 15 s"), 15.0),
            {
                "event": "call failed",
                "call": "list",
                "result": "timeout",
                "error": "no answer within 15 s",
                "duration": 15.0,
            },
        ),
        (
            SignIn("login_refused", 0.5),
            {"event": "sign-in ended", "result": "login_refused", "duration": 0.5},
        ),
    ],
)
def test_each_call_is_a_line_at_debug(event: TraceEvent, line: dict[str, object]) -> None:
    with capture_logs() as logs:
        AccountCounters("acme").trace(event)
    assert logs == [{**line, "account": "acme", "log_level": "debug"}]


def test_a_redeployment_is_told_at_info() -> None:
    with capture_logs() as logs:
        AccountCounters("acme").trace(Redeployed("A" * 32, "B" * 32))
    assert logs == [
        {
            "event": "cabinet was redeployed",
            "account": "acme",
            "old": "A" * 32,
            "new": "B" * 32,
            "log_level": "info",
        }
    ]
