"""How a cluster is reached: what goes together, what things are called, and what is never shown."""

from pathlib import Path

import pytest

from ledger.backends.kafka_cluster import KafkaCluster
from ledger.errors import Refused

SESAME = "open sesame"


def test_a_password_is_never_printed() -> None:
    """What is logged of a cluster has no password in it."""
    cluster = KafkaCluster(bootstrap="kafka:9092", sasl="PLAIN", user="u", password=SESAME)

    assert SESAME not in repr(cluster)
    assert SESAME not in str(cluster)


@pytest.mark.parametrize(
    "settings",
    [
        {"sasl": "GSSAPI", "user": "u", "password": "p"},
        {"sasl": "PLAIN", "user": "u"},
        {"user": "u", "password": "p"},
        {"tls_cert": Path("client.crt")},
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, str]) -> None:
    """Half of what it takes to say who we are is no way to say it."""
    with pytest.raises(Refused):
        KafkaCluster(bootstrap="kafka:9092", **settings)  # type: ignore[arg-type]


def test_unusable_certificates_are_named(tmp_path: Path) -> None:
    """Files that are missing or are no certificates are refused, by name."""
    for ca in (tmp_path / "missing.crt", Path(__file__)):
        with pytest.raises(Refused, match=ca.name):
            KafkaCluster(bootstrap="127.0.0.1:1", tls_ca=ca).client_options()


def test_names_begin_with_the_prefix() -> None:
    """Topics and groups are named by log and generation, and by reader, behind the prefix."""
    cluster = KafkaCluster(bootstrap="kafka:9092", topic_prefix="north-")

    assert cluster.topic("scans", 3) == "north-scans-g3"
    assert cluster.group("trail", "scans") == "north-trail"
    assert cluster.group("trail", "receipts") == "north-trail-receipts"
