"""What hostile scripts cost: those whose reading takes a careless interpreter all time and memory.

Each of them repeats one thing: tables, arrays, loops and calls without end, deep brackets, proxies,
hashes. Each is made and read in a process of its own, in a time and within a bound of memory, and
with a result or a documented error. A script of 32 MB at most is read at all.

Run: python benchmarks/bench_hostile_scripts.py [part of a kind's name]
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from benchmarks.bench_script import in_a_process
from tests.gwt.compiled import READING
from vats_exporter.gwt import GwtError
from vats_exporter.gwt.script import read_script

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTH: Final = 30_000_000
SECONDS: Final = 30.0
MEGABYTES: Final = 400.0  # beside those of the interpreter


def classes(count: int, body: str) -> str:
    """Write a script of so many classes, whose handlers have this body."""
    return READING + "".join(
        f"function i{number}(a){{return new X}}\nfunction d{number}(a,b){{{body}}}\n"
        f"a['ru.e.C{number}/1']=[i{number},d{number}];"
        for number in range(count)
    )


def table(length: int) -> str:
    """Write a table of classes that share their handlers."""
    entries = "".join(f"a['ru.e.C{number}/1']=[i,d];" for number in range(length // 40))
    return f"{READING}function d(a,b){{b.a=num(a)}}function i(a){{}}{entries}"


def doubling(depth: int) -> str:
    """Write functions of which each calls the next one twice."""
    calls = (f"f{number}(a,b){{f{number + 1}(a,b);f{number + 1}(a,b)}}" for number in range(depth))
    return "".join(f"function {call}\n" for call in (*calls, f"f{depth}(a,b){{b.a=num(a)}}"))


def chain(depth: int) -> str:
    """Write functions of which each calls the next one."""
    return "".join(f"function g{at}(a){{return g{at + 1}(a,1)}}" for at in range(depth))


HASH: Final = f"var h='{'A' * 32}';"
VARIABLES: Final = ",".join(f"v{number}=1" for number in range(2_000))
LOOPS: Final = "for(var c=0,d=b.length;c<d;++c){" * 8 + "b[c]=num(a)" + "}" * 8

KINDS: Final[dict[str, Callable[[], str]]] = {
    "tables": lambda: table(LENGTH),
    "open tables": lambda: "a['ru.e.C/1']=[" * (LENGTH // 14),
    "open tables of names": lambda: "[a]=[" * (LENGTH // 5),
    "calls that double": lambda: doubling(40) + classes(20_000, "f0(a,b)"),
    "many fields": lambda: classes(3_000, "b.a=num(a);" * 600),
    "broken classes": lambda: classes(200_000, "b.a=(((("),
    "brackets": lambda: classes(600, f"b.a={'(' * 20_000}num(a){')' * 20_000}"),
    "long functions": lambda: classes(400, "b.m('x');" * 6_000),
    "open functions": lambda: "function f(){" * (LENGTH // 13) + "a['ru.e.C/1']=[f,f]",
    "open proxies": lambda: "function p(){e('X_Proxy','m');" * (LENGTH // 30),
    "proxies": lambda: "function p(){e('X_Proxy','m');f('a.b.C',1);w('Z')}\n" * (LENGTH // 50),
    "uses of a hash": lambda: HASH + "function p(){f(h)}" * (LENGTH // 18),
    "uses of a hash in one": lambda: f"{HASH}function p(){{{',h)' * (LENGTH // 3)}}}",
    "loops": lambda: classes(3_000, LOOPS),
    "conditions": lambda: classes(300, f"{'if(b.x){' * 300}{'}' * 300}b.a=num(a)"),
    "variables": lambda: classes(300, f"var {VARIABLES};{'if(b.x){v1=2}' * 800}"),
    "chains of calls": lambda: chain(50) + classes(20_000, "g0(a.c[--a.b]);" * 20),
    "a helper of itself": lambda: (
        f"function h(a){{{'h(a);' * 10_000}}}{classes(2_000, 'h(a.c[--a.b]);')}"
    ),
}


def read(kind: str) -> None:
    """Make a script of a kind and read it, or refuse it with a documented error."""
    with suppress(GwtError):
        read_script(KINDS[kind]())


def main() -> int:
    """Read each kind; exit 1 where one takes more than it may."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    took = []
    for kind in KINDS:
        if wanted in kind:
            seconds, (megabytes, _) = in_a_process(read, kind)
            took.append((seconds, megabytes))
            print(f"{kind:22} {seconds:6.2f} s {megabytes:5.0f} MB")
    seconds, megabytes = map(max, zip(*took, strict=True))
    print(f"at most {seconds:.1f} s of {SECONDS:g} s, {megabytes:.0f} MB of {MEGABYTES:g}")
    return int(seconds > SECONDS or megabytes > MEGABYTES)


if __name__ == "__main__":
    sys.exit(main())
