"""A program finds trunks and moves selectors, with what the package offers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import vats_exporter
from vats_exporter import Cabinet, NotSwitchedError, UnknownTrunkError
from vats_exporter.cabinet.errors import CabinetError, LoginRefusedError
from vats_exporter.demo import Answer, Fault, Incoming, SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vats_exporter.demo import SimulatedTrunk


@pytest.fixture
def simulated() -> Iterator[SimulatedCabinet]:
    with SimulatedCabinet(make_accounts(trunks=60)) as own:
        yield own


@pytest.fixture
def own(simulated: SimulatedCabinet) -> Iterator[Cabinet]:
    account = simulated.accounts[0]
    with Cabinet(
        simulated.url, account.login, account.password, selector_method="setEnabled"
    ) as own:
        yield own


def some(simulated: SimulatedCabinet, *, device: bool) -> SimulatedTrunk:
    trunks = simulated.accounts[0].enterprise.trunks()
    return next(trunk for trunk in trunks if (trunk.device is not None) is device)


def test_every_trunk_is_read(own: Cabinet, simulated: SimulatedCabinet) -> None:
    assert [(t.ref, t.phone, t.name, t.flags.active) for t in own.trunks()] == [
        (t["ref"], t["phone"], t["name"], t["active"]) for t in simulated.trunks()
    ]


@pytest.mark.parametrize("by", ["phone", "ref", "written phone"])
def test_one_trunk_is_found_and_tells_its_line_and_selector(
    own: Cabinet, simulated: SimulatedCabinet, by: str
) -> None:
    expected = some(simulated, device=True)
    assert expected.device is not None
    written = f"+7 ({expected.phone[1:4]}) {expected.phone[4:]}"
    key = {"phone": expected.phone, "ref": expected.ref, "written phone": written}[by]
    trunk = own.trunk(key)
    assert (trunk.ref, trunk.line, trunk.sip_device_enabled) == (
        expected.ref,
        expected.device.line,
        expected.device.enabled,
    )


def test_a_trunk_that_is_not_there_is_an_error_of_the_tree(own: Cabinet) -> None:
    with pytest.raises(UnknownTrunkError, match="no trunk has this phone or reference, of 60"):
        own.trunk("79999999999")
    assert issubclass(UnknownTrunkError, CabinetError)


def test_a_selector_is_moved_and_seen_to_move(own: Cabinet, simulated: SimulatedCabinet) -> None:
    trunk = some(simulated, device=True)
    for enabled in (False, True, True):
        own.set_enabled(trunk.phone, enabled)
        assert own.trunk(trunk.ref).sip_device_enabled is enabled
    with pytest.raises(NotSwitchedError, match="no SIP device"):
        own.set_enabled(some(simulated, device=False).ref, enabled=True)


def test_a_selector_that_stays_where_it_was_is_an_error(
    own: Cabinet, simulated: SimulatedCabinet
) -> None:
    right = Answer(200, body=b'//OK[1,1,["java.lang.Boolean/476441737"],0,7]')

    def ignored(incoming: Incoming) -> Fault | None:
        return Fault(instead=right) if incoming.call == "selector" else None

    trunk = some(simulated, device=True)
    assert trunk.device is not None
    simulated.faults = ignored
    with pytest.raises(NotSwitchedError, match="shows the selector where it was"):
        own.set_enabled(trunk.ref, not trunk.device.enabled)


def test_a_refused_login_is_told_apart(simulated: SimulatedCabinet) -> None:
    with (
        Cabinet(simulated.url, simulated.accounts[0].login, "geheim") as own,
        pytest.raises(LoginRefusedError) as caught,
    ):
        own.trunks()
    assert "geheim" not in str(caught.value)


def test_an_address_or_a_setting_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="login and password do not belong"):
        Cabinet("https://a:b@vpbx.mts.ru", "", "")
    with pytest.raises(ValueError, match="pagesize"):
        Cabinet("vpbx.mts.ru", "a", "b", pagesize=10)


def test_everything_that_is_offered_is_there_and_nothing_else() -> None:
    for name in vats_exporter.__all__:
        assert getattr(vats_exporter, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Trunks'"):
        vats_exporter.Trunks  # noqa: B018 - the access is what is tested


def test_importing_the_package_alone_costs_no_http_client() -> None:
    script = "import sys, vats_exporter; print('requests' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "False\n"


def test_a_users_program_is_type_checked_as_written(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from vats_exporter import Cabinet, CabinetError, Trunk\n"
        "def inactive(password: str) -> list[str]:\n"
        "    try:\n"
        "        with Cabinet('vpbx.mts.ru', '+7-9161234567', password, page_size=50) as cabinet:\n"
        "            trunks: list[Trunk] = cabinet.trunks()\n"
        "            return [trunk.phone for trunk in trunks if not trunk.flags.active]\n"
        "    except CabinetError as error:\n"
        "        raise SystemExit(error.result) from error\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(program)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
