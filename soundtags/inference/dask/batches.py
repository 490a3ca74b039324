"""Batches: the tracks that are sent to a worker together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from soundtags.audio.patches import FRONT_ENDS
from soundtags.inference.pipeline import GROUP_SIZE
from soundtags.inference.predict import graph_specs
from soundtags.inference.sessions import SessionPool

if TYPE_CHECKING:
    from soundtags.models.plan import Plan

T = TypeVar("T")


@dataclass(frozen=True)
class Batch(Generic[T]):
    """Tracks that are sent together.

    Attributes
    ----------
    tracks : tuple of (key, path)
        The tracks.
    attempts : int
        How many attempts at them have failed.
    avoid : frozenset of str
        Addresses of the workers that failed.
    returns : int
        How many times workers have given them back, for whatever reason.
    """

    tracks: tuple[tuple[T, bytes | str], ...]
    attempts: int = 0
    avoid: frozenset[str] = frozenset()
    returns: int = 0


def tracks_per_batch(plan: Plan, session_memory: int) -> int:
    """Return how many tracks fill the largest call of a model.

    Where models take turns in memory, return how many tracks share a turn.
    """
    if not SessionPool(session_memory).fits(graph_specs(plan)):
        return GROUP_SIZE
    batch = max(FRONT_ENDS[name].batch for name in plan.front_ends)
    patches = plan.settings.patches or batch
    return -(-batch // patches)
