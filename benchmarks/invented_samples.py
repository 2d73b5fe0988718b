"""Samples that Prometheus would have of invented trunks, a line a sample, in OpenMetrics.

A scene says what happens to which trunk when; from that follow the exporter's series, what the
recording rules make of them, and the alerts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TextIO

    Value = str | Callable[[int], str]

SCENES: Final = ("outage", "quiet", "dead")
STEP: Final = 60
"""Seconds between two scrapes, and two evaluations of the rules."""

PER_ACCOUNT: Final = 500
TARGET: Final = 'job="vats-exporter",instance="vats-exporter:9742"'
TROUBLES: Final = ("expected_off", "marked_for_deletion", "inactive", "unbound", "selector_off")
LATER: Final = {"marked_for_deletion": 2 * 10**9, "expected_off": 4 * 10**9}
ALERTS: Final = {
    "inactive": ("VatsTrunkInactive", "critical"),
    "unbound": ("VatsTrunkUnbound", "critical"),
    "marked_for_deletion": ("VatsTrunkMarkedForDeletion", "warning"),
}
ALERT_AFTER: Final = 600
NAMES: Final = ("Касса", "Склад", "Лифт, корпус", "Диспетчерская", "Охрана, пост", "Приёмная")
BUCKETS: Final = ("0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0", "+Inf")
CALLS: Final = ("sign_in", "home", "nocache", "permutation", "list", "details", "sign_out")
RESULTS: Final = (
    "login_refused",
    "unreachable",
    "timeout",
    "not_gwt",
    "gwt_exception",
    "undecodable",
    "incomplete",
)


class Piece(NamedTuple):
    """A stretch of a series: a sample every :data:`STEP` seconds from ``start``, before ``end``."""

    start: int
    end: int
    value: Value


class Series(NamedTuple):
    """A series with its name and labels as they are written."""

    name: str
    pieces: list[Piece]


class Trouble(NamedTuple):
    """A stretch of time in which something is wrong with a trunk."""

    start: int
    end: int
    kind: str
    flag: str
    seen: bool = True


@dataclass
class Trunk:
    """A trunk and what happens to it; ``troubles`` in order, one at a time."""

    account: str
    ref: str
    phone: str
    name: str
    expected: bool = False
    troubles: list[Trouble] = field(default_factory=list)

    @property
    def labels(self) -> str:
        """Its labels but the scrape's."""
        return f'account="{self.account}",trunk="{self.ref}",phone="{self.phone}"'


class Scene:
    """What there is, and when.

    Args:
        name: one of :data:`SCENES`. In an ``outage`` a third of the trunks is off, half of them
            since long ago, three in a hundred failed within the last 20 minutes, and an account is
            not read any more; in a ``quiet`` scene two trunks are in trouble; a ``dead`` one is
            quiet until the exporter stops answering 40 minutes before the end.
        trunks: how many.
        hours: how far back the samples go.
        end: when they end, in seconds since the epoch.
    """

    def __init__(self, name: str, trunks: int, hours: float, end: float) -> None:
        self.name: Final = name
        self.end: Final = int(end) // STEP * STEP
        self.start: Final = self.end - int(hours * 3600) // STEP * STEP
        self.dead_from: Final = self.end - 2400 if name == "dead" else self.end + STEP
        count = max(2, trunks // PER_ACCOUNT)
        self.accounts: Final = tuple(f"office-{number + 1}" for number in range(count))
        self.unread: Final = self.accounts[-1] if name == "outage" else None
        self.trunks: Final = [self._trunk(number, trunks) for number in range(trunks)]
        for number, trunk in enumerate(self.trunks):
            (self._outage if name == "outage" else self._quiet)(trunk, number)
        self.example: Final = self.trunks[3]

    def until(self, account: str) -> int:
        """When an account's trunks are last served."""
        return self.end - 2100 if account == self.unread else self.dead_from

    def read_until(self, account: str) -> int:
        """When an account is last read."""
        return self.end - 3000 if account == self.unread else self.dead_from

    def _trunk(self, number: int, trunks: int) -> Trunk:
        account = self.accounts[number * len(self.accounts) // trunks]
        name = f"{NAMES[number % len(NAMES)]} {number // len(NAMES) + 1}"
        return Trunk(account, f"C{number:05}", f"7916{1000003 + 7 * number:07}", name)

    def _outage(self, trunk: Trunk, number: int) -> None:
        start, last, minute = self.start, self.end + STEP, number // 100 * 7 % 20
        if number % 200 == 10:
            trunk.expected = True
            trunk.troubles = [Trouble(start, last, "expected_off", "active", seen=False)]
        elif number % 100 == 20:
            trunk.troubles = [Trouble(start, last, "marked_for_deletion", "marked_for_deletion")]
        elif number % 100 in (3, 43, 83):
            kind, flag = ("unbound", "bound") if number % 100 == 43 else ("inactive", "active")
            trunk.troubles = [Trouble(self.end - STEP * (minute + 1), last, kind, flag)]
        elif number % 500 == 31:
            trunk.troubles = [
                Trouble(begin, begin + 600, "inactive", "active")
                for begin in range(start + 600, self.end - 600, 1800)
            ]
        elif number % 6 == 1:
            trunk.troubles = [Trouble(start, last, "inactive", "active", seen=False)]
        elif number % 6 == 4:
            trunk.troubles = [Trouble(max(start, self.end - 10_800), last, "inactive", "active")]

    def _quiet(self, trunk: Trunk, number: int) -> None:
        start, last = self.start, self.end + STEP
        hours = (self.end - start) / 3600
        if number == 3:
            trunk.troubles = [
                Trouble(start + int(hours * 1200), start + int(hours * 1500), "inactive", "active"),
                Trouble(self.end - 3000, last, "inactive", "active"),
            ]
        elif number == 5:
            begin = start + int(hours * 600)
            trunk.troubles = [Trouble(begin, begin + 1500, "unbound", "bound")]
        elif number == 6:
            trunk.troubles = [Trouble(start, last, "marked_for_deletion", "marked_for_deletion")]
        elif number == 8:
            trunk.expected = True
            trunk.troubles = [Trouble(start, last, "expected_off", "active", seen=False)]


def write_window(scene: Scene, start: int, end: int, file: TextIO) -> None:
    """Write the samples from ``start`` on, before ``end``."""
    for name, pieces in _series(scene):
        for piece in pieces:
            times = range(max(start, piece.start), min(end, piece.end), STEP)
            if not times:
                continue
            if isinstance(piece.value, str):
                head = f"{name} {piece.value} "
                file.write(head + f"\n{head}".join(map(str, times)) + "\n")
            else:
                file.writelines(f"{name} {piece.value(at)} {at}\n" for at in times)
    file.write("# EOF\n")


def _series(scene: Scene) -> Iterator[Series]:
    return chain(
        chain.from_iterable(_of_trunk(scene, trunk) for trunk in scene.trunks),
        chain.from_iterable(_of_account(scene, account) for account in scene.accounts),
        _recorded_changes(scene),
        _of_exporter(scene),
    )


def _of_trunk(scene: Scene, trunk: Trunk) -> Iterator[Series]:
    until, labels = scene.until(trunk.account), f"{trunk.labels},{TARGET}"

    def flag(right: str, wrong: str, *flags: str) -> list[Piece]:
        pieces, at = [], scene.start
        for trouble in trunk.troubles:
            if trouble.flag in flags:
                pieces += [
                    Piece(at, trouble.start, right),
                    Piece(trouble.start, trouble.end, wrong),
                ]
                at = trouble.end
        return _cut([*pieces, Piece(at, until, right)], until)

    yield Series(f"vats_trunk_active{{{labels}}}", flag("1", "0", "active"))
    yield Series(f"vats_trunk_bound{{{labels}}}", flag("1", "0", "active", "bound"))
    marked = flag("0", "1", "marked_for_deletion")
    yield Series(f"vats_trunk_marked_for_deletion{{{labels}}}", marked)
    always = [Piece(scene.start, until, "1")]
    yield Series(f'vats_trunk_info{{{labels},name="{trunk.name}",line="s{trunk.phone}"}}', always)
    if trunk.expected:
        yield Series(f"vats_trunk_expected_off{{{labels}}}", always)
    for name, changes in _changes(scene, trunk).items():
        total, dated, at = [], [], scene.start
        for number, change in enumerate(changes):
            total.append(Piece(at, change, str(number)))
            following = changes[number + 1] if number + 1 < len(changes) else until
            dated.append(Piece(change, following, str(change)))
            at = change
        total.append(Piece(at, until, str(len(changes))))
        ours = f'{labels},flag="{name}"'
        yield Series(f"vats_trunk_flag_changes_total{{{ours}}}", _cut(total, until))
        yield Series(f"vats_trunk_flag_changed_timestamp_seconds{{{ours}}}", _cut(dated, until))
    yield from _recorded_of_trunk(scene, trunk)


def _changes(scene: Scene, trunk: Trunk) -> dict[str, list[int]]:
    """When each flag changed, those before the start at the start."""
    changes: dict[str, list[int]] = {"active": [], "bound": [], "marked_for_deletion": []}
    for trouble in trunk.troubles:
        flags = ("active", "bound") if trouble.flag == "active" else (trouble.flag,)
        for name in flags:
            if trouble.seen:
                changes[name].append(trouble.start)
            if trouble.end <= scene.end:
                changes[name].append(trouble.end)
    return changes


def _recorded_of_trunk(scene: Scene, trunk: Trunk) -> Iterator[Series]:
    until = scene.until(trunk.account)
    for trouble in trunk.troubles:
        one = [Piece(trouble.start, trouble.end, "1")]
        labels = f'{trunk.labels},flag="{trouble.flag}"'
        yield Series(f"trunk:vats_trunk_flag_wrong:info{{{labels}}}", _cut(one, until))
        labels += f',trouble="{trouble.kind}"'
        yield Series(f"trunk:vats_trunk_trouble:info{{{labels}}}", _cut(one, until))
        labels += f',began="{"seen" if trouble.seen else "before"}"'
        since = [Piece(trouble.start, trouble.end, str(trouble.start))]
        yield Series(f"trunk:vats_trunk_trouble:since{{{labels}}}", _cut(since, until))
        later = LATER.get(trouble.kind, 0 if trouble.seen else 10**9)
        order = [Piece(trouble.start, trouble.end, str(trouble.start - later))]
        yield Series(f"trunk:vats_trunk_trouble:order{{{labels}}}", _cut(order, until))
        if trouble.kind in ALERTS:
            yield from _alert(
                *ALERTS[trouble.kind], trunk.labels, trouble.start, trouble.end, until
            )
    for name, changes in _changes(scene, trunk).items():
        for number, change in enumerate(changes):
            to = "right" if number % 2 else "wrong"
            labels = f'{trunk.labels},flag="{name}",to="{to}"'
            recent = [Piece(change, change + 600, str(change))]
            yield Series(f"trunk:vats_trunk_flag_changed:recent{{{labels}}}", _cut(recent, until))


def _alert(
    name: str, severity: str, labels: str, start: int, end: int, until: int
) -> Iterator[Series]:
    labels = f'alertname="{name}",severity="{severity}",{labels}'
    waiting = [Piece(start, min(end, start + ALERT_AFTER), "1")]
    firing = [Piece(start + ALERT_AFTER, end, "1")]
    yield Series(f'ALERTS{{{labels},alertstate="pending"}}', _cut(waiting, until))
    yield Series(f'ALERTS{{{labels},alertstate="firing"}}', _cut(firing, until))
    active_at = [Piece(start, end, str(start))]
    yield Series(f"ALERTS_FOR_STATE{{{labels}}}", _cut(active_at, until))


def _recorded_changes(scene: Scene) -> Iterator[Series]:
    """The newest change of each account: one after the other, each for ten minutes at most."""
    groups: dict[tuple[str, str, str], Counter[int]] = {}
    for trunk in scene.trunks:
        for name, changes in _changes(scene, trunk).items():
            for number, change in enumerate(changes):
                key = (trunk.account, name, "right" if number % 2 else "wrong")
                groups.setdefault(key, Counter())[change] += 1
    for (account, name, to), moments in groups.items():
        ordered = sorted(moments)
        series: dict[int, list[Piece]] = {}
        for number, moment in enumerate(ordered):
            following = ordered[number + 1] if number + 1 < len(ordered) else moment + 600
            piece = Piece(moment, min(following, moment + 600), str(moment))
            series.setdefault(moments[moment], []).append(piece)
        for trunks, pieces in series.items():
            labels = f'account="{account}",flag="{name}",to="{to}",trunks="{trunks}"'
            whole = _cut(pieces, scene.until(account))
            yield Series(f"account:vats_trunk_flag_changed:newest{{{labels}}}", whole)


def _of_account(scene: Scene, account: str) -> Iterator[Series]:
    start, until, read = scene.start, scene.until(account), scene.read_until(account)
    alive = scene.dead_from
    labels = f'account="{account}",{TARGET}'
    up = [Piece(start, read, "1"), Piece(read, alive, "0")]
    yield Series(f"vats_up{{{labels}}}", _cut(up, alive))
    trunks = [trunk for trunk in scene.trunks if trunk.account == account]
    count = [Piece(start, until, str(len(trunks)))]
    yield Series(f"vats_trunks{{{labels}}}", count)
    yield Series(f'vats_trunk_patterns{{{labels},pattern="1100",known="true"}}', count)
    stamp = [
        Piece(start, min(read, until), lambda at: str(at - 20)),
        Piece(read, until, str(read - 80)),
    ]
    yield Series(f"vats_refresh_timestamp_seconds{{{labels}}}", stamp)

    def rising(per_minute: float, first: int = start, last: int = alive) -> Value:
        return lambda at: f"{max(0, min(at, last) - first) / 60 * per_minute:.0f}"

    def counter(name: str, value: Value) -> Series:
        return Series(name, [Piece(start, alive, value)])

    yield counter(
        f"vats_refresh_duration_seconds{{{labels}}}", lambda at: f"{1.2 + at // STEP % 7 / 10:.1f}"
    )
    yield counter(f'vats_refreshes_total{{{labels},result="success"}}', rising(1, last=read))
    for result in RESULTS:
        failing = result == "unreachable" and account == scene.unread
        value = rising(1, first=read) if failing else "0"
        yield counter(f'vats_refreshes_total{{{labels},result="{result}"}}', value)
    yield counter(f'vats_logins_total{{{labels},result="success"}}', rising(0.01))
    yield counter(f'vats_logins_total{{{labels},result="login_refused"}}', "0")
    redeployed = (start + scene.end) // 2
    redeployments = [Piece(start, redeployed, "0"), Piece(redeployed, alive, "1")]
    yield Series(f"vats_redeployments_total{{{labels}}}", redeployments)
    pages = len(trunks) // 100 + 1
    yield counter(f'vats_answers_total{{{labels},read_by="script"}}', rising(pages))
    yield counter(f'vats_answers_total{{{labels},read_by="block"}}', "0")
    for call in CALLS:
        rate = pages if call == "list" else 0.1
        ours = f'{labels},call="{call}"'
        yield counter(f'vats_requests_total{{{ours},status="200"}}', rising(rate))
        for number, bucket in enumerate(BUCKETS):
            value = rising(rate * min(1, number / 5))
            yield counter(f'vats_request_duration_seconds_bucket{{{ours},le="{bucket}"}}', value)
    for number, bucket in enumerate(BUCKETS):
        name = "account_le:vats_request_duration_seconds_bucket:rate5m"
        answered = (pages + 0.6) / 60 * min(1, number / 5)
        always = [Piece(start, alive, str(answered))]
        yield Series(f'{name}{{account="{account}",le="{bucket}"}}', always)
    for kind in TROUBLES:
        changes: Counter[int] = Counter()
        for trouble in chain.from_iterable(trunk.troubles for trunk in trunks):
            if trouble.kind == kind:
                changes[trouble.start] += 1
                changes[trouble.end] -= 1
        name = f'account:vats_trunk_trouble:count{{account="{account}",trouble="{kind}"}}'
        yield Series(name, _cut(_sums(changes, start, until), until))
    if account == scene.unread:
        alert = ("VatsAccountDown", "critical", f'account="{account}"')
        yield from _alert(*alert, read, scene.end + STEP, scene.end + STEP)


def _sums(changes: Counter[int], start: int, end: int) -> list[Piece]:
    pieces, at, total = [], start, 0
    for moment in sorted(changes):
        pieces.append(Piece(at, moment, str(total)))
        total, at = total + changes[moment], moment
    return [*pieces, Piece(at, end, str(total))]


def _of_exporter(scene: Scene) -> Iterator[Series]:
    start, alive, last = scene.start, scene.dead_from, scene.end + STEP
    yield Series(f"up{{{TARGET}}}", [Piece(start, min(alive, last), "1"), Piece(alive, last, "0")])
    values: Iterable[tuple[str, Value]] = (
        (f'vats_exporter_build_info{{{TARGET},version="0.2.0",python="3.13.1"}}', "1"),
        (f"vats_config_last_reload_successful{{{TARGET}}}", "1"),
        (f"vats_config_last_reload_success_timestamp_seconds{{{TARGET}}}", str(start - 86_400)),
        (f"vats_history_up{{{TARGET}}}", "1"),
        (f"vats_history_errors_total{{{TARGET}}}", "0"),
        (f"vats_log_dropped_total{{{TARGET}}}", "0"),
        (f"process_start_time_seconds{{{TARGET}}}", str(start - 86_400)),
        (f"process_resident_memory_bytes{{{TARGET}}}", "71000000"),
        (f"process_open_fds{{{TARGET}}}", "31"),
        (f"process_cpu_seconds_total{{{TARGET}}}", lambda at: f"{(at - start) * 0.02:.2f}"),
    )
    for name, value in values:
        yield Series(name, [Piece(start, min(alive, last), value)])
    if scene.name == "dead":
        yield from _alert("VatsExporterDown", "critical", TARGET, alive, last, last)


def _cut(pieces: list[Piece], end: int) -> list[Piece]:
    """Leave out what comes after an end, and pieces of which nothing is left."""
    cut = [piece._replace(end=min(piece.end, end)) for piece in pieces]
    return [piece for piece in cut if piece.start < piece.end]
