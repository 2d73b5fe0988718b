"""A cabinet's settings: what is refused with a sentence, what is put in order, and the password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from vats_exporter.cabinet.settings import CabinetSettings, FlagPositions
from vats_exporter.redaction import redact

if TYPE_CHECKING:
    from pathlib import Path


def settings(**changes: Any) -> CabinetSettings:
    return CabinetSettings(**{"login": "+7-9161234567", "password": "geheim", **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"address": "https://u:geheim@host"}, "login and password do not belong in the address"),
        ({"address": "http://vpbx.mts.ru"}, "plain http:// sends the password in the clear"),
        ({"proxy_url": "socks5://u:geheim@host"}, "only http:// proxies"),
        ({"enterprise": "Cb wh"}, "must be the enterprise's number"),
        ({"list_tail": "{filter}|{page}|8|{page_size}"}, "must end with"),
        ({"filter": 1}, "Input should be -2, -1 or 0"),
        ({"permutation": "3D7E"}, "must be 32 hexadecimal digits"),
        ({"signatures": {"java.lang.Long": "long"}}, "must be a number such as 4227064769"),
        ({"sign_out_path": "logout"}, "must be a path such as /logout"),
        ({"selector_method": "set enabled"}, "must be the name of a Java method"),
        ({"page_size": 0}, "greater than or equal to 1"),
        ({"flags": {"active": 13}}, "must be one of"),
        ({"flags": {"active": 4, "bound": 4}}, "active and bound are both at position 4"),
        ({"pagesize": 10}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_is_said_without_the_password(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**changes)
    (problem,) = caught.value.errors(include_input=False, include_context=False)
    assert says in problem["msg"]
    assert "geheim" not in problem["msg"]


def test_plain_http_is_for_this_machine_or_for_who_allows_it() -> None:
    assert settings(address="http://127.0.0.1:8080").address == "http://127.0.0.1:8080"
    allowed = settings(address="http://vpbx.mts.ru", allow_plain_http=True)
    assert allowed.address == "http://vpbx.mts.ru"


def test_hashes_and_signatures_are_put_as_requests_write_them() -> None:
    found = settings(
        permutation="ab" * 16,
        services={"AbonentBrowserGwtService": "cd" * 16},
        signatures={"java.lang.Long": "4227064769", "java.lang.Boolean": "x/1"},
    )
    assert found.permutation == "AB" * 16
    assert found.services == {"AbonentBrowserGwtService": "CD" * 16}
    assert found.signatures == {
        "java.lang.Long": "java.lang.Long/4227064769",
        "java.lang.Boolean": "java.lang.Boolean/1",
    }


def test_the_positions_of_the_flags_are_those_of_the_notes_unless_they_are_moved() -> None:
    assert [position for _, position in FlagPositions()] == [4, 6, 7]
    assert [position for _, position in FlagPositions(active=9)] == [9, 6, 7]


def test_the_password_is_that_of_the_file_as_it_is_now(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("the first one\n")
    found = CabinetSettings(login="+7-9161234567", password_file=file)
    assert found.current_password() == "the first one"
    file.write_text("the second one\n")
    assert found.current_password() == "the second one"
    assert redact("the second one") == "***"
    file.unlink()  # half written, or gone: the last one that is known may still be right
    assert found.current_password() == "the first one"


def test_no_password_is_shown() -> None:
    shown = repr(settings(proxy_url="http://u:secret@proxy"))
    assert "geheim" not in shown
    assert "secret" not in shown
