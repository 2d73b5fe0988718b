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
from vats_exporter.gwt.errors import MalformedError
from vats_exporter.gwt.objects import ClassFields, Kind, NotUnderstood
from vats_exporter.gwt.script import Script, read_script
from vats_exporter.gwt.services import Method

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


def table(entries: str) -> ClassFields | NotUnderstood | None:
    code = (
        "function i(a){return new X}\nfunction d(a,b){b.a=num(a)}\nfunction e(a,b){b.a=obj(a)}\n"
        f"function s(a,b){{wstr(a,b.a)}}\nvar q='{SIGNATURE}';\n{entries}"
    )
    return read_script(READING + WRITING + code).classes.get(SIGNATURE)


NUMBER = ClassFields((), (Kind.NUMBER,), own=1)


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
        f"t={{'{SIGNATURE}':[i,d,s]}}",
        f"t={{'{SIGNATURE}':[function(a){{return i(a);}},function(a,b){{d(a,b);}}]}}",
        f"t={{'{SIGNATURE}':[function(a){{return new X}},function(a,b){{b.a=num(a)}}]}}",
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
        "a[q]=[i,d",
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
        if not isinstance(main.classes.get(signature), ClassFields)
    }
    assert only_there
    assert all(isinstance(whole.classes[signature], ClassFields) for signature in only_there)


def test_what_two_scripts_tell_is_put_together_and_fields_win() -> None:
    odd, fields = NotUnderstood("odd"), ClassFields((), (Kind.LONG,), own=1)
    one = Script(
        {"a": fields, "b": odd, "c": None, "d": None}, {"a": ()}, {"p": "1"}, (), {"x": "x/1"}
    )
    other = Script({"a": odd, "b": fields, "c": odd}, {"b": ()}, {"q": "2"}, (), {"y": "y/2"})
    both = one.merge(other)
    assert both.classes == {"a": fields, "b": fields, "c": odd, "d": None}
    assert both.classes == other.merge(one).classes
    assert (both.requests, both.policies) == ({"a": (), "b": ()}, {"p": "1", "q": "2"})
    assert both.signatures == {"x": "x/1", "y": "y/2"}


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
