"""One alert: when it rings, and what to do then."""

from __future__ import annotations

from typing import NamedTuple

CRITICAL = "critical"
WARNING = "warning"


class Alert(NamedTuple):
    """One rule."""

    name: str
    expr: str
    held: str
    """How long it has to be true."""
    severity: str
    summary: str
    """What it is, in one line."""
    action: str
    """What to do."""
