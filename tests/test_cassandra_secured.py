"""A Cassandra that asks who comes: TLS both ways, passwords, and users with few rights."""

import asyncio
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.app.engines import Cassandra, CassandraOptions
from ledger.backends.cassandra_cluster import CassandraCluster
from ledger.backends.cassandra_nodes import SETTLE_AT_LEAST_S
from ledger.backends.cassandra_schema import check_schema, create_schema
from ledger.errors import Busy, LedgerError, Refused
from tests.cassandra_stores import cluster_of, in_thread, opened_store, run_cql
from tests.contracts.patience import unique
from tests.contracts.store_under_test import everything, mark, row, stored
from tests.engines import running

pytestmark = pytest.mark.engines

SILENT_S = 7.0
"""What the settings say of nodes that do not tell their period."""

READY_S = 60.0
"""Longest time until the node has made its first user."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, what it signed for nodes and for us, and another authority."""
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    for name in ("ca", "other"):
        openssl(folder, f"req -x509 {KEY} -keyout {name}.key -out {name}.pem -subj /CN={name}")
    for name in ("node", "us"):
        openssl(folder, f"req {KEY} -keyout {name}.key -out {name}.csr -subj /CN={name}")
        openssl(
            folder,
            f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
            f"-extfile names -out {name}.crt",
        )
    both = (folder / "node.key").read_text() + (folder / "node.crt").read_text()
    (folder / "node.pem").write_text(both)
    return folder


KEY = "-newkey rsa:2048 -nodes -days 2"


def openssl(folder: Path, command: str) -> None:
    """Run a command of OpenSSL, which every system with certificates has."""
    subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def admin(
    tmp_path_factory: pytest.TempPathFactory, certificates: Path
) -> Iterator[CassandraCluster]:
    """The cluster as its first user sees it; beside it a user who writes and one who reads."""
    entries = {
        "authenticator": {"class_name": "PasswordAuthenticator"},
        "authorizer": {"class_name": "CassandraAuthorizer"},
        "role_manager": {"class_name": "CassandraRoleManager"},
        "client_encryption_options": {
            "enabled": True,
            "optional": False,
            "require_client_auth": True,
            "ssl_context_factory": {
                "class_name": "org.apache.cassandra.security.PEMBasedSslContextFactory"
            },
            "keystore": str(certificates / "node.pem"),
            "truststore": str(certificates / "ca.pem"),
        },
    }
    options = CassandraOptions(
        entries=entries, java_arguments=["-Dcassandra.superuser_setup_delay_ms=0"]
    )
    with running(Cassandra(tmp_path_factory.mktemp("cassandra"), options=options)) as cassandra:
        cluster = replace(
            cluster_of(cassandra),
            tls_ca=certificates / "ca.pem",
            tls_cert=certificates / "us.crt",
            tls_key=certificates / "us.key",
            user="cassandra",
            password="cassandra",  # noqa: S106
            commitlog_sync_s=SILENT_S,
        )
        in_thread(lambda: prepare(cluster))
        yield cluster


async def prepare(cluster: CassandraCluster) -> None:
    """Make schema and users, once the node has its first user."""
    async with asyncio.timeout(READY_S):
        while True:
            try:
                await create_schema(cluster, generation=1)
                break
            except (Busy, Refused):
                await asyncio.sleep(0.5)
    await run_cql(
        cluster,
        "CREATE ROLE writer WITH PASSWORD = 'write' AND LOGIN = true",
        "CREATE ROLE reader WITH PASSWORD = 'read' AND LOGIN = true",
        "GRANT SELECT ON KEYSPACE $keyspace TO writer",
        "GRANT MODIFY ON KEYSPACE $keyspace TO writer",
        "GRANT SELECT ON KEYSPACE $keyspace TO reader",
    )


async def test_a_user_with_rights_does_everything(admin: CassandraCluster) -> None:
    """Over TLS, with a certificate and a password, a store is read and written as any other."""
    key, rows = unique(), []
    rows = [row(key, time) for time in range(300)]
    writer = replace(admin, user="writer", password="write")  # noqa: S106

    async with opened_store(writer) as store:
        await store.put(rows)
        await store.put_marks("secured", [mark("scans", 3)])

        assert await everything(store, key) == stored(rows)
        assert await store.marks("secured") == [mark("scans", 3)]
        assert len(await store.lives()) == 1


async def test_a_node_that_tells_nothing_is_taken_as_the_settings_say(
    admin: CassandraCluster,
) -> None:
    """Who may not read a node's settings goes by its own; who may, by the node's."""
    writer = replace(admin, user="writer", password="write")  # noqa: S106

    async with opened_store(admin) as told, opened_store(writer) as silent:
        assert told.settle_after_s == SETTLE_AT_LEAST_S
        assert silent.settle_after_s == 2 * SILENT_S


async def test_to_look_needs_to_read_and_no_more(admin: CassandraCluster) -> None:
    """Who may only read finds the schema right, reads trails, and is told that it may not write."""
    reader = replace(admin, user="reader", password="read")  # noqa: S106

    assert await check_schema(reader, generation=1) == []
    async with opened_store(reader) as store:
        assert await everything(store, unique()) == []
        with pytest.raises(Refused, match="may not do this"):
            await store.put_marks("secured", [mark("scans", 9)])
        with pytest.raises(Refused, match="may not do this"):
            await store.put([row(unique(), 1)])


async def test_strangers_are_told_why(admin: CassandraCluster, certificates: Path) -> None:
    """A wrong password, a wrong authority and a missing certificate are refused as what they are,
    the last as soon as the node's word comes before its end; who speaks no TLS is not answered.
    """
    strangers: list[tuple[CassandraCluster, type[LedgerError], str]] = [
        (replace(admin, password="wrong"), Refused, "STORE_LOGIN_FAILED"),  # noqa: S106
        (replace(admin, tls_ca=certificates / "other.pem"), Refused, "STORE_TLS_FAILED"),
        (replace(admin, tls_cert=None, tls_key=None), Refused, "STORE_TLS_FAILED"),
        (replace(admin, tls_ca=None, tls_cert=None, tls_key=None), Busy, "STORE_UNREACHABLE"),
    ]

    for stranger, kind, reason in strangers:
        error = await told(stranger)
        for _ in range(20):
            if "see `cassandra_tls_cert`" not in error.message:
                break
            assert (error.reason, kind) == ("STORE_UNREACHABLE", Refused)
            error = await told(stranger)
        assert (type(error), error.reason) == (kind, reason)
        assert "wrong" not in error.message


async def told(stranger: CassandraCluster) -> LedgerError:
    """What somebody is told who tries to get in."""
    with pytest.raises(LedgerError) as error:
        await check_schema(stranger, generation=1)
    return error.value
