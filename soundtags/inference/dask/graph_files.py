"""The graphs that a worker has: embedded ones, and those it was sent."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from soundtags.atomic import writing
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
    if hashlib.sha256(content).hexdigest() != graph.sha256:
        raise WrongDigest(f"{graph.name}: has changed during the run")
    folder = _cache_folder(graph)
    folder.mkdir(parents=True, exist_ok=True)
    with writing(folder / graph.name) as file:
        file.write(content)


def _cache_folder(graph: GraphFile) -> Path:
    import pooch  # type: ignore[import-untyped]

    return Path(pooch.os_cache("beets-soundtags")) / graph.sha256
