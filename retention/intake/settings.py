"""``[collector]``: the journal of sources of kind ``collector``."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class CollectorSettings(BaseModel):
    """Where the journal lies, and how much it takes.

    ``request_megabytes`` bounds one request after decompression; ``waiting_megabytes`` what is in memory at once
    (429 beyond it); ``backlog_megabytes`` what is on disk and not archived, and ``reserve_megabytes`` the free space
    that stays untouched (503 beyond either). Archived files are deleted; ``remember_minutes`` is how long an
    idempotency key is known, ``remember_keys`` how many at most.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str = Field(default="intake", min_length=1)
    request_megabytes: int = Field(default=8, ge=1, le=64)
    line_kilobytes: int = Field(default=1024, ge=1, le=16 << 10)
    waiting_megabytes: int = Field(default=64, ge=1, le=4096)
    backlog_megabytes: int = Field(default=4096, ge=1)
    reserve_megabytes: int = Field(default=1024, ge=0)
    file_megabytes: int = Field(default=256, ge=1, le=4096)
    rotate_minutes: int = Field(default=60, ge=1, le=1440)
    remember_minutes: int = Field(default=1440, ge=1, le=10_080)
    remember_keys: int = Field(default=500_000, ge=1, le=10_000_000)

    def place(self, root: Path, source: str) -> Path:
        """The folder of a source's journal, in a store."""
        return root / self.folder / source
