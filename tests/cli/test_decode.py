"""`decode` against the truth of captures and corpora, and against what is no answer."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cabinet.layouts import JAVA
from tests.cli.conftest import in_a_shell
from tests.corpus import CORPORA, shapes
from tests.gwt.compiled import permutation, sample
from vats_exporter.cli.output import _

if TYPE_CHECKING:
    from tests.cli.conftest import Ended, Run

ANSWERS = [
    *("ex_application", "ex_incompatible_method", "ex_incompatible_policy", "ex_incompatible_type"),
    *("getform31", "getform31_dq", "getform31_nodevice", "getform32", "setenabled"),
    *("list_chunked", "list_empty", "list_escapes", "list_escapes_dq", "list_last_short"),
    *("list_longstring", "list_page100", "list_page3", "list_page3_dq", "list_shared_boolean"),
]


def truth(wire: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((wire / f"{name}.json").read_text(encoding="utf-8"))
    return content


def decoded(run: Run, file: Path) -> dict[str, Any]:
    ended = run("decode", str(file))
    assert (ended.status, ended.stderr) == (0, "")
    content: dict[str, Any] = json.loads(ended.stdout, parse_constant=lambda _: pytest.fail("NaN"))
    return content


@pytest.mark.parametrize("name", ANSWERS)
def test_the_frame_strings_and_tokens_of_a_capture_are_its_truth(
    run: Run, wire: Path, name: str
) -> None:
    expected = truth(wire, name)
    shown = decoded(run, wire / f"{name}.txt")
    for key in ("status", "version", "flags", "string_table"):
        assert shown[key] == expected[key], key
    assert shown["tokens"] == expected["tokens_wire_order"]


def test_the_keys_stand_in_their_order(run: Run, wire: Path) -> None:
    shown = decoded(run, wire / "list_page3.txt")
    assert list(shown) == [
        *("status", "version", "flags", "string_table", "tokens", "rows"),
        *("read_by", "rows_error"),
    ]
    assert list(shown["rows"][0]) == [
        *("phone", "name", "active", "bound", "marked_for_deletion"),
        *("pattern", "known", "trunk", "id"),
    ]


def test_numbers_that_json_lacks_are_named(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "answer"
    file.write_text("//OK[NaN,Infinity,-Infinity,1.0E-7,[],0,7]")
    assert decoded(run, file)["tokens"] == [
        {"double": "NaN"},
        {"double": "Infinity"},
        {"double": "-Infinity"},
        1.0e-7,
    ]


def test_lone_surrogates_are_escaped_and_the_rest_is_plain_utf8(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "answer"
    file.write_text('//OK[1,["Пётр \\uD800 end"],0,7]', encoding="utf-8")
    ended = run("decode", str(file))
    assert '"Пётр \\ud800 end"' in ended.stdout
    assert json.loads(ended.stdout)["string_table"] == ["Пётр \ud800 end"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a GWT-RPC answer: empty"),
        (b"<html>", "not a GWT-RPC answer: looks like HTML or XML"),
        (b"//OK[1,x,[],0,7]", 'unexpected "x" at 7'),
        (b'//OK["\xff"', "not UTF-8 at byte 6"),
        (b"//OK[[],0,9]", "version 9 is not 5 to 8"),
    ],
)
def test_what_is_no_answer_is_one_line_with_the_file_and_the_place(
    run: Run, tmp_path: Path, content: bytes, complaint: str
) -> None:
    file = tmp_path / "answer"
    file.write_bytes(content)
    ended = run("decode", str(file))
    assert (ended.status, ended.stdout) == (1, "")
    assert ended.stderr == f"{file}: {complaint}\n"


def lines(ended: Ended) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_several_files_give_a_document_a_line_each_with_its_file(run: Run, wire: Path) -> None:
    files = [str(wire / f"{name}.txt") for name in ("list_page3", "getform31", "list_empty")]
    ended = run("decode", *files)
    assert (ended.status, ended.stderr) == (0, "")
    shown = lines(ended)
    assert [document.pop("file") for document in shown] == files
    assert shown == [decoded(run, Path(file)) for file in files]


def test_what_is_no_answer_among_several_has_an_error_and_the_others_still_come(
    run: Run, wire: Path, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    file.write_text("<html>")
    ended = run("decode", str(file), str(wire / "list_page3.txt"), "not-there")
    assert (ended.status, ended.stderr) == (1, "2 of 3 files cannot be decoded\n")
    page, answer, missing = lines(ended)
    error = "not a GWT-RPC answer: looks like HTML or XML"
    assert page == {
        "file": str(file),
        "error": error,
        "rows": [],
        "read_by": None,
        "rows_error": error,
    }
    assert "error" not in answer
    assert len(answer["rows"]) == 3
    assert missing["error"] == "cannot read it: No such file or directory"


def saved_scripts(case: dict[str, Any], folder: Path) -> list[str]:
    """The options that name a script and its fragments."""
    options = []
    for name, text in {"script": case["script"], **case["fragments"]}.items():
        file = folder / f"{name}.cache.js"
        file.write_text(text, encoding="utf-8")
        options += ["--script", str(file)]
    return options


@pytest.mark.parametrize("corpus", CORPORA)
def test_with_a_script_rows_are_read_by_it_in_both_styles(
    run: Run, tmp_path: Path, corpus: str
) -> None:
    scripts = {case["number"]: case for case in sample() if case["corpus"] == corpus}
    read = 0
    for shape in shapes(corpus):
        if shape.number not in scripts or shape.classes is None or not shape.rows or read > 10:
            continue
        file = tmp_path / "answer"
        file.write_text(shape.text, encoding="utf-8")
        ended = run("decode", str(file), *saved_scripts(scripts[shape.number], tmp_path))
        shown = json.loads(ended.stdout)
        if corpus == "hard" and shown["rows_error"]:
            continue
        assert (shown["read_by"], shown["rows_error"]) == ("script", None)
        assert [
            (row["trunk"], row["active"], row["bound"], row["marked_for_deletion"])
            for row in shown["rows"]
        ] == [row[:4] for row in shape.rows]
        read += 1
    assert read > 5


@pytest.fixture
def script(tmp_path: Path) -> tuple[str, str]:
    """The option that names a script with none of an answer's classes but Java's own."""
    file = tmp_path / "permutation.cache.js"
    file.write_text(permutation(JAVA), encoding="utf-8")
    return "--script", str(file)


def test_a_script_that_does_not_fit_leaves_the_rows_to_their_block_and_says_why(
    run: Run, script: tuple[str, str], wire: Path
) -> None:
    shown = json.loads(run("decode", str(wire / "list_page3.txt"), *script).stdout)
    assert (shown["read_by"], len(shown["rows"])) == ("block", 3)
    assert shown["not_by_script"].endswith(" is not in the script, token 0 from the answer's end")
    other = json.loads(run("decode", str(wire / "getform31.txt"), *script).stdout)
    assert "is not in the script" in other["rows_error"]
    assert other["rows_error"].endswith("; by its tokens: no list of rows in the answer")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no script that GWT compiled"),
        (b"<html><body>hello</body></html>", "no script that GWT compiled"),
        (b"//OK[1,['x'],0,7]", "no script that GWT compiled"),
        (b"\xff\xfe\x00", "not UTF-16 at byte 2"),
        (
            b"function vpbxGwt(){var a='BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB'}",
            "reads no class: a permutation is {strong name}.cache.js, not .nocache.js",
        ),
        (
            b"vpbxGwt.onScriptDownloaded(['function a(){}",
            "script: the literal at 28 that wraps it has no end",
        ),
    ],
)
def test_what_is_no_script_is_one_line_with_its_file(
    run: Run, wire: Path, tmp_path: Path, content: bytes, complaint: str
) -> None:
    file = tmp_path / "script.js"
    file.write_bytes(content)
    ended = run("decode", str(wire / "list_page3.txt"), "--script", str(file))
    assert (ended.status, ended.stdout) == (1, "")
    assert ended.stderr == f"{file}: {complaint}\n"


def test_a_script_that_is_not_there_is_one_line(run: Run, wire: Path) -> None:
    ended = run("decode", str(wire / "list_page3.txt"), "--script", "not-there")
    assert (ended.status, ended.stdout) == (1, "")
    assert ended.stderr == "not-there: cannot read it: No such file or directory\n"


def test_a_file_that_is_not_there_is_one_line(run: Run) -> None:
    ended = run("decode", "not-there")
    assert (ended.status, ended.stderr) == (
        1,
        "not-there: cannot read it: No such file or directory\n",
    )


def test_a_folder_is_one_line(run: Run, tmp_path: Path) -> None:
    ended = run("decode", str(tmp_path))
    assert (ended.status, ended.stderr) == (1, f"{tmp_path}: cannot read it: Is a directory\n")


def test_a_name_that_a_terminal_would_act_upon_is_escaped(run: Run) -> None:
    assert run("decode", "a\nb\x1b[31m").stderr == (
        "a\\nb\\x1b[31m: cannot read it: No such file or directory\n"
    )


def test_standard_input_is_read_for_a_hyphen(wire: Path) -> None:
    ended = in_a_shell(f"vats-exporter decode - < {wire / 'list_page3.txt'}")
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert len(json.loads(ended.stdout)["rows"]) == 3


def test_standard_input_has_a_name_in_errors() -> None:
    ended = in_a_shell("echo hello | vats-exporter decode -")
    assert ended.stderr == (
        b"standard input: not a GWT-RPC answer: starts with neither //OK nor //EX\n"
    )


def test_the_output_is_utf8_in_any_locale(wire: Path) -> None:
    ended = in_a_shell(
        f"vats-exporter decode {wire / 'list_page3.txt'}",
        LC_ALL="C",
        PYTHONIOENCODING="ascii:strict",
    )
    assert json.loads(ended.stdout.decode("utf-8"))["rows"][2]["name"] == "Цой Пётр"


def test_a_reader_that_goes_away_is_no_error_worth_words(tmp_path: Path) -> None:
    file = tmp_path / "answer"
    # More than a pipe holds, so that writing goes on after the reader has gone.
    file.write_text(f"//OK[{'1,' * 300_000}[],0,7]", encoding="utf-8")
    ended = in_a_shell(f"vats-exporter decode {file} | head -c 10")
    assert (len(ended.stdout), ended.stderr) == (10, b"")


def test_a_full_disk_is_one_line(wire: Path) -> None:
    ended = in_a_shell(f"vats-exporter decode {wire / 'list_page3.txt'} > /dev/full")
    assert (ended.returncode, ended.stderr) == (
        1,
        b"standard output: cannot write: No space left on device\n",
    )


def test_a_reader_that_has_gone_away_is_no_error(wire: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "vats_exporter", "decode", str(wire / "list_page100.txt")],
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_a_name_that_does_not_resolve_is_told_in_the_resolvers_words() -> None:
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert _("{error}", error=error) == "Name or service not known"
