"""Lets every write, sync, rename, link, deletion and truncation of some work fail in turn, and looks at what is left.

Each is tried in each mode: the disk full from there on, one I/O error, a torn write and death, death before it. After
each the work is repeated undisturbed, and everything must be as if nothing had happened. A library loaded in front of
the C library counts the operations below the trial's folder, SQLite's included. What is disturbed is a ``Life``.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

SHIM: Final = Path(__file__).with_name("shim.c")
MODES: Final = {1: "disk full", 2: "I/O error", 3: "torn write", 4: "killed"}
SECONDS: Final = 120
FINE, TYPED, UNTYPED = 0, 3, 4


@dataclass(frozen=True, slots=True)
class Life:
    """What a sweep disturbs.

    ``prepare`` makes the folder that every trial is a copy of; ``live`` does the work there, and goes on where an
    earlier one was stopped; ``left`` says in a word in what state a disturbed life left the folder, and raises
    AssertionError when that may not be; ``contents`` gives a digest of all that must be exact in the end.
    """

    prepare: Callable[[Path], None]
    live: Callable[[Path], None]
    contents: Callable[[Path], str]
    left: Callable[[Path], str] | None = None
    warm: tuple[str, ...] = ()
    what: str = "archive"


def build(folder: Path) -> Path:
    """Compile the library."""
    library = folder / "shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SHIM, "-ldl"], check=True)
    return library


@dataclass
class Sweep:
    """One sweep: a template that every trial is a copy of, and the library in this process."""

    life: Life
    work: Path
    template: Path
    library: ctypes.CDLL
    expected: str = ""
    operations: int = 0
    writes: frozenset[int] = frozenset()

    @classmethod
    def begin(cls, life: Life, work: Path, library: Path) -> Sweep:
        """Prepare the template and see an undisturbed life."""
        template = work / "template"
        for name in life.warm:  # once, not in every process
            import_module(name)
        life.prepare(template)
        # Compiled loops, automata and the graph's own machinery are loaded here, and shared by every child.
        shutil.copytree(template, work / "warm")
        life.live(work / "warm")
        life.contents(work / "warm")
        gc.freeze()  # what is loaded is not looked through again in every child
        made = cls(life, work, template, ctypes.CDLL(str(library)))
        trial = made.trial("undisturbed")
        counter = work / "count"

        def counted() -> None:
            made.arm(trial, 0, 0)
            life.live(trial)
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
        return self.asked(self.life.contents, trial)

    def asked(self, question: Callable[[Path], str], trial: Path) -> str:
        """What is answered in a process of its own."""
        answer = self.work / "answer"
        answer.unlink(missing_ok=True)
        code = self.child(lambda: answer.write_text(question(trial)))
        assert code == FINE, f"{(self.work / 'name').read_text()}: {(self.work / 'said').read_text()}"
        return answer.read_text()

    def point(self, mode: int, number: int) -> str:
        """Disturb one operation, repeat undisturbed, and compare; how the disturbed life ended."""
        trial = self.trial(f"{MODES[mode]} at operation {number}")

        def disturbed() -> None:
            self.arm(trial, mode, number)
            self.life.live(trial)

        code = self.child(disturbed)
        said = (self.work / "said").read_text()
        ends = {FINE: "went on", TYPED: "typed error", -signal.SIGKILL: "died"}
        assert code in ends, f"{MODES[mode]} at operation {number}: exit {code}\n{said}"
        ended = ends[code]
        if self.life.left is not None:
            ended += f", {self.asked(self.life.left, trial)}"
        code_again = self.child(lambda: self.life.live(trial))
        said = (self.work / "said").read_text()
        assert code_again == FINE, f"after {MODES[mode]} at operation {number}: exit {code_again}\n{said}"
        found = self.look(trial)
        assert found == self.expected, f"after {MODES[mode]} at operation {number} the {self.life.what} differs"
        return ended


def sweep(
    life: Life,
    *,
    every: int = 1,
    first: int = 1,
    modes: tuple[int, ...] = tuple(MODES),
    quiet: bool = False,
    part: str = "1/1",
) -> str:
    """Try every ``every``-th operation in each mode; one line that says what was seen. Raises AssertionError.

    A full disk and a torn write are tried on writes only: elsewhere they are the next write's, or a death.
    ``part`` I/N tries every Nth point, beginning with the Ith.
    """
    preloaded = os.environ.get("LIUCUN_SHIM")
    if preloaded is None:
        raise SystemExit("run it by main(): the library must be loaded when the process starts")
    with tempfile.TemporaryDirectory(prefix="liucun-sweep-") as folder:
        trial = Sweep.begin(life, Path(folder), Path(preloaded))
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
        f"after every one the {life.what} was exact"
    )


def main(life: Life, module: str, words: str) -> None:
    """Build the library, and start ``module`` again with it loaded; ``words`` is its help."""
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--modes", type=int, nargs="*", default=list(MODES), choices=list(MODES))
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="every Nth point, from the Ith")
    arguments = parser.parse_args()
    if "LIUCUN_SHIM" in os.environ:
        print(
            sweep(
                life,
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
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        raise SystemExit(subprocess.run(command, env=env, check=False).returncode)
