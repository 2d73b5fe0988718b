"""Out of the wrapper, told from strings, found by name, within limits."""

from __future__ import annotations

import re
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vats_exporter.gwt import javascript
from vats_exporter.gwt.errors import MalformedError
from vats_exporter.gwt.javascript import NotFollowedError, Source, mask, unescape, unwrap

CODE = "var a='x\\n\"y\"';function f(b){return b}\n"
LITERAL = CODE.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
HALF = len(LITERAL) // 2


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        "\ufeff" + CODE,
        f'vpbxGwt.onScriptDownloaded("{LITERAL}");',
        f'vpbxGwt.onScriptDownloaded(["{LITERAL}"]);',
        f'\n vpbxGwt . onScriptDownloaded ( [ "{LITERAL[:HALF]}" ,\n"{LITERAL[HALF:]}" ] ) ;\n',
        f'onScriptDownloaded(["{LITERAL}"])',
        f'$wnd.vpbxGwt.runAsyncCallback12("{LITERAL}")',
        f'var x=1;$wnd.vpbxGwt.runAsyncCallback3("{LITERAL}")'.removeprefix("var x=1;"),
        "$wnd.m.runAsyncCallback1('"
        + CODE.encode("unicode_escape").decode().replace("'", "\\x27")
        + "')",
    ],
)
def test_the_code_is_taken_out_of_every_wrapper(text: str) -> None:
    assert unwrap(text) == CODE


def test_the_code_of_an_html_permutation_is_that_of_its_script_elements() -> None:
    text = (
        "<!doctype html>\n<html><head><SCRIPT type='a'>var $doc=1;</SCRIPT></head><body>"
        "<script><!--\nfunction f(){return '<b>'}\n--></script></body></html>"
    )
    assert unwrap(text).split("\n") == ["var $doc=1;", "", "function f(){return '<b>'}", ""]
    assert unwrap("<html><script>var a=1") == "var a=1"
    assert unwrap("<html>no script</html>") == ""


def test_a_wrapper_without_an_end_is_refused_with_its_place() -> None:
    with pytest.raises(MalformedError, match="the literal at 28"):
        unwrap('vpbxGwt.onScriptDownloaded(["var a=1\\"')


@given(st.text(), st.sampled_from("'\""))
def test_what_is_escaped_comes_back(text: str, quote: str) -> None:
    escaped = "".join(
        f"\\u{ord(c):04x}" if c in "\\'\"\n" and ord(c) < 0x10000 else c for c in text
    )
    assert unwrap(f"m.onScriptDownloaded([{quote}{escaped}{quote}])") == text


def test_escapes_mean_what_javascript_makes_of_them() -> None:
    assert unescape(r"\x41\u0416\n\t\\\'\"\/\0\q") == "AЖ\n\t\\'\"/\0q"
    assert unescape("a\\\nb") == "ab"


MASKED = [
    # code, and what remains of it
    ("a='b[1]'", "a='    '"),
    ("""a="it's"+'"'""", """a="    "+' '"""),
    (r"a='\'{';b='\\';c", r"a='   ';b='  ';c"),
    ("a//b'c\nd", "a     \nd"),
    ("a/*b'c\n*/d", "a        d"),
    ("a=/['\"]/.test(b)", "a=0     .test(b)"),
    ("a.replace(/[\\/'{]+|x/gi,'')", "a.replace(0            ,'')"),
    ("a=b/c/d'e'", "a=b/c/d' '"),
    ("(a)/2+'/'", "(a)/2+' '"),
    ("return /'/", "return 0  "),
    ("a = /'/g", "a = 0   "),
    ("a = b / c / '/'", "a = b / c / ' '"),
    ("a=`b'{`", "a=`   `"),
    ("a='b\nc='d'", "a=  \nc=' '"),
    ("a=/b'\nc='d'", "a=   \nc=' '"),
    ("a/*", "a  "),
    ("a`b", "a  "),
]


@pytest.mark.parametrize(("code", "masked"), MASKED)
def test_what_strings_hold_is_not_code(code: str, masked: str) -> None:
    assert mask(code) == masked


@given(st.text(alphabet="ab'\"\\/*`[]{}\n=( ", max_size=60))
def test_the_masked_text_has_everything_in_its_place(code: str) -> None:
    source = Source("x" + code)
    assert len(source.masked) == len(source.code)
    kept = [(a, b) for a, b in zip(source.masked, source.code, strict=True) if a not in " 0\0"]
    assert all(a == b for a, b in kept)


def test_interned_strings_are_those_assigned_once() -> None:
    source = Source(
        "var a='one',$b_1=\"two\", c = 'three';x.d='four';e[f]='five';g=='six';h!='seven';"
        "function i(){c='three';var j='eight'}j='nine';k='t\\u0065n'"
    )
    assert source.constants == {"a": "one", "$b_1": "two", "c": "three", "k": "ten"}


def test_a_literal_is_found_where_it_stands_and_not_within_another() -> None:
    source = Source("""a='x/1';b="y='x/1'";//'x/1'\nc=["x/1"]""")
    found = list(source.literals(re.compile(r"""(['"])x/1\1""")))
    assert [value for _, value in found] == ["x/1", "x/1"]
    assert [source.code[start - 2 : start] for start, _ in found] == ["a=", "=["]


def test_a_function_is_found_by_name() -> None:
    source = Source("function f(a, b){return '}'+g(a)}\nvar h=function k(){};xfunction(y)")
    function = source.function("f")
    assert function.parameters == ["a", "b"]
    assert function.code == "function f(a, b){return ' '+g(a)}"
    assert function.tree.type == "function_declaration"
    assert source.function("k").code == "function k(){}"
    inside, outside = source.code.index("g(a)"), source.code.index("var h")
    assert [each.start for each in source.functions_around([inside, outside, inside])] == [0]


@pytest.mark.parametrize(
    "code",
    [
        "",
        "function g(){}",
        "'function f(){}'",
        "//function f(){}",
        "function f(",
        "function f(){",
        "function f(){a(}",
        "function f(){1}\nfunction f(){2}",
        "function f(){'" + "x" * javascript.LONGEST_FUNCTION + "'}",
    ],
)
def test_a_function_that_is_missing_broken_or_there_twice_is_not_followed(code: str) -> None:
    source = Source(code)
    with pytest.raises(NotFollowedError):
        source.function("f").tree  # noqa: B018 - parsed when it is asked for


def test_a_function_that_is_there_twice_alike_is_one() -> None:
    assert Source("function f(){1}", "function f(){1}").function("f").start == 0


def test_functions_of_two_texts_are_found_in_one_source() -> None:
    source = Source("function f(){}", "$wnd.m.runAsyncCallback1('function g(){f()}')")
    assert source.function("f").code == "function f(){}"
    assert source.function("g").code == "function g(){f()}"


def test_no_more_is_parsed_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(javascript, "MOST_WORK", 1000)
    source = Source("")
    for _ in range(7):
        source.parse("a")
    with pytest.raises(NotFollowedError):
        source.parse("a")


def test_broken_code_costs_more_than_good_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(javascript, "MOST_WORK", 1000)
    source = Source("")
    with pytest.raises(NotFollowedError):
        source.parse("(a," * 20)
    with pytest.raises(NotFollowedError):
        source.parse("a")


def test_no_more_is_searched_for_ends_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(javascript, "MOST_WORK", 10_000)
    source = Source("function f(){}\n" + "function g(){" * 10_000)
    assert source.function("f").end == 14
    assert not list(source.functions_around(range(20, len(source.code), 100)))
    with pytest.raises(NotFollowedError):
        source.spend(1)


def test_few_functions_are_kept() -> None:
    names = [f"f{n}" for n in range(2000)]
    source = Source("".join(f"function {name}(){{}}\n" for name in names))
    assert [source.function(name).code for name in names][-1] == "function f1999(){}"
    assert source._function.cache_info().currsize < 1000


N = 250_000
HOSTILE = {
    "quotes": "'" * N,
    "open strings": "='" * (N // 2),
    "escapes": "\\'" * (N // 2),
    "regular expressions that do not end": "=/[" * (N // 3),
    "classes in a regular expression": "=/" + "[a]" * (N // 3),
    "comments that do not end": "/*a" * (N // 3),
    "line comments": "//" * (N // 2),
    "backquotes": "`" * (N - 1),
    "one name": "a" * N,
    "names with points": "a." * (N // 2),
    "empty strings": "''" * (N // 2),
    "assignments": "a='';" * (N // 5),
    "long assignments": ("a" * 300 + "='x';") * (N // 306),
    "functions": "function " * (N // 9),
    "open functions": "function f(" * (N // 11),
    "brackets": "['" * (N // 2),
    "blank entries": "['" + " " * N + "'",
    "script elements": "<" + "<script" * (N // 7),
    "script elements without an end": "<html>" + "<script>" * (N // 8),
    "wrapped escapes": 'm.onScriptDownloaded(["' + "\\a" * (N // 2) + '"])',
    "wrapped pieces": "m.onScriptDownloaded([" + '"a",' * (N // 4) + '"a"])',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_time_and_memory_in_proportion_to_its_length(name: str) -> None:
    # The square of the length would be more than a minute, even at a nanosecond a step.
    started = time.process_time()
    tracemalloc.start()
    source = Source(HOSTILE[name])
    assert source.constants.keys() <= {"a", "a" * 300}
    list(source.functions_around([len(source.code)]))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - started < 20
    assert most < 30 * N
