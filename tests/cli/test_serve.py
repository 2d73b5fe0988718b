"""`serve` as a service manager runs it: a process, its log, its signals, its exit status."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import fetch
from tests.process import told
from tests.web.clients import until
from vats_exporter.demo import SimulatedCabinet, make_accounts
from vats_exporter.demo.http import Fault, Incoming

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Run, Running

    Start = Callable[..., Running]

ANY_PORT = ("--web.listen-address", "127.0.0.1:0", "--log.format", "json")


def configure(folder: Path, *accounts: str) -> str:
    file = folder / "vats-exporter.yml"
    file.write_text("accounts:\n" + "".join(f"  - {{{one}}}\n" for one in accounts), "utf-8")
    file.chmod(0o600)
    return str(file)


@pytest.fixture
def lonely(tmp_path: Path) -> str:
    """A configuration of an account whose cabinet is not there."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    return configure(
        tmp_path,
        f"name: office, login: a, password: hunter2-hunter2, address: 'http://127.0.0.1:{port}'",
    )


def test_metrics_show_every_trunk_as_the_cabinet_has_it(start: Start, tmp_path: Path) -> None:
    with SimulatedCabinet(make_accounts(2, trunks=30)) as cabinet:
        file = configure(
            tmp_path,
            *(
                f"name: {one.name}, login: {one.login}, password: {one.password}, "
                f"address: '{cabinet.url}', page_size: 10"
                for one in cabinet.accounts
            ),
        )
        running = start("serve", "--config.file", file, *ANY_PORT)
        page = fetch(f"http://{running.logged('listening')['address']}/metrics")
        ended = running.end(signal.SIGTERM)
        shown = {
            (match[1], match[2], match[3], match[4])
            for match in re.finditer(
                r"vats_trunk_(active|bound|marked_for_deletion)"
                r'{account="([^"]*)",phone="([0-9]*)",trunk="[^"]*"} ([01])\.0',
                page,
            )
        }
        assert shown == {
            (flag, trunk["account"], trunk["phone"], str(int(trunk[flag])))
            for trunk in cabinet.trunks()
            for flag in ("active", "bound", "marked_for_deletion")
        }
    assert ended.status == 0
    assert not any(account.password in ended.stderr for account in cabinet.accounts)


def test_it_starts_and_stays_up_without_the_cabinet(start: Start, lonely: str) -> None:
    running = start("serve", "--config.file", lonely, *ANY_PORT)
    url = f"http://{running.logged('listening')['address']}"
    failed = running.logged("refresh failed")
    assert (failed["account"], failed["result"]) == ("office", "unreachable")
    assert 'vats_up{account="office"} 0.0' in fetch(f"{url}/metrics")
    assert fetch(f"{url}/-/healthy")
    ended = running.end(signal.SIGTERM)
    assert ended.status == 0
    assert "hunter2" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(start: Start, lonely: str, number: int) -> None:
    running = start("serve", "--config.file", lonely, *ANY_PORT)
    running.logged("listening")
    ended = running.end(number)
    assert (ended.status, ended.stdout) == (0, "")
    assert '"msg": "stopped"' in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("call", ["list", "details"])
def test_a_cabinet_that_hangs_neither_holds_up_the_end_nor_keeps_its_session(
    start: Start, tmp_path: Path, call: str
) -> None:
    with SimulatedCabinet(make_accounts(1, trunks=3)) as cabinet:
        asked, never = threading.Event(), threading.Event()

        def hang(incoming: Incoming) -> Fault | None:
            if incoming.call != call:
                return None
            asked.set()
            return Fault(wait=never)

        cabinet.faults = hang
        (one,) = cabinet.accounts
        file = configure(
            tmp_path,
            f"name: {one.name}, login: {one.login}, password: {one.password}, "
            f"address: '{cabinet.url}'",
        )
        with (tmp_path / "vats-exporter.yml").open("a") as config:
            config.write("details: {ttl: 60s}\n")
        running = start("serve", "--config.file", file, *ANY_PORT)
        assert asked.wait(20)
        began = time.monotonic()
        ended = running.end(signal.SIGTERM)
        # It promises five seconds; a call would hang for thirty.
        assert time.monotonic() - began < 10
        assert ended.status == 0
        assert '"msg": "stopped"' in ended.stderr
        assert cabinet.end_sessions() == 0


def test_it_takes_all_the_descriptors_that_it_is_granted(start: Start, lonely: str) -> None:
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, most), most))
    try:
        running = start("serve", "--config.file", lonely, *ANY_PORT)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))
    page = fetch(f"http://{running.logged('listening')['address']}/metrics")
    (allowed,) = re.findall(r"^process_max_fds (\S+)$", page, re.MULTILINE)
    assert float(allowed) == most
    assert running.end(signal.SIGTERM).status == 0


def test_a_limit_that_cannot_be_raised_is_left_as_it_is(
    run: Run, lonely: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def setrlimit(_which: int, _limits: tuple[int, int]) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = run("serve", "--config.file", lonely, "--web.listen-address", address)
    assert ended.stderr.endswith("Address already in use\n")


def test_a_wrong_configuration_ends_it_with_every_line(run: Run, tmp_path: Path) -> None:
    file = configure(tmp_path, "name: a, login: b, password: ''", "name: a, password: hunter2")
    ended = run("serve", "--config.file", file)
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.stderr.splitlines() == [
        f"{file}: line 2: accounts[0].password: the password is empty",
        f"{file}: line 3: accounts[1].name: the same name as accounts[0]",
        f"{file}: line 3: accounts[1].login: missing",
    ]


def test_a_port_in_use_is_one_line(run: Run, lonely: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = run("serve", "--config.file", lonely, "--web.listen-address", address)
    assert (ended.status, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"--web.listen-address: cannot listen on {address}: Address already in use\n"
    )


@pytest.mark.parametrize("address", ["9742", "localhost", ":99999", "http://localhost:9742"])
def test_what_is_no_address_is_wrong_usage(run: Run, lonely: str, address: str) -> None:
    ended = run("serve", "--config.file", lonely, "--web.listen-address", address)
    assert ended.status == 2
    assert "--web.listen-address" in ended.stderr


def test_the_flags_of_the_log_go_before_the_configurations(
    start: Start, lonely: str, tmp_path: Path
) -> None:
    with (tmp_path / "vats-exporter.yml").open("a") as file:
        file.write("log: {format: logfmt, level: error}\n")
    running = start("serve", "--config.file", lonely, *ANY_PORT, "--log.level", "info")
    # Both in JSON, and at level info.
    assert running.logged("listening")["level"] == "info"
    assert running.end(signal.SIGTERM).status == 0


def test_sighup_loads_the_configuration_again_and_a_bad_one_changes_nothing(
    start: Start, tmp_path: Path
) -> None:
    with SimulatedCabinet(make_accounts(2, trunks=3)) as cabinet:
        accounts = [
            f"name: {one.name}, login: {one.login}, password: {one.password}, "
            f"address: '{cabinet.url}'"
            for one in cabinet.accounts
        ]
        file = configure(tmp_path, accounts[0])
        running = start("serve", "--config.file", file, *ANY_PORT)
        url = f"http://{running.logged('listening')['address']}/metrics"
        assert fetch(url).count("\nvats_trunk_active{") == 3
        configure(tmp_path, *accounts)
        running.process.send_signal(signal.SIGHUP)
        assert running.logged("configuration reloaded")["accounts"] == 2
        assert fetch(url).count("\nvats_trunk_active{") == 6
        configure(tmp_path, accounts[0] + ", logn: red")
        running.process.send_signal(signal.SIGHUP)
        assert "accounts[0].logn" in str(running.logged("configuration not reloaded")["error"])
        assert fetch(url).count("\nvats_trunk_active{") == 6
        assert running.end(signal.SIGTERM).status == 0


def test_it_serves_at_each_address_it_is_given(start: Start, lonely: str) -> None:
    running = start("serve", "--config.file", lonely, *ANY_PORT, *ANY_PORT)
    addresses = {str(running.logged("listening")["address"]) for _ in range(2)}
    assert len(addresses) == 2
    for address in addresses:
        assert fetch(f"http://{address}/-/healthy") == "The exporter is healthy.\n"
    assert running.end(signal.SIGTERM).status == 0


def test_every_option_may_be_a_variable(start: Start, lonely: str) -> None:
    running = start(
        "serve",
        VATS_EXPORTER_CONFIG_FILE=lonely,
        VATS_EXPORTER_WEB_LISTEN_ADDRESS="127.0.0.1:0 127.0.0.2:0",
        VATS_EXPORTER_WEB_TELEMETRY_PATH="/m",
        VATS_EXPORTER_WEB_EXTERNAL_URL="https://example.org/vats",
        VATS_EXPORTER_WEB_ENABLE_LIFECYCLE="true",
        VATS_EXPORTER_COLLECTOR_PRIVACY="mask-phones no-names",
        VATS_EXPORTER_LOG_FORMAT="json",
    )
    addresses = [str(running.logged("listening")["address"]) for _ in range(2)]
    assert [address.rpartition(":")[0] for address in addresses] == ["127.0.0.1", "127.0.0.2"]
    assert "vats_up" in fetch(f"http://{addresses[1]}/vats/m")
    assert "was loaded" in fetch(f"http://{addresses[0]}/vats/-/reload", "")
    assert '"__scheme__": "https"' in fetch(f"http://{addresses[0]}/vats/sd")
    assert running.end(signal.SIGTERM).status == 0


def test_it_serves_on_a_socket_that_systemd_passes(lonely: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        # As systemd does it: the socket is descriptor 3, and the variables name the process.
        code = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); "
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
            "os.execv(sys.executable, [sys.executable, '-m', 'vats_exporter', *sys.argv[2:]])"
        )
        options = ("serve", "--web.systemd-socket", "--config.file", lonely)
        with subprocess.Popen(
            [sys.executable, "-c", code, str(listening.fileno()), *options],
            pass_fds=[listening.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            # The socket listens before there is a process; a client waits for it to answer.
            assert fetch(f"http://127.0.0.1:{port}/-/ready") == "The exporter is ready.\n"
            process.terminate()
            _, told = process.communicate(timeout=20)
        assert process.returncode == 0
        assert f"address=127.0.0.1:{port}" in told
        # It is systemd's, and listens on.
        socket.create_connection(("127.0.0.1", port)).close()


def test_without_a_socket_of_systemds_there_is_one_line(run: Run, lonely: str) -> None:
    ended = run("serve", "--config.file", lonely, "--web.systemd-socket")
    assert ended.status == 1
    assert ended.stderr.startswith("--web.systemd-socket: systemd passed no socket")
    assert ended.stderr.count("\n") == 1


def blocks_hangups(process: int) -> bool:
    (mask,) = re.findall(
        r"^SigBlk:\s+(\w+)$", Path(f"/proc/{process}/status").read_text(), re.MULTILINE
    )
    return bool(int(mask, 16) >> (signal.SIGHUP - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells of signals there")
def test_a_hangup_while_it_starts_is_kept_for_later(start: Start, lonely: str) -> None:
    running = start("serve", "--config.file", lonely, *ANY_PORT)
    assert until(lambda: blocks_hangups(running.process.pid))  # it has begun, and imports
    running.process.send_signal(signal.SIGHUP)
    running.logged("listening")
    running.logged("configuration reloaded")
    assert running.end(signal.SIGTERM).status == 0


@pytest.mark.parametrize(
    ("option", "number", "status"),
    [
        ("--config.file", signal.SIGTERM, -signal.SIGTERM),
        ("--config.file", signal.SIGINT, 130),
        ("--web.config.file", signal.SIGTERM, -signal.SIGTERM),
    ],
)
def test_a_signal_ends_it_while_it_reads_a_pipe_that_does_not_end(
    lonely: str, tmp_path: Path, option: str, number: int, status: int
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = [sys.executable, "-m", "vats_exporter", "serve", "--config.file", lonely]
    with (
        subprocess.Popen([*program, option, str(pipe)], stderr=subprocess.DEVNULL) as process,
        pipe.open("wb"),  # once the other end is open
    ):
        process.send_signal(number)
        try:
            assert process.wait(10) == status
        finally:
            process.kill()


def test_a_storm_of_hangups_around_its_end_changes_nothing_about_it(
    start: Start, lonely: str
) -> None:
    running = start("serve", "--config.file", lonely, *ANY_PORT)
    running.logged("listening")
    drained = threading.Thread(target=running.process.communicate)
    drained.start()
    for number in range(4000):
        if running.process.returncode is not None:
            break
        running.process.send_signal(signal.SIGTERM if number == 50 else signal.SIGHUP)
    drained.join(30)
    assert running.process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--web.max-connections", "0"), "--web.max-connections"),
        (("--web.read-timeout", "soon"), "--web.read-timeout"),
        (("--web.read-timeout", "0s"), "longer than 0s"),
        (("--web.telemetry-path", "/probe"), "path of another page"),
        (("--web.external-url", "example.org"), "must be a URL"),
        (("--web.route-prefix", "a b"), "must be a path"),
        (("--web.listen-address", "2001:db8::1"), '"[2001:db8::1]:9742"'),
        (("--collector.privacy", "mask-phones,all"), "'all' is not one of"),
    ],
)
def test_wrong_options_are_told(
    run: Run, lonely: str, arguments: tuple[str, ...], sentence: str
) -> None:
    ended = run("serve", "--config.file", lonely, *arguments)
    assert ended.status == 2
    assert sentence in ended.stderr


@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_wrong_web_configuration_is_refused_in_one_line(
    run: Run, lonely: str, tmp_path: Path, command: str
) -> None:
    web = tmp_path / "web.yml"
    web.write_text("basic_auth_users:\n  alice: hunter2-hunter2\n")
    ended = run(command, "--config.file", lonely, "--web.config.file", str(web))
    assert ended.status == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"{web}: line 2: basic_auth_users: not a bcrypt hash")
    assert "hunter2" not in ended.stdout + ended.stderr


def test_labels_hold_back_what_they_are_told_to(start: Start, tmp_path: Path) -> None:
    with SimulatedCabinet(make_accounts(1, trunks=5)) as cabinet:
        (one,) = cabinet.accounts
        file = configure(
            tmp_path,
            f"name: {one.name}, login: {one.login}, password: {one.password}, "
            f"address: '{cabinet.url}'",
        )
        running = start(
            "serve", "--config.file", file, *ANY_PORT, "--collector.privacy", "mask-phones,no-names"
        )
        page = fetch(f"http://{running.logged('listening')['address']}/metrics")
        trunks = cabinet.trunks()
    assert page.count("\nvats_trunk_info{") == 5
    for trunk in trunks:
        assert str(trunk["phone"]) not in page
        assert str(trunk["name"]) not in page or not trunk["name"]


def test_a_log_that_is_not_read_stops_no_refresh_and_is_counted(tmp_path: Path) -> None:
    with SimulatedCabinet(make_accounts(1, trunks=20)) as cabinet:
        (one,) = cabinet.accounts
        file = configure(
            tmp_path,
            f"name: {one.name}, login: {one.login}, password: {one.password}, "
            f"address: '{cabinet.url}', page_size: 1",
        )
        with Path(file).open("a", encoding="utf-8") as opened:
            opened.write("cache: {ttl: 0s}\n")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        # With a short queue, so that it is full soon: a pipe holds some hundred lines.
        code = (
            "import queue, sys; from vats_exporter import cli;"
            "from vats_exporter import logs;"
            "logs.writer._lines = queue.Queue(20); cli.main(sys.argv[1:])"
        )
        command = [sys.executable, "-c", code, "serve", "--config.file", file]
        command += ["--log.level", "debug", "--web.listen-address", f"127.0.0.1:{port}"]
        # Nothing ever reads its standard error.
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            try:
                until(lambda: _answers(port))
                succeeded = f'vats_refreshes_total{{account="{one.name}",result="success"}}'
                dropped = 0.0
                for scrapes in range(1, 1000):
                    page = fetch(f"http://127.0.0.1:{port}/metrics")
                    # Each scrape finds a new refresh.
                    assert value(page, succeeded) >= scrapes
                    dropped = value(page, "vats_log_dropped_total")
                    if dropped:
                        break
                assert dropped
            finally:
                process.terminate()
                assert process.wait(20) == 0


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def value(page: str, series: str) -> float:
    (line,) = (line for line in page.splitlines() if line.startswith(f"{series} "))
    return float(line.rpartition(" ")[2])


def test_serve_tells_its_manager(manager: socket.socket, tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text(
        "accounts: [{name: a, login: b, password: c-c-c-c-c, address: 'http://127.0.0.1:9'}]\n"
    )
    command = [sys.executable, "-m", "vats_exporter", "serve", "--config.file", str(config)]
    process = subprocess.Popen(
        [*command, "--web.listen-address", "127.0.0.1:0"],
        env={
            **os.environ,
            "NOTIFY_SOCKET": manager.getsockname(),
            "WATCHDOG_USEC": "200000",
        },
        cwd=Path(__file__).parents[2],
        stderr=subprocess.DEVNULL,
    )
    try:
        seen: list[str] = []
        while "WATCHDOG=1" not in seen:
            seen += told(manager)
        assert seen[0] == "READY=1"
        assert re.fullmatch(r"STATUS=accounts: 1, at http://127\.0\.0\.1:\d+", seen[1])
        before = time.monotonic_ns() // 1000
        process.send_signal(signal.SIGHUP)
        while "RELOADING=1" not in seen:
            seen += told(manager)
        moment = int(seen[-1].removeprefix("MONOTONIC_USEC="))
        assert before <= moment <= time.monotonic_ns() // 1000
        while seen.count("READY=1") < 2:
            seen += told(manager)
        process.send_signal(signal.SIGTERM)
        while "STOPPING=1" not in seen:
            seen += told(manager)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
