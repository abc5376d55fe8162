"""How large a test is: modest in `make test`, as large as patience allows in `make soak`.

Read at import time too (for parametrize and Hypothesis), so the choice lies in the
environment; `pytest --soak` sets it before any test file is read.
"""

import os
from typing import TypeVar

SOAK_VARIABLE = "LEDGER_TESTS_SOAK"

SHARE: int = 50
"""`make test` runs at least one in so many of what `make soak` runs."""

T = TypeVar("T", int, float)


def is_soak() -> bool:
    """Whether this is `make soak`."""
    return os.environ.get(SOAK_VARIABLE) == "1"


def scaled(normal: T, *, soak: T) -> T:
    """The number for this run: `scaled(400, soak=20_000)`. A timeout in seconds is one, too."""
    assert soak <= SHARE * normal, f"make test has to run at least {soak / SHARE:g}"
    return soak if is_soak() else normal
