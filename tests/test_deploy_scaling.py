"""The Kubernetes manifests, without a cluster: what finds the pods, how many there are, who reaches
whom, and by which metrics they are scaled and watched.
"""

import re
from pathlib import Path

from tests.deployment import DEPLOY, ROLES, Document, documents, metric_names, metrics_in
from tests.kustomize import containers
from tests.manifests import COMPONENTS, each_folder, of_kind, pods, settings_of


@each_folder
def test_whatever_selects_pods_finds_some(folder: str) -> None:
    """Deployments, services, budgets, spreads and autoscalers name labels and names that exist."""
    labels = [pod["metadata"]["labels"] for _, pod in pods(folder)]
    deployments = {each["metadata"]["name"] for each in of_kind(folder, "Deployment")}

    def finds(selector: Document) -> bool:
        return [selector.items() <= each.items() for each in labels].count(True) == 1

    for each in of_kind(folder, "Deployment", "PodDisruptionBudget"):
        assert finds(each["spec"]["selector"]["matchLabels"])
    for each in of_kind(folder, "Service"):
        assert finds(each["spec"]["selector"])
    for each in of_kind(folder, "Deployment"):
        for spread in each["spec"]["template"]["spec"]["topologySpreadConstraints"]:
            assert spread["labelSelector"] == each["spec"]["selector"]
    for each in of_kind(folder, "HorizontalPodAutoscaler"):
        assert each["spec"]["scaleTargetRef"]["name"] in deployments
    assert len(of_kind(folder, "PodDisruptionBudget")) == len(ROLES)
    (account,) = of_kind(folder, "ServiceAccount")
    assert {pod["spec"]["serviceAccountName"] for _, pod in pods(folder)} == {
        account["metadata"]["name"]
    }


@each_folder
def test_an_autoscaled_role_has_no_number_of_its_own(folder: str) -> None:
    """Where an autoscaler decides, applying the manifests again must not undo what it did; the
    others have a number.
    """
    scaled = {
        each["spec"]["scaleTargetRef"]["name"]
        for each in of_kind(folder, "HorizontalPodAutoscaler")
    }
    for each in of_kind(folder, "Deployment"):
        assert ("replicas" in each["spec"]) != (each["metadata"]["name"] in scaled)


def peers(folder: str, name: str) -> Document:
    """A network policy."""
    (found,) = [
        each for each in of_kind(folder, "NetworkPolicy") if each["metadata"]["name"] == name
    ]
    spec: Document = found["spec"]
    return spec


@each_folder
def test_only_who_needs_an_engine_reaches_it(folder: str, tmp_path: Path) -> None:
    """The network lets a role reach an engine, at the port of the settings, exactly where its
    settings are used; the doors take gRPC and nobody else does.
    """
    for engine, users in (
        ("kafka", ["ingest", "writer", "init"]),
        ("cassandra", ["writer", "query", "init"]),
    ):
        policy = peers(folder, f"parcel-ledger-{engine}")
        (rule,) = policy["podSelector"]["matchExpressions"]
        (egress,) = policy["egress"]
        (ports,) = egress["ports"]
        assert sorted(rule["values"]) == sorted(users)
        for role, pod in pods(folder):
            address = getattr(settings_of(folder, pod, tmp_path), engine)
            port = int(address.rpartition(":")[2])
            assert ports["port"] <= port <= ports.get("endPort", ports["port"]), role
    (rule,) = peers(folder, "parcel-ledger-doors")["podSelector"]["matchExpressions"]
    assert rule["values"] == ["ingest", "query"]
    assert peers(folder, "parcel-ledger")["policyTypes"] == ["Ingress", "Egress"]


def test_writers_are_scaled_by_a_metric_that_there_is(tmp_path: Path) -> None:
    """Both ways to scale by lag ask for a metric of the program, mean the same amount, and never
    start more writers than partitions.
    """
    (autoscaler,) = documents(COMPONENTS / "writer-on-lag" / "autoscaler.yaml")
    (adapter,) = documents(COMPONENTS / "writer-on-lag" / "adapter-rules.yaml")
    (scaled,) = documents(COMPONENTS / "writer-on-lag-keda" / "scaled-object.yaml")
    (rule,) = adapter["externalRules"]
    (metric,) = autoscaler["spec"]["metrics"]
    (trigger,) = scaled["spec"]["triggers"]
    partitions = [settings_of("base", pod, tmp_path).partitions for _, pod in pods("base")]

    assert metric["external"]["metric"]["name"] == rule["name"]["as"]
    assert metrics_in(rule["seriesQuery"]) == metrics_in(trigger["metadata"]["query"])
    assert metrics_in(rule["seriesQuery"]) <= metric_names()
    assert metric["external"]["target"]["averageValue"] == trigger["metadata"]["threshold"]
    for most in (autoscaler["spec"]["maxReplicas"], scaled["spec"]["maxReplicaCount"]):
        assert most <= min(partitions)
    assert scaled["spec"]["scaleTargetRef"]["name"] == "parcel-ledger-writer"
    assert scaled["spec"]["minReplicaCount"] == autoscaler["spec"]["minReplicas"]
    assert (
        scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        == autoscaler["spec"]["behavior"]
    )


def test_the_components_fit_the_base() -> None:
    """Each component can be laid over the base: what it patches and adds is put together."""
    for path in sorted(COMPONENTS.iterdir()):
        (plan,) = documents(path / "kustomization.yaml")
        for name in plan["resources"]:
            assert (path / name).exists(), name
        for patch in plan.get("patches", ()):
            assert patch["target"]["name"] in {
                each["metadata"]["name"] for each in of_kind("base", patch["target"]["kind"])
            }


def test_prometheus_finds_the_pods() -> None:
    """With the operator and without: by the labels and the port's name that the pods have, and
    under the role's name, which the alert rules ask for.
    """
    (monitor,) = documents(COMPONENTS / "pod-monitor" / "pod-monitor.yaml")
    (scrape,) = documents(DEPLOY / "prometheus" / "kubernetes.yml")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    (job,) = scrape["scrape_configs"]
    keep, *_ = job["relabel_configs"]
    alerts = (DEPLOY / "prometheus" / "alerts.yml").read_text()

    for role, pod in pods("base"):
        labels = pod["metadata"]["labels"]
        names = [
            each["name"] for each in containers({"spec": {"template": pod}})[0].get("ports", ())
        ]
        assert (endpoint["port"] in names) == (role != "init")
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert labels[monitor["spec"]["jobLabel"]] == role
        assert keep["regex"] == f"{labels['app.kubernetes.io/name']};{endpoint['port']}"
    assert {"target_label": "job"}.items() <= job["relabel_configs"][1].items()
    assert set(re.findall(r'job=~"([a-z|]+)"', alerts)) <= {
        "ingest|writer|query",
        "ingest|writer|query|up",
    }
