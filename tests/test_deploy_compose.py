"""The compose files, without containers: by the compose schema, and against the program itself: its
settings, ports, commands, the versions of the engines it is tested with, and how those are set up.
"""

import base64
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ledger.app.settings import Settings
from ledger.app.wiring.runner import LAST_ANSWERS_S
from tests.compose import services
from tests.deployment import (
    DEPLOY,
    GRPC_PORT,
    IMAGE,
    METRICS_PORT,
    ROLES,
    ROOT,
    Document,
    documents,
    engine_version,
    is_accepted,
    loaded,
)

ONE = DEPLOY / "compose.yaml"
THREE = DEPLOY / "compose.three.yaml"
VARIANTS = {"one": services(ONE), "three": services(ONE, THREE)}
OURS = (*ROLES, "init")

each_variant = pytest.mark.parametrize("variant", VARIANTS)
each_of_ours = pytest.mark.parametrize("name", OURS)


def settings_of(variant: str, name: str, folder: Path) -> Settings:
    """The settings that a service's process has."""
    return loaded(VARIANTS[variant][name]["environment"], None, folder).settings


def kafka_properties(service: Document) -> dict[str, str]:
    """What the image makes of the environment: a line of server.properties for each variable."""
    return {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in service["environment"].items()
        if name.startswith("KAFKA_") and name != "KAFKA_HEAP_OPTS"
    }


def recipe(name: str) -> str:
    """A recipe that the tests' own engines are started by."""
    return (ROOT / "ledger/app/engines/recipes" / name).read_text()


def test_the_files_are_compose_files() -> None:
    """Both are what the specification's schema allows."""
    checker = Path(sys.prefix) / "bin" / "check-jsonschema"
    schema = ("--builtin-schema", "vendor.compose-spec")
    done = subprocess.run([checker, *schema, ONE, THREE], check=False, capture_output=True)

    assert done.returncode == 0, done.stdout.decode()


@each_variant
@each_of_ours
def test_our_services_are_the_program(variant: str, name: str, tmp_path: Path) -> None:
    """Image, command and every variable are the program's: a setting that does not exist, or does
    not go with the others, would be refused here as it is at the start.
    """
    service = VARIANTS[variant][name]
    settings = settings_of(variant, name, tmp_path)

    assert service["image"] == IMAGE
    assert service["command"] == [name]
    assert is_accepted(service["command"])
    assert settings.listen == f"0.0.0.0:{GRPC_PORT}"
    assert settings.metrics == f"0.0.0.0:{METRICS_PORT}"


@each_variant
@each_of_ours
def test_a_container_gets_time_to_drain(variant: str, name: str, tmp_path: Path) -> None:
    """It is not killed before its drain and its last answers are over."""
    service = VARIANTS[variant][name]
    grace_s = float(service["stop_grace_period"].removesuffix("s"))

    assert grace_s > settings_of(variant, name, tmp_path).drain_s + LAST_ANSWERS_S


@each_variant
def test_nothing_is_published_beyond_this_machine(variant: str) -> None:
    """Every published port is at 127.0.0.1, and each is published once."""
    ports = [port for each in VARIANTS[variant].values() for port in each.get("ports", ())]

    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports), ports
    assert len({port.split(":")[1] for port in ports}) == len(ports)
    for role in ("ingest", "query"):
        (port,) = VARIANTS[variant][role]["ports"]
        assert port.endswith(f":{GRPC_PORT}")


@each_variant
def test_no_container_can_do_more_than_it_has_to(variant: str) -> None:
    """No capabilities, no way to get some, a bound on memory and processes; ours write nothing."""
    for name, service in VARIANTS[variant].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["pids_limit"], name
        assert "privileged" not in service, name
        assert service.get("read_only") or name.startswith(("kafka", "cassandra")), name


@each_variant
def test_health_is_asked_where_it_is_told(variant: str) -> None:
    """Every service that stays has a check; ours ask for readiness at the port of the metrics."""
    for name, service in VARIANTS[variant].items():
        if name == "init":
            continue
        command = service["healthcheck"]["test"]
        assert command[0] == "CMD", name
        if name in ROLES:
            assert f"'127.0.0.1', {METRICS_PORT}" in command[-1]
            assert "'GET', '/ready'" in command[-1]


@each_variant
def test_what_has_to_be_there_first_is_waited_for(variant: str) -> None:
    """The roles wait for `init`, and that for every broker and node; nobody waits for himself."""
    found = VARIANTS[variant]
    engines = {name for name in found if name.startswith(("kafka", "cassandra"))}
    reached = set(found["init"]["depends_on"])
    for name in engines & reached:
        reached |= set(found[name].get("depends_on", {}))

    assert engines <= reached | set(found["cassandra"].get("depends_on", {}))
    for role in ROLES:
        assert found[role]["depends_on"] == {
            "init": {"condition": "service_completed_successfully"}
        }
    for name, service in found.items():
        waits = service.get("depends_on", {})
        assert set(waits) <= set(found) - {name}


@each_variant
def test_every_mounted_file_is_there(variant: str) -> None:
    """What is mounted from the checkout exists and is mounted to be read; volumes are declared."""
    declared = {
        name for path in (ONE, THREE) for name in yaml.safe_load(path.read_text())["volumes"]
    }
    for service in VARIANTS[variant].values():
        for mount in service.get("volumes", ()):
            source, *_, mode = mount.split(":")
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
                assert mode == "ro", mount
            else:
                assert source in declared, source


@each_variant
@pytest.mark.parametrize("engine", ["kafka", "cassandra"])
def test_the_engines_are_the_ones_that_are_tested(variant: str, engine: str) -> None:
    """The images have the version of the jars that the tests run on."""
    image = {"kafka": "apache/kafka", "cassandra": "cassandra"}[engine]
    images = {
        service["image"] for name, service in VARIANTS[variant].items() if name.startswith(engine)
    }

    assert images == {f"{image}:{engine_version(engine)}"}


@each_variant
def test_kafka_is_set_up_as_it_is_tested(variant: str) -> None:
    """Every broker has the settings of the tests' recipe but those of place and patience; replicas
    are as many as brokers; each has a number, an address and a volume of its own.
    """
    found = {name: each for name, each in VARIANTS[variant].items() if name.startswith("kafka")}
    tested = dict(
        line.split("=", 1) for line in recipe("server.properties").splitlines() if "=" in line
    )
    elsewhere = ("listeners", "voters", "log.dirs", "node.id", "timeout", "interval", "delay")
    in_sync = str((len(found) + 1) // 2)
    filled = {"$replication": str(len(found)), "$in_sync": in_sync}
    voters = ",".join(f"{at + 1}@{name}:9093" for at, name in enumerate(found))
    for at, (name, service) in enumerate(found.items()):
        has = kafka_properties(service)
        for key, value in tested.items():
            if not any(word in key for word in elsewhere) and not key.endswith("num.partitions"):
                assert has.get(key) == filled.get(value, value), (name, key)
        assert has["node.id"] == str(at + 1)
        assert has["controller.quorum.voters"] == voters
        assert has["advertised.listeners"] == f"PLAINTEXT://{name}:9092"
        assert service["hostname"] == name
        assert service["volumes"] == [f"{name}:{has['log.dirs']}"]
        identity = service["environment"]["CLUSTER_ID"]
        assert len(base64.urlsafe_b64decode(identity + "==")) == 16
        assert len(identity) == 22


def test_cassandra_is_set_up_as_it_is_tested() -> None:
    """Its file says what the tests' recipe says, but for addresses, folders, and what is only right
    for a node that is made anew each time.
    """
    (has,) = documents(DEPLOY / "compose" / "cassandra.yaml")
    tested = yaml.safe_load(re.sub(r"\$(\w+)", r"'$\1'", recipe("cassandra.yaml")))
    own = {
        *("listen_address", "rpc_address", "storage_port", "native_transport_port"),
        *("start_native_transport", "auto_bootstrap"),
    }
    same = {
        key for key in tested if not re.search("director|seed|allocate", key) and key not in own
    }

    assert {key: has.get(key) for key in same} == {key: tested[key] for key in same}
    assert set(tested) - set(has) == own
    assert has["seed_provider"][0]["parameters"] == [{"seeds": "cassandra"}]


@each_variant
def test_cassandra_reads_its_file(variant: str) -> None:
    """Every node is told where the file is mounted, and keeps everything in its own volume."""
    (file,) = documents(DEPLOY / "compose" / "cassandra.yaml")
    folders = [value for key, value in file.items() if "director" in key]
    for name, service in VARIANTS[variant].items():
        if not name.startswith("cassandra"):
            continue
        volume, config = service["volumes"]
        where = config.split(":")[1]
        assert service["environment"]["JVM_EXTRA_OPTS"] == f"-Dcassandra.config=file://{where}"
        assert volume.startswith(f"{name}:")
        assert service["hostname"] == name
        for each in folders:
            folder = each[0] if isinstance(each, list) else each
            assert folder.startswith(volume.split(":")[1] + "/")


@each_variant
def test_the_settings_name_every_broker_and_node(variant: str, tmp_path: Path) -> None:
    """The roles know all of them, want as many replicas, and say aloud where there is one only."""
    found = VARIANTS[variant]
    for name in OURS:
        settings = settings_of(variant, name, tmp_path)
        brokers = [each for each in found if each.startswith("kafka")]
        nodes = [each for each in found if each.startswith("cassandra")]
        assert settings.kafka == ",".join(f"{each}:9092" for each in brokers)
        assert settings.cassandra == ",".join(f"{each}:9042" for each in nodes)
        assert settings.kafka_replication == len(brokers)
        assert settings.cassandra_replication == len(nodes)
        assert settings.single_broker == (len(brokers) == 1)


def test_prometheus_sees_every_role() -> None:
    """It asks each role at the port of its metrics, under the role's name, and has the rules."""
    (config,) = documents(DEPLOY / "prometheus" / "prometheus.yml")
    jobs = {
        each["job_name"]: [(one["names"], one["port"]) for one in each["dns_sd_configs"]]
        for each in config["scrape_configs"]
    }
    mounts = VARIANTS["one"]["prometheus"]["volumes"]

    assert jobs == {role: [([role], METRICS_PORT)] for role in ROLES}
    for file in config["rule_files"]:
        assert any(f":{file}:" in mount for mount in mounts), file


def test_grafana_finds_the_dashboard_and_its_data() -> None:
    """The provisioned source is where Prometheus listens, and the dashboard lies where Grafana
    looks.
    """
    provisioning = DEPLOY / "grafana" / "provisioning"
    (sources,) = documents(provisioning / "datasources" / "prometheus.yaml")
    (boards,) = documents(provisioning / "dashboards" / "parcel-ledger.yaml")
    service = VARIANTS["one"]["grafana"]
    (source,) = sources["datasources"]
    (board,) = boards["providers"]
    places = [mount.split(":")[1] for mount in service["volumes"]]
    home = service["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

    assert source["url"] == "http://prometheus:9090"
    assert VARIANTS["one"]["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]
    assert home in places
    assert home.startswith(board["options"]["path"] + "/")
