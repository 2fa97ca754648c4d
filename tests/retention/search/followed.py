"""A store and the stand-in that follows it, for tests of the follower on indices and on data streams."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from retention.catalogue.tables import segments
from retention.compaction.merge import compact, plan
from retention.search import compare
from retention.search.cluster import Cluster
from retention.search.follower import Follower
from retention.search.rebuilding import catch_up
from retention.search.settings import SearchSettings
from retention.transparency.keeping import LogKeeper
from tests.retention.policies.world import World
from tests.retention.search.standin import StandIn

NOW = datetime(2026, 5, 1, tzinfo=UTC)
MARCH, APRIL = "liucun-user_log-2026.03-000001", "liucun-user_log-2026.04-000001"


@dataclass(slots=True)
class Followed:
    """A store, and the stand-in that follows it under settings that may be changed."""

    world: World
    server: StandIn
    settings: SearchSettings

    def follower(self, **changed: Any) -> Follower:
        settings = self.settings.model_copy(update=changed)
        cluster = Cluster(settings, patience=1.0, sleep=lambda _seconds: None)
        return Follower(self.world.store, settings, cluster=cluster)

    def follow(self) -> Follower:
        """To the log's end."""
        store = self.world.store
        LogKeeper(store.catalogue, store.objects, store.period_keys, store.archive.suite).keep()
        follower = self.follower()
        catch_up(follower)
        return follower

    def documents(self) -> dict[str, dict[str, Any]]:
        """Every document by its id; one that is there twice fails."""
        found = [(name, doc) for index in self.server.indices.values() for name, doc in index.docs.items()]
        assert len(found) == len({name for name, _ in found}), "a document is there twice"
        return dict(found)

    def agree(self, withheld: int = 0) -> int:
        """Assert that index and archive agree document by document; how many documents there are."""
        done = compare.reconcile(self.follower(), mend=False, contents=True)
        assert (done.findings, done.waiting) == ([], 0)
        with self.world.catalogue.read() as connection:
            rows = connection.execute(sa.select(sa.func.sum(segments.c.rows))).scalar_one() or 0
        assert done.documents == done.contents == len(self.documents()) == rows - withheld
        return done.documents

    def names(self) -> list[str]:
        """Of indices and of data streams."""
        plain = [name for name, index in self.server.indices.items() if index.stream is None]
        return sorted([*plain, *self.server.backing])

    def only_streams(self) -> None:
        """Assert that all stands in data streams and no request was of a kind that streams refuse."""
        assert self.server.backing
        assert all(index.stream for index in self.server.indices.values())

    def compacted(self) -> None:
        store = self.world.store
        compact(store.catalogue, store.archive, plan(store.catalogue), progress=lambda _what, _done, _total: None)

    def execute(self, statement: sa.Executable) -> None:
        self.world.execute(statement)


def settings_of(server: StandIn, **more: Any) -> SearchSettings:
    return SearchSettings(urls=(server.url,), documents_per_index=1000, **more)
