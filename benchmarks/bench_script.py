"""How long reading an 11 MB permutation takes, as a ratio to tree-sitter's bare parse of it.

The script is invented: 1,200 classes, 40 services and functions of an application around them, in
the forms of GWT 2.7. Each reading runs in a process of its own, whose memory is measured: the most
of it, and what remains when the result alone is kept.
"""

from __future__ import annotations

import gc
import multiprocessing
import resource
import statistics
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

from tests.gwt.compiled import READING, WRITING
from vats_exporter.gwt.script import read_script

if TYPE_CHECKING:
    from collections.abc import Callable

MEGABYTES = 11
CLASSES = 1_200
SERVICES = 40
TURNS = 3
FILLER = (
    "function w{0}(a,b){{var c,d;if(!a.g){{return}}d=a.o[b];for(c=0;c<d.length;++c){{if(d[c]>16)"
    "{{x{0}(d[c],'gwt-{0}')}}}}a.p.style['height']=b+'px'}}\n"
    "function x{0}(a,b){{this.c=a;this.b=b?a/2:null;this.f=a.replace(/[\\s'\"]+/g,'')}}\n"
)


def main() -> None:
    """Print the ratio, and both readings' memory."""
    text = application(MEGABYTES * 1_000_000)
    ratios, memory = [], {}
    for _ in range(TURNS):
        seconds = {}
        for read in (script, bare_parse):
            seconds[read], memory[read] = in_a_process(read, text)
        ratios.append(seconds[script] / seconds[bare_parse])
    print(
        f"{len(text) / 1e6:.1f} MB: read_script / bare parse {statistics.median(ratios):.2f} x, "
        f"{seconds[script]:.1f} s"
    )
    for read, (most, kept) in memory.items():
        print(f"{read.__name__:12} memory {most:6.0f} MB at most, {kept:6.0f} MB afterwards")


def application(length: int) -> str:
    """A permutation of about that many characters."""
    parts = [READING, WRITING]
    for number in range(CLASSES):
        fields = "b.a=num(a);b.c=flag(a);b.d=str(a,num(a));b.e=cast(obj(a),9);b.f=lng(a);"
        parts.append(
            f"function i{number}(a){{return new k{number}}}\n"
            f"function d{number}(a,b){{{fields * 2}base(a,b)}}\n"
            f"function s{number}(a,b){{wstr(a,b.a);wobj(a,b.c);wflag(a,b.d)}}\n"
            f"function t{number}(a){{a[q{number}]=[i{number},d{number},s{number}]}}\n"
        )
    parts += (
        f"function p{number}(){{P.call(this,base(),'Service{number}','{number:032X}',S)}}\n"
        f"function m{number}(b,c,d){{var e,f;e=new H(b,'Service{number}_Proxy','list');"
        f"f=start(e,'ru.example.Service{number}',1);wstr(f,'java.lang.Long/4227064769')}}\n"
        for number in range(SERVICES)
    )
    names = ",".join(f"q{number}='ru.example.Row{number}/{number}'" for number in range(CLASSES))
    parts.append(f"var {names};\n")
    missing = length - sum(map(len, parts))
    size = len(FILLER.format(10_000))
    return "".join(parts) + "".join(FILLER.format(number) for number in range(missing // size))


def script(text: str) -> object:
    """What the exporter does."""
    found = read_script(text)
    assert len(found.classes) == CLASSES
    assert len(found.policies) == len(found.methods) == SERVICES
    return found


def bare_parse(text: str) -> object:
    """What only making a tree costs."""
    import tree_sitter_javascript  # noqa: PLC0415
    from tree_sitter import Language, Parser  # noqa: PLC0415

    return Parser(Language(tree_sitter_javascript.language())).parse(text.encode()).root_node.type


def in_a_process(read: Callable[[str], object], text: str) -> tuple[float, tuple[float, float]]:
    """Read a text in a process of its own: seconds, and MB of memory at most and afterwards."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(read, text, there))
    process.start()
    there.close()  # of a process that ends without an answer, this is the end
    measured: tuple[float, tuple[float, float]] = here.recv()
    process.join()
    return measured


def _measure(
    read: Callable[[str], object], text: str, there: multiprocessing.connection.Connection
) -> None:
    before = _resident()
    started = process_time()
    kept = read(text)
    seconds = process_time() - started
    gc.collect()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    there.send((seconds, (most - before, _resident() - before)))
    del kept


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
