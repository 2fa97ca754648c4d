"""One file a page or a small group of pages."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from console.web.pages import (
    accounts,
    audit,
    disclosures,
    disposing,
    duties,
    identity,
    me,
    opening,
    overview,
    queue,
    reports,
    review,
    rules,
    search,
    sign_in,
    ticket,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    sign_in.router,
    identity.router,
    overview.router,
    queue.router,
    disposing.router,
    opening.router,
    ticket.router,
    review.router,
    reports.router,
    duties.router,
    rules.router,
    audit.router,
    disclosures.router,
    search.router,
    me.router,
    accounts.router,
)
"""Every page of the console."""
