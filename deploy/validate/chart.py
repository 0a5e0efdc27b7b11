"""Judges the chart: deploy/validate/run.sh calls this with the folder for what is rendered.

Each check raises AssertionError with what is wrong. What a cluster itself would say is not known here.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import helm_python as helm
import kubernetes_validate
import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as monitoring

DEPLOY = pathlib.Path(__file__).parent.parent
CHART = DEPLOY / "helm" / "contactsync"

# The oldest version that the chart promises, and the newest that there are schemas for.
KUBERNETES = ["1.27", kubernetes_validate.latest_version()]

# Objects of operators, by their own definitions.
CUSTOM = {
    "ScaledObject": keda.ScaledObject,
    "TriggerAuthentication": keda.TriggerAuthentication,
    "ServiceMonitor": monitoring.ServiceMonitor,
    "PrometheusRule": monitoring.PrometheusRule,
}

GUID = "00000000-0000-0000-0000-000000000000"
IDENTITY = {"tenant": "contoso.onmicrosoft.com", "clientId": GUID}
BUS = {"namespace": "contoso", "tenant": GUID, "clientId": GUID}
LEASE = BUS | {"leaseQueue": "contacts-lease"}

RUNBOOK = "https://wiki.contoso.example/runbook.md"
PROMETHEUS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}

# Ways to install, each with how many replicas run and the kinds of objects that it must make.
ALWAYS = ["ConfigMap", "Deployment", "NetworkPolicy", "Service", "ServiceAccount"]
INSTALLATIONS = {
    "workload": ({"serviceBus": BUS, "identity": IDENTITY}, 1, ALWAYS),
    "secret": (
        {
            "identity": IDENTITY | {"kind": "secret"},
            "existingSecret": {
                "name": "contactsync",
                "keys": [
                    "CONTACTSYNC__IDENTITY__CLIENT_SECRET",
                    "CONTACTSYNC__SERVICE_BUS__CONNECTION_STRING",
                ],
            },
        },
        1,
        ALWAYS,
    ),
    "scaled": (
        {
            "serviceBus": LEASE,
            "identity": IDENTITY,
            "scaleToZero": {"enabled": True, "identityId": GUID},
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "prometheusRule": {"enabled": True, "runbookUrl": RUNBOOK},
            "dashboard": {"enabled": True},
            "networkPolicy": {"metricsFrom": [PROMETHEUS]},
            "image": {"digest": "sha256:" + "0" * 64},
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "spot", "operator": "Exists"}],
            "priorityClassName": "normal",
            "imagePullSecrets": [{"name": "registry"}],
        },
        2,
        [
            *ALWAYS,
            "ConfigMap",
            "PodDisruptionBudget",
            "PrometheusRule",
            "ScaledObject",
            "ServiceMonitor",
            "TriggerAuthentication",
        ],
    ),
    "standby": ({"serviceBus": LEASE, "identity": IDENTITY}, 2, [*ALWAYS, "PodDisruptionBudget"]),
    "three": ({"serviceBus": LEASE, "identity": IDENTITY, "replicas": 3}, 3, [*ALWAYS, "PodDisruptionBudget"]),
    # A cluster that chooses whom a pod runs as, behind a proxy with a CA of its own, with a collector.
    "openshift": (
        {
            "serviceBus": LEASE,
            "identity": IDENTITY,
            "podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None, "fsGroupChangePolicy": None},
            "settings": '[connection]\nca_file = "/etc/ca/ca.pem"\n[telemetry]\notlp_endpoint = "http://collector:4317"\n',
            "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.contoso.local:3128"}],
            "extraVolumes": [{"name": "ca", "configMap": {"name": "contoso-ca"}}],
            "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca", "readOnly": True}],
            "networkPolicy": {"extraEgress": [{"ports": [{"protocol": "TCP", "port": 8200}]}]},
        },
        2,
        [*ALWAYS, "PodDisruptionBudget"],
    ),
    # Nothing public: a registry, a namespace and an issuer of one's own network, and a collector in it.
    "private": (
        {
            "image": {"repository": "registry.contoso.local/contactsync", "digest": "sha256:" + "0" * 64},
            "imagePullSecrets": [{"name": "registry"}],
            "serviceBus": LEASE | {"namespace": "contoso.servicebus.windows.net"},
            "identity": IDENTITY,
            "settings": '[telemetry]\notlp_endpoint = "http://10.90.1.4:4318"\n',
            "networkPolicy": {"extraEgress": [{"to": [{"ipBlock": {"cidr": "10.90.0.32/28"}}]}]},
        },
        2,
        [*ALWAYS, "PodDisruptionBudget"],
    ),
    # A lease queue and one replica: the way to the second one, and back.
    "alone": ({"serviceBus": LEASE, "identity": IDENTITY, "replicas": 1}, 1, ALWAYS),
    "stopped": ({"serviceBus": BUS, "identity": IDENTITY, "replicas": 0}, 0, ALWAYS),
    "bare": (
        {
            "serviceBus": BUS,
            "identity": IDENTITY,
            "networkPolicy": {"enabled": False},
            "serviceAccount": {"create": False, "name": "mine"},
        },
        1,
        ["ConfigMap", "Deployment", "Service"],
    ),
}

# What must be refused, with words of the message.
REFUSED = [
    ({}, "serviceBus.namespace: name it"),
    ({"serviceBus": BUS}, "identity.tenant: set that"),
    ({"serviceBus": {"namespace": "contoso"}, "identity": IDENTITY}, "serviceBus.clientId: set"),
    ({"serviceBus": BUS, "identity": IDENTITY | {"kind": "secret"}}, "identity.kind is secret"),
    ({"serviceBus": BUS, "identity": IDENTITY, "replicas": 2}, "name it in serviceBus.leaseQueue, or run one"),
    ({"serviceBus": BUS | {"leaseQueue": "Contacts"}, "identity": IDENTITY}, "serviceBus.leaseQueue: make a queue of its own"),
    (
        {"serviceBus": LEASE, "identity": IDENTITY, "replicas": 0, "scaleToZero": {"enabled": True}},
        "replicas: say how many run",
    ),
    ({"serviceBus": BUS, "identity": IDENTITY, "autoscaling": {"enabled": True}}, "autoscaling"),
    ({"serviceBus": BUS, "identity": IDENTITY, "image": {"digest": "sha256:short"}}, "digest"),
    ({"serviceBus": BUS, "identity": IDENTITY, "replicsa": 2}, "replicsa"),
    ({"serviceBus": BUS, "identity": IDENTITY, "port": 80}, "port"),
    ({"serviceBus": BUS, "identity": IDENTITY, "serviceMonitor": {"enabled": True}}, "networkPolicy.metricsFrom: name"),
    (
        {"serviceBus": BUS, "identity": IDENTITY, "settings": '[identity]\nclient_secret = "x"\n'},
        "settings: holds a secret",
    ),
    (
        {"serviceBus": BUS, "identity": IDENTITY, "settings": 'x = "Endpoint=sb://x/;SharedAccessKey=x"\n'},
        "settings: holds a secret",
    ),
]


def unknown_fields(given: object, known: object, path: str = "") -> list[str]:
    """Fields of `given` that reading it with a model left out: a cluster would drop them without a word."""
    if isinstance(given, dict) and isinstance(known, dict):
        return [
            found
            for key, value in given.items()
            for found in ([f"{path}.{key}"] if key not in known else unknown_fields(value, known[key], f"{path}.{key}"))
        ]
    if isinstance(given, list) and isinstance(known, list):
        return [found for at, pair in enumerate(zip(given, known)) for found in unknown_fields(*pair, f"{path}[{at}]")]
    return []


def judge_object(manifest: dict) -> None:
    """Holds one object against the schema of its kind, unknown fields included."""
    custom = CUSTOM.get(manifest["kind"])
    if custom is None:
        for version in KUBERNETES:
            kubernetes_validate.validate(manifest, version, strict=True)
        return
    read = custom.model_validate(manifest).model_dump(by_alias=True, exclude_unset=True, mode="json")
    strange = unknown_fields(manifest, read)
    assert not strange, f"{manifest['kind']} has no {strange}"


def judge_replicas(name: str, objects: list[dict], replicas: int) -> None:
    """As many run as are promised, by whoever says how many, and never two at once that do not know which one writes."""
    deployment = next(found["spec"] for found in objects if found["kind"] == "Deployment")
    scaled = [found["spec"] for found in objects if found["kind"] == "ScaledObject"]
    container = deployment["template"]["spec"]["containers"][0]
    lease = any(variable["name"] == "CONTACTSYNC__REPLICAS__LEASE_QUEUE" for variable in container["env"])
    # KEDA says how many instead of the Deployment, and may choose nothing between none and all.
    assert ("replicas" in deployment) != bool(scaled), f"{name}: two say how many run"
    said = {deployment.get("replicas")} if not scaled else set()
    for one in scaled:
        said |= {one["minReplicaCount"], one["maxReplicaCount"], one["fallback"]["replicas"]}
    assert said == {replicas}, f"{name}: {said} replicas run, not {replicas}"
    assert all(one["idleReplicaCount"] == 0 for one in scaled), f"{name}: {scaled}"
    surge = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    wanted = surge if lease else {"type": "Recreate"}
    assert deployment["strategy"] == wanted, f"{name}: {deployment['strategy']}"
    assert lease or replicas < 2, f"{name}: {replicas} replicas that do not know of each other"
    places = [one["topologyKey"] for one in deployment["template"]["spec"]["topologySpreadConstraints"]]
    assert places == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"], f"{name}: {places}"


def judge_settings(name: str, objects: list[dict], replicas: int) -> None:
    """Hands the settings of a rendered Deployment to the real `contactsync check`, as the container would have them."""
    deployment = next(found for found in objects if found["kind"] == "Deployment")
    maps = [found["data"] for found in objects if found["kind"] == "ConfigMap"]
    [settings] = [data["contactsync.toml"] for data in maps if "contactsync.toml" in data]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    with tempfile.TemporaryDirectory() as folder:
        written = pathlib.Path(folder)
        (written / "contactsync.toml").write_text(settings)
        # What the webhook of workload identity adds to the pod.
        (written / "token").write_text("not-a-token")
        webhook = {"AZURE_FEDERATED_TOKEN_FILE": str(written / "token"), "AZURE_TENANT_ID": GUID, "AZURE_CLIENT_ID": GUID}
        secrets = {
            "CONTACTSYNC__IDENTITY__CLIENT_SECRET": "not-a-secret",
            "CONTACTSYNC__SERVICE_BUS__CONNECTION_STRING": "Endpoint=sb://contoso.servicebus.windows.net/;"
            "SharedAccessKeyName=worker;SharedAccessKey=c2VjcmV0",
        }
        variables = {}
        for variable in container["env"]:
            value = variable["value"]
            for mount in container["volumeMounts"]:
                value = value.replace(mount["mountPath"], folder)
            variables[variable["name"]] = value
            key = variable["name"].removesuffix("_FILE")
            if key in secrets:
                pathlib.Path(value).write_text(secrets[key])
        answer = subprocess.run(
            [os.environ["CONTACTSYNC"], "check", "--replicas", str(max(replicas, 1))],
            env=webhook | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, f"{name}: check says {answer.stdout}{answer.stderr}"


def judge_reach(name: str, objects: list[dict], values: dict) -> None:
    """Nobody may read the status port but who was named. A rule of ingress that names nobody would let in everybody."""
    policies = [found for found in objects if found["kind"] == "NetworkPolicy"]
    named = values.get("networkPolicy", {}).get("metricsFrom", [])
    for policy in policies:
        assert "Ingress" in policy["spec"]["policyTypes"], f"{name}: ingress is not closed"
        peers = [rule.get("from") for rule in policy["spec"]["ingress"]]
        assert peers == ([named] if named else []), f"{name}: {peers} may read the status port"


def judge_openshift(objects: list[dict]) -> None:
    """Nobody is named whom the cluster has to choose, and everything that was asked for can be reached."""
    pod = next(found for found in objects if found["kind"] == "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}, pod
    policy = next(found for found in objects if found["kind"] == "NetworkPolicy")
    ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert ports == {53, 443, 5671, 4317, 3128, 8200}, ports


def judge_monitoring(objects: list[dict]) -> None:
    """Alerts and dashboard are those of the repository, and an alert leads to where people reach the runbook."""
    [rules] = [found["spec"] for found in objects if found["kind"] == "PrometheusRule"]
    text = (DEPLOY / "prometheus" / "contactsync.rules.yaml").read_text()
    assert rules == yaml.safe_load(text.replace("deploy/runbook.md#", f"{RUNBOOK}#")), rules
    [shown] = [found["data"] for found in objects if found["metadata"]["name"].endswith("-dashboard")]
    assert json.loads(shown["contactsync.json"]) == json.loads((DEPLOY / "grafana" / "contactsync.json").read_text())


def judge_guide() -> None:
    """Every value that a document sets is a value of the chart."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    seen = 0
    for document in (DEPLOY / "README.md", CHART / "README.md"):
        given = re.findall(r"--set(?:-file|-string)? [\"']?([^ \"'\\`]+)", document.read_text())
        names = {one.partition("=")[0] for pair in given for one in pair.split(",")}
        # Section 10 of the guide leads away from the chart of version 0.1.
        for name in names - {"autoscaling.enabled"}:
            place = values
            for part in name.split("."):
                assert part in place, f"{document.name}: the chart has no value {name}"
                place = place[part]
            seen += 1
    assert seen > 15, f"only {seen} values were found"
    print(f"   chart: {seen} values that the guide sets are there")


def judge_chart(folder: pathlib.Path) -> None:
    """Lints and renders every way to install, and keeps what was rendered for the tools that want files."""
    # With what links lead to in their place, as in a packaged chart; Helm would tell of each link each time.
    copied = shutil.copytree(CHART, folder / "chart", dirs_exist_ok=True)
    with helm.Chart.load(str(copied)) as chart:
        for name, (values, replicas, kinds) in INSTALLATIONS.items():
            report = helm.lint(str(copied), values, strict=True)
            # Below 2 is advice: a chart that nobody browses needs no icon.
            complaints = [found for found in report["messages"] if found["severity"] >= 2]
            assert not report["errors"] and not complaints, f"{name}: {report}"
            chart.validate_schema(values)
            rendered = chart.render(values, name="demo", namespace="identity")
            text = "---\n".join(text for path, text in sorted(rendered.items()) if path.endswith(".yaml"))
            (folder / f"{name}.yaml").write_text(text)
            objects = [found for found in yaml.safe_load_all(text) if found]
            assert sorted(found["kind"] for found in objects) == sorted(kinds), f"{name}: {[o['kind'] for o in objects]}"
            for manifest in objects:
                judge_object(manifest)
            judge_reach(name, objects, values)
            judge_replicas(name, objects, replicas)
            judge_settings(name, objects, replicas)
            if name == "openshift":
                judge_openshift(objects)
            if name == "scaled":
                judge_monitoring(objects)
            fits = f"{len(objects)} objects fit Kubernetes {' and '.join(KUBERNETES)}"
            print(f"   chart, {name}: {fits}, and contactsync takes its settings")
        for values, words in REFUSED:
            try:
                chart.validate_schema(values)
                chart.render(values, name="demo", namespace="identity")
            except helm.HelmError as error:
                assert words in str(error), f"expected {words!r}: {error}"
            else:
                raise AssertionError(f"not refused: {values}")
        print(f"   chart: {len(REFUSED)} wrong sets of values are refused")


def refuse_nonsense() -> None:
    """That the checks above bite."""
    wrong = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "x"},
        "spec": {"scaleTargetRef": {"name": "x"}, "maxReplicas": 3, "triggers": [{"type": "t", "metadata": {}}]},
    }
    try:
        judge_object(wrong)
    except AssertionError as error:
        assert ".spec.maxReplicas" in str(error)
    else:
        raise AssertionError("an unknown field of a ScaledObject is not noticed")
    print("   a wrong field of KEDA is noticed")


if __name__ == "__main__":
    refuse_nonsense()
    judge_chart(pathlib.Path(sys.argv[1]))
    judge_guide()
