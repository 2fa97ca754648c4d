"""The catalogue on a real PostgreSQL: writers that meet, waits, a server that restarts, migrations that race."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from errors import BusyError, LiucunError, NotPermittedError, SettingsError, StorageError, UnreachableError
from liucun.store import TICKET_SCRIPTS, prepare_tables
from retention.catalogue import engine, events, progress, sets
from retention.catalogue.commit import BatchCommit, Outcome, commit_batch
from retention.catalogue.engine import Catalogue, serialise
from retention.catalogue.failures import ConflictError, LostCommitError
from retention.catalogue.migrate import migrate, version
from retention.catalogue.retrying import retried
from retention.catalogue.tables import batches, meta, partitions
from retention.catalogue.tables import events as event_table
from tests.services import servers

pytestmark = pytest.mark.services


@pytest.fixture
def catalogue(postgres_url: str) -> Iterator[Catalogue]:
    opened = Catalogue.open(postgres_url)
    migrate(opened)
    with opened.write() as connection:
        connection.execute(meta.insert(), [{"key": key, "value": "0"} for key in ("a", "b")])
    yield opened
    opened.close()


def value(connection: sa.Connection, key: str) -> int:
    return int(connection.execute(sa.select(meta.c.value).where(meta.c.key == key)).scalar_one())


def put(connection: sa.Connection, key: str, number: int) -> None:
    connection.execute(meta.update().where(meta.c.key == key).values(value=str(number)))


def together(*works) -> list[BaseException | None]:
    """Run works in threads of their own and return how each ended."""
    ended: list[BaseException | None] = [None] * len(works)

    def run(number: int) -> None:
        try:
            works[number]()
        except (LiucunError, sa.exc.IntegrityError) as error:
            ended[number] = error

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive(), "a writer hangs"
    return ended


def test_of_two_writers_that_rest_on_what_the_other_changes_one_is_refused(catalogue: Catalogue) -> None:
    """Write skew: each reads both rows and changes its own. Alone each is right, together they never are."""
    barrier = threading.Barrier(2)

    def work(read: str, write: str) -> None:
        with catalogue.write() as connection:
            seen = value(connection, read)
            barrier.wait(10)
            put(connection, write, seen + 1)

    ended = together(lambda: work("a", "b"), lambda: work("b", "a"))
    assert sorted(type(error) for error in ended if error) == [ConflictError]
    assert {error.exit_code for error in ended if isinstance(error, ConflictError)} == {7}


def test_a_commit_that_was_refused_has_its_next_try_to_itself(catalogue: Catalogue) -> None:
    """A long commit beside quick ones that rest on what it changes: each of its tries alone would be refused."""
    with catalogue.write() as connection:
        for name in ("long", "quick"):
            progress.add_partition(connection, source="s", partition=name, path="", generation=1)
    tries: list[float] = []
    ended = threading.Event()

    def commit(partition: str, number: int, inside: Callable[[sa.Connection], None]) -> None:
        batch = BatchCommit("s", partition, number, number + 1, records=0, headers=0, blanks=0, segments=())
        assert commit_batch(catalogue, batch, inside=inside)[0].outcome is Outcome.COMMITTED

    def slowly(connection: sa.Connection) -> None:
        tries.append(time.monotonic())
        seen = value(connection, "b")
        time.sleep(0.3)
        put(connection, "a", seen + 1)

    def quickly(connection: sa.Connection) -> None:
        put(connection, "b", value(connection, "a") + 1)

    def long() -> None:
        try:
            for number in range(3):
                commit("long", number, slowly)
        finally:
            ended.set()

    def quick() -> None:
        number = 0
        while not ended.is_set():
            commit("quick", number, quickly)
            number += 1
        assert number > 3

    assert together(long, quick) == [None, None]
    assert 3 < len(tries) <= 6, "three commits, each refused at most once; none was refused: nothing was shown"


def test_a_deadlock_is_a_conflict_and_ends(catalogue: Catalogue) -> None:
    barrier = threading.Barrier(2)

    def work(first: str, second: str) -> None:
        with catalogue.write(row_locks=True) as connection:
            put(connection, first, 1)
            barrier.wait(10)
            put(connection, second, 2)

    ended = together(lambda: work("a", "b"), lambda: work("b", "a"))
    assert [type(error) for error in ended if error] == [ConflictError]


def test_retried_writers_lose_no_update(catalogue: Catalogue) -> None:
    def count() -> None:
        with catalogue.write() as connection:
            put(connection, "a", value(connection, "a") + 1)

    def work() -> None:
        for _ in range(25):
            retried(catalogue, count)

    assert together(*[work] * 4) == [None] * 4
    with catalogue.read() as connection:
        assert value(connection, "a") == 100


def test_a_reader_sees_one_moment(catalogue: Catalogue) -> None:
    with catalogue.read() as reader:
        before = value(reader, "a")
        with catalogue.write() as writer:
            put(writer, "a", 7)
        assert value(reader, "a") == before
    with pytest.raises(StorageError, match="read-only"), catalogue.read() as reader:
        put(reader, "a", 8)


def test_who_waits_too_long_for_a_row_is_told(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.3)
    opened = Catalogue.open(postgres_url)
    migrate(opened)
    with opened.write() as connection:
        connection.execute(meta.insert().values(key="a", value="0"))
    with opened.write(row_locks=True) as holder:
        put(holder, "a", 1)
        with pytest.raises(BusyError, match="holds") as caught, opened.write(row_locks=True) as connection:
            put(connection, "a", 2)
    assert not isinstance(caught.value, ConflictError)
    opened.close()


def test_one_at_a_time_sees_what_the_one_before_left(catalogue: Catalogue) -> None:
    def work() -> None:
        with catalogue.write(row_locks=True) as connection:
            serialise(connection, "count")
            put(connection, "a", value(connection, "a") + 1)

    assert together(*[work] * 8) == [None] * 8
    with catalogue.read() as connection:
        assert value(connection, "a") == 8


def test_a_broken_transaction_leaves_nothing(catalogue: Catalogue) -> None:
    with pytest.raises(RuntimeError), catalogue.write() as connection:
        events.append(connection, kind="k", actor="a", subject="s", body={})
        raise RuntimeError
    with catalogue.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(event_table)).scalar_one() == 0


def test_processes_that_migrate_at_once_all_come_through(postgres_url: str, tmp_path: Path) -> None:
    program = (
        "import sys; from retention.catalogue.engine import Catalogue; from retention.catalogue.migrate import migrate;"
        "from liucun.store import prepare_tables; c = Catalogue.open(sys.argv[1]); sys.stdin.read(1);"
        "migrate(c); prepare_tables(c); c.close()"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, postgres_url], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    answers = [process.communicate(b"x", timeout=120) for process in running]
    assert [process.returncode for process in running] == [0] * 4, answers
    opened = Catalogue.open(postgres_url)
    assert version(opened, "retention") is not None
    assert version(opened, "tickets") is not None
    prepare_tables(opened)
    migrate(opened, room="tickets", script_location=TICKET_SCRIPTS)
    opened.close()


def backend(connection: sa.Connection) -> int:
    return int(connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one())


def test_a_connection_cut_in_the_middle_is_a_typed_error_and_the_next_goes_on(
    catalogue: Catalogue, postgres_admin: str
) -> None:
    admin = sa.create_engine(postgres_admin, poolclass=sa.pool.NullPool)
    with pytest.raises(LostCommitError, match="went away") as caught, catalogue.write() as connection:
        put(connection, "a", 1)
        with admin.connect() as other:
            other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": backend(connection)})
        put(connection, "b", 1)
    assert caught.value.exit_code == 8
    with catalogue.write() as connection:
        assert (value(connection, "a"), value(connection, "b")) == (0, 0)
        put(connection, "a", 5)
    admin.dispose()


def partition(catalogue: Catalogue) -> None:
    with catalogue.write() as connection:
        progress.add_partition(connection, source="s", partition="p#1", path="/p", generation=1)


def batch(start: int, end: int) -> BatchCommit:
    return BatchCommit("s", "p#1", start, end, records=0, headers=0, blanks=end - start, segments=())


def test_a_batch_survives_a_server_that_is_killed_in_the_middle(catalogue: Catalogue) -> None:
    """The postmaster dies by SIGKILL with the transaction open, and is started again: the batch is committed once."""
    partition(catalogue)
    killed = threading.Event()
    calls = 0

    def inside(connection: sa.Connection) -> int:
        nonlocal calls
        calls += 1
        events.append(connection, kind="k", actor="a", subject="s", body={"call": calls})
        if calls == 1:
            servers.control("postgres", "kill")
            killed.set()
        return calls

    def restart() -> None:
        assert killed.wait(30)
        time.sleep(0.5)
        servers.control("postgres", "start")

    helper = threading.Thread(target=restart)
    helper.start()
    try:
        commit, result = commit_batch(catalogue, batch(0, 10), inside=inside)
    finally:
        killed.set()
        helper.join()
    assert (commit.outcome, result) == (Outcome.COMMITTED, 2)
    with catalogue.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(batches)).scalar_one() == 1
        kinds = connection.execute(sa.select(event_table.c.body).where(event_table.c.kind == "k")).scalars().all()
        assert kinds == ['{"call":2}']
    assert commit_batch(catalogue, batch(0, 10))[0].outcome is Outcome.DUPLICATE


def test_a_server_that_restarts_is_waited_for(catalogue: Catalogue) -> None:
    servers.control("postgres", "stop")
    helper = threading.Timer(1.0, servers.control, ("postgres", "start"))
    helper.start()
    try:
        with catalogue.write() as connection:
            put(connection, "a", 1)
    finally:
        helper.join()


def test_a_server_that_stays_away_is_exit_code_8(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "RECONNECT_SECONDS", 0.5)
    servers.control("postgres", "stop")
    try:
        with pytest.raises(UnreachableError, match=r"cannot be reached|went away") as caught, catalogue.read():
            pass
        assert caught.value.exit_code == 8
    finally:
        servers.control("postgres", "start")
    with catalogue.read() as connection:
        assert value(connection, "a") == 0


def test_many_committers_of_the_same_batches_commit_each_once(catalogue: Catalogue) -> None:
    partition(catalogue)
    won: list[int] = []

    def work() -> None:
        for start in range(0, 200, 10):
            commit, _ = commit_batch(catalogue, batch(start, start + 10))
            if commit.outcome is Outcome.COMMITTED:
                won.append(start)

    assert together(*[work] * 4) == [None] * 4
    assert sorted(won) == list(range(0, 200, 10))


@pytest.mark.parametrize(
    ("change", "error", "code"),
    [
        ({"password": "wrong-password"}, NotPermittedError, 9),
        ({"database": "no_such_database"}, StorageError, 6),
        ({"port": 1}, UnreachableError, 8),
    ],
)
def test_a_wrong_url_is_named_and_never_shows_the_password(
    postgres_url: str, change: dict[str, object], error: type[Exception], code: int
) -> None:
    url = sa.make_url(postgres_url).set(**change)
    opened = Catalogue.open(url.render_as_string(hide_password=False))
    with pytest.raises(error) as caught, opened.read():
        pass
    assert caught.value.exit_code == code
    assert str(url.password) not in str(caught.value)
    opened.close()


@pytest.mark.parametrize("url", ["mysql://u:secret@h/d", "postgresql+asyncpg://u:secret@h/d", "://secret"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Catalogue.open(url)
    assert "secret" not in str(caught.value)


def test_a_collector_killed_in_its_transaction_holds_nobody_up(postgres_url: str, catalogue: Catalogue) -> None:
    program = (
        "import sys, time; from retention.catalogue.engine import Catalogue; import sqlalchemy as sa;"
        "c = Catalogue.open(sys.argv[1])\n"
        "with c.write() as connection:\n"
        "    connection.execute(sa.text(\"UPDATE meta SET value = '9' WHERE key = 'a'\"))\n"
        "    print('held', flush=True)\n"
        "    time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, postgres_url], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    with catalogue.write() as connection:
        assert value(connection, "a") == 0
        put(connection, "a", 1)


def test_a_statement_asked_often_is_planned_with_its_values(catalogue: Catalogue) -> None:
    """A prepared one may be planned without them, and then compares each row with each of a thousand texts."""
    names = [f"p{n}" for n in range(1000)]
    for _ in range(12):
        with catalogue.read() as connection:
            chosen = sa.select(partitions.c.partition).where(sets.among(connection, partitions.c.partition, names))
            assert connection.execute(chosen).all() == []
            prepared = connection.exec_driver_sql("SELECT statement FROM pg_prepared_statements").scalars().all()
            assert prepared == []


def test_text_with_nul_is_stored_and_found_again(catalogue: Catalogue) -> None:
    """A hostile record's number must not stop its source: NUL is written as its symbol."""
    with catalogue.write() as connection:
        connection.execute(meta.insert().values(key="n", value="a\x00b"))
        put(connection, "a", 3)
    with catalogue.read() as connection:
        found = connection.execute(sa.select(meta.c.value).where(meta.c.value == "a\x00b")).scalar_one()
    assert found == "a\u2400b"
