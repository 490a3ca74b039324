"""Atomic writes: a file changes as a whole, or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from soundtags.errors import ChangedMeanwhile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path as Path_

    from soundtags.types import Path

PREFIX = ".soundtags-"
ENDING = 8  # characters of a name's ending that say what a file is


@contextmanager
def replacing(path: Path) -> Iterator[str]:
    """Let a file be changed in a copy, which then takes its place.

    Whatever happens, at any moment, under the file's name is what was there
    or what is to be. The copy lies beside the file and is gone afterwards; if
    the process is killed, the next one to change the file deletes it. A
    symbolic link stays one. A hard link does not: the other names keep the
    file as it was.

    Parameters
    ----------
    path
        The file.

    Yields
    ------
    str
        The path of the copy, with the same ending.

    Raises
    ------
    ChangedMeanwhile
        If somebody else has written to the file in between.
    OSError
        If the file must not be written, or the copy cannot be.
    """
    target = os.path.realpath(os.fsdecode(path))
    _check_writable(target)
    folder, name = os.path.split(target)
    prefix = f"{PREFIX}{_digest(name)}-"
    _delete_leftovers(folder, prefix)
    ending = os.path.splitext(name)[1][:ENDING]
    handle, copy = tempfile.mkstemp(ending, prefix, folder)
    os.close(handle)
    try:
        before = os.stat(target)
        shutil.copy2(target, copy)
        with suppress(OSError, AttributeError):  # not on Windows
            os.chown(copy, before.st_uid, before.st_gid)
        yield copy
        _sync(copy)
        if _state(os.stat(target)) != _state(before):
            raise ChangedMeanwhile("changed by somebody else meanwhile")
        os.replace(copy, target)
    finally:
        with suppress(OSError):
            os.remove(copy)


@contextmanager
def appearing(target: Path_) -> Iterator[Path_]:
    """Let a file be written beside its place, where it appears when whole.

    Parameters
    ----------
    target
        The file, which may exist.

    Yields
    ------
    pathlib.Path
        Where to write it.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        yield part
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _check_writable(target: str) -> None:
    # The folder decides what may be replaced, but the file's own word counts.
    with open(target, "r+b"):
        pass


def _digest(name: str) -> str:
    encoded = name.encode(errors="surrogateescape")
    return hashlib.sha256(encoded).hexdigest()[:16]


def _delete_leftovers(folder: str, prefix: str) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(prefix):
                with suppress(OSError):
                    os.remove(entry)


def _sync(path: str) -> None:
    with open(path, "r+b") as file:
        os.fsync(file.fileno())


def _state(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_mtime_ns, found.st_size, found.st_ino
