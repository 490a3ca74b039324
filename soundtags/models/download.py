"""Downloads model files, from a server or a folder, into the model folder."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from soundtags.errors import (
    NotAModel,
    NotPublished,
    UnreachableSource,
    WrongDigest,
)
from soundtags.models.folder_lock import locked
from soundtags.models.http import download
from soundtags.models.partial_file import Part
from soundtags.models.source import URL, check_source, without_password

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from soundtags.models.catalogue import File

# Causes for which the next candidate is tried, the most telling one last.
UNSUITABLE = (NotPublished, NotAModel, WrongDigest)


@dataclass(frozen=True)
class Fetched:
    """A file that was fetched.

    Attributes
    ----------
    path
        The file in the model folder.
    origin
        URL, without a password, or path that it was fetched from.
    sha256
        Its digest, which is recorded.
    known
        Whether the digest was known beforehand, and so was checked.
    """

    path: Path
    origin: str
    sha256: str
    known: bool


def _ignore(*_args: object) -> None:
    pass


def fetch(
    candidates: Sequence[File],
    folder: Path,
    source: str,
    *,
    insecure: bool = False,
    report: Callable[[int, int | None], None] = _ignore,
    examine: Callable[[Path], None] = _ignore,
    timeout: float = 30.0,
    pause: float = 1.0,
) -> Fetched:
    """Get the first candidate that is there and is what it should be.

    Waits while others fetch into the same folder.

    Parameters
    ----------
    candidates
        The files to try, in order; at least one.
    folder
        Folder to put the file in; created if need be.
    source
        URL or path of a folder with the candidates' paths below it. In a
        folder, the files may also lie side by side.
    insecure
        Whether plain HTTP is good enough.
    report
        Called during the transfer with the number of bytes so far, and that
        of the whole file, or None if it is unknown.
    examine
        Called with a file whose digest is not known. It raises UnusableModel
        if the file is not a model.
    timeout
        Seconds to wait for a server to send something.
    pause
        Seconds before a transfer that broke off is tried again; twice as
        many before the last attempt.

    Returns
    -------
    Fetched
        The file, complete and verified.

    Raises
    ------
    UnreachableHost
        If there is no such source, or no connection to it.
    UnreachableSource
        If the transfer fails, breaks off or is too slow.
    NotPublished, NotAModel, WrongDigest
        If no candidate is what it should be; the most telling error is raised.
    InsecureSource
        If the source, or where it redirects to, is not HTTPS.
    NoSpace, UnwritableFolder
        If the model folder cannot take the file.
    """
    check_source(source, insecure)
    failures = []

    def get(part: Part) -> str:
        with part.tidied():
            if URL.match(source):
                return download(part, insecure, timeout, pause)
            return _copy(part)

    with locked(folder):
        for candidate in candidates:
            for origin in _origins(source, candidate.path):
                target = folder / PurePosixPath(candidate.path).name
                try:
                    sha256 = get(
                        Part(candidate, origin, target, report, examine)
                    )
                except UNSUITABLE as exc:
                    failures.append(exc)
                else:
                    known = candidate.sha256 is not None
                    shown = without_password(origin)
                    return Fetched(target, shown, sha256, known)
    raise max(failures, key=lambda exc: UNSUITABLE.index(type(exc)))


def _origins(source: str, path: str) -> list[str]:
    """Return where in a source a file may be."""
    parts = PurePosixPath(path).parts
    is_below = parts and not path.startswith("/") and ".." not in parts
    if not is_below or set(path) & set("\\:\0"):
        raise NotAModel(f"{path!r} is not the path of a file below a source")
    if URL.match(source):
        return [f"{source.rstrip('/')}/{quote(path)}"]
    return [str(Path(source, *parts)), str(Path(source, parts[-1]))]


def _copy(part: Part) -> str:
    """Get a file from a folder; return its digest."""
    origin = Path(part.origin)
    with part.opened():
        if not origin.is_file():
            raise part.failure(NotPublished, "no such file")
        part.clear()
        try:
            with origin.open("rb") as file:
                part.expect(os.fstat(file.fileno()).st_size)
                shutil.copyfileobj(file, part)
        except OSError as exc:
            reason = exc.strerror or str(exc)
            raise part.failure(UnreachableSource, reason) from exc
    return part.finish()
