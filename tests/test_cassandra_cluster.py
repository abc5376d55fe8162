"""What a deployment may say of its Cassandra, and what is refused at once."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from ledger.backends.cassandra_cluster import CassandraCluster
from ledger.backends.cassandra_schema import schema_statements
from ledger.errors import Refused

USUAL = CassandraCluster(contact_points=("10.0.0.1",), user="us", password="a secret")  # noqa: S106


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"contact_points": ()}, "cassandra_contact_points"),
        ({"keyspace": "Trails"}, "cassandra_keyspace"),
        ({"keyspace": "trails; DROP KEYSPACE x"}, "cassandra_keyspace"),
        ({"keyspace": "t" * 49}, "cassandra_keyspace"),
        ({"consistency": "ONE"}, "cassandra_consistency"),
        ({"replication": 0}, "cassandra_replication"),
        ({"tls_cert": Path("cert.pem")}, "cassandra_tls_cert"),
        ({"tls_key": Path("key.pem"), "tls_ca": Path("ca.pem")}, "cassandra_tls_cert"),
        ({"tls_key": Path("key.pem"), "tls_cert": Path("c.pem")}, "cassandra_tls_cert"),
    ],
)
def test_what_no_cluster_could_be_is_refused(changed: dict[str, Any], field: str) -> None:
    """A wrong setting is named when the cluster is described, before anything is reached."""
    with pytest.raises(Refused) as refused:
        dataclasses.replace(USUAL, **changed)

    assert refused.value.field == field


def test_the_password_is_shown_nowhere() -> None:
    """Whoever prints or logs a cluster does not print its password."""
    assert "secret" not in repr(USUAL)
    assert "secret" not in str(USUAL)
    assert "us" in repr(USUAL)


def test_certificates_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    """A file that is missing, or holds something else, is named."""
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")

    assert USUAL.tls() is None
    for path in (tmp_path / "missing.pem", wrong):
        with pytest.raises(Refused, match="tls_ca"):
            dataclasses.replace(USUAL, tls_ca=path).tls()


def test_the_schema_is_given_as_statements() -> None:
    """Keyspace, data centre, replication and generation are where they belong, ready to apply."""
    statements = schema_statements(dataclasses.replace(USUAL, data_centre="it's here"), 7)

    assert "'it''s here': 3" in statements[0]
    assert statements[0].startswith("CREATE KEYSPACE IF NOT EXISTS parcel_ledger")
    tables = [line for line in statements if line.startswith("CREATE TABLE IF NOT EXISTS")]
    assert [table.split()[5] for table in tables] == [
        *("parcel_ledger.rows_s7", "parcel_ledger.marks_s7", "parcel_ledger.progress_s7"),
        *("parcel_ledger.progress_times_s7", "parcel_ledger.number_spaces"),
        *("parcel_ledger.number_requests", "parcel_ledger.serving"),
    ]
    assert statements[-1].startswith("INSERT INTO parcel_ledger.serving")
    assert not [line for line in statements if "$" in line or "--" in line]


def test_a_schema_needs_a_data_centre() -> None:
    """Replication is set for a data centre, so it has to be named where none can be asked."""
    with pytest.raises(Refused) as refused:
        schema_statements(USUAL, 1)

    assert refused.value.field == "cassandra_data_centre"
