"""The executor that has the workers of a Dask cluster run the models.

Workers return predictions only: the library, its files and the cache are
written on this machine alone.
"""

from __future__ import annotations

import json
import logging
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from soundtags.errors import NoDistributed, UnreachableCluster, first_line
from soundtags.inference.dask import is_address
from soundtags.inference.dask.run import Run
from soundtags.version import with_extra

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from soundtags.inference.dask.paths import PathMapping
    from soundtags.inference.pipeline import Recall, TrackResult
    from soundtags.models.plan import Plan

K = TypeVar("K")

CONNECT_TIMEOUT = 5.0  # seconds to wait for the scheduler; Dask waits twice
CLOSE_TIMEOUT = 1.0  # seconds
LOGGERS = ("distributed", "distributed.client", "tornado.application")


class Cluster:
    """An :class:`~soundtags.inference.executor.Executor` of many machines.

    Parameters
    ----------
    address
        Address of the scheduler, or its scheduler file.
    mapping
        Where workers find files.
    session_memory
        Bytes that open sessions may take, on each worker.
    engine
        Which engine runs the models on each worker: a value of the option
        ``engine``.
    logger
        Gets a warning for each worker that cannot be used.
    """

    def __init__(
        self,
        address: str,
        mapping: PathMapping,
        session_memory: int,
        engine: str,
        logger: logging.Logger,
    ) -> None:
        self._address = address
        self._mapping = mapping
        self._session_memory = session_memory
        self._engine = engine
        self._logger = logger
        self._client: Any = None

    def predict(
        self,
        tracks: Iterable[tuple[K, bytes | str]],
        plan: Plan,
        recall: Recall,  # noqa: ARG002 (workers cannot ask the cache)
    ) -> Iterator[TrackResult[K]]:
        remaining = iter(tracks)
        first = next(remaining, None)
        if first is None:  # nothing to connect for
            return
        self._connect()
        run = Run[K](
            self._client,
            self._mapping,
            plan,
            self._session_memory,
            self._engine,
            self._logger,
        )
        yield from run.results(chain([first], remaining))

    def close(self) -> None:
        if self._client:
            self._client.close(timeout=CLOSE_TIMEOUT)
            self._client = None

    def _connect(self) -> None:
        if self._client is not None and self._client.status == "running":
            return
        self.close()
        distributed = _import_distributed(self._logger)
        try:
            self._client = distributed.Client(
                _scheduler_address(self._address),
                timeout=CONNECT_TIMEOUT,
                set_as_default=False,
            )
        except Exception as exc:  # of many kinds, such as for certificates
            raise UnreachableCluster(
                f"no scheduler answers at {self._address}: {first_line(exc)}"
            ) from exc


def _scheduler_address(address: str) -> str:
    """Return the address of a scheduler, which may be in a file."""
    if is_address(address):
        return address
    try:
        return str(json.loads(Path(address).read_text("utf-8"))["address"])
    except (OSError, ValueError, LookupError, TypeError) as exc:
        raise UnreachableCluster(
            f"{address}: neither an address such as tcp://host:8786 nor a"
            " scheduler file"
        ) from exc


def _import_distributed(logger: logging.Logger) -> Any:
    try:
        import dask
        import distributed
    except ImportError as exc:
        raise NoDistributed(
            f"a cluster needs Dask: pip install {with_extra('cluster')}"
        ) from exc
    if not logger.isEnabledFor(logging.DEBUG):
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    # Tasks are meant to be large where models or files are sent.
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"})
    return distributed
