"""An approved disclosure over HTTP: read only, by a key that opens it and nothing else, until it expires."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response

from console.access.limits import ANYBODY, DISCLOSED, Limiter
from console.access.secrets import digest
from console.errors import SignInRequiredError
from console.parts import Parts
from retention.disclosure.register import Disclosure
from retention.disclosure.serving import PREFIX, opened_by, serve

router = APIRouter(tags=["disclosure"])
SCHEME: Final = HTTPBearer(
    auto_error=False, scheme_name="DisclosureKey", description="A key to one approved disclosure (`lcd_…`)."
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A disclosure that a key opened for this call."""

    parts: Parts
    disclosure: Disclosure
    key: str


def by_key(request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(SCHEME)]) -> Opened:
    """Let a call through whose key opens a disclosure now.

    Raises:
        TooManyRequestsError, SignInRequiredError
    """
    parts: Parts = request.app.state.parts
    limiter: Limiter = request.app.state.limiter
    limiter.take(ANYBODY, "disclosure", request.client.host if request.client else "")
    if credentials is None or not credentials.credentials.startswith(PREFIX):
        raise SignInRequiredError(
            "A key to a disclosure is missing.", cure="Send the header Authorization: Bearer lcd_…."
        )
    limiter.take(DISCLOSED, "disclosure", digest(credentials.credentials))
    key = credentials.credentials
    return Opened(parts, opened_by(parts, key, now=datetime.now(UTC)), key)


Key = Annotated[Opened, Depends(by_key)]


@router.get("/disclosure")
def scope(opened: Key) -> dict[str, Any]:
    """The case, the scope and until when the key opens it."""
    found = opened.disclosure
    return {
        "disclosure_id": found.disclosure_id,
        "authority": found.case.authority,
        "case_number": found.case.number,
        "basis": found.case.basis,
        "scope": found.scope.as_json(),
        "expires_at": found.expires_at,
    }


@router.get("/disclosure/records/{record_class}", response_class=Response)
def records(
    opened: Key,
    record_class: str,
    since: Annotated[datetime | None, Query()] = None,
    until: Annotated[datetime | None, Query()] = None,
    form: Annotated[Literal["csv", "json"], Query()] = "csv",
) -> Response:
    """The records of a class, all of them or those of a part of the scope's time; each answer is recorded."""
    found = opened.disclosure
    now = datetime.now(UTC)
    served = serve(opened.parts, found, record_class, key=opened.key, since=since, until=until, form=form, now=now)
    return Response(
        served.data,
        media_type="text/csv; charset=utf-8" if form == "csv" else "application/json",
        headers={
            "Liucun-Disclosure": found.disclosure_id,
            "Liucun-Rows": str(served.rows),
            "Liucun-Digest": served.digest,
            "Liucun-Query": served.query_id,
            "Cache-Control": "no-store",
        },
    )
