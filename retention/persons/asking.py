"""Asks the archive about one person: every query is recorded, all with the same purpose and ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from retention.query.render import renderer
from retention.query.run import Answer, Limits, Parts, Rendered, run_query

ZONE: Final = "Asia/Shanghai"


@dataclass(frozen=True, slots=True)
class PersonQueries:
    """Queries about a person, restricted records included.

    ``basis``: the legal ground on which they may be seen.
    """

    parts: Parts
    purpose: str
    actor: str
    basis: str

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The answer's rows, for counting: times should be turned into numbers or text in the query.

        Raises:
            LiucunError: as of ``run_query``.
        """
        found: list[pa.Table] = []

        def keep(table: pa.Table) -> Rendered:
            found.append(table)
            return _json(table)

        self._run(sql, keep, Limits())
        rows: list[dict[str, Any]] = found[0].to_pylist()
        return rows

    def json(self, sql: str, *, result_bytes: int) -> Answer:
        """The answer as a JSON array, of at most so many bytes in Arrow.

        Raises:
            QueryTooLargeError: it is larger.
            LiucunError: as of ``run_query``.
        """
        return self._run(sql, _json, Limits(result_bytes=result_bytes))

    def _run(self, sql: str, render: Any, limits: Limits) -> Answer:
        return run_query(
            self.parts, sql, purpose=self.purpose, actor=self.actor, render=render, limits=limits, basis=self.basis
        )


def quoted(text: str) -> str:
    """A string literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _json(table: pa.Table) -> Rendered:
    return renderer("json", ZONE)(table)
