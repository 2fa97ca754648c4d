"""Finds the regular files of a source's globs; everything else that matches is a problem in words."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipelines.sources.problems import SourceProblem


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file: ``size`` in bytes as stored, ``modified`` in nanoseconds, ``links``: how many names it has."""

    path: str
    device: int
    inode: int
    size: int
    modified: int
    links: int = 1

    @property
    def compressed(self) -> bool:
        """Whether its name says gzip."""
        return self.path.endswith(".gz")

    @property
    def hint(self) -> str:
        """What is the same as long as nobody touched the file."""
        return f"{self.device}:{self.inode}:{self.size}:{self.modified}"


def find_files(globs: Iterable[str]) -> tuple[list[FoundFile], list[SourceProblem]]:
    """Files that match, in order of their absolute paths, each once however many globs and links lead to it."""
    found: dict[str, FoundFile] = {}
    problems: dict[str, SourceProblem] = {}
    for pattern in globs:
        absolute = os.path.abspath(pattern)
        matches = sorted(glob.glob(absolute, recursive=True))
        for path in matches:
            _examine(path, found, problems)
        if not matches:
            _explain(absolute, problems)
    return _once(found), [problems[path] for path in sorted(problems)]


def _once(found: Mapping[str, FoundFile]) -> list[FoundFile]:
    """Each file under one of its paths: its own before a symbolic link's, of hard links the first."""
    alike: dict[tuple[int, int], list[FoundFile]] = {}
    for file in found.values():
        alike.setdefault((file.device, file.inode), []).append(file)
    chosen: list[FoundFile] = []
    for files in alike.values():
        if len(files) == 1:
            chosen += files
            continue
        places: dict[str, list[FoundFile]] = {}
        for file in files:
            # Not by the inode alone: some network file systems give several files the same.
            places.setdefault("" if file.links > 1 else os.path.realpath(file.path), []).append(file)
        chosen += (min(same, key=lambda file: (_is_link(file.path), file.path)) for same in places.values())
    return sorted(chosen, key=lambda file: file.path)


def _is_link(path: str) -> bool:
    return os.path.realpath(path) != path


def _examine(path: str, found: dict[str, FoundFile], problems: dict[str, SourceProblem]) -> None:
    try:
        status = os.stat(path)
    except OSError as error:
        problems[path] = SourceProblem(path, f"cannot be looked at: {error.strerror}")
        return
    if stat.S_ISREG(status.st_mode):
        found[path] = FoundFile(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_nlink)
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
