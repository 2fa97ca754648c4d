"""Finds the regular files of a source's globs; everything else that matches is a problem in words."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.sources.problems import SourceProblem


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file: ``size`` in bytes as stored, ``modified`` in nanoseconds."""

    path: str
    device: int
    inode: int
    size: int
    modified: int

    @property
    def compressed(self) -> bool:
        """Whether its name says gzip."""
        return self.path.endswith(".gz")

    @property
    def hint(self) -> str:
        """What is the same as long as nobody touched the file."""
        return f"{self.device}:{self.inode}:{self.size}:{self.modified}"


def find_files(globs: Iterable[str]) -> tuple[list[FoundFile], list[SourceProblem]]:
    """Files that match, in order of their absolute paths, each once however many links lead to the same path."""
    found: dict[str, FoundFile] = {}
    problems: dict[str, SourceProblem] = {}
    for pattern in globs:
        absolute = os.path.abspath(pattern)
        matches = sorted(glob.glob(absolute, recursive=True))
        for path in matches:
            _examine(path, found, problems)
        if not matches:
            _explain(absolute, problems)
    return [found[path] for path in sorted(found)], [problems[path] for path in sorted(problems)]


def _examine(path: str, found: dict[str, FoundFile], problems: dict[str, SourceProblem]) -> None:
    try:
        status = os.stat(path)
    except OSError as error:
        problems[path] = SourceProblem(path, f"cannot be looked at: {error.strerror}")
        return
    if stat.S_ISREG(status.st_mode):
        found[path] = FoundFile(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    elif stat.S_ISDIR(status.st_mode):
        if not os.access(path, os.R_OK | os.X_OK):
            problems[path] = SourceProblem(path, "is a folder that cannot be read")
    else:
        problems[path] = SourceProblem(path, "is no regular file (a pipe, socket or device) and was not read")


def _explain(pattern: str, problems: dict[str, SourceProblem]) -> None:
    """Why nothing matched: the first folder on the way that is missing or cannot be read."""
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        problems[pattern] = SourceProblem(pattern, "matches nothing: its folder does not exist")
    elif not os.access(folder, os.R_OK | os.X_OK):
        problems[pattern] = SourceProblem(pattern, "matches nothing: its folder cannot be read")
    else:
        problems[pattern] = SourceProblem(pattern, "matches nothing")
