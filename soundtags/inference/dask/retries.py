"""Which errors may be a worker's fault, and how often others may try."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from soundtags.errors import (
    CrashedWorker,
    HangingDecoder,
    SoundtagsError,
    UnexpectedFailure,
    UnfitWorker,
    UnsharedFile,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundtags.inference.dask.batches import Batch

T = TypeVar("T")


def _costs() -> dict[type[SoundtagsError], int]:
    return {
        HangingDecoder: 1,
        UnexpectedFailure: 1,
        UnfitWorker: 1,
        UnsharedFile: 1,
        CrashedWorker: 2,  # Dask has already had several workers try
    }


@dataclass(frozen=True)
class RetryPolicy:
    """Decides which tracks are tried again.

    Attributes
    ----------
    max_attempts : int
        Failed attempts after which an error is final.
    max_returns : int
        How many times a batch may be given back without an attempt, for
        example by workers that lack models.
    costs : mapping of error type to int
        Errors that may be the worker's fault, and the number of attempts that
        each counts as. All others are final at once.
    """

    max_attempts: int = 3
    max_returns: int = 20
    costs: Mapping[type[SoundtagsError], int] = field(default_factory=_costs)

    def retry(
        self, batch: Batch[T], error: SoundtagsError, worker: str | None
    ) -> Batch[T] | None:
        """Return a batch as it should be tried again.

        Parameters
        ----------
        batch
            The batch that failed.
        error
            The reason.
        worker
            Address of the worker that failed, if known.

        Returns
        -------
        Batch or None
            The batch, to be kept from that worker; None if the error is final.
        """
        attempts = batch.attempts + self.costs.get(
            type(error), self.max_attempts
        )
        if attempts >= self.max_attempts:
            return None
        avoid = batch.avoid | {worker} if worker else batch.avoid
        return replace(batch, attempts=attempts, avoid=avoid)

    def give_back(self, batch: Batch[T]) -> Batch[T] | None:
        """Return an untried batch for a retry; None after too many returns."""
        if batch.returns == self.max_returns:
            return None
        return replace(batch, returns=batch.returns + 1)
