"""Lets every write, sync, rename, link, deletion and truncation of a run fail in turn, and looks at what is left.

``python -m tests.faults.sweep`` tries each of them in each mode: the disk full from there on, one I/O error, a
torn write and death, death before it. After each the run is repeated undisturbed, and the archive must be exact:
every record once, every ticket once, the log unbroken and witnessed, no file half written. ``--every K`` takes
every Kth point only.

A library loaded in front of the C library counts the operations below the trial's folder, SQLite's included.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

SHIM: Final = Path(__file__).with_name("shim.c")
MODES: Final = {1: "disk full", 2: "I/O error", 3: "torn write", 4: "killed"}
SECONDS: Final = 120
SECRET: Final = "a passphrase of tests"
RECORDS: Final = 240
FINE, TYPED, UNTYPED = 0, 3, 4
WARM: Final = (
    "liucun.store",
    "pipelines.job",
    "pipelines.embedded",
    "pipelines.decode",
    "retention.audits.coverage",
    "retention.audits.integrity",
    "retention.compaction.collect",
    "retention.compaction.merge",
    "retention.transparency.verify",
    "tickets.opening",
)


def build(folder: Path) -> Path:
    """Compile the library."""
    library = folder / "shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SHIM, "-ldl"], check=True)
    return library


def prepare(folder: Path) -> None:
    """The input, a fresh store and its custodian's folder."""
    from detectors.default import default_detector
    from retention.keys import keyring
    from retention.keys.passphrase import Cost
    from retention.store import CustodianSettings, Store, StoreSettings

    folder.mkdir()
    (folder / "notary").mkdir()
    lines = []
    for n in range(RECORDS):
        text = "体育竞猜平台 赌球 上分下分 加微信" if n % 60 == 30 else f"很好用的商品 {n}"
        lines.append(f'{{"event_time":"2026-0{1 + n % 3}-05T08:00:00Z","user_id":"u{n % 7}","text":"{text}"}}\n')
    (folder / "in.ndjson").write_text("".join(lines), encoding="utf-8")
    default_detector()
    # A cheap key ring: every trial opens it several times.
    create, cheap = keyring.KeyRing.create, Cost(memory_kib=64, iterations=1)
    keyring.KeyRing.create = classmethod(lambda cls, path, secret: create(path, secret, cost=cheap))  # type: ignore[method-assign, assignment]
    try:
        Store.create(folder / "store", StoreSettings(custodian=CustodianSettings(checkpoints="../notary")), SECRET)
    finally:
        keyring.KeyRing.create = create  # type: ignore[method-assign]
    with _open(folder) as store:
        store.bodies.blind("any", "ticket content")  # its key is made on first use, and tickets are compared by it


def live(folder: Path) -> None:
    """What is disturbed: take everything in, number it, merge it, collect."""
    from pipelines.job import Job, JobOptions
    from pipelines.sources.spec import parse_spec
    from retention.compaction.collect import collect
    from retention.compaction.merge import compact, plan

    with _open(folder) as store:
        spec = parse_spec("content:ndjson:" + str(folder / "in.ndjson"), published=True)
        Job(store, [spec], JobOptions(batch_bytes=8 << 10, round_bytes=8 << 10)).run()
        store.log.keep()
        compact(store.catalogue, store.archive, plan(store.catalogue), progress=lambda *_: None)
        collect(store.catalogue, store.objects)


def contents(folder: Path) -> str:
    """A digest of all that must be exact, after every audit has passed."""
    import sqlalchemy as sa

    from retention.audits.coverage import audit_coverage
    from retention.audits.integrity import audit_integrity
    from retention.catalogue.tables import segments
    from retention.manifest import SegmentManifest
    from retention.segments import open_segment
    from retention.transparency.verify import verify_log
    from tickets.tables import findings, tickets

    with _open(folder) as store:
        store.log.keep()
        for report in (audit_coverage(store), audit_integrity(store, threads=1)):
            assert report.ok, (report.audit, report.findings[:3])
            strange = {notice.kind for notice in report.notices} - {"orphan"}
            assert not strange, strange
        verdict = verify_log(store.log)
        assert verdict.faults == [], verdict.faults[:3]
        assert verdict.anchored, (verdict.size, verdict.witnessed, verdict.unsequenced, store.log.warnings)
        rows = []
        with store.catalogue.read() as connection:
            for data in connection.execute(sa.select(segments.c.manifest)).scalars():
                table = open_segment(store.archive, SegmentManifest.from_bytes(data)).parquet().read()
                rows += [(r["log_offset"], r["raw"], r["text"]) for r in table.to_pylist()]
            queue = sorted(
                tuple(row)
                for row in connection.execute(
                    sa.select(tickets.c.content_key, tickets.c.offset, tickets.c.findings, tickets.c.state)
                )
            )
            hits = connection.execute(sa.select(sa.func.count()).select_from(findings)).scalar_one()
        assert len(rows) == RECORDS, len(rows)
        assert len(queue) == RECORDS // 60, queue
    # The blinded key of a ticket's content is the store's own; all trials are copies of one store.
    return hashlib.sha256(repr((sorted(rows), queue, hits)).encode()).hexdigest()


def _open(folder: Path):  # type: ignore[no-untyped-def]
    from liucun.store import prepare_tables
    from retention.store import CustodianSettings, Store, StoreSettings

    settings = StoreSettings(custodian=CustodianSettings(checkpoints="../notary"))
    store = Store.open(folder / "store", settings, SECRET)
    prepare_tables(store.catalogue)
    return store


@dataclass
class Sweep:
    """One sweep: a template that every trial is a copy of, and the library in this process."""

    work: Path
    template: Path
    library: ctypes.CDLL
    expected: str = ""
    operations: int = 0
    writes: frozenset[int] = frozenset()

    @classmethod
    def begin(cls, work: Path, library: Path) -> Sweep:
        """Prepare the template and see an undisturbed life."""
        template = work / "template"
        for name in WARM:  # once, not in every process
            import_module(name)
        prepare(template)
        # Compiled loops, automata and the graph's own machinery are loaded here, and shared by every child.
        shutil.copytree(template, work / "warm")
        live(work / "warm")
        contents(work / "warm")
        made = cls(work, template, ctypes.CDLL(str(library)))
        trial = made.trial("undisturbed")
        counter = work / "count"

        def counted() -> None:
            made.arm(trial, 0, 0)
            live(trial)
            count = made.library.shim_count()
            counter.write_text(" ".join(str(made.library.shim_takes_space(n)) for n in range(1, count + 1)))

        assert made.child(counted) == FINE, (work / "said").read_text()
        kinds = counter.read_text().split()
        made.operations = len(kinds)
        made.writes = frozenset(n for n, kind in enumerate(kinds, 1) if kind == "1")
        made.expected = made.look(trial)
        return made

    def trial(self, name: str) -> Path:
        """A fresh copy of the template. The input's path is the same for all, as its source's name follows from it."""
        place = self.work / "trial"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.template, place)
        (self.work / "name").write_text(name)
        return place

    def arm(self, trial: Path, mode: int, number: int) -> None:
        """Let operation ``number`` below the trial's folder fail from now on, in this process."""
        self.library.shim_arm(str(trial).encode(), mode, ctypes.c_long(number))

    def child(self, work) -> int:  # type: ignore[no-untyped-def]
        """Do some work in a process of its own; its exit code, negative when a signal ended it."""
        said = self.work / "said"
        said.write_text("")
        process = os.fork()
        if not process:
            code = UNTYPED
            try:
                from errors import LiucunError

                try:
                    work()
                    code = FINE
                except LiucunError as error:
                    said.write_text(str(error))
                    code = TYPED
                except BaseException:  # noqa: BLE001 - written down for the parent, which judges
                    said.write_text(traceback.format_exc())
            finally:
                os._exit(code)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        raise AssertionError(f"{(self.work / 'name').read_text()}: hung for {SECONDS} s")

    def look(self, trial: Path) -> str:
        """The digest of a trial's contents, taken in a process of its own."""
        answer = self.work / "answer"
        answer.unlink(missing_ok=True)
        code = self.child(lambda: answer.write_text(contents(trial)))
        assert code == FINE, f"{(self.work / 'name').read_text()}: {(self.work / 'said').read_text()}"
        return answer.read_text()

    def point(self, mode: int, number: int) -> str:
        """Disturb one operation, repeat undisturbed, and compare; how the disturbed life ended."""
        trial = self.trial(f"{MODES[mode]} at operation {number}")

        def disturbed() -> None:
            self.arm(trial, mode, number)
            live(trial)

        code = self.child(disturbed)
        said = (self.work / "said").read_text()
        ends = {FINE: "went on", TYPED: "typed error", -signal.SIGKILL: "died"}
        assert code in ends, f"{MODES[mode]} at operation {number}: exit {code}\n{said}"
        code_again = self.child(lambda: live(trial))
        said = (self.work / "said").read_text()
        assert code_again == FINE, f"after {MODES[mode]} at operation {number}: exit {code_again}\n{said}"
        found = self.look(trial)
        assert found == self.expected, f"after {MODES[mode]} at operation {number} the archive differs"
        return ends[code]


def sweep(
    *, every: int = 1, first: int = 1, modes: tuple[int, ...] = tuple(MODES), quiet: bool = False, part: str = "1/1"
) -> str:
    """Try every ``every``-th operation in each mode; one line that says what was seen. Raises AssertionError.

    A full disk and a torn write are tried on writes only: elsewhere they are the next write's, or a death.
    ``part`` I/N tries every Nth point, beginning with the Ith.
    """
    preloaded = os.environ.get("LIUCUN_SHIM")
    if preloaded is None:
        raise SystemExit("run it by main(): the library must be loaded when the process starts")
    with tempfile.TemporaryDirectory(prefix="liucun-sweep-") as folder:
        trial = Sweep.begin(Path(folder), Path(preloaded))
        seen: dict[str, int] = {}
        chosen = range(first, trial.operations + 1, every)
        points = [(mode, n) for mode in modes for n in chosen if mode in {2, 4} or n in trial.writes]
        index, parts = (int(number) for number in part.split("/"))
        points = points[index - 1 :: parts]
        for done, (mode, number) in enumerate(points, 1):
            ended = trial.point(mode, number)
            seen[ended] = seen.get(ended, 0) + 1
            if not quiet and done % 50 == 0:
                print(f"{done} of {len(points)} points: {seen}", flush=True)
    outcome = ", ".join(f"{count} {name}" for name, count in sorted(seen.items()))
    return (
        f"{len(points)} points (part {part} of {len(modes)} modes, every {every} of {trial.operations} operations, "
        f"{len(trial.writes)} of them writes; {outcome}): "
        "after every one the archive was exact"
    )


def main() -> None:
    """Build the library, and start again with it loaded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--modes", type=int, nargs="*", default=list(MODES), choices=list(MODES))
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="every Nth point, from the Ith")
    arguments = parser.parse_args()
    if "LIUCUN_SHIM" in os.environ:
        print(
            sweep(
                every=arguments.every,
                first=arguments.first,
                modes=tuple(arguments.modes),
                quiet=arguments.quiet,
                part=arguments.part,
            )
        )
        return
    with tempfile.TemporaryDirectory(prefix="liucun-shim-") as folder:
        library = build(Path(folder))
        env = {**os.environ, "LD_PRELOAD": str(library), "LIUCUN_SHIM": str(library), "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, "-m", "tests.faults.sweep", *sys.argv[1:]]
        raise SystemExit(subprocess.run(command, env=env, check=False).returncode)


if __name__ == "__main__":
    main()
