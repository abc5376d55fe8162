"""Issuing tracking numbers: blocks of new ones, none of them twice within its retention.

`number_ranges` reads what may be issued, `turns` is the arithmetic, `number_blocks` the port in
which it is kept, and `issuer` carries a request through it.
"""

from ledger.issuing.issuer import BlockRequest, Issuer
from ledger.issuing.number_blocks import NumberBlocks
from ledger.issuing.number_ranges import Range, load_ranges

__all__ = ["BlockRequest", "Issuer", "NumberBlocks", "Range", "load_ranges"]
