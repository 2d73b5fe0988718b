"""What a handler may do and still be followed, and what ends it."""

from __future__ import annotations

import pytest

from tests.gwt.compiled import handlers, read, short
from vats_exporter.gwt import javascript
from vats_exporter.gwt.objects import NotUnderstood
from vats_exporter.gwt.script import read_script

CONDITIONS = [
    "if(b.x){b.a=num(a)}",
    "if(b.x){b.a=1}else{b.a=num(a)}",
    "if(flag(a)){b.a=obj(a)}",
    "b.x&&(b.a=num(a))",
    "b.x||set_a(b,num(a))",
    "b.a=b.x?num(a):0",
    "b.a=b.x?0:num(a)",
    "if(b.x){return}b.a=num(a)",
    "b.y=num(a);if(b.y){if(b.x){return}}b.a=num(a)",
    "try{b.a=1}catch(c){b.a=num(a)}",
    "try{b.a=num(a);b.m();b.b=num(a)}catch(c){}",
    "for(var c in b){if(b[c]){return}}b.a=num(a)",
    "x:for(;;){if(b.x){return}break x}b.a=num(a)",
    "switch(b.x){case 1:return}b.a=num(a)",
    "var c;if(b.x){c=num}b.a=c(a)",
    "switch(b.x){case 1:b.a=num(a)}",
    "x:{b.a=num(a);break x}",
]
LOOPS = [
    "while(b.x){b.add(num(a))}",
    "do{b.add(num(a))}while(b.x)",
    "for(var c in b){b[c]=num(a)}",
    "for(var c=0;c<5;++c){b.add(num(a))}",
    "for(;;){b.add(num(a))}",
    "var c,e=num(a);for(c=1;c<e;++c){b.add(num(a))}",
    "var c,e=num(a);for(c=0;c<=e;++c){b.add(num(a))}",
    "var c,e=num(a);for(c=0;c<e;c+=2){b.add(num(a))}",
    "var c,e=num(a);for(c=0;c<e;--c){b.add(num(a))}",
    "var c,d=0,e=num(a);for(c=0;c<e;++d){b.add(num(a))}",
    "var c,e=num(a);for(c=0;c<e;++c){b.add(num(a));++c}",
    "var c,e=num(a);for(c=0;c<e;++c){b.add(num(a));if(b.x){break}}",
    "var c,e=num(a);for(c=0;c<e;++c){b.add(num(a));if(b.x){continue}b.y=1}",
    "var c,e=num(a);for(c=0;c<e;++c){b.add(num(a));if(b.x){return}}",
    "var c,e=num(a);for(c=0;c<e;++c){b.add(num(a));switch(b.x){case 1:continue}}",
    "var c,e=num(a);for(c=0;c<e;++c){b.add(num(a));for(;;){return}}",
    "var c,e=num(a);for(c=0;c<e;++c){b.add(num(a));return}",
    "var c,e=num(a)+1;for(c=0;c<e;++c){b.add(num(a))}",
    "var c,e=num(a);b.a=num(a);for(c=0;c<e;++c){b.add(num(a))}",
    "var c,e=num(a);e=b.x;for(c=0;c<e;++c){b.add(num(a))}",
    "var c,e=flag(a);for(c=0;c<e;++c){b.add(num(a))}",
    "var c,e=str(a,num(a));for(c=0;c<e;++c){b.add(num(a))}",
    "var c,e=num(a);for(c=0;c<e;++c){none(a,b)}",
    "b.a=num(a);var c,d=b.length;for(c=0;c<d;++c){b[c]=num(a)}",
    "var c,d,e=num(a);for(c=0;c<e;++c){for(d=0;d<e;++d){b.add(num(a))}}",
]
ESCAPES = [
    "b.a=a",
    "kept=a",
    "var c=[a]",
    "var c={x:a}",
    "var c=function(){return num(a)}",
    "b.m(a)",
    "a.m()",
    "b.x(num(a),a)",
    "missing(a,b)",
    "var c=a;c.c=1",
    "a.b=1",
    "++a.b",
    "a+=1",
    "var c=a+1",
    "var c=num;b.a=c(a)",
    "values[a]=1",
    "eval(a)",
    "b.a=num(arguments[0])",
    "num(...[a])",
    "with(a){b.a=c[--b]}",
    "a=b;b.a=a.c[--a.b]",
]


@pytest.mark.parametrize("body", CONDITIONS)
def test_a_field_that_may_not_be_there_is_not_understood(body: str) -> None:
    assert isinstance(read(body), NotUnderstood)


@pytest.mark.parametrize("body", LOOPS)
def test_a_loop_that_is_not_over_as_many_as_the_number_before_is_not_understood(body: str) -> None:
    assert isinstance(read(body), NotUnderstood)


@pytest.mark.parametrize("body", ESCAPES)
def test_a_stream_that_goes_out_of_sight_is_not_understood(body: str) -> None:
    assert isinstance(read(body), NotUnderstood)


def test_what_has_nothing_to_do_with_the_stream_may_be_anything() -> None:
    body = (
        "var c,d;c=function(x){x.y=1};for(d in b){while(b[d]){b[d]=b[d].next}}"
        "switch(b.x){case 1:b.y=2;break;default:b.y={z:c}}x:do{break x}while(1);"
        "try{b.m()}catch(e){log(e)}finally{b.z=1}b.a=num(a);label(`t`,/r/)"
    )
    found = read(body)
    assert isinstance(found, tuple), found
    assert short(found) == "n"


def test_a_chain_of_calls_is_followed_as_deep_as_real_ones_and_no_deeper() -> None:
    def chain(length: int) -> str:
        links = "".join(
            f"function f{n}(a,b){{b.a{n}=num(a);f{n + 1}(a,b)}}\n" for n in range(length)
        )
        return f"{links}function f{length}(a,b){{}}\n" + handlers(deserialize="f0(a,b)")

    (short_one,) = read_script(chain(12)).classes.values()
    (long_one,) = read_script(chain(1000)).classes.values()
    assert isinstance(short_one, tuple)
    assert len(short_one) == 12
    assert isinstance(long_one, NotUnderstood)


def test_functions_that_call_each_other_end() -> None:
    script = "function f(a,b){b.a=num(a);g(a,b)}\nfunction g(a,b){f(a,b)}\n"
    (found,) = read_script(script + handlers(deserialize="f(a,b)")).classes.values()
    assert isinstance(found, NotUnderstood)


def test_helpers_that_double_at_each_step_end() -> None:
    script = "".join(f"function f{n}(a,b){{f{n + 1}(a,b);f{n + 1}(a,b)}}\n" for n in range(40))
    script += "function f40(a,b){b.a=num(a)}\n" + handlers(deserialize="f0(a,b)")
    (found,) = read_script(script).classes.values()
    assert isinstance(found, NotUnderstood)


def test_all_handlers_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(javascript, "MOST_WORK", 1500)
    assert isinstance(read("b.a=num(a)"), tuple)
    assert isinstance(read("b.a=num(a);" * 50), NotUnderstood)


def test_an_expression_is_followed_as_deep_as_real_ones_and_no_deeper() -> None:
    assert isinstance(read("b.a=" + "(" * 50 + "num(a)" + ")" * 50), tuple)
    assert isinstance(read("b.a=" + "(" * 5000 + "num(a)" + ")" * 5000), NotUnderstood)
    assert isinstance(read("b.a=" + "!" * 5000 + "num(a)"), NotUnderstood)
    assert isinstance(read("b.a=num(a)" + "+1" * 5000), NotUnderstood)
