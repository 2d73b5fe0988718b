"""Idioms of GWT 2.0 to 2.10, in which a field is read and written."""

from __future__ import annotations

import pytest

from tests.gwt.compiled import SIGNATURE, handlers, read, short
from vats_exporter.gwt.objects import NotUnderstood
from vats_exporter.gwt.script import read_script

READ = [
    # body of deserialize, fields
    ("b.a=a.c[--a.b]", "n"),
    ("b.a=num(a)", "n"),
    ("b['a']=num(a)", "n"),
    ("set_a(b,num(a))", "n"),
    ("b.a=num(a)<<24>>24;b.b=a.c[--a.b]<<16>>16;b.c=a.c[--a.b]&65535", "nnn"),
    ("b.a=!!a.c[--a.b];b.b=flag(a);b.c=!flag(a);b.d=!num(a)", "bbbb"),
    ("b.a=num(a)?yes:no", "b"),
    ("b.a=str(a,num(a));b.b=str(a,a.c[--a.b])", "ss"),
    ("var c;b.a=(c=num(a))>0?a.d[c-1]:null", "s"),
    ("var c;c=a.c[--a.b];b.a=c>0?a.d[c-1]:null", "s"),
    ("b.a=lng(a);b.b=b64(a.c[--a.b])", "ll"),
    ("var c;c=a.c[--a.b];b.a=c.charCodeAt(0)", "l"),
    ("b.a=obj(a);b.b=cast(obj(a),17);set_a(b,cast(obj(a),9))", "ooo"),
    ("b.a=(load(),values)[num(a)]", "e"),
    ("flag(0,1,2,3,4,5,6,7,8,9,num(a))", "n"),
    ("list(a,b)", "n(o)"),
    ("map(a,b)", "n(oo)"),
    ("b.a=flag(a);map(a,b)", "bn(oo)"),
    ("var c,d;for(c=0,d=b.length;c<d;++c){b[c]=num(a)}", "(n)"),
    ("for(var c=0,d=b.length;c<d;c++)b[c]=str(a,num(a))", "(s)"),
    ("var c,d;for(c=0,d=num(a);c<d;++c){b.add(obj(a))}b.a=num(a)", "n(o)n"),
    ("var c,d,e,f;e=num(a);for(c=0;c<e;++c){f=num(a);for(d=0;d<f;++d){b.add(obj(a))}}", "n(n(o))"),
    ("b.a=num(a);none(a,b)", "n"),
    ("b.a=obj(a);base(a,b)", "ons"),
    ("none.call(this,a,b);b.a=num(a)", "n"),
    ("if(b.x>0){b.y=1}b.a=num(a)", "n"),
    ("if(!b){throw new Bad}b.a=num(a)", "n"),
    ("for(var c in b){b[c]=0}b.a=num(a)", "n"),
    # Stacks that are emulated: all stands in comma expressions.
    ("var c;s[c=++n]=d0;l[c]='9',b.a=(l[c]='3',str((l[c]='4',a),num(a)));n=c-1", "s"),
    ("b.a=(l[1]='3',(l[1]='5',a).c[--(l[1]='6',a).b])", "n"),
]


@pytest.mark.parametrize(("body", "fields"), READ)
def test_what_a_reader_is_asked_is_told_by_structure(body: str, fields: str) -> None:
    found = read(body)
    assert isinstance(found, tuple), found
    assert short(found) == fields


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ("return str(a,num(a))", "s"),
        ("return box(num(a))", "n"),
        ("return num(a)?TRUE:FALSE", "b"),
        ("return load(),flag(a)?yes:no", "b"),
        ("return new Long(lng(a))", "l"),
        ("var b;b=num(a);return load(),values[b]", "e"),
        ("var b;b=num(a);return array(x,y,1,b,0)", "n"),
        ("return new Map(flag(a))", "b"),
        ("var b;b=cast(obj(a),140);return new List(b)", "o"),
        ("var b,c,d;d=num(a);b=[];for(c=0;c<d;++c){b[c]=obj(a)}return asList(b)", "n(o)"),
        ("return single(),instance", ""),
    ],
)
def test_what_makes_an_object_is_read_before_its_fields(body: str, fields: str) -> None:
    found = read("b.x=num(a)", instantiate=body)
    assert isinstance(found, tuple), found
    assert short(found) == f"{fields}n"


@pytest.mark.parametrize(
    "body",
    [
        "b.a=a.c[a.b--]",
        "b.a=a.c[--a.b];b.b=a.e[--a.b]",
        "b.a=a.c[--a.b];b.b=a.c[--a.e]",
        "b.a=a.c[--other.b]",
        "b.a=other.c[--other.b]",
        "b.a=a.c[a.b]",
        "b.a=a.c.length",
        "b.a=str(a,num(a));var c=num(a);b.b=c>0?a.z[c-1]:null",
        "var c=num(a);b.a=c>0?a.d[c-2]:null",
        "var c=num(a);b.a=c>0?a.d[c-1]:1",
        "var c=num(a);b.a=c>1?a.d[c-1]:null",
        "var c=num(a),d=num(a);b.a=c>0?a.d[d-1]:null",
        "var c=num(a);b.a=str(a,c);b.b=values[c]",
        "b.a=none(a)",
        "b.a=none(a,num(a))",
    ],
)
def test_a_read_that_is_not_gwts_is_not_understood(body: str) -> None:
    assert isinstance(read(body), NotUnderstood)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ("put_(a,''+b.a)", "n"),
        ("put_(a,b.a)", "n"),
        ("wstr(a,b.a)", "s"),
        ("put_(a,''+ref(a,b.a))", "s"),
        ("put_(a,b.a?'1':'0');wflag(a,b.b)", "bb"),
        ("put_(a,w64(b.a))", "l"),
        ("wobj(a,b.a);wobj(a,b.b)", "oo"),
        ("var c,d;put_(a,''+b.length);for(c=0,d=b.length;c<d;++c){wstr(a,b[c])}", "n(s)"),
        ("var c;put_(a,''+b.s());for(c=b.i();c.more();){wobj(a,c.next())}", "n(o)"),
    ],
)
def test_what_a_writer_is_asked_is_told_by_structure(body: str, fields: str) -> None:
    script = read_script(handlers(serialize=body))
    assert short(script.requests[SIGNATURE]) == fields
    assert script.classes[SIGNATURE] is None


@pytest.mark.parametrize(
    "body",
    ["if(b.a){wstr(a,b.a)}", "for(var c in b){wstr(a,c)}", "b.write(a)", "missing(a,b)"],
)
def test_a_writer_that_is_not_followed_tells_nothing(body: str) -> None:
    assert SIGNATURE not in read_script(handlers(serialize=body)).requests
