"""The command line `parcel-ledger`: which commands there are, and how a command ends.

It ends with an exit code of `ledger.app.exits` and, where something is wrong, one line that says
what to do; never with a stack trace (Python's development mode, `python -X dev`, shows it).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version as version_of

from cyclopts import App, CycloptsError, Group

from ledger.app.commands.agent import agent
from ledger.app.commands.alias import alias
from ledger.app.commands.backup import backup, restore
from ledger.app.commands.compare import compare
from ledger.app.commands.completeness import app as completeness
from ledger.app.commands.contents import contents
from ledger.app.commands.demo import demo
from ledger.app.commands.engines import engines
from ledger.app.commands.explain import explain
from ledger.app.commands.facility import facility
from ledger.app.commands.gateway import app as gateway
from ledger.app.commands.hammer import hammer
from ledger.app.commands.init import init
from ledger.app.commands.jobs import jobs
from ledger.app.commands.mapping import mapping
from ledger.app.commands.number import number
from ledger.app.commands.progress import progress
from ledger.app.commands.quarantine import quarantine
from ledger.app.commands.rebuild import rebuild
from ledger.app.commands.refusals import refusals
from ledger.app.commands.roles import ingest, query, writer
from ledger.app.commands.send import send
from ledger.app.commands.settings import settings
from ledger.app.commands.status import status
from ledger.app.commands.texts import texts
from ledger.app.commands.trail import trail
from ledger.app.commands.unmapped import unmapped
from ledger.app.commands.up import up
from ledger.app.commands.version import version
from ledger.app.commands.watch import watch
from ledger.app.exits import DIVERGED, DONE, FAILED, CommandFailed
from ledger.app.help_text import let_terminals_break
from ledger.errors import Diverged, LedgerError

GROUPS = {
    name: Group(name, sort_key=place)
    for place, name in enumerate(("run", "send", "ask", "operate", "flags"))
}
"""How --help sorts the commands."""

app = App(
    name="parcel-ledger",
    help="A ledger of parcel scans: what sorting-facility scanners saw, and what happened to one "
    "parcel, in order.\n\nBegin with `parcel-ledger demo`, or with `parcel-ledger up` in one "
    "terminal and `parcel-ledger send scans.csv` in another.",
    version=lambda: version_of("parcel-ledger"),
    help_format="plaintext",  # Markdown costs a third of a second.
)
app["--help"].group = app["--version"].group = GROUPS["flags"]
for _command, _group in (
    (up, "run"),
    (ingest, "run"),
    (writer, "run"),
    (query, "run"),
    (init, "operate"),
    (send, "send"),
    (status, "ask"),
    (contents, "ask"),
    (agent, "ask"),
    (trail, "ask"),
    (explain, "ask"),
    (watch, "ask"),
    (progress, "ask"),
    (alias, "operate"),
    (compare, "operate"),
    (backup, "operate"),
    (restore, "operate"),
    (refusals, "operate"),
    (unmapped, "operate"),
    (demo, "operate"),
    (hammer, "operate"),
    (settings, "operate"),
    (version, "operate"),
):
    app.command(_command, group=GROUPS[_group])
for _asking in (completeness, number, facility):
    _asking.group = (GROUPS["ask"],)
    app.command(_asking)
gateway.group = (GROUPS["run"],)
app.command(gateway)
for _several in (engines, quarantine, jobs, rebuild, mapping, texts):
    _several.group = (GROUPS["operate"],)
    app.command(_several)
let_terminals_break(app)


def main(tokens: Sequence[str] | None = None) -> None:
    """Run one command and end the process."""
    sys.exit(run(tokens))


def run(tokens: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    try:
        code = app(tokens, result_action="return_value", exit_on_error=False)
    except CycloptsError:
        return FAILED  # It has been printed.
    except CommandFailed as failure:
        return _say(str(failure), failure.code)
    except LedgerError as error:
        return _say(error.message, DIVERGED if isinstance(error, Diverged) else FAILED)
    except BrokenPipeError:
        # Whoever read the answer has had enough. Python would complain when it flushes the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        return _say(
            f"This program met an error of its own: {type(error).__name__}: {error}", FAILED
        )
    return code if isinstance(code, int) else DONE


def _say(message: str, code: int) -> int:
    print(f"parcel-ledger: {message}", file=sys.stderr)  # noqa: T201 - the person's answer.
    return code


if __name__ == "__main__":
    main()
