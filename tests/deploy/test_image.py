"""The image: its Dockerfile as hadolint reads it, and its root, entered as a container is.

There is no engine needed: what the Dockerfile's last stage holds is made by ``deploy/image`` from
the interpreter that runs the tests, and entered with chroot as the user that the image names.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

import pytest
import requests

REPOSITORY: Final = Path(__file__).parents[2]
DOCKERFILE: Final = REPOSITORY / "Dockerfile"
ROOTFS: Final = REPOSITORY / "deploy" / "image" / "rootfs.py"
USER: Final = "65532:65532"
PATIENCE: Final = 60.0

_CHROOT: Final = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin") or "chroot"
_INSTALLED: Final = re.compile(r"^([a-z0-9-]+)==", re.MULTILINE)
_STARTED: Final = re.compile(r"http://127\.0\.0\.1:(\d+)/metrics")


def test_hadolint_finds_nothing_to_say() -> None:
    program = Path(sys.executable).with_name("hadolint")
    if not program.exists():
        pytest.skip("hadolint is not installed: `make` installs it from requirements/tools.txt")
    ended = subprocess.run([program, DOCKERFILE], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_the_base_is_named_to_the_patch() -> None:
    text = DOCKERFILE.read_text()
    assert re.search(r"^ARG PYTHON=python:\d+\.\d+\.\d+-slim-[a-z]+$", text, re.MULTILINE)
    assert text.rindex("FROM scratch") == text.rindex("FROM ")
    assert f"USER {USER}" in text


def install(app: Path) -> None:
    """Install what the image has, out of the environment that the tests run in."""
    venv.create(app, with_pip=False, symlinks=True)
    site = next(app.glob("lib/python3*/site-packages"))
    for name in _INSTALLED.findall((REPOSITORY / "requirements" / "run.txt").read_text()):
        try:
            files = importlib.metadata.files(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # needed on other systems alone
        for file in files:
            # Scripts and manual pages stand beside the packages, and are not needed.
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = site / Path(*file.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), target)
    shutil.copytree(
        REPOSITORY / "vats_exporter",
        site / "vats_exporter",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    script = app / "bin" / "vats-exporter"
    script.write_text(f"#!{app}/bin/python\nfrom vats_exporter.cli import main\nmain()\n")
    script.chmod(0o755)


class Image:
    """A root that was made, entered as a container would be."""

    def __init__(self, root: Path, app: Path) -> None:
        self.root = root
        self._app = app

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command inside, as the image's user and with nothing but its environment."""
        return subprocess.Popen(
            [
                *(_CHROOT, f"--userspec={USER}", str(self.root)),
                *(f"{self._app}/bin/{command[0]}", *command[1:]),
            ],
            env={"PATH": f"{self._app}/bin", "PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str) -> tuple[int, str]:
        """Run a command inside; return its exit status and what it said."""
        with self.start(*command) as process:
            said, _ = process.communicate(timeout=PATIENCE)
            return process.returncode, said


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root may enter another root")
    if shutil.which("ldd") is None or not Path("/sbin/ldconfig").exists():
        pytest.skip("ldd and ldconfig, of glibc, are not there")
    folder = tmp_path_factory.mktemp("image")
    app, root = folder / "app", folder / "root"
    install(app)
    root.mkdir()
    subprocess.run([sys.executable, ROOTFS, app, root], check=True, timeout=PATIENCE)
    # Others may walk down to what the user inside sees.
    for one in (folder, *folder.parents):
        if one.stat().st_uid == 0 and one.is_relative_to(tmp_path_factory.getbasetemp().parent):
            one.chmod(one.stat().st_mode | 0o011)
    return Image(root, app)


def test_the_program_runs_in_a_root_with_nothing_else(image: Image) -> None:
    status, said = image.run("vats-exporter", "--version")
    assert (status, said.split()[0]) == (0, "vats-exporter")
    assert not list(image.root.rglob("bin/*sh"))
    assert not list(image.root.rglob("pip"))


def test_the_demo_serves_from_it(image: Image) -> None:
    process = image.start("vats-exporter", "demo", "--port", "0")
    try:
        assert process.stdout is not None
        started = next(match for match in map(_STARTED.search, process.stdout) if match)
        page = requests.get(started[0], timeout=PATIENCE)
        assert page.status_code == 200
        assert 'vats_up{account="demo"} 1.0' in page.text
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def test_a_wrong_configuration_is_one_line(image: Image) -> None:
    status, said = image.run("vats-exporter", "serve", "--config.file=/etc/none.yml")
    assert status == 2
    assert said == "/etc/none.yml: cannot read it: No such file or directory\n"


def test_the_user_inside_may_write_to_its_folder_and_to_nothing_else(image: Image) -> None:
    folders = [one for one in image.root.rglob("*") if one.is_dir() and not one.is_symlink()]
    writable = {
        "/" + str(one.relative_to(image.root))
        for one in folders
        if one.stat().st_uid == 65532 or one.stat().st_mode & 0o002
    }
    assert writable == {"/tmp", "/var/lib/vats-exporter"}


def test_every_module_inside_is_compiled(image: Image) -> None:
    package = next(image.root.rglob("site-packages/vats_exporter"))
    sources = list(package.rglob("*.py"))
    assert sources
    for source in sources:
        compiled = Path(importlib.util.cache_from_source(str(source)))
        assert compiled.exists(), source
