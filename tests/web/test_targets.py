"""Accounts as targets of service discovery."""

from __future__ import annotations

import pytest

from vats_exporter.web.targets import make_targets


def test_a_target_leads_to_its_accounts_probe_without_relabelling() -> None:
    accounts = {"north": {}, "south": {"city": "Казань"}}
    north, south = make_targets(accounts, "http://exporter:9742")
    assert north == {
        "targets": ["exporter:9742"],
        "labels": {
            "__scheme__": "http",
            "__metrics_path__": "/probe",
            "__param_account": "north",
            "instance": "north",
        },
    }
    assert south["labels"]["city"] == "Казань"


@pytest.mark.parametrize(
    ("base", "address", "scheme", "path"),
    [
        ("http://exporter", "exporter:80", "http", "/probe"),
        ("https://exporter/vats", "exporter:443", "https", "/vats/probe"),
        ("https://[2001:db8::1]", "[2001:db8::1]:443", "https", "/probe"),
        ("https://[2001:db8::1]:9742/a/b", "[2001:db8::1]:9742", "https", "/a/b/probe"),
    ],
)
def test_a_target_has_the_scheme_port_and_path_of_the_url(
    base: str, address: str, scheme: str, path: str
) -> None:
    (target,) = make_targets({"a": {}}, base)
    labels = target["labels"]
    assert target["targets"] == [address]
    assert (labels["__scheme__"], labels["__metrics_path__"]) == (scheme, path)
