"""What people read: Alertmanager's own messages, received, against what the channels take."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
import yaml

from tests.e2e.receivers import Receivers
from tests.e2e.stack import DEPLOY, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TELEGRAM_LIMIT: Final = 4096
MAIL_LIMIT: Final = 100_000
SIZES: Final = (1, 2, 10, 32, 500, 3000)
RUNBOOKS: Final = "https://github.com/vats-exporter/vats-exporter/blob/main/docs/runbooks/"
LONG: Final = (
    """Общество с ограниченной ответственностью "Ромашка & <Ко>", 3-й этаж, д'Артаньян """ * 5
)
NOW: Final = datetime(2026, 5, 2, 0, 10, tzinfo=timezone.utc)


class Alertmanager:
    """A real one with the example's configuration; only where it sends to, and how soon, differ."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("prometheus-alertmanager")
        if program is None:
            pytest.skip("prometheus-alertmanager, a package of Debian's, is not on PATH")
        self.receivers = Receivers()
        text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text()
        configuration = yaml.safe_load(text)
        configuration["global"]["smtp_smarthost"] = self.receivers.smarthost
        configuration["global"]["telegram_api_url"] = self.receivers.url
        configuration["templates"] = [f"{DEPLOY}/alertmanager/templates/*.tmpl"]
        configuration["route"].update(group_wait="500ms", group_interval="1s")
        configuration["receivers"][0]["webhook_configs"][0]["url"] = self.receivers.url
        file = folder / "alertmanager.yml"
        file.write_text(yaml.safe_dump(configuration, allow_unicode=True), encoding="utf-8")
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    program,
                    f"--config.file={file}",
                    f"--storage.path={folder}",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--cluster.listen-address=",
                ],
                stdout=log,
                stderr=log,
                env={"TZ": "Europe/Moscow"},
            )
        self.receivers.until("Alertmanager is ready", self._is_ready)

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"{self._url}/-/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def send(self, alerts: list[dict[str, Any]]) -> None:
        body = json.dumps(alerts).encode()
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(f"{self._url}/api/v2/alerts", body, headers), timeout=30):
            pass

    def telegram(self, *parts: str) -> str:
        """Wait for the text that has all of the parts."""
        text: str = self.receivers.until(
            f"a message with {parts}",
            lambda: next(
                (one for one in self.receivers.telegrams if all(part in one for part in parts)), ""
            ),
        )
        return text

    def mail(self, subject: str) -> tuple[str, str, int]:
        """Wait for the mail with a subject; return its text, its HTML and its size in bytes."""

        def find() -> tuple[str, str, int] | None:
            for mail, size in zip(self.receivers.mails, self.receivers.sizes, strict=True):
                if mail["Subject"] == subject:
                    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
                    assert text is not None
                    assert html is not None
                    return text.get_content(), html.get_content(), size
            return None

        found: tuple[str, str, int] = self.receivers.until(f"the mail {subject!r}", find)
        return found

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        self.receivers.close()


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    started = Alertmanager(tmp_path_factory.mktemp("alertmanager"))
    yield started
    started.close()


def alert(number: int, account: str, *, began: datetime = NOW, brief: bool = False) -> Any:
    """An alert as the rules make it, with a name as long as they let it be and longer."""
    phone = f"7916{number:07d}"
    labels = {
        "alertname": "VatsTrunkInactive",
        "severity": "critical",
        "account": account,
        "trunk": f"Ca{number:05d}",
        "phone": phone,
    }
    annotations = {
        "summary": "A trunk is switched off.",
        "description": f"{phone} ({LONG}) of the account {account} has been switched off.",
        "summary_ru": "Транк отключён.",
        "description_ru": f"{phone} ({LONG[:40]}): отключён с 02.05 03:00 MSK",
        "resolved_ru": f"{phone} ({LONG[:40]}): снова включён",
        "runbook_url": f"{RUNBOOKS}VatsTrunkInactive.md",
        "dashboard_url": f"https://grafana.example.com/d/vats-trunk?var-account={account}"
        f"&var-trunk=Ca{number:05d}",
    }
    return {
        "labels": labels,
        "annotations": {} if brief else annotations,
        "startsAt": began.isoformat(),
        "endsAt": (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat(),
    }


def over(alerts: list[Any]) -> list[Any]:
    now = datetime.now(timezone.utc).isoformat()
    return [{**one, "endsAt": now} for one in alerts]


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("•")]


def without_tags(text: str) -> str:
    return re.sub("<[^>]*>", "", text)


@pytest.mark.parametrize("count", SIZES)
def test_a_message_is_short_and_says_which_since_when_and_what_to_do(
    alertmanager: Alertmanager, count: int
) -> None:
    account = f"office {count}"
    # Of more than a hundred the rules give texts to ten.
    alerts = [alert(number, account, brief=count > 100 and number >= 10) for number in range(count)]
    alertmanager.send(alerts)
    title = f"Транк отключён — {account}" + (f": {count}" if count > 1 else "")
    text = alertmanager.telegram(f"🔴 <b>{title}</b>")
    assert len(text) < TELEGRAM_LIMIT
    assert text.splitlines()[0] == f"🔴 <b>{title}</b>"
    assert text.splitlines()[1].startswith(
        f'<a href="{RUNBOOKS}VatsTrunkInactive.ru.md">Что делать</a> · <a href="https://grafana.ex'
    )
    assert len(lines(text)) == min(count, 10)
    assert lines(text)[0].startswith("• 79160000000 (Общество с ограниченной")
    assert all(line.endswith(": отключён с 02.05 03:00 MSK") for line in lines(text))
    assert (f"\nи ещё {count - 10}" in text) == (count > 10)
    assert "Последние" not in text
    plain, html, size = alertmanager.mail(title)
    assert size < MAIL_LIMIT
    assert lines(plain) == lines(without_tags(html)) == lines(text)
    assert f"Что делать: {RUNBOOKS}VatsTrunkInactive.ru.md" in plain

    alertmanager.send(over(alerts))
    text = alertmanager.telegram(f"🟢 <b>Отбой: {title}</b>")
    assert len(text) < TELEGRAM_LIMIT
    assert len(lines(text)) == min(count, 10)
    assert all(line.endswith(": снова включён") for line in lines(text))
    assert (f"\nи ещё {count - 10}" in text) == (count > 10)
    assert "отключён с" not in text
    plain, html, size = alertmanager.mail(f"Отбой: {title}")
    assert size < MAIL_LIMIT
    assert lines(plain) == lines(without_tags(html)) == lines(text)


def test_the_newest_come_first_and_apart_from_those_told_before(
    alertmanager: Alertmanager,
) -> None:
    old = [alert(number, "old and new") for number in range(12)]
    alertmanager.send(old)
    alertmanager.telegram("old and new: 12")
    new = [
        alert(100 + number, "old and new", began=NOW + timedelta(minutes=20)) for number in (1, 2)
    ]
    alertmanager.send(new)
    text = alertmanager.telegram("old and new: 14")
    head, _, rest = text.partition("Сообщалось раньше:")
    assert head.splitlines()[-3] == "Последние:"
    assert [line[2:13] for line in lines(head)] == ["79160000101", "79160000102"]
    assert len(lines(rest)) == 8
    assert "\nи ещё 4" in rest


def test_what_is_over_beside_what_goes_on_has_its_own_words_and_limit(
    alertmanager: Alertmanager,
) -> None:
    alerts = [alert(number, "half") for number in range(60)]
    alertmanager.send(alerts)
    alertmanager.telegram("half: 60")
    alertmanager.send(over(alerts[:30]))
    # Of alerts that come together, a part may be told before the others are taken in.
    text = alertmanager.telegram("half: 30</b>", "🟢 <b>Отбой: 30</b>")
    assert len(text) < TELEGRAM_LIMIT
    going, _, ended = text.partition("🟢 <b>Отбой: 30</b>")
    assert len(lines(going)) == len(lines(ended)) == 10
    assert all("отключён с" in line for line in lines(going))
    assert all("снова включён" in line for line in lines(ended))
    assert going.rstrip().endswith("и ещё 20")
    assert ended.rstrip().endswith("и ещё 20")


def test_alerts_without_texts_are_told_by_their_labels_and_times(
    alertmanager: Alertmanager,
) -> None:
    alerts = [alert(number, "brief", brief=True) for number in range(3)]
    alertmanager.send(alerts)
    text = alertmanager.telegram("🔴 <b>Транк отключён — brief: 3</b>")
    assert f'<a href="{RUNBOOKS}VatsTrunkInactive.ru.md">Что делать</a>' in text
    # An alert begins ten minutes after what it tells of.
    assert lines(text)[0] == "• 79160000000: с 02.05 03:00 MSK"
    alertmanager.send(over(alerts))
    text = alertmanager.telegram("🟢 <b>Отбой: Транк отключён — brief: 3</b>")
    assert lines(text)[0] == "• 79160000000: больше не в тревоге"


def test_an_alert_of_others_keeps_its_own_words(alertmanager: Alertmanager) -> None:
    disk = alert(0, "")
    disk["labels"] = {"alertname": "DiskFull", "severity": "critical", "instance": "a"}
    disk["annotations"] = {
        "summary": "A disk is full.",
        "description": "The disk of a is full.",
        "runbook_url": "https://example.com/DiskFull.md",
    }
    alertmanager.send([disk])
    text = alertmanager.telegram("🔴 <b>A disk is full</b>")
    assert '<a href="https://example.com/DiskFull.md">Что делать</a>\n' in text
    assert lines(text) == ["• The disk of a is full."]
