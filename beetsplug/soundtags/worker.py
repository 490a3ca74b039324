"""What workers of a cluster do: read a few tracks, and let models hear them.

Theirs are the ways of :mod:`pipeline`, with one thread: a worker does as many
tasks at a time as Dask has given it threads. Files are read in these, as most
workers may have no processes of their own: a file that crashes a decoder takes
its worker down, which Dask starts anew.
"""

from __future__ import annotations

import os
import pickle
import threading
import time
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from .catalogue import data_folder
from .digests import file_sha256
from .errors import (
    HangingDecoder,
    NoTensorFlow,
    SoundtagsError,
    UnfitWorker,
    UnsharedFile,
    WrongDigest,
    attempt,
)
from .features import features
from .pipeline import hear_all
from .sessions import SessionPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .features import Features, Reading, Wanted
    from .installed import Model
    from .pipeline import Hearing
    from .plan import Plan

T = TypeVar("T")

PACKAGE = "beets-soundtags"
PATIENCE = 300.0  # seconds without a sign of life from who reads files
GLANCE = 1.0  # seconds between looks for one


class Track(NamedTuple):
    """A file, as a worker gets at it.

    Attributes
    ----------
    path
        Where the worker finds it.
    root
        A folder around it that is there, and not empty, if anything is.
    content
        Its bytes, if they were sent; the path tells only its ending then.
    """

    path: str
    root: str
    content: bytes | None = None


@dataclass(frozen=True)
class Task:
    """Some tracks, and who is to hear them.

    Attributes
    ----------
    plan
        Which models run on which patches. Of their graphs, only names and
        digests count.
    memory
        Bytes that open sessions may take.
    tracks
        The files.
    """

    plan: Plan
    memory: int
    tracks: tuple[Track, ...]


class Graph(NamedTuple):
    """The file of a model: its name, and the SHA-256 digest of its content."""

    name: str
    sha256: str


class Lacking(NamedTuple):
    """What a worker says that has not all models: which graphs it lacks."""

    graphs: list[Graph]


Told = list["Hearing"] | Lacking | SoundtagsError | None
Answer = tuple[str, Told]  # the worker's address, and what came of it

_found: dict[Graph, Path] = {}


@cache  # it is asked for each task
def version() -> str:
    """Return which version of this package is installed."""
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        return "unknown"


def hear(theirs: str, payload: bytes) -> Answer:
    """Hear the tracks of a task.

    Parameters
    ----------
    theirs
        The version of this package on the side that asks.
    payload
        The task, pickled: that of another version might not be understood.

    Returns
    -------
    tuple
        The address of this worker, and per track what was heard or the error
        that prevented it; or one error for all; or which graphs are lacking.
    """
    return _answer(_hear, theirs, payload)


def receive(theirs: str, payload: bytes) -> Answer:
    """Keep graphs that were lacking.

    Parameters
    ----------
    theirs, payload
        As of :func:`hear`; the payload is graphs and their bytes.
    """
    return _answer(_receive, theirs, payload)


def _answer(
    work: Callable[[str, Any], Told], theirs: str, payload: bytes
) -> Answer:
    from distributed import get_worker

    address = str(get_worker().address)
    if theirs != version():
        return address, UnfitWorker(
            f"worker {address}: has {PACKAGE} {version()}, but here it is"
            f" {theirs}; install the same on both"
        )
    return address, attempt(work, address, pickle.loads(payload))  # noqa: S301


def _hear(address: str, task: Task) -> Told:
    graphs = {model: _graph(key(model)) for model in models(task.plan)}
    lacking = [key(model) for model in graphs if graphs[model] is None]
    if lacking:
        return Lacking(lacking)

    def here(models: tuple[Model, ...]) -> tuple[Model, ...]:
        return tuple(m._replace(graph=graphs[m] or m.graph) for m in models)

    plan = replace(
        task.plan,
        models=here(task.plan.models),
        backbones=here(task.plan.backbones),
    )
    try:
        with _files(task.tracks, address) as files:
            return _watched(partial(_heard, files, plan, task.memory))
    except NoTensorFlow as exc:
        raise UnfitWorker(f"worker {address}: {exc}") from exc


def _heard(
    files: list[str | SoundtagsError],
    plan: Plan,
    memory: int,
    reading: Reading,
) -> list[Hearing]:
    found: dict[int, Hearing] = {
        number: file
        for number, file in enumerate(files)
        if isinstance(file, SoundtagsError)
    }
    tracks = [
        (number, file)
        for number, file in enumerate(files)
        if isinstance(file, str)
    ]
    found.update(hear_all(tracks, plan, _pool(memory), 1, reading))
    return [found[number] for number in range(len(files))]


def _watched(work: Callable[[Reading], T]) -> T:
    """Do work that reads files; leave it behind when it shows no life."""
    last = time.monotonic()
    result: Future[T] = Future()

    def read(
        path: Any, wanted: Wanted, stopped: Callable[[], bool]
    ) -> Iterator[Features]:
        def alive() -> bool:
            nonlocal last
            last = time.monotonic()
            return stopped()

        for found in features(path, wanted, alive):
            alive()
            yield found

    def run() -> None:
        try:
            result.set_result(work(read))
        except BaseException as exc:
            result.set_exception(exc)

    threading.Thread(target=run, name="soundtags", daemon=True).start()
    while not wait([result], GLANCE).done:
        if time.monotonic() > last + PATIENCE:
            raise HangingDecoder(
                f"given up: no sound of it in {PATIENCE:.0f} s"
            )
    return result.result()


@contextmanager
def _files(
    tracks: tuple[Track, ...], address: str
) -> Iterator[list[str | SoundtagsError]]:
    """Have files of tracks; those that were sent, for as long as needed."""
    with TemporaryDirectory(prefix="soundtags-") as folder:
        files: list[str | SoundtagsError] = []
        for number, track in enumerate(tracks):
            if track.content is not None:
                sent = Path(folder, f"{number}{Path(track.path).suffix}")
                sent.write_bytes(track.content)
                files.append(str(sent))
            elif os.path.exists(track.path):
                files.append(track.path)
            elif _is_empty(track.root):
                raise UnfitWorker(
                    f"worker {address}: {track.root} is not there, or empty;"
                    " mount it, or say in soundtags.cluster_paths where it is"
                )
            else:
                files.append(
                    UnsharedFile(
                        f"not there on a worker: {track.path}, on {address};"
                        " see soundtags.cluster_paths"
                    )
                )
        yield files


def _is_empty(folder: str) -> bool:
    try:
        return not os.listdir(folder)
    except OSError:
        return True


@cache
def _pool(memory: int) -> SessionPool:
    """Return the sessions of this worker, which stay open between tasks."""
    return SessionPool(memory)


def models(plan: Plan) -> list[Model]:
    return list(dict.fromkeys([*plan.models, *plan.backbones]))


def key(model: Model) -> Graph:
    return Graph(model.graph.name, model.sha256)


def _graph(graph: Graph) -> Path | None:
    """Return a file that has a graph, of those we came with or were sent."""
    for folder in (data_folder(), _cache(graph)):
        path = folder / graph.name
        if graph in _found:
            break
        if path.is_file() and file_sha256(path) == graph.sha256:
            _found[graph] = path
    return _found.get(graph)


def _cache(graph: Graph) -> Path:
    import pooch  # type: ignore[import-untyped]

    return Path(pooch.os_cache("beets-soundtags")) / graph.sha256


def _receive(address: str, graphs: dict[Graph, bytes]) -> None:
    try:
        for graph, content in graphs.items():
            _keep(graph, content)
    except OSError as exc:
        raise UnfitWorker(
            f"worker {address}: cannot keep models: {exc}"
        ) from exc


def _keep(graph: Graph, content: bytes) -> None:
    folder = _cache(graph)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{os.getpid()}-{threading.get_ident()}.part"
    try:
        part.write_bytes(content)
        if file_sha256(part) != graph.sha256:
            raise WrongDigest(f"{graph.name}: has changed since the run began")
        part.replace(folder / graph.name)
    finally:
        part.unlink(missing_ok=True)
