"""What may be refused by who sends it: one ledger has strict partners and scanners that see all.

By default nothing is: a label with a wrong check digit was scanned all the same, so it is recorded,
and every answer flags it. Where the policy refuses it, it is kept among the refused scans.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class AdmissionPolicy:
    """Which sources may not send numbers with a wrong check digit. Asked once a batch."""

    def __init__(self, strict_sources: Sequence[str] = ()) -> None:
        """`strict_sources` are source ids, in which `*` stands for any text."""
        expression = "|".join(map(_expression, strict_sources))
        self._strict = re.compile(expression, re.DOTALL) if expression else None

    def refuses_check_digits(self, source_id: str) -> bool:
        """Whether a wrong check digit of this source is refused."""
        return self._strict is not None and self._strict.fullmatch(source_id) is not None


def _expression(pattern: str) -> str:
    return ".*".join(map(re.escape, pattern.split("*")))
