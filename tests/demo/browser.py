"""A client that takes one step at a time, for looking at what each is answered with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vats_exporter.gwt import Response, decode, encode_long

if TYPE_CHECKING:
    import requests

    from vats_exporter.demo import Account, SimulatedCabinet

LONG = "java.lang.Long/4227064769"


@dataclass
class Client:
    """Speaks to a cabinet as a careful client would, one step at a time.

    Redirects are not followed and nothing is repeated.
    """

    cabinet: SimulatedCabinet
    http: requests.Session

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.request("POST", path, **options)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        options = {"allow_redirects": False, "timeout": 10, **options}
        return self.http.request(method, self.cabinet.url + path, **options)

    def sign_in(self, account: Account) -> requests.Response:
        form = {"j_username": account.login, "j_password": account.password}
        return self.post("/j_spring_security_check", data=form)

    def call(self, service: str, payload: str, **headers: str | None) -> requests.Response:
        usual: dict[str, str | None] = {
            "Content-Type": "text/x-gwt-rpc; charset=utf-8",
            "X-GWT-Permutation": self.cabinet.deployment.permutations[0],
            "X-GWT-Module-Base": f"{self.cabinet.url}/vpbxGwt/",
        }
        usual |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in usual.items() if value is not None}
        return self.post(f"/vpbxGwt/{service}", data=payload.encode(), headers=sent)

    def list(self, page: int = 0, size: int = 100, **other: str) -> requests.Response:
        return self.call("AbonentBrowserGwtService", self.list_payload(page, size, **other))

    def list_payload(
        self,
        page: int = 0,
        size: int = 100,
        *,
        method: str = "list",
        policy: str | None = None,
        signature: str | None = None,
        deleted: str = "-2",
        enterprise: str | None = None,
    ) -> str:
        """The list request, as CABINET has it."""
        deployment = self.cabinet.deployment
        model = "ru.cti.vpbx.shared.models.browser.AbonentBrowserRequestGWTModel"
        state = deployment.signature("ru.cti.vpbx.shared.enums.MIGRATION_STATE_TYPE")
        number = self.cabinet.accounts[0].enterprise.number
        return (
            f"7|0|8|{self.cabinet.url}/vpbxGwt/"
            f"|{policy or deployment.policies['AbonentBrowserGwtService']}"
            f"|ru.cti.vpbx.shared.services.AbonentBrowserGwtService|{method}"
            f"|{model}/{signature or deployment.signatures[model]}"
            f"|java.lang.Boolean/476441737|{state}|{LONG}|1|2|3|4|1|5|5|0|6|0|0|{deleted}|7|0"
            f"|8|{enterprise or encode_long(number)}|0|0|8|{encode_long(page)}"
            f"|8|{encode_long(size)}|0|"
        )

    def form(self, ref: str, ordinal: int, *, policy: str | None = None) -> requests.Response:
        deployment = self.cabinet.deployment
        dispatcher = "ru.cti.vpbx.shared.services.DispatcherService$DISPATCHER"
        return self.call(
            "DispatcherGwtService",
            f"7|0|6|{self.cabinet.url}/vpbxGwt/"
            f"|{policy or deployment.policies['DispatcherGwtService']}"
            f"|ru.cti.vpbx.shared.services.DispatcherService|getForm|{LONG}"
            f"|{deployment.signature(dispatcher)}|1|2|3|4|2|5|6|5|{ref}|6|{ordinal}|",
        )

    def selector(self, ref: str, *, on: bool, policy: str | None = None) -> requests.Response:
        deployment = self.cabinet.deployment
        return self.call(
            "AbonentDeviceFormGwtService",
            f"7|0|6|{self.cabinet.url}/vpbxGwt/"
            f"|{policy or deployment.policies['AbonentDeviceFormGwtService']}"
            f"|ru.cti.vpbx.shared.services.AbonentDeviceFormGwtService|setEnabled|{LONG}"
            f"|java.lang.Boolean/476441737|1|2|3|4|2|5|6|5|{ref}|6|{int(on)}|",
        )


def answer(response: requests.Response) -> Response:
    """What a response's GWT-RPC text holds."""
    assert response.status_code == 200
    return decode(response.content)


def refs(response: requests.Response) -> list[str]:
    """The references on a page, in order: longs, then the index of ``Long`` and two zeros."""
    found = answer(response)
    long = found.string_table.index(LONG) + 1
    tokens = found.tokens
    return [
        str(token)
        for index, token in enumerate(tokens)
        if isinstance(token, str) and tokens[index + 1 : index + 4] == [long, 0, 0]
    ][::-1]
