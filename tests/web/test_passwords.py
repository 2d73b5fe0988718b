"""Passwords: which are right, what each costs, and who waits for whom."""

from __future__ import annotations

import base64
import itertools
import threading
import time
from typing import TYPE_CHECKING

import bcrypt
import pytest

from tests.web.clients import PASSWORD, USERS, basic, get, hashed, until
from vats_exporter.web import protection as protection_module
from vats_exporter.web.protection import PasswordCheck
from vats_exporter.web.settings import WebSettings

if TYPE_CHECKING:
    from tests.web.conftest import Serve


def test_the_right_password_opens_and_everything_else_gets_401(serve: Serve) -> None:
    server = serve(protected=WebSettings(basic_auth_users=USERS))
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
    closed = serve(protected=WebSettings(basic_auth_users=USERS))
    assert get(closed, "/-/healthy")[0] == 401
    opened = serve(
        protected=WebSettings(basic_auth_users=USERS, auth_excluded_paths=["/-/healthy"])
    )
    assert get(opened, "/-/healthy")[0] == 200
    assert get(opened, "/-/ready")[0] == 401
    assert get(opened, "/-/healthy/../metrics")[0] == 401


def test_a_password_of_any_length_and_alphabet_is_judged() -> None:
    long = "пароль" * 20  # bcrypt looks at 72 bytes
    check = PasswordCheck({"боб": bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode()})
    assert check.check(basic("боб", long)["Authorization"], "c") is True
    assert check.check(basic("боб", long[:30])["Authorization"], "c") is False


class Counting:
    """bcrypt, with a count of what it was asked, and a gate that it waits at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[bytes] = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)
        self._real = bcrypt.checkpw
        monkeypatch.setattr(bcrypt, "checkpw", self._checkpw)

    def _checkpw(self, password: bytes, against: bytes) -> bool:
        self.asked.append(against)
        self.begun.release()
        assert self.gate.wait(10)
        return self._real(password, against)


def test_a_right_password_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    check = PasswordCheck(USERS)
    for _ in range(3):
        assert check.check(basic("alice", PASSWORD)["Authorization"], "c") is True
    assert len(counting.asked) == 1


@pytest.mark.parametrize("user", ["mallory", ""])
def test_an_unknown_users_password_costs_what_the_costliest_user_does(
    monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    counting = Counting(monkeypatch)
    costly = hashed("right", cost=6)
    check = PasswordCheck({"alice": USERS["alice"], "bob": costly})
    # Not even with the password of the user whose hash it is computed against.
    assert check.check(basic(user, "right")["Authorization"], "c") is False
    assert counting.asked == [costly.encode()]


def test_a_known_users_password_costs_its_own_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    check = PasswordCheck({"alice": USERS["alice"], "bob": hashed("x", cost=6)})
    assert check.check(basic("alice", PASSWORD)["Authorization"], "c") is True
    assert counting.asked == [USERS["alice"].encode()]


def test_wrong_passwords_push_no_right_one_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    check = PasswordCheck(USERS)
    right = basic("alice", PASSWORD)["Authorization"]
    check.check(right, "c")
    for number in range(150):
        check.check(basic("alice", f"wrong {number}")["Authorization"], "c")
    before = len(counting.asked)
    assert check.check(right, "c") is True
    assert len(counting.asked) == before


def test_a_flood_of_wrong_passwords_stalls_no_scrape(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(protected=WebSettings(basic_auth_users=USERS))
    scraper = basic("alice", PASSWORD)
    assert get(server, headers=scraper)[0] == 200
    counting = Counting(monkeypatch)
    counting.gate.clear()
    statuses: list[int] = []
    ended = threading.Semaphore(0)

    def guess(number: int) -> None:
        statuses.append(get(server, headers=basic("alice", f"guess {number}"))[0])
        ended.release()

    clients = [threading.Thread(target=guess, args=(number,)) for number in range(12)]
    for client in clients:
        client.start()
    # bcrypt is at its first guess and stays there; seven more may wait for it.
    for _ in range(4):
        assert ended.acquire(timeout=10)
    assert statuses == [429] * 4
    # The known password needs none of it.
    assert get(server, headers=scraper)[0] == 200
    counting.gate.set()
    for client in clients:
        client.join(10)
    assert statuses == [429] * 4 + [401] * 8


def test_a_new_password_gets_through_beside_eight_guessing_addresses(serve: Serve) -> None:
    users = {"alice": hashed(PASSWORD, cost=8)}
    server = serve(protected=WebSettings(basic_auth_users=users))
    ended, guessed = threading.Event(), threading.Semaphore(0)

    def guess(source: str, first: int) -> None:
        for number in itertools.count(first):
            if ended.is_set():
                return
            get(server, headers=basic("alice", f"guess {number}"), source=source)
            guessed.release()

    guessing = [
        threading.Thread(target=guess, args=(f"127.0.0.{address}", 10**6 * (8 * address + client)))
        for address in range(2, 10)
        for client in range(4)
    ]
    for thread in guessing:
        thread.start()
    for _ in guessing:
        assert guessed.acquire(timeout=30)
    began = time.monotonic()
    status = get(server, headers=basic("alice", PASSWORD))[0]
    took = time.monotonic() - began
    ended.set()
    for thread in guessing:
        thread.join(30)
    assert status == 200
    assert took < 9.5  # a scrape's usual deadline


def test_clients_beyond_a_crowd_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protection_module, "_WAITING", 3)
    counting = Counting(monkeypatch)
    counting.gate.clear()
    check = PasswordCheck(USERS)
    verdicts: list[bool | None] = []

    def ask(client: str) -> None:
        header = basic("alice", f"guess of {client}")["Authorization"]
        verdicts.append(check.check(header, client))

    threads = [threading.Thread(target=ask, args=(f"10.0.0.{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    assert until(lambda: len(check._waiting) == 3)
    ask("10.0.0.9")
    assert verdicts == [None]
    counting.gate.set()
    for thread in threads:
        thread.join(10)
    assert verdicts == [None] + [False] * 3
    assert check._waiting == []


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
    assert until(lambda: len(check._waiting) == 2)
    counting.gate.set()
    for thread in threads:
        thread.join(10)
    assert len(counting.asked) == 1


def test_a_password_that_bcrypt_cannot_take_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def checkpw(_password: bytes, _hashed: bytes) -> bool:
        raise ValueError("password contains NULL bytes")  # as releases before 5 do

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    header = basic("alice", "a\0b")["Authorization"]
    assert PasswordCheck(USERS).check(header, "client") is False
