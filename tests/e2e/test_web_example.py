"""The worked example of TLS and passwords in the docs, pasted and run with a real Prometheus."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import yaml

from tests.e2e.stack import PATIENCE, free_port
from vats_exporter.demo import SimulatedCabinet, make_accounts

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = {"web.md": "### A worked example", "web.ru.md": "### Пример целиком"}


def blocks(page: str) -> list[str]:
    """The commands and files of the example, in their order."""
    text = (DOCS / page).read_text("utf-8")
    section = text.partition(EXAMPLES[page])[2].partition("\n##")[0]
    return re.findall(r"```\w+\n(.*?)```", section, re.DOTALL)


def until(what: str, seen: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if result := seen():
                return result
        except (URLError, OSError):
            pass
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {PATIENCE:g} s")


@pytest.mark.parametrize("page", EXAMPLES)
def test_the_worked_example_works_as_it_is_pasted(page: str, tmp_path: Path) -> None:
    for program in ("openssl", "htpasswd", "prometheus", "promtool"):
        if shutil.which(program) is None:
            pytest.skip(f"{program}, of a package of Debian's, is not on PATH")
    make, serve, prometheus = blocks(page)
    port, asked = free_port(), free_port()
    # The program under test is the one of this interpreter.
    binary = tmp_path / "bin"
    binary.mkdir()
    (binary / "vats-exporter").write_text(f'#!/bin/sh\nexec {sys.executable} -m vats_exporter "$@"')
    (binary / "vats-exporter").chmod(0o755)
    environment = {**os.environ, "PATH": f"{binary}:{os.environ['PATH']}"}
    with SimulatedCabinet(make_accounts(2, trunks=4)) as cabinet, ExitStack() as stack:
        accounts = [
            {
                "name": one.name,
                "login": one.login,
                "password": one.password,
                "address": cabinet.url,
            }
            for one in cabinet.accounts
        ]
        file = tmp_path / "vats-exporter.yml"
        file.write_text(yaml.safe_dump({"accounts": accounts}), encoding="utf-8")
        subprocess.run(["sh", "-e", "-c", make], cwd=tmp_path, env=environment, check=True)
        short = "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        (tmp_path / "prometheus.yml").write_text(
            short
            + prometheus.replace(":9742", f":{port}").replace(
                "- url: ", "- refresh_interval: 1s\n        url: "
            ),
            encoding="utf-8",
        )
        serving = f"exec {serve.strip()} --web.listen-address :{port}"
        scraping = (
            "promtool check config prometheus.yml && exec prometheus --config.file=prometheus.yml "
            f"--storage.tsdb.path=tsdb --web.listen-address=127.0.0.1:{asked}"
        )
        for command in (serving, scraping):
            log = stack.enter_context((tmp_path / f"{command.split()[1]}.log").open("wb"))
            process = stack.enter_context(
                subprocess.Popen(
                    ["sh", "-c", command],
                    cwd=tmp_path,
                    env=environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
            stack.callback(process.terminate)

        def ask(path: str) -> Any:
            with urlopen(f"http://127.0.0.1:{asked}/api/v1/{path}", timeout=10) as answer:
                return json.load(answer)["data"]

        def targets() -> dict[tuple[str, str], str]:
            return {
                (one["labels"]["job"], one["labels"]["instance"]): one["health"]
                for one in ask("targets")["activeTargets"]
            }

        names = [account["name"] for account in accounts]
        wanted = {("vats-exporter", f"localhost:{port}"), *(("vats-accounts", n) for n in names)}
        until(
            "all targets are up",
            lambda: {**targets()} == dict.fromkeys(wanted, "up"),
        )
        found = until(
            "every account is up by both jobs",
            lambda: (one := ask("query?query=vats_up==1")["result"]) and len(one) == 4 and one,
        )
        assert {one["metric"]["account"] for one in found} == {*names}
