"""Many rows in one statement: the same on SQLite and PostgreSQL, whatever the values hold."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from errors import LiucunError
from retention.catalogue.engine import Catalogue
from retention.catalogue.sets import FEW, among, delete_rows, insert_numbered, insert_rows, update_rows

META = sa.MetaData()
THINGS = sa.Table(
    "things",
    META,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    sa.Column("place", sa.Text),
    sa.Column("body", sa.LargeBinary),
    sa.Column("share", sa.Float),
    sa.Column("open", sa.Boolean),
)
ODD = ("", "a,b", '{"x"}', "\\", "'", "NULL", "彩金😀", "line\nbreak", "%s", ":x", "\\u0000", "\\x41", '\t\x1f"')


def rows(count: int) -> list[dict[str, object]]:
    return [
        {
            "name": f"{n}-{ODD[n % len(ODD)]}",
            "place": None if n % 3 else ODD[n % len(ODD)],
            "body": bytes([n % 256, 0, 92, 255]),
            "share": None if n % 5 == 0 else n / 7,
            "open": n % 2 == 0,
        }
        for n in range(count)
    ]


@pytest.fixture
def catalogue(catalogue_url: str) -> Iterator[Catalogue]:
    opened = Catalogue.open(catalogue_url)
    META.create_all(opened.engine)
    yield opened
    META.drop_all(opened.engine)
    opened.close()


@pytest.fixture
def connection(catalogue: Catalogue) -> Iterator[sa.Connection]:
    with catalogue.engine.begin() as connection:
        yield connection


def kept(connection: sa.Connection) -> list[dict[str, object]]:
    chosen = sa.select(*(column for column in THINGS.c if column.name != "id")).order_by(THINGS.c.id)
    return [dict(row._mapping) for row in connection.execute(chosen)]


def test_rows_are_kept_as_they_were_given_and_numbered_in_their_order(connection: sa.Connection) -> None:
    given = rows(300)[::-1]  # an order that is neither that of the names nor of anything else
    numbers = insert_numbered(connection, THINGS, given[:200], "id")
    assert numbers == sorted(numbers)
    insert_rows(connection, THINGS, given[200:])
    assert kept(connection) == given
    named = {row.id: row.name for row in connection.execute(sa.select(THINGS.c.id, THINGS.c.name))}
    assert [named[number] for number in numbers] == [row["name"] for row in given[:200]]
    for nothing in (insert_rows, delete_rows):
        nothing(connection, THINGS, [])
    update_rows(connection, THINGS, "id", [])
    assert insert_numbered(connection, THINGS, [], "id") == []


def test_rows_are_found_changed_and_deleted_by_what_is_given(connection: sa.Connection) -> None:
    given = rows(100)
    numbers = insert_numbered(connection, THINGS, given, "id")
    for count in (0, 1, FEW, FEW + 1, 90):
        names = [str(row["name"]) for row in given[:count]] + ["of none"]
        found = connection.execute(sa.select(THINGS.c.name).where(among(connection, THINGS.c.name, names)))
        assert sorted(found.scalars()) == sorted(names[:-1])
        by_number = sa.select(sa.func.count()).where(among(connection, THINGS.c.id, numbers[:count]))
        assert connection.execute(by_number).scalar() == count
    changed = [{"id": number, "body": b"new", "place": ODD[n % len(ODD)]} for n, number in enumerate(numbers[:50])]
    update_rows(connection, THINGS, "id", changed)
    after = kept(connection)
    assert [row["place"] for row in after[:50]] == [row["place"] for row in changed]
    assert after[50:] == given[50:]
    delete_rows(connection, THINGS, [{"name": row["name"], "open": row["open"]} for row in given[10:]])
    assert [row["name"] for row in kept(connection)] == [row["name"] for row in given[:10]]


def test_texts_are_found_whatever_signs_they_hold(connection: sa.Connection) -> None:
    names = [f"{n}" for n in range(FEW)] + ["", "a\x00b", "a", "b", "a\x1e", "{a,b}", "NULL", "\\", "彩金"]
    insert_rows(connection, THINGS, [{"name": name} for name in names])
    for more, lacking in (([], []), (["a\x1fb"], ["a", "b"]), ([], [""]), ([], ["a\x00b", "彩金"])):
        asked = [name for name in [*names, *more] if name not in lacking]
        found = connection.execute(sa.select(THINGS.c.name).where(among(connection, THINGS.c.name, asked))).scalars()
        kept_as = sorted(name.replace("\x00", "\u2400") for name in asked if name not in more)
        assert sorted(name.replace("\x00", "\u2400") for name in found) == kept_as


def test_a_text_that_is_too_long_is_refused_and_not_cut(catalogue: Catalogue) -> None:
    if catalogue.engine.dialect.name == "sqlite":
        pytest.skip("SQLite keeps texts of any length")
    long = [{**row, "name": str(row["name"]) + "长" * 65} for row in rows(30)]
    with pytest.raises(LiucunError), catalogue.write() as connection:
        insert_rows(connection, THINGS, long)
    with pytest.raises(LiucunError), catalogue.write() as connection:
        insert_numbered(connection, THINGS, long, "id")
    with catalogue.read() as connection:
        assert kept(connection) == []


def test_signs_and_numbers_that_the_other_way_in_takes(catalogue: Catalogue) -> None:
    """A text with NUL is kept as a single insert keeps it; infinity is a number; a lone surrogate is refused."""
    hostile = [
        {**row, "name": f"{row['name']}\x00\\u0000", "share": share}
        for row, share in zip(rows(2), (math.inf, -math.inf), strict=True)
    ]
    with catalogue.write() as connection:
        insert_numbered(connection, THINGS, hostile, "id")
        connection.execute(THINGS.insert().values({**hostile[0], "name": "alone\x00\\u0000"}))
    with catalogue.read() as connection:
        names = [str(row["name"]) for row in kept(connection)]
        assert [row["share"] for row in kept(connection)] == [math.inf, -math.inf, math.inf]
    nul = names[-1].removeprefix("alone")
    assert names[:2] == [str(row["name"]).replace("\x00\\u0000", nul) for row in hostile]
    for bad in ({"name": "\ud800"}, {"id": 2**63}):
        with pytest.raises((LiucunError, UnicodeEncodeError, OverflowError)), catalogue.write() as connection:
            insert_rows(connection, THINGS, [{**row, **bad} for row in rows(1)])
