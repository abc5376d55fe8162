"""What we write and read of Kafka's protocol ourselves is what aiokafka would write and read."""

from io import BytesIO

import aiokafka
import pytest
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.metadata import MetadataRequest_v5
from aiokafka.protocol.produce import ProduceRequest_v7, ProduceResponse_v7

from ledger.backends.kafka_answers import Verdict, judge
from ledger.backends.kafka_wire import ACKS_ALL, PRODUCE_ANSWER_MS, Produced, produce


class Listening:
    """Takes the request that would be sent."""

    async def send(self, _node: int, request: object) -> object:
        """Keep it."""
        self.request = request
        return []


async def requested() -> object:
    """A produce request for two partitions."""
    client = Listening()
    await produce(client, 1, "scans-g1", [(0, bytearray(b"zero")), (31, bytearray(b"last one"))])
    return client.request


async def test_a_produce_request_is_aiokafkas() -> None:
    """The request has the same bytes as the one that aiokafka's own code makes."""
    request = await requested()
    batches = [(0, b"zero"), (31, b"last one")]
    theirs = ProduceRequest_v7(None, ACKS_ALL, PRODUCE_ANSWER_MS, [("scans-g1", batches)])

    ours = request.prepare({0: (3, 13)})  # type: ignore[attr-defined]

    assert ours.encode() == theirs.encode()
    header = theirs.build_request_header(5, "client")
    assert ours.build_request_header(5, "client").encode() == header.encode()


async def test_an_answer_is_read_like_aiokafka_does() -> None:
    """What a broker answers for each partition is what aiokafka's own code reads."""
    request = await requested()
    answer = ProduceResponse_v7([("scans-g1", [(0, 0, 77, -1, 5), (31, 19, -1, -1, -1)])], 0)

    results = request.RESPONSE_TYPE.decode(BytesIO(answer.encode()))  # type: ignore[attr-defined]

    assert list(results) == [Produced(0, 0, 77), Produced(31, 19, -1)]


async def test_a_broker_of_another_age_is_named() -> None:
    """A broker that no longer knows our version of the request is an error that says so."""
    request = await requested()

    with pytest.raises(IncompatibleBrokerVersion, match="8 to 13"):
        request.prepare({0: (8, 13)})  # type: ignore[attr-defined]


def test_asking_about_a_topic_never_makes_it() -> None:
    """Every client of aiokafka in this process asks without the wish to have the topic made."""
    request = aiokafka.client.MetadataRequest(["scans-g1"]).build(MetadataRequest_v5)

    assert request.allow_auto_topic_creation is False


@pytest.mark.parametrize(
    ("code", "offset", "verdict"),
    [
        (0, 0, Verdict.KEPT),
        (0, -1, Verdict.PERHAPS_KEPT),
        (46, -1, Verdict.PERHAPS_KEPT),
        (-1, -1, Verdict.PERHAPS_KEPT),
        (12_345, -1, Verdict.PERHAPS_KEPT),
        (19, -1, Verdict.TRY_AGAIN),
        (20, -1, Verdict.TRY_AGAIN_PERHAPS_KEPT),
        (6, -1, Verdict.TRY_AGAIN_PERHAPS_KEPT),
        (7, -1, Verdict.TRY_AGAIN_PERHAPS_KEPT),
        (10, -1, Verdict.NOT_KEPT),
        (45, -1, Verdict.NOT_KEPT),
    ],
)
def test_an_answer_is_judged(code: int, offset: int, verdict: Verdict) -> None:
    """Only an offset means success; only what is refused before it is written is surely not kept;
    what nobody knows is perhaps kept.
    """
    assert judge(code, offset) == verdict
