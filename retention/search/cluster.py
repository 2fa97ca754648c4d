"""The cluster, as far as the follower and the search need it: every answer a value or a typed error."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import orjson
from elastic_transport import ConnectionError as ClusterConnectionError
from elastic_transport import ConnectionTimeout, SerializationError, TlsError
from elasticsearch import ApiError, Elasticsearch, UnsupportedProductError

from errors import SettingsError
from retention.search.errors import (
    SearchAnswerError,
    SearchBlockedError,
    SearchBusyError,
    SearchRefusedError,
    SearchUnreachableError,
)
from retention.search.settings import SearchSettings
from retention.tls_failures import handshake_failure
from retention.tls_files import check_authorities

PATIENCE: Final = 20.0
"""Seconds that a request turned away is tried again for before the step ends; the next step goes on from there."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 3.0
_JSON: Final = {"accept": "application/json", "content-type": "application/json"}
_LINES: Final = {"accept": "application/json", "content-type": "application/x-ndjson"}
BUSY: Final = frozenset({429, 502, 503, 504})
_SHOWN: Final = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer."""

    status: int
    body: Any


class Cluster:
    """An Elasticsearch cluster. Requests that it turns away are tried again with growing pauses."""

    def __init__(
        self,
        settings: SearchSettings,
        *,
        patience: float = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.patience, self._sleep = patience, sleep
        options: dict[str, Any] = {**settings.login()}
        if settings.ca_file:
            check_authorities(settings.ca_file, "[search] ca_file")
            options["ca_certs"] = settings.ca_file
        try:
            self._client = Elasticsearch(
                list(settings.urls),
                request_timeout=settings.timeout_seconds,
                max_retries=0,
                http_compress=False,
                **options,
            )
        except (ValueError, TypeError, OSError) as error:
            raise SettingsError(
                f"[search] does not describe a cluster: {error}.", cure="Mend [search] in liucun.toml."
            ) from error

    def close(self) -> None:
        """Give back connections."""
        self._client.close()

    def ask(self, method: str, path: str, body: Any = None, *, absent: bool = False) -> Any:
        """One request; the answer's JSON. ``absent``: None where there is no such thing.

        Raises:
            SearchUnreachableError, SearchBusyError: it does not answer, or turned this away for ``PATIENCE`` seconds.
            SearchRefusedError: account, password or rights.
            SearchBlockedError: an index takes no writes.
            SearchAnswerError: anything else that is not success.
        """
        data = None if body is None else orjson.dumps(body)

        def once() -> Answer:
            return self._once(method, path, data, _JSON)

        answer = self._patiently(once)
        if absent and answer.status == 404:
            return None
        if answer.status >= 300:
            raise failure(answer, f"{method} {path}")
        return answer.body

    def asked(self, method: str, path: str) -> Answer:
        """One request whose answer may be an error: who asks judges it.

        Raises:
            SearchUnreachableError, SearchBusyError: as ``ask``.
        """
        return self._patiently(lambda: self._once(method, path, None, _JSON))

    def bulk(self, body: bytes) -> Any:
        """One bulk request; the answer's JSON, in which every item has its own status.

        Raises:
            As ``ask``.
        """
        answer = self._patiently(partial(self._once, "POST", "/_bulk", body, _LINES))
        if answer.status >= 300:
            raise failure(answer, "POST /_bulk")
        return answer.body

    def _patiently(self, once: Callable[[], Answer]) -> Answer:
        deadline, pause = time.monotonic() + self.patience, FIRST_PAUSE
        while True:
            answer = once()
            if answer.status not in BUSY:
                return answer
            if time.monotonic() >= deadline:
                raise SearchBusyError(
                    f"The cluster turned requests away for {self.patience:g} s (status {answer.status}).",
                    cure="The follower goes on by itself once it has room.",
                )
            pause = self.pause(pause)

    def pause(self, seconds: float) -> float:
        """Wait about so long before the next try; how long to wait before the one after it."""
        self._sleep(seconds * random.uniform(0.7, 1.3))
        return min(seconds * 2, LONGEST_PAUSE)

    def _once(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> Answer:
        try:
            answer = self._client.perform_request(method, path, headers=dict(headers), body=data)
        except ApiError as error:
            return Answer(error.status_code, error.body)
        except UnsupportedProductError as error:
            raise SearchAnswerError(
                "What answers there is no Elasticsearch (its answers do not name the product).",
                cure="Correct [search] urls; a distribution of another name is not supported by its client.",
            ) from error
        except TlsError as error:
            raise untrusted(error) from error
        except (ConnectionTimeout, ClusterConnectionError) as error:
            raise SearchUnreachableError(
                f"The search cluster does not answer: {type(error).__name__}.",
                cure="The archive goes on without it and the index catches up; check [search] urls and the cluster.",
            ) from error
        except SerializationError as error:
            raise SearchAnswerError(
                "The search cluster's answer is no JSON.", cure="Check that [search] urls lead to Elasticsearch."
            ) from error
        return Answer(answer.meta.status, answer.body)


def path_of(*parts: str) -> str:
    """A path of names, each quoted."""
    return "".join("/" + quote(part, safe="*,_-.") for part in parts)


def failure(answer: Answer, what: str) -> Exception:
    """The typed error of an answer that is not success."""
    reason = reason_of(answer.body.get("error") if isinstance(answer.body, dict) else answer.body)
    if "cluster_block_exception" in reason or "index_closed_exception" in reason:
        return SearchBlockedError(
            f"An index of the search cluster takes no writes: {reason}.",
            cure="Free the cluster's disks or lift the block (index.blocks); the follower goes on by itself.",
        )
    if answer.status in (401, 403):
        return SearchRefusedError(
            f"The search cluster refuses {what}: {reason}.",
            cure="Check the account and password of [search], and that it may manage and write its indices.",
        )
    return SearchAnswerError(
        f"The search cluster answered {what} with {answer.status}: {reason}.",
        cure="See the cluster's log; `liucun index reconcile` mends what is missing, `rebuild` begins anew.",
    )


def untrusted(error: TlsError) -> SearchUnreachableError:
    """What a failed TLS handshake means, and whose certificate to look at."""
    what, cure = handshake_failure(str(error.message), authority="[search] ca_file", address="[search] urls")
    return SearchUnreachableError(
        f"The search cluster {what}.", cure=f"{cure}; the archive goes on without it and the index catches up."
    )


def reason_of(error: Any) -> str:
    """Kind and words of an error, without the document's own text, which the cluster likes to quote."""
    if isinstance(error, dict):
        kind = str(error.get("type", "unknown"))
        words = str(error.get("reason", "")).partition("Preview of field's value")[0]
        quoted = kind in {"document_parsing_exception", "mapper_parsing_exception"}
        return kind if quoted else f"{kind}: {words}"[:_SHOWN]
    return str(error)[:_SHOWN]
