"""A file being downloaded: written block by block, then verified."""

from __future__ import annotations

import errno
import glob
import os
import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from soundtags.atomic import commit
from soundtags.errors import (
    InsecureSource,
    NoSpace,
    NotAModel,
    NotPublished,
    SoundtagsError,
    UnreachableSource,
    UnusableModel,
    UnwritableFolder,
    WrongDigest,
)
from soundtags.models import checksums, folder_lock
from soundtags.models.source import (
    OTHER_SOURCE,
    SECURE_SOURCE,
    without_password,
    without_passwords,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from soundtags.models.catalogue import File

MAX_BYTES = 10**9

HEAD = 1024  # bytes
# A graph may begin with a line break and "<", but then goes on with a control
# character, since one comes before the name of each operation.
NOT_A_MODEL = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<[!?a-z]|\Z)|\xff\xfe|\xfe\xff|[^\0-\x08\x0e-\x1f]+\Z",
    re.IGNORECASE,
)
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}

REMEDIES: dict[type[SoundtagsError], str] = {
    UnreachableSource: f"try again later, or {OTHER_SOURCE}",
    NotPublished: OTHER_SOURCE,
    NotAModel: (
        f"check whether a proxy requires you to log in, or {OTHER_SOURCE}"
    ),
    WrongDigest: OTHER_SOURCE,
    InsecureSource: SECURE_SOURCE,
    NoSpace: "make room and try again",
    UnwritableFolder: folder_lock.REMEDY,
}


class Part:
    """The part of a file fetched so far, beside its place in the model folder.

    Whoever uses it must have the lock on that folder.

    Parameters
    ----------
    candidate
        What is known about the file.
    origin
        URL or path that it is fetched from.
    target
        Where the file will be.
    report
        Called with the number of bytes so far, and that of the whole file.
    examine
        Called with a file whose digest is not known, before it gets its final
        name.

    Attributes
    ----------
    done, total
        Bytes so far, and those of the whole file if the source says.
    version
        What the server calls this version of the file, if anything.
    resumed
        Whether the content has come in several transfers.
    """

    def __init__(
        self,
        candidate: File,
        origin: str,
        target: Path,
        report: Callable[[int, int | None], None],
        examine: Callable[[Path], None],
    ) -> None:
        self.origin = origin
        self.done = 0
        self.total: int | None = None
        self.version: str | None = None
        self.resumed = False
        self._candidate = candidate
        self._target = target
        # Other processes must not continue what cannot be verified.
        own = "" if candidate.sha256 else f".{os.getpid()}"
        self._path = target.with_name(f"{target.name}{own}.part")
        self._file: BinaryIO
        self._report = report
        self._examine = examine

    def failure(self, kind: type[SoundtagsError], cause: str) -> SoundtagsError:
        """Return an error about this file, with its remedy."""
        origin = without_password(self.origin)
        cause = without_passwords(cause)
        return kind(
            f"{self._target.name} from {origin}: {cause}; {REMEDIES[kind]}"
        )

    @contextmanager
    def tidied(self) -> Iterator[None]:
        """Leave nothing behind but what a later transfer can continue.

        Raises
        ------
        NoSpace, UnwritableFolder
            If the model folder cannot take the file.
        """
        try:
            with self._disk():
                yield
        except (NoSpace, NotAModel, WrongDigest):
            self._discard()
            raise
        finally:
            if not (self._candidate.sha256 and self.done):
                self._discard()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open it for writing; keep its content if it can be checked later."""
        self._delete_leftovers()
        with self._path.open("ab") as self._file:
            self.done = self._file.tell()
            if not (self._candidate.sha256 or self.version):
                self.clear()
            yield

    def clear(self) -> None:
        """Start over."""
        with self._disk():
            self._file.truncate(0)
        self.done = 0

    def expect(self, total: int | None) -> None:
        """Take note of the whole file's size before its content comes.

        Raises
        ------
        NotAModel, WrongDigest
            If that is too large, or not the size that is known.
        """
        self.total = total
        if total is not None:
            self._check_size(total)

    def write(self, block: bytes) -> None:
        """Append a block."""
        self.done += len(block)
        self._check_limit(self.done)
        with self._disk():
            self._file.write(block)
        self._report(self.done, self.total)

    def flush(self) -> None:
        with self._disk():
            self._file.flush()

    def finish(self) -> str:
        """Verify the whole file, put it in its place and return its digest.

        Raises
        ------
        UnreachableSource
            If not all of it is here, or it has come in parts that do not
            belong together.
        NotAModel, WrongDigest
            If it is not what it should be.
        """
        self.done = self._path.stat().st_size
        self._check_whole()
        sha256 = checksums.file_sha256(self._path)
        self._check_digest(sha256)
        self._check_content()
        # In this order, a kill in between leaves at worst the digest of a file
        # that is not there, never a file that nobody will check.
        checksums.record(self._target.parent, self._target.name, sha256)
        commit(self._path, self._target)
        return sha256

    def _check_limit(self, size: int) -> None:
        if size > MAX_BYTES:
            raise self.failure(NotAModel, f"more than {MAX_BYTES} bytes")

    def _check_size(self, size: int) -> None:
        self._check_limit(size)
        if self._candidate.size not in (None, size):
            cause = f"{size} bytes instead of {self._candidate.size}"
            raise self.failure(WrongDigest, cause)

    def _check_whole(self) -> None:
        if self.total not in (None, self.done):
            cause = f"broke off after {self.done} of {self.total} bytes"
            raise self.failure(UnreachableSource, cause)
        with self._path.open("rb") as file:
            if NOT_A_MODEL.match(file.read(HEAD)):
                raise self.failure(NotAModel, "a web page, text, or nothing")

    def _check_digest(self, sha256: str) -> None:
        known = self._candidate.sha256
        if known in (None, sha256):
            self._check_size(self.done)
        elif self.resumed:
            self._discard()
            raise self.failure(UnreachableSource, "its parts do not match")
        else:
            cause = f"SHA-256 {sha256} instead of {known}"
            raise self.failure(WrongDigest, cause)

    def _check_content(self) -> None:
        if self._candidate.sha256:
            return  # somebody has examined the file with that digest
        try:
            self._examine(self._path)
        except UnusableModel as exc:
            # Without the name of the part, and without a remedy.
            cause = str(exc).rpartition(f"{self._path.name}: ")[2]
            raise self.failure(NotAModel, cause.split("; ")[0]) from exc

    def _delete_leftovers(self) -> None:
        """Delete the parts that killed programs have left."""
        name = f"{glob.escape(self._target.name)}*.part"
        for path in self._target.parent.glob(name):
            if path != self._path:
                path.unlink()

    def _discard(self) -> None:
        with suppress(OSError):
            self._path.unlink()

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Tell errors of our disk from those of the source."""
        try:
            yield
        except OSError as exc:
            kind = NoSpace if exc.errno in DISK_FULL else UnwritableFolder
            folder, cause = self._target.parent, exc.strerror or exc
            message = f"cannot write to {folder}: {cause}"
            raise self.failure(kind, message) from exc
