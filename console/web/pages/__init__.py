"""One file a page or a small group of pages."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from console.web.pages import accounts, me, sign_in

ROUTERS: Final[tuple[APIRouter, ...]] = (sign_in.router, me.router, accounts.router)
"""Every page of the console."""
