"""Tiny files with one defect each, named after it, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vats_exporter.cabinet.settings import TlsSettings
from vats_exporter.config.loading import load
from vats_exporter.config.models import AccountSettings
from vats_exporter.config.problems import ConfigError

FOLDER = Path(__file__).parent / "broken"

PLAIN_HTTP = (
    "plain http:// sends the password in the clear: allowed for loopback only, "
    "or with allow_plain_http: true"
)

EXPECTED: dict[str, list[str]] = {
    "account_is_a_text": [
        "line 2: accounts[0]: must be a mapping of keys",
    ],
    "account_key_unknown": [
        "line 5: accounts[0].pagesize: unknown key; did you mean page_size?",
    ],
    "account_name_empty": [
        "line 2: accounts[0].name: must not be empty",
    ],
    "account_name_missing": [
        "line 2: accounts[0].name: missing",
    ],
    "account_name_not_printable": [
        "line 2: accounts[0].name: holds a character that cannot be shown",
    ],
    "account_name_too_long": [
        "line 2: accounts[0].name: must have at most 200 characters",
    ],
    "account_name_twice": [
        "line 5: accounts[1].name: the same name as accounts[0]",
    ],
    "accounts_empty": [
        "line 1: accounts: must not be empty",
    ],
    "accounts_is_a_mapping": [
        'line 1: accounts: must be a list, each entry starting with "- "',
    ],
    "accounts_missing": [
        "line 1: accounts: missing",
    ],
    "accounts_without_value": [
        "line 1: accounts: missing",
    ],
    "address_empty": [
        "line 5: accounts[0].address: the address is empty",
    ],
    "address_ipv6_without_brackets": [
        "line 5: accounts[0].address: not an address; write host or host:port, IPv6 in []",
    ],
    "address_plain_http": [
        f"line 5: accounts[0].address: {PLAIN_HTTP}",
    ],
    "address_plain_http_by_default": [
        f"line 2: accounts[0].address: {PLAIN_HTTP}",
    ],
    "address_with_a_password": [
        "line 5: accounts[0].address: login and password do not belong in the address",
    ],
    "address_with_a_path": [
        "line 5: accounts[0].address: only the host and the port are needed, without a path",
    ],
    "ca_file_missing": [
        "line 6: accounts[0].tls.ca_file: cannot read the file: No such file or directory",
    ],
    "ca_file_without_a_certificate": [
        "line 5: accounts[0].tls.ca_file: holds no certificate in PEM form",
    ],
    "cache_stale_shorter_than_ttl": [
        "line 5: cache: stale (15m) must not be shorter than ttl (1h)",
    ],
    "default_for_login": [
        "line 6: defaults.login: each account has its own; it cannot have a default",
    ],
    "default_for_password": [
        "line 6: defaults.password: each account has its own; it cannot have a default",
    ],
    "default_page_size_zero": [
        "line 6: defaults.page_size: must be at least 1",
    ],
    "duration_is_a_list": [
        "line 6: cache.ttl: must be a duration such as 15s, 1h30m or 500ms",
    ],
    "duration_with_a_fraction": [
        "line 6: cache.ttl: must be a duration such as 15s, 1h30m or 500ms",
    ],
    "duration_without_unit": [
        "line 6: cache.ttl: has no unit: write 60s, 60m or 60ms",
    ],
    "duration_zero": [
        "line 6: accounts[0].timeouts.read: must be longer than 0s",
    ],
    "enterprise_is_a_word": [
        "line 5: accounts[0].enterprise: must be the enterprise's number, such as 2613189773",
    ],
    "everything_wrong_at_once": [
        "line 4: accounts[0].password: must be a text",
        "line 5: accounts[0].page_size: must be a whole number, without quotes",
        "line 6: accounts[1].name: the same name as accounts[0]",
        "line 8: accounts[1].password_file: cannot read the file: No such file or directory",
        "line 10: defaults.adress: unknown key; did you mean address?",
        "line 12: cache.ttl: must be a duration such as 15s, 1h30m or 500ms",
        "line 13: logs: unknown key; did you mean log?",
    ],
    "expected_off_file_missing": [
        "line 5: accounts[0].expected_off_file: cannot read the file: No such file or directory",
    ],
    "expected_off_is_a_sentence": [
        (
            "line 7: accounts[0].expected_off[1]: must be a phone such as 79161234567, or a "
            "trunk's reference such as CaLztv"
        ),
    ],
    "filter_out_of_range": [
        "line 5: accounts[0].filter: must be -2, -1 or 0",
    ],
    "flag_position_of_a_class": [
        "line 6: flags.bound: must be one of 2, 3, 4, 6, 7, 8, 9, 10, 11, 12",
    ],
    "flag_positions_equal": [
        "line 5: flags: bound and marked_for_deletion are both at position 7",
    ],
    "flags_of_an_account_equal": [
        "line 5: accounts[0].flags: active and bound are both at position 6",
    ],
    "history_file_is_a_list": [
        "line 2: history.file: must be the path of a file",
    ],
    "key_at_the_wrong_level": [
        "line 5: page_size: belongs to an account, or under defaults",
        "line 6: login: belongs to an account",
    ],
    "key_of_the_top_in_an_account": [
        "line 5: accounts[0].cache: belongs to the top of the file",
    ],
    "key_twice": [
        "line 5: accounts[0].password: given twice, on lines 4 and 5",
    ],
    "label_name_internal": [
        "line 6: accounts[0].labels: not a name for a Prometheus label",
    ],
    "label_name_invalid": [
        "line 6: accounts[0].labels: not a name for a Prometheus label",
    ],
    "label_name_reserved": [
        (
            "line 6: accounts[0].labels: phone is a label of the exporter's own metrics; "
            "choose another name"
        ),
    ],
    "list_tail_unknown_placeholder": [
        (
            "line 5: accounts[0].list_tail: value 6 is neither a number, a reference nor one of "
            "{filter}, {enterprise}, {page}, {page_size}"
        ),
    ],
    "list_tail_without_page": [
        "line 5: accounts[0].list_tail: the placeholder {page} is missing",
    ],
    "log_level_unknown": [
        "line 6: log.level: must be debug, info, warn or error",
    ],
    "login_is_a_list": [
        "line 3: accounts[0].login: must be a text",
    ],
    "login_missing": [
        "line 2: accounts[0].login: missing",
    ],
    "name_mistyped": [
        "line 2: accounts[0].nane: unknown key; did you mean name?",
    ],
    "page_size_in_quotes": [
        "line 5: accounts[0].page_size: must be a whole number, without quotes",
    ],
    "page_size_too_great": [
        "line 5: accounts[0].page_size: must be at most 10000",
    ],
    "password_all_three": [
        (
            "line 2: accounts[0]: password, password_file and password_env exclude each "
            "other: keep one"
        ),
    ],
    "password_and_file": [
        "line 2: accounts[0]: password and password_file exclude each other: keep one",
    ],
    "password_as_a_key": [
        "line 5: accounts[0]: unknown key; known here: " + ", ".join(AccountSettings.model_fields),
    ],
    "password_as_a_label": [
        "line 5: accounts[0].labels: not a name for a Prometheus label",
    ],
    "password_as_a_service": [
        "line 5: accounts[0].services: must be 32 hexadecimal digits",
    ],
    "password_colon_without_a_blank": [
        "line 4: accounts[0]: a blank is missing after password:",
    ],
    "password_empty": [
        "line 4: accounts[0].password: the password is empty",
    ],
    "password_env_empty": [
        "line 4: accounts[0].password_env: this environment variable is empty",
    ],
    "password_env_is_the_password": [
        "line 4: accounts[0].password_env: must be an environment variable's name, in capitals",
    ],
    "password_env_not_set": [
        "line 4: accounts[0].password_env: this environment variable is not set",
    ],
    "password_file_empty": [
        "line 4: accounts[0].password_file: the file is empty",
    ],
    "password_file_is_a_folder": [
        "line 4: accounts[0].password_file: cannot read the file: Is a directory",
    ],
    "password_file_is_a_list": [
        "line 4: accounts[0].password_file: must be the path of a file",
    ],
    "password_file_missing": [
        "line 4: accounts[0].password_file: cannot read the file: No such file or directory",
    ],
    "password_file_not_utf8": [
        "line 4: accounts[0].password_file: the file is not UTF-8",
    ],
    "password_file_of_two_lines": [
        "line 4: accounts[0].password_file: the file holds more than one line",
    ],
    "password_flow_comma": [
        "line 2: accounts[0]: unknown key without a value; put quotes around a text with a comma",
    ],
    "password_in_an_address": [
        "line 5: accounts[0].address: not an address; write host or host:port, IPv6 in []",
    ],
    "password_in_an_address_before_a_fragment": [
        "line 5: accounts[0].address: not an address; write host or host:port, IPv6 in []",
    ],
    "password_in_an_address_before_a_query": [
        "line 5: accounts[0].address: not an address; write host or host:port, IPv6 in []",
    ],
    "password_in_every_place": [
        "line 2: accounts[0].name: must be a text",
        "line 3: accounts[0].login: must be a text",
        "line 4: accounts[0].password_file: cannot read the file: No such file or directory",
        "line 5: accounts[0].address: not an address; write host or host:port, IPv6 in []",
        "line 6: accounts[0].allow_plain_http: must be true or false, without quotes",
        "line 7: accounts[0].enterprise: must be the enterprise's number, such as 2613189773",
        "line 8: accounts[0].filter: must be -2, -1 or 0",
        "line 9: accounts[0].page_size: must be a whole number, without quotes",
        'line 10: accounts[0].list_tail: it must end with "|", or the last value is lost',
        "line 11: accounts[0].check_total: must be true or false, without quotes",
        "line 12: accounts[0].permutation: must be 32 hexadecimal digits",
        "line 13: accounts[0].services: must be 32 hexadecimal digits",
        "line 14: accounts[0].signatures: must be a number such as 4227064769",
        "line 15: accounts[0].selector_method: must be the name of a Java method",
        'line 16: accounts[0].sign_out_path: must be a path such as /logout, or ""',
        "line 17: accounts[0].max_response: must be a size such as 512KB, 64MB or 1GB",
        "line 18: accounts[0].tls.ca_file: cannot read the file: No such file or directory",
        "line 18: accounts[0].tls.security_level: must be a whole number, without quotes",
        "line 19: accounts[0].timeouts.connect: must be a duration such as 15s, 1h30m or 500ms",
        "line 20: accounts[0].flags.active: must be a whole number, without quotes",
        "line 21: accounts[0].labels: not a name for a Prometheus label",
        (
            "line 22: accounts[0].expected_off[0]: must be a phone such as 79161234567, or a "
            "trunk's reference such as CaLztv"
        ),
        "line 23: accounts[0].expected_off_file: cannot read the file: No such file or directory",
        "line 24: cache.ttl: must be a duration such as 15s, 1h30m or 500ms",
        "line 25: details: must be on, off or a mapping of keys",
        "line 26: history.file: must be the path of a file",
        "line 27: log.format: must be logfmt or json",
        "line 27: log.level: must be debug, info, warn or error",
    ],
    "password_in_password_env": [
        "line 4: accounts[0].password_env: this environment variable is not set",
    ],
    "password_in_password_file": [
        "line 4: accounts[0].password_file: cannot read the file: No such file or directory",
    ],
    "password_is_a_mapping": [
        "line 4: accounts[0].password: must be a text",
    ],
    "password_key_mistyped": [
        "line 4: accounts[0].pasword: unknown key; did you mean password?",
    ],
    "password_missing": [
        (
            "line 2: accounts[0]: no password: one of password, password_file and "
            "password_env is needed"
        ),
    ],
    "password_of_two_lines": [
        "line 4: accounts[0].password: the password holds a line break or a NUL",
    ],
    "permutation_too_short": [
        "line 5: accounts[0].permutation: must be 32 hexadecimal digits",
    ],
    "policy_hash_too_short": [
        "line 6: accounts[0].services: must be 32 hexadecimal digits",
    ],
    "section_is_a_number": [
        "line 5: cache: must be a mapping of keys",
    ],
    "section_unknown": [
        "line 5: acounts: unknown key; did you mean accounts?",
    ],
    "security_level_too_great": [
        "line 6: accounts[0].tls.security_level: must be at most 5",
    ],
    "selector_method_is_a_sentence": [
        "line 5: accounts[0].selector_method: must be the name of a Java method",
    ],
    "sign_out_path_is_a_sentence": [
        'line 5: accounts[0].sign_out_path: must be a path such as /logout, or ""',
    ],
    "signature_is_a_word": [
        "line 6: accounts[0].signatures: must be a number such as 4227064769",
    ],
    "size_without_unit": [
        "line 5: accounts[0].max_response: must be a size such as 512KB, 64MB or 1GB",
    ],
    "switch_as_a_word": [
        "line 5: accounts[0].allow_plain_http: must be true or false, without quotes",
    ],
    "switch_in_quotes": [
        "line 5: accounts[0].check_total: must be true or false, without quotes",
    ],
    "timeout_unknown": [
        "line 6: accounts[0].timeouts.reed: unknown key; did you mean read?",
    ],
    "tls_key_far_from_any": [
        "line 6: accounts[0].tls: unknown key; known here: " + ", ".join(TlsSettings.model_fields),
    ],
    "variable_as_a_level": [
        (
            "line 6: log.level: must be debug, info, warn or error (${…} is not replaced by "
            "a variable's value)"
        ),
    ],
    "yaml_alias_of_a_password": [
        'line 4, column 15: no such anchor; put quotes around a text that starts with "*"',
    ],
    "yaml_alias_of_itself": [
        "line 1: an alias inside what it stands for",
    ],
    "yaml_at_sign": [
        "line 4, column 15: a character that cannot start a value; put quotes around the text",
    ],
    "yaml_bomb": [
        "holds more than 200000 values",
    ],
    "yaml_brackets_open": [
        "line 6, column 1: a bracket or a comma out of place",
    ],
    "yaml_colon_in_a_password": [
        'line 4, column 21: a ": " where no key can stand; check the indentation, or quote it',
    ],
    "yaml_comma_missing": [
        "line 5, column 22: brackets that are not closed, or a comma that is missing",
    ],
    "yaml_control_character": [
        "line 4: a control character, U+0007",
    ],
    "yaml_empty": [
        "is empty: it needs at least accounts, with one account",
    ],
    "yaml_indentation": [
        "line 5, column 4: does not fit in here; check the indentation and the quotes",
    ],
    "yaml_key_is_a_list": [
        "line 5: a key that is not a word",
    ],
    "yaml_list": [
        "must be a mapping that starts with accounts:",
    ],
    "yaml_merge_of_a_text": [
        "line 2: accounts[0]: << must be followed by a mapping",
    ],
    "yaml_not_utf8": [
        "line 5: not UTF-8: byte 0xe2",
    ],
    "yaml_only_comments": [
        "is empty: it needs at least accounts, with one account",
    ],
    "yaml_quotes_open": [
        "line 4, column 15: quotes that are not closed",
    ],
    "yaml_second_document": [
        "line 5, column 1: a second document; the file must hold one",
    ],
    "yaml_tab": [
        "line 5, column 1: a tab where only blanks can indent",
    ],
    "yaml_tag": [
        'line 4: accounts[0].password: a YAML tag; put quotes around a text that starts with "!"',
    ],
    "yaml_tag_of_python": [
        'line 4: accounts[0].password: a YAML tag; put quotes around a text that starts with "!"',
        "line 4: accounts[0].password: must be a text",
    ],
    "yaml_text": [
        "must be a mapping that starts with accounts:",
    ],
    "yaml_unknown_escape": [
        "line 4, column 23: an unknown escape; put a text with backslashes in single quotes",
    ],
}


def test_every_broken_file_has_its_expected_lines() -> None:
    assert sorted(file.stem for file in FOLDER.iterdir()) == sorted(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_broken_file_is_refused_with_a_line_for_each_defect(name: str) -> None:
    file = FOLDER / f"{name}.yml"
    with pytest.raises(ConfigError) as caught:
        load(file, environment={"VATS_EMPTY": ""})
    assert caught.value.lines() == [f"{file}: {line}" for line in EXPECTED[name]]


@pytest.mark.parametrize("name", EXPECTED)
def test_nothing_that_may_be_a_password_is_quoted(name: str) -> None:
    """Each of these files has a password, at its place or put elsewhere by mistake."""
    with pytest.raises(ConfigError) as caught:
        load(FOLDER / f"{name}.yml", environment={"VATS_EMPTY": ""})
    told = "".join(str(problem) for problem in caught.value.problems)
    assert "hunter" not in told.lower()
    assert "hunter" not in repr(caught.value).partition("broken")[2].lower()
