"""Runs the console: the server, and beside it what keeps the log numbered and the coverage calendar counted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI

from console.parts import Parts
from console.settings import LOOPBACK
from console.web.app import create_app
from errors import LiucunError, SettingsError, UnreachableError
from retention.audits.days import count_days

LOG: Final = logging.getLogger("liucun.console")
LOG_SECONDS: Final = 1.0
"""How often entries of the transparency log that wait for a number get one."""
COUNT_SECONDS: Final = 30.0
WORRIED_SECONDS: Final = 60.0
"""How often the same trouble is said again."""


class Upkeep:
    """A thread for what must go on while the console runs; its troubles are logged, the pages go on."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
        self._said: dict[str, float] = {}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the step at hand."""
        self._stop.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        counted = 0.0
        while not self._stop.wait(LOG_SECONDS):
            log = self._parts.log
            if log is not None:
                self._try("log", partial(log.keep, ending=False))
            if (intake := self._parts.intake) is not None:
                self._try("collector", intake.tend)
            if time.monotonic() - counted > COUNT_SECONDS:
                # More than one round's worth goes on at once in the next.
                busy = self._try("days", lambda: count_days(self._parts))
                counted = 0.0 if busy else time.monotonic()

    def _try(self, what: str, step: Callable[[], object]) -> bool:
        try:
            return bool(step())
        except LiucunError as error:
            if time.monotonic() - self._said.get(what, -WORRIED_SECONDS) >= WORRIED_SECONDS:
                self._said[what] = time.monotonic()
                LOG.warning("%s: %s", what, error)
            return False


def check_address(parts: Parts, host: str) -> None:
    """Refuse to send passwords over a network in the clear.

    A container listens on all its addresses to be published on its host's loopback. That browsers come by loopback is
    then said in the settings, and requests under any other host's name are refused (``KnownHosts``).

    Raises:
        SettingsError: another host than loopback, and the settings state neither an https address nor a loopback one.
    """
    by_loopback = urlsplit(parts.settings.base_url or "").hostname in LOOPBACK
    if host not in LOOPBACK and not parts.secure and not by_loopback:
        raise SettingsError(
            f"The console would listen on {host}, and browsers would come without https.",
            cure="Put a proxy with a certificate before it, and set [console] base_url to its https address (in a "
            "container whose port is published on its host's loopback only: to that http address).",
        )


def serve(parts: Parts, *, host: str, port: int, ready: Callable[[FastAPI, int], None]) -> None:
    """Serve until a signal comes; ``ready`` is called once the port is open, with the port.

    Raises:
        UnreachableError: the port is taken.
    """
    app = create_app(parts)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=parts.settings.base_url is not None,
        forwarded_allow_ips="127.0.0.1,::1",
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=64 << 10,
    )
    try:
        opened = config.bind_socket()
    except SystemExit as error:
        # uvicorn leaves the process where a port is taken; the command says it in its own way.
        raise UnreachableError(
            f"The console cannot listen on {host}:{port}: the port is taken or not allowed.",
            cure="Choose another with --port.",
        ) from error
    upkeep = Upkeep(parts)
    upkeep.start()
    try:
        ready(app, int(opened.getsockname()[1]))
        uvicorn.Server(config).run(sockets=[opened])
    finally:
        upkeep.stop()
        if parts.intake is not None:
            parts.intake.close()
        opened.close()
