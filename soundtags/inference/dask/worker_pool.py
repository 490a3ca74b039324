"""Which workers a cluster has, and which of them can be used."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from soundtags.errors import (
    LostCluster,
    UnfitWorker,
    UnreachableCluster,
    first_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from logging import Logger

POLL_INTERVAL = 1.0  # seconds between requests for the list of workers
JOIN_TIMEOUT = 15.0  # seconds to wait for a worker while there is none


class WorkerPool:
    """The workers of a cluster, which may join and leave at any time.

    Parameters
    ----------
    client : distributed.Client
        The connection to the scheduler.
    logger
        Gets a warning for each worker that is excluded.
    """

    def __init__(self, client: Any, logger: Logger) -> None:
        self._client = client
        self._logger = logger
        self._threads: dict[str, int] = {}  # by address
        self._excluded: dict[str, UnfitWorker] = {}
        self._refreshed = 0.0

    @property
    def threads(self) -> int:
        """Number of threads that all workers have together."""
        return sum(self._threads.values())

    def refresh(self) -> None:
        """Update the list of workers, at most once per interval.

        If there are no workers, wait for one.

        Raises
        ------
        UnreachableCluster
            If no worker joins.
        LostCluster
            If the scheduler does not answer.
        """
        from distributed import TimeoutError as Timeout  # not Python's in 3.10

        now = time.monotonic()
        if self._threads and now < self._refreshed + POLL_INTERVAL:
            return
        self._refreshed = now
        try:
            self._threads = self._client.nthreads()
            if not self._threads:
                self._client.wait_for_workers(1, timeout=JOIN_TIMEOUT)
                self._threads = self._client.nthreads()
        except Timeout as exc:
            raise UnreachableCluster(
                f"the cluster has no workers; none joined in"
                f" {JOIN_TIMEOUT:.0f} s"
            ) from exc
        except (OSError, RuntimeError) as exc:
            raise LostCluster(
                f"lost the cluster's scheduler: {first_line(exc)}"
            ) from exc

    def exclude(self, address: str, reason: UnfitWorker) -> None:
        """Give a worker no more tracks."""
        if address not in self._excluded:
            self._logger.warning("{}; it gets no more tracks", reason)
            self._excluded[address] = reason

    def usable(self, avoid: Iterable[str]) -> list[str] | None:
        """Return the workers that a batch can go to.

        Parameters
        ----------
        avoid
            Workers to use only if there are no others.

        Returns
        -------
        list of str or None
            Their addresses; None for any worker.

        Raises
        ------
        UnfitWorker
            If all workers are excluded.
        """
        avoid = set(avoid)
        if not avoid and not self._excluded:
            return None
        self.refresh()
        fit = self._threads.keys() - self._excluded.keys()
        if not fit:
            raise next(iter(self._excluded.values()))
        return sorted(fit - avoid or fit)

    def have_left(self, addresses: Iterable[str]) -> bool:
        """Return whether all of some workers have left."""
        return self._threads.keys().isdisjoint(addresses)
