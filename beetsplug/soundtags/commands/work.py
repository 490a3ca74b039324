"""What a run of `beet soundtags` has to do."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from beetsplug.soundtags.fields import INPUT, PLAN
from beetsplug.soundtags.queries import field_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from beets.library import Library

    from beetsplug.soundtags.tagger import Tagger
    from soundtags.inference.cache_index import Coverage


@dataclass
class Work:
    """What has to be done, as ids of items.

    Attributes
    ----------
    analyse
        Items that need all models of the plan.
    derive
        Items whose predictions are all in the cache.
    by_models
        Items that need only some models, by the ids of these.
    again
        How many of them were analysed before, by another plan.
    up_to_date
        Number of items for which nothing has to be done.
    """

    analyse: list[int] = field(default_factory=list)
    derive: list[int] = field(default_factory=list)
    by_models: dict[frozenset[str], list[int]] = field(
        default_factory=lambda: defaultdict(list)
    )
    again: int = 0
    up_to_date: int = 0

    @classmethod
    def find(cls, lib: Library, ids: Sequence[int], tagger: Tagger) -> Work:
        """Find out what has to be done for some items."""
        if tagger.force:
            return cls(analyse=[*ids])
        plans, inputs = field_values(lib, PLAN), field_values(lib, INPUT)
        stale = [each for each in ids if plans.get(each) != tagger.plan.digest]
        work = cls(
            again=sum(each in plans for each in stale),
            up_to_date=len(ids) - len(stale),
        )
        coverage_of = tagger.coverage()
        for each in stale:
            work.add(each, coverage_of(inputs.get(each, "").split()))
        return work

    def add(self, item_id: int, coverage: Coverage) -> None:
        """Add an item of which the cache covers so much."""
        if not coverage.cached:
            self.analyse.append(item_id)
        elif coverage.missing:
            self.by_models[coverage.missing].append(item_id)
        else:
            self.derive.append(item_id)

    @property
    def total(self) -> int:
        """Number of items."""
        partly = sum(map(len, self.by_models.values()))
        return len(self.analyse) + len(self.derive) + partly
