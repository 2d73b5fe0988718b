"""A refused password is not sent again soon, by whichever process of the same user."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.doubles import Ticks
from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.errors import LoginRefusedError
from vats_exporter.cabinet.refusals import Refusal, Refusals, state_file
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.cabinet.sign_in import SignInPace
from vats_exporter.demo import SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator

WHO = ("https://vpbx.mts.ru", "+7-9161234567", "geheim")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vats_exporter.cabinet.refusals._COST", 2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "refused.json"


@pytest.fixture
def simulated() -> Iterator[SimulatedCabinet]:
    with SimulatedCabinet(make_accounts(trunks=1)) as simulated:
        yield simulated


def sign_in(
    simulated: SimulatedCabinet, file: Path, password: str, clock: Ticks | None = None
) -> None:
    """Read the list once, as a process of its own would."""
    clock = clock or Ticks()
    pace = SignInPace(clock=clock, refusals=Refusals(lambda: file, clock))
    login = simulated.accounts[0].login
    settings = CabinetSettings(address=simulated.url, login=login, password=password)
    with CabinetClient(settings, pace=pace) as cabinet:
        cabinet.read_trunks()


def test_a_command_that_is_repeated_sends_a_refused_password_once_a_minute_and_ever_less(
    simulated: SimulatedCabinet, file: Path
) -> None:
    clock = Ticks()
    for _ in range(360):  # an hour, a command every ten seconds
        with pytest.raises(LoginRefusedError):
            sign_in(simulated, file, "wrong", clock)
        clock.now += 10.0
    assert simulated.stats()["refused_sign_ins"] == 6


def test_who_is_held_back_is_told_so(simulated: SimulatedCabinet, file: Path) -> None:
    with pytest.raises(LoginRefusedError):
        sign_in(simulated, file, "wrong")
    with pytest.raises(LoginRefusedError, match=r"refused .*; the password was sent 0 s ago, and"):
        sign_in(simulated, file, "wrong")


def test_another_password_is_sent_at_once(simulated: SimulatedCabinet, file: Path) -> None:
    for password in ("wrong", "wrong too"):
        with pytest.raises(LoginRefusedError):
            sign_in(simulated, file, password)
    sign_in(simulated, file, simulated.accounts[0].password)
    sign_in(simulated, file, simulated.accounts[0].password)
    assert simulated.stats()["sign_ins"] == 2
    assert simulated.stats()["refused_sign_ins"] == 2


def test_a_password_that_works_is_not_held_against_anybody(
    simulated: SimulatedCabinet, file: Path
) -> None:
    clock = Ticks()
    (account,) = simulated.accounts
    right, account.password = account.password, "another"
    with pytest.raises(LoginRefusedError):
        sign_in(simulated, file, right, clock)
    account.password = right
    clock.now += 61.0
    sign_in(simulated, file, right, clock)
    assert json.loads(file.read_text())["refused"] == {}


def test_the_file_holds_no_password_and_is_for_its_owner_alone(
    simulated: SimulatedCabinet, file: Path
) -> None:
    with pytest.raises(LoginRefusedError):
        sign_in(simulated, file, "geheim-password")
    text = file.read_text()
    assert "geheim" not in text
    assert simulated.accounts[0].login not in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["refused.json"]


def test_nothing_is_written_where_nothing_was_refused(
    simulated: SimulatedCabinet, file: Path
) -> None:
    sign_in(simulated, file, simulated.accounts[0].password)
    assert not file.exists()


@pytest.mark.parametrize("later", [-1.0, 7201.0])
def test_an_old_refusal_and_one_of_a_time_to_come_are_forgotten(file: Path, later: float) -> None:
    clock = Ticks()
    refusals = Refusals(lambda: file, clock)
    refusals.note(WHO, Refusal(0.0, 60.0, 1))
    assert refusals.find(WHO) == Refusal(0.0, 60.0, 1)
    clock.now += later
    assert refusals.find(WHO) is None


def test_refusals_are_bounded(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vats_exporter.cabinet.refusals._MOST", 3)
    refusals = Refusals(lambda: file)
    for number in range(5):
        refusals.note((*WHO[:2], str(number)), Refusal(0.0, 60.0, 1))
    assert len(json.loads(file.read_text())["refused"]) == 3
    assert refusals.find((*WHO[:2], "0")) is None
    assert refusals.find((*WHO[:2], "4")) is not None


def test_accounts_that_are_refused_together_are_all_kept(file: Path) -> None:
    refusals = Refusals(lambda: file)
    with ThreadPoolExecutor(20) as pool:
        for number in range(60):
            pool.submit(refusals.note, (*WHO[:2], str(number)), Refusal(0.0, 60.0, 1))
    assert all(refusals.find((*WHO[:2], str(number))) for number in range(60))


def test_a_file_that_cannot_be_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refusals = Refusals(lambda: tmp_path / "file" / "refused.json")
    refusals.note(WHO, Refusal(0.0, 60.0, 1))
    assert refusals.find(WHO) is None


def test_a_pipe_in_its_place_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert Refusals(lambda: tmp_path / "pipe").find(WHO) is None


def test_who_has_no_home_has_no_refusals() -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    Refusals(nowhere).note(WHO, Refusal(0.0, 60.0, 1))
    assert Refusals(nowhere).find(WHO) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["salt", "refused", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON.map(json.dumps) | st.text(max_size=20))
def test_whatever_the_file_holds_is_a_refusal_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "odd.json"
    file.write_text(text, "utf-8")
    refusals = Refusals(lambda: file)
    assert refusals.find(WHO) is None
    refusals.note(WHO, Refusal(0.0, 60.0, 1))
    assert refusals.find(WHO) is not None


def test_systemd_says_where_the_file_is_and_else_it_is_the_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/vats-exporter:/var/lib/other")
    assert state_file() == Path("/var/lib/vats-exporter/refused.json")
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", "/home/anna/state")
    assert state_file() == Path("/home/anna/state/vats-exporter/refused.json")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/anna")
    assert state_file() == Path("/home/anna/.local/state/vats-exporter/refused.json")
