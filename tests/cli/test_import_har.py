"""``import-har``: from a recording to a configuration that loads."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from vats_exporter.cabinet.client import CabinetClient
from vats_exporter.cabinet.settings import CabinetSettings
from vats_exporter.config.loading import load
from vats_exporter.demo import SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., Any]


def record_visit(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], SimulatedCabinet]:
    """Record what is really sent to a simulated cabinet, as a browser's tools would write it."""
    entries: list[dict[str, Any]] = []
    real = HTTPConnection.request

    def request(
        self: HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
    ) -> None:
        shown = {**headers, "Cookie": "JSESSIONID=geheim"}
        sent: dict[str, Any] = {
            "method": method,
            "url": f"http://{self.host}:{self.port}{path}",
            "headers": [{"name": name, "value": value} for name, value in shown.items()],
        }
        if body is not None:
            sent["postData"] = {"text": body.decode()}
        entries.append({"request": sent, "response": {"status": 200}})
        real(self, method, path, body, headers)

    monkeypatch.setattr(HTTPConnection, "request", request)
    account = make_accounts(trunks=5)[0]
    simulated = SimulatedCabinet([account])
    with simulated:
        settings = CabinetSettings(
            address=simulated.url,
            login=account.login,
            password=account.password,
            selector_method="setEnabled",
        )
        with CabinetClient(settings) as cabinet:
            trunks = cabinet.read_trunks().trunks
            ref = next(t.ref for t in account.enterprise.trunks() if t.device)
            assert ref in {trunk.ref for trunk in trunks}
            cabinet.move_selector(ref, enabled=True)
    return {"log": {"version": "1.2", "entries": entries}}, simulated


def test_a_recorded_visit_becomes_a_configuration_that_loads(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, simulated = record_visit(monkeypatch)
    account = simulated.accounts[0]
    file = tmp_path / "visit.har"
    file.write_text(json.dumps(document), encoding="utf-8")
    ended = run("import-har", str(file), "--name", "филиал", "--output", str(tmp_path / "v.yml"))
    assert ended.status == 0
    (tmp_path / "филиал.password").write_text("secret")
    settings = load(tmp_path / "v.yml").accounts[0]
    assert settings.address == document["log"]["entries"][0]["request"]["url"].rsplit("/", 1)[0]
    assert settings.enterprise == str(account.enterprise.number)
    assert settings.selector_method == "setEnabled"
    assert settings.list_tail == CabinetSettings().list_tail
    written = (tmp_path / "v.yml").read_text() + ended.stdout + ended.stderr
    for secret in ("geheim", account.password, account.login, account.login.lstrip("+")):
        assert secret not in written
    for trunk in account.enterprise.trunks():
        assert trunk.phone not in written
        assert trunk.ref not in written


PAYLOADS = [
    entry["payload"]
    for entry in json.loads((Path(__file__).parents[1] / "wire" / "requests.json").read_text())[
        "requests"
    ]
]


def write_visit(folder: Path, service: str, payload: str) -> str:
    """Write a recording of one call, and return its path."""
    entry = {
        "request": {
            "method": "POST",
            "url": f"https://vpbx.mts.ru/vpbxGwt/{service}",
            "postData": {"text": payload},
        }
    }
    file = folder / "visit.har"
    file.write_text(json.dumps({"log": {"entries": [entry]}}))
    return str(file)


def test_what_was_not_recorded_is_said(run: Run, tmp_path: Path) -> None:
    file = write_visit(tmp_path, "AbonentBrowserGwtService", PAYLOADS[0])
    ended = run("import-har", file)
    assert ended.status == 0
    assert ended.stdout.startswith('accounts:\n  - name: "office"\n')
    assert "not found: enterprise" in ended.stderr
    assert "not found: selector" in ended.stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cannot be read as JSON: Expecting value: line 1 column 1"),
        (b"<html>", "cannot be read as JSON: Expecting value: line 1 column 1"),
        (b"\xff\xfe", "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b"{}", "no list log.entries"),
        (b'{"log": {"entries": []}}', "no GWT-RPC call in the recording"),
    ],
)
def test_what_is_no_recording_gets_one_line(
    run: Run, tmp_path: Path, content: bytes, says: str
) -> None:
    file = tmp_path / "visit.har"
    file.write_bytes(content)
    ended = run("import-har", str(file))
    assert (ended.status, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"{file}: ")
    assert says in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_file_that_is_there_is_left_alone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, _ = record_visit(monkeypatch)
    (tmp_path / "visit.har").write_text(json.dumps(document))
    (tmp_path / "v.yml").write_text("mine")
    ended = run("import-har", str(tmp_path / "visit.har"), "--output", str(tmp_path / "v.yml"))
    assert ended.status == 1
    assert "File exists" in ended.stderr
    assert (tmp_path / "v.yml").read_text() == "mine"


def test_a_disk_that_fills_up_while_it_is_written_is_told(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_visit(tmp_path, "AbonentBrowserGwtService", PAYLOADS[0])
    # It can be opened, and only takes nothing: such an error has no name of a file in it.
    real = Path.open
    monkeypatch.setattr(
        Path,
        "open",
        lambda path, mode, **more: (
            real(Path("/dev/full"), "w") if mode == "x" else real(path, mode, **more)
        ),
    )
    ended = run("import-har", file, "--output", str(tmp_path / "v.yml"))
    assert ended.status == 1
    assert ended.stderr == f"{tmp_path}/v.yml: cannot be written: No space left on device\n"


def test_what_differs_from_the_default_is_written(run: Run, tmp_path: Path) -> None:
    payload = next(one for one in PAYLOADS if "|-2|7|0|0|8|CbwhyN|" in one)
    payload = payload.replace("|-2|7|0|0|8|", "|0|7|0|0|8|")
    file = write_visit(tmp_path, "AbonentBrowserGwtService", payload)
    ended = run("import-har", file, "--output", str(tmp_path / "v.yml"))
    assert ended.status == 0
    (tmp_path / "office.password").write_text("secret")
    settings = load(tmp_path / "v.yml").accounts[0]
    assert settings.filter == 0
    assert settings.list_tail == "{filter}|7|0|0|8|{enterprise}|0|8|{page}|8|{page_size}|0|"
    assert "list_tail: {filter}|7|0|0|8|" in ended.stderr


def test_a_recording_that_cannot_be_read_is_one_line(run: Run) -> None:
    ended = run("import-har", "/proc/self/mem")
    assert (ended.status, ended.stderr) == (
        1,
        "/proc/self/mem: cannot read it: Input/output error\n",
    )


def test_a_recording_without_end_is_read_to_a_limit(run: Run) -> None:
    ended = run("import-har", "/dev/zero")
    assert ended.status == 1
    assert ended.stderr == "/dev/zero: longer than 268435456 bytes\n"


def test_a_recording_in_another_encoding_is_told_in_russian(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "visit.har"
    file.write_text('{"comment": "касса"}', "cp1251")
    ended = run("--lang", "ru", "import-har", str(file))
    assert (ended.status, ended.stderr) == (1, f"{file}: не UTF-8, начиная с байта 13\n")


def test_a_visit_that_only_moved_a_selector_gives_that(run: Run, tmp_path: Path) -> None:
    payload = next(one for one in PAYLOADS if "|setEnabled|" in one)
    file = write_visit(tmp_path, "AbonentDeviceFormGwtService", payload)
    ended = run("import-har", file)
    assert ended.status == 0
    assert "    selector_method: setEnabled\n" in ended.stdout
    assert "list_tail" not in ended.stdout
    assert "not found: list_tail" in ended.stderr


def test_what_is_left_out_is_told(run: Run) -> None:
    file = Path(__file__).parents[1] / "tools" / "har" / "two_hosts.har"
    ended = run("import-har", str(file))
    assert ended.status == 0
    assert "left out: 1 call to another host, other.example\n" in ended.stderr
    assert "other.example" not in ended.stdout
    told = run("--lang", "ru", "import-har", str(file)).stderr
    assert "пропущено: вызовы к другому узлу, other.example (1)\n" in told
