"""Atomic writes: a file changes as a whole, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from contextlib import contextmanager, suppress
from io import BufferedWriter, FileIO, UnsupportedOperation
from typing import TYPE_CHECKING, BinaryIO

from soundtags.errors import ChangedMeanwhile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soundtags.types import Path

    AnyPath = Path | os.PathLike[str]

PREFIX = ".soundtags-"
ENDING = 8  # characters of a name's ending that say what a file is
PRIVATE, PUBLIC = 0o600, 0o666  # permissions, of which the umask takes some


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
        If the file must not be written, the copy cannot be, or it would have
        another owner, group or mode than the file.
    """
    target = os.path.realpath(os.fsdecode(path))
    _check_writable(target)
    with _part(target, PRIVATE) as copy:
        before = os.stat(target)
        shutil.copyfile(target, copy)
        with suppress(OSError):  # not every file system has all of it
            shutil.copystat(target, copy)
        _inherit(copy, before)
        _check_access(copy, before)
        yield copy
        _sync(copy)
        if _state(os.stat(target)) != _state(before):
            raise ChangedMeanwhile("another program has changed it meanwhile")
        _rename(copy, target)


@contextmanager
def writing(path: AnyPath) -> Iterator[BinaryIO]:
    """Let a file be written, which appears when it is complete.

    Until then, what was there before stays, and if anything goes wrong, it
    stays for good. A symbolic link is followed. A device or a pipe is written
    to directly.

    Parameters
    ----------
    path
        The file, which may exist.

    Yields
    ------
    file object
        Where to write the content, as bytes.

    Raises
    ------
    OSError
        If the file must not be written, or cannot be. Its ``filename`` is the
        path that was asked for.
    """
    target = os.fsdecode(path)
    place = os.path.realpath(target)
    try:
        before = _stat(target)
        if before and not _is_replaceable(before, place):
            with BufferedWriter(_Stream(target, "wb")) as file:
                yield file
            return
        if before:
            _check_writable(place)
        with _part(place, PRIVATE if before else PUBLIC) as part:
            with open(part, "wb") as file:
                yield file
            if before:
                _inherit(part, before)
                _check_access(part, before)
            commit(part, place)
    except OSError as exc:
        # Nobody has named the part, or where a link leads.
        named = exc.filename
        if not isinstance(named, str) or (
            PREFIX in named or place.startswith(named)
        ):
            exc.filename, exc.filename2 = target, None
        raise


def commit(part: AnyPath, target: AnyPath) -> None:
    """Put a complete file in its place, also in case of a power cut.

    Parameters
    ----------
    part
        The file, in the folder of the target.
    target
        The name that it gets; a file of that name is replaced.

    Raises
    ------
    OSError
        If that fails.
    """
    _sync(part)
    _rename(part, target)


class _Stream(FileIO):
    """A device or a pipe, which has no positions, whatever it says."""

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise UnsupportedOperation

    def seek(self, *_args: object) -> int:
        raise UnsupportedOperation


@contextmanager
def _part(target: str, mode: int) -> Iterator[str]:
    """Have a new file beside another one for a while."""
    folder, name = os.path.split(target)
    prefix = f"{PREFIX}{_digest(name)}-"
    _delete_leftovers(folder, prefix)
    ending = os.path.splitext(name)[1][:ENDING]
    part = os.path.join(folder, f"{prefix}{os.urandom(4).hex()}{ending}")
    handle = os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode)
    try:
        with _claimed(handle):
            yield part
    finally:
        with suppress(OSError):
            os.remove(part)


@contextmanager
def _claimed(handle: int) -> Iterator[None]:
    """Keep others from taking an open file for a leftover; close it."""
    if sys.platform == "win32":  # open files cannot be renamed there
        os.close(handle)
        yield
        return
    try:
        with suppress(OSError):  # not every file system has locks
            _claim(handle)
        yield
    finally:
        os.close(handle)


def _claim(handle: int) -> None:
    """Lock an open file, or fail if somebody else has."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _delete_leftovers(folder: str, prefix: str) -> None:
    """Delete the parts of writers that are no more."""
    with os.scandir(folder) as entries:
        leftovers = [e.path for e in entries if e.name.startswith(prefix)]
    for path in leftovers:
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR)
            try:
                _claim(handle)
            finally:
                os.close(handle)
            os.remove(path)


def _stat(target: str) -> os.stat_result | None:
    try:
        return os.stat(target)
    except FileNotFoundError:
        return None


def _is_replaceable(found: os.stat_result, place: str) -> bool:
    """Return whether a file is a regular one, and has a place of its own.

    A file that is open, as /dev/stdout, may have been deleted.
    """
    there = _stat(place)
    is_there = there is not None and os.path.samestat(found, there)
    return stat.S_ISREG(found.st_mode) and is_there


def _check_writable(target: str) -> None:
    # The folder decides what may be replaced, but the file's own word counts.
    with open(target, "r+b"):
        pass


def _inherit(part: str, before: os.stat_result) -> None:
    """Give a file the owner, group and permissions of another one.

    As far as that is possible, one by one.
    """
    with suppress(AttributeError):  # no owners on Windows
        for ids in ((before.st_uid, -1), (-1, before.st_gid)):
            with suppress(OSError):
                os.chown(part, *ids)
    with suppress(OSError):  # not on every file system
        os.chmod(part, stat.S_IMODE(before.st_mode))


def _check_access(part: str, before: os.stat_result) -> None:
    """Refuse to replace a file by one that others could not use as before."""
    found = os.stat(part)
    same = [
        getattr(found, name) == getattr(before, name)
        for name in ("st_uid", "st_gid", "st_mode")
    ]
    if not all(same):
        raise PermissionError(
            errno.EPERM, "its owner, group and permissions cannot be kept"
        )


def _digest(name: str) -> str:
    import hashlib  # costs more than all else that beets would load for us

    encoded = name.encode(errors="surrogateescape")
    return hashlib.sha256(encoded).hexdigest()[:16]


def _sync(path: AnyPath) -> None:
    with open(path, "r+b") as file:
        os.fsync(file.fileno())


def _rename(part: AnyPath, target: AnyPath) -> None:
    os.replace(part, target)
    # Without this, a power cut could bring back what was there before.
    with suppress(OSError):  # Windows opens no folders
        folder = os.path.dirname(os.fsdecode(target)) or os.curdir
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _state(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_mtime_ns, found.st_size, found.st_ino
