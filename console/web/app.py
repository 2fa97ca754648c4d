"""The console as one ASGI application: pages, static files, and the HTTP API under ``/v1``."""

from __future__ import annotations

import logging
from typing import Final
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from console import labels
from console.access.limits import Limiter
from console.access.single_sign_on import Provider
from console.api.app import create_api
from console.errors import PageUnknownError, SignInRequiredError
from console.parts import Parts
from console.reading.audits import AuditRunner
from console.reading.recent import Recent
from console.reading.rules import Counts
from console.settings import LOOPBACK
from console.web import headers
from console.web.pages import ROUTERS
from console.web.pages.sign_in import sso_title
from console.web.render import STATIC, page, say
from console.web.status import status_of
from console.web.visit import Visit, visit_of
from errors import LiucunError, SettingsError, UsageError

LOG: Final = logging.getLogger("liucun.console")


def create_app(parts: Parts, *, limiter: Limiter | None = None) -> FastAPI:
    """Build the application over an open store; the store's tables must be up to date."""
    app = FastAPI(title="Liucun console", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.parts = parts
    app.state.limiter = limiter or Limiter()
    app.state.audits = AuditRunner(parts)
    app.state.rule_counts = Counts()
    app.state.recent = Recent()
    app.state.provider = None
    if parts.settings.oidc is not None:
        if parts.settings.base_url is None:
            raise SettingsError("[console.oidc] needs base_url.", cure="Set [console] base_url in liucun.toml.")
        app.state.provider = Provider(parts.settings.oidc, f"{parts.settings.base_url}/sign-in/sso/back")
    for router in ROUTERS:
        app.include_router(router)
    api = create_api()
    for name in ("parts", "limiter", "audits", "rule_counts"):
        setattr(api.state, name, getattr(app.state, name))
    app.mount("/v1", api)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(LiucunError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    base = urlsplit(parts.settings.base_url or "")
    hosts = LOOPBACK | ({base.hostname.lower()} if base.hostname else set())
    app.add_middleware(headers.BoundedBody)
    app.add_middleware(headers.KnownHosts, hosts=frozenset(hosts))
    app.add_middleware(headers.SecurityHeaders, secure=parts.secure)
    return app


async def _refused(request: Request, error: Exception) -> Response:
    """An error of the tree as a page: a sentence in the reader's language, then the program's own words."""
    assert isinstance(error, LiucunError)
    status = status_of(error)
    if status >= 500:
        LOG.error("%s %s: %s", request.method, request.url.path, error)
    if request.url.path == "/live":
        return JSONResponse({"error": type(error).__name__}, status_code=status)
    visit = await _visit(request)
    if isinstance(error, SignInRequiredError) and request.method in {"GET", "HEAD"}:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return page(visit, "sign_in.html", status=401, target=target, failed=None, sso=sso_title(visit), empty=False)
    response = page(visit, "error.html", status=status, sentence=say(visit, labels.error_text(error)), error=error)
    if retry := getattr(error, "retry_after", None):
        response.headers["Retry-After"] = str(retry)
    return response


async def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = ", ".join(sorted({str(item["loc"][-1]) for item in error.errors()}))
    return await _refused(request, UsageError(f"Not understood: {fields}.", cure="Go back and correct it."))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return await _refused(request, PageUnknownError("There is nothing at this address.", cure="Use the menu."))
    if error.status_code in {400, 401, 403, 405, 413}:
        return Response(f"{error.detail}\n", status_code=error.status_code, media_type="text/plain")
    raise error


async def _visit(request: Request) -> Visit:
    known = getattr(request.state, "visit", None)
    return known if isinstance(known, Visit) else await visit_of(request)
