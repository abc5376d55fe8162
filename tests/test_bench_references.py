"""The bench's references: Kafka's output read right, rows cut as Cassandra takes them."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.bench.java_producer import PAYLOADS, parsed, write_payloads
from loadtest.bench.loader_rows import BATCH_BYTES_MAX, ROW_BYTES, Row, cut

WARM_AND_COLD = """\
1000000 records sent, 200000.0 records/sec (28.61 MB/sec), 812.3 ms avg latency, 1312.0 ms max latency.
2000000 records sent, 400000.0 records/sec (57.22 MB/sec), 312.3 ms avg latency, 412.0 ms max latency.
1500000 records sent, 300000.0 records/sec (42.92 MB/sec), 312.3 ms avg latency, 412.0 ms max latency.
4600000 records sent, 302631.6 records/sec (43.29 MB/sec), 401.53 ms avg latency, 1312.00 ms max latency, 401 ms 50th, 601 ms 95th, 801 ms 99th, 901 ms 99.9th.
"""  # noqa: E501 - as it prints it.


def test_the_first_window_of_kafkas_producer_is_left_out() -> None:
    """Its Java is still compiling there; what counts is all that came later over its time."""
    run = parsed("[main] INFO something\n" + WARM_AND_COLD)

    assert run.records_per_s == pytest.approx(3_600_000 / 10.2)
    assert run.warm_s == pytest.approx(10.2)


def test_a_short_run_of_kafkas_producer_is_taken_whole() -> None:
    """Over before it was warm, it counts as a whole, and says so."""
    run = parsed(WARM_AND_COLD.splitlines()[-1])

    assert run.records_per_s == pytest.approx(302_631.6)
    assert run.warm_s == 0


def test_a_producer_that_prints_no_figures_is_an_error() -> None:
    """A run that went wrong without an exit code is not taken for a slow one."""
    with pytest.raises(RuntimeError, match="no figures"):
        parsed("org.apache.kafka.common.errors.TimeoutException: Topic not present")


def test_payloads_are_as_long_as_our_records(tmp_path: Path) -> None:
    """One record a line, of the lengths that were seen in our topic, and of no other."""
    write_payloads(tmp_path / "payloads", [130, 260])

    lines = (tmp_path / "payloads").read_text(encoding="ascii").splitlines()
    assert len(lines) == PAYLOADS
    assert {len(line) for line in lines} == {130, 260}


rows = st.lists(
    st.builds(
        lambda key, size: (b"%d" % key, b"o" * 32, b"r" * size, b"t" * 8),
        st.integers(0, 30),
        st.integers(0, 3_000),
    ),
    max_size=200,
)


@given(rows, st.sampled_from([1, 7, 50]))
def test_batches_have_rows_of_one_group_and_are_not_too_large(
    found: list[Row], rows_max: int
) -> None:
    """No row is left out or doubled, none is with rows of other replicas, all fit the server."""
    batches = cut(found, rows_max, lambda key: int(key) % 3)

    assert sorted(row for batch in batches for row in batch) == sorted(found)
    for batch in batches:
        assert 0 < len(batch) <= rows_max
        assert len({int(row[0]) % 3 for row in batch}) == 1
        assert sum(sum(map(len, row)) + ROW_BYTES for row in batch) <= BATCH_BYTES_MAX


def test_rows_of_a_group_stay_in_their_order() -> None:
    """The loader writes rows in the order in which the writer had them."""
    choose = random.Random(5)
    found = [(b"%d" % choose.randrange(9), b"%06d" % n, b"r", b"t" * 8) for n in range(1_000)]

    batches = cut(found, 20, lambda key: int(key) % 2)

    for group in (0, 1):
        orders = [row[1] for batch in batches for row in batch if int(row[0]) % 2 == group]
        assert orders == sorted(orders)
