"""Reports whose pages are still asked for: all pages of an answer are cut from one report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.errors import NotPossibleNow

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.completeness.audit import Report

PAGED_S: Final = 300.0
"""For how many seconds a report is kept: whoever reads on does so at once."""

REPORTS_MAX: Final = 16
"""Most reports that are kept: as many people and programs read on at once."""

FINDINGS_MAX: Final = 200_000
"""Most findings of all reports that are kept, some 60 MB; the newest report is kept whatever it
has.
"""


class PagedReports:
    """The last reports with more than one page, by number."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        """`monotonic` gives seconds since any moment."""
        self._monotonic = monotonic
        self._kept: dict[int, tuple[float, Report]] = {}  # The oldest first.
        self._last = 0

    def keep(self, report: Report) -> int:
        """Keep a report; give its number, which no other one has, nor had before a restart."""
        self._last = max(self._last + 1, report.now_ns)
        self._kept[self._last] = self._monotonic(), report
        self._forget()
        return self._last

    def get(self, number: int) -> Report:
        """Give a report again. Raises NotPossibleNow where it is forgotten."""
        self._forget()
        if number not in self._kept:
            raise NotPossibleNow(
                "What the first page was cut from is not kept any more. Ask again without "
                "`page_token`.",
                reason="PAGE_TOKEN_EXPIRED",
                field="page_token",
            )
        return self._kept[number][1]

    def _forget(self) -> None:
        now_s = self._monotonic()
        findings = sum(len(report.findings) for _, report in self._kept.values())
        for number, (kept_s, report) in list(self._kept.items()):
            is_newest = len(self._kept) == 1
            is_too_much = len(self._kept) > REPORTS_MAX or findings > FINDINGS_MAX
            if now_s - kept_s > PAGED_S or (is_too_much and not is_newest):
                findings -= len(report.findings)
                del self._kept[number]
