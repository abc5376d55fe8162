"""Numbers are issued by several query processes on Cassandra, which are killed meanwhile."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from ledger.app.exits import DONE
from tests.number_clients import Clients, judge, write_ranges
from tests.roles import RoleProcess, point
from tests.scale import scaled
from tests.shells import typed

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.app.engines import Cassandra

pytestmark = pytest.mark.timeout(scaled(600, soak=3_600))

KILLS = scaled(4, soak=40)


def test_issuers_are_killed_and_repeat_no_number(tmp_path: Path, one_cassandra: Cassandra) -> None:
    """Two processes issue from one range; one after the other is killed with -9 while clients ask
    both for the same requests: no number is in two blocks, and each request has one.
    """
    ranges = write_ranges(tmp_path)
    config = point(tmp_path, one_cassandra, cassandra_keyspace="issuing", number_ranges=str(ranges))
    assert typed("init", "--config", config).code == DONE
    with RoleProcess("query", config) as one, RoleProcess("query", config) as two:
        for process in (one, two):
            process.wait_ready()
        clients = Clients([one.address, two.address])
        for kill in range(KILLS):
            time.sleep(1)
            process = (one, two)[kill % 2]
            process.end(signal.SIGKILL)
            process.start()
            process.wait_ready()
        time.sleep(1)
        asked = clients.stop()
        listed = typed("number", "ranges", "--server", two.address)

    judge(asked)
    taken = int(listed.answer.splitlines()[1].split()[4].replace(",", ""))
    assert taken >= sum(one.request.count for one in asked)
