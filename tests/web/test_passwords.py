"""Passwords: which are right, what each costs, and who waits for whom."""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING

import bcrypt
import pytest

from tests.web.conftest import (
    PASSWORD,
    USERS,
    basic,
    get,
)
from vats_exporter.web import passwords as passwords_module
from vats_exporter.web.passwords import PasswordCheck, Verdict
from vats_exporter.web.settings import WebSettings

if TYPE_CHECKING:
    from tests.web.conftest import Serve


def test_the_right_password_opens_and_everything_else_gets_401(serve: Serve) -> None:
    server = serve(WebSettings(users=USERS))
    assert get(server, headers=basic("alice", PASSWORD))[0] == 200
    for headers in (
        {},
        basic("alice", "wrong"),
        basic("mallory", PASSWORD),
        basic("", ""),
        {"Authorization": "Bearer abc"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"no colon").decode()},
        basic("alice", "a\x00b"),
    ):
        status, _, answer = get(server, headers=headers)
        assert status == 401
        assert answer["WWW-Authenticate"].startswith("Basic realm=")


def test_paths_are_open_only_where_configured(serve: Serve) -> None:
    closed = serve(WebSettings(users=USERS))
    assert get(closed, "/-/healthy")[0] == 401
    opened = serve(WebSettings(users=USERS, open_paths=frozenset({"/-/healthy"})))
    assert get(opened, "/-/healthy")[0] == 200
    assert get(opened, "/-/ready")[0] == 401
    assert get(opened, "/-/healthy/../metrics")[0] == 401


def test_a_password_of_any_length_and_alphabet_is_judged() -> None:
    long = "пароль" * 20  # bcrypt looks at 72 bytes
    check = PasswordCheck({"боб": bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode()})
    assert check.check(basic("боб", long)["Authorization"], "c") is Verdict.RIGHT
    assert check.check(basic("боб", long[:30])["Authorization"], "c") is Verdict.WRONG


class Counting:
    """bcrypt, with a count of what it was asked, and a gate that it waits at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[bytes] = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)
        self._real = bcrypt.checkpw
        monkeypatch.setattr(bcrypt, "checkpw", self._checkpw)

    def work(self) -> int:
        """How much was computed, in bcrypt's own rounds."""
        return sum(2 ** int(against[4:6]) for against in self.asked)

    def _checkpw(self, password: bytes, against: bytes) -> bool:
        self.asked.append(against)
        self.begun.release()
        assert self.gate.wait(10)
        return self._real(password, against)


def test_each_answer_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    check = PasswordCheck(USERS)
    for _ in range(3):
        assert check.check(basic("alice", PASSWORD)["Authorization"], "c") is Verdict.RIGHT
        assert check.check(basic("alice", "wrong")["Authorization"], "c") is Verdict.WRONG
    assert len(counting.asked) == 2


@pytest.mark.parametrize("user", ["alice", "bob", "carol", "mallory"])
def test_every_wrong_answer_costs_what_the_costliest_user_does(
    monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    counting = Counting(monkeypatch)
    costs = {"alice": 4, "bob": 5, "carol": 7}
    check = PasswordCheck(
        {
            name: bcrypt.hashpw(b"right", bcrypt.gensalt(cost)).decode()
            for name, cost in costs.items()
        }
    )
    for password in ("wrong", "right" if user not in costs else "another"):
        counting.asked.clear()
        assert check.check(basic(user, password)["Authorization"], "c") is Verdict.WRONG
        assert counting.work() == 2**7


def test_a_right_answer_costs_no_more_than_its_own_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    costly = bcrypt.hashpw(b"x", bcrypt.gensalt(6)).decode()
    check = PasswordCheck({"alice": USERS["alice"], "bob": costly})
    assert check.check(basic("alice", PASSWORD)["Authorization"], "c") is Verdict.RIGHT
    assert counting.asked == [USERS["alice"].encode()]


def test_wrong_passwords_push_no_right_one_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    check = PasswordCheck(USERS)
    right = basic("alice", PASSWORD)["Authorization"]
    check.check(right, "c")
    for number in range(150):
        check.check(basic("alice", f"wrong {number}")["Authorization"], "c")
    before = len(counting.asked)
    assert check.check(right, "c") is Verdict.RIGHT
    assert len(counting.asked) == before


def test_a_flood_of_wrong_passwords_stalls_no_scrape(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords_module, "_PATIENCE", 60.0)
    server = serve(WebSettings(users=USERS))
    scraper = basic("alice", PASSWORD)
    assert get(server, headers=scraper)[0] == 200
    counting = Counting(monkeypatch)
    counting.gate.clear()
    statuses: list[int] = []
    ended = threading.Semaphore(0)

    def flood(number: int) -> None:
        statuses.append(get(server, headers=basic("alice", f"guess {number}"))[0])
        ended.release()

    clients = [threading.Thread(target=flood, args=(number,)) for number in range(20)]
    for client in clients:
        client.start()
    # bcrypt is at its first guess and stays there; fifteen more may wait for it.
    for _ in range(4):
        assert ended.acquire(timeout=10)
    assert statuses == [429] * 4
    # The known password needs none of it.
    assert get(server, headers=scraper)[0] == 200
    counting.gate.set()
    for client in clients:
        client.join(10)
    assert statuses == [429] * 4 + [401] * 16


def test_a_right_password_among_wrong_ones_of_the_same_client_has_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passwords_module, "_PATIENCE", 60.0)
    counting = Counting(monkeypatch)
    counting.gate.clear()
    check = PasswordCheck(USERS)
    verdicts: list[Verdict] = []

    def ask(password: str) -> None:
        verdicts.append(check.check(basic("alice", password)["Authorization"], "client"))

    passwords = [f"guess {number}" for number in range(15)]
    threads = [threading.Thread(target=ask, args=(one,)) for one in (*passwords, PASSWORD)]
    for thread in threads:
        thread.start()
    assert counting.begun.acquire(timeout=10)
    counting.gate.set()
    for thread in threads:
        thread.join(10)
    assert verdicts.count(Verdict.WRONG) == 15
    assert verdicts.count(Verdict.RIGHT) == 1


@pytest.mark.parametrize("client", ["the same", "another"])
def test_a_password_waits_for_its_turn_for_a_few_seconds_only(
    monkeypatch: pytest.MonkeyPatch, client: str
) -> None:
    counting = Counting(monkeypatch)
    counting.gate.clear()
    check = PasswordCheck(USERS)
    header = basic("alice", PASSWORD)["Authorization"]
    first = threading.Thread(target=check.check, args=(header, "the same"))
    first.start()
    assert counting.begun.acquire(timeout=10)
    monkeypatch.setattr(passwords_module, "_PATIENCE", 0.01)
    assert check.check(header, client) is Verdict.BUSY
    counting.gate.set()
    first.join(10)
    assert check.check(header, client) is Verdict.RIGHT
    assert len(counting.asked) == 1


def test_a_password_that_two_connections_wait_for_is_computed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting = Counting(monkeypatch)
    counting.gate.clear()
    check = PasswordCheck(USERS)
    header = basic("alice", PASSWORD)["Authorization"]
    threads = [threading.Thread(target=check.check, args=(header, "client")) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert counting.begun.acquire(timeout=10)
    # Both are past the first look into memory.
    while check._pending["client"] < 2:
        pass
    counting.gate.set()
    for thread in threads:
        thread.join(10)
    assert len(counting.asked) == 1


def test_one_client_does_not_hold_up_the_password_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting = Counting(monkeypatch)
    counting.gate.clear()
    check = PasswordCheck(USERS)
    verdicts: dict[str, Verdict] = {}

    def ask(name: str, client: str, password: str) -> None:
        verdicts[name] = check.check(basic("alice", password)["Authorization"], client)

    flood = [
        threading.Thread(target=ask, args=(f"guess {number}", "bad", f"guess {number}"))
        for number in range(4)
    ]
    for thread in flood:
        thread.start()
    assert counting.begun.acquire(timeout=10)
    good = threading.Thread(target=ask, args=("good", "good", PASSWORD))
    good.start()
    counting.gate.set()
    for thread in [*flood, good]:
        thread.join(10)
    assert verdicts["good"] is Verdict.RIGHT


def test_a_password_that_bcrypt_cannot_take_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def checkpw(_password: bytes, _hashed: bytes) -> bool:
        raise ValueError("password contains NULL bytes")  # as releases before 5 do

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    header = basic("alice", "a\0b")["Authorization"]
    assert PasswordCheck(USERS).check(header, "client") is Verdict.WRONG
