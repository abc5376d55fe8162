"""The small HTTP server of every process: /metrics for Prometheus, /live and /ready for whoever
watches over processes. It runs in threads of its own, so that it answers when the event loop does
not.
"""

from __future__ import annotations

import json
import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app

from ledger.app.health import Health
from ledger.app.settings import split_address
from ledger.errors import Refused
from ledger.metrics import REGISTRY

logger = logging.getLogger(__name__)

REQUESTS_MAX: Final = 16
"""Requests at once; more are hung up on. Prometheus and a balancer need two."""

REQUEST_S: Final = 5.0
"""Seconds that a client has to send its request and to take the answer."""

STOP_POLL_S: Final = 0.1
"""How often the server looks whether it is to end."""

_Start = Callable[[str, list[tuple[str, str]]], object]


@contextmanager
def endpoint_at(address: str, health: Health) -> Iterator[str]:
    """Answer at an address; give the address that it became. An empty one is off.

    Raises Refused where the address is not free.
    """
    if not address:
        yield ""
        return
    host, port = split_address("metrics", address)
    try:
        server = _Server(host, port, _application(health))
    except OSError as error:
        raise Refused(
            f"Cannot show metrics at {address}: {error.strerror}. Choose another address with "
            f"--metrics, or none with --metrics ''.",
            reason="ADDRESS_NOT_FREE",
            metadata={"address": address},
        ) from error
    thread = threading.Thread(
        target=server.serve_forever, args=(STOP_POLL_S,), name="endpoint", daemon=True
    )
    thread.start()
    try:
        shown = f"[{host}]" if ":" in host else host
        yield f"{shown}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _application(health: Health) -> Callable[[dict[str, Any], _Start], Iterable[bytes]]:
    metrics = make_wsgi_app(REGISTRY)

    def application(environ: dict[str, Any], start: _Start) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            page: Iterable[bytes] = metrics(environ, start)
            return page
        if environ["REQUEST_METHOD"] != "GET":
            return _answer(start, "405 Method Not Allowed", {"error": "only GET is answered"})
        if path == "/live":
            alive, age_s = health.is_alive, round(health.beat_age_s, 3)
            return _answer(
                start,
                "200 OK" if alive else "503 Service Unavailable",
                {"live": alive, "role": health.role, "last_beat_s_ago": age_s},
            )
        if path == "/ready":
            why = health.why_not_ready
            return _answer(
                start,
                "503 Service Unavailable" if why else "200 OK",
                {"ready": not why, "role": health.role, "why_not": why},
            )
        known = ["/metrics", "/live", "/ready"]
        return _answer(start, "404 Not Found", {"error": "there is no such page", "pages": known})

    return application


def _answer(start: _Start, status: str, document: dict[str, Any]) -> Iterable[bytes]:
    body = json.dumps(document).encode() + b"\n"
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """Threads, as many as are allowed, and no look-up of names."""

    daemon_threads = True
    request_queue_size = REQUESTS_MAX

    def __init__(self, host: str, port: int, application: Any) -> None:  # noqa: ANN401 - WSGI's.
        if ":" in host:
            self.address_family = socket.AF_INET6
        self._places = threading.BoundedSemaphore(REQUESTS_MAX)
        super().__init__((host, port), _Handler)
        self.set_app(application)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), int(port)
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # No thread could be started.
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        # A client that hung up or was too slow.
        logger.debug("a request for metrics or health failed", exc_info=True)


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - its own names.
        """Requests are not logged: there are some every few seconds."""
