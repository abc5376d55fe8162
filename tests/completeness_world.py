"""Sources that mint, send and lose, with the truth of it beside, for the tests of the audit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingest.receipt_making import merged, word_of
from ledger.completeness.findings import Beside, Finding, Where, findings_of
from ledger.completeness.sources import Recorded, SourceKey, Sources
from ledger.v1.ingest_service_pb2 import SourceProgress
from ledger.v1.receipt_pb2 import RECEIPT_KIND_BATCH, Receipt
from ledger.v1.refused_scan_pb2 import RefusedScan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

START_NS = 1_790_000_000_000_000_000
MINUTE_NS = 60 * 1_000_000_000


@dataclass
class Spool:
    """One spool of a source, as it really is."""

    key: SourceKey
    minted: int = 0
    told: set[int] = field(default_factory=set)
    """The outcomes that the source was told."""
    recorded: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)

    @property
    def acked(self) -> int:
        """Up to where the source was told all outcomes."""
        return next((n - 1 for n in range(1, self.minted + 2) if n not in self.told), 0)


@dataclass
class World:
    """Sources, the network, and what lies in the logs."""

    now_ns: int = START_NS
    spools: list[Spool] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    refusals: list[RefusedScan] = field(default_factory=list)
    records: list[Recorded] = field(default_factory=list)

    def spool(self, source: int) -> Spool:
        """The spool that a source uses now."""
        name = f"gate-{source}"
        mine = [one for one in self.spools if one.key.source_id == name]
        return mine[-1] if mine else self.new_spool(source)

    def new_spool(self, source: int) -> Spool:
        """The source lost its spool, with all that it had not sent, and begins another one."""
        spool = Spool(SourceKey(f"gate-{source}", len(self.spools).to_bytes(16, "big")))
        self.spools.append(spool)
        return spool

    def send(
        self, spool: Spool, span: tuple[int, int], bad: set[int], *, receipt: bool, result: bool
    ) -> None:
        """A batch arrives. Its receipt may be lost, and so may its result on the way back."""
        first, last = span[0], min(span[1], spool.minted)
        if first > last:
            return
        sent = set(range(first, last + 1))
        refused = {n for n in sent & bad if n not in spool.recorded} | sent & spool.refused
        spool.refused |= refused
        spool.recorded |= sent - refused
        for number in sorted(sent):
            if number in refused:
                self.refusals.append(
                    RefusedScan(
                        source_id=spool.key.source_id,
                        spool_id=spool.key.spool_id,
                        sequence=number,
                        record_time_ns=self.now_ns,
                    )
                )
            else:
                self.records.append(Recorded(spool.key, number, self.now_ns, "DEFRAA"))
        if result:
            spool.told |= sent
        if receipt:
            one = Receipt(
                kind=RECEIPT_KIND_BATCH,
                source_id=spool.key.source_id,
                spool_id=spool.key.spool_id,
                minted_through=spool.minted,
                time_ns=self.now_ns,
            )
            for numbers, parts in ((sent - refused, one.durable), (refused, one.refused)):
                for number in sorted(numbers):
                    parts.add(first=number, last=number)
            self.receipts.append(one)

    def speak(self, spool: Spool) -> None:
        """The source says how far it is, on opening or in a heartbeat."""
        said = SourceProgress(
            source_id=spool.key.source_id,
            spool_id=spool.key.spool_id,
            minted_through=spool.minted,
            acked_through=spool.acked,
        )
        self.receipts.append(word_of(said, now_ns=self.now_ns, principal="anonymous"))

    def merge(self, count: int) -> None:
        """The last receipts could not be written at once, and became fewer."""
        self.receipts[-count:] = merged(self.receipts[-count:])

    def audited(self, *, with_records: bool) -> tuple[Sources, Beside]:
        """What the audit makes of the logs."""
        sources = Sources()
        for receipt in self.receipts:
            sources.take_receipt(receipt)
        for refusal in self.refusals:
            sources.take_refusal(refusal)
        for record in self.records if with_records else ():
            sources.take_record(record, is_looked_at=True)
        for _, source in sources.all() if with_records else ():
            source.compare()
        looked_ns = self.now_ns + MINUTE_NS if with_records else 0
        return sources, Beside({}, {}, {}, looked_ns)


def found(sources: Sources, beside: Beside) -> Sequence[Finding]:
    """All findings of all sources."""
    return [one for key, source in sources.all() for one in findings_of(key, source, beside)]


def numbers(findings: Iterable[Finding], *where: Where) -> set[tuple[SourceKey, int]]:
    """Every sequence that is found there. None may be found twice."""
    listed = [
        (one.source, number)
        for one in findings
        if one.where in where
        for number in range(one.first, one.last + 1)
    ]
    assert len(listed) == len(set(listed))
    return set(listed)
