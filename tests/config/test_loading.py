"""What a valid file means, and how it is shown: defaults, YAML's traps, secrets, warnings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vats_exporter.cabinet.settings import CabinetSettings, FlagPositions, Timeouts, TlsSettings
from vats_exporter.config.loading import display, load, readable_passwords
from vats_exporter.config.models import (
    AccountSettings,
    CacheSettings,
    Config,
    DetailsSettings,
    HistorySettings,
    LogSettings,
)
from vats_exporter.config.problems import ConfigError
from vats_exporter.redaction import Privacy, redact

Write = Callable[[str], Path]

ACCOUNT = """\
accounts:
  - name: office
    login: +7-9161234567
    password: hunter2
"""
TWO_ACCOUNTS = ACCOUNT + "  - {name: branch, login: +7-9161234568, password: hunter3}\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(text: str) -> Path:
        file = tmp_path / "vats-exporter.yml"
        file.write_text(text, encoding="utf-8")
        return file

    return write_file


def only_account(config: Config) -> AccountSettings:
    (account,) = config.accounts
    return account


def test_five_lines_are_enough(write: Write, tmp_path: Path) -> None:
    (tmp_path / "office.password").write_text("hunter2\n")
    file = write(
        "accounts:\n"
        "  - name: office\n"
        "    login: +7-9161234567\n"
        f"    password_file: {tmp_path}/office.password\n"
    )
    config = load(file)
    account = only_account(config)
    assert (account.name, account.login) == ("office", "+7-9161234567")
    assert account.password == "hunter2"
    assert account.address == "vpbx.mts.ru"
    assert config.cache == CacheSettings(ttl=60.0, stale=900.0)
    assert config.log == LogSettings(format="logfmt", level="info")
    assert config.file == file


def test_every_key_reaches_its_setting(write: Write, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "off.txt").write_text("79161234567\n")
    config = load(
        write(
            ACCOUNT + "    address: https://vats.example:8443\n"
            "    allow_plain_http: true\n"
            "    enterprise: 2613189773\n"
            "    filter: 0\n"
            "    page_size: 50\n"
            "    list_tail: '{filter}|7|0|0|8|{enterprise}|0|8|{page}|8|{page_size}|0|'\n"
            "    check_total: false\n"
            "    permutation: 0123456789abcdef0123456789ABCDEF\n"
            "    services: {AbonentBrowserGwtService: 3D7E196DA92A574D98BAC0DEE7D909C8}\n"
            "    signatures: {java.lang.Long: 4227064769}\n"
            "    selector_method: setEnabled\n"
            "    max_response: 1MB\n"
            "    tls: {ca_file: ca.pem, security_level: 1}\n"
            "    timeouts: {connect: 500ms, read: 1m, call: 1h30m}\n"
            "    sign_out_path: /logout\n"
            "    labels: {site: moscow}\n"
            "    expected_off: [+7 916 123-45-67, CaLztv]\n"
            "    expected_off_file: off.txt\n"
            "cache: {ttl: 30s, stale: 1h}\n"
            "flags: {active: 6, bound: 4, marked_for_deletion: 9}\n"
            "log: {format: json, level: debug}\n"
        )
    )
    assert only_account(config) == AccountSettings(
        name="office",
        labels={"site": "moscow"},
        address="https://vats.example:8443",
        login="+7-9161234567",
        password="hunter2",
        allow_plain_http=True,
        enterprise="2613189773",
        filter=0,
        page_size=50,
        list_tail="{filter}|7|0|0|8|{enterprise}|0|8|{page}|8|{page_size}|0|",
        check_total=False,
        permutation="0123456789ABCDEF0123456789ABCDEF",
        services={"AbonentBrowserGwtService": "3D7E196DA92A574D98BAC0DEE7D909C8"},
        signatures={"java.lang.Long": "java.lang.Long/4227064769"},
        selector_method="setEnabled",
        sign_out_path="/logout",
        flags=FlagPositions(active=6, bound=4, marked_for_deletion=9),
        tls=TlsSettings(ca_file=tmp_path / "ca.pem", security_level=1),
        timeouts=Timeouts(connect=0.5, read=60.0, call=5400.0),
        max_response=1024 * 1024,
        expected_off=["79161234567", "CaLztv"],
        expected_off_file=tmp_path / "off.txt",
    )
    assert config.cache == CacheSettings(ttl=30.0, stale=3600.0)
    assert config.log == LogSettings(format="json", level="debug")


def test_an_accounts_own_keys_go_before_the_defaults_key_by_key(write: Write) -> None:
    config = load(
        write(
            TWO_ACCOUNTS.replace("password: hunter3", "password: hunter3, page_size: 10")
            + "defaults:\n"
            "  page_size: 50\n"
            "  timeouts: {read: 30s, call: 2m}\n"
            "  labels: {site: moscow, team: voice}\n"
        )
    )
    office, branch = config.accounts
    assert (office.page_size, branch.page_size) == (50, 10)
    assert branch.timeouts == Timeouts(read=30.0, call=120.0)


def test_flags_of_an_account_go_before_those_of_the_defaults_and_of_the_file(write: Write) -> None:
    config = load(
        write(
            TWO_ACCOUNTS.replace("password: hunter3", "password: hunter3, flags: {active: 10}")
            + "defaults: {flags: {bound: 9}}\n"
            "flags: {active: 11, bound: 12}\n"
        )
    )
    office, branch = (account.flags for account in config.accounts)
    assert office == FlagPositions(active=11, bound=9)
    assert branch == FlagPositions(active=10, bound=9)


def test_mappings_of_an_account_and_of_the_defaults_are_merged(write: Write) -> None:
    account = only_account(
        load(
            write(
                ACCOUNT + "    timeouts: {read: 5s}\n"
                "    labels: {site: kazan}\n"
                "defaults:\n"
                "  timeouts: {read: 30s, call: 2m}\n"
                "  labels: {site: moscow, team: voice}\n"
            )
        )
    )
    assert account.timeouts == Timeouts(read=5.0, call=120.0)
    assert account.labels == {"site": "kazan", "team": "voice"}


def test_a_value_equal_to_the_builtin_default_still_goes_before_the_files_default(
    write: Write,
) -> None:
    config = load(write(ACCOUNT + "    page_size: 100\ndefaults: {page_size: 50}\n"))
    assert only_account(config).page_size == 100


@pytest.mark.parametrize(
    "login",
    ["+79161234567", "+7-9161234567", "0123", "0x10", "1e3", "12:30:45", "off", "2024-01-02"],
)
def test_a_login_without_quotes_stays_as_it_is_written(write: Write, login: str) -> None:
    config = load(write(ACCOUNT.replace("+7-9161234567", login)))
    assert only_account(config).login == login


@pytest.mark.parametrize("password", ["0123", "1_000", "yes", "1.50", "p#ss", "a:b", "null!", "~x"])
def test_a_password_without_quotes_stays_as_it_is_written(write: Write, password: str) -> None:
    config = load(write(ACCOUNT.replace("hunter2", password)))
    assert only_account(config).password == password


def test_a_quoted_null_is_a_text(write: Write) -> None:
    assert only_account(load(write(ACCOUNT.replace("hunter2", '"null"')))).password == "null"


def test_a_key_without_value_counts_as_not_given(write: Write) -> None:
    config = load(write(ACCOUNT + "    labels:\n    address:\ncache:\ndefaults: ~\n"))
    assert only_account(config).address == CabinetSettings().address
    assert config.cache == CacheSettings(ttl=60.0, stale=900.0)


def test_anchors_and_merge_keys_work(write: Write) -> None:
    config = load(
        write(
            "accounts:\n"
            "  - &office {name: office, login: a, password: hunter2, page_size: 50}\n"
            "  - {<<: *office, name: branch}\n"
        )
    )
    assert [account.name for account in config.accounts] == ["office", "branch"]
    assert [account.page_size for account in config.accounts] == [50, 50]


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    file = tmp_path / "vats-exporter.yml"
    file.write_bytes(b"\xef\xbb\xbf" + ACCOUNT.replace("\n", "\r\n").encode())
    assert only_account(load(file)).name == "office"


def test_names_may_be_cyrillic(write: Write) -> None:
    assert only_account(load(write(ACCOUNT.replace("office", "Офис на Тверской")))).name == (
        "Офис на Тверской"
    )


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"hunter2", "hunter2"),
        (b"hunter2\n", "hunter2"),
        (b"hunter2\r\n", "hunter2"),
        (b"\xef\xbb\xbfhunter2\n", "hunter2"),
        (b" hunter2 \n", " hunter2 "),
        ("пароль №1\n".encode(), "пароль №1"),
    ],
)
def test_a_password_file_gives_its_line(
    write: Write, tmp_path: Path, content: bytes, password: str
) -> None:
    (tmp_path / "secret").write_bytes(content)
    config = load(write(ACCOUNT.replace("password: hunter2", "password_file: secret")))
    assert only_account(config).password == password


def test_only_one_line_break_of_a_password_file_is_stripped(write: Write, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"hunter2\n\n")
    with pytest.raises(ConfigError, match="holds more than one line"):
        load(write(ACCOUNT.replace("password: hunter2", "password_file: secret")))


def test_a_password_file_without_an_end_is_refused(write: Write) -> None:
    with pytest.raises(ConfigError, match="the file is longer than 4096 bytes"):
        load(write(ACCOUNT.replace("password: hunter2", "password_file: /dev/zero")))


def test_a_password_comes_from_the_environment(write: Write) -> None:
    config = load(
        write(ACCOUNT.replace("password: hunter2", "password_env: VATS_PASSWORD")),
        environment={"VATS_PASSWORD": "p|ss wörd"},
    )
    assert only_account(config).password == "p|ss wörd"


def test_no_repr_holds_the_password(write: Write) -> None:
    config = load(write(ACCOUNT))
    assert "hunter2" not in repr(config) + str(config)


def test_configurations_are_equal_exactly_when_nothing_changed(write: Write) -> None:
    before = only_account(load(write(ACCOUNT)))
    assert only_account(load(write(ACCOUNT + "# a comment\n"))) == before
    assert only_account(load(write(ACCOUNT.replace("hunter2", "hunter3")))) != before


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.yml")
    assert caught.value.lines() == [
        f"{tmp_path}/none.yml: cannot read it: No such file or directory"
    ]


def test_a_folder_instead_of_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read it: Is a directory"):
        load(tmp_path)


def test_deep_nesting_is_refused(write: Write) -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        load(write("accounts: " + "[" * 50_000))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.binary(max_size=300) | st.text("ab:-[]{}&*!|>'\"%@`#? \n\t<<\\", max_size=60).map(str.encode)
)
def test_any_bytes_give_a_configuration_or_its_problems(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "vats-exporter.yml"
    file.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.problems
    assert all(line.isprintable() for line in caught.value.lines())


KEYS = [
    *("accounts", "defaults", "cache", "flags", "log", "name", "login", "password", "labels"),
    *("tls", "timeouts", "services", "ttl", "stale", "active", "ca_file", "page_size", "other"),
]
VALUES = st.recursive(
    st.text(max_size=20) | st.sampled_from(["1", "true", "60s", "null", "office", "-2"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=12,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5))
def test_any_values_under_known_keys_are_refused_with_readable_lines(
    write: Write, content: dict[str, object]
) -> None:
    # `other` is no key, so the file is wrong whatever else it holds.
    file = write(yaml.safe_dump({**content, "other": "x"}, allow_unicode=True))
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert all(line.isprintable() for line in caught.value.lines())


@pytest.mark.parametrize(
    "keys",
    [
        "    address: http://127.0.0.1:9743\n",
        "    address: http://vats.example\n    allow_plain_http: true\n",
        "    address: http://vats.example\ndefaults: {allow_plain_http: true}\n",
    ],
)
def test_plain_http_is_for_loopback_or_allowed_by_hand(write: Write, keys: str) -> None:
    assert only_account(load(write(ACCOUNT + keys))).address.startswith("http://")


@pytest.mark.parametrize("written", ["4227064769", "java.lang.Long/4227064769"])
def test_a_signature_may_be_written_with_or_without_its_class(write: Write, written: str) -> None:
    config = load(write(ACCOUNT + f"    signatures: {{java.lang.Long: {written}}}\n"))
    assert only_account(config).signatures == {"java.lang.Long": "java.lang.Long/4227064769"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", DetailsSettings(enabled=False, ttl=3600.0)),
        ("details: on\n", DetailsSettings(enabled=True, ttl=3600.0)),
        ("details: off\n", DetailsSettings(enabled=False, ttl=3600.0)),
        (
            "details: {ttl: 30m}\n",
            DetailsSettings(ttl=1800.0),
        ),
        (
            "details: {enabled: off, ttl: 30m}\n",
            DetailsSettings(enabled=False, ttl=1800.0),
        ),
    ],
)
def test_details_are_off_unless_they_are_asked_for(
    write: Write, written: str, expected: DetailsSettings
) -> None:
    assert load(write(ACCOUNT + written)).details == expected


def test_the_historys_file_stands_beside_the_configuration(write: Write) -> None:
    file = write(ACCOUNT + "history: {file: history.db, keep: 30d}\n")
    assert load(file).history == HistorySettings(file=file.parent / "history.db", keep=30 * 86400.0)


@pytest.mark.parametrize("word", ["yes", "on", "true", "True", "YES"])
def test_a_switch_may_be_any_of_yamls_words(write: Write, word: str) -> None:
    config = load(write(ACCOUNT + f"details: {word}\ndefaults: {{allow_plain_http: {word}}}\n"))
    assert config.details.enabled
    assert only_account(config).allow_plain_http


def test_a_level_may_be_called_as_python_calls_it(write: Write) -> None:
    assert load(write(ACCOUNT + "log: {level: warning}\n")).log.level == "warn"


def test_a_mistake_in_the_defaults_is_told_once(write: Write) -> None:
    text = TWO_ACCOUNTS + "defaults: {page_size: 0, tls: {insecure: true}}\nflags: {bound: 5}\n"
    with pytest.raises(ConfigError) as caught:
        load(write(text))
    assert [problem.path for problem in caught.value.problems] == [
        "defaults.page_size",
        "defaults.tls",
        "flags.bound",
    ]


def test_an_enterprise_may_be_written_as_the_cabinet_writes_it(write: Write) -> None:
    for written in ("CbwhyN", "2613189773"):
        file = write(ACCOUNT + f"    enterprise: {written}\n")
        assert load(file).accounts[0].enterprise == written


def test_signing_out_can_be_left_out_and_moved(write: Write) -> None:
    for path in ("", "/logout?now=1"):
        file = write(ACCOUNT + f'    sign_out_path: "{path}"\n')
        assert load(file).accounts[0].sign_out_path == path


def test_a_password_file_is_read_again_and_what_is_no_password_is_not_taken(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("first\n")
    file = tmp_path / "vats-exporter.yml"
    file.write_text("accounts: [{name: a, login: l, password_file: password}]\n")
    cabinet = load(file).accounts[0]
    assert cabinet.current_password() == "first"
    secret.write_text("second")
    assert cabinet.current_password() == "second"
    assert redact("it is second") == "it is ***"
    for broken in ("", "two\nlines", "x" * 5000):
        secret.write_text(broken)
        assert cabinet.current_password() == "first"  # as it was when the settings were read
    secret.unlink()
    assert cabinet.current_password() == "first"
    secret.write_text("third")
    assert cabinet.current_password() == "third"


def test_a_proxy_is_checked_and_its_password_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "vats-exporter.yml"
    proxy = "proxy_url: 'socks5://user:geheim@proxy:1'"
    file.write_text(f"accounts: [{{name: a, login: l, password: p, {proxy}}}]\n")
    with pytest.raises(ConfigError, match=r"proxy_url: only http:// proxies") as caught:
        load(file)
    assert "geheim" not in str(caught.value)
    file.write_text(file.read_text().replace("socks5", "http"))
    cabinet = load(file).accounts[0]
    assert cabinet.proxy_url == "http://user:geheim@proxy:1"
    assert "geheim" not in repr(cabinet)


# -- what is valid and most likely wrong is told, without a value


def warnings_of(write: Write, text: str) -> list[str]:
    return [str(warning) for warning in load(write(text)).warnings]


def test_nothing_is_said_of_what_is_written_as_it_is_meant(write: Write) -> None:
    assert warnings_of(write, ACCOUNT.replace("office", "«Ромашка»")) == []


@pytest.mark.parametrize(
    ("key", "line"),
    [("login: ${LOGIN}", 3), ("address: ${HOST}", 5), ("password: ${HUNTER2}", 4)],
)
def test_variables_that_stay_as_they_are_written(write: Write, key: str, line: int) -> None:
    name = key.partition(":")[0]
    lines = [one for one in ACCOUNT.splitlines() if not one.strip().startswith(f"{name}:")]
    text = "\n".join([*lines[: line - 1], f"    {key}", *lines[line - 1 :], ""])
    assert warnings_of(write, text) == [
        (
            f"line {line}: accounts[0].{name}: ${{…}} is not replaced by a variable's value; "
            "for a password, use password_env"
        )
    ]


@pytest.mark.parametrize("quotes", ["“”", "„“", "«»", "‘’"])
def test_typographic_quotes_around_a_login(write: Write, quotes: str) -> None:
    text = ACCOUNT.replace("+7-9161234567", f"{quotes[0]}+7-9161234567{quotes[1]}")
    assert warnings_of(write, text) == [
        (
            "line 3: accounts[0].login: the typographic quotes are part of the value; "
            "YAML's quotes are \" and '"
        )
    ]


def test_the_same_login_into_the_same_cabinet(write: Write) -> None:
    other = "  - {name: branch, login: +7-9161234567, password: hunter2, address: %s}\n"
    told = (
        "line 5: accounts[1].login: the same login as accounts[0]; two sessions may end each other"
    )
    assert warnings_of(write, ACCOUNT + other % "https://vpbx.mts.ru") == [told]
    assert warnings_of(write, ACCOUNT + other % "vats.example") == []


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666])
def test_passwords_that_everybody_can_read(write: Write, tmp_path: Path, mode: int) -> None:
    def told(text: str) -> list[str]:
        file = write(text)
        file.chmod(mode)
        return [str(warning) for warning in readable_passwords(load(file))]

    sentence = f"every user of this machine can read it: the file's mode is {mode:04o}"
    assert told(ACCOUNT) == [f"accounts[0].password: {sentence}"]
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    secret.chmod(mode)
    text = ACCOUNT.replace("password: hunter2", "password_file: secret")
    assert told(text) == [f"accounts[0].password_file: {sentence}"]
    secret.chmod(0o640)
    assert told(text) == []


def test_a_password_in_the_environment_is_in_no_file(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VATS_PASSWORD", "hunter2")
    file = write(ACCOUNT.replace("password: hunter2", "password_env: VATS_PASSWORD"))
    file.chmod(0o644)
    assert list(readable_passwords(load(file))) == []


def test_lines_of_a_list_of_trunks_that_name_none(write: Write, tmp_path: Path) -> None:
    (tmp_path / "off.txt").write_text("79161234567\nthe kiosk\n", "utf-8")
    assert warnings_of(write, ACCOUNT + "    expected_off_file: off.txt\n") == [
        "line 5: accounts[0].expected_off_file: neither a phone nor a reference: line 2"
    ]


# -- the configuration as it is shown

SHOWN = """\
accounts:
  - name: Офис
    login: "+7-9161234567"
    {password}
    expected_off: ["+7 916 123-45-68"]
    timeouts: {{connect: 1m30s}}
    max_response: 8MB
    labels: {{city: Омск}}
cache: {{ttl: 30s}}
details: {{ttl: 2h}}
"""


@pytest.mark.parametrize(
    "password", ["password: hunter2-itself", "password_file: secret", "password_env: OFFICE"]
)
def test_what_is_shown_is_a_configuration_without_its_passwords(
    write: Write, tmp_path: Path, password: str
) -> None:
    (tmp_path / "secret").write_text("hunter2-in-a-file")
    environment = {"OFFICE": "hunter2-in-the-environment"}
    config = load(write(SHOWN.format(password=password)), environment=environment)
    text = display(config, Privacy())
    assert "hunter2" not in text
    assert "Омск" in text
    if password.startswith("password:"):
        assert "password: <secret>" in text
        text = text.replace("<secret>", "hunter2-itself")
    assert load(write(text), environment=environment) == config


def test_what_has_its_default_is_not_shown(write: Write) -> None:
    config = load(write("accounts: [{name: a, login: b, password: hunter2-itself}]"))
    assert display(config, Privacy()) == (
        "accounts:\n- login: b\n  password: <secret>\n  name: a\n"
    )


def test_phones_that_labels_hold_back_are_held_back(write: Write) -> None:
    config = load(write(SHOWN.format(password="password: hunter2-itself")))
    text = display(config, Privacy(mask_phones=True))
    assert "9161234567" not in text
    assert "79161234568" not in text
    assert "*******4568" in text
