"""The API as an application of its own, mounted under ``/v1``."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import JSONResponse, Response

from console.api import archive, disclosing, disclosures, logs, reports, tickets
from console.api.models import Failure
from console.web.status import status_of
from errors import LiucunError

LOG: Final = logging.getLogger("liucun.console")
_SAID: Final = {
    400: "What was asked cannot be done.",
    401: "No token, or one that is not valid.",
    403: "The token or account lacks the right, or a second person is needed.",
    404: "There is none of that number.",
    409: "The state does not allow it, or somebody else was first.",
    422: "The request does not have the form described here.",
    429: "Too many requests; Retry-After says when.",
    503: "The database or a service does not answer.",
}


def create_api() -> FastAPI:
    """Build the API; whoever mounts it sets its state (parts, limiter, audits, rule_counts)."""
    api = FastAPI(
        title="Liucun 留存",
        version=version("liucun"),
        description="Tickets, findings, reports, duties and audits. See docs/api.md.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        responses={status: {"model": Failure, "description": said} for status, said in _SAID.items()},
    )
    for router in (tickets.router, reports.router, archive.router, disclosing.router, logs.router, disclosures.router):
        api.include_router(router)
    api.add_exception_handler(LiucunError, _refused)
    api.add_exception_handler(RequestValidationError, _malformed)
    return api


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, LiucunError)
    status = status_of(error)
    if status >= 500:
        LOG.error("%s %s: %s", request.method, request.url.path, error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if retry := getattr(error, "retry_after", None):
        headers["Retry-After"] = str(retry)
    body = {"error": type(error).__name__, "what": error.what, "cure": error.cure}
    return JSONResponse(body, status_code=status, headers=headers)


async def _malformed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # Not the input itself: it may hold what JSON cannot say, or what nobody should see in a log.
    said = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()[:20])
    clean = said.encode("utf-8", "replace").decode()
    body = {"error": "RequestValidationError", "what": clean, "cure": "See /v1/openapi.json."}
    return JSONResponse(body, status_code=422)
