"""The first page: what is urgent, what came in, what is covered, what is wrong; and the live counts of the menu."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from console import charts
from console.access.roles import Permission
from console.reading import days, overview
from console.web.render import page
from console.web.visit import Gate, Visit
from tickets.clocks import SHANGHAI

router = APIRouter()
Seer = Annotated[Visit, Depends(Gate(Permission.OVERVIEW_READ))]
Anyone = Annotated[Visit, Depends(Gate())]


@router.get("/")
def show(visit: Anyone) -> Response:
    """The overview; who has no role yet sees that."""
    if not visit.may(Permission.OVERVIEW_READ):
        return page(visit, "no_role.html")
    parts = visit.parts
    queue = visit.may(Permission.QUEUE_READ)
    values: dict[str, Any] = {"work": None, "found": None, "bars": None}
    with parts.catalogue.read() as connection:
        if queue:
            values["work"] = overview.work(connection, parts.calendar(), visit.account.actor)
            values["found"] = overview.found_by_day(connection)
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
    if not visit.may(Permission.QUEUE_READ):
        return JSONResponse({})
    with visit.parts.catalogue.read() as connection:
        return JSONResponse(overview.live(connection, visit.account.actor))


@router.get("/help/keys")
def keys(visit: Anyone) -> Response:
    """The shortcuts, for browsers without script."""
    return page(visit, "keys.html")
