"""The HTTP server beside every process: metrics, life and readiness, with limits."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection, HTTPException

import pytest

from ledger.app import endpoint
from ledger.app.endpoint import REQUESTS_MAX, endpoint_at
from ledger.app.health import STUCK_S, Health
from ledger.errors import Refused


class Clock:
    """A clock that stands still until it is moved."""

    now_s = 0.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """The clock of the process's health."""
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    """The health that is shown."""
    return Health("query", engines=("store",), monotonic=clock)


@pytest.fixture
def address(health: Health) -> Iterator[str]:
    """Where it is shown."""
    with endpoint_at("127.0.0.1:0", health) as found:
        yield found


def get(address: str, path: str, method: str = "GET") -> tuple[int, str]:
    """Give status and body of a page."""
    with closing(HTTPConnection(address, timeout=10)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_readiness_says_why_not(address: str, health: Health) -> None:
    """503 with the reasons, 200 without any."""
    health.serves()
    health.lost("store", "No node answers.")
    status, body = get(address, "/ready")
    health.found("store")

    assert status == 503
    assert json.loads(body) == {
        "ready": False,
        "role": "query",
        "why_not": {"store": "No node answers."},
    }
    assert get(address, "/ready")[0] == 200


def test_life_is_the_loops_beat_and_nothing_else(
    address: str, health: Health, clock: Clock
) -> None:
    """A process that is not ready lives; one whose loop is stuck does not."""
    health.lost("store", "No node answers.")
    alive = get(address, "/live")
    clock.now_s = STUCK_S
    stuck = get(address, "/live")

    assert alive[0] == 200
    assert json.loads(alive[1]) == {"live": True, "role": "query", "last_beat_s_ago": 0.0}
    assert stuck[0] == 503
    assert not json.loads(stuck[1])["live"]


def test_metrics_are_prometheus_text(address: str) -> None:
    """Version and role are among them."""
    status, body = get(address, "/metrics")

    assert status == 200
    assert "# TYPE ledger_ready gauge" in body


def test_other_pages_and_methods_are_refused(address: str) -> None:
    """With words."""
    assert get(address, "/") == (
        404,
        '{"error": "there is no such page", "pages": ["/metrics", "/live", "/ready"]}\n',
    )
    assert get(address, "/ready", "POST")[0] == 405
    assert get(address, "/metrics", "DELETE")[0] == 405


def test_silent_clients_take_no_more_than_their_places(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those beyond are hung up on, and after a while everybody is answered again."""
    monkeypatch.setattr(endpoint._Handler, "timeout", 1.0)
    host, port = address.split(":")
    threads = threading.active_count()
    until_s = time.monotonic() + 20
    with ExitStack() as stack:
        for _ in range(REQUESTS_MAX):
            stack.enter_context(socket.create_connection((host, int(port))))
        while threading.active_count() < threads + REQUESTS_MAX:
            assert time.monotonic() < until_s
            time.sleep(0.001)
        with pytest.raises((OSError, HTTPException)):
            get(address, "/live")
        status = 0
        while status != 200:
            assert time.monotonic() < until_s
            with suppress(OSError, HTTPException):
                status, _ = get(address, "/live")


def test_an_address_of_ipv6(health: Health) -> None:
    """Stands in brackets, before and after."""
    with endpoint_at("[::1]:0", health) as address:
        assert address.startswith("[::1]:")
        assert get(address, "/live")[0] == 200


def test_an_empty_address_is_off(health: Health) -> None:
    """Nothing listens."""
    with endpoint_at("", health) as address:
        assert not address


def test_an_address_that_is_taken_is_refused(address: str, health: Health) -> None:
    """It is named, and what to do."""
    with pytest.raises(Refused, match=address) as caught, endpoint_at(address, health):
        pass

    assert caught.value.reason == "ADDRESS_NOT_FREE"
    assert "--metrics" in caught.value.message
