"""Where a segment's rows came from: the commitments that they were taken in under, through every merge since.

A manifest that commits to rows stays in the log when its segment is merged into another one. So whoever merges can
neither change a row nor leave one out: the merged segment must hold, of each commitment, exactly its rows. Only a
destruction, which gives rows up, begins a new commitment with those that stay (``docs/archive-format.md``, 5b).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from retention.catalogue.engine import Catalogue
from retention.catalogue.manifests import read_manifests
from retention.errors import RowsChangedError, RowsUnprovedError
from retention.manifest import SegmentManifest, SegmentPlace
from retention.placing import place_of_rows
from retention.row_commitments import PLACE, rows_digests, salted
from retention.segments import Inherited, SegmentFile

Manifests = Callable[[Sequence[str]], Mapping[str, SegmentManifest]]
"""Finds manifests by their segments' ids, replaced ones too; what is not there is left out."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """A digest over the rows of these places, in the manifest of ``segment_id``.

    ``late``: that segment was merged from others that committed to nothing, so it speaks of what it held itself.
    """

    segment_id: str
    digest: str
    places: tuple[SegmentPlace, ...]
    late: bool = False

    @property
    def rows(self) -> int:
        """How many rows it is over."""
        return sum(place.rows for place in self.places)


@dataclass(frozen=True, slots=True)
class Descent:
    """The commitments that a segment's rows are under, and the places of rows that no manifest commits to."""

    commitments: tuple[Commitment, ...]
    uncommitted: tuple[SegmentPlace, ...] = ()

    @property
    def rows_uncommitted(self) -> int:
        """How many rows are under no commitment."""
        return sum(place.rows for place in self.uncommitted)

    @property
    def rows_unproved(self) -> int:
        """How many rows went through a merge before anything committed to them."""
        return self.rows_uncommitted + sum(item.rows for item in self.commitments if item.late)


def stored_manifests(catalogue: Catalogue) -> Manifests:
    """Manifests as the catalogue has them; that they are the log's is checked with the log.

    Raises:
        ManifestError: one is damaged.
    """

    def find(names: Sequence[str]) -> dict[str, SegmentManifest]:
        with catalogue.read() as connection:
            found = read_manifests(connection, names)
        return {name: SegmentManifest.from_bytes(data) for name, data in found.items()}

    return find


def descent(manifest: SegmentManifest, manifests: Manifests) -> Descent:
    """What a segment's rows are under, by what its manifest and those of all that it replaced say.

    Generation by generation, not by recursion: how many merges there were is for the catalogue to say.

    Raises:
        RowsUnprovedError: a manifest that it names is missing, or its rows would come from one segment twice.
        ManifestError: one is damaged.
    """
    took: dict[str, list[SegmentManifest]] = {manifest.segment_id: []}
    order: list[SegmentManifest] = []
    generation = [manifest]
    while generation:
        order += generation
        before = manifests([name for one in generation for name in one.replaces])
        younger, generation = generation, []
        for one in younger:
            replaced = _replaced(manifest, one, before)
            if one.rows != sum(old.rows for old in replaced):
                continue  # a destruction gave rows up: those that stay are under a new commitment
            for old in replaced:
                if old.segment_id in took:
                    raise _unproved(manifest, f"would have taken over the rows of {old.segment_id} twice")
                took[old.segment_id] = []
            took[one.segment_id] = replaced
            generation += replaced
    made: dict[str, Descent] = {}
    for one in reversed(order):
        older = [made.pop(old.segment_id) for old in took[one.segment_id]]
        made[one.segment_id] = taken_over(one, older) if older else anew(one)
    return made[manifest.segment_id]


def _replaced(
    manifest: SegmentManifest, one: SegmentManifest, found: Mapping[str, SegmentManifest]
) -> list[SegmentManifest]:
    for name in one.replaces:
        if name not in found:
            raise _unproved(manifest, f"goes back to {name}, whose manifest is missing")
    return [found[name] for name in one.replaces]


def _unproved(manifest: SegmentManifest, what: str) -> RowsUnprovedError:
    return RowsUnprovedError(
        f"Segment {manifest.segment_id} {what}.",
        cure="Restore the catalogue from a backup, or rebuild it from the objects.",
        segment=manifest.segment_id,
    )


def anew(manifest: SegmentManifest) -> Descent:
    """What the rows of a segment are under that is the first to commit to them."""
    return _own(manifest, manifest.places)


def taken_over(manifest: SegmentManifest, before: Sequence[Descent]) -> Descent:
    """What the rows of a segment are under that took over all rows of others."""
    commitments = tuple(item for one in before for item in one.commitments)
    rest = tuple(place for one in before for place in one.uncommitted)
    own = _own(manifest, rest, late=True) if rest else Descent(())
    return Descent((*commitments, *own.commitments), own.uncommitted)


def inherit(sources: Sequence[SegmentFile], manifests: Manifests) -> Inherited:
    """What a segment of all rows of the sources inherits.

    Raises:
        RowsUnprovedError: a source lacks the salt of a commitment that its rows are under.
    """
    salts: dict[str, bytes] = {}
    places: list[SegmentPlace] = []
    for source in sources:
        found = descent(source.manifest, manifests)
        held = _salts(source, found)
        for commitment in found.commitments:
            salts[commitment.segment_id] = held[commitment.segment_id]
            places.extend(commitment.places)
    return Inherited(salts, tuple(places))


def check_rows(segment: SegmentFile, found: Descent) -> None:
    """Compare the rows of a segment with the commitments that they are under.

    Raises:
        RowsChangedError: rows of one were changed, left out or added.
        RowsUnprovedError: the segment lacks a salt.
    """
    held = _salts(segment, found)
    file = segment.parquet()

    def column(name: str) -> pa.ChunkedArray:
        return file.read(columns=[name], use_threads=False).column(0)

    commitments = found.commitments
    groups = _groups(pa.table({name: column(name) for name in PLACE}), commitments)
    loose = int((groups < 0).sum())
    if loose != found.rows_uncommitted:
        raise _changed(segment, f"{loose} of its rows are under no commitment, not {found.rows_uncommitted}")
    suite = segment.reader.suite
    made = rows_digests(file.schema_arrow.names, column, groups, len(commitments))
    for commitment, digest in zip(commitments, made, strict=True):
        if salted(suite, held[commitment.segment_id], digest) != commitment.digest:
            place = commitment.places[0]
            raise _changed(
                segment, f"those of {place.partition} [{place.start}, {place.end}) came with {commitment.segment_id}"
            )


def _own(manifest: SegmentManifest, places: tuple[SegmentPlace, ...], *, late: bool = False) -> Descent:
    if manifest.rows_digest is None:
        return Descent((), places)
    return Descent((Commitment(manifest.segment_id, manifest.rows_digest, places, late),))


def _salts(segment: SegmentFile, found: Descent) -> dict[str, bytes]:
    salts = {**segment.inherited_salts(), segment.manifest.segment_id: segment.salt}
    for commitment in found.commitments:
        if commitment.segment_id not in salts:
            raise RowsUnprovedError(
                f"Segment {segment.manifest.segment_id} does not show that it holds the rows of "
                f"{commitment.segment_id} as they were: it lacks the salt.",
                cure="Restore the segments that it replaced from a backup, and ask who merged them.",
                segment=segment.manifest.segment_id,
            )
    return salts


def _groups(table: pa.Table, commitments: Sequence[Commitment]) -> np.ndarray:
    """Of each row the number of the commitment that it is under, −1 without one."""
    owners = np.array([n for n, item in enumerate(commitments) for _ in item.places] + [-1], np.int64)
    found: np.ndarray = owners[place_of_rows(table, [place for item in commitments for place in item.places])]
    return found


def _changed(segment: SegmentFile, what: str) -> RowsChangedError:
    return RowsChangedError(
        f"The rows of segment {segment.manifest.segment_id} are not those that were taken in: {what}.",
        cure="Somebody changed them in a merge. Restore the segments that it replaced from a backup.",
        segment=segment.manifest.segment_id,
    )
