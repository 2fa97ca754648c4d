"""Brings the index to the log's end, or begins it anew."""

from __future__ import annotations

from retention.search import book, mapping, streams
from retention.search.follower import Followed, Follower
from retention.search.writer import Own


def catch_up(follower: Follower) -> Followed:
    """Step until the follower has come to the log's end."""
    total = Followed()
    while True:
        done = follower.step()
        for name in ("segments", "documents", "adopted", "refused", "forgotten", "persons"):
            setattr(total, name, getattr(total, name) + getattr(done, name))
        if done.behind <= 0:
            return total


def rebuild(follower: Follower) -> Followed:
    """Delete this store's indices and data streams and write them anew from the archive, under the settings of now.

    Both forms are deleted: an alias cannot stand for indices and data streams at once.

    Raises:
        SearchStreamsError: the settings want data streams, and the cluster has none; nothing was deleted.
        SearchRebuildError: indices of such names belong to somebody else; nothing was deleted.
    """
    streams.require(follower.cluster, follower.settings)
    with follower.parts.catalogue.write() as connection:
        # A follower at work elsewhere loses its position with this, and ends.
        state = book.begin(connection, follower.settings)
    writer = follower.writer(state)
    found: list[Own] = [own for item in follower.settings.classes for own in writer.mine(item.value)]
    for own in found:
        writer.drop(own)
    for item in follower.settings.classes:
        follower.cluster.ask("DELETE", f"/_index_template/{mapping.alias(follower.settings, item.value)}", absent=True)
    return catch_up(follower)
