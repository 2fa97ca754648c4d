"""A stand-in for an Elasticsearch with data streams: a small HTTP server on loopback that keeps documents in memory.

It is NOT Elasticsearch. No server with data streams can be installed where these tests run, so this one gives, for what
the follower asks, the answers that Elastic documents for data streams and asserts in its own REST tests:
https://www.elastic.co/guide/en/elasticsearch/reference/8.19/data-stream-apis.html,
https://www.elastic.co/guide/en/elasticsearch/reference/8.19/use-a-data-stream.html,
https://www.elastic.co/guide/en/elasticsearch/reference/8.19/docs-bulk.html. It is stricter than a server where versions
differ (a time that may be malformed is refused, as before 8.7), and a search sees only what was refreshed. The answers
of ``streams=False`` to ``/_data_stream`` are those that a real 8.19 without the module gave.
"""

from __future__ import annotations

import fnmatch
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson

from tests.retention.search.standin_documents import Documents, Index, Refusal, missing
from tests.retention.search.standin_search import search


@dataclass
class StandIn(Documents):
    """The server's whole state. ``asked``: every request and item of a bulk, as ``METHOD /path`` or ``verb index``.

    ``refuses``: documents that hold this text do not fit the mapping. ``lose``: so many bulk requests are carried out
    and their answers lost. ``logins``: what clients logged in with.
    """

    streams: bool = True
    lose: int = 0
    logins: set[str] = field(default_factory=set)
    failure_store: bool = False
    url: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        self.asked.append(f"{method} {path}")
        parts = [unquote(part) for part in urlsplit(path).path.split("/") if part]
        with self.lock:
            try:
                return self._route(method, parts, body, "ignore_unavailable=true" in path)
            except Refusal as refusal:
                return refusal.status, {
                    "error": {"root_cause": [refusal.error], **refusal.error},
                    "status": refusal.status,
                }

    def _route(self, method: str, parts: list[str], body: bytes, lenient: bool) -> tuple[int, Any]:
        match (method, *parts):
            case (_, "_data_stream", *rest) if not self.streams:
                return self._unknown(method, rest)
            case ("GET", "_data_stream", pattern):
                return 200, {"data_streams": [self._described(name) for name in self._streams(pattern)]}
            case ("PUT", "_data_stream", name):
                return self._make_stream(name)
            case ("DELETE", "_data_stream", name):
                for one in self._streams(name):
                    for index in self.backing.pop(one):
                        self.indices.pop(index, None)
                return 200, {"acknowledged": True}
            case (_, "_index_template", name):
                return self._template(method, name, body)
            case ("POST", "_bulk"):
                return 200, self._bulk(body)
            case ("POST", "_mget"):
                return 200, {"docs": [self._get(wanted) for wanted in orjson.loads(body)["docs"]]}
            case ("POST", name, "_rollover"):
                return 200, {"new_index": self._behind(name).name, "rolled_over": True}
            case ("PUT", name):
                return self._make_index(name)
            case ("DELETE", name):
                if name not in self.indices:
                    raise missing(name)  # streams are not deleted so
                if (stream := self.indices[name].stream) and self.backing[stream][-1] == name:
                    raise Refusal(
                        400, "illegal_argument_exception", f"index [{name}] is the write index for [{stream}]"
                    )
                del self.indices[name]
                return 200, {"acknowledged": True}
        found = self.resolve(parts[0], lenient)
        match (method, *parts[1:]):
            case ("GET",):
                return 200, {index.name: self._whole(index) for index in found}
            case ("GET", "_mapping"):
                return 200, {index.name: {"mappings": index.body.get("mappings", {})} for index in found}
            case ("POST", "_refresh"):
                for index in found:
                    index.seen = dict(index.docs)
                return 200, {}
            case ("POST", "_count" | "_search" as what):
                documents = [(index.name, name, doc) for index in found for name, doc in index.seen.items()]
                return 200, search(documents, orjson.loads(body), counts=what == "_count")
        return 405, {"error": f"Incorrect HTTP method for uri [/{'/'.join(parts)}]", "status": 405}

    @staticmethod
    def _unknown(method: str, rest: list[str]) -> tuple[int, Any]:
        if rest:
            words = f"Incorrect HTTP method for uri [/_data_stream/{rest[0]}] and method [{method}], allowed: [POST]"
            return 405, {"error": words, "status": 405}
        raise Refusal(
            400, "invalid_index_name_exception", "Invalid index name [_data_stream], must not start with '_'."
        )

    def resolve(self, expression: str, lenient: bool = False) -> list[Index]:
        """Indices of names, of streams, of aliases; patterns match what is not hidden behind a stream."""
        found: dict[str, Index] = {}
        for one in expression.split(","):
            names = {
                *self.backing,
                *(name for name, index in self.indices.items() if "*" not in one or not index.stream),
            }
            chosen = sorted(name for name in names if fnmatch.fnmatchcase(name, one))
            chosen += [index.name for index in self.indices.values() if one in index.body.get("aliases", {})]
            if not chosen and "*" not in one and not lenient:
                raise missing(one)
            for name in chosen:
                for behind in self.backing.get(name, [name]):
                    found[behind] = self.indices[behind]
        return list(found.values())

    def _whole(self, index: Index) -> dict[str, Any]:
        return {**index.body, **({"data_stream": index.stream} if index.stream else {})}

    def _streams(self, pattern: str) -> list[str]:
        found = sorted(name for name in self.backing if fnmatch.fnmatchcase(name, pattern))
        if not found and "*" not in pattern:
            raise missing(pattern)
        return found

    def _described(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "timestamp_field": {"name": "@timestamp"},
            "indices": [{"index_name": index, "index_uuid": index} for index in self.backing[name]],
            "generation": self.generations[name],
            "status": "GREEN",
            "hidden": False,
            "failure_store": {"enabled": self.failure_store, "rollover_on_write": False, "indices": []},
        }

    def _template(self, method: str, name: str, body: bytes) -> tuple[int, Any]:
        if method == "PUT":
            self.templates[name] = orjson.loads(body)
            return 200, {"acknowledged": True}
        if name not in self.templates:
            raise Refusal(404, "resource_not_found_exception", f"index template matching [{name}] not found")
        if method == "GET":
            return 200, {"index_templates": [{"name": name, "index_template": self.templates[name]}]}
        using = [one for one in self.backing if self._template_of(one) is self.templates[name]]
        if using:
            words = f"unable to remove composable templates [{name}] as they are in use by a data streams {using}"
            raise Refusal(400, "illegal_argument_exception", words)
        del self.templates[name]
        return 200, {"acknowledged": True}


@contextmanager
def standing_in(**given: Any) -> Iterator[StandIn]:
    """The stand-in, served on a free port of loopback until the block ends."""
    state = StandIn(**given)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_words: object) -> None:
            """Nothing: a test looks at ``asked``."""

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            state.logins.add(str(self.headers.get("Authorization")))
            status, answer = state.answer(self.command, self.path, body)
            if state.lose and re.match("/_bulk", self.path):
                state.lose -= 1
                self.close_connection = True
                return
            data = orjson.dumps(answer)
            self.send_response(status)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _do

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
