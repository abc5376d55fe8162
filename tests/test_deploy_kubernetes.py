"""The Kubernetes manifests, without a cluster: by the API's schemas, and against the program.

What they start and with which settings and files; test_deploy_scaling.py has what finds, counts and
separates the pods.
"""

from pathlib import Path

import kubernetes_validate
import pytest

from ledger.app.wiring.runner import LAST_ANSWERS_S
from tests.deployment import (
    DEPLOY,
    GRPC_PORT,
    METRICS_PORT,
    ROLES,
    VERSION,
    files_of,
    is_accepted,
)
from tests.kustomize import built
from tests.manifests import KUBERNETES, MANIFESTS, each_folder, of_kind, pods, settings_of

VERSIONS = ("1.30", kubernetes_validate.latest_version())
"""The oldest that knows all that is used, and the newest that there is a schema of."""


@pytest.mark.slow
@each_folder
@pytest.mark.parametrize("version", VERSIONS)
def test_the_manifests_are_what_the_api_takes(folder: str, version: str) -> None:
    """Each has nothing but fields of the API's schema, with values that it allows."""
    for each in MANIFESTS[folder]:
        kubernetes_validate.validate(each, version, strict=True)


def test_a_wrong_manifest_is_found() -> None:
    """A field that the API does not know is an error of the check above."""
    (wrong,) = [
        each
        for each in built(KUBERNETES / "base")
        if each["metadata"]["name"] == "parcel-ledger-init"
    ]
    wrong["spec"]["template"]["spec"]["enableServiceLink"] = False

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@each_folder
def test_the_pods_are_the_program(folder: str, tmp_path: Path) -> None:
    """Each pod starts one role of this version, as the command line takes it, with settings that
    go together; all roles and `init` are there.
    """
    roles = []
    for role, pod in pods(folder):
        (container,) = pod["spec"]["containers"]
        settings = settings_of(folder, pod, tmp_path)
        roles.append(role)
        assert container["image"].endswith(f"parcel-ledger:{VERSION}")
        assert container["args"][0] == role
        assert is_accepted(container["args"])
        assert settings.listen.endswith(f":{GRPC_PORT}")
        assert settings.metrics.endswith(f":{METRICS_PORT}")

    assert sorted(roles) == sorted([*ROLES, "init"])


@each_folder
def test_every_file_that_a_role_reads_is_mounted(folder: str, tmp_path: Path) -> None:
    """Certificates and passwords lie in a secret of the role's own; it gets no other's."""
    for role, pod in pods(folder):
        (container,) = pod["spec"]["containers"]
        secrets = {
            each["name"]: each["secret"]["secretName"]
            for each in pod["spec"]["volumes"]
            if "secret" in each
        }
        mounts = {
            Path(each["mountPath"]): secrets[each["name"]]
            for each in container["volumeMounts"]
            if each["name"] in secrets
        }
        files = files_of(role, settings_of(folder, pod, tmp_path))
        assert {file.parent for file in files} == set(mounts), role
        assert all(name.endswith(f"-{role}") for name in secrets.values()), role
        assert {each["name"] for each in container["volumeMounts"]} == {"settings", *secrets}


def test_passwords_are_encrypted_where_it_matters(tmp_path: Path) -> None:
    """`insecure` would allow it otherwise: both engines are spoken to over TLS, each role under a
    name of its own.
    """
    users = []
    for role, pod in pods("overlays/three-zones"):
        settings = settings_of("overlays/three-zones", pod, tmp_path)
        assert settings.kafka_tls_ca
        assert settings.cassandra_tls_ca
        assert settings.kafka_replication == settings.cassandra_replication == 3
        assert not settings.single_broker
        users += [settings.kafka_user] if role != "query" else []
        users += [settings.cassandra_user] if role != "ingest" else []

    assert len(users) == len(set(users)) == 6


@each_folder
def test_no_pod_can_do_more_than_it_has_to(folder: str) -> None:
    """By the strictest standard for pods; no token, a root that cannot be written to, a bound on
    memory; and no variables for services, whose names would be those of settings.
    """
    for role, pod in pods(folder):
        spec = pod["spec"]
        (container,) = spec["containers"]
        assert spec["securityContext"]["runAsNonRoot"] is True, role
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert container["resources"]["limits"].keys() == {"memory"}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert {*spec} & {"hostNetwork", "hostPID", "hostIPC", "initContainers"} == set()
        assert all({*each} <= {"name", "configMap", "secret"} for each in spec["volumes"])


@each_folder
def test_the_pods_run_as_the_image_does(folder: str) -> None:
    """Under the number that the image names."""
    image = (DEPLOY / "Dockerfile").read_text()
    for _, pod in pods(folder):
        context = pod["spec"]["securityContext"]
        assert f"USER {context['runAsUser']}:{context['runAsGroup']}\n" in image
        assert context["fsGroup"] == context["runAsGroup"]


@each_folder
def test_a_pod_gets_time_to_drain(folder: str, tmp_path: Path) -> None:
    """It is not killed before its pause, its drain and its last answers are over."""
    for role, pod in pods(folder):
        if role == "init":
            continue
        (container,) = pod["spec"]["containers"]
        pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {"seconds": 0})
        drain_s = settings_of(folder, pod, tmp_path).drain_s + LAST_ANSWERS_S
        assert pod["spec"]["terminationGracePeriodSeconds"] > pause["seconds"] + drain_s, role
        assert bool(pause["seconds"]) == (role != "writer"), role


@each_folder
def test_the_ports_are_those_of_the_program(folder: str) -> None:
    """Containers, probes and services use the ports that the settings name."""
    served = {}
    for role, pod in pods(folder):
        if role == "init":
            continue
        (container,) = pod["spec"]["containers"]
        served[role] = {each["name"]: each["containerPort"] for each in container["ports"]}
        for probe, page in (("startup", "live"), ("liveness", "live"), ("readiness", "ready")):
            assert container[f"{probe}Probe"]["httpGet"] == {"path": f"/{page}", "port": "metrics"}

    doors = {"grpc": GRPC_PORT, "metrics": METRICS_PORT}
    assert served == {"ingest": doors, "writer": {"metrics": METRICS_PORT}, "query": doors}
    for service in of_kind(folder, "Service"):
        (port,) = service["spec"]["ports"]
        assert served[service["spec"]["selector"]["app.kubernetes.io/component"]][
            port["targetPort"]
        ]
        assert port["port"] == GRPC_PORT
    assert sorted(each["metadata"]["name"] for each in of_kind(folder, "Service")) == [
        *("parcel-ledger-ingest", "parcel-ledger-ingest-pods"),
        *("parcel-ledger-query", "parcel-ledger-query-pods"),
    ]
