"""A Kafka that lets nobody in unknown: TLS, passwords, rights; and Kafka's own tools for it."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ledger.app.engines import Kafka, KafkaOptions
from ledger.app.engines.java import find_java
from ledger.backends.kafka_cluster import KafkaCluster
from tests.engines import running

PASSWORDS = {name: f"{name} says so" for name in ("admin", "init", "ingest", "writer", "stranger")}
"""Who may come. The writer comes with SCRAM, the others with SASL PLAIN."""

PRINCIPALS = {role: f"User:{role}" for role in ("init", "ingest", "writer")}


@contextmanager
def secure_kafka(folder: Path) -> Iterator[Kafka]:
    """One broker with TLS, SASL and access rules. It would make topics that somebody asks for."""
    certificates = make_certificates(folder)
    plain = " ".join(
        f'user_{name}="{word}"' for name, word in PASSWORDS.items() if name != "writer"
    )
    login = "org.apache.kafka.common.security"
    place = "listener.name.sasl_ssl"
    properties = {
        "listeners": "SASL_SSL://$host:$port,CONTROLLER://$host:$controller_port",
        "advertised.listeners": "SASL_SSL://$host:$port",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
        "inter.broker.listener.name": "SASL_SSL",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        f"{place}.plain.sasl.jaas.config": f"{login}.plain.PlainLoginModule required "
        f'username="admin" password="{PASSWORDS["admin"]}" {plain};',
        f"{place}.scram-sha-256.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        f"{place}.scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificates / "broker.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificates / "ca.crt"),
        "ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:admin;User:ANONYMOUS",
        "auto.create.topics.enable": "true",
    }
    scram = [
        argument
        for bits in (256, 512)
        for argument in (
            "--add-scram",
            f"SCRAM-SHA-{bits}=[name=writer,password={PASSWORDS['writer']}]",
        )
    ]
    options = KafkaOptions(properties=properties, format_arguments=scram)
    with running(Kafka(folder / "secure", options=options)) as kafka:
        yield kafka


def cluster_as(kafka: Kafka, folder: Path, user: str, **changed: str) -> KafkaCluster:
    """The cluster, for somebody."""
    certificates = folder / "certificates"
    mechanism = "SCRAM-SHA-512" if user == "writer" else "PLAIN"
    return KafkaCluster(
        bootstrap=kafka.bootstrap,
        topic_prefix="secure-",
        single_broker=True,
        replication=1,
        tls_ca=certificates / changed.get("authority", "ca.crt"),
        tls_cert=certificates / "client.crt",
        tls_key=certificates / "client.key",
        sasl=changed.get("mechanism", mechanism),
        user=user,
        password=changed.get("password", PASSWORDS[user]),
    )


def make_certificates(folder: Path) -> Path:
    """An authority, and what it has signed for the broker and for a client; and another one."""
    target = folder / "certificates"
    target.mkdir(parents=True)
    for authority in ("ca", "other"):
        openssl(
            target, f"req -x509 -days 2 -subj /CN={authority} {key(authority)} -out {authority}.crt"
        )
    (target / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("broker", "client"):
        openssl(target, f"req -subj /CN={name} {key(name)} -out {name}.csr")
        signed = "-CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names"
        openssl(target, f"x509 -req -in {name}.csr {signed} -out {name}.crt")
    parts = [(target / f"broker.{part}").read_text() for part in ("key", "crt")]
    (target / "broker.pem").write_text("".join(parts))
    return target


def key(name: str) -> str:
    """The arguments for a new key."""
    return f"-newkey rsa:2048 -nodes -keyout {name}.key"


def openssl(folder: Path, arguments: str) -> None:
    """Runs openssl."""
    subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)


def type_in(kafka: Kafka, folder: Path, line: str) -> None:
    """Types one of the printed commands, as the administrator."""
    tool, *arguments = line.split()
    tools: Mapping[str, str] = {"kafka-topics.sh": "TopicCommand", "kafka-acls.sh": "AclCommand"}
    settings = folder / "admin.properties"
    certificates = folder / "certificates"
    client = [(certificates / f"client.{part}").read_text() for part in ("key", "crt")]
    (folder / "client.pem").write_text("".join(client))
    settings.write_text(
        "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\n"
        "sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'username="admin" password="{PASSWORDS["admin"]}";\n'
        f"ssl.truststore.type=PEM\nssl.truststore.location={certificates / 'ca.crt'}\n"
        f"ssl.keystore.type=PEM\nssl.keystore.location={folder / 'client.pem'}\n"
    )
    command = [str(find_java()), "-cp", kafka.class_path, f"org.apache.kafka.tools.{tools[tool]}"]
    subprocess.run(
        [*command, *arguments, "--command-config", str(settings)], check=True, capture_output=True
    )
