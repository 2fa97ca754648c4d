"""The first page: what is urgent, what came in, what is covered, what is wrong; and the live counts of the menu."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from console import charts
from console.access.roles import Right
from console.reading import overview
from console.web.render import page
from console.web.visit import Gate, Visit
from retention.audits import days
from tickets.clocks import SHANGHAI

router = APIRouter()
WORK_SECONDS: Final = 5.0
FOUND_SECONDS: Final = 60.0
"""How old the figures may be: each reads every open ticket, and ten people look at them all day."""
Seer = Annotated[Visit, Depends(Gate(Right.OVERVIEW_READ))]
Anyone = Annotated[Visit, Depends(Gate())]


@router.get("/")
def show(request: Request, visit: Anyone) -> Response:
    """The overview; who has no role yet sees that."""
    if not visit.may(Right.OVERVIEW_READ):
        return page(visit, "no_role.html")
    parts = visit.parts
    queue = visit.may(Right.QUEUE_READ)
    values: dict[str, Any] = {"work": None, "found": None, "bars": None}
    with parts.catalogue.read() as connection:
        if queue:
            actor, recent = visit.account.actor, request.app.state.recent
            values["work"] = recent.read(
                f"work {actor}", WORK_SECONDS, lambda: overview.work(connection, parts.calendar(), actor)
            )
            values["found"] = recent.read("found", FOUND_SECONDS, lambda: overview.found_by_day(connection))
            values["bars"] = charts.bars(values["found"])
        covered = days.coverage(connection)
        values |= {
            "sources": overview.sources(connection),
            "storage": overview.storage(connection),
            "uncounted": days.uncounted(connection),
        }
    values["coverage"] = [(found, charts.year_picture(found)) for found in covered]
    values["warned"] = overview.warnings(parts, values["work"])
    values["free"] = overview.free_disk(parts)
    values["provider"] = parts.provider
    values["shanghai"] = SHANGHAI
    return page(visit, "overview.html", **values)


@router.get("/live")
def live(visit: Anyone) -> Response:
    """Counts for the menu, fetched by the script now and then."""
    if not visit.may(Right.QUEUE_READ):
        return JSONResponse({})
    with visit.parts.catalogue.read() as connection:
        return JSONResponse(overview.live(connection, visit.account.actor))


@router.get("/help/keys")
def keys(visit: Anyone) -> Response:
    """The shortcuts, for browsers without script."""
    return page(visit, "keys.html")
