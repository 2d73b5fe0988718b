"""`demo`, followed as its text says."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.cli.conftest import Ended, fetch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Run, Running

    Start = Callable[..., Running]


def invitation(running: Running) -> str:
    """What it prints, up to its last line."""
    assert running.process.stdout is not None
    lines = []
    for line in running.process.stdout:
        lines.append(line)
        if "Ctrl-C ends" in line:
            return "".join(lines)
    raise AssertionError(f"ended too early: {''.join(lines)}")


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    assert match is not None, text
    return match[1]


def test_its_metrics_are_its_truth(start: Start) -> None:
    running = start("demo", "--port", "0", "--trunks", "12", "--accounts", "2")
    text = invitation(running)
    assert "(accounts: 2, trunks: 24):" in text
    truth_url = found(r"truth +(http\S+)", text)
    fetch(truth_url.replace("/trunks", "/pace"), '{"seconds": 0}')
    page = fetch(found(r"metrics +(http\S+)", text))
    shown = dict(re.findall(r'vats_trunk_active{.*phone="(\d+)".*} ([01])\.0', page))
    truth = json.loads(fetch(truth_url))["trunks"]
    assert shown == {one["phone"]: str(int(one["active"])) for one in truth}
    assert len(shown) == 24
    running.end(signal.SIGINT)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_command_it_shows_works(start: Start, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "demo.yml"
    arguments = ("--port", "0", "--cabinet-port", "0", "--trunks", "5", "--accounts", "2")
    running = start("demo", *arguments, "--write-config", str(file))
    text = invitation(running)
    commands = re.findall(r"^  ((?:curl|vats-exporter) .*)", text, re.MULTILINE)
    assert len(commands) == 11
    shown = {}
    for command in commands:
        if command.startswith("vats-exporter "):
            ended = run(*shlex.split(command)[1:])
        else:
            shell = ["bash", "-c", f"set -o pipefail\n{command}"]
            curl = subprocess.run(shell, check=False, capture_output=True, text=True, timeout=60)
            ended = Ended(curl.returncode, curl.stdout, curl.stderr)
        assert ended.status == 0, (command, ended)
        assert ended.stdout or ended.stderr.endswith(" events\n"), command
        shown[command] = ended.stdout
    (switched,) = (json.loads(out) for command, out in shown.items() if "-d '" in command)
    assert switched["active"] is False
    (permutations,) = (json.loads(out) for command, out in shown.items() if "/redeploy" in command)
    assert permutations["permutations"]
    running.end(signal.SIGTERM)


def test_the_cabinets_port_can_be_chosen(start: Start, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("demo", "--port", "0", "--cabinet-port", str(port))
    assert (ended.status, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"--cabinet-port: cannot listen on port {port}: Address already in use\n"
    )
    running = start("demo", "--port", "0", "--cabinet-port", str(port))
    assert urlsplit(found(r"truth +(http\S+)", invitation(running))).port == port
    running.end(signal.SIGINT)


def test_ctrl_c_ends_it_cleanly(start: Start) -> None:
    running = start("demo", "--port", "0")
    invitation(running)
    ended = running.end(signal.SIGINT)
    assert ended.status == 0
    assert "Traceback" not in ended.stderr


def test_without_trunks_there_is_none_to_switch(start: Start) -> None:
    running = start("demo", "--port", "0", "--trunks", "0")
    assert "switch a trunk" not in invitation(running)
    assert running.end(signal.SIGINT).status == 0


def test_a_taken_port_is_one_line_and_says_what_helps(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("demo", "--port", str(port))
    assert (ended.status, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"--port: cannot listen on 127.0.0.1:{port}: Address already in use; try --port 0\n"
    )


@pytest.mark.parametrize(
    "arguments", [["--trunks", "-1"], ["--accounts", "0"], ["--port", "70000"], ["--trunks", "x"]]
)
def test_numbers_out_of_range_are_wrong_usage(run: Run, arguments: list[str]) -> None:
    ended = run("demo", *arguments)
    assert ended.status == 2
    assert arguments[0] in ended.stderr


def test_it_writes_the_configuration_that_reads_it(start: Start, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "vats-exporter.yml"
    running = start("demo", "--port", "0", "--accounts", "2", "--write-config", str(file))
    invitation(running)
    ended = run("trunks", "list", "--config.file", str(file), "--format", "json")
    assert ended.status == 0
    assert {row["account"] for row in json.loads(ended.stdout)} == {"demo-1", "demo-2"}
    running.end(signal.SIGINT)


def test_a_configuration_that_cannot_be_written_is_one_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "none" / "vats-exporter.yml"
    ended = run("demo", "--port", "0", "--write-config", str(file))
    assert (ended.status, ended.stdout) == (1, "")
    assert ended.stderr == f"{file}: cannot be written: No such file or directory\n"


def test_a_wrong_web_configuration_is_refused_before_anything_starts(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "web.yml"
    file.write_text("basic_auth_users: 5\n")
    ended = run("demo", "--port", "0", "--web.config.file", str(file))
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"{file}: ")


def test_a_second_demo_beside_the_first_takes_another_port(start: Start) -> None:
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # somebody else's will do as well
            stack.enter_context(socket.create_server(("127.0.0.1", 9743)))
        running = start("demo", "--port", "0")
        truth = found(r"truth +(http\S+)", invitation(running))
        assert urlsplit(truth).port != 9743
        assert json.loads(fetch(truth))["trunks"]
        running.end(signal.SIGINT)
