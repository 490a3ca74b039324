"""The tasks of a run: requests that workers answer."""

from __future__ import annotations

import pickle
from asyncio import CancelledError
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from soundtags.version import package_version

if TYPE_CHECKING:
    from soundtags.inference.dask.messages import Request

GATHER_ATTEMPTS = 3

# What a task evaluates. A function of this package would have to be unpickled,
# even by the scheduler, which need not have the package; and a worker without
# the package could not report that it is missing.
CALL = (
    "__import__('soundtags.inference.dask.worker', fromlist=['answer'])"
    ".answer(version, payload)"
)


class Tasks:
    """Sends requests, and fetches the answers in the background.

    Parameters
    ----------
    client : distributed.Client
        The connection to the scheduler.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._finished: SimpleQueue[tuple[Any, Any]] = SimpleQueue()

    def submit(self, request: Request, workers: list[str] | None) -> Any:
        """Send a request.

        Parameters
        ----------
        request
            What a worker is to do.
        workers
            Addresses of workers that may do it; None for all.

        Returns
        -------
        distributed.Future
            The task.
        """
        future = self._client.submit(
            eval,
            CALL,
            {"version": package_version(), "payload": pickle.dumps(request)},
            pure=False,
            workers=workers,
        )
        self._client.loop.add_callback(self._fetch, future)
        return future

    def next_finished(self, timeout: float) -> list[tuple[Any, Any]]:
        """Return the tasks that have finished since the last call.

        Parameters
        ----------
        timeout
            Seconds to wait for one.

        Returns
        -------
        list of (future, answer)
            The answer can be anything. If there is none, an error replaces it.
        """
        finished = []
        with suppress(Empty):
            finished.append(self._finished.get(timeout=timeout))
            while True:
                finished.append(self._finished.get_nowait())
        return finished

    async def _fetch(self, future: Any) -> None:
        """Fetch an answer, in the client's thread.

        Dask fetches several at a time, so one that cannot be unpickled makes
        others fail. Each of them is asked for again.
        """
        answer: Any = None
        for _ in range(GATHER_ATTEMPTS):
            try:
                answer = await self._client.gather(future, asynchronous=True)
                break
            except (Exception, CancelledError) as exc:
                answer = exc
                if future.status != "finished":
                    break
        self._finished.put((future, answer))
