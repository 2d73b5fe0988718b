"""One hunt for every secret, through everything that the exporter says, writes and shows.

A real exporter in a process of its own, at log level debug, with TLS, passwords, details and a
history; a cabinet that misbehaves in every way it can, with secrets in all that it sends; bugs
whose exceptions tell secrets; every page and every command. Then every secret is looked for in all
of it, in every form in which a layer may have written it.
"""

from __future__ import annotations

import base64
import json
import signal
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.hunt import faults
from tests.hunt.forms import forms, found
from tests.hunt.running import PATIENCE, Exporter, Place, Way
from tests.hunt.visit import record_visit
from vats_exporter.demo import SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.faults.faults import BadAnswer
    from vats_exporter.demo import Account, Fault, Incoming, SimulatedDevice

    Hook = Callable[[Incoming], Fault | None]

PASSWORD = 'mark&1:=a/b+%"пароль'
"""With characters that each layer writes in its own way."""

WRONG_PASSWORD = "mark&2:=c/d+%"
VISITOR = ("prometheus", "mark-3/visitor+%")
WAYS = [Way("logfmt", "password_file"), Way("json", "password_env")]
BUGS_AT_PAGES = [
    "a page of metrics",
    "a landing page",
    "a probe",
    "a thread of a connection",
]
BUGS_IN_REFRESHES = [
    "a sign-in",
    "a row",
    "a body",
    "a listing",
    "a device",
    "a trace",
    "a count",
    "a history",
    "a thread of details",
    "a thread of a refresh",
    "an object that dies",
]


@dataclass
class Cabinet:
    """A simulated cabinet, and every secret that it has or gives out."""

    simulated: SimulatedCabinet
    cookies: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        begin = self.simulated.begin_session

        def begin_and_remember(whose: Account) -> str:
            cookie = begin(whose)
            self.cookies.add(cookie)
            return cookie

        self.simulated.begin_session = begin_and_remember  # type: ignore[method-assign,assignment]  # to see what is given out
        (self.account,) = self.simulated.accounts
        self.simulated.change_password(self.account.name, PASSWORD)

    @property
    def devices(self) -> list[SimulatedDevice]:
        trunks = self.account.enterprise.trunks()
        return [trunk.device for trunk in trunks if trunk.device is not None]

    @property
    def refs(self) -> list[str]:
        """The trunks with a device."""
        trunks = self.account.enterprise.trunks()
        return [trunk.ref for trunk in trunks if trunk.device is not None]

    def credentials(self) -> dict[str, str]:
        """What is secret of trunks."""
        assert self.devices
        return {
            **{f"SIP login {number}": one.sip_login for number, one in enumerate(self.devices)},
            **{
                f"SIP password {number}": one.sip_password
                for number, one in enumerate(self.devices)
            },
        }

    def secrets(self) -> dict[str, str]:
        """What is secret of accounts."""
        assert self.cookies
        return {
            "login password": PASSWORD,
            "wrong password": WRONG_PASSWORD,
            "visitor's password": VISITOR[1],
            **{f"cookie {number}": cookie for number, cookie in enumerate(self.cookies)},
        }

    def everything(self) -> str:
        """A sentence that tells the secrets of today."""
        latest = self.devices[0]
        told = (PASSWORD, VISITOR[1], latest.sip_login, latest.sip_password, *self.cookies)
        return " and ".join(told)


@pytest.fixture
def cabinet() -> Iterator[Cabinet]:
    with SimulatedCabinet(make_accounts(1, trunks=6)) as simulated:
        yield Cabinet(simulated)


@pytest.fixture
def make_place(cabinet: Cabinet, tmp_path: Path) -> Iterator[Callable[[Way], Place]]:
    """Makes folders to run the program in."""
    with ExitStack() as stack:

        def make(way: Way) -> Place:
            place = Place(tmp_path, cabinet.simulated, PASSWORD, way)
            return stack.enter_context(closing(place))

        yield make


def test_the_hunt_finds_what_is_there() -> None:
    for form in forms(PASSWORD):
        assert found({"password": PASSWORD}, {"here": b"... " + form + b" ..."})
    token = base64.b64encode(f"user:{PASSWORD}".encode())
    assert found({"password": PASSWORD}, {"here": b"Authorization: Basic " + token})
    assert not found({"password": PASSWORD}, {"here": b"nothing"})


def break_the_cabinet(cabinet: Cabinet, exporter: Exporter) -> None:
    """Every fault, then a redeployment and a session that ends."""
    simulated = cabinet.simulated
    malformed = [faults.Malformed(simulated, [way]) for way in faults.MALFORMED.values()]
    for trouble in (
        *faults.echoes(simulated, PASSWORD),
        *malformed,
        faults.exceptional(simulated),
    ):
        trouble.start()
        meet(trouble, cabinet, exporter)
        trouble.stop()
    simulated.redeploy()
    exporter.ask_for_everything()
    simulated.end_sessions()
    exporter.ask("/metrics", Accept="application/openmetrics-text")
    for path in ("/sd", "/none", "/-/ready"):
        exporter.ask(path)


def until(what: object) -> Iterator[None]:
    """Try until it has happened, but not for ever: what the cabinet says may hold things up."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        yield
    raise AssertionError(what)


def start_afresh(exporter: Exporter) -> None:
    """Use another login and this one again: otherwise a refused one would wait a minute."""
    for login in ("somebody else", ""):
        exporter.place.write_config(login=login)
        assert exporter.ask("/-/reload", "POST") == 200


def meet(trouble: BadAnswer, cabinet: Cabinet, exporter: Exporter) -> None:
    """Ask until the cabinet was asked for what goes wrong, and once more for what is said of it."""
    if trouble.step == "sign_in":
        cabinet.simulated.end_sessions()
    if trouble.step in {"nocache", "permutation"}:
        cabinet.simulated.redeploy()
    start_afresh(exporter)
    for _ in until(trouble):
        exporter.ask("/metrics")
        if trouble.spoiled if isinstance(trouble, faults.Malformed) else trouble.met:
            break
    exporter.ask_for_everything()


def break_the_program(cabinet: Cabinet, exporter: Exporter) -> None:
    """Exceptions that tell everything, wherever one may come from."""
    place = exporter.place
    for bug in [*BUGS_AT_PAGES, *BUGS_IN_REFRESHES]:
        start_afresh(exporter)
        place.provoke(bug, cabinet.everything())
        if bug == "a sign-in":
            start_afresh(exporter)  # a session that ends within a sign-in would be a refusal
        for _ in until(bug):
            exporter.ask_for_everything()
            if bug in place.provoked():
                break
        place.provoke("", "")
        exporter.ask_for_everything()
    place.provoke("a configuration", cabinet.everything())
    assert exporter.ask("/-/reload", "POST") == 500
    past = len(exporter.log)
    exporter.process.send_signal(signal.SIGHUP)
    exporter.logged(rb"configuration not reloaded.*unexpected RuntimeError", past)
    place.provoke("", "")
    assert place.provoked() == {*BUGS_AT_PAGES, *BUGS_IN_REFRESHES, "a configuration"}
    assert exporter.ask("/metrics") == 200


def break_the_configuration(exporter: Exporter) -> None:
    """Wrong by name, wrong by value, wrong by password; and right again."""
    place = exporter.place
    place.write_config(f"    passwrd: '{WRONG_PASSWORD}'\n")
    assert exporter.ask("/-/reload", "POST") == 500
    place.write_config(f'    password: ["{WRONG_PASSWORD}\n')
    assert exporter.ask("/-/reload", "POST") == 500
    place.write_config()
    for text in (WRONG_PASSWORD, PASSWORD):
        place.set_password(text)
        assert exporter.ask("/-/reload", "POST") == 200
        exporter.ask_for_everything()
    assert exporter.ask("/metrics", password=PASSWORD) == 401
    assert exporter.ask(f"/{quote(PASSWORD)}?p={quote(VISITOR[1])}") == 404


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_exporter_says_writes_and_shows_no_secret(
    cabinet: Cabinet, tmp_path: Path, make_place: Callable[[Way], Place], way: Way
) -> None:
    place = make_place(way)
    exporter = Exporter(place, VISITOR)
    try:
        exporter.ask_for_everything()
        break_the_cabinet(cabinet, exporter)
        break_the_program(cabinet, exporter)
        break_the_configuration(exporter)
        asides = exporter.asides()
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(PATIENCE) == 0
    finally:
        exporter.process.kill()
        exporter.process.wait()

    log = exporter.log
    history = {file.name: file.read_bytes() for file in tmp_path.glob("history.db*")}
    started = "\n".join(place.all_started()).encode()
    # What is searched is what there is to search: the log at debug tells each call.
    assert log.count(b"call answered") > 50
    assert log.count(b"refresh failed") > 20
    assert log.count(b"details failed") > len(faults.MALFORMED)
    assert log.count(b"unexpected RuntimeError") > len(BUGS_IN_REFRESHES)
    assert history
    assert exporter.pages
    secrets = {
        **cabinet.secrets(),
        **cabinet.credentials(),
        "visitor's hash": exporter.hashed,
        "TLS key": exporter.key.splitlines()[1],
    }
    places = {"log": log, **exporter.pages, **history, **asides, "what it started": started}
    assert not found(secrets, places)
    assert not started


def at_each_sign_in(troubles: Sequence[BadAnswer]) -> Hook:
    """Another trouble at each sign-in."""

    def hook(incoming: Incoming) -> Fault | None:
        if incoming.call != "sign_in":
            return None
        return troubles[incoming.number % len(troubles)].make(incoming)

    return hook


class Commands:
    """Commands that are run, and what each of them said."""

    def __init__(self, place: Place) -> None:
        self.said: dict[str, bytes] = {}
        self._place = place

    def run(self, status: int, *lines: Sequence[str]) -> None:
        """Run command lines that end with this status."""
        self.run_with_bugs(status, *(("", line) for line in lines))

    def run_with_bugs(self, status: int, *lines: tuple[str, Sequence[str]]) -> None:
        """Run command lines, each with an exception somewhere, that end with this status."""
        for bug, line in lines:
            ended, said = self._place.run(*line, bug=bug)
            assert ended == status, (bug, line, said)
            assert b"Traceback" not in said
            self.said[f"{len(self.said)} {bug} {' '.join(line)}"] = said


def test_no_command_says_or_writes_a_secret(
    cabinet: Cabinet, tmp_path: Path, make_place: Callable[[Way], Place]
) -> None:
    place = make_place(WAYS[1])
    commands = Commands(place)
    config, refs = place.config, cabinet.refs
    recording = json.dumps(record_visit(cabinet.simulated), ensure_ascii=False)
    (tmp_path / "visit.har").write_text(recording, "utf-8")
    (tmp_path / "broken.har").write_text(recording[: len(recording) // 2], "utf-8")
    har, broken = str(tmp_path / "visit.har"), str(tmp_path / "broken.har")
    commands.run(
        0,
        ("check", *config, "--online"),
        ("trunks", "list", *config),
        ("trunks", "list", *config, "--format", "json"),
        ("trunks", "list", *config, "--format", "csv"),
        ("trunks", "show", *config, *refs),
        ("trunks", "disable", *config, "--dry-run", refs[0]),
        ("trunks", "disable", *config, "--yes", refs[0]),
        ("inspect", *config, "--save", str(tmp_path / "saved")),
        ("import-har", har),
        ("import-har", har, "--output", str(tmp_path / "imported.yml")),
    )
    # What the cabinet sends of a trunk is malformed, in another way each time.
    simulated = cabinet.simulated
    ways = [*faults.MALFORMED.values()]
    malformed = faults.Malformed(simulated, ways)
    malformed.start()
    commands.run(1, *[("trunks", "show", *config, *refs)] * 3)
    assert malformed.spoiled >= len(ways)
    commands.run(0, ("inspect", *config, "--save", str(tmp_path / "saved malformed")))
    faults.exceptional(simulated).start()
    commands.run(
        1, ("trunks", "enable", *config, "--yes", "--all"), ("trunks", "show", *config, *refs)
    )
    # What it answers to a sign-in says the password.
    echoes = [one for one in faults.echoes(simulated, PASSWORD) if one.step in ("", "sign_in")]
    place.write_config(names=[f"office-{number}" for number in range(len(echoes))])
    simulated.faults = at_each_sign_in(echoes)
    commands.run(1, ("check", *config, "--online"), ("trunks", "list", *config))
    simulated.faults = None
    # The program has a bug, and its exception tells everything.
    place.write_config()
    place.provoke("", cabinet.everything())
    commands.run_with_bugs(
        1,
        ("a sign-in", ("check", *config, "--online")),
        ("a row", ("trunks", "list", *config)),
        ("a table", ("trunks", "list", *config)),
        ("a device", ("trunks", "show", *config, refs[0])),
        ("a card", ("trunks", "show", *config, refs[0])),
        ("a switch", ("trunks", "enable", *config, "--yes", refs[0])),
        ("an inspection", ("inspect", *config)),
        ("a configuration", ("events", *config)),
        ("a recording", ("import-har", har)),
    )
    commands.run_with_bugs(
        0,
        ("an object that dies", ("trunks", "list", *config)),
        ("an object that dies", ("import-har", har)),
    )
    assert len(place.provoked()) == 10
    # What a person gives it is wrong.
    commands.run(1, ("import-har", broken), ("decode", har))
    place.write_config(f"    passwrd: '{WRONG_PASSWORD}'\n")
    commands.run(2, ("check", *config), ("trunks", "list", *config))

    written = {
        str(file.relative_to(tmp_path)): file.read_bytes()
        for folder in ("saved", "saved malformed")
        for file in (tmp_path / folder).iterdir()
    }
    assert written
    written["imported"] = (tmp_path / "imported.yml").read_bytes()
    started = "\n".join(place.all_started()).encode()
    places = {**commands.said, **written, "what they started": started}
    secrets = {**cabinet.secrets(), **cabinet.credentials()}
    assert len(found(secrets, {"the recording": recording.encode()})) > 2 * len(refs)
    assert not found(secrets, places)
    assert not started


def test_who_asks_for_sip_credentials_gets_them_and_nothing_else(
    cabinet: Cabinet, make_place: Callable[[Way], Place]
) -> None:
    place = make_place(WAYS[0])
    status, said = place.run("trunks", "show", *place.config, "--show-secrets", cabinet.refs[0])
    assert status == 0
    assert found({"SIP password": cabinet.devices[0].sip_password}, {"here": said})
    others = {f"SIP password {one.id}": one.sip_password for one in cabinet.devices[1:]}
    assert not found({**cabinet.secrets(), **others}, {"what was said": said})
