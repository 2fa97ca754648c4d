"""Coverage-guided fuzzing of everything that parses files somebody else may have made (guarantee G19).

``python -m tests.faults.fuzz --seconds 600`` gives each target its share: a segment's header, a whole container, a
manifest, a signed checkpoint, an object of the log's entries. Each input must end in a value or an error of the
project's tree; anything else, an input that takes over ten seconds, or memory over 256 MB above what the process
holds before the first input ends the run.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

MEMORY_MB: Final = 256
TARGETS: Final = ("header", "container", "manifest", "checkpoint", "entries")
SEED: Final = bytes(range(32))


def seeds(target: str) -> tuple[Callable[[bytes], object], list[bytes]]:
    """What to call, and well-formed inputs to begin with."""
    from errors import KeyAccessError
    from retention.container import Binding, Header, seal
    from retention.container_reader import ContainerReader
    from retention.crypto.suites import suite
    from retention.keys.memory import PeriodKey
    from retention.manifest import SegmentManifest, SegmentPlace
    from retention.objects.memory import MemoryObjects
    from retention.transparency.entries import Entry, open_entries, seal_entries
    from retention.transparency.note import Checkpoint, Ed25519Signer, open_note, sign_note

    chosen = suite()
    key = PeriodKey("user_log-2026-03-abc", SEED)
    binding = Binding("segment", "attempt", "user_log", "2026-03", 1)

    def find(key_id: str) -> PeriodKey:
        if key_id != key.key_id:
            raise KeyAccessError("no such key", cure="-")
        return key

    class Keys:
        def current(self, *_: str) -> PeriodKey:
            return key

        def get(self, key_id: str) -> PeriodKey:
            return find(key_id)

    def container(data: bytes) -> object:
        objects = MemoryObjects()
        objects.put("object", data)
        return ContainerReader(objects, "object", find).read()

    signer = Ed25519Signer("liucun/test", SEED)
    name = "log/entries/000000000000-000000000002-0123456789abcdef.lce"
    keys: Any = Keys()
    digest = "0" * 64
    manifest = SegmentManifest(
        1, "s", "a", "segments/x", "user_log", "2026-03", chosen.name, "k", 1, 3, 9, digest, digest, None, None,
        (SegmentPlace("app", "app.log#1", 0, 30, 3),), ("older",),
    )  # fmt: skip
    sealed = [bytes(seal(chosen, key, binding, bytes(size)).data) for size in (0, 5, 16384, 40000)]
    note = sign_note(Checkpoint("liucun/test", 3, SEED, ("hash SM3",)).text(), signer)
    proved = replace(manifest, format_version=2, record_class="evidence", rows_root="0" * 64)
    committed = replace(proved, format_version=3, rows_root=None, rows_digest="0" * 64)
    entries = [Entry("segment", "s", manifest.to_bytes()), Entry("event", "1", b"{}", SEED[:16], b"[]")]
    return {
        "header": (lambda data: Header.parse(data, "fuzz"), [data[:1024] for data in sealed]),
        "container": (container, sealed),
        "manifest": (SegmentManifest.from_bytes, [manifest.to_bytes(), proved.to_bytes(), committed.to_bytes()]),
        "checkpoint": (
            lambda data: Checkpoint.read(open_note(data.decode("utf-8", "replace"), [signer.verifier])),
            [note.encode()],
        ),
        "entries": (
            lambda data: open_entries(keys, "liucun/test", name, data),
            [seal_entries(chosen, keys, "liucun/test", 0, entries, month="2026-03")],
        ),
    }[target]


def held_mb() -> int:
    """The most that this process has held so far, in MiB."""
    return -(-resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def fuzz(target: str, seconds: int, corpus: Path) -> None:
    """Fuzz one target in this process; does not return."""
    import atheris

    with atheris.instrument_imports(include=["retention"]):
        call, begin = seeds(target)
    from errors import LiucunError

    for number, data in enumerate(begin):
        (corpus / f"seed-{number}").write_bytes(data)
        call(data)

    def one(data: bytes) -> None:
        try:
            call(data)
        except LiucunError:
            return

    limits = [
        f"-max_total_time={seconds}",
        "-timeout=10",
        # The peak of the process, looked at every second and at its end, not single allocations: Python's and Arrow's
        # allocators do not tell the fuzzer of theirs.
        f"-rss_limit_mb={held_mb() + MEMORY_MB}",
        "-max_len=65536",
    ]
    atheris.Setup([sys.argv[0], *limits, "-print_final_stats=1", str(corpus)], one)
    atheris.Fuzz()


def main() -> None:
    """Fuzz every target, one process each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together")
    parser.add_argument("--target", choices=TARGETS)
    parser.add_argument("--corpus", type=Path)
    arguments = parser.parse_args()
    if arguments.target:
        fuzz(arguments.target, arguments.seconds, arguments.corpus)
        return
    for target in TARGETS:
        with tempfile.TemporaryDirectory(prefix="liucun-fuzz-") as folder:
            share = str(max(arguments.seconds // len(TARGETS), 1))
            command = [sys.executable, "-m", "tests.faults.fuzz", "--target", target, "--seconds", share]
            done = subprocess.run(
                [*command, "--corpus", folder],
                capture_output=True,
                text=True,
                check=False,
                cwd=Path(__file__).parents[2],
            )
        if done.returncode:
            print(done.stderr[-4000:])
            raise SystemExit(f"{target}: exit {done.returncode}")
        figures = " ".join(
            line.removeprefix("stat::") for line in done.stderr.splitlines() if line.startswith("stat::")
        )
        print(f"{target}: no crash, no hang; {figures}", flush=True)


if __name__ == "__main__":
    main()
