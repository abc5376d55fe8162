"""The rights that the guide gives each role in Cassandra, typed as they stand there: they are
enough for what the role does, and `query` cannot write with its own.
"""

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ledger.app.engines import Cassandra, CassandraOptions
from ledger.backends.cassandra_cluster import CassandraCluster
from ledger.backends.cassandra_connect import open_session
from ledger.backends.cassandra_nodes import SETTLE_AT_LEAST_S
from ledger.backends.cassandra_schema import check_schema, create_schema
from ledger.backends.numbers_cassandra import open_cassandra_numbers
from ledger.errors import Busy, NotPossibleNow, Refused
from ledger.issuing import Issuer
from tests.cassandra_stores import QUICK, cluster_of, in_thread, opened_store, run_cql
from tests.contracts.patience import unique
from tests.contracts.store_under_test import everything, mark, row, stored
from tests.deployment import DEPLOY
from tests.engines import running
from tests.number_blocks import small_range, wanted

pytestmark = pytest.mark.engines

FIRST_USER = "cassandra"
FIRST_USER_WITHIN_S = 60.0
UNTOLD_S = 60.0
"""What the settings say of nodes that do not tell their period: not what this one has."""


def statements() -> tuple[list[str], list[str]]:
    """The guide's CQL: what comes before the keyspace is there, and what comes after."""
    (block,) = re.findall(r"(?ms)^ *```sql\n(.*?)```", (DEPLOY / "README.md").read_text())
    before, after = block.split("-- Once the keyspace is there:")
    return statements_of(before), statements_of(after)


def statements_of(text: str) -> list[str]:
    """Single statements."""
    lines = [line for line in text.splitlines() if not line.strip().startswith("--")]
    return [one.strip() for one in "\n".join(lines).split(";") if one.strip()]


@pytest.fixture(scope="module")
def first_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CassandraCluster]:
    """A Cassandra that asks who comes, as its first user sees it; nothing else is there."""
    options = CassandraOptions(
        entries={
            "authenticator": {"class_name": "PasswordAuthenticator"},
            "authorizer": {"class_name": "CassandraAuthorizer"},
            "role_manager": {"class_name": "CassandraRoleManager"},
            "permissions_validity": "0ms",  # Else a right that was given counts after two seconds.
        },
        java_arguments=["-Dcassandra.superuser_setup_delay_ms=0"],
    )
    with running(Cassandra(tmp_path_factory.mktemp("cassandra"), options=options)) as cassandra:
        cluster = replace(
            cluster_of(cassandra),
            keyspace="parcel_ledger",
            user=FIRST_USER,
            password=FIRST_USER,
            commitlog_sync_s=UNTOLD_S,
        )
        in_thread(lambda: let_in(cluster))
        yield cluster


async def let_in(cluster: CassandraCluster) -> None:
    """Wait until the node has made its first user."""
    async with asyncio.timeout(FIRST_USER_WITHIN_S):
        while True:
            try:
                async with open_session(cluster, generation=1):
                    return
            except (Busy, Refused):
                await asyncio.sleep(0.5)


async def test_the_rights_of_the_guide_are_enough_and_no_more(
    first_user: CassandraCluster,
) -> None:
    """`init` makes and checks everything, a writer writes and reads, `query` reads, issues numbers
    and is refused when it writes rows; who has no right yet is told so. For a rebuilding a writer
    is told what somebody has to apply, and it is enough.
    """
    before, after = statements()

    def user(role: str) -> CassandraCluster:
        return replace(first_user, user=f"parcel_ledger_{role}", password="...")  # noqa: S106

    await run_cql(first_user, *before)
    with pytest.raises(Refused, match="may not"):
        await create_schema(user("query"), generation=1)
    made = await create_schema(user("init"), generation=1)
    faults = await check_schema(user("init"), generation=1)
    with pytest.raises(Refused, match="may not"):
        async with opened_store(user("writer")):
            pass
    await run_cql(first_user, *after)

    assert "parcel_ledger" in made
    assert faults == []
    key = unique()
    rows = [row(key, time) for time in range(20)]
    async with opened_store(user("writer")) as store:
        assert store.settle_after_s == SETTLE_AT_LEAST_S
        await store.put(rows)
        await store.put_marks("trail", [mark("scans", 3)])
        assert await store.marks("trail") == [mark("scans", 3)]
    async with opened_store(user("writer"), looks=QUICK) as store:
        with pytest.raises(NotPossibleNow, match="may not") as told:
            await store.generations.begin()
        _, _, cql = told.value.message.partition("type the same again: ")
        await run_cql(first_user, cql)
        building = await store.generations.begin()
        await building.put(rows)
        await store.generations.serve(building.generation)
        with pytest.raises(NotPossibleNow, match=r"DROP TABLE IF EXISTS parcel_ledger\.rows_s1;"):
            await store.generations.drop(1)
        assert (await store.generations.standing()).kept == [1]
    async with opened_store(user("query")) as store:
        assert await everything(store, key) == stored(rows)
        with pytest.raises(Refused, match="may not"):
            await store.put(rows)
    async with open_cassandra_numbers(user("query"), monotonic=time.monotonic) as numbers:
        issuer = Issuer(numbers, [small_range(9)], now_ns=time.time_ns)
        assert (await issuer.issue(wanted(3))).count == 3
