"""Free ports on this machine, outside the range from which the system gives ports to clients.

What is down keeps its ports for its return, and between the choice of a port and its use there is
time. A port that the system may give to a client could be taken meanwhile, even by a client that
tries to reach what is down and so connects to itself.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from ledger.app.exits import CommandFailed

PORTS: Final = range(20_000, 32_768)
"""Where ports are looked for: below the range that Linux gives to clients by default."""

TRIES_MAX: Final = 1_000
"""Ports that are looked at before it is said that none is free."""

CLIENT_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""Where Linux says which ports it gives to clients."""


def free_ports(
    count: int,
    hosts: Sequence[str] = ("127.0.0.1",),
    *,
    below: Callable[[int], int] = secrets.randbelow,
) -> list[int]:
    """Give ports that nothing listens on, at any of the hosts.

    `below` gives a random number below its argument. Raises CommandFailed where none is found.
    """
    ports = _range()
    found: list[int] = []
    with ExitStack() as held:
        for _ in range(TRIES_MAX):
            if len(found) == count:
                return found
            port = ports[below(len(ports))]
            with ExitStack() as taken:
                try:
                    for host in hosts:
                        taken.enter_context(_listener(host, port))
                except OSError:
                    continue
                held.push(taken.pop_all())
                found.append(port)
    raise CommandFailed(
        f"No {count} free ports from {ports.start} to {ports.stop - 1} on {', '.join(hosts)}. "
        f"See what listens there: ss -ltnp"
    )


def free_port() -> int:
    """Give one port of 127.0.0.1 that nothing listens on."""
    return free_ports(1)[0]


def _listener(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _range() -> range:
    """Avoid what clients are given; where that leaves too little, take the usual place."""
    try:
        lowest = int(CLIENT_RANGE.read_text().split()[0])
    except (OSError, ValueError):
        return PORTS
    below = range(PORTS.start, min(PORTS.stop, lowest))
    return below if len(below) >= TRIES_MAX else PORTS
