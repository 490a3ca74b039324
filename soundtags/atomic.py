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
ENDING = 8  # characters of the extension that a temporary file keeps
PRIVATE, PUBLIC = 0o600, 0o666  # permissions, before the umask


@contextmanager
def replacing(path: Path) -> Iterator[str]:
    """Let the caller change a copy of a file, which then replaces it.

    Whatever happens, at any moment, the file's name leads to either the old
    content or the new. The copy lies beside the file and is gone afterwards;
    if the process is killed, the next one to change the file deletes it. A
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
        If another program has written to the file in the meantime.
    OSError
        If the file is not writable, the copy cannot be written, or it would
        have a different owner, group or mode.
    """
    target = os.path.realpath(os.fsdecode(path))
    _check_writable(target)
    with _part(target, PRIVATE) as copy:
        before = os.stat(target)
        shutil.copyfile(target, copy)
        with suppress(OSError):  # not every file system supports all of it
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
    """Let the caller write a file that appears only when it is complete.

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
        If the file may not or cannot be written. The ``filename`` of the error
        is the path that was asked for.
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
        # The caller has named neither the part nor the target of a link.
        named = exc.filename
        if not isinstance(named, str) or (
            PREFIX in named or place.startswith(named)
        ):
            exc.filename, exc.filename2 = target, None
        raise


def commit(part: AnyPath, target: AnyPath) -> None:
    """Put a complete file in its place, so that it survives a power cut.

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
    """A device or a pipe, which cannot seek, even if it says that it can."""

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise UnsupportedOperation

    def seek(self, *_args: object) -> int:
        raise UnsupportedOperation


@contextmanager
def _part(target: str, mode: int) -> Iterator[str]:
    """Create a temporary file beside another one."""
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
    """Keep others from taking an open file for a leftover, then close it."""
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
    """Delete the parts whose writers are no longer running."""
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
    """Return whether a file is regular, and is the one at its real path.

    An open file, such as that behind /dev/stdout, may have been deleted.
    """
    there = _stat(place)
    is_there = there is not None and os.path.samestat(found, there)
    return stat.S_ISREG(found.st_mode) and is_there


def _check_writable(target: str) -> None:
    # Replacing a file takes only the folder's permission; respect the file's.
    with open(target, "r+b"):
        pass


def _inherit(part: str, before: os.stat_result) -> None:
    """Give a file the owner, group and permissions of another one.

    Each is set separately, as far as that is possible.
    """
    with suppress(AttributeError):  # no owners on Windows
        for ids in ((before.st_uid, -1), (-1, before.st_gid)):
            with suppress(OSError):
                os.chown(part, *ids)
    with suppress(OSError):  # not on every file system
        os.chmod(part, stat.S_IMODE(before.st_mode))


def _check_access(part: str, before: os.stat_result) -> None:
    """Refuse to replace a file with one that others cannot use as before."""
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
    import hashlib  # takes longer than all else that beets loads for us

    encoded = name.encode(errors="surrogateescape")
    return hashlib.sha256(encoded).hexdigest()[:16]


def _sync(path: AnyPath) -> None:
    with open(path, "r+b") as file:
        os.fsync(file.fileno())


def _rename(part: AnyPath, target: AnyPath) -> None:
    os.replace(part, target)
    # Without this, a power cut could bring back what was there before.
    with suppress(OSError):  # Windows cannot open folders
        folder = os.path.dirname(os.fsdecode(target)) or os.curdir
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _state(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_mtime_ns, found.st_size, found.st_ino
