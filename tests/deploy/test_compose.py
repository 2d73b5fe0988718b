"""The compose files: three programs read them, and every service reaches what it names."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

import jsonschema
import pytest
import yaml

from tests.scripts import load_script

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
FILES: Final = ("compose.yaml", "compose.accounts.yaml")
SERVICES: Final[dict[str, Any]] = yaml.safe_load((DEPLOY / FILES[0]).read_text())["services"]
LISTENS: Final = {
    "vats-exporter": 9742,
    "prometheus": 9090,
    "alertmanager": 9093,
    "webhook": 9099,
    "mail": 1025,
    "grafana": 3000,
}


def config(program: str, folder: Path, *files: str) -> dict[str, Any]:
    """What a program makes of the files."""
    # podman-compose asks for podman's version, and needs nothing else of it here.
    podman = folder / "podman"
    podman.write_text("#!/bin/sh\necho podman version 4.3.1\n")
    podman.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    arguments = [argument for file in files for argument in ("-f", str(DEPLOY / file))]
    ended = subprocess.run(
        [program, *arguments, "config"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PATH": path},
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = yaml.safe_load(ended.stdout)
    return found


@pytest.fixture(params=["docker-compose", "podman-compose"])
def program(request: pytest.FixtureRequest) -> str:
    beside = Path(sys.executable).parent / str(request.param)
    found = str(beside) if beside.exists() else shutil.which(str(request.param))
    if found is None:
        pytest.skip(f"{request.param} is neither in the virtual environment nor on PATH")
    return found


@pytest.mark.parametrize("number", [1, 2])
def test_compose_programs_read_the_files(program: str, number: int, tmp_path: Path) -> None:
    services = config(program, tmp_path, *FILES[:number])["services"]
    assert set(services) == set(SERVICES)
    command = services["vats-exporter"]["command"]
    assert command[0] == ("demo", "serve")[number - 1]
    assert services["prometheus"]["depends_on"]["vats-exporter"]["condition"] == "service_healthy"


def test_the_files_are_valid_by_the_schema_of_compose() -> None:
    found = list(Path("/usr/lib/python3/dist-packages/compose/config").glob("compose_spec.json"))
    if not found:
        pytest.skip("docker-compose, a package of Debian's, brings the schema")
    schema = json.loads(found[0].read_text("utf-8"))
    del schema["$schema"]  # a draft by a name that jsonschema does not know
    for file in FILES:
        jsonschema.validate(yaml.safe_load((DEPLOY / file).read_text("utf-8")), schema)


def test_every_service_says_whether_it_is_well() -> None:
    assert set(SERVICES) == set(LISTENS)
    for name, service in SERVICES.items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["restart"] == "unless-stopped", name


def test_every_host_that_a_configuration_names_is_a_service() -> None:
    texts = [
        (DEPLOY / "prometheus" / "prometheus.yml").read_text(),
        (DEPLOY / "alertmanager" / "alertmanager.yml").read_text(),
        (DEPLOY.parent / "grafana/provisioning/datasources/prometheus.yml").read_text(),
    ]
    lines = [
        line for text in texts for line in text.splitlines() if not line.lstrip().startswith("#")
    ]
    named = re.findall(r"\b([a-z][a-z-]+):([0-9]{4})\b", "\n".join(lines))
    addresses = {(host, int(port)) for host, port in named if host != "localhost"}
    assert addresses == {(name, port) for name, port in LISTENS.items() if name != "grafana"}


def test_what_is_mounted_exists() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (DEPLOY / source).exists(), source


@pytest.mark.parametrize(
    ("name", "program"),
    [("prometheus", "prometheus"), ("alertmanager", "prometheus-alertmanager")],
)
def test_programs_know_their_options(name: str, program: str) -> None:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program}, a package of Debian's, is not on PATH")
    ended = subprocess.run(
        [found, "--help"], capture_output=True, text=True, timeout=30, check=False
    )
    for option in SERVICES[name]["command"]:
        assert option.partition("=")[0] + "=" in ended.stdout + ended.stderr, option


def test_the_rules_head_and_the_compose_file_agree_on_the_resend_delay() -> None:
    rules = (DEPLOY / "prometheus" / "rules" / "vats-exporter.rules.yml").read_text("utf-8")
    (delay,) = re.findall(r"--rules.alert.resend-delay=(\w+)", rules)
    assert f"--rules.alert.resend-delay={delay}" in SERVICES["prometheus"]["command"]


def test_the_webhook_prints_what_it_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    receiver = load_script(DEPLOY / "alertmanager" / "webhook.py").Receiver
    alert = {
        "status": "firing",
        "labels": {"alertname": "VatsTrunkInactive", "account": "office"},
        "annotations": {"description": "79161234567 is off."},
    }
    body = json.dumps({"alerts": [alert]}).encode()
    with ThreadingHTTPServer(("127.0.0.1", 0), receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/alerts"
        for request in (Request(url), Request(url, body)):
            with urlopen(request, timeout=10) as answer:
                assert answer.status == 200
        server.shutdown()
    assert capsys.readouterr().out == "firing VatsTrunkInactive office 79161234567 is off.\n"
