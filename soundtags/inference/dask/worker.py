"""What the workers of a cluster do: decode a few tracks and run models.

A worker runs the same pipeline as a single machine, with one thread: Dask gives
it as many tasks at a time as it has threads. Files are decoded in the worker's
own process, as most workers are not allowed to start processes: a file that
crashes the decoder takes down its worker, which Dask restarts.
"""

from __future__ import annotations

import os
import pickle
from functools import cache
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from soundtags.errors import (
    NoTensorFlow,
    SoundtagsError,
    UnfitWorker,
    UnsharedFile,
    capture_errors,
)
from soundtags.inference.dask.answers import encode
from soundtags.inference.dask.graph_files import find_graph, store_graph
from soundtags.inference.dask.messages import (
    Failed,
    GraphFile,
    GraphsStored,
    MissingGraphs,
    Predicted,
    PredictTracks,
    Reply,
    StoreGraphs,
    plan_models,
    with_graphs,
)
from soundtags.inference.dask.watchdog import Watchdog
from soundtags.inference.engine_choice import EngineChoice
from soundtags.inference.pipeline import TrackResult, predict_all
from soundtags.inference.sessions import SessionPool
from soundtags.version import PACKAGE, package_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from soundtags.audio.features import FeatureReader
    from soundtags.inference.dask.messages import Outcome, RemoteFile, Request
    from soundtags.models.plan import Plan

TIMEOUT = 300.0  # seconds without progress after which a decoder is abandoned
POLL_INTERVAL = 1.0  # seconds between checks for progress


def answer(version: str, payload: bytes) -> bytes:
    """Answer a request.

    Parameters
    ----------
    version
        Version of this package on the client.
    payload
        The pickled request. It is only unpickled if the versions are equal.

    Returns
    -------
    bytes
        The address of this worker and the outcome, see
        :mod:`soundtags.inference.dask.answers`.
    """
    address = _address()
    return encode(Reply(address, _outcome(address, version, payload)))


def _outcome(address: str, version: str, payload: bytes) -> Outcome:
    if version != package_version():
        return Failed(
            UnfitWorker(
                f"worker {address}: has {PACKAGE} {package_version()}, but"
                f" this machine has {version}; install the same version on both"
            )
        )
    match capture_errors(_handle, pickle.loads(payload)):  # noqa: S301
        case (UnfitWorker() | NoTensorFlow()) as error:
            return Failed(UnfitWorker(f"worker {address}: {error}"))
        case SoundtagsError() as error:
            return Failed(error)
        case outcome:
            return outcome


def predict_files(
    files: Iterable[tuple[int, str]],
    plan: Plan,
    session_memory: int,
    engine: str,
    reader: FeatureReader,
) -> Iterator[TrackResult[int]]:
    """Run the models of a plan on files of this worker.

    Tests replace this function to have workers without models.

    Parameters
    ----------
    files
        Keys and paths.
    plan
        Which models to run. Their graphs are files of this worker.
    session_memory
        Bytes that open sessions may take.
    engine
        Which engine runs the models.
    reader
        Reads the files.

    Yields
    ------
    TrackResult
        A result per file, in order.
    """
    pool = _session_pool(session_memory, engine)
    return predict_all(files, plan, pool, 1, reader)


def _address() -> str:
    from distributed import get_worker

    return str(get_worker().address)


def _handle(request: Request) -> Outcome:
    match request:
        case PredictTracks():
            return _predict(request)
        case StoreGraphs():
            return _store(request)


def _predict(request: PredictTracks) -> Outcome:
    models = plan_models(request.plan)
    graphs = {model: find_graph(GraphFile.of(model)) for model in models}
    missing = [GraphFile.of(m) for m, graph in graphs.items() if graph is None]
    if missing:
        return MissingGraphs(missing)
    plan = with_graphs(request.plan, lambda m: graphs[m] or m.graph)

    with TemporaryDirectory(prefix="soundtags-") as folder:
        files: list[tuple[int, str]] = []
        results: list[TrackResult[int]] = []
        for number, file in enumerate(request.files):
            try:
                files.append(
                    (number, _local_path(file, Path(folder, str(number))))
                )
            except UnsharedFile as exc:
                results.append(TrackResult(number, error=exc))

        def work(reader: FeatureReader) -> list[TrackResult[int]]:
            memory, engine = request.session_memory, request.engine
            return list(predict_files(files, plan, memory, engine, reader))

        results += Watchdog(TIMEOUT, POLL_INTERVAL).run(work)
    return Predicted(sorted(results, key=attrgetter("key")))


def _local_path(file: RemoteFile, target: Path) -> str:
    """Return where a file is on this worker.

    Parameters
    ----------
    file
        The file.
    target
        Where to write it if it was sent, without a suffix.

    Raises
    ------
    UnfitWorker
        If its folder is not mounted here.
    UnsharedFile
        If the folder is mounted, but the file is missing.
    """
    if file.content is not None:
        sent = target.with_name(target.name + Path(file.path).suffix)
        sent.write_bytes(file.content)
        return str(sent)
    if os.path.exists(file.path):
        return file.path
    if _is_empty(file.root):
        raise UnfitWorker(
            f"{file.root} is missing or empty; mount it, or set its path in"
            " soundtags.cluster_paths"
        )
    raise UnsharedFile(
        f"not found on a worker: {file.path} (on {_address()}); see"
        " soundtags.cluster_paths"
    )


def _is_empty(folder: str) -> bool:
    try:
        return not os.listdir(folder)
    except OSError:
        return True


def _store(request: StoreGraphs) -> Outcome:
    try:
        for graph, content in request.contents.items():
            store_graph(graph, content)
    except OSError as exc:
        raise UnfitWorker(f"cannot store models: {exc}") from exc
    return GraphsStored()


@cache
def _session_pool(memory: int, engine: str) -> SessionPool:
    """Return the sessions of this worker, which stay open between tasks."""
    return SessionPool(memory, EngineChoice(engine))
