"""A small server for monitors: ``/metrics``, ``/health`` (the process lives) and ``/ready`` (it can do its work).

It shows figures and nothing else, takes no input, and asks for no password: let nobody but the monitors reach it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import click
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from errors import LiucunError, UnreachableError, UsageError
from liucun.watching.meters import Meters

LOG: Final = logging.getLogger("liucun.watching")
_SECONDS: Final = 10


def metrics_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--metrics HOST:PORT`` (parameter ``metrics``)."""
    return click.option(
        "--metrics", metavar="HOST:PORT", help="Serve /metrics, /health and /ready to monitors, e.g. 127.0.0.1:9464."
    )(function)


@contextmanager
def shown(address: str | None, meters: Meters, ready: Callable[[], None]) -> Iterator[None]:
    """Serve to monitors until the end of the block; without an address do nothing.

    ``ready`` raises an error of the tree while the process cannot do its work.

    Raises:
        UsageError: the address is not ``HOST:PORT``.
        UnreachableError: it cannot be listened on.
    """
    if address is None:
        yield
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"--metrics {address!r} is not HOST:PORT.", cure="Give for example 127.0.0.1:9464.")
    try:
        server = ThreadingHTTPServer((host.strip("[]"), int(port)), _handler(meters, ready))
    except OSError as error:
        raise UnreachableError(
            f"Metrics cannot be served on {address}: {error.strerror or error}.", cure="Choose another port."
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(meters: Meters, ready: Callable[[], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _SECONDS
        server_version = "liucun"
        sys_version = ""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(200, generate_latest(meters.registry), CONTENT_TYPE_LATEST)
            elif path == "/health":
                self._answer(200, b"ok\n")
            elif path == "/ready":
                try:
                    ready()
                except LiucunError as error:
                    LOG.warning("not ready: %s", error)
                    self._answer(503, b"not ready\n")
                else:
                    self._answer(200, b"ready\n")
            else:
                self._answer(404, b"/metrics, /health, /ready\n")

        def _answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Monitors ask every few seconds: that is no news."""

    return Handler
