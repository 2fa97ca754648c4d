"""The rules: which run, how often they hit, what people made of it, and what is wrong with them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from console.access.roles import Right
from console.reading.rules import backtests, rule_lines
from console.web.render import page
from console.web.visit import Gate, Visit

router = APIRouter()
Reader = Annotated[Visit, Depends(Gate(Right.RULES_READ))]
MOST = 500


@router.get("/rules")
def show(
    request: Request,
    visit: Reader,
    q: Annotated[str, Query(max_length=128)] = "",
    category: Annotated[str, Query(max_length=64)] = "",
    state: Annotated[str, Query(max_length=16)] = "",
) -> Response:
    """The list, filtered."""
    with visit.parts.catalogue.read() as connection:
        counted = request.app.state.rule_counts.read(connection)
        tried = backtests(connection)
    lines, problems, version = rule_lines(visit.parts, counted)
    word = q.strip().casefold()
    found = [
        line
        for line in lines
        if (not category or line.rule.category == category)
        and (not state or line.state == state)
        and (not word or word in line.rule.id.casefold() or any(word in w.casefold() for w in line.rule.words))
    ]
    found.sort(key=lambda line: (-line.spoken.tickets, line.rule.id))
    models = sorted((name, spoken) for name, spoken in counted.items() if name.startswith("model:"))
    return page(
        visit,
        "rules.html",
        lines=found[:MOST],
        total=len(found),
        problems=problems,
        version=version,
        models=models,
        backtests=tried,
        categories=sorted({line.rule.category for line in lines}),
        q=q,
        category=category,
        state=state,
    )
