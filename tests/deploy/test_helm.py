"""The Helm chart: rendered by Helm for several sets of values, and used as a cluster would."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import trustme
import yaml

from tests.deploy import cluster
from tests.process import process_put_back
from tests.scripts import load_script
from vats_exporter import __version__
from vats_exporter.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "deploy" / "helm"
VALUES: Final = {one.stem: one for one in sorted(Path(__file__).parent.glob("helm/*.yaml"))}
"""Values that people may have, by name."""

RULES: Final = sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*.yml"))
README: Final = {name: (CHART / name).read_text("utf-8") for name in ("README.md", "README.ru.md")}

SECRETS: Final = {
    "vats-exporter": {"office": "12345"},
    "cabinets": {"tverskaya": "12345", "branch.password": "12345"},
    "warehouse-cabinet": {"password": "12345", "other": "67890"},
    "vats-web": {
        "web.yml": "tls_server_config: {cert_file: tls/tls.crt, key_file: tls/tls.key}\n"
        "basic_auth_users:\n"
        "  prometheus: $2b$04$abcdefghijklmnopqrstuuZ8mX1l8fWnIh7XbNzZzZzZzZzZzZzZz\n"
        "auth_excluded_paths: [/-/healthy, /-/ready]\n"
    },
}
"""What the cluster's secrets hold; the certificate is made by the test."""


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("chart") / "vats-exporter"
    load_script(CHART / "build.py").build(folder)
    return folder


def template(chart: Path, *arguments: str | Path) -> list[cluster.Manifest]:
    """What `helm install vats` would send to the namespace `monitoring`."""
    return cluster.read(_template(chart, *arguments))


@functools.cache
def _template(chart: Path, *arguments: str | Path) -> str:
    return cluster.run("helm", "template", "vats", chart, "--namespace=monitoring", *arguments)


def refusal(chart: Path, *arguments: str) -> str:
    """Why Helm does not take some values."""
    ended = subprocess.run(
        [cluster.program("helm"), "template", "vats", chart, *arguments],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode != 0
    return ended.stderr


def pod(manifests: list[cluster.Manifest]) -> dict[str, Any]:
    spec: dict[str, Any] = cluster.the("Deployment", manifests)["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("values", VALUES)
def test_what_is_rendered_is_valid(chart: Path, values: str) -> None:
    manifests = template(chart, "-f", VALUES[values])
    for manifest in manifests:
        cluster.check(manifest)
    named = [(one["kind"], one["metadata"]["name"]) for one in manifests]
    assert len(set(named)) == len(named)
    for one in manifests:
        assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == "vats"


@pytest.mark.parametrize("values", VALUES)
def test_helm_finds_nothing_to_object_to(chart: Path, values: str) -> None:
    cluster.run("helm", "lint", "--strict", "--quiet", chart, "-f", VALUES[values])


def test_the_package_holds_what_the_chart_needs(chart: Path, tmp_path: Path) -> None:
    cluster.run("helm", "package", chart, "--destination", tmp_path)
    with tarfile.open(tmp_path / f"vats-exporter-{__version__}.tgz") as opened:
        names = {Path(one).relative_to("vats-exporter") for one in opened.getnames()}
    assert {str(one) for one in names if len(one.parts) == 1} == {
        *(".helmignore", "Chart.yaml", "LICENSE", "README.md", "values.schema.json", "values.yaml")
    }
    assert {one.parts[0] for one in names if len(one.parts) > 1} == {"files", "templates"}


def test_a_long_name_is_cut(chart: Path) -> None:
    named = ["--set=demo=true,dashboards.enabled=true,monitor.kind=ServiceMonitor"]
    long = cluster.run("helm", "template", "a" * 53, chart, *named)
    for manifest in cluster.read(long):
        cluster.check(manifest)


@pytest.mark.parametrize("values", [name for name in VALUES if name != "demo"])
def test_the_exporter_accepts_what_the_pod_mounts(
    chart: Path,
    values: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    manifests = template(chart, "-f", VALUES[values])
    files = {"ca.pem": trustme.CA().cert_pem.bytes().decode()}
    if values == "many-accounts":
        (tmp_path / "ca.pem").write_text(files["ca.pem"])
        at = f"--set-file=files.ca\\.pem={tmp_path / 'ca.pem'}"
        manifests = template(chart, "-f", VALUES[values], at)
    root = tmp_path / "root"
    cluster.mount(manifests, SECRETS | {"vats-tls": _certificate()}, root)
    if values == "strict-cluster":  # an agent of the cluster puts the password there
        (root / "vault" / "secrets").mkdir(parents=True)
        (root / "vault" / "secrets" / "office").write_text("12345")
        (root / "vault" / "secrets" / "office").chmod(0o400)
    (container,) = pod(manifests)["containers"]
    command, *arguments = container["args"]
    assert command == "serve"
    config = root / "etc" / "vats-exporter" / "vats-exporter.yml"
    inside = re.sub(r"(?<= )/(?=run/|var/|vault/)", f"{root}/", config.read_text("utf-8"))
    config.chmod(0o600)
    config.write_text(inside, "utf-8")
    files_of_it = [
        one.replace("=/etc", f"={root}/etc")
        for one in arguments
        if one.startswith(("--config.file", "--web.config.file"))
    ]
    monkeypatch.setenv("SHOP_PASSWORD", "12345")
    with pytest.raises(SystemExit) as ended, process_put_back():
        main(["check", *files_of_it])
    assert (ended.value.code, capsys.readouterr().err) == (0, "")


def _certificate() -> dict[str, str]:
    ca = trustme.CA()
    issued = ca.issue_cert("vats-vats-exporter.monitoring.svc")
    return {
        "tls.crt": issued.cert_chain_pems[0].bytes().decode(),
        "tls.key": issued.private_key_pem.bytes().decode(),
        "ca.crt": ca.cert_pem.bytes().decode(),
    }


def test_accounts_are_written_as_given(chart: Path) -> None:
    manifests = template(chart, "-f", VALUES["many-accounts"], "--set=files.ca\\.pem=x")
    (kept,) = (one for one in manifests if "vats-exporter.yml" in one.get("data", {}))
    config = yaml.load(kept["data"]["vats-exporter.yml"], yaml.BaseLoader)
    accounts = {one.pop("name"): one for one in config.pop("accounts")}
    secrets = "/run/secrets/vats-exporter"
    assert accounts["shop"].pop("tls") == {"ca_file": "files/ca.pem", "security_level": "1"}
    assert accounts == {
        "Офис на Тверской": {
            "login": "+7-9161234567",
            "password_file": f"{secrets}/tverskaya",
        },
        "warehouse": {
            "login": "+7-9167654321",
            "address": "https://pbx.example.org:8443",
            "password_file": f"{secrets}/warehouse-cabinet/password",
            "labels": {"team": "warehouse"},
            "expected_off": ["+7 916 765-43-22", "CaLztv"],
            "expected_off_file": "files/warehouse-off.txt",
        },
        "shop": {
            "login": "+7-9160000000",
            "enterprise": "0123456",
            "signatures": {"java.lang.Long": "4227064769"},
            "password_env": "SHOP_PASSWORD",
        },
        "branch": {
            "login": "+79169999999",
            "password_file": f"{secrets}/branch.password",
            "address": "http://127.0.0.1",
        },
    }
    assert config == {
        "cache": {"ttl": "90s", "stale": "30m"},
        "details": "true",
        "history": {"file": "/var/lib/vats-exporter/history.db", "keep": "90d"},
        "log": {"format": "json"},
    }


def test_the_pod_sees_no_more_of_a_secret_than_it_needs(chart: Path, tmp_path: Path) -> None:
    manifests = template(chart, "-f", VALUES["many-accounts"], "--set=files.ca\\.pem=x")
    cluster.mount(manifests, SECRETS, tmp_path)
    assert {one.name for one in tmp_path.rglob("warehouse-cabinet/*")} == {"password"}
    assert not [one for one in manifests if one["kind"] == "Secret"]


def test_files_of_values_files_add_up(chart: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.yaml"
    more.write_text("accounts: {shop: {login: '+7-9160000000'}}\n")
    manifests = template(chart, "-f", VALUES["one-account"], "-f", more)
    config = yaml.safe_load(cluster.the("ConfigMap", manifests)["data"]["vats-exporter.yml"])
    assert [one["name"] for one in config["accounts"]] == ["office", "shop"]


@pytest.mark.parametrize("values", VALUES)
def test_the_pod_has_no_more_rights_than_it_needs(chart: Path, values: str) -> None:
    manifests = template(chart, "-f", VALUES[values])
    spec = pod(manifests)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    for account in manifests:
        if account["kind"] == "ServiceAccount":
            assert account["automountServiceAccountToken"] is False
            assert account["metadata"]["name"] == spec["serviceAccountName"]
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("values", VALUES)
def test_everything_selects_the_pod_and_its_port(chart: Path, values: str) -> None:
    manifests = template(chart, "-f", VALUES[values])
    deployment = cluster.the("Deployment", manifests)["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    service = cluster.the("Service", manifests)
    (port,) = pod(manifests)["containers"][0]["ports"]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    selectors = [deployment["selector"]["matchLabels"], service["spec"]["selector"]]
    for one in manifests:
        if one["kind"] == "NetworkPolicy":
            selectors.append(one["spec"]["podSelector"]["matchLabels"])
            assert one["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": 9742}]
        if one["kind"] in {"ServiceMonitor", "PodMonitor"}:
            of_pods = one["kind"] == "PodMonitor"
            wanted = one["spec"]["selector"]["matchLabels"]
            assert wanted.items() <= (labels if of_pods else service["metadata"]["labels"]).items()
            (endpoint,) = one["spec"]["podMetricsEndpoints" if of_pods else "endpoints"]
            named = port if of_pods else service["spec"]["ports"][0]
            assert endpoint["port"] == named["name"]
            # Alerts look for this job, whatever the release is called.
            assert endpoint["relabelings"][0] == {
                "targetLabel": "job",
                "replacement": "vats-exporter",
            }
    for selector in selectors:
        assert selector.items() <= labels.items()


def test_a_changed_configuration_starts_a_new_pod_and_a_changed_list_does_not(chart: Path) -> None:
    def checksum(*arguments: str) -> str:
        manifests = template(
            chart, "-f", VALUES["one-account"], "--set-string=files.off=1", *arguments
        )
        metadata = cluster.the("Deployment", manifests)["spec"]["template"]["metadata"]
        found: str = metadata["annotations"]["checksum/config"]
        return found

    assert checksum() == checksum("--set-string=files.off=2")
    assert checksum() != checksum("--set=config.cache.ttl=2m")


def test_probes_speak_tls_where_the_exporter_does(chart: Path) -> None:
    (plain,) = pod(template(chart, "-f", VALUES["one-account"]))["containers"]
    (tls,) = pod(template(chart, "-f", VALUES["tls"]))["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert "scheme" not in plain[probe]["httpGet"]
    assert tls["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    assert tls["livenessProbe"]["tcpSocket"] == {"port": "metrics"}
    assert "httpGet" not in tls["livenessProbe"]


@pytest.mark.parametrize(
    ("web", "prefix"),
    [
        ("web.externalUrl=https://monitoring.example.org/vats/", "/vats"),
        ("web.externalUrl=https://monitoring.example.org/vats,web.routePrefix=/", ""),
        ("web.routePrefix=/vats", "/vats"),
    ],
)
def test_probes_and_scrapes_have_the_prefix_of_all_paths(
    chart: Path, web: str, prefix: str
) -> None:
    manifests = template(
        *(chart, "-f", VALUES["one-account"], f"--set={web},monitor.kind=PodMonitor")
    )
    (container,) = pod(manifests)["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == f"{prefix}/-/ready"
    (endpoint,) = cluster.the("PodMonitor", manifests)["spec"]["podMetricsEndpoints"]
    assert endpoint.get("path", "/metrics") == f"{prefix}/metrics"
    for setting in web.split(","):
        value = setting.partition("=")[2]
        assert any(value == one.partition("=")[2] for one in container["args"])


def test_the_monitor_trusts_the_exporters_authority(chart: Path) -> None:
    manifests = template(chart, "-f", VALUES["tls-and-passwords"])
    (endpoint,) = cluster.the("ServiceMonitor", manifests)["spec"]["endpoints"]
    assert endpoint["scheme"] == "https"
    assert endpoint["tlsConfig"] == {
        "ca": {"secret": {"name": "vats-tls", "key": "ca.crt"}},
        "serverName": "vats-vats-exporter.monitoring.svc",
    }


@pytest.mark.parametrize(
    ("values", "ports"),
    [
        ("one-account", {53, 443}),
        ("many-accounts", {53, 443, 8443, 80}),
        ("strict-cluster", {53, 443, 3128}),
    ],
)
def test_the_network_policy_lets_the_exporter_reach_its_cabinets(
    chart: Path, values: str, ports: set[int]
) -> None:
    manifests = template(chart, "-f", VALUES[values], "--set=files.ca\\.pem=x")
    (egress,) = cluster.the("NetworkPolicy", manifests)["spec"]["egress"]
    assert {one["port"] for one in egress["ports"]} == ports


def test_the_rules_are_those_of_prometheus(chart: Path, tmp_path: Path) -> None:
    manifests = template(chart, "--set=demo=true,prometheusRule.enabled=true")
    spec = cluster.the("PrometheusRule", manifests)["spec"]
    ours = [group for file in RULES for group in yaml.safe_load(file.read_text("utf-8"))["groups"]]
    assert spec == {"groups": ours}
    if promtool := shutil.which("promtool"):
        file = tmp_path / "rules.yml"
        file.write_text(yaml.safe_dump(spec))
        subprocess.run([promtool, "check", "rules", file], check=True, capture_output=True)


def test_alerts_can_be_left_out_and_runbooks_be_elsewhere(chart: Path) -> None:
    manifests = template(chart, "-f", VALUES["operator"])
    groups = cluster.the("PrometheusRule", manifests)["spec"]["groups"]
    # The alerts of a mass of trunks have no texts of their own.
    alerts = {
        one["alert"]: one for group in groups for one in group["rules"] if "annotations" in one
    }
    assert alerts
    assert "VatsManyTrunksInactive" not in alerts
    for name, alert in alerts.items():
        assert alert["annotations"]["runbook_url"] == f"https://wiki.example.org/vats/{name}.md"
        linked = '{{ with "https://grafana.example.org" }}{{ . }}/d/vats-trunk'
        assert alert["annotations"]["dashboard_url"].startswith(linked)
    refused = refusal(
        chart,
        "--set=demo=true,prometheusRule.enabled=true",
        *("--set", "prometheusRule.disabled={Nonsense}"),
    )
    assert "there is no alert Nonsense" in refused


def test_dashboards_are_those_of_grafana(chart: Path) -> None:
    manifests = template(chart, "-f", VALUES["operator"])
    found: dict[str, str] = {}
    for one in manifests:
        if "grafana_dashboard" in one["metadata"]["labels"]:
            assert one["metadata"]["namespace"] == "grafana"
            assert one["metadata"]["annotations"] == {"grafana_folder": "Телефония"}
            found |= one["data"]
            # What kubectl apply copies into an annotation has this limit.
            assert len(json.dumps(one)) < 262144
    built = {
        one.name: json.loads(one.read_text("utf-8"))
        for one in (ROOT / "grafana" / "dashboards").glob("*.json")
    }
    assert {name: json.loads(text) for name, text in found.items()} == {
        name: board for name, board in built.items() if name.endswith("-ru.json")
    }
    both = template(chart, "--set=demo=true,dashboards.enabled=true")
    names = [one["metadata"]["name"] for one in both if "dashboard" in str(one["metadata"])]
    assert len(names) == len(built)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no accounts"),
        (["--set=accounts.office.password=12345"], "'login'"),
        (["--set=accounts.office.login=a,accounts.office.password=b"], "'password' not allowed"),
        (["--set=accounts.office.login=a,accounts.office.adress=b"], "'adress' not allowed"),
        (["--set=accounts.office.login=79161234567"], "got number, want string"),
        (["--set=demo=true,replicas=2"], "'replicas' not allowed"),
        (["--set=demo=true,config.cache.tll=1m"], "'tll' not allowed"),
        (["--set=demo=true,config.cache.ttl=often"], "/config/cache/ttl"),
        (["--set=demo=true,monitor.kind=Probe"], "/monitor/kind"),
        (["--set=demo=true,files.a/b=c"], "a/b"),
        (["--set=accounts.Офис.login=a"], "Офис needs passwordSecret.key"),
        (["--set=extraAccounts=accounts: ["], "extraAccounts: error"),
        (["--set=extraAccounts=cache: {}"], "cache does not belong there"),
        (["--set=extraAccounts=accounts: [{name: x\\, login: +79161234567}]"], "in quotes"),
        (["--set=extraAccounts=accounts: [{name: x\\, login: y\\, password: z}]"], "ConfigMap"),
    ],
)
def test_mistakes_are_refused(chart: Path, arguments: list[str], said: str) -> None:
    told = refusal(chart, *arguments)
    assert said in told
    assert "12345" not in told


def test_the_source_says_how_the_chart_is_made() -> None:
    told = refusal(CHART, "--set=demo=true,prometheusRule.enabled=true", "--skip-schema-validation")
    assert "`make chart`" in told


@pytest.mark.parametrize("values", VALUES)
def test_the_notes_name_commands_for_this_release(chart: Path, values: str) -> None:
    printed = cluster.run(
        "helm", "install", "vats", chart, "--dry-run=client", "-f", VALUES[values]
    )
    manifests, _, notes = printed.partition("\nNOTES:\n")
    name = cluster.the("Deployment", cluster.read(manifests.partition("MANIFEST:\n")[2]))
    assert f"rollout status deployment/{name['metadata']['name']}\n" in notes
    assert "<no value>" not in notes


@pytest.mark.parametrize("readme", README)
def test_each_value_is_documented_with_its_default(readme: str) -> None:
    documented = dict(re.findall(r"^\| `([a-zA-Z.]+)` \| (.+?) \|", README[readme], re.MULTILINE))
    defaults = dict(_leaves(yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))))
    assert list(documented) == list(defaults)
    for name, default in defaults.items():
        if isinstance(default, dict) and default:
            assert "values.yaml" in documented[name]
        else:
            assert yaml.safe_load(documented[name].strip("`")) == default, name


_SECTIONS: Final = {
    *("web", "image", "serviceAccount", "persistence", "service", "networkPolicy", "monitor"),
    *("prometheusRule", "dashboards"),
}
"""Values that are documented key by key."""


def _leaves(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if key in _SECTIONS:
            yield from ((f"{key}.{inner}", one) for inner, one in value.items())
        else:
            yield key, value


@pytest.mark.parametrize("readme", README)
def test_the_values_of_the_readme_work(chart: Path, readme: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", README[readme], re.DOTALL)
    assert len(blocks) >= 4
    login = "accounts: {office: {login: '+7-9161234567'}}\n"
    for number, block in enumerate(blocks):
        file = tmp_path / f"{number}.yaml"
        file.write_text(block if "accounts:" in block else login + block)
        assert template(chart, "-f", file)
