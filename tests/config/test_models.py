"""The settings as programs make and compare them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from vats_exporter.config.models import AccountSettings, CacheSettings, Config, SharedSettings

OFFICE = AccountSettings(name="office", login="a", password="hunter2")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        OFFICE.page_size = 1


def test_an_error_quotes_no_value() -> None:
    with pytest.raises(ValidationError) as caught:
        AccountSettings(name="office", login="a", password="hunter2\n")
    assert "hunter2" not in str(caught.value)


def test_what_a_cabinet_needs_not_know_makes_no_other_account(tmp_path: Path) -> None:
    rest = {"labels": {"a": "b"}, "expected_off": ["CaLztv"], "expected_off_file": tmp_path}
    assert OFFICE.reads_like(OFFICE.model_copy(update=rest))
    for key, value in (("password", "hunter3"), ("page_size", 1), ("name", "branch")):
        assert not OFFICE.reads_like(OFFICE.model_copy(update={key: value}))


def test_defaults_may_have_what_is_not_an_accounts_own() -> None:
    own = {
        "name",
        "login",
        "password",
        "password_file",
        "password_env",
        "expected_off",
        "expected_off_file",
    }
    assert set(AccountSettings.model_fields) - set(SharedSettings.model_fields) == own


def test_a_configuration_that_a_program_makes_comes_from_no_file() -> None:
    config = Config(accounts=[OFFICE], cache=CacheSettings(ttl=1.0))
    assert config.file == Path()
    assert config.warnings == ()
    assert not config.details.enabled
