"""SHA-256 digests of fetched models, in the format of sha256sum."""

from __future__ import annotations

import errno
import os
import re
from stat import S_ISREG
from typing import TYPE_CHECKING

from soundtags.atomic import writing
from soundtags.models.folder_lock import locked

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

FILE = "SHA256SUMS"
LINE = re.compile(r"^([0-9a-f]{64}) [ *](.+)$", re.MULTILINE)
BLOCK = 1 << 20  # bytes


def file_sha256(path: Path) -> str:
    """Return the digest of a file's content.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    OSError
        If it cannot be read, or is not a regular file.
    """
    import hashlib  # takes longer than all else that beets loads for us

    if not S_ISREG(path.stat().st_mode):  # a pipe would never end
        raise OSError(errno.EINVAL, "not a regular file")
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def recorded(folder: Path) -> dict[str, str]:
    """Return the digests that are recorded in a folder.

    Parameters
    ----------
    folder
        The model folder, which need not exist.

    Returns
    -------
    dict
        Name of a file to its digest.
    """
    path = folder / FILE
    if not os.path.isfile(path):  # a pipe of that name would never end
        return {}
    text = path.read_text("utf-8", "surrogateescape")
    return {name: sha256 for sha256, name in LINE.findall(text)}


def record(folder: Path, name: str, sha256: str) -> None:
    """Record the digest of a file, in place of an earlier one.

    Parameters
    ----------
    folder
        The model folder.
    name
        The file's name in it.
    sha256
        The digest.
    """
    with locked(folder):
        _write(folder, {**recorded(folder), name: sha256})


def forget(folder: Path, names: Collection[str]) -> None:
    """Drop the digests of some files, whether or not they have one.

    Parameters
    ----------
    folder
        The model folder.
    names
        The files' names in it.
    """
    if recorded(folder).keys().isdisjoint(names):
        return
    with locked(folder):
        known = recorded(folder)
        _write(folder, {n: known[n] for n in known if n not in names})


def _write(folder: Path, entries: Mapping[str, str]) -> None:
    lines = (f"{entries[name]}  {name}\n" for name in sorted(entries))
    with writing(folder / FILE) as file:
        file.write("".join(lines).encode("utf-8", "surrogateescape"))
