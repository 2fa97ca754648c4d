"""``[retention]``: waits and limits of policies, destruction and persons' requests."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

LEAST_AGE_DAYS: Final = 60
"""Nothing goes within so many days of ingest: 互联网信息服务管理办法 art. 14 asks for sixty days of any record."""

MOST_DAYS: Final = 36_500
"""A wait beyond a hundred years is a slip of the pen, and past the end of the calendar no day at all."""


class RetentionSettings(BaseModel):
    """How long steps wait, and when something is listed for a person. All in natural days."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy_waiting_days: int = Field(default=30, ge=7, le=MOST_DAYS)
    purge_waiting_days: int = Field(default=7, ge=3, le=MOST_DAYS)
    least_age_days: int = Field(default=LEAST_AGE_DAYS, ge=LEAST_AGE_DAYS, le=MOST_DAYS)
    silent_order_days: int = Field(default=180, ge=1, le=MOST_DAYS)
    clock_ahead_days: int = Field(default=7, ge=1, le=30)
    key_backup_days: int = Field(default=30, ge=1, le=30)
    request_days: int = Field(default=15, ge=1, le=30)
    ending_words: tuple[str, ...] = ()
    """Further values of ``order_status`` that end an order, as this platform spells them."""
    delisting_words: tuple[str, ...] = ()
    """Further values of ``event_action`` that take a listing down, as this platform spells them."""
