"""Where models listen: on this machine, or on a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from beets import config as beets_config

from . import options
from .pipeline import hear_all
from .readers import Readers
from .sessions import SessionPool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from logging import Logger

    from confuse import ConfigView

    from .decoding import Path
    from .pipeline import Hearing, Recall
    from .plan import Plan

T = TypeVar("T")


class Engine(Protocol):
    """Reads files and runs models."""

    def hear(
        self, tracks: Iterable[tuple[T, Path]], plan: Plan, recall: Recall
    ) -> Iterator[tuple[T, Hearing]]:
        """Let models hear many files, whatever happens to any of them.

        Parameters
        ----------
        tracks
            Pairs of anything and the path of a file. Consumed some ahead of
            what is yielded, in the caller's thread.
        plan
            Which models run on which patches.
        recall
            What may be asked instead, see :func:`pipeline.hear_all`.

        Yields
        ------
        tuple
            The anything, and what was heard or the error that prevented it,
            in any order.

        Raises
        ------
        BrokenModels
            If graphs cannot be used.
        SoundtagsError
            If nothing more can be heard at all.
        """
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


class Local:
    """The threads of this machine, and processes that read files.

    Parameters
    ----------
    jobs
        Threads to work with, and processes to read files.
    memory
        Bytes that open sessions may take.
    """

    def __init__(self, jobs: int, memory: int) -> None:
        self._jobs = jobs
        self._pool = SessionPool(memory)
        self._readers = Readers(jobs)

    def hear(
        self, tracks: Iterable[tuple[T, Path]], plan: Plan, recall: Recall
    ) -> Iterator[tuple[T, Hearing]]:
        reading = self._readers.features
        return hear_all(tracks, plan, self._pool, self._jobs, reading, recall)

    def close(self) -> None:
        self._pool.close()
        self._readers.close()


def make_engine(
    config: ConfigView,
    logger: Logger,
    jobs: int | None = None,
    cluster: str | None = None,
) -> Engine:
    """Settle where models listen.

    Parameters
    ----------
    config
        The plugin's part of the configuration.
    logger
        Where messages of the run arrive.
    jobs, cluster
        What the command line says instead of the configuration.

    Raises
    ------
    confuse.ConfigError
        If a value is not allowed.
    """
    memory = options.session_memory(config)
    address = cluster or options.cluster(config)
    if address is None:
        return Local(jobs or options.jobs(config), memory)

    from .cluster import Cluster, Shares

    shares = Shares.of(
        options.cluster_paths(config),
        beets_config["directory"].as_filename(),
        options.cluster_ship(config),
    )
    return Cluster(address, shares, memory, logger)
