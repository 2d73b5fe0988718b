"""Copy a Python program, its interpreter and the libraries they load into an empty root.

What runs the exporter is a part of what a distribution's image holds: no shell, no package manager,
no compiler. The Dockerfile's build stage calls this, and its last stage is the folder that comes of
it. No name and no version is written down here, so that it works for any processor, and any Linux
with glibc: the interpreter knows where its library is, and ldd which shared objects are loaded.
"""

from __future__ import annotations

import argparse
import compileall
import py_compile
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

USER: Final = 65532
"""The number that distroless images gave to their user without rights."""

LEFT_OUT: Final = (
    *(
        "config-*",
        "ensurepip",
        "idlelib",
        "lib2to3",
        "pydoc_data",
        "site-packages",
        "dist-packages",
    ),
    *("test", "tests", "tkinter", "turtledemo", "venv", "*.a", "__pycache__"),
    *("_curses*", "_dbm*", "_gdbm*", "_test*", "_ctypes_test*", "_tkinter*", "_xx*", "xx*"),
    *("nis.*", "readline.*"),
)
"""Names of the standard library that an unattended program has no use for."""

_LIBRARY: Final = re.compile(r"(/\S+) \(0x")
"""A line of ldd that names a file."""

SYSTEM: Final = (
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/nsswitch.conf",
    "/usr/share/zoneinfo",
)
"""What the loader, look-ups of names and local time read, where the system has it."""


class Root:
    """A root that is filled with files of this one.

    Args:
        folder: where it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, path: Path, *, leaving_out: Iterable[str] = ()) -> Path:
        """Copy a file or a folder to the same place, with each symbolic link that leads to it.

        Args:
            path: absolute.
            leaving_out: patterns of names that are not copied from a folder.

        Returns:
            where it really stands, free of links.
        """
        here = Path("/")
        for part in path.parts[1:]:
            here /= part
            if here.is_symlink():
                self._link(here)
                target = here.parent / here.readlink()
                rest = path.parts[len(here.parts) :]
                return self.add(_normal(target.joinpath(*rest)), leaving_out=leaving_out)
        inside = self._inside(path)
        if path.is_dir():
            ignore = shutil.ignore_patterns(*leaving_out)
            shutil.copytree(path, inside, symlinks=True, ignore=ignore, dirs_exist_ok=True)
        elif not inside.exists():
            inside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, inside)
        return path

    def write(self, path: str, text: str) -> None:
        """Write a small file."""
        file = self._inside(Path(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def make_folder(self, path: str, mode: int, owner: int = 0) -> None:
        """Make an empty folder."""
        folder = self._inside(Path(path))
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
        shutil.chown(folder, owner, owner)

    def objects(self) -> list[Path]:
        """Return each program and shared object, as it stands in this system's root."""
        return [
            Path("/") / file.relative_to(self.folder)
            for file in sorted(self.folder.rglob("*"))
            if not file.is_symlink() and file.is_file() and _is_elf(file)
        ]

    def _inside(self, path: Path) -> Path:
        return self.folder / path.relative_to("/")

    def _link(self, link: Path) -> None:
        inside = self._inside(link)
        inside.parent.mkdir(parents=True, exist_ok=True)
        if not inside.is_symlink():
            inside.symlink_to(link.readlink())


def _normal(path: Path) -> Path:
    """Take ``..`` out of a path, before which there are no links."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return Path(*parts)


def _is_elf(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(4) == b"\x7fELF"


def libraries(objects: Iterable[Path]) -> set[Path]:
    """Return the shared objects that others load, the loader itself included.

    Raises:
        SystemExit: one of them is not to be found.
    """
    found: set[Path] = set()
    for path in objects:
        told = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        if "not found" in told:
            sys.exit(f"{path}: {told}")
        found.update(Path(name) for name in _LIBRARY.findall(told))
    return found


def build(app: Path, folder: Path) -> None:
    """Make the root.

    Args:
        app: a virtual environment with the program installed.
        folder: what becomes the root; it must be empty.
    """
    root = Root(folder)
    for path, mode, owner in (
        ("/etc/vats-exporter", 0o755, 0),
        ("/var/lib/vats-exporter", 0o700, USER),
        ("/tmp", 0o777 | stat.S_ISVTX, 0),
    ):
        root.make_folder(path, mode, owner)
    root.write("/etc/passwd", f"vats-exporter:x:{USER}:{USER}::/var/lib/vats-exporter:/none\n")
    root.write("/etc/group", f"vats-exporter:x:{USER}:\n")
    root.add(app, leaving_out=("pip*", "[Aa]ctivate*"))
    root.add(app / "bin" / "python")
    root.add(Path(sysconfig.get_path("stdlib")), leaving_out=LEFT_OUT)
    for library in libraries(root.objects()):
        root.add(library)
    for name in SYSTEM:
        if Path(name).exists():
            root.add(Path(name), leaving_out=("right", "posix"))
    _compile(root.folder)
    # The cache of where libraries stand: not all of them stand where the loader looks by itself.
    subprocess.run(["/sbin/ldconfig", "-r", folder], check=True)


def _compile(folder: Path) -> None:
    """Compile all modules, for good: at run time nothing can be written, and no source changes."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(
        folder, quiet=1, maxlevels=50, stripdir=folder, prependdir="/", invalidation_mode=mode
    ):
        sys.exit("a module does not compile")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("app", type=Path, help="a virtual environment with the program installed")
    parser.add_argument("root", type=Path, help="the folder to fill")
    arguments = parser.parse_args()
    build(arguments.app, arguments.root)
