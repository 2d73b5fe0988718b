# ruff: noqa: E501 - compiled functions stand on one line
"""Permutations for tests: a small runtime as GWT's compiler writes it, and handlers beside it."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vats_exporter.gwt.objects import Fields, Kind, NotUnderstood, Repeat
from vats_exporter.gwt.script import Script, read_script

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNATURE: Final = "ru.example.Row/1234567890"
SHAPES: Final = Path(__file__).parent / "shapes"

READING: Final = """
function num(a){return a.c[--a.b]}
function flag(a){return !!a.c[--a.b]}
function str(b,a){return a>0?b.d[a-1]:null}
function chars(b,a){return b.charCodeAt(a)}
function digit(a){return a>=65&&a<=90?a-65:a-71}
function b64(a){var b,c;b=0;c=digit(chars(a,b++));while(b<a.length){c=c*64+digit(chars(a,b++))}return c}
function lng(b){var a;a=b.c[--b.b];return b64(a)}
function obj(a){var b,c,d,e;b=a.c[--a.b];if(b<0){return at(a.e,-(b+1))}c=str(a,b);if(c==null){return null}\
d=(add(a.e,null),a.e.a.length);e=make(a.f,a,c);put(a.e,d-1,e);fill(a.f,a,e,c);return e}
function cast(a,b){if(a!=null&&!is(a,b)){throw new Bad}return a}
function list(a,b){var c,d,e;e=num(a);for(c=0;c<e;++c){d=obj(a);b.Tq(d)}}
function map(a,b){var c,d,e,f;e=a.c[--a.b];for(d=0;d<e;++d){c=obj(a);f=obj(a);b.Uq(c,f)}}
function set_a(a,b){a.a=b}
function base(a,b){b.x=num(a);b.y=str(a,num(a))}
function none(a,b){}
"""

WRITING: Final = """
function put_(a,b){a.f+=''+b;a.f+='|'}
function ref(a,b){var c;if(b==null){return 0}c=a.g[':'+b];if(c){return c}a.h.push(b);return a.h.length}
function wstr(a,b){put_(a,ref(a,b))}
function wflag(a,b){put_(a,b?'1':'0')}
function w64(a){var b='';do{b=six(a.l&63)+b;a=next(a)}while(a);return b}
function wobj(a,b){var c,d;if(b==null){put_(a,ref(a,null));return}c=seen(a.e,b);if(c>=0){put_(a,''+-(c+1));return}\
a.e.push(b);d=name(b);put_(a,ref(a,d));into(a.k,a,b,d)}
"""


def handlers(*, instantiate: str = "", deserialize: str = "", serialize: str = "") -> str:
    """A script with one class, given its handlers' bodies with parameters ``a`` and ``b``."""
    functions, names = [], []
    for name, parameters, body in (
        ("i0", "a", instantiate),
        ("d0", "a,b", deserialize),
        ("s0", "a,b", serialize),
    ):
        names.append(name if body else "undefined")
        functions.append(f"function {name}({parameters}){{{body}}}\n" if body else "")
    table = f"function t0(){{var a={{}};a['{SIGNATURE}']=[{','.join(names)}];return a}}\n"
    return READING + WRITING + "".join(functions) + table


_ONE: Final = {
    Kind.NUMBER: "num(a)",
    Kind.BOOLEAN: "flag(a)",
    Kind.LONG: "lng(a)",
    Kind.STRING: "str(a,num(a))",
    Kind.OBJECT: "obj(a)",
    Kind.ENUM: "all_[num(a)]",
}


def permutation(classes: Mapping[str, Fields]) -> str:
    """A script that reads classes so."""
    functions, entries = [], []
    for number, (signature, fields) in enumerate(classes.items()):
        functions.append(f"function i{number}(a){{return new Row}}\n")
        functions.append(f"function d{number}(a,b){{{_reading(fields)}}}\n")
        entries.append(f"a['{signature}']=[i{number},d{number}];")
    table = f"function t(){{var a={{}};{''.join(entries)}return a}}\n"
    return "".join([READING, *functions, table])


def _reading(fields: Fields, depth: int = 0) -> str:
    code, count, at = "", f"n{depth}", f"c{depth}"
    for field in fields:
        if isinstance(field, Repeat):
            inner = _reading(field.fields, depth + 1)
            code += f"for(var {at}=0;{at}<{count};++{at}){{{inner}}}"
        else:
            code += f"var {count}={_ONE[field]};"
    return code


def read(deserialize: str, instantiate: str = "return new Row") -> Fields | NotUnderstood:
    """What is read of a class with these handlers."""
    script = read_script(handlers(instantiate=instantiate, deserialize=deserialize))
    found = script.classes[SIGNATURE]
    assert found is not None
    return found


def short(fields: Fields) -> str:
    """Fields in short: ``n`` number, ``b`` boolean, ``l`` long, ``s`` string, ``o`` object, ``e``
    enum, and ``(…)`` what is repeated."""
    return "".join(
        f"({short(field.fields)})" if isinstance(field, Repeat) else field.value[0]
        for field in fields
    )


def kinds(names: list[Any]) -> str:
    """The same of the corpora's own names of kinds."""
    return "".join(
        f"({kinds(name['repeat'])})"
        if isinstance(name, dict)
        else {"boolean": "b", "long": "l", "string": "s", "object": "o", "enum": "e"}.get(name, "n")
        for name in names
    )


def sample() -> list[dict[str, Any]]:
    """Scripts of the corpora, with what they tell."""
    return [json.loads(line) for line in lzma.open(SHAPES / "scripts.jsonl.xz")]


def wrong(case: dict[str, Any]) -> list[str]:
    """What is read of a script of the corpora otherwise than it says."""
    script: Script = read_script(case["script"], *case["fragments"].values())
    found = []
    for signature, expected in case["classes"].items():
        fields = script.classes.get(signature)
        if not isinstance(fields, tuple):
            found.append(f"{signature}: {fields}")
        elif short(fields) != kinds(expected):
            found.append(f"{signature}: {short(fields)}")
    if not_understood := [k for k, v in script.classes.items() if isinstance(v, NotUnderstood)]:
        found.append(f"not understood: {not_understood}")
    if script.policies != case["policies"]:
        found.append(f"policies: {script.policies}")
    moving = [
        method.name
        for method in script.methods
        if method.interface.endswith("AbonentDeviceFormGwtService")
        and [each.partition("/")[0] for each in method.parameters]
        == ["java.lang.Long", "java.lang.Boolean"]
    ]
    if moving != [case["selector_method"]]:
        found.append(f"selector: {moving}")
    return found
