"""What is released: the wheel and the sdist as they are built, and the one version they have."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from vats_exporter import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY: Final = Path(__file__).parents[1]
_TRACKED: Final = {".json", ".md", ".py", ".service", ".tpl", ".txt", ".yaml", ".yml"}
"""Endings of files that are in the repository, and not made by running something."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        check=True,
        cwd=REPOSITORY,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Iterator[zipfile.ZipFile]:
    (file,) = built.glob("*.whl")
    assert file.name == f"vats_exporter-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(file) as opened:
        yield opened


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    package = {
        str(file.relative_to(REPOSITORY))
        for file in (REPOSITORY / "vats_exporter").rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
    described = f"vats_exporter-{__version__}.dist-info/"
    assert {name for name in wheel.namelist() if not name.startswith(described)} == package
    assert "vats_exporter/py.typed" in package


def test_the_wheels_program_runs_without_the_repository(
    wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    wheel.extractall(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-m", "vats_exporter", "--version"],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert ended.stdout == f"vats-exporter {__version__}\n"
    points = tmp_path / f"vats_exporter-{__version__}.dist-info" / "entry_points.txt"
    assert "vats-exporter = vats_exporter.__main__:main" in points.read_text()


def test_the_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    text = wheel.read(f"vats_exporter-{__version__}.dist-info/METADATA").decode()
    told = Parser().parsestr(text)
    assert (told["Name"], told["Version"]) == ("vats-exporter", __version__)
    assert (told["License-Expression"], told["Requires-Python"]) == ("Apache-2.0", ">=3.10")
    # What the index shows is the README, and a link of it must lead somewhere from there.
    assert told.get_payload().lstrip().startswith("# vats-exporter")  # type: ignore[union-attr]
    locked = (REPOSITORY / "requirements" / "run.txt").read_text("utf-8")
    for requirement in told.get_all("Requires-Dist") or []:
        name = re.split(r"[><=; ]", requirement)[0]
        assert re.search(rf"^{name}==", locked, re.MULTILINE), f"{name} is not locked: `make lock`"


def test_the_sdist_holds_sources_and_tests_and_what_these_read(built: Path) -> None:
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as opened:
        inside = {name.partition("/")[2] for name in opened.getnames()}
    for needed in ("pyproject.toml", "README.md", "LICENSE", "tests/test_packaging.py"):
        assert needed in inside
    for folder in ("benchmarks", "deploy", "docs", "fuzz", "grafana", "requirements"):
        tracked = {
            str(one.relative_to(REPOSITORY))
            for one in (REPOSITORY / folder).rglob("*.*")
            if one.suffix in _TRACKED
        }
        assert tracked
        assert {one for one in tracked if not one.startswith("deploy/config/")} <= inside
    assert not {name for name in inside if name.startswith((".venv", "site/"))}
    # People keep their own accounts and passwords there.
    kept = {name for name in inside if name.startswith("deploy/config/")}
    assert kept == {"deploy/config/README.md", "deploy/config/.gitignore"}


def test_there_is_one_version(built: Path) -> None:
    compose = yaml.safe_load((REPOSITORY / "deploy" / "compose.yaml").read_text("utf-8"))
    assert compose["services"]["vats-exporter"]["image"] == f"vats-exporter:{__version__}"
    kustomization = REPOSITORY / "deploy" / "kubernetes" / "kustomization.yaml"
    (image,) = yaml.safe_load(kustomization.read_text("utf-8"))["images"]
    assert image["newTag"] == __version__
    chart = yaml.safe_load((REPOSITORY / "deploy" / "helm" / "Chart.yaml").read_text("utf-8"))
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    for page in ("README.md", "README.ru.md"):
        text = (REPOSITORY / "deploy" / "helm" / page).read_text("utf-8")
        assert f"`dist/vats-exporter-{__version__}.tgz`" in text
    changes = (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## \[(.+?)\]", changes, re.MULTILINE)
    assert headings[:2] == ["Unreleased", __version__]
