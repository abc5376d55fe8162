"""What the exit codes of all commands mean; scripts hang on them, so they never change."""

from typing import Final

DONE: Final = 0
"""All went well. A number that was never scanned is an answer, not an error."""

REFUSED: Final = 1
"""Something was refused: lines of a file, a number that no item can have, a failed demo."""

FAILED: Final = 2
"""Nothing could be done, or not all: a wrong flag or setting, no ledger there, not all sent."""

DIVERGED: Final = 3
"""What is stored is not what was stored before. A person has to look before it goes on."""

INCOMPLETE: Final = 4
"""The answer is there, and something is missing: scans that never arrived, or are in no trail."""


class CommandFailed(Exception):
    """Ends a command with one line for a person and an exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code
