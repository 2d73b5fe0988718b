"""Tiny files with one defect each, named after it, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vats_exporter.config import ConfigError, load

FOLDER = Path(__file__).parent / "broken"

PLAIN_HTTP = (
    "plain http:// sends the password in the clear: allowed for loopback only, "
    "or with allow_plain_http: true"
)

KNOWN_PLACEHOLDERS = "known are {filter}, {enterprise}, {page}, {page_size}"

EXPECTED: dict[str, list[str]] = {
    "account_is_a_text": [
        "accounts[0]: must be a mapping of keys",
    ],
    "account_key_unknown": [
        "accounts[0].pagesize: unknown key; did you mean page_size?",
    ],
    "account_name_empty": [
        "accounts[0].name: must not be empty",
    ],
    "account_name_missing": [
        "accounts[0].name: missing",
    ],
    "account_name_not_printable": [
        "accounts[0].name: holds a character that cannot be shown",
    ],
    "account_name_too_long": [
        "accounts[0].name: must have at most 200 characters",
    ],
    "password_file_is_a_list": [
        "accounts[0].password_file: must be a text",
    ],
    "sign_out_path_is_a_sentence": [
        'accounts[0].sign_out_path: must be a path such as /logout, or ""',
    ],
    "account_name_twice": [
        "accounts[1].name: the same name as accounts[0]",
    ],
    "accounts_empty": [
        "accounts: must not be empty",
    ],
    "accounts_is_a_mapping": [
        'accounts: must be a list, each entry starting with "- "',
    ],
    "accounts_missing": [
        "accounts: missing",
    ],
    "accounts_without_value": [
        "accounts: missing",
    ],
    "address_empty": [
        "accounts[0].address: the address is empty",
    ],
    "address_plain_http": [
        f"accounts[0].address: {PLAIN_HTTP}",
    ],
    "address_plain_http_by_default": [
        f"accounts[0].address: {PLAIN_HTTP}",
    ],
    "address_with_a_password": [
        "accounts[0].address: login and password do not belong in the address",
    ],
    "address_with_a_path": [
        "accounts[0].address: only the host and the port are needed, without a path",
    ],
    "ca_file_missing": [
        "accounts[0].tls.ca_file: cannot read {folder}/not-there.pem: No such file or directory",
    ],
    "cache_stale_shorter_than_ttl": [
        "cache: stale (15m) must not be shorter than ttl (1h)",
    ],
    "default_for_login": [
        "defaults.login: each account has its own; it cannot have a default",
    ],
    "default_for_password": [
        "defaults.password: each account has its own; it cannot have a default",
    ],
    "default_page_size_zero": [
        "defaults.page_size: must be at least 1",
    ],
    "duration_is_a_list": [
        "cache.ttl: must be a duration such as 15s, 1h30m or 500ms",
    ],
    "duration_with_a_fraction": [
        "cache.ttl: must be a duration such as 15s, 1h30m or 500ms",
    ],
    "duration_without_unit": [
        "cache.ttl: has no unit: write 60s, 60m or 60ms",
    ],
    "duration_zero": [
        "accounts[0].timeouts.read: must be longer than 0s",
    ],
    "enterprise_is_a_word": [
        "accounts[0].enterprise: must be the enterprise's number, such as 2613189773",
    ],
    "everything_wrong_at_once": [
        "accounts[0].page_size: must be a whole number, without quotes",
        "accounts[0].password: must be a text",
        "accounts[1].password_file: cannot read {folder}/not-there: No such file or directory",
        "accounts[1].name: the same name as accounts[0]",
        "defaults.adress: unknown key; did you mean address?",
        "cache.ttl: must be a duration such as 15s, 1h30m or 500ms",
        "logs: unknown key; did you mean log?",
    ],
    "filter_out_of_range": [
        "accounts[0].filter: must be -2, -1 or 0",
    ],
    "flag_position_of_a_class": [
        "flags.bound: must be one of 2, 3, 4, 6, 7, 8, 9, 10, 11, 12",
    ],
    "flag_positions_equal": [
        "flags: bound and marked_for_deletion are both at position 7",
    ],
    "history_file_is_a_list": [
        "history.file: must be the path of a file",
    ],
    "key_at_the_wrong_level": [
        "page_size: belongs to an account, or under defaults",
        "login: belongs to an account",
    ],
    "key_of_the_top_in_an_account": [
        "accounts[0].cache: belongs to the top of the file",
    ],
    "key_twice": [
        "accounts[0].password: given twice, on lines 4 and 5",
    ],
    "label_name_internal": [
        "accounts[0].labels.__address__: not a name for a Prometheus label",
    ],
    "label_name_invalid": [
        'accounts[0].labels["cost center"]: not a name for a Prometheus label',
    ],
    "label_name_reserved": [
        "accounts[0].labels.phone: a label of the exporter's own metrics; choose another name",
    ],
    "list_tail_unknown_placeholder": [
        "accounts[0].list_tail: unknown placeholder {pagesize}; " + KNOWN_PLACEHOLDERS,
    ],
    "list_tail_without_page": [
        "accounts[0].list_tail: the placeholder {page} is missing",
    ],
    "log_level_unknown": [
        "log.level: must be debug, info, warn or error",
    ],
    "login_is_a_list": [
        "accounts[0].login: must be a text",
    ],
    "login_missing": [
        "accounts[0].login: missing",
    ],
    "page_size_in_quotes": [
        "accounts[0].page_size: must be a whole number, without quotes",
    ],
    "page_size_too_great": [
        "accounts[0].page_size: must be at most 10000",
    ],
    "password_all_three": [
        "accounts[0]: password, password_file and password_env exclude each other: keep one",
    ],
    "password_and_file": [
        "accounts[0]: password and password_file exclude each other: keep one",
    ],
    "password_empty": [
        "accounts[0].password: the password is empty",
    ],
    "password_env_empty": [
        "accounts[0].password_env: the environment variable VATS_EMPTY is empty",
    ],
    "password_env_is_the_password": [
        "accounts[0].password_env: must be an environment variable's name, in capitals",
    ],
    "password_env_not_set": [
        "accounts[0].password_env: the environment variable VATS_NOT_SET is not set",
    ],
    "password_file_empty": [
        "accounts[0].password_file: {folder}/../passwords/empty is empty",
    ],
    "password_file_is_a_folder": [
        "accounts[0].password_file: cannot read {folder}: Is a directory",
    ],
    "password_file_missing": [
        "accounts[0].password_file: cannot read {folder}/not-there: No such file or directory",
    ],
    "password_file_not_utf8": [
        "accounts[0].password_file: {folder}/../passwords/latin1 is not UTF-8",
    ],
    "password_file_of_two_lines": [
        "accounts[0].password_file: {folder}/../passwords/two-lines holds more than one line",
    ],
    "password_is_a_mapping": [
        "accounts[0].password: must be a text",
    ],
    "password_missing": [
        "accounts[0]: no password: one of password, password_file and password_env is needed",
    ],
    "password_of_two_lines": [
        "accounts[0].password: the password holds a line break or a NUL",
    ],
    "permutation_too_short": [
        "accounts[0].permutation: must be 32 hexadecimal digits",
    ],
    "policy_hash_too_short": [
        "accounts[0].services.AbonentBrowserGwtService: must be 32 hexadecimal digits",
    ],
    "section_is_a_number": [
        "cache: must be a mapping of keys",
    ],
    "section_unknown": [
        "acounts: unknown key; did you mean accounts?",
    ],
    "security_level_too_great": [
        "accounts[0].tls.security_level: must be at most 5",
    ],
    "signature_is_a_word": [
        "accounts[0].signatures: java.lang.Long: must be a number such as 4227064769",
    ],
    "selector_method_is_a_sentence": [
        "accounts[0].selector_method: must be the name of a Java method",
    ],
    "size_without_unit": [
        "accounts[0].max_response: must be a size such as 512KB, 64MB or 1GB",
    ],
    "switch_as_a_word": [
        "accounts[0].allow_plain_http: must be true or false, without quotes",
    ],
    "switch_in_quotes": [
        "accounts[0].check_total: must be true or false, without quotes",
    ],
    "timeout_unknown": [
        "accounts[0].timeouts.reed: unknown key; did you mean read?",
    ],
    "tls_key_far_from_any": [
        "accounts[0].tls.insecure: unknown key; known here: ca_file, security_level",
    ],
    "yaml_alias_of_a_password": [
        'line 4, column 15: no such anchor; put quotes around a text that starts with "*"',
    ],
    "yaml_alias_of_itself": [
        "line 1: an alias inside of what it stands for",
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
        'accounts[0]["<<"]: must be a mapping',
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
        'accounts[0].password: a YAML tag; put quotes around a text that starts with "!"',
    ],
    "yaml_tag_of_python": [
        'accounts[0].password: a YAML tag; put quotes around a text that starts with "!"',
        "accounts[0].password: must be a text",
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
    assert caught.value.lines() == [
        f"{file}: {line.replace('{folder}', str(FOLDER))}" for line in EXPECTED[name]
    ]


@pytest.mark.parametrize("name", EXPECTED)
def test_the_error_of_a_broken_file_holds_no_password(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(FOLDER / f"{name}.yml", environment={"VATS_EMPTY": ""})
    assert "hunter" not in str(caught.value)
    assert "hunter" not in repr(caught.value)
