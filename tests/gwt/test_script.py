"""Whole scripts: the corpora's, real ones' oddities, and whatever else somebody sends."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gwt.compiled import (
    READING,
    SIGNATURE,
    WRITING,
    handlers,
    sample,
    wrong,
)
from vats_exporter.gwt import script
from vats_exporter.gwt.errors import MalformedError
from vats_exporter.gwt.javascript import Source
from vats_exporter.gwt.objects import Fields, Kind, NotUnderstood
from vats_exporter.gwt.script import Method, Script, find_services, read_script

WIRE: Final = Path(__file__).parents[1] / "wire"
cases = cache(sample)


@pytest.mark.parametrize("place", range(len(sample())))
def test_a_script_tells_its_classes_services_and_the_selectors_method(place: int) -> None:
    assert wrong(cases()[place]) == []


def test_the_captured_permutation_tells_its_services_though_its_handlers_are_not_there() -> None:
    script = read_script((WIRE / "permutation_cache.txt").read_text(encoding="utf-8"))
    told = json.loads((WIRE / "permutation_cache.json").read_text(encoding="utf-8"))
    assert script.policies == told["service_policies"]
    assert sorted(script.signatures.values()) == sorted(told["type_signatures"])
    assert all(isinstance(found, NotUnderstood) for found in script.classes.values())
    assert (
        Method(
            "ru.cti.vpbx.shared.services.AbonentDeviceFormGwtService",
            "setEnabled",
            ("java.lang.Long/4227064769", "java.lang.Boolean/476441737"),
        )
        in script.methods
    )


def table(entries: str) -> Fields | NotUnderstood | None:
    code = (
        "function i(a){return new X}\nfunction d(a,b){b.a=num(a)}\nfunction e(a,b){b.a=obj(a)}\n"
        f"function s(a,b){{wstr(a,b.a)}}\nvar q='{SIGNATURE}';\n{entries}"
    )
    return read_script(READING + WRITING + code).classes.get(SIGNATURE)


NUMBER = (Kind.NUMBER,)


@pytest.mark.parametrize(
    "entries",
    [
        f"function t(){{a['{SIGNATURE}']=[i,d,s]}}",
        f'function t(){{a["{SIGNATURE}"] = [i, d, s]}}',
        f"function t(){{x=(a={{}},a['{SIGNATURE}']=[i,d],a)}}",
        "function t(){a[q]=[i,d,s]}",
        "function t(){a[q]=[i,d,undefined]}\nfunction u(){a[q]=[undefined,undefined,s]}",
        "function t(){a[q]=[,d,s]}",
        "function t(){a[q]=[void 0,d]}",
        f"a['{SIGNATURE}']=[i,d,missing]",
    ],
)
def test_a_table_names_a_classs_handlers_in_many_forms(entries: str) -> None:
    assert table(entries) == NUMBER


@pytest.mark.parametrize(
    "entries",
    [
        "",
        f"x=\"a['{SIGNATURE}']=[i,d,s]\"",
        f"//a['{SIGNATURE}']=[i,d,s]",
        f"a['{SIGNATURE}']==[i,d,s]",
        f"a['{SIGNATURE}']=f([i,d,s])",
        f"t={{'{SIGNATURE}':[i,d,s]}}",
        f"a['{SIGNATURE}']=[i,d",
        f"a['x{SIGNATURE} ']=[i,d,s]",
        "a[q+1]=[i,d,s]",
        "a[p]=[i,d,s]",
        "q='another';a[q]=[i,d,s]",
    ],
)
def test_what_only_looks_like_a_table_is_none(entries: str) -> None:
    assert SIGNATURE not in read_script(READING + f"var q='{SIGNATURE}';" + entries).classes


@pytest.mark.parametrize(
    "entries",
    [
        "a[q]=[i,missing]",
        "a[q]=[missing,d]",
        "a[q]=[i,d];b[q]=[i,e]",
        "a[q]=[i,x.d]",
        "a[q]=[i d]",
        "a[q]=[i,'d']",
        "a[q]=[i,d];function d(a,b){b.a=obj(a)}",
    ],
)
def test_a_table_that_is_odd_makes_its_class_not_understood(entries: str) -> None:
    assert isinstance(table(entries), NotUnderstood)


def test_a_class_that_is_only_written_is_never_read() -> None:
    script = read_script(handlers(serialize="wstr(a,b.a)"))
    assert script.classes == {SIGNATURE: None}
    assert script.requests == {SIGNATURE: (Kind.STRING,)}


def test_a_fragments_handlers_call_the_main_scripts_helpers() -> None:
    case = next(case for case in cases() if case["list_fragment"])
    main = read_script(case["script"])
    whole = read_script(case["script"], *case["fragments"].values())
    only_there = {
        signature
        for signature in case["classes"]
        if not isinstance(main.classes.get(signature), tuple)
    }
    assert only_there
    assert all(isinstance(whole.classes[signature], tuple) for signature in only_there)


def test_no_more_classes_are_read_than_any_script_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "_MOST_ENTRIES", 5)
    code = "".join(f"a['ru.example.C{number}/1']=[i,d];" for number in range(9))
    assert len(read_script(code).classes) == 5


HASH = "0123456789ABCDEF0123456789ABCDEF"
OTHER = "F" * 32
LONG = "java.lang.Long/4227064769"
INTERFACE = "ru.example.Greeting"


@pytest.mark.parametrize(
    "code",
    [
        f"function p(){{c();P.call(this,$moduleBase,'greet','{HASH}',S)}}",
        f"function p(a){{c();P(a,$moduleBase,'greet','{HASH}');return a}}",
        f'function p(){{return new P(base(),"greet","{HASH}",S)}}',
        f"function p(){{P.call(this,m(),q,h,S)}}\nvar q='greet',h='{HASH}'",
        f"function p(){{this.b=m();this.b=a+'greet';this.c=S;this.e='{HASH}'}}",
        f"function p(){{var b;b.b=a+q;b.c=S;b.e=h}}\nvar q='greet',h='{HASH}'",
        f"_.p=function(){{P.call(this,m(),'app/greet','{HASH}',S)}}",
        f"function p(){{x=(l[1]='7',P).call((l[1]='8',this),m(),'greet','{HASH}',S)}}",
    ],
)
def test_a_services_path_and_hash_are_found_side_by_side(code: str) -> None:
    policies, _ = find_services(Source(code))
    assert policies == {"greet": HASH}


def test_a_hash_may_have_no_letter() -> None:
    policies, _ = find_services(Source(f"function p(){{P(a,'greet',7,'{'1' * 32}')}}"))
    assert policies == {"greet": "1" * 32}


@pytest.mark.parametrize(
    "code",
    [
        f"var h='{HASH}'",
        f"var x=\"P.call(this,m,'greet','{HASH}',S)\";function p(){{return x}}",
        f"function p(){{P.call(this,$moduleBase,null,'{HASH}',S)}}",
        f"function p(){{P.call(this,$moduleBase,'greet','{HASH.lower()}',S)}}",
        f"function p(){{set(a,'X-GWT-Permutation',$strongName)}}\nvar $strongName='{HASH}'",
        f"function p(){{P(a,'greet','{HASH}')}}\nfunction q(){{P(a,'greet','{OTHER}')}}",
        f"function p(){{P(a,'greet','{HASH}'",
    ],
)
def test_nothing_else_is_taken_for_a_service(code: str) -> None:
    policies, _ = find_services(Source(code))
    assert policies == {}


@pytest.mark.parametrize(
    ("call", "parameters"),
    [
        # Since 2.4.
        (f"f=s(e,'{INTERFACE}',1);w(f,t(f,'{LONG}'));o(f,c);x(e,d,r())", (LONG,)),
        (f"f=s(e,'{INTERFACE}',2);w(f,'{LONG}');w(f,'Z');o(f,c)", (LONG, "Z")),
        (f"f=s(e,'{INTERFACE}',0);x(e,d,r());y=64", ()),
        (f"f=s(e,'{INTERFACE}',2);w(f,''+t(f,'I'));w(f,''+t(f,'[I'))", ("I", "[I")),
        (f"f=s(e,'{INTERFACE}',1);w(f,'[Ljava.lang.String;/2600011424')",
         ("[Ljava.lang.String;/2600011424",)),
        # Where all methods have as many parameters, the number is left out.
        (f"f=s(e,'{INTERFACE}');w(f,t(f,'java.util.List'));o(f,c);is(a,64)", ("java.util.List",)),
        # With the helper that starts a call inlined.
        (f"f=n(a);w(f,'{INTERFACE}');w(f,'greet');w(f,1);w(f,'{LONG}');o(f,c)", (LONG,)),
    ],
)  # fmt: skip
def test_a_method_tells_its_name_and_the_types_of_its_parameters(
    call: str, parameters: tuple[str, ...]
) -> None:
    made = "e=new H(b,'Greeting_Proxy','greet')"
    code = f"function p(b,c,d){{var e,f;{made};try{{{call}}}catch(a){{}}}}"
    _, methods = find_services(Source(code))
    assert methods == (Method(INTERFACE, "greet", parameters),)


def test_a_method_is_told_by_releases_before_2_4_too() -> None:
    code = (
        "function p(c,d){stats({method:m,type:'begin'});i=w(c);try{a(i.b,''+s(i,n));"
        f"a(i.b,''+s(i,'greet'));a(i.b,k);a(i.b,''+s(i,'{LONG}'));o(i,d);stats({{method:m}})}}"
        f"catch(b){{}}}}\nvar m='Greeting_Proxy.greet',n='{INTERFACE}',k='1'"
    )
    _, methods = find_services(Source(code))
    assert methods == (Method(INTERFACE, "greet", (LONG,)),)


@pytest.mark.parametrize(
    "call",
    [
        "",
        "f=s(e,1);w(f,'Z')",
        f"f=s(e,'{INTERFACE}',2);w(f,'{LONG}');o(f,c)",
        f"f=s(e,'{INTERFACE}',1);w(f,unknown);o(f,c)",
        f"f=s(e,'{INTERFACE}',{'9' * 5000});w(f,'Z');o(f,c)",
    ],
)
def test_a_method_that_is_not_told_whole_is_left_out(call: str) -> None:
    code = f"function p(b,c,d){{e=new H(b,'Greeting_Proxy','greet');{call}}}"
    assert find_services(Source(code))[1] == ()


def test_the_name_of_a_proxys_class_is_no_method() -> None:
    code = "function p(){a=of('ru.example.','Greeting_Proxy',17);b=of('ru.example.','Other',18)}"
    assert find_services(Source(code))[1] == ()


FRAGMENTS = st.sampled_from(
    [
        *"'\"`/\\{}[]();,=+-!?:.<>&|\n ",
        *("function ", "f", "g(", "a,b", "return ", "var ", "if(", "for(", "a.c[--a.b]"),
        *(
            "x['a.B/1']=[",
            "'a.B/1'",
            "[f,g]",
            "new ",
            "this.",
            "'0123456789ABCDEF0123456789ABCDEF'",
        ),
        *("'X_Proxy'", "<script>", "</script>", "m.onScriptDownloaded([", "\\x27", "\\u0027"),
    ]
)


def told(*texts: str) -> Script | None:
    """Any text gives a script or a MalformedError, never another error."""
    try:
        return read_script(*texts)
    except MalformedError:
        return None


@given(st.lists(st.text(max_size=50), max_size=3))
def test_any_text_gives_a_script_or_a_malformed_error(texts: list[str]) -> None:
    told(*texts)


@settings(max_examples=300)
@given(st.lists(FRAGMENTS, max_size=60).map("".join))
def test_pieces_of_javascript_give_a_script_or_a_malformed_error(text: str) -> None:
    told(text)
    told(READING + text + handlers(deserialize="b.a=f(a)"))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_damaged_script_is_read_as_another_or_not_understood(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(cases()[::8]))
    text = case["script"]
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 40))
    told(
        text[:start]
        + data.draw(st.lists(FRAGMENTS, max_size=4).map("".join))
        + text[start + length :]
    )
