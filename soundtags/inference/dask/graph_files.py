"""The graphs that a worker has: embedded ones, and those it was sent."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from soundtags.errors import WrongDigest
from soundtags.models.catalogue import data_folder
from soundtags.models.checksums import file_sha256

if TYPE_CHECKING:
    from soundtags.inference.dask.messages import GraphFile

_verified: dict[GraphFile, Path] = {}


def find_graph(graph: GraphFile) -> Path | None:
    """Return the file of a graph.

    Parameters
    ----------
    graph
        Its name and digest.

    Returns
    -------
    pathlib.Path or None
        A file with that digest; None if there is none.
    """
    if graph not in _verified:
        for folder in (data_folder(), _cache_folder(graph)):
            path = folder / graph.name
            if path.is_file() and file_sha256(path) == graph.sha256:
                _verified[graph] = path
                break
    return _verified.get(graph)


def store_graph(graph: GraphFile, content: bytes) -> None:
    """Store a graph in the user's cache folder.

    Parameters
    ----------
    graph
        Its name and digest.
    content
        What is in the file.

    Raises
    ------
    OSError
        If the file cannot be written.
    WrongDigest
        If the content has another digest.
    """
    folder = _cache_folder(graph)
    folder.mkdir(parents=True, exist_ok=True)
    # Several workers may share the folder and receive the same graph.
    part = folder / f"{os.getpid()}-{threading.get_ident()}.part"
    try:
        part.write_bytes(content)
        if file_sha256(part) != graph.sha256:
            raise WrongDigest(f"{graph.name}: has changed during the run")
        part.replace(folder / graph.name)
    finally:
        part.unlink(missing_ok=True)


def _cache_folder(graph: GraphFile) -> Path:
    import pooch  # type: ignore[import-untyped]

    return Path(pooch.os_cache("beets-soundtags")) / graph.sha256
