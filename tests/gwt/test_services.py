"""Services and methods, in the idioms of GWT 2.0 to 2.10."""

from __future__ import annotations

import pytest

from vats_exporter.gwt.javascript import Source
from vats_exporter.gwt.services import Method, find_services

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
    ],
)
def test_a_method_that_is_not_told_whole_is_left_out(call: str) -> None:
    code = f"function p(b,c,d){{e=new H(b,'Greeting_Proxy','greet');{call}}}"
    assert find_services(Source(code))[1] == ()


def test_the_name_of_a_proxys_class_is_no_method() -> None:
    code = "function p(){a=of('ru.example.','Greeting_Proxy',17);b=of('ru.example.','Other',18)}"
    assert find_services(Source(code))[1] == ()
