"""A TCP proxy that passes requests on and, when told, drops the answer: a broken network at the worst moment."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class DroppingProxy:
    """Listens on loopback and forwards to ``target``; ``drop`` answers are swallowed and the connection reset.

    ``tls`` is spoken with its clients, ``onward`` with the target.
    """

    def __init__(
        self, target: tuple[str, int], tls: ssl.SSLContext | None = None, onward: ssl.SSLContext | None = None
    ) -> None:
        self.target = target
        self.tls, self._onward = tls, onward
        self.drop = 0
        self.dropped = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.tls is not None:
                try:
                    client = self.tls.wrap_socket(client, server_side=True)
                except OSError:  # a client that does not trust the certificate
                    client.close()
                    continue
            server = socket.create_connection(self.target)
            if self._onward is not None:
                server = self._onward.wrap_socket(server, server_hostname=self.target[0])
            ends = (client, server)
            threading.Thread(target=self._upstream, args=ends, daemon=True).start()
            threading.Thread(target=self._downstream, args=ends, daemon=True).start()

    def _upstream(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                server.sendall(data)
        self._end(client, server)

    def _downstream(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                # Interim answers (100 Continue) must pass, or the body is never sent.
                if self.drop and not data.startswith(b"HTTP/1.1 100"):
                    self.drop -= 1
                    self.dropped += 1
                    break
                client.sendall(data)
        self._end(client, server)

    @staticmethod
    def _end(*ends: socket.socket) -> None:
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def dropping_proxy(
    host: str, port: int, tls: ssl.SSLContext | None = None, onward: ssl.SSLContext | None = None
) -> Iterator[DroppingProxy]:
    """A running proxy; with ``tls`` it speaks TLS to its clients."""
    proxy = DroppingProxy((host, port), tls, onward)
    try:
        yield proxy
    finally:
        proxy.close()
