"""The collector: ``POST /v1/logs`` takes lines over into the intake journal and answers once they are synced."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Final

import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import BaseModel

from console.access.limits import LINES
from console.access.roles import Right
from console.api.gate import Caller, Needs
from console.errors import LinesRefusedError
from retention.intake.errors import IntakeFullError
from retention.intake.intake import Intake
from retention.intake.journal import Receipt

router = APIRouter()
Sender = Annotated[Caller, Depends(Needs(Right.LOGS_WRITE, rate=LINES))]

TYPES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "text/plain"})
PATIENCE: Final = 30.0
"""Seconds that one request may take to arrive."""
THREADS: Final = 32
_STEP: Final = 1 << 20
_GZIP: Final = 16 + zlib.MAX_WBITS


class Taken(BaseModel):
    """Where the lines stand: offsets [start, end) of a partition of the source. ``repeated``: they did before."""

    source: str
    partition: str
    start: int
    end: int
    lines: int
    repeated: bool


@router.post(
    "/logs",
    tags=["collector"],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/x-ndjson": {"schema": {"type": "string", "description": "One record a line."}}},
        }
    },
)
async def take(
    request: Request,
    caller: Sender,
    source: Annotated[str | None, Query(max_length=64)] = None,
    idempotency_key: Annotated[str | None, Header(max_length=256)] = None,
) -> Taken:
    """Take lines over; the answer means that they are on the disk and will be archived exactly once.

    Send an ``Idempotency-Key`` of your own with every request, and the same again when no answer came: lines that were
    taken over are not taken twice. 429 and 503 kept nothing; ``Retry-After`` says when to try again.
    """
    intake = caller.parts.intake
    if intake is None:
        raise IntakeFullError("This process takes no lines over.", cure="Declare a source of kind collector.")
    name, journal = await _aside(intake.journal, source)
    with intake.arriving(_claimed(request, intake)):
        try:
            async with asyncio.timeout(PATIENCE):
                body = await _body(request, intake)
        except TimeoutError:
            raise LinesRefusedError(
                408, "The request came too slowly.", cure="Send fewer lines in a request."
            ) from None
        lines = _checked(body, intake.limits.line_kilobytes << 10)
        # Accounts do not see one another's keys.
        key = None if idempotency_key is None else f"{caller.account.account_id}\x00{idempotency_key}"
        receipt: Receipt = await _aside(journal.take, lines, lines.count(b"\n"), key)
    return Taken(
        source=name,
        partition=receipt.partition,
        start=receipt.start,
        end=receipt.end,
        lines=receipt.lines,
        repeated=receipt.repeated,
    )


async def _aside(call: Callable[..., Any], *given: Any) -> Any:
    """Run what waits for a disk on threads of its own: pages must not wait for it."""
    return await anyio.to_thread.run_sync(call, *given, limiter=_threads())


@cache
def _threads() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(THREADS)


def _claimed(request: Request, intake: Intake) -> int:
    """Bytes of memory that the request may need."""
    most = intake.limits.request_megabytes << 20
    claimed = request.headers.get("content-length", "")
    plain = request.headers.get("content-encoding", "identity").strip().lower() == "identity"
    return min(int(claimed), most) if plain and claimed.isascii() and claimed.isdigit() else most


async def _body(request: Request, intake: Intake) -> bytes:
    """The body, decompressed, never more of it in memory than is allowed."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in TYPES:
        raise LinesRefusedError(
            415, "The body is not declared as lines.", cure="Send Content-Type: application/x-ndjson."
        )
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise LinesRefusedError(415, "The body's encoding is not known here.", cure="Send it plain, or as gzip.")
    most = intake.limits.request_megabytes << 20
    unpack = _Unpack(most) if encoding == "gzip" else None
    body = bytearray()
    async for part in request.stream():
        body += await _aside(unpack.more, part) if unpack else part
        if len(body) > most:
            raise _too_large(most)
    if unpack is not None and not unpack.whole:
        raise _not_gzip()
    return bytes(body)


class _Unpack:
    """gzip of one or more members (RFC 1952), never past ``most`` bytes."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.whole = False
        self._made = 0
        self._member: Any = zlib.decompressobj(_GZIP)

    def more(self, part: bytes) -> bytes:
        """What ``part`` adds."""
        found = bytearray()
        while part:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            try:
                made = self._member.decompress(part, min(_STEP, self.most - self._made + 1))
            except zlib.error:
                raise _not_gzip() from None
            found += made
            self._made += len(made)
            if self._made > self.most:
                raise _too_large(self.most)
            part = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            self.whole = self._member.eof
        return bytes(found)


def _checked(body: bytes, longest: int) -> bytes:
    """The lines, the last one ended too."""
    if not body.strip():
        raise LinesRefusedError(400, "There are no lines in the request.", cure="Send one record a line.")
    if not body.endswith(b"\n"):
        body += b"\n"
    start = 0
    # Only requests that could hold a long line are looked through.
    while len(body) - start > longest + 1:
        end = body.rfind(b"\n", start, start + longest + 1)
        if end < 0:
            raise LinesRefusedError(
                413, f"A line is longer than {longest >> 10} KiB.", cure="Send it in parts, or raise line_kilobytes."
            )
        start = end + 1
    return body


def _too_large(most: int) -> LinesRefusedError:
    return LinesRefusedError(
        413, f"The lines of one request are more than {most >> 20} MiB.", cure="Send fewer lines in a request."
    )


def _not_gzip() -> LinesRefusedError:
    return LinesRefusedError(400, "The body is not whole gzip data.", cure="Compress it anew and send it again.")
